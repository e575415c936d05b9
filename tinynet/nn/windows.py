"""What convolution and pooling share: a window that slides over an image, and the settings that describe it.

A window of (kernel) pixels, (dilation) apart, moves by (stride) over an image with a border of zeros, its (padding).
Images are (batch, channels, height, width); whatever concerns both directions is a pair (rows, columns), and padding is
((top, bottom), (left, right)).
"""

from collections.abc import Sequence
from typing import Any

from tinynet import primitives as p
from tinynet.errors import ArgumentError, ShapeError
from tinynet.functions import arange
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def sizes(layer: str, what: str, value: Any, least: int, count: int = 2) -> tuple[int, ...]:
    """A setting given as one whole number, or as one for each direction, as one for each direction.

    Raises:
        ArgumentError: it is something else, or less than ``least``.
    """
    each = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * count
    if len(each) != count or not all(hasattr(n, "__index__") and n >= least for n in each):
        several = ", or (rows, columns)" if count == 2 else ""
        raise ArgumentError(f"{layer} needs {what}, a whole number of at least {least}{several}; got {value!r}.")
    return tuple(int(n) for n in each)


def span(kernel: Pair, dilation: Pair) -> Pair:
    """How many pixels a window reaches over, its gaps included."""
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


def padded_size(x: Tensor, padding: Padding) -> Pair:
    """Height and width with the border."""
    return x.shape[2] + sum(padding[0]), x.shape[3] + sum(padding[1])


def check_image(layer: Module, x: Tensor, kernel: Pair, padding: Padding, dilation: Pair) -> None:
    """Refuse an image that the window does not fit into."""
    reach, size = span(kernel, dilation), padded_size(x, padding)
    if reach[0] > size[0] or reach[1] > size[1]:
        border = "" if size == x.shape[2:] else f", {size[0]} × {size[1]} with its padding"
        raise ShapeError(
            f"{layer.described()} has a window of {reach[0]} × {reach[1]} pixels, more than the image has: "
            f"{x.shape[2]} × {x.shape[3]}{border}. Use a smaller kernel, more padding, or fewer layers that shrink it."
        )


# --- in plain operators, for the references ---------------------------------------------------------------------------


def pad(x: Tensor, padding: Padding) -> Tensor:
    """The image with a border of zeros: the mirror image of cropping."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    inside = (..., slice(top, top + x.shape[2]), slice(left, left + x.shape[3]))
    return Tensor.apply(p.scatter_add, x, index=inside, shape=(*x.shape[:2], *padded_size(x, padding)))


def places(x: Tensor, kernel: Pair, counts: Pair, stride: Pair, dilation: Pair) -> tuple[Tensor, Tensor]:
    """The row and the column of each pixel of each window, to index with: (kernel rows, kernel columns, rows, columns)."""
    rows, columns = (
        arange(k, backend=x.backend).reshape(-1, 1) * d + arange(n, backend=x.backend) * s
        for k, n, s, d in zip(kernel, counts, stride, dilation)
    )
    return rows.reshape(kernel[0], 1, counts[0], 1), columns.reshape(1, kernel[1], 1, counts[1])


def windows(x: Tensor, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Tensor:
    """Every window of the padded image: (batch, channels, kernel rows, kernel columns, rows, columns)."""
    reach, size = span(kernel, dilation), padded_size(x, padding)
    counts = ((size[0] - reach[0]) // stride[0] + 1, (size[1] - reach[1]) // stride[1] + 1)
    rows, columns = places(x, kernel, counts, stride, dilation)
    return pad(x, padding)[:, :, rows, columns]
