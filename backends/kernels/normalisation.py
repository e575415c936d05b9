"""Fused kernels of normalisation: zero mean, unit variance."""

from typing import Any

from tinynet.backends.kernels.register import Array, kernel, room


@kernel
def normalise(
    xp: Any, x: Array, w: Array | None, b: Array | None, axes: tuple[int, ...], eps: float, out: Any = None
) -> Any:
    """(x - mean) / √(var + eps) · w + b, and the mean and the variance over ``axes``."""
    out, mean, var = out or (room(xp, x, None), None, None)
    mean = xp.mean(x, axis=axes, keepdims=True, out=mean)
    xp.subtract(x, mean, out=out)
    var = xp.mean(out * out, axis=axes, keepdims=True, out=var)
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


def _added_up(xp: Any, g: Array, shape: tuple[int, ...], out: Array) -> Array:
    """The gradient of what was broadcast from that shape."""
    new = g.ndim - len(shape)
    repeated = tuple(i for i in range(g.ndim) if i < new or shape[i - new] == 1)
    total = xp.sum(g, axis=repeated, keepdims=True).reshape(shape)
    if out is None:
        return total
    xp.copyto(out, total)
    return out
