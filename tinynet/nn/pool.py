"""Pooling: a window of pixels becomes one, its largest or its mean."""

import math
from functools import cache
from typing import Any

from tinynet.dtypes import HALVES
from tinynet.errors import ArgumentError
from tinynet.functions import arange, ones, where
from tinynet.fused import Fused
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import shown, sizes, unusual
from tinynet.nn.upsample import Matrix, resample
from tinynet.nn.windows import Padding, Pair, check_fits, over_images, pad, windows
from tinynet.primitives import Primitive
from tinynet.tensor import Tensor

NO_PADDING = ((0, 0), (0, 0))


def _max_pool2d(x: Tensor, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Tensor:
    """The pixels of each window side by side, and the first of the largest."""
    if padding != NO_PADDING:
        inside = pad(ones(1, 1, *x.shape[2:], dtype=x.dtype, backend=x.backend), padding) > 0
        x = where(inside, pad(x, padding), -math.inf)
    seen = windows(x, kernel_size, stride, NO_PADDING, dilation)
    rows = seen.permute(0, 1, 4, 5, 2, 3).reshape(-1, math.prod(kernel_size))
    largest = rows[arange(len(rows), backend=x.backend), rows.argmax(1)]
    return largest.reshape(*seen.shape[:2], *seen.shape[4:])


_max_pool2d_grad = Primitive("max_pool2d_grad", None)
max_pool2d = Fused(
    "max_pool2d",
    _max_pool2d,
    lambda g, out, x, **window: _max_pool2d_grad(g, x, out, **window),
    once=True,
)


def _sum_pool2d(x: Tensor, kernel_size: Pair, stride: Pair, padding: Padding) -> Tensor:
    return windows(x, kernel_size, stride, padding, (1, 1)).sum((2, 3))


sum_pool2d: Fused = Fused(
    "sum_pool2d",
    _sum_pool2d,
    lambda g, out, x, **window: _sum_pool2d_grad(g, size=x.shape[2:], **window),
)
_sum_pool2d_grad: Primitive = Primitive(
    "sum_pool2d_grad", None, lambda g, out, x, size, **window: sum_pool2d(g, **window)
)


class Pool2d(Module):
    """What the layers here share: a window's settings, and images with or without a batch."""

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> None:
        name = type(self).__name__
        self.kernel_size = sizes(name, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else sizes(name, "stride", stride, 1)
        self.padding = sizes(name, "padding", padding, 0)
        self.dilation = sizes(name, "dilation", dilation, 1)
        self.ceil_mode = ceil_mode
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size)):
            raise ArgumentError(
                f"{name}(kernel_size={kernel_size}, padding={padding}): padding is at most half the window, or some "
                "windows would see nothing else."
            )

    def _borders(self, x: Tensor) -> Padding:
        """The padding on each side; in ``ceil_mode`` with what the last window needs."""
        padding = ((self.padding[0],) * 2, (self.padding[1],) * 2)
        check_fits(self, x.shape[2:], self.kernel_size, padding, self.dilation)
        if not self.ceil_mode:
            return padding
        (top, _), (left, _) = padding
        return (top, top + self._missing(0, x.shape[2])), (left, left + self._missing(1, x.shape[3]))

    def _missing(self, i: int, size: int) -> int:
        """How far a last window that begins inside the image, but not after it, reaches beyond the padding."""
        pad, stride, reach = self.padding[i], self.stride[i], self.dilation[i] * (self.kernel_size[i] - 1) + 1
        count = -(-(size + 2 * pad - reach) // stride) + 1
        if (count - 1) * stride >= size + pad:
            count -= 1
        return max(0, (count - 1) * stride + reach - size - 2 * pad)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, height', width'), or both without the batch."""
        return over_images(self, x, lambda images: self._pool(floating(images)))

    def _pool(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """The window, and what differs from the defaults."""
        usual = {"stride": self.kernel_size, "padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True}
        return ", ".join((shown(self.kernel_size), *unusual(self, **usual)))


class MaxPool2d(Pool2d):
    """The largest pixel of each window: out[i, j] = max x[i · stride + k · dilation, j · stride + l · dilation].

    The gradient goes to the largest pixel, at a tie to the first.

    Shapes: (batch, channels, height, width) -> (batch, channels, height', width') with
    height' = ⌊(height + 2 padding - dilation (kernel_size - 1) - 1) / stride⌋ + 1; the batch may be missing.

    Args:
        kernel_size, stride, padding, dilation: a number, or one each for rows and columns. The stride is the kernel's
            size where not given; the padding, at most half of that, is never the largest.
        ceil_mode: also pool a last window that lies only partly inside.

    Raises:
        ArgumentError: settings that make no sense.
        ShapeError: another number of dimensions, or a window larger than the padded image.
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        *,  # PyTorch's fifth is another
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)

    def _pool(self, x: Tensor) -> Tensor:
        window = {"stride": self.stride, "padding": self._borders(x), "dilation": self.dilation}
        return max_pool2d(x, kernel_size=self.kernel_size, **window)


class AvgPool2d(Pool2d):
    """The mean of each window.

    Shapes and arguments: as for MaxPool2d, without dilation, and

    Args:
        count_include_pad: whether the padding's zeros count in the mean.
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = count_include_pad

    def _pool(self, x: Tensor) -> Tensor:
        if x.dtype in HALVES:  # a float16's sums end at 65,504
            return self._pool(x.to(dtype="float32")).to(dtype=x.dtype)
        borders = self._borders(x)
        total = sum_pool2d(x, kernel_size=self.kernel_size, stride=self.stride, padding=borders)
        rows, columns = (self._seen(i, x.shape[2 + i], total.shape[2 + i]) for i in (0, 1))
        if len({*rows}) == len({*columns}) == 1:
            return total / (rows[0] * columns[0])
        seen = [[float(r * c) for c in columns] for r in rows]
        return total / Tensor(seen, x.dtype, backend=x.backend)

    def _seen(self, i: int, size: int, count: int) -> list[int]:
        """How many rows (columns) each window counts."""
        pad = self.padding[i]
        first, last = (-pad, size + pad) if self.count_include_pad else (0, size)
        starts = range(-pad, -pad + count * self.stride[i], self.stride[i])
        return [min(start + self.kernel_size[i], last) - max(start, first) for start in starts]


class AdaptiveAvgPool2d(Module):
    """The mean over windows as large as it takes to get an image of a given size.

    Output pixel i of n is the mean of input rows ⌊i · height / n⌋ … ⌈(i + 1) · height / n⌉ - 1, and so for columns.

    Shapes: (batch, channels, height, width) -> (batch, channels, *output_size); the batch may be missing.

    Args:
        output_size: rows and columns, or one number for both; None keeps the input's.
    """

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        each = output_size if isinstance(output_size, tuple | list) else (output_size,) * 2
        known = sizes("AdaptiveAvgPool2d", "output_size", [1 if n is None else n for n in each], 1)
        self.output_size = tuple(n if given is not None else None for n, given in zip(known, each))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, *output_size), or both without the batch."""
        return over_images(self, x, self._pool)

    def _pool(self, x: Tensor) -> Tensor:
        rows, columns = (_means(n, n if wanted is None else wanted) for n, wanted in zip(x.shape[2:], self.output_size))
        return resample(x, rows, columns)

    def extra_repr(self) -> str:
        """The output's size."""
        return shown(self.output_size)


@cache
def _means(size: int, count: int) -> Matrix:
    """(count, size): row i holds the weights of the mean over window i."""
    bounds = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    return [[1 / (end - start) if start <= j < end else 0.0 for j in range(size)] for start, end in bounds]
