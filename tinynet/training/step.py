"""Step: what is done for each batch, recorded where that is possible, with the totals that it adds to.

A recording that fails half-way has changed things already; the step puts them back before it is taken eagerly.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinynet.errors import CaptureError
from tinynet.functions import full
from tinynet.modes import switched
from tinynet.program import Program
from tinynet.recording import Captured, capture
from tinynet.tensor import Tensor
from tinynet.training.run_state import put_back, standing

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

Totals = dict[str, Tensor]


class Step:
    """A function of a batch, called through the recorder where the backend can replay.

    Attributes:
        totals: name -> a running sum on the device; the function adds to them.
        recorded: the function as recorded, or None where it runs eagerly.
    """

    def __init__(self, trainer: "Trainer", function: Callable[[Totals, Any, Any], None]) -> None:
        backend = trainer.backend
        self.trainer, self.function = trainer, function
        self.totals: Totals = {name: full((), 0.0, "float64", backend) for name in ("loss", *trainer.metrics)}
        self.recorded: Captured | None = None
        if trainer.capture and backend.replayable:
            names = [*trainer.optimizer.named_tensors(), *trainer.model.named_parameters(), *self.totals.items()]
            self.recorded = capture(self._record, backend, names)
        self._before: Any = None

    @property
    def program(self) -> Program | None:
        """What was recorded, if anything."""
        return self.recorded.program if self.recorded else None

    def reset(self) -> None:
        """Begin the totals anew."""
        for total in self.totals.values():
            total.zero_()

    def read(self) -> dict[str, float]:
        """The totals as numbers. On a GPU this waits for it to finish."""
        return {name: float(total) for name, total in self.totals.items()}

    def load(self, totals: dict[str, float]) -> None:
        """Go on adding to these totals."""
        for name, total in self.totals.items():
            total.load_(totals.get(name, 0.0))

    def __call__(self, x: Any, y: Any) -> None:
        """Take the step with this batch; where it cannot be recorded, undo the attempt and go on eagerly."""
        if self.recorded is not None:
            try:
                self.recorded(x, y)
            except CaptureError:
                self._undo()
                self.trainer.optimizer.lay_out()  # no part of a step, and needed where parameters moved or were freed
                self._try_again(x, y)
        else:
            self.function(self.totals, x, y)

    def _try_again(self, x: Any, y: Any) -> None:
        assert self.recorded is not None
        try:
            self.recorded(x, y)
        except CaptureError as error:
            self._undo()
            self.recorded = None
            self.trainer.note(f"running eagerly: {error}")
            self.function(self.totals, x, y)

    def _record(self, x: Tensor, y: Tensor) -> None:
        """Called only while recording: note how things stand, beside the recording, and take the step."""
        with switched(recorder=None):
            self._before = standing(self.trainer), self.read()
        self.function(self.totals, x, y)
        self._before = None

    def _undo(self) -> None:
        """Put back what a failed recording changed."""
        if self._before is not None:
            before, totals = self._before
            put_back(self.trainer, before)
            self.load(totals)
            self._before = None
