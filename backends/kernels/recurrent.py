"""Fused kernels of sequences: a whole recurrence in one call, and back-propagation through time in another.

What does not depend on the step before is done for all steps at once; what does is one product of matrices a step and
a few calls in place. The shapes: T steps, B sequences, H hidden units, G gates; ``projected`` (T, B, G H) holds the
sums over the inputs, ``w_hh`` is (G H, H), and ``mask`` (T, B, 1), where there is one, is False at padded steps, which
leave the state as it was.
"""

from collections.abc import Iterator
from functools import partial
from itertools import repeat
from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel


@kernel
def rnn(
    xp: Any, projected: Array, h: Array, w_hh: Array, mask: Array | None, nonlinearity: str, out: Any = None
) -> Any:
    """The states (T, B, H), and the slope of the nonlinearity at each."""
    states, slopes = out or [xp.empty(projected.shape, projected.dtype) for _ in range(2)]
    sums = xp.empty(h.shape, projected.dtype)
    bend = xp.tanh if nonlinearity == "tanh" else partial(xp.maximum, 0)
    for a, new, padded in zip(projected, states, _padding(xp, mask)):
        xp.matmul(h, w_hh.T, out=sums)
        xp.add(a, sums, out=new)
        bend(new, out=new)
        if padded is not None:
            xp.copyto(new, h, where=padded)
        h = new
    if nonlinearity == "tanh":
        xp.multiply(states, states, out=slopes)
        xp.subtract(1, slopes, out=slopes)
    else:
        xp.sign(states, out=slopes)
    return states, slopes if mask is None else xp.multiply(slopes, mask, out=slopes)


@kernel
def rnn_grad(
    xp: Any, g: Array, states: Array, h: Array, w_hh: Array, mask: Array | None, slopes: Array, out: Any = None
) -> Any:
    """dL/d(projected, h, w_hh)."""
    d_sums = xp.empty(slopes.shape, slopes.dtype) if out is None else out[0]
    d_h = xp.zeros(h.shape, h.dtype)
    for arriving, slope, d, padded in _backward(g, slopes, d_sums, _padding(xp, mask)):
        xp.add(d_h, arriving, out=d_h)
        xp.multiply(d_h, slope, out=d)
        _step_back(xp, d, w_hh, d_h, padded)
    return _filled(xp, out, d_sums, d_h, _weight_grad(xp, d_sums, _before(xp, h, states)))


@kernel
def lstm(xp: Any, projected: Array, h: Array, c: Array, w_hh: Array, mask: Array | None, out: Any = None) -> Any:
    """The states (2, T, B, H), h first and c second; the gates (T, B, 4 H) and tanh c.

    Since σ(x) = ½ tanh(½ x) + ½, the four gates are one tanh, with ½ or, for the candidate g, 1 before and after it.
    """
    shape, dtype = (*projected.shape[:2], h.shape[1]), projected.dtype
    states, gates, bent = out or (
        xp.empty((2, *shape), dtype),
        xp.empty(projected.shape, dtype),
        xp.empty(shape, dtype),
    )
    scale = xp.full(projected.shape[2:], 0.5, dtype)
    scale[2 * shape[2] : 3 * shape[2]] = 1
    shift, weight = 1 - scale, w_hh.T * scale
    xp.multiply(projected, scale, out=gates)
    sums, share = xp.empty(gates.shape[1:], dtype), xp.empty(shape[1:], dtype)
    steps = zip(gates, *xp.split(gates, 4, axis=2), *states, bent, _padding(xp, mask))
    for a, i, f, g, o, new_h, new_c, bent_c, padded in steps:
        xp.matmul(h, weight, out=sums)
        xp.add(a, sums, out=a)
        xp.tanh(a, out=a)
        xp.multiply(a, scale, out=a)
        xp.add(a, shift, out=a)
        xp.multiply(f, c, out=new_c)
        xp.multiply(i, g, out=share)
        xp.add(new_c, share, out=new_c)
        xp.tanh(new_c, out=bent_c)
        xp.multiply(o, bent_c, out=new_h)
        if padded is not None:
            xp.copyto(new_h, h, where=padded)
            xp.copyto(new_c, c, where=padded)
        h, c = new_h, new_c
    return states, gates, bent


@kernel
def lstm_grad(
    xp: Any, g: Array, states: Array, h: Array, c: Array, w_hh: Array, mask: Array | None, gates: Array, bent: Array,
    out: Any = None,
) -> Any:  # fmt: skip
    """dL/d(projected, h, c, w_hh)."""
    i, f, candidate, o = xp.split(gates, 4, axis=2)
    rates = gates - gates * gates  # how fast each gate's sum moves c, by i, f and g, or h, by o
    by_i, by_f, by_g, by_o = xp.split(rates, 4, axis=2)
    xp.multiply(by_i, candidate, out=by_i)
    xp.multiply(by_f, _before(xp, c, states[1]), out=by_f)
    xp.multiply(1 - candidate * candidate, i, out=by_g)
    xp.multiply(by_o, bent, out=by_o)
    by_c = o * (1 - bent * bent)  # how fast c moves h
    if mask is not None:
        xp.multiply(rates, mask, out=rates)
        xp.multiply(by_c, mask, out=by_c)
        f = xp.where(mask, f, xp.ones((), f.dtype))
    d_sums = xp.empty(gates.shape, gates.dtype) if out is None else out[0]
    d_h, d_c, share = (xp.zeros(h.shape, h.dtype) for _ in range(3))
    steps = _backward(*g, by_i, by_f, by_g, by_o, by_c, f, *xp.split(d_sums, 4, axis=2), d_sums, _padding(xp, mask))
    for g_h, g_c, by_i, by_f, by_g, by_o, by_c, f, d_i, d_f, d_g, d_o, d, padded in steps:
        xp.add(d_h, g_h, out=d_h)
        xp.add(d_c, g_c, out=d_c)
        xp.multiply(d_h, by_c, out=share)
        xp.add(d_c, share, out=d_c)
        for rate, part in ((by_i, d_i), (by_f, d_f), (by_g, d_g)):
            xp.multiply(d_c, rate, out=part)
        xp.multiply(d_h, by_o, out=d_o)
        xp.multiply(d_c, f, out=d_c)
        _step_back(xp, d, w_hh, d_h, padded)
    return _filled(xp, out, d_sums, d_h, d_c, _weight_grad(xp, d_sums, _before(xp, h, states[0])))


@kernel
def gru(
    xp: Any, projected: Array, h: Array, w_hh: Array, b_hh: Array | None, mask: Array | None, out: Any = None
) -> Any:
    """The states (T, B, H); the gates r, z, n (T, B, 3 H); and W h + b of the candidate n, before r scales it."""
    shape, dtype, hidden = (*projected.shape[:2], h.shape[1]), projected.dtype, h.shape[1]
    states, gates, inner = out or (xp.empty(shape, dtype), xp.empty(projected.shape, dtype), xp.empty(shape, dtype))
    xp.copyto(gates, projected)
    soft = gates[..., : 2 * hidden]  # r and z, as ½ tanh(½ x) + ½
    if b_hh is not None:
        xp.add(soft, b_hh[: 2 * hidden], out=soft)
    xp.multiply(soft, 0.5, out=soft)
    scale = xp.full(projected.shape[2:], 0.5, dtype)
    scale[2 * hidden :] = 1
    weight, bias = w_hh.T * scale, 0 if b_hh is None else b_hh[2 * hidden :]
    sums, share = xp.empty(gates.shape[1:], dtype), xp.empty(h.shape, dtype)
    sums_soft, sums_n = sums[:, : 2 * hidden], sums[:, 2 * hidden :]
    for a, r, z, n, q, new, padded in zip(soft, *xp.split(gates, 3, axis=2), inner, states, _padding(xp, mask)):
        xp.matmul(h, weight, out=sums)
        xp.add(a, sums_soft, out=a)
        xp.tanh(a, out=a)
        xp.multiply(a, 0.5, out=a)
        xp.add(a, 0.5, out=a)
        xp.add(sums_n, bias, out=q)
        xp.multiply(r, q, out=share)
        xp.add(n, share, out=n)
        xp.tanh(n, out=n)
        xp.subtract(h, n, out=share)
        xp.multiply(z, share, out=share)
        xp.add(n, share, out=new)
        if padded is not None:
            xp.copyto(new, h, where=padded)
        h = new
    return states, gates, inner


@kernel
def gru_grad(
    xp: Any, g: Array, states: Array, h: Array, w_hh: Array, mask: Array | None, gates: Array, inner: Array,
    out: Any = None,
) -> Any:  # fmt: skip
    """dL/d(projected, h, w_hh, b_hh)."""
    r, z, n = xp.split(gates, 3, axis=2)
    before = _before(xp, h, states)
    rates = gates - gates * gates  # how fast h moves with the sums of r and z, and with that of n that r scales
    by_r, by_z, by_q = xp.split(rates, 3, axis=2)
    by_n = (1 - z) * (1 - n * n)
    xp.multiply(by_r, by_n * inner, out=by_r)
    xp.multiply(by_z, before - n, out=by_z)
    xp.multiply(by_n, r, out=by_q)
    if mask is not None:
        xp.multiply(rates, mask, out=rates)
        xp.multiply(by_n, mask, out=by_n)
        z = xp.where(mask, z, xp.ones((), z.dtype))
    d_sums = xp.empty(gates.shape, gates.dtype) if out is None else out[0]
    d_n = d_sums[..., 2 * h.shape[1] :]
    d_h = xp.zeros(h.shape, h.dtype)
    steps = _backward(g, rates, by_r, by_z, by_q, by_n, d_n, z)
    for arriving, d, d_r, d_z, d_q, slope, d_candidate, kept in steps:
        xp.add(d_h, arriving, out=d_h)
        for part in (d_r, d_z, d_q):
            xp.multiply(d_h, part, out=part)
        xp.multiply(d_h, slope, out=d_candidate)
        _step_back(xp, d, w_hh, d_h, kept)
    xp.copyto(d_sums[..., : 2 * h.shape[1]], rates[..., : 2 * h.shape[1]])
    return _filled(xp, out, d_sums, d_h, _weight_grad(xp, rates, before), xp.sum(rates, axis=(0, 1)))


# --- what they share --------------------------------------------------------------------------------------------------


def _padding(xp: Any, mask: Array | None) -> Any:
    """For each step the sequences that have ended, (B, 1); None where there is no mask."""
    return repeat(None) if mask is None else xp.logical_not(mask)


def _backward(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The parts of several arrays that belong to a step, from the last step to the first."""
    return zip(*[a if isinstance(a, repeat) else a[::-1] for a in arrays])


def _before(xp: Any, first: Array, states: Array) -> Array:
    """The state that each step starts from."""
    return xp.concatenate([first[None], states[:-1]])


def _step_back(xp: Any, d_sums: Array, w_hh: Array, d_h: Array, kept: Array | None) -> None:
    """dL/dh of the step before, in place of this one's: through the sums, and past them for the share that is kept."""
    past = None if kept is None else d_h * kept
    xp.matmul(d_sums, w_hh, out=d_h)
    if past is not None:
        xp.add(d_h, past, out=d_h)


def _weight_grad(xp: Any, d_sums: Array, before: Array) -> Array:
    """Σ dᵀ h over all steps, as one product."""
    rows = before.shape[0] * before.shape[1]
    return xp.matmul(d_sums.reshape(rows, d_sums.shape[2]).T, before.reshape(rows, before.shape[2]))


def _filled(xp: Any, out: Any, *results: Array) -> Any:
    """The results, in the arrays that are to be filled where there are any."""
    if out is None:
        return results
    return tuple(place if result is place else copy(xp, result, out=place) for result, place in zip(results, out))
