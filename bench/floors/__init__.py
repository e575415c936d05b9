"""The floor: a training step of each family as a straight line of NumPy calls, written by hand.

It says what a replay could cost at best: no engine, no graph, no list of calls, only NumPy and what somebody who knows
it well would write. A family is a file, with one function ``share``: the weights, the gradients to fill and a number
of examples make a function that goes forward and backward. Nothing here knows tinynet but for the workload's weights.
"""

import importlib
from typing import Any

from tinynet.bench.floors.floor import Floor, quickest
from tinynet.bench.workload import Workload

FAMILIES = ("mlp", "names", "cnn", "rnn", "lstm", "gpt")


def step(workload: Workload, x: Any, y: Any, threads: int | None = None) -> Floor | None:
    """The step of a workload, to be called with batches like this one; None where none is written for its family.

    Args:
        threads: how many parts the batch is cut into, a thread each; None finds out by trying.
    """
    if workload.family not in FAMILIES:
        return None
    share = importlib.import_module(f"{__name__}.{workload.family}").share
    return quickest(share, workload, x, y) if threads is None else Floor(share, workload, threads)
