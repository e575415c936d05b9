"""Fused kernels of sequences: a whole recurrence in one call, and back-propagation through time in another.

The shapes: T steps, B sequences, I inputs, H hidden units, G sums a unit; ``x`` is (T, B, I), a part of the state
(B, H), ``w_ih`` (G H, I), ``w_hh`` (G H, H), a bias (G H,) or None; and ``mask`` (T, B, 1), where there is one, is
False at padded steps, which leave the state as it was.

What does not depend on the step before is done for many steps at once; what does is one product of matrices a step and
a few calls in place. Gates lie one after another, each (B, H) in one piece, since calls on short rows cost twice as
much, and in such an order that one call covers several. The weights of the state are transposed once for all steps:
BLAS has quicker ways for small products of arrays that lie in rows, on some machines three times as quick.
"""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel

NEARBY = 1 << 17
"""How many numbers to work out at a time, just before they are used: so many stay in a core's own cache."""


@kernel
def rnn(
    xp: Any, x: Array, h: Array, w_ih: Array, w_hh: Array, b: Array | None, mask: Array | None, nonlinearity: str,
    out: Any = None,
) -> Any:  # fmt: skip
    """The states (T, B, H), and the slope of the nonlinearity at each."""
    states, slopes = out or [xp.empty((*x.shape[:2], h.shape[1]), x.dtype) for _ in range(2)]
    w, sums, zero = xp.ascontiguousarray(w_hh.T), xp.empty(h.shape, x.dtype), xp.zeros((), x.dtype)
    for (a,), new, padded in zip(_from_input(xp, x, _by_gate(xp, w_ih, 1), b), states, _padding(xp, mask)):
        xp.matmul(h, w, out=sums)
        xp.add(sums, a, out=sums)
        if nonlinearity == "tanh":
            xp.tanh(sums, out=new)
        else:
            xp.maximum(sums, zero, out=new)
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
    xp: Any, g: Array, states: Array, x: Array, h: Array, w_ih: Array, w_hh: Array, mask: Array | None, slopes: Array,
    out: Any = None,
) -> Any:  # fmt: skip
    """dL/d(x, h, w_ih, w_hh, b)."""
    d_sums, d_h = xp.empty(slopes.shape, slopes.dtype), xp.zeros(h.shape, h.dtype)
    for arriving, slope, d, padded in _backward(g, slopes, d_sums, _padding(xp, mask)):
        xp.add(d_h, arriving, out=d_h)
        past = None if padded is None else d_h * padded
        xp.multiply(d_h, slope, out=d)
        xp.matmul(d, w_hh, out=d_h)
        if past is not None:
            xp.add(d_h, past, out=d_h)
    d_x, d_w_ih, d_b = _input_grads(xp, d_sums, x, w_ih)
    return _filled(xp, out, d_x, d_h, d_w_ih, _state_weight_grad(xp, d_sums, h, states), d_b)


@kernel
def lstm(
    xp: Any, x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, b: Array | None, mask: Array | None,
    out: Any = None,
) -> Any:  # fmt: skip
    """The states (2, T, B, H), h first and c second; and (T, 6, B, H): the gates i, f, g, o of each step, the c that it
    starts from, and tanh of the c that it ends with.

    Since σ(x) = ½ tanh(½ x) + ½, the four gates are one tanh, with ½ or, for the candidate g, 1 before and after it.
    """
    steps, shape = len(x), h.shape
    states, gates = out or (xp.empty((2, steps, *shape), x.dtype), xp.empty((steps, 6, *shape), x.dtype))
    each = xp.full((4, 1, 1), 0.5, x.dtype)
    each[2] = 1
    scale = each + xp.zeros((4, *shape), x.dtype)  # written out, since calls on arrays of one shape are quicker
    shift = 1 - scale
    w, w_x = xp.ascontiguousarray(_by_gate(xp, w_hh, 4, each)), _by_gate(xp, w_ih, 4, each)
    b = None if b is None else _by_gate(xp, b[:, None], 4, each)
    sums, shares = xp.empty((4, *shape), x.dtype), xp.empty((2, *shape), x.dtype)
    kept, added = shares
    xp.copyto(gates[0, 4], c)
    rows = zip(
        _from_input(xp, x, w_x, b), gates[:, :4], gates[:, 1::-1], gates[:, 4:1:-2], *xp.swapaxes(gates, 0, 1)[3:],
        states[0], [*gates[1:, 4], states[1, -1]], _padding(xp, mask),
    )  # fmt: skip
    for a, all_four, f_and_i, c_and_g, o, c, bent, new_h, new_c, padded in rows:
        xp.matmul(h, w, out=sums)
        xp.add(sums, a, out=sums)
        xp.tanh(sums, out=sums)
        xp.multiply(sums, scale, out=sums)
        xp.add(sums, shift, out=all_four)
        xp.multiply(f_and_i, c_and_g, out=shares)
        xp.add(kept, added, out=new_c)
        xp.tanh(new_c, out=bent)
        xp.multiply(o, bent, out=new_h)
        if padded is not None:
            xp.copyto(new_h, h, where=padded)
            xp.copyto(new_c, c, where=padded)
        h = new_h
    xp.copyto(states[1, :-1], gates[1:, 4])
    return states, gates


@kernel
def lstm_grad(
    xp: Any, g: Array, states: Array, x: Array, h: Array, w_ih: Array, w_hh: Array, mask: Array | None,
    gates: Array, out: Any = None,
) -> Any:  # fmt: skip
    """dL/d(x, h, c, w_ih, w_hh, b)."""
    steps, batch, hidden = g.shape[1:]
    d_sums = xp.empty((steps, batch, 4 * hidden), g.dtype)
    by_gate = xp.swapaxes(xp.reshape(d_sums, (steps, batch, 4, hidden)), 1, 2)
    d_state, share = xp.zeros((2, batch, hidden), g.dtype), xp.empty((batch, hidden), g.dtype)
    d_h, d_c = d_state
    for some in reversed(_pieces(steps, 5 * batch * hidden)):
        rates, f, parts, padding = _lstm_rates(xp, gates[some]), gates[some][:, 1], by_gate[some], repeat(None)
        if mask is not None:
            xp.multiply(rates, mask[some][:, None], out=rates)
            f, padding = xp.where(mask[some], f, xp.ones((), f.dtype)), _padding(xp, mask[some])
        rows = _backward(
            xp.swapaxes(g, 0, 1)[some], rates[:, :3], rates[:, 3], rates[:, 4], f, parts[:, :3], parts[:, 3],
            d_sums[some], padding,
        )  # fmt: skip
        for arriving, by_i_f_g, by_o, by_c, kept, d_i_f_g, d_o, d, padded in rows:
            xp.add(d_state, arriving, out=d_state)
            past = None if padded is None else d_h * padded
            xp.multiply(d_h, by_o, out=d_o)
            xp.multiply(d_h, by_c, out=share)
            xp.add(d_c, share, out=d_c)
            xp.multiply(d_c, by_i_f_g, out=d_i_f_g)
            xp.multiply(d_c, kept, out=d_c)
            xp.matmul(d, w_hh, out=d_h)
            if past is not None:
                xp.add(d_h, past, out=d_h)
    d_x, d_w_ih, d_b = _input_grads(xp, d_sums, x, w_ih)
    return _filled(xp, out, d_x, d_h, d_c, d_w_ih, _state_weight_grad(xp, d_sums, h, states[0]), d_b)


def _lstm_rates(xp: Any, gates: Array) -> Array:
    """How fast the sums of i, f and g move c, that of o moves h, and c moves h: (steps, 5, B, H)."""
    rates = xp.empty((len(gates), 5, *gates.shape[2:]), gates.dtype)
    i_and_f, o, i_and_o = gates[:, :2], gates[:, 3], gates[:, :4:3]
    g_and_c, bent, g_and_bent = gates[:, 2:5:2], gates[:, 5], gates[:, 2::3]
    by_i_and_f, by_o, by_g_and_c = rates[:, :2], rates[:, 3], rates[:, 2::2]
    xp.multiply(i_and_f, g_and_c, out=by_i_and_f)  # i g and f c, whose slopes are i g (1 - i) and f c (1 - f)
    xp.multiply(o, bent, out=by_o)
    xp.multiply(rates[:, :4:3], g_and_bent, out=by_g_and_c)  # i (1 - g²) and o (1 - tanh² c)
    xp.subtract(i_and_o, by_g_and_c, out=by_g_and_c)
    for rate, gate in ((by_i_and_f, i_and_f), (by_o, o)):
        xp.subtract(rate, rate * gate, out=rate)
    return rates


@kernel
def gru(
    xp: Any, x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None, mask: Array | None,
    out: Any = None,
) -> Any:  # fmt: skip
    """The states (T, B, H), and (T, 4, B, H): r, z; q = W h + b of the candidate, which r scales; the candidate n."""
    hidden, steps = h.shape[1], len(x)
    states, gates = out or (xp.empty((steps, *h.shape), x.dtype), xp.empty((steps, 4, *h.shape), x.dtype))
    scale = xp.full((3, 1, 1), 0.5, x.dtype)  # r and z are ½ tanh(½ x) + ½
    scale[2] = 1
    w, w_x = xp.ascontiguousarray(_by_gate(xp, w_hh, 3, scale)), _by_gate(xp, w_ih, 3, scale)
    b, b_q = xp.zeros((3, 1, hidden), x.dtype), 0
    if b_ih is not None:
        b = b + _by_gate(xp, b_ih[:, None], 3, scale)
    if b_hh is not None:
        b[:2] += _by_gate(xp, b_hh[:, None], 3, scale)[:2]
        b_q = b_hh[2 * hidden :]
    sums, share, half = xp.empty((3, *h.shape), x.dtype), xp.empty(h.shape, x.dtype), xp.full((), 0.5, x.dtype)
    soft, sum_q = sums[:2], sums[2]
    rows = zip(_from_input(xp, x, w_x, b), gates[:, :2], *xp.swapaxes(gates, 0, 1), states, _padding(xp, mask))
    for a, r_and_z, r, z, q, n, new, padded in rows:
        xp.matmul(h, w, out=sums)
        xp.add(soft, a[:2], out=soft)
        xp.tanh(soft, out=soft)
        xp.multiply(soft, half, out=soft)
        xp.add(soft, half, out=r_and_z)
        xp.add(sum_q, b_q, out=q)
        xp.multiply(r, q, out=share)
        xp.add(a[2], share, out=share)
        xp.tanh(share, out=n)
        xp.subtract(h, n, out=share)
        xp.multiply(z, share, out=share)
        xp.add(n, share, out=new)
        if padded is not None:
            xp.copyto(new, h, where=padded)
        h = new
    return states, gates


@kernel
def gru_grad(
    xp: Any, g: Array, states: Array, x: Array, h: Array, w_ih: Array, w_hh: Array, mask: Array | None,
    gates: Array, out: Any = None,
) -> Any:  # fmt: skip
    """dL/d(x, h, w_ih, w_hh, b_ih, b_hh)."""
    steps, batch, hidden = g.shape
    d_sums = xp.empty((steps, batch, 4, hidden), g.dtype)  # of n, r, z, q: three over the input, three over the state
    by_gate, in_rows = xp.swapaxes(d_sums, 1, 2), xp.reshape(d_sums, (steps, batch, 4 * hidden))
    of_input, of_state = in_rows[..., : 3 * hidden], in_rows[..., hidden:]
    d_h, past = xp.zeros(h.shape, h.dtype), xp.empty(h.shape, h.dtype)
    for some in reversed(_pieces(steps, 4 * batch * hidden)):
        before = states[some.start - 1 : some.stop - 1] if some.start else xp.concatenate([h[None], states[some][:-1]])
        rates, z = _gru_rates(xp, gates[some], before), gates[some][:, 1]
        if mask is not None:
            xp.multiply(rates, mask[some][:, None], out=rates)
            z = xp.where(mask[some], z, xp.ones((), z.dtype))
        for arriving, rate, kept, parts, d in _backward(g[some], rates, z, by_gate[some], of_state[some]):
            xp.add(d_h, arriving, out=d_h)
            xp.multiply(d_h, rate, out=parts)
            xp.multiply(d_h, kept, out=past)
            xp.matmul(d, w_hh, out=d_h)
            xp.add(d_h, past, out=d_h)
    d_x, d_w_ih, d_b_ih = _input_grads(xp, of_input, x, xp.roll(w_ih, hidden, axis=0))
    d_w_hh, d_q = _state_weight_grad(xp, of_state, h, states), xp.sum(in_rows[..., 3 * hidden :], axis=(0, 1))
    d_w_ih, d_b_ih = (xp.roll(d, -hidden, axis=0) for d in (d_w_ih, d_b_ih))
    return _filled(xp, out, d_x, d_h, d_w_ih, d_w_hh, d_b_ih, xp.concatenate([d_b_ih[: 2 * hidden], d_q]))


def _gru_rates(xp: Any, gates: Array, before: Array) -> Array:
    """How fast the sums of n, r, z and q move h: (steps, 4, B, H)."""
    rates = xp.empty(gates.shape, gates.dtype)
    (by_n, by_r, by_z, by_q), (r, z, q, n) = xp.swapaxes(rates, 0, 1), xp.swapaxes(gates, 0, 1)
    xp.multiply(n, n, out=by_n)
    xp.subtract(1, by_n, out=by_n)
    xp.subtract(1, z, out=by_q)
    xp.multiply(by_n, by_q, out=by_n)
    xp.subtract(before, n, out=by_z)
    xp.multiply(by_z, z, out=by_z)
    xp.multiply(by_z, by_q, out=by_z)
    xp.multiply(by_n, r, out=by_q)
    xp.subtract(1, r, out=by_r)
    xp.multiply(by_r, by_q, out=by_r)
    xp.multiply(by_r, q, out=by_r)
    return rates


# --- what they share --------------------------------------------------------------------------------------------------


def _by_gate(xp: Any, w: Array, gates: int, scale: Any = None) -> Array:
    """Each gate's rows (gates · H, I), transposed and perhaps scaled: (gates, I, H)."""
    w = xp.reshape(w, (gates, w.shape[0] // gates, w.shape[1]))
    return xp.swapaxes(w if scale is None else w * scale, 1, 2)


def _from_input(xp: Any, x: Array, w: Array, b: Array | None) -> Iterator[Array]:
    """For each step W_ih x + b, (gates, B, H), worked out for as many steps at once as stay nearby."""
    (steps, batch, _), (gates, _, hidden) = x.shape, w.shape
    for some in _pieces(steps, gates * batch * hidden):
        sums = xp.matmul(_rows(xp, x[some]), w)
        if b is not None:
            xp.add(sums, b, out=sums)
        yield from xp.swapaxes(xp.reshape(sums, (gates, some.stop - some.start, batch, hidden)), 0, 1)


def _padding(xp: Any, mask: Array | None) -> Any:
    """For each step the sequences that have ended, (B, 1); None where there is no mask."""
    return repeat(None) if mask is None else xp.logical_not(mask)


def _pieces(steps: int, size: int) -> list[slice]:
    """All steps in runs, as many at a time as stay nearby where each takes ``size`` numbers."""
    length = max(1, NEARBY // max(1, size))
    return [slice(start, min(start + length, steps)) for start in range(0, steps, length)]


def _backward(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The parts of several arrays that belong to a step, from the last step to the first."""
    return zip(*[a if isinstance(a, repeat) else a[::-1] for a in arrays])


def _input_grads(xp: Any, d_sums: Array, x: Array, w_ih: Array) -> tuple[Array, Array, Array]:
    """dL/d(x, w_ih, b) from that by the sums, (T, B, gates · H)."""
    rows = _rows(xp, d_sums)
    d_x = xp.reshape(xp.matmul(rows, w_ih), x.shape)
    return d_x, xp.matmul(rows.T, _rows(xp, x)), xp.sum(rows, axis=0)


def _state_weight_grad(xp: Any, d_sums: Array, h: Array, states: Array) -> Array:
    """Σ dᵀ h over all steps, h being the state that a step starts from: the given one, then all but the last."""
    d_w = xp.matmul(_rows(xp, d_sums[1:]).T, _rows(xp, states[:-1]))
    return xp.add(d_w, xp.matmul(d_sums[0].T, h), out=d_w)


def _rows(xp: Any, x: Array) -> Array:
    """All steps and sequences run together, (T B, features)."""
    return xp.reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def _filled(xp: Any, out: Any, *results: Array) -> Any:
    """The results, in the arrays that are to be filled where there are any."""
    return results if out is None else tuple(copy(xp, result, out=place) for result, place in zip(results, out))
