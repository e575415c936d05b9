"""Fused kernels of normalisation: zero mean, unit variance.

Over the last dimensions, as in a layer norm, the numbers lie in rows, and sums along rows and across them are products
with vectors: on NumPy three times as fast as its reductions. Over others, as in a batch norm, they are reductions.
"""

import math
from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel, room

LONG = 4096  # beyond, a reduction, which adds up halves, is more exact than a product, and as fast


@kernel
def normalise(
    xp: Any, x: Array, w: Array | None, b: Array | None, axes: tuple[int, ...], eps: float, out: Any = None
) -> Any:
    """(x - mean) / √(var + eps) · w + b, and the mean and the variance over ``axes``."""
    out, mean, var = out or (room(xp, x, None), None, None)
    mean = _mean(xp, x, axes, mean)
    xp.subtract(x, mean, out=out)
    var = _mean(xp, out * out, axes, var)
    xp.multiply(out, 1 / xp.sqrt(var + eps), out=out)
    if w is not None:
        xp.multiply(out, w, out=out)
    if b is not None:
        xp.add(out, b, out=out)
    return out, mean, var


@kernel
def normalise_grad(
    xp: Any,
    g: Array,
    x: Array,
    w: Array | None,
    mean: Array,
    var: Array,
    axes: tuple[int, ...],
    eps: float,
    out: Any = None,
) -> Any:
    """The gradient with respect to x, √(var + eps)⁻¹ (gw - mean(gw) - x̂ mean(gw x̂)), and, with a w, that to w."""
    towards_x, towards_w = (*(out or (room(xp, x, None),)), None)[:2]
    scale = 1 / xp.sqrt(var + eps)
    width = _width(x, axes)
    last = x.shape[-len(axes) :]
    if width and w is not None and w.size == width and w.shape[-len(last) :] == last and towards_x.flags.c_contiguous:
        rows = [xp.reshape(a, (-1, width)) for a in (g, x, towards_x)]
        columns = [xp.reshape(a, -1) for a in (w, mean, scale)]
        total = _rows_grad(xp, *rows, *columns).reshape(w.shape)
        return towards_x, total if towards_w is None else copy(xp, total, out=towards_w)
    normal = (x - mean) * scale
    shares = g * normal
    if w is not None:
        towards_w = _added_up(xp, shares, w.shape, towards_w)
        shares *= w
        g = g * w
    normal *= xp.mean(shares, axis=axes, keepdims=True)
    xp.subtract(g, xp.mean(g, axis=axes, keepdims=True), out=towards_x)
    xp.subtract(towards_x, normal, out=towards_x)
    xp.multiply(towards_x, scale, out=towards_x)
    return (towards_x,) if w is None else (towards_x, towards_w)


def _rows_grad(xp: Any, g: Array, x: Array, towards_x: Array, w: Array, mean: Array, scale: Array) -> Array:
    """The same for rows, with w along each and a mean and a scale for each; the gradient to w is returned."""
    share = w * (1 / len(w))
    centred = x - mean[:, None]
    product = g * centred
    xp.multiply(g, w, out=towards_x)
    xp.subtract(towards_x, xp.matmul(g, share)[:, None], out=towards_x)
    xp.multiply(centred, (xp.matmul(product, share) * scale * scale)[:, None], out=centred)
    xp.subtract(towards_x, centred, out=towards_x)
    xp.multiply(towards_x, scale[:, None], out=towards_x)
    return xp.matmul(scale, product)


def _width(x: Array, axes: tuple[int, ...]) -> int:
    """How long a row is, where ``axes`` are the last dimensions and rows short enough for products; else 0."""
    width = math.prod(x.shape[i] for i in axes)
    return width if axes == tuple(range(x.ndim - len(axes), x.ndim)) and x.size and width <= LONG else 0


def _mean(xp: Any, x: Array, axes: tuple[int, ...], out: Array) -> Array:
    """The mean over ``axes``, which stay with size 1."""
    width = _width(x, axes)
    if not width:
        return xp.mean(x, axis=axes, keepdims=True, out=out)
    means = xp.matmul(xp.reshape(x, (-1, width)), xp.full((width, 1), 1 / width, x.dtype))
    means = xp.reshape(means, (*x.shape[: -len(axes)], *[1] * len(axes)))
    return means if out is None else copy(xp, means, out=out)


def _added_up(xp: Any, g: Array, shape: tuple[int, ...], out: Array) -> Array:
    """The gradient of what was broadcast from that shape."""
    new = g.ndim - len(shape)
    repeated = tuple(i for i in range(g.ndim) if i < new or shape[i - new] == 1)
    total = xp.sum(g, axis=repeated, keepdims=True).reshape(shape)
    if out is None:
        return total
    xp.copyto(out, total)
    return out
