"""Sharding: one training step on several threads, each with its share of the batch.

Every thread replays a program of its own, recorded on its share, that leaves the gradient in a flat array of its own.
Then the gradients are added up, always in the same order, and the update is replayed once: so a number of threads
gives one result, bit for bit. Another number's differs by the order in which examples are added up, no more.

Replays spend their time in kernels, which run outside Python's lock: that is what lets threads gain.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import combinations, pairwise
from typing import Any

from tinynet.backend import Array, Backend
from tinynet.errors import CaptureError
from tinynet.modes import mode, no_grad, switched
from tinynet.optim import Optimizer
from tinynet.program import Program
from tinynet.recording import Recording
from tinynet.tensor import Tensor

MOST = 8  # sizes of batches kept; an epoch has two


class Sharded:
    """``share`` on each thread's part of a batch, the gradients added up, then ``update`` once.

    Args:
        share: (shard, x, y) -> loss; forgets the gradients, computes the loss of these examples and goes backward.
        update: what is done with the whole gradient.
        optimizer: whose parameters the gradients belong to.
        threads: how many shares a batch is cut into, of sizes that differ by one at most.
        mean: whether the loss of a batch is the mean over its examples, and not their sum.
        backend, names: as for ``capture``.
    """

    def __init__(
        self,
        share: Callable[[int, Tensor, Tensor], Tensor],
        update: Callable[[], Any],
        optimizer: Optimizer,
        threads: int,
        mean: bool,
        backend: Backend,
        names: Any = (),
    ) -> None:
        self.share, self.update, self.optimizer, self.threads = share, update, optimizer, threads
        self.mean, self.backend, self.names = mean, backend, list(names)
        self.program: Program | None = None  # the first share's, of the step taken last
        self._known: dict[Any, _Shares] = {}

    def __call__(self, x: Any, y: Any) -> Tensor:
        """Take the step; returns the loss of the whole batch, a buffer that the next step overwrites.

        Raises:
            CaptureError: a batch of a new size cannot be recorded, or its shares change the same array.
        """
        signature = x.shape, str(x.dtype), y.shape, str(y.dtype), mode.fused, mode.anomaly, mode.autocast
        shares = self._known.get(signature)
        if shares is not None and shares.fit():
            self.program = shares.recordings[0].program
            return shares.replay(x, y)
        if len(self._known) >= MOST:
            self._known.clear()
        shares = self._known[signature] = _Shares(self, x, y)
        self.program = shares.recordings[0].program
        return shares.loss


class _Shares:
    """A step recorded for one size of batch: a recording for each share, and one for what follows."""

    def __init__(self, step: Sharded, x: Any, y: Any) -> None:
        parts = min(step.threads, len(x))
        ends = [len(x) * i // parts for i in range(parts + 1)]
        self.slices = [slice(start, end) for start, end in pairwise(ends)]
        self.weights = [(end - start) / len(x) if step.mean else 1.0 for start, end in pairwise(ends)]
        self.gradients = [[flat.grad for flat in step.optimizer.flats]]
        self.gradients += [[_like(flat) for flat in self.gradients[0]] for _ in range(parts - 1)]
        self.recordings = [self._record(step, shard, x, y) for shard in range(parts)]
        for one, other in combinations([recording.program for recording in self.recordings], 2):
            if any(step.backend.shares_memory(a, b) for a in _overwritten(one) for b in _overwritten(other)):
                raise CaptureError(
                    "threads cannot share a batch where the step changes an array that all of them see, such as the "
                    "running statistics of BatchNorm. Use threads=1."
                )
        self.finish = Recording(lambda: self._finish(step), [], step.backend, step.names)
        self.loss: Tensor = self.finish.result

    def _record(self, step: Sharded, shard: int, x: Any, y: Any) -> Recording:
        part, backend = self.slices[shard], step.backend
        given = [a[part] if isinstance(a, Tensor) else Tensor(a[part], backend=backend) for a in (x, y)]
        with ExitStack() as elsewhere:
            elsewhere.enter_context(switched(shard=shard))
            if shard:
                for flat, gradient in zip(step.optimizer.flats, self.gradients[shard]):
                    elsewhere.enter_context(flat.gradients_in(gradient))
            return Recording(lambda x, y: step.share(shard, x, y), given, backend, step.names)

    def _finish(self, step: Sharded) -> Tensor:
        with no_grad():
            for total, *others in zip(*self.gradients):
                _add_up(total, others, self.weights)
            loss = sum(recording.result * weight for recording, weight in zip(self.recordings, self.weights))
        step.update()
        return loss

    def fit(self) -> bool:
        """Whether a replay would still do what running the functions would."""
        for leaf, gradient in self.recordings[0].gradients:
            leaf.grad = gradient  # where the update looks for it
        return all(recording.fits() for recording in (*self.recordings, self.finish))

    def replay(self, x: Any, y: Any) -> Tensor:
        """All shares at once, the first of them in this thread; then what follows."""
        pool = _pool(len(self.slices) - 1) if len(self.slices) > 1 else None
        (first, here), *others = [(r, (x[part], y[part])) for r, part in zip(self.recordings, self.slices)]
        running = [pool.submit(recording.run, *given) for recording, given in others] if pool else []
        try:
            first.run(*here)
        finally:
            _wait(running)  # nobody may still be at work when this returns, by an error or not
        for future in running:
            future.result()
        result: Tensor = self.finish.replay()
        return result


def _wait(running: list[Any]) -> None:
    """Wait until all are done, Ctrl-C or not; then let it take its course."""
    try:
        wait(running)
    except KeyboardInterrupt:
        _wait(running)
        raise


def _overwritten(program: Program) -> list[Array]:
    return [out for call in program.calls if call.in_place for out in call.outs]


def _like(flat: Tensor) -> Tensor:
    return Tensor.of(flat.backend.full(flat.shape, 0.0, flat.dtype), flat.backend)


def _add_up(total: Tensor, others: list[Tensor], weights: list[float]) -> None:
    """The weighted sum of the shares' gradients, in place of the first; equal weights are applied once, at the end."""
    alike = len(set(weights)) == 1
    if not alike:
        for gradient, weight in zip((total, *others), weights):
            gradient.mul_(weight)
    for other in others:
        total.add_(other)
    if alike and weights[0] != 1:
        total.mul_(weights[0])


_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads beside this one, kept from step to step; a forked process starts its own."""
    key = os.getpid(), threads
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="tinynet share")
    return _pools[key]
