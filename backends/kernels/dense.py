"""Fused kernels of dense layers and of classification: weighted sums, softmax, cross-entropy."""

from typing import Any

from tinynet.backends.kernels.register import Array, kernel, ones, room


@kernel
def linear(xp: Any, x: Array, w: Array, b: Array | None, out: Array = None) -> Array:
    """x Wᵀ + b, all rows in one product, which is many times faster than one for each matrix of a stack."""
    if x.ndim > 2 and (out is None or out.flags.c_contiguous):
        rows = None if out is None else xp.reshape(out, (-1, len(w)))
        rows = linear(xp, xp.reshape(x, (-1, x.shape[-1])), w, b, out=rows)
        return xp.reshape(rows, (*x.shape[:-1], len(w))) if out is None else out
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


@kernel
def softmax_cross_entropy(xp: Any, x: Array, target: Array, mean: bool = False, out: Any = None) -> Any:
    """-log softmax(x)[target] for each row, or the mean of these; and the slope, softmax(x) - one-hot(target)."""
    losses, slope = out or (None, room(xp, x, None))
    rows, classes = x.shape
    chosen = xp.arange(0, rows * classes, classes) + target  # counted through all rows
    peaks = xp.ascontiguousarray(x.T).max(axis=0)  # short rows are what NumPy's max is slow at
    xp.subtract(x, peaks[:, None], out=slope)
    wanted = slope.take(chosen)
    xp.exp(slope, out=slope)
    total = slope.dot(ones(xp, classes, slope.dtype))
    each = xp.subtract(xp.log(total), wanted, out=None if mean else losses)
    xp.divide(slope, total[:, None], out=slope)
    if slope.flags.c_contiguous:
        slope.reshape(-1)[chosen] = xp.expm1(-each)
    else:
        slope[xp.arange(rows), target] = xp.expm1(-each)
    if mean:  # half floats add up in float32; a sum and a division take half the time
        each = xp.mean(each, out=losses) if x.dtype == xp.float16 else xp.divide(each.sum(), rows, out=losses)
    return each, slope
