"""Upsample: images made larger (or smaller), by repeating pixels or by drawing straight lines between them."""

import math
import struct
from functools import cache
from typing import Any

from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import sizes, unusual
from tinynet.nn.windows import Pair, over_images
from tinynet.tensor import Tensor

Matrix = list[list[float]]


def resample(x: Tensor, rows: Matrix, columns: Matrix) -> Tensor:
    """Each output pixel a weighted sum of input pixels: ``rows`` is (height', height), ``columns`` (width', width)."""
    x = floating(x)
    down, across = (Tensor(matrix, x.dtype, backend=x.backend) for matrix in (rows, columns))
    return ((x @ across.T).mT @ down.T).mT


class Upsample(Module):
    """An image of another size.

    ``"nearest"`` repeats pixels. ``"bilinear"`` puts every output pixel in its place among the input's pixels and
    weighs the four around it by their distance, along straight lines.

    Shapes: (batch, channels, height, width) -> (batch, channels, height', width'); the batch may be missing.

    Args:
        size: the output's (rows, columns), or one number for both; or
        scale_factor: how many times as large, rows and columns alike or one each.
        mode: ``"nearest"`` or ``"bilinear"``.
        align_corners: for bilinear, whether the corner pixels' centres stay where they are (True), or the image's
            outer edges (False, the default).

    Raises:
        ArgumentError: settings that make no sense, or not exactly one of size and scale_factor.
        ShapeError: another number of dimensions, or no pixel left.
    """

    def __init__(
        self,
        size: int | Pair | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        if mode not in ("nearest", "bilinear") or (mode == "nearest" and align_corners is not None):
            raise ArgumentError(
                f"Upsample({mode=}, {align_corners=}): the mode is 'nearest' or 'bilinear'; align_corners is for the "
                "second alone."
            )
        if (size is None) == (scale_factor is None):
            raise ArgumentError(f"Upsample takes either size or scale_factor; got {size=}, {scale_factor=}.")
        self.size = None if size is None else sizes("Upsample", "size", size, 1)
        self.scale_factor: tuple[float, ...] | None = None
        if scale_factor is not None:
            each = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
            if len(each) != 2 or not all(type(n) in (int, float) and 0 < n < math.inf for n in each):
                raise ArgumentError(f"Upsample needs scale_factor, a number above 0 or two; got {scale_factor!r}.")
            self.scale_factor = tuple(map(float, each))
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, height', width'), or both without the batch."""
        return over_images(self, x, self._resize)

    def _resize(self, x: Tensor) -> Tensor:
        scales: Any = self.scale_factor or (None, None)
        wanted = self.size or tuple(math.floor(n * scale) for n, scale in zip(x.shape[2:], scales))
        if min(wanted) < 1:
            raise ShapeError(f"{self.described()} leaves nothing of {x.shape[2]} × {x.shape[3]} pixels.")
        each = list(zip(x.shape[2:], wanted, scales))
        if self.mode == "nearest":
            return _picked(_picked(x, 2, _nearest(*each[0])), 3, _nearest(*each[1]))
        rows, columns = (_between(*direction, bool(self.align_corners)) for direction in each)
        return resample(x, rows, columns)

    def extra_repr(self) -> str:
        """The size, and how it is reached."""
        return ", ".join(unusual(self, size=None, scale_factor=None, mode="nearest", align_corners=None))


def _picked(x: Tensor, dim: int, sources: list[int]) -> Tensor:
    """These rows (columns) of the image; each repeated equally often by broadcasting, whose gradient is a plain sum."""
    times, rest = divmod(len(sources), x.shape[dim])
    if rest == 0 and sources == [i // times for i in range(len(sources))]:
        x = x.unsqueeze(dim + 1)
        repeated = x.broadcast_to((*x.shape[: dim + 1], times, *x.shape[dim + 2 :]))
        return repeated.flatten(dim, dim + 1)
    return x[(slice(None),) * dim + (sources,)]


@cache
def _nearest(size: int, count: int, scale: float | None) -> list[int]:
    """The input row (column) that each output one repeats; found in float32, as PyTorch does, to choose as it does."""
    if count in (size, 2 * size):
        return [i * size // count for i in range(count)]
    step = _float32(size / count if scale is None else 1 / scale)
    return [min(math.floor(_float32(i * step)), size - 1) for i in range(count)]


def _float32(x: float) -> float:
    """Rounded to what a float32 can hold."""
    rounded: float = struct.unpack("f", struct.pack("f", x))[0]
    return rounded


@cache
def _between(size: int, count: int, scale: float | None, align_corners: bool) -> Matrix:
    """(count, size): how much of each input row (column) goes into each output one."""
    step = size / count if scale is None or count == size else 1 / scale
    matrix = [[0.0] * size for _ in range(count)]
    for i, row in enumerate(matrix):
        if align_corners:
            place = i * (size - 1) / (count - 1) if count > 1 else 0.0
        else:
            place = max((i + 0.5) * step - 0.5, 0.0)
        before = min(math.floor(place), size - 1)
        after = min(before + 1, size - 1)
        row[before] += 1 - (place - before)
        row[after] += place - before
    return matrix
