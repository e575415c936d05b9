"""Fused kernels of attention: queries (…, L, d), keys (…, S, d), values (…, S, e), masks that spread to (…, L, S)."""

import math
from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel


def _product(xp: Any, x: Array, y: Array, out: Array) -> Array:
    """x @ y into ``out``. NumPy's BLAS writes to strided places too; CuPy's wants a contiguous one, then a copy."""
    if out.flags.c_contiguous or xp.__name__ == "numpy":
        return xp.matmul(x, y, out=out)
    return copy(xp, xp.matmul(x, y), out=out)


def _row_sums(xp: Any, x: Array) -> Array:
    """Σ along the last dimension: as a product, since NumPy's reductions spend their time between short rows."""
    return xp.matmul(x, xp.ones((x.shape[-1], 1), x.dtype))


def _row_peaks(xp: Any, x: Array) -> Array:
    """The largest of each row, by laying one half over the other; finite, even where a whole row is hidden."""
    while (n := x.shape[-1]) > 1:
        half = (n + 1) // 2
        x = xp.maximum(x[..., :half], x[..., n - half :])
    return xp.maximum(x, float(xp.finfo(x.dtype).min))


BLOCK = 64  # queries that go together where no query sees what comes after it
CALM = 20.0  # e^20 and e^-20, and their sums and products, are far from both ends of a float32


def _calm(xp: Any, scores: Array, mask: Array | None) -> bool:
    """Whether e may be raised to the scores as they are: without the peaks, whose search and removal cost more than
    the powers. Only where looking is cheap, which on a GPU it is not, and where a mask, if any, hides and adds nothing.
    """
    plain = scores.dtype.itemsize > 2 and scores.size and (mask is None or mask.dtype == bool)
    return bool(xp.__name__ == "numpy" and plain and scores.max() < CALM and scores.min() > -CALM)


def _turns(scores: Array, causal: bool) -> list[tuple[slice, int]]:
    """Which queries to take at a time, and how many keys they may see: all at once, or where no query sees what comes
    after it, a block of them, which spares nearly half of the work.
    """
    queries, keys = scores.shape[-2:]
    if not causal or queries != keys or queries <= BLOCK:
        return [(slice(0, None), keys)]
    return [(slice(i, i + BLOCK), min(i + BLOCK, keys)) for i in range(0, queries, BLOCK)]


def _bias(xp: Any, mask: Array | None, causal: bool, first: int, scores: Array) -> Array | None:
    """What is added to the scores: -inf where a key is hidden, of which e^x makes 0."""
    if mask is not None and mask.dtype == bool:
        mask = xp.where(mask, 0.0, -math.inf).astype(scores.dtype)
    if not causal:
        return mask
    queries, keys = (xp.arange(n) for n in scores.shape[-2:])
    later = xp.where(keys > queries[:, None] + first, -math.inf, 0.0).astype(scores.dtype)
    return later if mask is None else later + mask


def place(xp: Any, like: Array, batch: tuple[int, ...], rows: int, columns: int) -> Array:
    """Room for (batch…, rows, columns) in the same order of memory, so that heads come together without a copy."""
    return xp.empty_like(like, shape=(*batch, rows, columns))


@kernel
def attention(
    xp: Any, q: Array, k: Array, v: Array, mask: Array | None, keep: Array | None,
    causal: bool, scale: float, out: Any = None,
) -> Any:  # fmt: skip
    """softmax(scale · q kᵀ + mask) v; and the softmax itself for the gradient."""
    if out is None:
        batch, length = xp.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2]
        result = place(xp, q, batch, length, v.shape[-1])
        weights = xp.empty((*batch, length, k.shape[-2]), q.dtype)
    else:
        result, weights = out
    for rows, seen in _turns(weights, causal and mask is None):
        part = weights[..., rows, :seen]
        weights[..., rows, seen:] = 0
        _product(xp, q[..., rows, :] * scale, xp.swapaxes(k[..., :seen, :], -1, -2), part)
        calm = _calm(xp, part, mask)
        if (bias := _bias(xp, mask, causal, rows.start, part)) is not None:
            xp.add(part, bias, out=part)
        if not calm:
            xp.subtract(part, _row_peaks(xp, part), out=part)
        xp.exp(part, out=part)
        totals = _row_sums(xp, part)
        xp.divide(part, totals + (totals == 0), out=part)
        kept = part if keep is None else part * keep[..., rows, :seen]
        _product(xp, kept, v[..., :seen, :], result[..., rows, :])
    return result, weights


@kernel
def attention_grad(
    xp: Any, g: Array, result: Array, q: Array, k: Array, v: Array, keep: Array | None, weights: Array,
    causal: bool, scale: float, scores: bool = True, out: Any = None,
) -> Any:  # fmt: skip
    """The gradients of q, k, v, and of the scores (which is a mask's too):

        ds = softmax · (g vᵀ - Σ g result),    the sum along each row.

    Where ``scores`` are not asked for, the last array is room to work in, and what it holds is not to be read.

    Source: T. Dao et al., *FlashAttention*, 2022, appendix B.2.
    """
    if out is None:
        batch = weights.shape[:-2]
        dq, dk, dv = (place(xp, x, batch, *x.shape[-2:]) for x in (q, k, v))
        ds = xp.empty_like(weights)
    else:
        dq, dk, dv, ds = out
    turns = _turns(weights, causal)
    for rows, seen in turns:
        part = ds[..., rows, :seen]
        ds[..., rows, seen:] = 0
        _product(xp, g[..., rows, :], xp.swapaxes(v[..., :seen, :], -1, -2), part)
        if keep is not None:
            xp.multiply(part, keep[..., rows, :seen], out=part)
        xp.subtract(part, _row_sums(xp, g[..., rows, :] * result[..., rows, :]), out=part)
        xp.multiply(part, weights[..., rows, :seen], out=part)
        towards_q = dq[..., rows, :]
        xp.multiply(_product(xp, part, k[..., :seen, :], towards_q), scale, out=towards_q)
    q, kept = q * scale, weights if keep is None else weights * keep
    for columns, _ in turns:  # the keys, and the queries that see them
        after = slice(columns.start, None)
        _product(xp, xp.swapaxes(kept[..., after, columns], -1, -2), g[..., after, :], dv[..., columns, :])
        _product(xp, xp.swapaxes(ds[..., after, columns], -1, -2), q[..., after, :], dk[..., columns, :])
    return dq, dk, dv, ds


@kernel
def rotary(xp: Any, x: Array, offset: int, base: float, turn: int, out: Array = None) -> Array:
    """Each pair (xᵢ, xᵢ₊ₙ), n half the width, turned by position / baseⁱᐟⁿ, forwards or, with turn -1, back."""
    out = xp.empty_like(x) if out is None else out
    length, half = x.shape[-2], x.shape[-1] // 2
    slower = xp.exp(xp.arange(half) * (-math.log(base) / half))
    angles = (xp.arange(length) + offset)[:, None] * slower
    cos, sin = xp.cos(angles).astype(x.dtype), (xp.sin(angles) * turn).astype(x.dtype)
    a, b, first, second = x[..., :half], x[..., half:], out[..., :half], out[..., half:]
    xp.multiply(a, cos, out=first)
    xp.subtract(first, b * sin, out=first)
    xp.multiply(a, sin, out=second)
    xp.add(second, b * cos, out=second)
    return out
