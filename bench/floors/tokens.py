"""Tokens by hand: rows of a table looked up, their gradients added up in their places, and scores for the next one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.bench.floors.parts import cross_entropy, room


def look_up(table: Any, out: Any) -> Callable[[Any], Any]:
    """A function of tokens: their rows, into ``out``, which holds their numbers one after the other."""
    rows = out.reshape(-1, table.shape[1])
    return lambda x: table.take(x.reshape(-1), 0, rows, "clip")


def put_back(g_table: Any, slope: Any) -> Callable[[Any], Any]:
    """A function of tokens: 0, and each row of the slope added where its token's row is. Number by number, which NumPy
    does several times as quickly as row by row."""
    width, within = np.asarray(g_table.shape[1]), np.arange(g_table.shape[1])
    places = np.empty((slope.size // len(within), len(within)), np.int64)
    starts, all_places = np.empty((len(places), 1), np.int64), places.reshape(-1)
    total, one_by_one = g_table.reshape(-1), slope.reshape(-1)

    def run(x: Any) -> None:
        total.fill(0)
        np.multiply(x.reshape(-1, 1), width, starts)
        np.add(starts, within, places)
        np.add.at(total, all_places, one_by_one)

    return run


class Characters:
    """What stands around a recurrent layer: its input from a table, and scores from its states, (steps · rows, …)."""

    def __init__(self, w: dict[str, Any], g: dict[str, Any], rows: int, steps: int, count: int) -> None:
        table, self.w, bias = w["embedding.weight"], w["head.weight"], w["head.bias"]
        self.g_w, self.g_b, self.bias = g["head.weight"], g["head.bias"], bias[:, None]
        self.x, self.d_x = (room(steps * rows, table.shape[1]) for _ in range(2))
        self.states, self.d_states = (room(steps * rows, self.w.shape[1]) for _ in range(2))
        self.logits, self.ones = room(len(self.w), steps * rows), np.ones(steps * rows, np.float32)
        self.entropy = cross_entropy(self.logits, steps * count)
        self.find, self.add_up = look_up(table, self.x), put_back(g["embedding.weight"], self.d_x)

    def look_up(self, tokens: Any) -> None:
        """From tokens, (rows, steps), to the input of the layer."""
        self.find(tokens.T)

    def put_back(self, tokens: Any) -> None:
        """From the slope of that input to the table's."""
        self.add_up(tokens.T)

    def scores(self, y: Any) -> Any:
        """The loss of the states; fills their gradients, and those of the weights that score them."""
        self.w.dot(self.states.T, self.logits)
        np.add(self.logits, self.bias, self.logits)
        loss = self.entropy(y.T.reshape(-1))
        self.logits.dot(self.states, self.g_w)
        self.logits.dot(self.ones, self.g_b)
        self.logits.T.dot(self.w, self.d_states)
        return loss
