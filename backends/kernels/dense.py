"""Fused kernels of dense layers and of classification: weighted sums, softmax, cross-entropy."""

from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel, room


@kernel
def linear(xp: Any, x: Array, w: Array, b: Array | None, out: Array = None) -> Array:
    """x Wᵀ + b, all rows in one product, which is many times faster than one for each matrix of a stack."""
    if x.ndim > 2 and (out is None or out.flags.c_contiguous):
        rows = None if out is None else xp.reshape(out, (-1, len(w)))
        rows = linear(xp, xp.reshape(x, (-1, x.shape[-1])), w, b, out=rows)
        return xp.reshape(rows, (*x.shape[:-1], len(w))) if out is None else out
    out = xp.matmul(x, w.T, out=out)
    return out if b is None else xp.add(out, b, out=out)


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
def softmax_cross_entropy(xp: Any, x: Array, target: Array, out: Any = None) -> Any:
    """-log softmax(x)[target] for each row, and the softmax itself for the gradient."""
    losses, probabilities = out or (None, room(xp, x, None))
    rows = xp.arange(x.shape[0])
    xp.subtract(x, xp.max(x, axis=1, keepdims=True), out=probabilities)
    chosen = probabilities[rows, target]
    xp.exp(probabilities, out=probabilities)
    total = xp.sum(probabilities, axis=1)
    losses = xp.subtract(xp.log(total), chosen, out=losses)
    xp.divide(probabilities, total[:, None], out=probabilities)
    return losses, probabilities


@kernel
def softmax_cross_entropy_grad(xp: Any, g: Array, target: Array, probabilities: Array, out: Array = None) -> Array:
    """g (softmax(x) - one-hot(target)), row by row."""
    out = copy(xp, probabilities, out=out)
    out[xp.arange(out.shape[0]), target] -= 1
    return xp.multiply(out, g[:, None], out=out)
