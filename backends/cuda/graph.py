"""A recorded step as CUDA graphs: the card is given the whole list of kernels at once, and the host one launch a step.

Capturing asks a stream for the work without doing it. What a stream refuses (CuPy's cuBLAS, a host read) is found by
trying: the calls before it and after it become graphs, and it is called between them. Temporaries come from a pool of
the graph's own, so that nobody else is given their memory while the graph can still be launched.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakSet

Run = Callable[[], Any]


class Pool:
    """Memory for the temporaries of a step's graphs, held as long as one of them can be launched."""

    alive: "WeakSet[Pool]" = WeakSet()

    def __init__(self, xp: Any) -> None:
        self._pool = xp.cuda.MemoryPool()
        self.malloc, self.total_bytes = self._pool.malloc, self._pool.total_bytes
        Pool.alive.add(self)


@dataclass
class Replay:
    """How a list of calls is replayed.

    Attributes:
        runs: what to call, one after the other.
        graphs: how many of them launch a graph.
        between: the calls that could not be captured: their place in the list, and why.
    """

    runs: list[Run]
    graphs: int
    between: dict[int, str]


def captured(xp: Any, calls: list[Run]) -> Replay:
    """The calls as few graphs as possible; none of them is carried out."""
    pool = Pool(xp)
    replay = Replay([], 0, {})
    start = 0
    while start < len(calls):
        graph, stopped, why = _capture(xp, pool, calls[start:])
        if stopped and graph is None:
            graph = _capture(xp, pool, calls[start : start + stopped])[0]
        if graph is None:  # not even one: the first is called as it is
            replay.between[start] = why
            replay.runs.append(calls[start])
            start += 1
            continue
        graph.upload(xp.cuda.get_current_stream())
        replay.runs.append(partial(_launch, graph, pool))
        replay.graphs += 1
        start += stopped
    return replay


def _capture(xp: Any, pool: Any, calls: list[Run]) -> tuple[Any, int, str]:
    """The graph of all calls, or None and how many went well before one was refused, and why."""
    stream = xp.cuda.Stream(non_blocking=True)
    done, why, graph = 0, "", None
    with stream, xp.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        try:
            for call in calls:
                call()
                done += 1
        except Exception as error:  # whatever CuPy or CUDA says
            why = f"{type(error).__name__}: {error}".partition("\n")[0]
            with suppress(Exception):  # the refusal has spoiled the capture
                stream.end_capture()
            if isinstance(error, MemoryError):  # called outside a graph, it would find no more room
                raise
        else:
            try:
                graph = stream.end_capture()
            except Exception as error:
                done, why = 0, f"{type(error).__name__}: {error}".partition("\n")[0]
    return graph, done, why


def _launch(graph: Any, pool: Any) -> None:
    """Launch the graph; its memory lives as long as this."""
    graph.launch()
