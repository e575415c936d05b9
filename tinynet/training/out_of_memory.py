"""A step on a device that has no room for it: everything is put back, room is made, and what would fit is found by
trying.

How things stand is noted, which reads them, before a step that may run out of memory: the first two (one records, one
replays) with a batch larger than any before. Later ones find in the pool what those left there.
"""

import gc
import traceback
from typing import TYPE_CHECKING, Any

from tinynet.errors import DeviceMemoryError
from tinynet.tensor import Tensor

if TYPE_CHECKING:
    from tinynet.training.step import Step

TWICE = 2  # recorded, and replayed


class Guard:
    """Takes a step, and answers for it where memory runs out."""

    def __init__(self, step: "Step") -> None:
        self.step = step
        self._largest, self._taken = 0, 0  # the largest batch so far, and how often it has been taken

    def __call__(self, *batch: Any) -> Tensor:
        """Take the step.

        Raises:
            DeviceMemoryError: there is no room. Its ``fits`` is the largest half, quarter, … of the batch for which
                there is some. Nothing has been changed, unless the message says so.
        """
        step, size = self.step, batch[0].size
        proven = size < self._largest or (size == self._largest and self._taken >= TWICE)
        noted = None if proven else step.noted()
        try:
            loss = step.taken(*batch, noted=noted)
        except MemoryError as error:
            if noted is None and not step.undone:
                raise self._half_taken(error) from error
            return self._answer(batch, noted, error)
        if not proven:
            self._largest, self._taken = size, self._taken + 1 if size == self._largest else 1
        return loss

    def _answer(self, batch: tuple[Any, ...], noted: Any, error: MemoryError) -> Tensor:
        """Make room and try again; if that is not enough, find out what would fit, and say so."""
        step = self.step
        _let_go(error)
        if noted is None:
            noted = step.noted()
        self._put_back(noted)
        again = step.trainer.steps.make_room(step, batch)
        if again is not None:
            try:
                return step.taken(*again, noted=noted)
            except MemoryError as still:
                batch, error = again, still
                _let_go(error)
                self._put_back(noted)
        fits = len(batch[0])
        while (fits := fits // 2) and not self._works([part[:fits] for part in batch], noted):
            pass
        raise self._told(len(batch[0]), fits, error) from error

    def _works(self, batch: list[Any], noted: Any) -> bool:
        """Whether there is room for the step with this batch; it is taken, and everything put back."""
        trial = self.step.anew()
        try:
            for _ in range(TWICE):
                trial.taken(*batch)
        except Exception as error:  # a batch of one may be refused for other reasons
            _let_go(error)
            return False
        finally:
            del trial
            self._put_back(noted)
        return True

    def _put_back(self, noted: Any) -> None:
        """Let things stand as they did, gradients apart, which a step begins anew; and give back what it left."""
        self.step.put_back(noted)
        if self.step.update is not None:
            self.step.trainer.model.zero_grad()
        gc.collect()  # a step and its recording hold each other
        self.step.trainer.backend.tidy()

    def _told(self, size: int, fits: int, error: MemoryError) -> DeviceMemoryError:
        """What there was no room for, and what there would be."""
        what, name = self._words()
        if fits:
            answer = f"batch_size={size} does not fit on {name}; {fits} does."
        elif size == 1:
            answer = f"not even one example fits on {name}: use a smaller model."
        else:
            answer = f"batch_size={size} does not fit on {name}, nor does any half of it: use a smaller model."
        if self.step.placed is not None and self.step.placed.here:
            answer += " Trainer(data_on_device=False) leaves more room."
        told = DeviceMemoryError(f"in {what}, {answer} Everything stands as it did before the step. Tried: {error}")
        told.fits = fits
        return told

    def _half_taken(self, error: MemoryError) -> DeviceMemoryError:
        """There was room before, so nothing was noted."""
        what, name = self._words()
        return DeviceMemoryError(
            f"in {what}, {name} has no room any longer for a batch that it has had room for. Has somebody else taken "
            f"it (nvidia-smi shows who)? The step may be half taken; go on from a checkpoint. Tried: {error}"
        )

    def _words(self) -> tuple[str, str]:
        return "training" if self.step.update else "evaluation", repr(self.step.trainer.backend.name)


def _let_go(error: BaseException) -> None:
    """Let the functions in which an error arose forget their arrays."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        one = one.__cause__ or one.__context__
