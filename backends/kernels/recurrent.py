"""Fused kernels of sequences: a whole recurrence in one call, and back-propagation through time in another.

The shapes: T steps, B sequences, I inputs, H hidden units, G sums a unit; ``x`` is (T, B, I), a part of the state
(B, H), ``w_ih`` (G H, I), ``w_hh`` (G H, H), a bias (G H,) or None; and ``mask`` (T, B, 1), where there is one, is
False at padded steps, which leave the state as it was.

The state, a one and the input stand side by side in ``joined``, so that a step's sums, bias and all, are one small
product, and the gradients of all weights one large one. Gates lie one after another, each (B, H) in one piece, since
calls on short rows cost twice as much; a call covers several gates wherever they lie side by side.
"""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

from tinynet.backends.kernels.plain import copy
from tinynet.backends.kernels.register import Array, kernel

NEARBY = 1 << 16
"""How many numbers a core keeps close at hand: the slopes of so many are worked out before the walk back needs them."""


@kernel
def rnn(
    xp: Any, x: Array, h: Array, w_ih: Array, w_hh: Array, b: Array | None, mask: Array | None, nonlinearity: str,
    out: Any = None,
) -> Any:  # fmt: skip
    """The states (T, B, H), and ``joined``."""
    states, joined = out or (xp.empty((*x.shape[:2], h.shape[1]), x.dtype), _room_to_join(xp, x, h))
    after = _join(xp, joined, x, h)
    (w,) = _joined_weights(xp, w_ih, w_hh, b, 1)
    sums, zero = xp.empty(h.shape, x.dtype), xp.zeros((), x.dtype)
    for j, h_before, new, padded in zip(joined, _hidden(joined, h), after, _padding(xp, mask)):
        xp.matmul(j, w, out=sums)
        if nonlinearity == "tanh":
            xp.tanh(sums, out=new)
        else:
            xp.maximum(sums, zero, out=new)
        if padded is not None:
            xp.copyto(new, h_before, where=padded)
    return copy(xp, after, out=states), joined


@kernel
def rnn_grad(
    xp: Any, g: Array, w_ih: Array, w_hh: Array, mask: Array | None, joined: Array, nonlinearity: str, out: Any = None
) -> Any:
    """dL/d(x, h, w_ih, w_hh, b)."""
    after = joined[1:, :, : w_hh.shape[1]]
    d_sums = xp.empty(after.shape, joined.dtype)
    if nonlinearity == "tanh":
        xp.multiply(after, after, out=d_sums)
        xp.subtract(1, d_sums, out=d_sums)
    else:
        xp.sign(after, out=d_sums)
    if mask is not None:
        xp.multiply(d_sums, mask, out=d_sums)
    d_h = xp.zeros(after.shape[1:], joined.dtype)
    for arriving, d, padded in _backward(g, d_sums, _padding(xp, mask)):
        xp.add(d_h, arriving, out=d_h)
        past = None if padded is None else d_h * padded
        xp.multiply(d_h, d, out=d)
        xp.matmul(d, w_hh, out=d_h)
        if past is not None:
            xp.add(d_h, past, out=d_h)
    return _filled(xp, out, *_outside(xp, d_sums, joined, w_ih, d_h))


@kernel
def lstm(
    xp: Any, x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, b: Array | None, mask: Array | None,
    out: Any = None,
) -> Any:  # fmt: skip
    """The states (2, T, B, H), h first and c second; ``joined``; and (T + 1, 6, B, H): the gates i, f, g, o of each
    step, the c that it starts from, and tanh of the c that it ends with.

    Since σ(x) = ½ tanh(½ x) + ½, the four gates are one tanh, with ½ or, for the candidate g, 1 before and after it.
    """
    steps, shape = len(x), h.shape
    states, joined, gates = out or (
        xp.empty((2, steps, *shape), x.dtype),
        _room_to_join(xp, x, h),
        xp.empty((steps + 1, 6, *shape), x.dtype),
    )
    h_after, c_after = _join(xp, joined, x, h), gates[1:, 4]
    xp.copyto(gates[0, 4], c)
    gates[-1, :4] = gates[-1, 5] = 0
    scale = xp.full((4, 1, 1), 0.5, x.dtype)
    scale[2] = 1
    shift, w = 1 - scale, _joined_weights(xp, w_ih, w_hh, b, 4) * scale
    sums, shares = xp.empty((4, *shape), x.dtype), xp.empty((2, *shape), x.dtype)
    carried, added = shares
    rows = zip(
        joined, gates[:, :4], gates[:, :2], gates[:, 2:5:2], gates[:, 3], gates[:, 5], h_after, c_after,
        _hidden(joined, h), gates[:, 4], _padding(xp, mask),
    )  # fmt: skip
    for j, all_four, i_and_f, g_and_c, o, bent, new_h, new_c, h_before, c_before, padded in rows:
        xp.matmul(j, w, out=sums)
        xp.tanh(sums, out=sums)
        xp.multiply(sums, scale, out=sums)
        xp.add(sums, shift, out=all_four)
        xp.multiply(i_and_f, g_and_c, out=shares)
        xp.add(carried, added, out=new_c)
        xp.tanh(new_c, out=bent)
        xp.multiply(o, bent, out=new_h)
        if padded is not None:
            xp.copyto(new_h, h_before, where=padded)
            xp.copyto(new_c, c_before, where=padded)
    xp.copyto(states[0], h_after)
    xp.copyto(states[1], c_after)
    return states, joined, gates


@kernel
def lstm_grad(
    xp: Any, g: Array, w_ih: Array, w_hh: Array, mask: Array | None, joined: Array, gates: Array, out: Any = None
) -> Any:
    """dL/d(x, h, c, w_ih, w_hh, b)."""
    steps, batch, hidden = g.shape[1:]
    d_sums = xp.empty((steps, batch, 5, hidden), g.dtype)  # of i, f, g, o; and what goes from h to c
    by_gate, in_rows = xp.swapaxes(d_sums, 1, 2), xp.reshape(d_sums, (steps, batch, 5 * hidden))[..., : 4 * hidden]
    d_state = xp.zeros((2, batch, hidden), g.dtype)
    d_h, d_c = d_state
    arriving = xp.swapaxes(g, 0, 1)
    for some in _pieces(steps, 5 * batch * hidden):
        rates = _lstm_rates(xp, gates[:steps][some])
        f, padding = gates[:steps][some][:, 1], repeat(None)
        if mask is not None:
            rates, f = rates * mask[some][:, None], xp.where(mask[some], f, xp.ones((), f.dtype))
            padding = _padding(xp, mask[some])
        parts = by_gate[some]
        rows = _backward(
            arriving[some], rates[:, :3], rates[:, 3:], f, parts[:, :3], parts[:, 3:], parts[:, 4], in_rows[some],
            padding,
        )  # fmt: skip
        for a, by_c, by_h, kept, d_by_c, d_by_h, share, d, padded in rows:
            xp.add(d_state, a, out=d_state)
            past = None if padded is None else d_h * padded
            xp.multiply(d_h, by_h, out=d_by_h)
            xp.add(d_c, share, out=d_c)
            xp.multiply(d_c, by_c, out=d_by_c)
            xp.multiply(d_c, kept, out=d_c)
            xp.matmul(d, w_hh, out=d_h)
            if past is not None:
                xp.add(d_h, past, out=d_h)
    return _filled(xp, out, *_outside(xp, in_rows, joined, w_ih, d_h, d_c))


def _lstm_rates(xp: Any, gates: Array) -> Array:
    """How fast the sums of i, f and g move c, that of o moves h, and c moves h: (steps, 5, B, H)."""
    rates = xp.empty((gates.shape[0], 5, *gates.shape[2:]), gates.dtype)
    soft, i_and_f, by_o, g_and_c = rates[:, :4], rates[:, :2], rates[:, 3], rates[:, 2::2]
    xp.multiply(gates[:, :4], gates[:, :4], out=soft)
    xp.subtract(gates[:, :4], soft, out=soft)
    xp.multiply(i_and_f, gates[:, 2:5:2], out=i_and_f)  # by the candidate, and by the c before
    xp.multiply(by_o, gates[:, 5], out=by_o)
    xp.multiply(gates[:, 2::3], gates[:, 2::3], out=g_and_c)  # 1 - tanh², of the candidate and of c, by i and by o
    xp.subtract(1, g_and_c, out=g_and_c)
    xp.multiply(g_and_c, gates[:, :4:3], out=g_and_c)
    return rates


@kernel
def gru(
    xp: Any, x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None, mask: Array | None,
    out: Any = None,
) -> Any:  # fmt: skip
    """The states (T, B, H); ``joined``; and (T, 4, B, H): W h + b of the candidate n before r scales it, r, z, n.

    The candidate has two sums, over the state and over the input, each with zeros for the other's weights.
    """
    hidden = h.shape[1]
    states, joined, gates = out or (
        xp.empty((*x.shape[:2], hidden), x.dtype),
        _room_to_join(xp, x, h),
        xp.empty((len(x), 4, *h.shape), x.dtype),
    )
    after = _join(xp, joined, x, h)
    of_state, of_input = (_joined_weights(xp, w_ih, w_hh, b, 3) for b in (b_hh, b_ih))
    w = xp.concatenate([of_state[2:], of_state[:2], of_input[2:]])
    if b_ih is not None:
        xp.add(w[1:3, hidden], of_input[:2, hidden], out=w[1:3, hidden])
    w[0, hidden + 1 :] = 0
    w[3, :hidden] = 0
    half = xp.full((), 0.5, x.dtype)
    xp.multiply(w[1:3], half, out=w[1:3])
    sums, share = xp.empty((4, *h.shape), x.dtype), xp.empty(h.shape, x.dtype)
    sum_h, soft, sum_x = sums[0], sums[1:3], sums[3]
    rows = zip(
        joined, gates[:, 0], gates[:, 1:3], gates[:, 1], gates[:, 2], gates[:, 3], _hidden(joined, h), after,
        _padding(xp, mask),
    )  # fmt: skip
    for j, q, r_and_z, r, z, n, h_before, new, padded in rows:
        xp.matmul(j, w, out=sums)
        xp.tanh(soft, out=soft)
        xp.multiply(soft, half, out=soft)
        xp.add(soft, half, out=r_and_z)
        xp.copyto(q, sum_h)
        xp.multiply(r, sum_h, out=share)
        xp.add(sum_x, share, out=share)
        xp.tanh(share, out=n)
        xp.subtract(h_before, n, out=share)
        xp.multiply(z, share, out=share)
        xp.add(n, share, out=new)
        if padded is not None:
            xp.copyto(new, h_before, where=padded)
    return copy(xp, after, out=states), joined, gates


@kernel
def gru_grad(
    xp: Any, g: Array, w_ih: Array, w_hh: Array, mask: Array | None, joined: Array, gates: Array, out: Any = None
) -> Any:
    """dL/d(x, h, w_ih, w_hh, b_ih, b_hh)."""
    steps, batch, hidden = g.shape
    d_sums = xp.empty((steps, batch, 4, hidden), g.dtype)  # of n over the state, r, z, n over the input
    by_gate, in_rows = xp.swapaxes(d_sums, 1, 2), xp.reshape(d_sums, (steps, batch, 4 * hidden))
    of_state, of_input = in_rows[..., : 3 * hidden], in_rows[..., hidden:]
    d_h, past = xp.zeros((batch, hidden), g.dtype), xp.empty((batch, hidden), g.dtype)
    w = xp.concatenate([w_hh[2 * hidden :], w_hh[: 2 * hidden]])
    before = _hidden(joined, d_h)[:steps]
    for some in _pieces(steps, 4 * batch * hidden):
        rates, z = _gru_rates(xp, gates[some], before[some]), gates[some][:, 2]
        if mask is not None:
            rates, z = rates * mask[some][:, None], xp.where(mask[some], z, xp.ones((), z.dtype))
        for arriving, rate, kept, parts, d in _backward(g[some], rates, z, by_gate[some], of_state[some]):
            xp.add(d_h, arriving, out=d_h)
            xp.multiply(d_h, rate, out=parts)
            xp.multiply(d_h, kept, out=past)
            xp.matmul(d, w, out=d_h)
            xp.add(d_h, past, out=d_h)
    d_x, d_h, d_w_ih, _, d_b_ih = _outside(xp, of_input, joined, w_ih, d_h)
    d_w = _weight_grad(xp, of_state, joined[:, :, : hidden + 1])
    d_w = xp.concatenate([d_w[hidden:], d_w[:hidden]])
    return _filled(xp, out, d_x, d_h, d_w_ih, d_w[:, :hidden], d_b_ih, d_w[:, hidden])


def _gru_rates(xp: Any, gates: Array, before: Array) -> Array:
    """How fast the sums move h: n's over the state, r's, z's, n's over the input; (steps, 4, B, H)."""
    rates = xp.empty(gates.shape, gates.dtype)
    by_q, by_r, by_z, by_n, soft = rates[:, 0], rates[:, 1], rates[:, 2], rates[:, 3], rates[:, 1:3]
    q, r, z, n = gates[:, 0], gates[:, 1], gates[:, 2], gates[:, 3]
    xp.multiply(n, n, out=by_n)
    xp.subtract(1, by_n, out=by_n)
    xp.subtract(1, z, out=by_q)
    xp.multiply(by_n, by_q, out=by_n)
    xp.multiply(gates[:, 1:3], gates[:, 1:3], out=soft)
    xp.subtract(gates[:, 1:3], soft, out=soft)
    xp.subtract(before, n, out=by_q)
    xp.multiply(by_z, by_q, out=by_z)
    xp.multiply(by_n, q, out=by_q)
    xp.multiply(by_r, by_q, out=by_r)
    xp.multiply(by_n, r, out=by_q)
    return rates


# --- what they share --------------------------------------------------------------------------------------------------


def _room_to_join(xp: Any, x: Array, h: Array) -> Array:
    """Where ``_join`` puts things, (T + 1, B, H + 1 + I)."""
    return xp.empty((len(x) + 1, len(h), h.shape[1] + 1 + x.shape[2]), x.dtype)


def _join(xp: Any, joined: Array, x: Array, h: Array) -> Array:
    """For each step the state it starts from, 1, and its input, side by side; the place for the state after each."""
    hidden = h.shape[1]
    xp.copyto(joined[0, :, :hidden], h)
    joined[:, :, hidden] = 1
    xp.copyto(joined[:-1, :, hidden + 1 :], x)
    joined[-1, :, hidden + 1 :] = 0
    return joined[1:, :, :hidden]


def _hidden(joined: Array, h: Array) -> Array:
    """The state that each step starts from."""
    return joined[:, :, : h.shape[1]]


def _joined_weights(xp: Any, w_ih: Array, w_hh: Array, b: Array | None, gates: int) -> Array:
    """What multiplies ``joined``, a matrix a gate: (gates, H + 1 + I, H)."""
    hidden, inputs = w_hh.shape[1], w_ih.shape[1]
    w = xp.empty((gates, hidden + 1 + inputs, hidden), w_hh.dtype)
    xp.copyto(w[:, :hidden], xp.swapaxes(xp.reshape(w_hh, (gates, hidden, hidden)), 1, 2))
    w[:, hidden] = 0 if b is None else xp.reshape(b, (gates, hidden))
    xp.copyto(w[:, hidden + 1 :], xp.swapaxes(xp.reshape(w_ih, (gates, hidden, inputs)), 1, 2))
    return w


def _padding(xp: Any, mask: Array | None) -> Any:
    """For each step the sequences that have ended, (B, 1); None where there is no mask."""
    return repeat(None) if mask is None else xp.logical_not(mask)


def _pieces(steps: int, size: int) -> Iterator[slice]:
    """Runs of steps from the last to the first, as many at a time as stay nearby, of ``size`` numbers a step."""
    length = max(1, NEARBY // max(1, size))
    for end in range(steps, 0, -length):
        yield slice(max(0, end - length), end)


def _backward(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The parts of several arrays that belong to a step, from the last step to the first."""
    return zip(*[a if isinstance(a, repeat) else a[::-1] for a in arrays])


def _outside(xp: Any, d_sums: Array, joined: Array, w_ih: Array, *d_state: Array) -> tuple[Array, ...]:
    """dL/d(x, state, w_ih, w_hh, b), from that by the sums, (T, B, G H)."""
    hidden, (steps, batch, _) = d_state[0].shape[1], d_sums.shape
    d_x = xp.matmul(_rows(xp, d_sums), w_ih)
    d_w = _weight_grad(xp, d_sums, joined)
    d_x = xp.reshape(d_x, (steps, batch, w_ih.shape[1]))
    return d_x, *d_state, d_w[:, hidden + 1 :], d_w[:, :hidden], d_w[:, hidden]


def _weight_grad(xp: Any, d_sums: Array, joined: Array) -> Array:
    """Σ dᵀ [h, 1, x] over all steps, as one product."""
    return xp.matmul(_rows(xp, d_sums).T, _rows(xp, joined[: len(d_sums)]))


def _rows(xp: Any, x: Array) -> Array:
    """All steps and sequences run together, (T B, features)."""
    return xp.reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def _filled(xp: Any, out: Any, *results: Array) -> Any:
    """The results, in the arrays that are to be filled where there are any."""
    if out is None:
        return tuple(xp.ascontiguousarray(result) for result in results)
    return tuple(copy(xp, result, out=place) for result, place in zip(results, out))
