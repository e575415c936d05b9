"""What convolution and pooling share: a window that slides over an image, and the settings that describe it.

A window of (kernel) pixels, (dilation) apart, moves by (stride) over an image with a border of zeros, its (padding).
Images are (batch, channels, height, width); whatever concerns both directions is a pair (rows, columns), and padding is
((top, bottom), (left, right)).
"""

from collections.abc import Callable, Sequence
from typing import Any

from tinynet import primitives as p
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
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


def over_images(layer: Module, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of (batch, channels, height, width), applied to that, or to one image without a batch."""
    if not isinstance(x, Tensor):
        raise TypeMismatch(f"{layer.described()} needs a tensor, an array or lists of numbers; got {x!r:.60}.")
    if x.ndim not in (3, 4):
        raise ShapeError(
            f"{layer.described()} needs (batch, channels, height, width); got {x.shape}. Give each example its shape "
            "first: x.reshape(-1, channels, height, width)."
        )
    return function(x) if x.ndim == 4 else function(x.unsqueeze(0)).squeeze(0)


def shown(value: Any) -> str:
    """A setting as one would give it: a number where all directions have the same."""
    return repr(value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value)


def settings(layer: Module, usual: dict[str, Any]) -> list[str]:
    """``name=value`` for each setting of the layer that is not the usual one."""
    given = {name: shown(getattr(layer, name, value)) for name, value in usual.items()}
    return [f"{name}={value}" for name, value in given.items() if value != shown(usual[name])]


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
