"""``Published``: a result from a book, a paper or a repository, and the function that reaches for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.training import History
from tinynet.training.progress import make_progress


@dataclass(frozen=True)
class Effort:
    """How to run a reproduction.

    Attributes:
        quick: a short run, held to the short run's own expectation.
        seed: of initial weights, batches and everything drawn.
        directory: where data files lie; ``$TINYNET_DATA`` and the cache where None.
        progress: as for ``Trainer.fit``.
    """

    quick: bool = False
    seed: int = 0
    directory: str | None = None
    progress: bool | str = False

    def finished(self, history: History) -> None:
        """Refuse a training run that did not come to its end: what it reached is no result.

        Raises:
            KeyboardInterrupt: it was interrupted.
            ArgumentError: its loss was not finite.
        """
        if history.stopped == "interrupted":
            raise KeyboardInterrupt
        if history.stopped != "epochs":
            raise ArgumentError(f"the run ended early, after {len(history.epochs)} epochs: {history.stopped}.")

    def steps(self, step: Callable[[int], Any], count: int, shown: Callable[[], str]) -> None:
        """Call ``step(0)`` … ``step(count - 1)`` under a progress bar; ``shown()`` is the text beside it."""
        bar = make_progress(self.progress, 1, count)
        try:
            for i in range(count):
                step(i)
                if bar.due():
                    bar.batch(0, i + 1, shown())
            bar.epoch(f"{count:,} steps  {shown()}")
        finally:
            bar.close()


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        name: how it is asked for.
        source: who published it, and where.
        setting: what was trained, on what, for how long.
        figure: the published figure in words; "" where the source gives none for this setting.
        unit: ``%`` (larger is better) or another, such as ``nats`` (smaller is better).
        expect, expect_quick: what a full and a quick run must reach.
        minutes, minutes_quick: about how long they take on two cores.
        run: takes an Effort, returns what was reached.
    """

    name: str
    source: str
    setting: str
    figure: str
    unit: str
    expect: float
    expect_quick: float
    minutes: float
    minutes_quick: float
    run: Callable[[Effort], float]

    def good(self, reached: float, quick: bool) -> bool:
        """Whether what was reached meets the expectation."""
        wanted = self.expect_quick if quick else self.expect
        return reached >= wanted if self.unit == "%" else reached <= wanted

    def words(self, value: float) -> str:
        """A figure of this result as it is written: ``98.78 %``, ``1.88 nats``."""
        return f"{value:.2f} %" if self.unit == "%" else f"{value:.4g} {self.unit}"
