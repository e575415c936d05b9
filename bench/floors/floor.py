"""A step by hand: the batch whole, or in parts with a thread each; then plain SGD on all weights at once.

Separate from the families, whose files hold forward, loss and backward alone. It does by hand what the Trainer does
with ``threads="auto"``, so that the floor is no worse off on several cores.
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from tinynet.bench.floors.parts import room
from tinynet.bench.workload import Workload

Run = Callable[[Any, Any], Any]  # (x, y) -> loss; fills the gradients
Share = Callable[..., Run]  # (workload, weights, gradients, rows, count) -> run
SHORT = 0.5e-3  # seconds; a shorter step loses more by two threads meeting than it gains
TRIAL = 0.2  # seconds given to each way
WORTH = 0.95  # of the time that the batch takes as a whole: what threads must stay below to be preferred


class Floor:
    """A training step, called with a batch; returns the loss before the update.

    Args:
        share: what a family's file makes: forward and backward of so many examples, their part of the batch's mean.
        threads: how many parts the batch is cut into. With one, BLAS uses the threads it is set to; with several, one.

    Attributes:
        weights: by PyTorch's names, views of one flat array.
    """

    def __init__(self, share: Share, workload: Workload, threads: int = 1) -> None:
        self.flat, self.weights = flat(workload.weights())
        count = workload.batch
        ends = [count * i // threads for i in range(threads + 1)]
        self.parts = [slice(start, end) for start, end in pairwise(ends) if start < end]
        self.gradients, self.runs = [], []
        for part in self.parts:
            gradient, by_name = flat(self.weights)
            self.gradients.append(gradient)
            self.runs.append(share(workload, self.weights, by_name, part.stop - part.start, count))
        self.rate = np.asarray(workload.learning_rate, self.flat.dtype)

    def __call__(self, x: Any, y: Any) -> Any:
        """Forward, backward, update."""
        others = self.runs[1:]
        if others:
            before = [library.get_num_threads() for library in _blas()]
            for library in _blas():
                library.set_num_threads(1)
            (run, here), *elsewhere = zip(self.runs, self.parts)
            running = [_pool(len(others)).submit(run, x[part], y[part]) for run, part in elsewhere]
            loss = sum((later.result() for later in running), run(x[here], y[here]))
            for library, count in zip(_blas(), before):
                library.set_num_threads(count)
        else:
            loss = self.runs[0](x, y)
        total, *rest = self.gradients
        for gradient in rest:
            np.add(total, gradient, total)
        np.multiply(total, self.rate, total)
        np.subtract(self.flat, total, self.flat)
        return loss


def quickest(share: Share, workload: Workload, x: Any, y: Any) -> Floor:
    """The step whole or with a thread for each core, whichever is quicker when tried."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    whole = _seconds(Floor(share, workload), x, y)
    several = whole > SHORT and 1 < cores <= len(x)
    threads = cores if several and _seconds(Floor(share, workload, cores), x, y) < WORTH * whole else 1
    return Floor(share, workload, threads)


def flat(arrays: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A copy of all arrays in one, end to end, and views of it by their names."""
    ends = np.cumsum([0, *(array.size for array in arrays.values())])
    whole = np.concatenate([array.ravel() for array in arrays.values()], out=room(ends[-1]))
    parts = [whole[start:end] for start, end in pairwise(ends)]
    return whole, {name: part.reshape(array.shape) for (name, array), part in zip(arrays.items(), parts)}


def _seconds(step: Floor, x: Any, y: Any) -> float:
    """What a step takes: the median, since threads that wait for each other are at times quick and at times not."""
    step(x, y)
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < TRIAL:
        began = time.perf_counter()
        step(x, y)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@cache
def _blas() -> list[Any]:
    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
