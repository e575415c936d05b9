"""The least time that some work takes on a GPU, from Python or inside a CUDA graph: for rates, not for the contest."""

import time
from collections.abc import Callable, Sequence
from typing import Any

Run = Callable[[], Any]


def least(runs: Sequence[Run], count: int, wait: Run, seconds: float) -> float:
    """Seconds of one of ``count`` pieces of work that the runs do together: the least of as many as fit into the time.

    Args:
        wait: waits for the device.
    """
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        wait()
        began = time.perf_counter()
        for run in runs:
            run()
        wait()
        best = min(best, (time.perf_counter() - began) / count)
    return best


def in_graph(run: Run, count: int, backend: Any, seconds: float) -> float:
    """Seconds of one of ``count`` pieces of work in a CUDA graph, as replays do them.

    Raises:
        RuntimeError: a graph cannot hold it.
    """
    from tinynet.backends.cuda.graph import captured

    run()  # compiled
    replay = captured(backend.xp, [run] * count)
    if replay.between:
        raise RuntimeError(f"not captured: {next(iter(replay.between.values()))}")
    return least(replay.runs, count, backend.synchronize, seconds)
