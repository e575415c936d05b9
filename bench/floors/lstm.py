"""Characters, long short-term memory over them, and scores at every step, by hand.

Gates lie as o, f, i, g, so that the three sigmoids follow each other, and so do the three that the cell's gradient
meets; behind them the cell that a step starts from, and tanh of the one it ends with. σ(x) = ½ tanh(½ x) + ½ makes one
tanh of the four; the ½ inside is in the weights. Slopes, and shares of the input, are worked out for as many steps at a
time as stay in a core's own cache.
"""

from typing import Any

import numpy as np

from tinynet.bench.floors.floor import Run
from tinynet.bench.floors.parts import constant, room
from tinynet.bench.floors.tokens import Characters

NEARBY = 1 << 17  # numbers worked out at a time
ORDER = (3, 1, 0, 2)  # o, f, i, g among PyTorch's i, f, g, o


def share(workload: Any, w: dict[str, Any], g: dict[str, Any], rows: int, count: int) -> Run:
    """Forward and backward for so many sequences, x: (rows, steps)."""
    around, steps = Characters(w, g, rows, workload.length, count), workload.length
    w_ih, w_hh, b_ih, b_hh = (a.reshape(4, -1, *a.shape[1:]) for a in list(w.values())[1:5])
    ours = list(zip(ORDER, range(4)))
    g_w_ih, g_w_hh, g_b_ih, g_b_hh = list(g.values())[1:5]
    hidden, embedded = w_hh.shape[2], w_ih.shape[2]
    half = constant(0.5)
    inward, turned, bias = room(4, embedded, hidden), room(4, hidden, hidden), room(4, 1, hidden)
    x, d_x, states = around.x, around.d_x, around.states
    h, arriving = (a.reshape(steps, rows, hidden) for a in (states, around.d_states))
    gates, last, shares, sums = (
        room(steps, 6, rows, hidden),
        room(rows, hidden),
        room(2, rows, hidden),
        room(4, rows, hidden),
    )
    kept, added = shares
    d, d_h, d_c, share = room(steps * rows, 4 * hidden), *(room(rows, hidden) for _ in range(3))
    ones = np.ones(len(d), np.float32)
    d_by_gate = d.reshape(steps, rows, 4, hidden).swapaxes(1, 2)
    w_ih_ours, w_hh_ours = room(4, hidden, embedded), room(4, hidden, hidden)
    w_back, w_in_back = w_hh_ours.reshape(-1, hidden), w_ih_ours.reshape(-1, embedded)
    at_once = max(1, NEARBY // (5 * rows * hidden))
    pieces = [slice(start, min(start + at_once, steps)) for start in range(0, steps, at_once)]
    from_input, rates, passing = (
        room(4, at_once * rows, hidden),
        room(at_once, 5, rows, hidden),
        room(at_once, 3, rows, hidden),
    )
    new_c = [*gates[1:, 4], last]

    forward: list[Any] = []
    for piece in pieces:
        some = range(piece.start, piece.stop)
        out = from_input[:, : len(some) * rows]
        each = out.reshape(4, len(some), rows, hidden).swapaxes(0, 1)
        forward.append((
            x[piece.start * rows : piece.stop * rows], out,
            [(None if t == 0 else h[t - 1], a, gates[t, :4], gates[t, :3], gates[t, 1:3], gates[t, 4:2:-1], gates[t, 0],
              gates[t, 5], new_c[t], h[t]) for t, a in zip(some, each)],
        ))  # fmt: skip
    backward: list[Any] = []
    for piece in pieces[::-1]:
        rate, now, pass_on = rates[: piece.stop - piece.start], gates[piece], passing[: piece.stop - piece.start]
        slopes = [
            (np.multiply, now[:, 1:3], now[:, 4:2:-1], rate[:, 1:3]),  # f c and i g
            (np.multiply, now[:, 0], now[:, 5], rate[:, 0]),  # o tanh c
            (np.multiply, rate[:, 2::-2], now[:, 3::2], rate[:, 3:]),
            (np.subtract, now[:, 2::-2], rate[:, 3:], rate[:, 3:]),  # i (1 - g²) and o (1 - tanh² c)
            (np.multiply, rate[:, :3], now[:, :3], pass_on),
            (np.subtract, rate[:, :3], pass_on, rate[:, :3]),  # the sigmoids' own 1 - σ
        ]
        parts = d_by_gate[piece]
        backward.append((slopes, [
            (arriving[t], rate[i, 0], rate[i, 4], rate[i, 1:4], gates[t, 1], parts[i, 0], parts[i, 1:],
             d[t * rows : (t + 1) * rows].dot)
            for i, t in reversed(list(enumerate(range(piece.start, piece.stop))))
        ]))  # fmt: skip

    def run(tokens: Any, y: Any) -> Any:
        around.look_up(tokens)
        for theirs, our in ours:
            np.copyto(w_ih_ours[our], w_ih[theirs])
            np.copyto(w_hh_ours[our], w_hh[theirs])
            np.copyto(inward[our], w_ih[theirs].T)
            np.copyto(turned[our], w_hh[theirs].T)
            np.add(b_ih[theirs], b_hh[theirs], bias[our, 0])
        for part in (inward, turned, bias):
            np.multiply(part[:3], half, part[:3])
        gates[0, 4].fill(0)
        for piece, out, each in forward:
            np.matmul(piece, inward, out)
            np.add(out, bias, out)
            for before, a, all_four, soft, f_and_i, c_and_g, o, bent, c, new in each:
                if before is None:
                    np.tanh(a, all_four)
                else:
                    np.matmul(before, turned, sums)
                    np.add(sums, a, sums)
                    np.tanh(sums, all_four)
                np.multiply(soft, half, soft)
                np.add(soft, half, soft)
                np.multiply(f_and_i, c_and_g, shares)
                np.add(kept, added, c)
                np.tanh(c, bent)
                np.multiply(o, bent, new)
        loss = around.scores(y)
        d_h.fill(0)
        d_c.fill(0)
        for slopes, each in backward:
            for function, first, second, out in slopes:
                function(first, second, out)
            for given, by_o, by_c, by_f_i_g, f, d_o, d_f_i_g, product in each:
                np.add(d_h, given, d_h)
                np.multiply(d_h, by_o, d_o)
                np.multiply(d_h, by_c, share)
                np.add(d_c, share, d_c)
                np.multiply(d_c, by_f_i_g, d_f_i_g)
                np.multiply(d_c, f, d_c)
                product(w_back, d_h)
        d.dot(w_in_back, d_x)
        d.T.dot(x, w_in_back)  # from here on the weights in our order are gradients
        d[rows:].T.dot(states[:-rows], w_back)
        ones.dot(d, bias.reshape(-1))
        for theirs, our in ours:
            np.copyto(g_w_ih.reshape(w_ih.shape)[theirs], w_ih_ours[our])
            np.copyto(g_w_hh.reshape(w_hh.shape)[theirs], w_hh_ours[our])
            np.copyto(g_b_ih.reshape(4, -1)[theirs], bias[our, 0])
        np.copyto(g_b_hh, g_b_ih)
        around.put_back(tokens)
        return loss

    return run
