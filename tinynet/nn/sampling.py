"""Sampling: one class for each row of logits, drawn as likely as these say."""

import math
from random import Random
from typing import Any


def drawn(logits: Any, temperature: float, top_k: int | None, chance: Random) -> list[int]:
    """A class for each row of logits (a NumPy array), by softmax(logits / temperature).

    Args:
        temperature: 0 takes the likeliest.
        top_k: draw from the k likeliest alone.
    """
    if not temperature:
        return list(map(int, logits.argmax(1)))
    logits = logits.astype("float64")
    powers = math.e ** ((logits - logits.max(1, keepdims=True)) / temperature)
    if top_k is not None and top_k < powers.shape[1]:
        ordered = powers.copy()
        ordered.sort(axis=1)
        powers[powers < ordered[:, -top_k, None]] = 0
    sums = powers.cumsum(1)
    return [int((row <= chance.random() * row[-1]).sum().clip(max=len(row) - 1)) for row in sums]
