"""makemore's network by hand: rows of a table side by side, a layer of tanh, scores for the next character."""

from typing import Any

import numpy as np

from tinynet.bench.floors.floor import Run
from tinynet.bench.floors.parts import constant, cross_entropy, room
from tinynet.bench.floors.tokens import look_up, put_back


def share(workload: Any, w: dict[str, Any], g: dict[str, Any], rows: int, count: int) -> Run:
    """Forward and backward for so many examples, x: (rows, characters)."""
    table, w_1, b_1, w_2, b_2 = w.values()
    g_table, g_w_1, g_b_1, g_w_2, g_b_2 = g.values()
    units = len(w_1)
    ones, one = np.ones(rows, np.float32), constant(1)
    looked_up, d_looked_up = room(rows, w_1.shape[1]), room(rows, w_1.shape[1])
    bent, d_bent, slope = (room(units, rows) for _ in range(3))
    scores = room(len(w_2), rows)
    find, add_up = look_up(table, looked_up), put_back(g_table, d_looked_up)
    entropy, b_1, b_2 = cross_entropy(scores, count), b_1[:, None], b_2[:, None]

    def run(x: Any, y: Any) -> Any:
        find(x)
        w_1.dot(looked_up.T, bent)
        np.add(bent, b_1, bent)
        np.tanh(bent, bent)
        w_2.dot(bent, scores)
        np.add(scores, b_2, scores)
        loss = entropy(y)
        scores.dot(bent.T, g_w_2)
        scores.dot(ones, g_b_2)
        w_2.T.dot(scores, d_bent)
        np.multiply(bent, bent, slope)
        np.subtract(one, slope, slope)
        np.multiply(d_bent, slope, d_bent)
        d_bent.dot(looked_up, g_w_1)
        d_bent.dot(ones, g_b_1)
        d_bent.T.dot(w_1, d_looked_up)
        add_up(x)
        return loss

    return run
