"""Fused kernels of activations."""

import math
from typing import Any

from tinynet.backends.kernels.plain import SMALL, erf
from tinynet.backends.kernels.register import Array, kernel

ROOT = math.sqrt(2 / math.pi)
# erf(x/√2) = tanh(x · Σ cᵢ x²ⁱ) to 6e-8, one unit in the last place of a float32 below 1, by one polynomial where erf
# takes six. Fitted by least squares, with weights that even out the largest errors. Lowest power first.
_AS_TANH = (7.97884941e-01, 3.63330846e-02, -3.25949699e-05, -5.53061963e-05, 3.96474494e-06, -1.32263386e-07,
            1.75617213e-09)  # fmt: skip


@kernel
def relu_gradient(xp: Any, g: Array, made: Array, out: Array = None) -> Array:
    """g where relu made a number above 0; over a few elements signs take half the time of a comparison."""
    return xp.multiply(g, xp.sign(made) if by_sign(g, made) else made > 0, out=out)


def by_sign(g: Array, made: Array) -> bool:
    """Whether the gradient of relu is a product with signs."""
    return bool(made.size <= SMALL and made.dtype == g.dtype)


@kernel
def gelu(xp: Any, x: Array, approximate: str, out: Any = None) -> Any:
    """x Φ(x); for the gradient its slope, Φ(x) + x φ(x)."""
    result, slope = (xp.empty_like(x), xp.empty_like(x)) if out is None else out
    near = xp.clip(x, -40.0, 40.0)  # where all has long been decided, and nothing overflows
    square = xp.multiply(near, near, out=slope)
    exact = approximate == "none"
    if exact and x.dtype.itemsize == 8:
        erf(xp, near * math.sqrt(0.5), out=result)
    else:
        lowest, *others = _AS_TANH if exact else (ROOT, 0.044715 * ROOT)
        xp.multiply(square, others[-1], out=result)
        for c in others[-2::-1]:
            xp.multiply(xp.add(result, c, out=result), square, out=result)
        xp.multiply(xp.add(result, lowest, out=result), near, out=result)
        xp.tanh(result, out=result)
    xp.multiply(xp.add(result, 1, out=result), 0.5, out=result)  # Φ(x)
    if exact:
        xp.exp(xp.multiply(square, -0.5, out=slope), out=slope)
        xp.multiply(slope, ROOT / 2, out=slope)
    else:
        xp.multiply(square, 6 * 0.044715 * ROOT, out=slope)
        xp.multiply(xp.add(slope, 2 * ROOT, out=slope), result, out=slope)
        xp.multiply(slope, 1 - result, out=slope)
    xp.add(xp.multiply(slope, near, out=slope), result, out=slope)
    xp.multiply(result, x, out=result)
    return result, slope
