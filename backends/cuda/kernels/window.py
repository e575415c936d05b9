"""A window that slides over images, and a convolution's sizes, as ``image.cu`` and ``conv.cu`` are told of them.

Numbers alone. Directions come in pairs, (down, across). Images are (batch, channels, height, width).
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tinynet.backends.cuda.module import divisor
from tinynet.dtypes import FLOATS, dtype_name

Array = Any
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
LARGEST = 2**31 - 2**20  # elements of an array that the kernels can count, with room for a last block


@dataclass(frozen=True)
class Window:
    """How a window slides.

    Attributes:
        size: the image's height and width.
        counts: how many windows there are, in each direction.
        kernel_size, stride, padding, dilation: as in ``tinynet/nn/windows.py``.
    """

    size: Pair
    counts: Pair
    kernel_size: Pair
    stride: Pair
    padding: Padding
    dilation: Pair = (1, 1)

    @property
    def taps(self) -> int:
        """How many pixels a window has."""
        return prod(self.kernel_size)

    @property
    def windows(self) -> int:
        """How many windows an image has."""
        return prod(self.counts)

    @property
    def is_pixel(self) -> bool:
        """Whether the windows are the pixels of the image, one after the other."""
        padded = any(self.padding[0]) or any(self.padding[1])
        return self.taps == 1 and self.size == self.counts and self.stride == (1, 1) and not padded

    def as_divisors(self) -> list[Any]:
        """The arguments of the kernels in ``image.cu``."""
        (top, _), (left, _) = self.padding
        divided = (*self.size, *self.counts, *self.stride, *self.dilation)
        return [divisor(n) for n in divided] + [np.int32(n) for n in (*self.kernel_size, top, left)]

    def as_numbers(self, transposed: bool = False) -> list[Any]:
        """The arguments of the kernels in ``conv.cu``, which read images and fill windows, or the other way round."""
        (top, _), (left, _) = self.padding
        sizes = (*self.counts, *self.size) if transposed else (*self.size, *self.counts)
        return [np.int32(n) for n in (*sizes, *self.stride, *self.dilation, *self.kernel_size, top, left)]


def sliding(
    size: tuple[int, ...], kernel_size: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> Window:
    """As many windows as fit into an image of that size with its border."""
    rows, columns = (
        (n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel_size, stride, padding, dilation)
    )
    return Window((size[0], size[1]), (rows, columns), (kernel_size[0], kernel_size[1]), stride, padding, dilation)


@dataclass(frozen=True)
class Convolution:
    """The sizes of a convolution, and so of its transpose and of the slope of its weights.

    Attributes:
        batch: how many images.
        groups: into how many the channels are divided.
        inputs, outputs: the channels of a group that the window slides over, and that windows become.
        window: how it slides.
    """

    batch: int
    groups: int
    inputs: int
    outputs: int
    window: Window

    @classmethod
    def of(cls, w: Array, groups: int, batch: int, window: Window) -> "Convolution":
        """With these weights, (all outputs, inputs of a group, kernel rows, kernel columns)."""
        return cls(batch, groups, w.shape[1], w.shape[0] // groups, window)

    @property
    def columns(self) -> int:
        """How many numbers there are in all windows of all images."""
        return self.batch * self.groups * self.inputs * self.window.taps * self.window.windows

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(batch, channels, height, width) of what the window slides over."""
        return self.batch, self.groups * self.inputs, *self.window.size

    @property
    def result_shape(self) -> tuple[int, ...]:
        """(batch, channels, rows, columns) of what windows become."""
        return self.batch, self.groups * self.outputs, *self.window.counts

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(all outputs, inputs of a group, kernel rows, kernel columns)."""
        return self.groups * self.outputs, self.inputs, *self.window.kernel_size


def takes(arrays: tuple[Array, ...], shapes: tuple[tuple[int, ...], ...], result: tuple[int, ...]) -> bool:
    """Whether the kernels take these arrays and give a result of that shape: floats of one type, of the shapes that
    they should have, none empty, none too large. None may stand for an array.
    """
    given = [(a, shape) for a, shape in zip(arrays, shapes) if a is not None]
    dtype = given[0][0].dtype
    if dtype_name(dtype) not in FLOATS or any(a.dtype != dtype or a.shape != shape for a, shape in given):
        return False
    return all(0 < prod(shape) < LARGEST for shape in (result, *(shape for _, shape in given)))


def place(xp: Any, shape: tuple[int, ...], like: Array, out: Array) -> Array:
    """Where a result is written: ``out`` if it can be, or a new array."""
    if out is not None and out.flags.c_contiguous and out.dtype == like.dtype:
        return out
    return xp.empty(shape, like.dtype)
