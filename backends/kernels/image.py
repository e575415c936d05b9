"""Fused kernels of images: convolution, its transpose, pooling.

Inside, an image lies as (channels, height, width, batch): windows are then copied in runs of a row times the batch, and
all of a batch meets the weights in one matrix product. Results stay as they lie, seen as (batch, channels, …), so that
the next kernel, and whatever goes element by element, finds them in that order and copies nothing.

On the CPU a product takes so many rows of the image at a time that its columns stay in the cache.
"""

from collections.abc import Iterator
from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
NO_PADDING = ((0, 0), (0, 0))
AT_ONCE = 2**18  # elements of the columns that a product on the CPU takes at a time


def _counts(size: Pair, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """How many windows fit, in each direction."""
    rows, columns = (
        (n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel_size, stride, padding, dilation)
    )
    return rows, columns


def _inside(xp: Any, x: Array, padding: Padding = NO_PADDING, border: float = 0.0) -> Array:
    """(batch, channels, height, width) as (channels, height, width, batch), in a border; itself where it lies so."""
    (top, bottom), (left, right) = padding
    image = x.transpose(1, 2, 3, 0)
    if not (top or bottom or left or right):
        return xp.ascontiguousarray(image)
    channels, height, width, batch = image.shape
    out = xp.full((channels, top + height + bottom, left + width + right, batch), border, x.dtype)
    out[:, top : top + height, left : left + width] = image
    return out


def _outside(x: Array) -> Array:
    """(channels, height, width, batch) seen as (batch, channels, height, width)."""
    return x.transpose(3, 0, 1, 2)


def _place(xp: Any, out: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Where a result is computed, (channels, height, width, batch): in ``out`` itself if that lies so."""
    if out is not None and (inside := out.transpose(1, 2, 3, 0)).flags.c_contiguous:
        return inside
    return xp.empty(shape, dtype)


def _given(xp: Any, place: Array, out: Array) -> Array:
    """The result as it was asked for: in ``out``, which ``place`` may already be."""
    if out is None:
        return _outside(place)
    return out if xp.may_share_memory(place, out) else copy(xp, _outside(place), out=out)


# --- convolution ------------------------------------------------------------------------------------------------------


def _blocks(xp: Any, rows: int, elements: int) -> Iterator[slice]:
    """The rows of an image, so many at a time as the cache can hold when a row makes so many elements of columns."""
    at_once = max(1, AT_ONCE // max(elements, 1)) if xp.__name__ == "numpy" else max(rows, 1)
    for first in range(0, rows, at_once):
        yield slice(first, min(rows, first + at_once))


def _columns(xp: Any, image: Array, kernel_size: Pair, counts: Pair, stride: Pair, dilation: Pair, groups: int) -> Any:
    """For some rows of windows at a time: where their results lie, and every window as a column, (groups, channels of a
    group × kernel pixels, windows × batch)."""
    (channels, _, _, batch), (c, h, w, b) = image.shape, image.strides
    windows = xp.lib.stride_tricks.as_strided(
        image,
        (channels, *kernel_size, *counts, batch),
        (c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1], b),
    )
    size, along = channels // groups * kernel_size[0] * kernel_size[1], counts[1] * batch
    for rows in _blocks(xp, counts[0], groups * size * along):
        columns = windows[:, :, :, rows].reshape(groups, size, -1)
        yield slice(rows.start * along, rows.stop * along), columns


def _product(xp: Any, x: Array, y: Array, out: Array) -> Array:
    """x @ y for each group into ``out``; a single one as matrices, which CuPy multiplies transposed or not."""
    if xp.__name__ == "numpy":
        return xp.matmul(x, y, out=out)
    return copy(xp, xp.matmul(x[0], y[0])[None] if len(x) == 1 else xp.matmul(x, y), out=out)


@kernel
def conv2d(
    xp: Any,
    x: Array,
    w: Array,
    b: Array | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    out: Array = None,
) -> Array:
    """Each window of the image as a column, times the weights as a matrix."""
    outputs, _, *kernel_size = w.shape
    counts = _counts(x.shape[2:], kernel_size, stride, padding, dilation)
    place = _place(xp, out, (outputs, *counts, len(x)), x.dtype)
    weights, results = w.reshape(groups, outputs // groups, -1), place.reshape(groups, outputs // groups, -1)
    for there, columns in _columns(xp, _inside(xp, x, padding), kernel_size, counts, stride, dilation, groups):
        _product(xp, weights, columns, results[:, :, there])
    if b is not None:
        xp.add(place, b[:, None, None, None], out=place)
    return _given(xp, place, out)


@kernel
def conv_transpose2d(
    xp: Any,
    x: Array,
    w: Array,
    b: Array | None,
    size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    out: Array = None,
) -> Array:
    """Each pixel times the weights makes a window; where windows meet, they add up."""
    (batch, inputs, height, width), (_, outputs, *kernel_size) = x.shape, w.shape
    outputs *= groups
    (top, bottom), (left, right) = padding
    bordered = (outputs, top + size[0] + bottom, left + size[1] + right, batch)
    place = _place(xp, None if padding != NO_PADDING else out, bordered, x.dtype)
    place.fill(0)
    weights = w.reshape(groups, inputs // groups, -1).transpose(0, 2, 1)
    pixels = _inside(xp, x).reshape(groups, inputs // groups, height, width * batch)
    for rows in _blocks(xp, height, weights.shape[0] * weights.shape[1] * width * batch // 4):
        image = place[:, rows.start * stride[0] :]
        part = pixels[:, :, rows].reshape(groups, inputs // groups, -1)
        taps = _product(xp, weights, part, xp.empty((*weights.shape[:2], part.shape[2]), x.dtype))
        taps = taps.reshape(outputs, *kernel_size, rows.stop - rows.start, width, batch)
        for i, j, tap in _taps(image, kernel_size, taps.shape[3:5], stride, dilation):
            xp.add(tap, taps[:, i, j], out=tap)
    image = place[:, top : top + size[0], left : left + size[1]]
    if b is not None:
        xp.add(image, b[:, None, None, None], out=image)
    return _given(xp, image, out)


@kernel
def conv2d_weight_grad(
    xp: Any,
    g: Array,
    x: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    out: Array = None,
) -> Array:
    """What each weight was multiplied by, times what came of it: (out, in / groups, kernel rows, kernel columns)."""
    outputs, inputs = g.shape[1], x.shape[1]
    arriving = _inside(xp, g).reshape(groups, outputs // groups, -1)
    total = xp.zeros((groups, outputs // groups, inputs // groups * kernel_size[0] * kernel_size[1]), g.dtype)
    share = xp.empty(total.shape, g.dtype)
    for there, columns in _columns(xp, _inside(xp, x, padding), kernel_size, g.shape[2:], stride, dilation, groups):
        xp.add(total, _product(xp, arriving[:, :, there], columns.transpose(0, 2, 1), share), out=total)
    found = total.reshape(outputs, inputs // groups, *kernel_size)
    return found if out is None else copy(xp, found, out=out)


# --- pooling ----------------------------------------------------------------------------------------------------------


def _taps(
    image: Array, kernel_size: Pair, counts: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[int, int, Array]]:
    """For each pixel (i, j) of the window a view: that pixel of every window."""
    for i in range(kernel_size[0]):
        for j in range(kernel_size[1]):
            yield (
                i,
                j,
                image[
                    :,
                    i * dilation[0] : i * dilation[0] + (counts[0] - 1) * stride[0] + 1 : stride[0],
                    j * dilation[1] : j * dilation[1] + (counts[1] - 1) * stride[1] + 1 : stride[1],
                ],
            )


def _tiled(size: Any, kernel_size: Pair, counts: Pair, stride: Pair, padding: Padding) -> bool:
    """Whether the windows cover every pixel once."""
    return kernel_size == stride and padding == NO_PADDING and all(n == c * s for n, c, s in zip(size, counts, stride))


@kernel
def max_pool2d(
    xp: Any, x: Array, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair, out: Array = None
) -> Array:
    """The largest pixel of each window."""
    counts = _counts(x.shape[2:], kernel_size, stride, padding, dilation)
    place = _place(xp, out, (x.shape[1], *counts, len(x)), x.dtype)
    image = _inside(xp, x, padding, -xp.inf)
    first, *others = [tap for _, _, tap in _taps(image, kernel_size, counts, stride, dilation)]
    if others:
        xp.maximum(first, others[0], out=place)
    else:
        xp.copyto(place, first)
    for tap in others[1:]:
        xp.maximum(place, tap, out=place)
    return _given(xp, place, out)


@kernel
def max_pool2d_grad(
    xp: Any,
    g: Array,
    x: Array,
    largest: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    out: Array = None,
) -> Array:
    """g for the largest pixel of each window, the first of them at a tie, 0 for the others."""
    g, largest, image = _inside(xp, g), _inside(xp, largest), _inside(xp, x, padding, -xp.inf)
    window = kernel_size, g.shape[1:3], stride, dilation
    found, waiting = xp.empty(g.shape, bool), xp.ones(g.shape, bool)

    def shares() -> Iterator[Array]:
        for _, _, tap in _taps(image, *window):
            xp.equal(tap, largest, out=found)
            xp.logical_and(found, waiting, out=found)
            xp.not_equal(waiting, found, out=waiting)
            yield found

    return _spread(xp, shares(), g, x.shape, window, padding, out)


def _spread(xp: Any, shares: Any, g: Array, shape: tuple[int, ...], window: Any, padding: Padding, out: Array) -> Array:
    """Each window's gradient for those of its pixels that have a share, added up where windows meet."""
    batch, channels, *size = shape
    kernel_size, counts, stride, dilation = window
    (top, bottom), (left, right) = padding
    bordered = (channels, top + size[0] + bottom, left + size[1] + right, batch)
    place = _place(xp, None if padding != NO_PADDING else out, bordered, g.dtype)
    if not _tiled(size, kernel_size, counts, stride, padding):
        place.fill(0)
    apart = all(s > d * (k - 1) for k, s, d in zip(kernel_size, stride, dilation))
    for (_, _, tap), share in zip(_taps(place, *window), shares):
        if apart:
            xp.multiply(g, share, out=tap)
        else:
            xp.add(tap, g * share, out=tap)
    return _given(xp, place[:, top : top + size[0], left : left + size[1]], out)


@kernel
def sum_pool2d(xp: Any, x: Array, kernel_size: Pair, stride: Pair, padding: Padding, out: Array = None) -> Array:
    """The sum of each window."""
    counts = _counts(x.shape[2:], kernel_size, stride, padding, (1, 1))
    place = _place(xp, out, (x.shape[1], *counts, len(x)), x.dtype)
    first, *others = [t for _, _, t in _taps(_inside(xp, x, padding), kernel_size, counts, stride, (1, 1))]
    xp.copyto(place, first)
    for tap in others:
        xp.add(place, tap, out=place)
    return _given(xp, place, out)


@kernel
def sum_pool2d_grad(
    xp: Any, g: Array, size: Pair, kernel_size: Pair, stride: Pair, padding: Padding, out: Array = None
) -> Array:
    """g for every pixel of its window."""
    window = kernel_size, g.shape[2:], stride, (1, 1)
    every = (1 for _ in range(kernel_size[0] * kernel_size[1]))
    return _spread(xp, every, _inside(xp, g), (*g.shape[:2], *size), window, padding, out)
