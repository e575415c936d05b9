"""Step: what is done for each batch, recorded where that is possible, with the totals that it adds to.

It has two parts: a *share*, which looks at examples, and may be cut up between threads; and an *update*, which looks
at the whole gradient. A recording that fails half-way has changed things already; the step puts them back before it is
taken eagerly. On a device it does so where memory runs out, too (``out_of_memory.py``).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinynet.errors import CaptureError
from tinynet.functions import full
from tinynet.modes import switched
from tinynet.program import Program
from tinynet.recording import Captured, capture
from tinynet.sharding import Sharded
from tinynet.tensor import Tensor
from tinynet.training.feeding import Placed
from tinynet.training.out_of_memory import Guard
from tinynet.training.precision import products
from tinynet.training.run_state import put_back, standing

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

Totals = dict[str, Tensor]


class Step:
    """A function of a batch, called through the recorder where the backend can replay.

    A batch is what a ``Feed`` gives: (x, y), or the numbers of rows.

    Args:
        share: (totals, *batch) -> loss; adds to the totals.
        update: what follows once every share is done.
        shares: how many shares a batch is cut into, a thread each.
        inside: how many threads a kernel may use inside; None leaves that to its library.
        counting: whether there are totals; without them the share is given none.
        placed: the data on the device from which the share picks rows, if any.

    Attributes:
        backend: where the model was when it was made.
        recorded: the function as recorded, or None where it runs eagerly.
        undone: whether the step taken last failed, and was put back.
    """

    def __init__(
        self,
        trainer: "Trainer",
        share: Callable[..., Tensor],
        update: Callable[[], None] | None = None,
        shares: int = 1,
        inside: int | None = None,
        counting: bool = True,
        placed: Placed | None = None,
    ) -> None:
        self.backend = backend = trainer.backend
        self.trainer, self.share, self.update, self.shares, self.inside = trainer, share, update, shares, inside
        self.placed = placed
        counted = ("loss", *trainer.metrics) if counting else ()
        self._totals: list[Totals] = [
            {name: full((), 0.0, "float64", backend) for name in counted} for _ in range(shares)
        ]
        self.recorded: Captured | Sharded | None = None
        self._before: Any = None
        self.undone = False
        self._guard = None if backend.is_host else Guard(self)
        self._simple = self._guard is None and trainer.precision != "tf32"  # nothing is set, and nothing watched
        self.record_anew()

    def record_anew(self) -> None:
        """Let go of what was recorded; the next call records."""
        trainer, self.recorded = self.trainer, None
        backend = trainer.backend
        if not (trainer.capture and backend.replayable):
            return
        names = [*trainer.optimizer.named_tensors(), *trainer.model.named_parameters(), *self._totals[0].items()]
        if self.shares == 1:
            self.recorded = capture(self._whole, backend, names)
        else:
            mean = trainer.loss.reduction != "sum"
            self.recorded = Sharded(self._share, self._finish, trainer.optimizer, self.shares, mean, backend, names)

    @property
    def program(self) -> Program | None:
        """What was recorded, if anything; of a step in shares the first one's."""
        return self.recorded.program if self.recorded else None

    def reset(self) -> None:
        """Begin the totals anew."""
        for totals in self._totals:
            for total in totals.values():
                total.zero_()

    def read(self) -> dict[str, float]:
        """The totals as numbers. On a GPU this waits for it to finish."""
        return {name: sum(float(totals[name]) for totals in self._totals) for name in self._totals[0]}

    def load(self, totals: dict[str, float]) -> None:
        """Go on adding to these totals."""
        self.reset()
        for name, total in self._totals[0].items():
            total.load_(totals.get(name, 0.0))

    def __call__(self, *batch: Any) -> Tensor:
        """Take the step with this batch and return its loss; where it cannot be recorded, undo the attempt and go on
        eagerly.

        Raises:
            DeviceMemoryError: the device has no room for it; what would fit is said, and nothing has been changed.
        """
        if self._simple:
            return self.taken(*batch)
        with products(self.trainer.precision):
            return self.taken(*batch) if self._guard is None else self._guard(*batch)

    def taken(self, *batch: Any, noted: Any = None) -> Tensor:
        """The step by itself; how things stand before it, if that is noted already, need not be noted again."""
        self._before, self.undone = noted, False
        if self.recorded is None:
            return self._whole(*batch)
        before = self.trainer.backend.use_threads(self.inside) if self.inside else None
        try:
            return self._try(*batch)
        finally:
            if before:
                self.trainer.backend.use_threads(before)

    def _try(self, *batch: Any) -> Tensor:
        assert self.recorded is not None
        try:
            return self._recorded(*batch)
        except CaptureError:
            if isinstance(self.recorded, Sharded):
                raise
        self.trainer.optimizer.lay_out()  # no part of a step, and needed where parameters moved or were freed
        self.record_anew()  # which knows where they are
        try:
            return self._recorded(*batch)
        except CaptureError as error:
            self.recorded, self.undone = None, False
            self.trainer.note(f"running eagerly: {error}")
            return self._whole(*batch)

    def _recorded(self, *batch: Any) -> Tensor:
        """The step through the recorder; what a failed recording changed is put back."""
        assert self.recorded is not None
        try:
            return self.recorded(*batch)
        except BaseException:
            if self._before is not None:
                self.put_back(self._before)
                self.undone = True
            raise
        finally:
            self._before = None

    def _share(self, shard: int, *batch: Tensor) -> Tensor:
        """One share. While it is being recorded, how things stand before the first is noted beside the recording."""
        if shard == 0 and self.recorded is not None:
            with switched(recorder=None):
                self._before = self._before or self.noted()
        return self.share(self._totals[shard], *batch)

    def _finish(self) -> None:
        if self.update is not None:
            self.update()

    def _whole(self, *batch: Tensor) -> Tensor:
        """The whole batch as one share, and what follows."""
        loss = self._share(0, *batch)
        self._finish()
        return loss

    def noted(self) -> Any:
        """How all that a step changes stands."""
        return standing(self.trainer), self.read()

    def put_back(self, noted: Any) -> None:
        """Let all of that stand again as it did."""
        before, totals = noted
        put_back(self.trainer, before)
        self.load(totals)

    def anew(self) -> "Step":
        """The same step, with nothing recorded and totals of its own."""
        counting = bool(self._totals[0])
        return Step(self.trainer, self.share, self.update, self.shares, self.inside, counting, self.placed)
