"""How many threads a training step is worth: found out by taking it, and putting everything back."""

import math
import os
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinynet.dtypes import HALVES
from tinynet.errors import ArgumentError, CaptureError
from tinynet.modes import no_grad
from tinynet.training.precision import computing
from tinynet.training.run_state import put_back, standing

if TYPE_CHECKING:
    from tinynet.training.step import Step
    from tinynet.training.trainer import Trainer

TOO_SMALL = 0.5e-3  # seconds; a shorter step loses more by meeting than it gains
WORTH = 0.95  # of the time that one program takes: what shares must stay below to be preferred
TRIAL = 0.15  # seconds given to each candidate, and three steps at least


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked(threads: Any, trainer: "Trainer") -> Any:
    """The setting ``Trainer(threads=)``, or an error that says what it may be.

    Raises:
        ArgumentError: it is no number of threads, or the backend does not compute on the CPU.
    """
    if threads == "auto" or (isinstance(threads, int) and not isinstance(threads, bool) and threads >= 1):
        backend = trainer.backend
        if threads == "auto" or threads == 1:
            return threads
        if not trainer.capture:
            raise ArgumentError(f"Trainer(threads={threads}, capture=False): threads replay what was recorded.")
        if backend.is_host and backend.replayable:
            return threads
        raise ArgumentError(f"Trainer(threads={threads}) is for kernels on the CPU; {backend.name} has its own ways.")
    raise ArgumentError(f"Trainer(threads={threads!r}): it is a number of at least 1, or 'auto'.")


def separable(trainer: "Trainer", x: Any, y: Any) -> bool:
    """Whether a batch may be cut: its loss is what its halves' losses make, and all gradients are the optimiser's.

    By what the loss says of itself, and by trying, in evaluation and, unless it draws random numbers, in training.
    """
    trained = {p for p in trainer.model.parameters() if p.requires_grad}
    if not trainer.loss.separable or not trained <= set(trainer.optimizer.parameters):
        return False
    before = standing(trainer)
    try:
        with no_grad(), trainer.model.evaluating():
            alike = _adds_up(trainer, x, y)
        with no_grad():
            steady = _loss(trainer, x, y) == _loss(trainer, x, y)
            return alike and (not steady or _adds_up(trainer, x, y))
    finally:
        put_back(trainer, before)


def _loss(trainer: "Trainer", x: Any, y: Any) -> float:
    with computing(trainer.precision):
        return float(trainer.loss(trainer.model(x), y))


def _adds_up(trainer: "Trainer", x: Any, y: Any) -> bool:
    half = len(x) // 2
    if half == 0:
        return True
    whole, first, second = (_loss(trainer, x[s], y[s]) for s in (slice(None), slice(half), slice(half, None)))
    coarse = {trainer.precision, next(trainer.model.parameters()).dtype} & set(HALVES)
    tolerance = 1e-2 if coarse else 1e-4
    joined = first + second if trainer.loss.reduction == "sum" else (first * half + second * (len(x) - half)) / len(x)
    return math.isclose(whole, joined, rel_tol=tolerance, abs_tol=tolerance) or not math.isfinite(whole)


def choose(trainer: "Trainer", step: Callable[[int | None], "Step"], x: Any, y: Any) -> int | None:
    """How many shares a step with such a batch is worth; None for one program, products on the library's own threads.

    Every candidate takes the step a few times; the fastest one wins, a single program unless shares are clearly faster.
    Weights, memory and random numbers are put back to where they were. ``step(shares)`` makes a candidate.
    """
    backend, most = trainer.backend, min(cores(), len(x))
    if most == 1 or not (trainer.capture and backend.is_host and backend.replayable):
        return None
    trainer.optimizer.lay_out()  # what is frozen by now has no memory to put back
    before = standing(trainer)
    try:
        best, least = None, _seconds(step(None), x, y)
        if least < TOO_SMALL or not separable(trainer, x, y):
            return None
        least *= WORTH
        shares = 2
        while shares <= most:
            try:
                seconds = _seconds(step(shares), x, y)
            except CaptureError:
                break
            if seconds < least:
                best, least = shares, seconds
            shares = most if shares < most < 2 * shares else 2 * shares
        return best
    finally:
        put_back(trainer, before)


def _seconds(step: "Step", x: Any, y: Any) -> float:
    """What a step takes: the middle one of a few; the shortest would flatter threads, which at times meet at once."""
    step(x, y)  # records
    step(x, y)
    taken: list[float] = []
    while len(taken) < 3 or (sum(taken) < TRIAL and len(taken) < 20):
        began = time.perf_counter()
        step(x, y)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
