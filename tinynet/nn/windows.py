"""What convolution and pooling share: a window that slides over an image, and the settings that describe it.

A window of (kernel) pixels, (dilation) apart, moves by (stride) over an image with a border of zeros, its (padding).
Images are (batch, channels, height, width); whatever concerns both directions is a pair (rows, columns), and padding is
((top, bottom), (left, right)).
"""

from collections.abc import Callable, Sequence
from typing import Any

from tinynet import primitives as p
from tinynet.errors import ShapeError, TypeMismatch
from tinynet.functions import arange
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def span(kernel: Pair, dilation: Pair) -> Pair:
    """How many pixels a window reaches over, its gaps included."""
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


def padded_size(x: Tensor, padding: Padding) -> Pair:
    """Height and width with the border."""
    return x.shape[2] + sum(padding[0]), x.shape[3] + sum(padding[1])


def counts(x: Tensor, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """How many windows fit, in each direction."""
    reach, size = span(kernel, dilation), padded_size(x, padding)
    return (size[0] - reach[0]) // stride[0] + 1, (size[1] - reach[1]) // stride[1] + 1


def check_fits(layer: Module, size: Sequence[int], kernel: Sequence[int], padding: Any, dilation: Any) -> None:
    """Refuse an image, or a sequence, that the window does not fit into."""
    padded = [n + sum(around) for n, around in zip(size, padding)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(r > n for r, n in zip(reach, padded)):
        window, image, bordered = (" × ".join(map(str, sizes)) for sizes in (reach, size, padded))
        border = "" if image == bordered else f" ({bordered} with its padding)"
        raise ShapeError(
            f"{layer.described()} has a window of {window}, larger than its input of {image}{border}. Use a smaller "
            "kernel, more padding, or fewer layers before it that shrink the input."
        )


def over_images(
    layer: Module,
    x: Any,
    function: Callable[[Tensor], Tensor],
    channels: int | None = None,
    axes: tuple[str, ...] = ("height", "width"),
) -> Tensor:
    """A function of (batch, channels, height, width), applied to that, or to one image without a batch.

    Args:
        channels: how many there must be, where that matters.
        axes: what lies behind the channels.

    Raises:
        ShapeError: another number of dimensions or of channels, or no pixel. It says what may have been meant.
    """
    if not isinstance(x, Tensor):
        raise TypeMismatch(f"{layer.described()} needs a tensor, an array or lists of numbers; got {x!r:.60}.")
    at = x.ndim - len(axes) - 1  # where the channels stand
    fits = at in (0, 1) and x.shape[at] == (channels or x.shape[at])
    if fits and all(x.shape[at + 1 :]):
        return function(x) if at else function(x.unsqueeze(0)).squeeze(0)
    example = ", ".join((str(channels or "channels"), *axes))
    hint = ""
    if x.ndim == 2 and len(axes) == 2:
        hint = f" Give each example its shape first: x.reshape(-1, {example})."
    elif fits:
        hint = " It is empty."
    elif at in (0, 1) and x.shape[-1] == channels:
        hint = f" Put the channels first: x.permute{(*range(at), x.ndim - 1, *range(at, x.ndim - 1))}."
    elif at in (0, 1):
        hint = f" It has {x.shape[at]} channels."
    raise ShapeError(f"{layer.described()} needs (batch, {example}); got {x.shape}.{hint}")


# --- in plain operators, for the references ---------------------------------------------------------------------------


def pad(x: Tensor, padding: Padding) -> Tensor:
    """The image with a border of zeros: the mirror image of cropping."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    inside = (..., slice(top, top + x.shape[2]), slice(left, left + x.shape[3]))
    return Tensor.apply(p.scatter_add, x, index=inside, shape=(*x.shape[:2], *padded_size(x, padding)))


def places(x: Tensor, kernel: Pair, counts: Pair, stride: Pair, dilation: Pair) -> tuple[Tensor, Tensor]:
    """The row and the column of each pixel of each window: two arrays to index with, which spread to
    (kernel rows, kernel columns, rows, columns)."""
    rows, columns = (
        arange(k, backend=x.backend).reshape(-1, 1) * d + arange(n, backend=x.backend) * s
        for k, n, s, d in zip(kernel, counts, stride, dilation)
    )
    return rows.reshape(kernel[0], 1, counts[0], 1), columns.reshape(1, kernel[1], 1, counts[1])


def windows(x: Tensor, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Tensor:
    """Every window of the padded image: (batch, channels, kernel rows, kernel columns, rows, columns)."""
    rows, columns = places(x, kernel, counts(x, kernel, stride, padding, dilation), stride, dilation)
    return pad(x, padding)[:, :, rows, columns]
