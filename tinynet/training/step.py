"""Step: what is done for each batch, recorded where that is possible, with the totals that it adds to.

It has two parts: a *share*, which looks at examples, and may be cut up between threads; and an *update*, which looks
at the whole gradient. A recording that fails half-way has changed things already; the step puts them back before it is
taken eagerly.
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
from tinynet.training.precision import products
from tinynet.training.run_state import put_back, standing

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

Totals = dict[str, Tensor]


class Step:
    """A function of a batch, called through the recorder where the backend can replay.

    Args:
        share: (totals, x, y) -> loss; adds to the totals.
        update: what follows once every share is done.
        shares: how many shares a batch is cut into, a thread each.
        inside: how many threads a kernel may use inside; None leaves that to its library.
        counting: whether there are totals; without them the share is given none.

    Attributes:
        recorded: the function as recorded, or None where it runs eagerly.
    """

    def __init__(
        self,
        trainer: "Trainer",
        share: Callable[[Totals, Any, Any], Tensor],
        update: Callable[[], None] | None = None,
        shares: int = 1,
        inside: int | None = None,
        counting: bool = True,
    ) -> None:
        backend = trainer.backend
        self.trainer, self.share, self.update, self.shares, self.inside = trainer, share, update, shares, inside
        counted = ("loss", *trainer.metrics) if counting else ()
        self._totals: list[Totals] = [
            {name: full((), 0.0, "float64", backend) for name in counted} for _ in range(shares)
        ]
        self.recorded: Captured | Sharded | None = None
        self._before: Any = None
        if not (trainer.capture and backend.replayable):
            return
        names = [*trainer.optimizer.named_tensors(), *trainer.model.named_parameters(), *self._totals[0].items()]
        if shares == 1:
            self.recorded = capture(self._whole, backend, names)
        else:
            mean = trainer.loss.reduction != "sum"
            self.recorded = Sharded(self._share, self._finish, trainer.optimizer, shares, mean, backend, names)

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

    def __call__(self, x: Any, y: Any) -> Tensor:
        """Take the step with this batch and return its loss; where it cannot be recorded, undo the attempt and go on
        eagerly."""
        with products(self.trainer.precision):
            return self._taken(x, y)

    def _taken(self, x: Any, y: Any) -> Tensor:
        if self.recorded is None:
            return self._whole(x, y)
        before = self.trainer.backend.use_threads(self.inside) if self.inside else None
        try:
            return self._try(x, y)
        finally:
            if before:
                self.trainer.backend.use_threads(before)

    def _try(self, x: Any, y: Any) -> Tensor:
        assert self.recorded is not None
        try:
            return self.recorded(x, y)
        except CaptureError:
            self._undo()
            if isinstance(self.recorded, Sharded):
                raise
        except BaseException:
            self._undo()
            raise
        self.trainer.optimizer.lay_out()  # no part of a step, and needed where parameters moved or were freed
        try:
            return self.recorded(x, y)
        except CaptureError as error:
            self._undo()
            self.recorded = None
            self.trainer.note(f"running eagerly: {error}")
            return self._whole(x, y)

    def _share(self, shard: int, x: Tensor, y: Tensor) -> Tensor:
        """One share. While it is being recorded, how things stand before the first is noted beside the recording."""
        if shard == 0 and self.recorded is not None:
            with switched(recorder=None):
                self._before = standing(self.trainer), self.read()
        return self.share(self._totals[shard], x, y)

    def _finish(self) -> None:
        if self.update is not None:
            self.update()
        self._before = None

    def _whole(self, x: Tensor, y: Tensor) -> Tensor:
        """The whole batch as one share, and what follows."""
        loss = self._share(0, x, y)
        self._finish()
        return loss

    def _undo(self) -> None:
        """Put back what a failed recording changed."""
        if self._before is not None:
            before, totals = self._before
            put_back(self.trainer, before)
            self.load(totals)
            self._before = None
