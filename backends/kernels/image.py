"""Fused kernels of images: convolution, its transpose, pooling.

Inside, an image lies as (height, channels, width, batch): a row of it is a matrix as it lies, and copies run along a
row times the batch. Results stay as they lie, seen as (batch, channels, height, width), so that the next kernel, and
whatever goes element by element, finds them in that order and copies nothing.
"""

import math
from collections.abc import Iterator
from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
NO_PADDING = ((0, 0), (0, 0))
NEARBY = 2**17  # numbers of a result that are worked out at a time where a sum over rows follows


def _counts(size: Pair, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """How many windows fit, in each direction."""
    rows, columns = (
        (n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel_size, stride, padding, dilation)
    )
    return rows, columns


# --- how images lie ---------------------------------------------------------------------------------------------------


def _inside(xp: Any, x: Array, padding: Padding = NO_PADDING, border: float = 0.0) -> Array:
    """(batch, channels, height, width) as (height, channels, width, batch), in a border; itself where it lies so."""
    (top, bottom), (left, right) = padding
    image = x.transpose(2, 1, 3, 0)
    if not (top or bottom or left or right):
        return xp.ascontiguousarray(image)
    height, channels, width, batch = image.shape
    out = xp.full((top + height + bottom, channels, left + width + right, batch), border, x.dtype)
    out[top : top + height, :, left : left + width] = image
    return out


def _outside(x: Array) -> Array:
    """(height, channels, width, batch) seen as (batch, channels, height, width)."""
    return x.transpose(3, 1, 0, 2)


def _place(xp: Any, out: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Where a result is computed, (height, channels, width, batch): in ``out`` itself if that lies so."""
    if out is not None and (inside := out.transpose(2, 1, 3, 0)).flags.c_contiguous:
        return inside
    return xp.empty(shape, dtype)


def _given(xp: Any, place: Array, out: Array) -> Array:
    """The result as it was asked for: in ``out``, which ``place`` may already be."""
    if out is None:
        return _outside(place)
    return out if xp.may_share_memory(place, out) else copy(xp, _outside(place), out=out)


# --- convolution ------------------------------------------------------------------------------------------------------
# Unrolled along its width alone, (height, channels, kernel columns, windows, batch), an image holds the windows of a
# row of results as so many rows, one behind the other: a matrix as it lies, for a kernel of any height. That copies
# as many times less than columns of whole windows as the kernel has rows. Only NumPy's products take such overlapping
# matrices; elsewhere, and where a kernel skips rows or channels come in groups, whole windows are copied.


def _by_rows(xp: Any, dilation: Pair, groups: int) -> bool:
    return xp.__name__ == "numpy" and groups == 1 and dilation[0] == 1


def _row_windows(xp: Any, image: Array, kernel_size: Pair, counts: Pair, stride: Pair, dilation: Pair) -> Array:
    """(rows of windows, kernel rows × channels × kernel columns, windows × batch), overlapping."""
    (height, channels, _, batch), (h, c, w, b) = image.shape, image.strides
    unrolled = xp.ascontiguousarray(
        xp.lib.stride_tricks.as_strided(
            image, (height, channels, kernel_size[1], counts[1], batch), (h, c, w * dilation[1], w * stride[1], b)
        )
    )
    parts, along = channels * kernel_size[1], counts[1] * batch
    one = unrolled.itemsize
    shape, steps = (counts[0], kernel_size[0] * parts, along), (stride[0] * parts * along * one, along * one, one)
    return xp.lib.stride_tricks.as_strided(unrolled, shape, steps)


def _windows(
    xp: Any, image: Array, kernel_size: Pair, counts: Pair, stride: Pair, dilation: Pair, groups: int
) -> Array:
    """Every window as a column: (groups, channels of a group × kernel pixels, windows × batch)."""
    (_, channels, _, batch), (h, c, w, b) = image.shape, image.strides
    windows = xp.lib.stride_tricks.as_strided(
        image,
        (channels, *kernel_size, *counts, batch),
        (c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1], b),
    )
    return windows.reshape(groups, channels // groups * math.prod(kernel_size), math.prod(counts) * batch)


def _product(xp: Any, x: Array, y: Array) -> Array:
    """x @ y for each group; a single one as matrices, which CuPy multiplies transposed or not, without a copy."""
    return xp.matmul(x[0], y[0])[None] if len(x) == 1 else xp.matmul(x, y)


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
    image = _inside(xp, x, padding)
    place = _place(xp, out, (counts[0], outputs, counts[1], len(x)), x.dtype)
    if _by_rows(xp, dilation, groups):
        windows = _row_windows(xp, image, kernel_size, counts, stride, dilation)
        weights = w.transpose(0, 2, 1, 3).reshape(outputs, -1)
        xp.matmul(weights, windows, out=place.reshape(counts[0], outputs, -1))
    else:
        columns = _windows(xp, image, kernel_size, counts, stride, dilation, groups)
        sums = _product(xp, w.reshape(groups, outputs // groups, -1), columns)
        xp.copyto(place, sums.reshape(outputs, *counts, len(x)).transpose(1, 0, 2, 3))
    if b is not None:
        xp.add(place, b[:, None, None], out=place)
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
    outputs, batch = w.shape[1] * groups, len(x)
    (top, bottom), (left, right) = padding
    bordered = (top + size[0] + bottom, outputs, left + size[1] + right, batch)
    place = _place(xp, None if padding != NO_PADDING else out, bordered, x.dtype)
    place.fill(0)
    if _by_rows(xp, dilation, groups) and stride[0] == 1:
        _spread_rows(xp, _inside(xp, x), w, place, stride, dilation)
    else:
        _spread_windows(xp, _inside(xp, x), w, place, stride, dilation, groups)
    image = place[top : top + size[0], :, left : left + size[1]]
    if b is not None:
        xp.add(image, b[:, None, None], out=image)
    return _given(xp, image, out)


def _spread_rows(xp: Any, x: Array, w: Array, place: Array, stride: Pair, dilation: Pair) -> None:
    """Row by row of the image: the rows of pixels that reach it, one behind the other, in one product."""
    (height, inputs, width, batch), (_, outputs, rows, columns) = x.shape, w.shape
    weights = xp.ascontiguousarray(w[:, :, ::-1].transpose(1, 3, 2, 0)).reshape(outputs * columns, rows * inputs)
    pixels = x.reshape(height * inputs, width * batch)
    for row, target in enumerate(place):
        first, last = max(0, row - rows + 1), min(row + 1, height)
        if first < last:
            shift = rows - 1 - row
            part = weights[:, (shift + first) * inputs : (shift + last) * inputs]
            sums = part.dot(pixels[first * inputs : last * inputs]).reshape(outputs, columns, width, batch)
            for j in range(columns):
                there = target[:, j * dilation[1] : j * dilation[1] + (width - 1) * stride[1] + 1 : stride[1]]
                xp.add(there, sums[:, j], out=there)


def _spread_windows(xp: Any, x: Array, w: Array, place: Array, stride: Pair, dilation: Pair, groups: int) -> None:
    """Pixel by pixel of the windows, all windows at a time."""
    (height, inputs, width, batch), (_, outputs, *kernel_size) = x.shape, w.shape
    weights = w.reshape(groups, inputs // groups, -1).transpose(0, 2, 1)
    pixels = xp.ascontiguousarray(x.transpose(1, 0, 2, 3)).reshape(groups, inputs // groups, -1)
    taps = _product(xp, weights, pixels).reshape(groups * outputs, *kernel_size, height, width, batch)
    for i, j, tap in _taps(place, kernel_size, (height, width), stride, dilation):
        xp.add(tap, taps[:, i, j].transpose(1, 0, 2, 3), out=tap)


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
    outputs, inputs, counts = g.shape[1], x.shape[1], g.shape[2:]
    arriving, image = _inside(xp, g), _inside(xp, x, padding)
    if _by_rows(xp, dilation, groups):
        windows = _row_windows(xp, image, kernel_size, counts, stride, dilation).swapaxes(1, 2)
        arriving = arriving.reshape(counts[0], outputs, -1)
        total = xp.zeros((outputs, windows.shape[2]), g.dtype)
        at_once = max(1, NEARBY // max(total.size, 1))
        for first in range(0, counts[0], at_once):
            rows = slice(first, first + at_once)
            xp.add(total, xp.matmul(arriving[rows], windows[rows]).sum(0), out=total)
        found = total.reshape(outputs, kernel_size[0], inputs, kernel_size[1]).transpose(0, 2, 1, 3)
    else:
        columns = _windows(xp, image, kernel_size, counts, stride, dilation, groups)
        arriving = xp.ascontiguousarray(arriving.transpose(1, 0, 2, 3)).reshape(groups, outputs // groups, -1)
        found = _product(xp, arriving, columns.transpose(0, 2, 1))
        found = found.reshape(outputs, inputs // groups, *kernel_size)
    return copy(xp, found, out=out)


# --- pooling ----------------------------------------------------------------------------------------------------------


def _taps(
    image: Array, kernel_size: Pair, counts: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[int, int, Array]]:
    """For each pixel (i, j) of the window a view: that pixel of every window."""
    down, along = (
        [slice(d * i, d * i + (n - 1) * s + 1, s) for i in range(k)]
        for k, n, s, d in zip(kernel_size, counts, stride, dilation)
    )
    for i, rows in enumerate(down):
        for j, columns in enumerate(along):
            yield i, j, image[rows, :, columns]


def _tiled(size: Any, kernel_size: Pair, counts: Pair, stride: Pair, padding: Padding) -> bool:
    """Whether the windows cover every pixel once."""
    return kernel_size == stride and padding == NO_PADDING and all(n == c * s for n, c, s in zip(size, counts, stride))


@kernel
def max_pool2d(
    xp: Any, x: Array, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair, out: Array = None
) -> Array:
    """The largest pixel of each window."""
    counts = _counts(x.shape[2:], kernel_size, stride, padding, dilation)
    place = _place(xp, out, (counts[0], x.shape[1], counts[1], len(x)), x.dtype)
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
    window = kernel_size, g.shape[::2], stride, dilation
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
    bordered = (top + size[0] + bottom, channels, left + size[1] + right, batch)
    place = _place(xp, None if padding != NO_PADDING else out, bordered, g.dtype)
    if not _tiled(size, kernel_size, counts, stride, padding):
        place.fill(0)
    apart = all(s > d * (k - 1) for k, s, d in zip(kernel_size, stride, dilation))
    for (_, _, tap), share in zip(_taps(place, *window), shares):
        if apart:
            xp.multiply(g, share, out=tap)
        else:
            xp.add(tap, g * share, out=tap)
    return _given(xp, place[top : top + size[0], :, left : left + size[1]], out)


@kernel
def sum_pool2d(xp: Any, x: Array, kernel_size: Pair, stride: Pair, padding: Padding, out: Array = None) -> Array:
    """The sum of each window."""
    counts = _counts(x.shape[2:], kernel_size, stride, padding, (1, 1))
    place = _place(xp, out, (counts[0], x.shape[1], counts[1], len(x)), x.dtype)
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
