"""Contests in batches: the first calls of all contenders of several workloads side by side, then the measuring alone.

On a GPU most of a run is importing and compiling, which takes processor cores and hardly the card; ahead of the
measuring, and together, that is minutes less. First calls then get in each other's way, and their times are the most
that they take. Where the processor is what is measured, a batch is one workload, and first calls come one by one.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tinynet.bench.contest import Contest

ROOM = 1.0  # gigabytes of the card that a process takes with its library loaded
A_CORE = 2  # processes a core, which wait for each other and for files in turn


def batch_size(contenders: int, cores: int, memory_gb: float) -> int:
    """How many workloads may be prepared at once for so many contenders each."""
    return max(1, int(min(A_CORE * cores, memory_gb / ROOM)) // max(contenders, 1))


def batches(contests: Sequence[Contest], size: int) -> Iterator[Sequence[Contest]]:
    """The contests, so many at a time."""
    for start in range(0, len(contests), size):
        yield contests[start : start + size]


@contextmanager
def prepared(batch: Sequence[Contest], together: bool) -> Iterator[None]:
    """Inside, everyone in the batch has taken the first step; afterwards every process is gone."""
    try:
        if together:
            pool = ThreadPoolExecutor(len(batch))
            try:
                list(pool.map(lambda contest: contest.prepare(together=True), batch))
            except BaseException:
                for contest in batch:
                    contest.stop.set()  # nobody waits for an answer any longer
                raise
            finally:
                pool.shutdown()
        else:
            for contest in batch:
                contest.prepare()
        yield
    finally:
        for contest in batch:
            contest.close()
