"""Characters, a recurrent layer over them, and scores at every step, by hand.

What does not depend on the step before is done for all steps at once; three calls a step are left, in each direction.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from tinynet.bench.floors.floor import Run
from tinynet.bench.floors.parts import constant, room
from tinynet.bench.floors.tokens import Characters


def share(workload: Any, w: dict[str, Any], g: dict[str, Any], rows: int, count: int) -> Run:
    """Forward and backward for so many sequences, x: (rows, steps)."""
    around = Characters(w, g, rows, workload.length, count)
    w_ih, w_hh, b_ih, b_hh = list(w.values())[1:5]
    g_w_ih, g_w_hh, g_b_ih, g_b_hh = list(g.values())[1:5]
    x, d_x, states, d = around.x, around.d_x, around.states, around.d_states
    by_step, d_by_step = (a.reshape(-1, rows, len(w_hh)) for a in (states, d))
    slopes, bias, turned = room(*states.shape), room(len(w_hh)), room(*w_hh.shape)
    sums, d_h, ones, one = room(rows, len(w_hh)), room(rows, len(w_hh)), np.ones(len(x), np.float32), constant(1)
    forward: list[Any] = [(before.dot, now) for before, now in pairwise(by_step)]
    backward: list[Any] = list(zip(d_by_step, slopes.reshape(by_step.shape), [a.dot for a in d_by_step]))[::-1]

    def run(tokens: Any, y: Any) -> Any:
        around.look_up(tokens)
        np.add(b_ih, b_hh, bias)
        np.copyto(turned, w_hh.T)
        x.dot(w_ih.T, states)
        np.add(states, bias, states)
        np.tanh(by_step[0], by_step[0])
        for product, now in forward:
            product(turned, sums)
            np.add(now, sums, now)
            np.tanh(now, now)
        loss = around.scores(y)
        np.multiply(states, states, slopes)
        np.subtract(one, slopes, slopes)
        d_h.fill(0)
        for now, slope, product in backward:
            np.add(d_h, now, d_h)
            np.multiply(d_h, slope, now)
            product(w_hh, d_h)
        d.dot(w_ih, d_x)
        d.T.dot(x, g_w_ih)
        d[rows:].T.dot(states[:-rows], g_w_hh)
        ones.dot(d, g_b_ih)
        np.copyto(g_b_hh, g_b_ih)
        around.put_back(tokens)
        return loss

    return run
