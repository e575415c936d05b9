"""Each thread's own switches: whether operations remember how their results were made, whether fused kernels stand in
for their references, in what precision products are computed, whether layers look for numbers that are not finite, and
which program is being recorded."""

import threading
from contextlib import ContextDecorator
from typing import Any, Protocol


class Recorder(Protocol):
    """Told of everything that matters to a replay while a step is being recorded (``program.py``)."""

    def record(
        self, backend: Any, name: str, kernel: Any, inputs: tuple[Any, ...], out: Any, params: Any, in_place: bool
    ) -> None:
        """One kernel ran; ``in_place`` where it filled an array that was there."""

    def refuse(self, why: str) -> None:
        """Something happened that a replay could not repeat."""

    def accumulates(self, leaf: Any, grad: Any) -> None:
        """A leaf's gradient, so far ``grad``, is being added to, or looked at."""

    def forgets(self, leaf: Any) -> None:
        """A leaf's gradient is forgotten."""

    def looks_at(self, module: Any, training: bool) -> None:
        """The step depends on whether a module is in training mode."""


class _Mode(threading.local):
    remember = True
    fused = True
    autocast: str | None = None  # the half floats that products take (``precision.py``)
    products: str | None = None  # how float32 is multiplied, where that is not the process's setting
    anomaly = False
    recorder: Recorder | None = None
    shard = 0  # which share of a batch is being recorded (``sharding.py``)


mode = _Mode()


class switched(ContextDecorator):  # noqa: N801 - read as a verb
    """The mode changed inside a ``with`` block, or inside a function that this decorates."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.before: list[dict[str, Any]] = []

    def __enter__(self) -> None:
        self.before.append({name: getattr(mode, name) for name in self.changes})
        vars(mode).update(self.changes)

    def __exit__(self, *_: object) -> None:
        vars(mode).update(self.before.pop())

    def _recreate_cm(self) -> "switched":
        return switched(**self.changes)  # one for each call: a decorated function may run in several threads


def refuse_while_recording(what: str) -> None:
    """Complain, if a step is being recorded, of what a replay could not repeat."""
    if mode.recorder is not None:
        mode.recorder.refuse(what)


def no_grad() -> Any:
    """Inside ``with tn.no_grad():`` nothing is remembered, so nothing can be differentiated; also a decorator."""
    return switched(remember=False)


def reference() -> Any:
    """Inside ``with tn.reference():`` every fused primitive runs as the plain operations that define it."""
    return switched(fused=False)


def detect_anomaly() -> Any:
    """Inside ``with tn.detect_anomaly():`` every layer looks for nan and inf in its input, its output and the gradient
    that comes back, and raises a NonFiniteError that names the first layer to see one.

    Looking costs a pass over every array and, on a GPU, waits for it; steps run eagerly, since a replay cannot look.
    """
    return switched(anomaly=True)
