"""Fused kernels of dense layers and of classification: weighted sums, softmax, cross-entropy."""

from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel, ones, room

FEW = 2**14  # numbers in a result that is kept feature by feature


def lies_across(x: Array, outputs: int) -> bool:
    """Whether a layer's result lies feature by feature, (features, rows), and is only seen as (rows, features): what is
    done for each row then runs along memory, which counts where all is small."""
    return x.ndim == 2 and 0 < len(x) * outputs <= FEW


@kernel
def linear(xp: Any, x: Array, w: Array, b: Array | None, out: Array = None) -> Array:
    """x Wᵀ + b, all rows in one product, which is many times faster than one for each matrix of a stack."""
    if lies_across(x, len(w)):
        place = None if out is None or not out.T.flags.c_contiguous else out.T
        across = w.dot(x.T, place)
        if b is not None:
            xp.add(across, b[:, None], out=across)
        if place is not None:
            return out
        return across.T if out is None else copy(xp, across.T, out=out)
    if x.ndim > 2 and (out is None or out.flags.c_contiguous):
        rows = None if out is None else out.reshape(-1, len(w))
        rows = _weighted_sums(xp, x.reshape(-1, x.shape[-1]), w, b, rows)
        return rows.reshape(*x.shape[:-1], len(w)) if out is None else out
    return _weighted_sums(xp, x, w, b, out)


@kernel
def rows_times(xp: Any, x: Array, w: Array, out: Array = None) -> Array:
    """X W, all rows in one product: the gradient of a layer's input."""
    return linear(xp, x, w.T, None, out=out)


def _weighted_sums(xp: Any, x: Array, w: Array, b: Array | None, out: Array) -> Array:
    out = x.dot(w.T) if out is None else xp.matmul(x, w.T, out=out)  # the same, with less around it
    return out if b is None else xp.add(out, b, out=out)


@kernel
def rows_product(xp: Any, x: Array, y: Array, out: Array = None) -> Array:
    """Xᵀ Y, where all leading dimensions of x, and of y, run together: the gradient of a weight."""
    if x.ndim != 2:
        x, y = xp.reshape(x, (-1, x.shape[-1])), xp.reshape(y, (-1, y.shape[-1]))
    return x.T.dot(y) if out is None else xp.matmul(x.T, y, out=out)


@kernel
def softmax(xp: Any, x: Array, dim: int, out: Array = None) -> Array:
    """e^x / Σ e^x along a dimension."""
    out = room(xp, x, out)
    xp.subtract(x, xp.max(x, axis=dim, keepdims=True), out=out)
    xp.exp(out, out=out)
    return xp.divide(out, xp.sum(out, axis=dim, keepdims=True), out=out)


@kernel
def log_softmax(xp: Any, x: Array, dim: int, out: Array = None) -> Array:
    """x - log Σ e^x along a dimension."""
    out = room(xp, x, out)
    xp.subtract(x, xp.max(x, axis=dim, keepdims=True), out=out)
    return xp.subtract(out, xp.log(xp.sum(xp.exp(out), axis=dim, keepdims=True)), out=out)


def laid_flat(x: Array) -> tuple[Array, int, int]:
    """A matrix as the row of numbers that lies in memory, and how far apart its columns and its rows are there."""
    rows, columns = x.shape
    return (x.reshape(-1), 1, columns) if x.flags.c_contiguous else (x.T.reshape(-1), rows, 1)


@kernel
def softmax_cross_entropy(xp: Any, x: Array, target: Array, mean: bool = False, out: Any = None) -> Any:
    """-log softmax(x)[target] for each row, or the mean of these; and the slope, softmax(x) - one-hot(target)."""
    losses, slope = out or (None, xp.empty_like(x))
    rows, classes = x.shape
    flat, columns, steps = laid_flat(slope)
    chosen = xp.arange(0, rows * steps, steps) + target.astype("int64") * columns  # in a small type it would overflow
    peaks = xp.ascontiguousarray(x.T).max(axis=0)  # short rows are what NumPy's max is slow at
    xp.subtract(x, peaks[:, None], out=slope)
    wanted = flat.take(chosen)
    xp.exp(slope, out=slope)
    total = slope.dot(ones(xp, classes, slope.dtype))
    each = xp.subtract(xp.log(total), wanted, out=None if mean else losses)
    xp.divide(slope, total[:, None], out=slope)
    flat[chosen] = xp.expm1(-each)
    if mean:  # half floats add up in float32; a sum and a division take half the time
        each = xp.mean(each, out=losses) if x.dtype == xp.float16 else xp.divide(each.sum(), rows, out=losses)
    return each, slope
