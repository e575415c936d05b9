"""Steps: what a trainer does with a batch, in training and in evaluation, and the recordings of it that are kept."""

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinynet.data import DataLoader
from tinynet.errors import ArgumentError
from tinynet.modes import no_grad
from tinynet.optim import clip_grad_norm_
from tinynet.program import Program
from tinynet.staleness import recordings
from tinynet.tensor import Tensor
from tinynet.training.admission import as_target
from tinynet.training.feeding import Placed, fed
from tinynet.training.precision import checked_precision, computing
from tinynet.training.step import Step, Totals
from tinynet.training.threads import checked, choose, separable

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

Make = Callable[[int | None], Step]  # the step in so many shares


MOST = 64  # steps kept, and kinds of batch that have been tried


class Steps:
    """The steps of a trainer, made when they are first wanted and kept while what they consist of stays.

    Attributes:
        shares: how many shares the batches of this run are cut into; None is one, whose products use their library's
            own threads.
    """

    def __init__(self, trainer: "Trainer") -> None:
        self.trainer = trainer
        self.shares: int | None = None
        self._steps: dict[Any, Step] = {}
        self._tried: dict[Any, int | None] = {}  # how many shares threads="auto" found best
        self._single: tuple[Any, Step] | None = None  # the step of train_on_batch, and what it is made of

    # --- what they do -------------------------------------------------------------------------------------------------

    def _forward(self, totals: Totals, x: Any, y: Any) -> Tensor:
        """The loss of some examples; it and the metrics are added to the running totals."""
        trainer = self.trainer
        with computing(trainer.precision):
            prediction = trainer.model(x)
            loss: Tensor = trainer.loss(prediction, y)
        if totals:
            with no_grad():
                totals["loss"].add_(loss.detach() * len(x) if trainer.loss.reduction != "sum" else loss.detach())
                for name, metric in trainer.metrics.items():
                    totals[name].add_(metric(trainer.loss, prediction.detach(), as_target(y, prediction)))
        return loss

    def _share(self, totals: Totals, x: Any, y: Any) -> Tensor:
        self.trainer.model.zero_grad()
        loss = self._forward(totals, x, y)
        scaler = self.trainer.scaler
        (scaler.scale(loss) if scaler else loss).backward()
        return loss

    def _update(self, examples: int) -> None:
        trainer, scaler = self.trainer, self.trainer.scaler
        if scaler:
            scaler.unscale_(trainer.optimizer)
        with no_grad():
            if trainer.l2:
                for w in trainer.model.parameters():
                    if w.ndim > 1 and w.grad is not None:
                        w.grad.add_(w * (trainer.l2 / examples))
            if trainer.clip_norm:
                clip_grad_norm_(trainer.model.parameters(), trainer.clip_norm)
        if scaler:
            scaler.step(trainer.optimizer)
            scaler.update()
        else:
            trainer.optimizer.step()

    def _look(self, totals: Totals, x: Any, y: Any) -> Tensor:
        with no_grad():
            return self._forward(totals, x, y)

    # --- which is taken -----------------------------------------------------------------------------------------------

    def training(self, examples: int, placed: Placed | None = None) -> Step:
        """The step of this run, for a training set of so many examples, which may lie on the device."""
        return self.training_in(self.shares, examples, placed=placed)

    def training_in(
        self, shares: int | None, examples: int, counting: bool = True, placed: Placed | None = None
    ) -> Step:
        """The training step in so many shares, its totals at 0, or without totals."""
        trainer = self.trainer
        key = ("train", *self._made_of(), trainer.l2, trainer.clip_norm, examples, shares, counting, placed)
        update = lambda: self._update(examples)
        share = fed(self._share, placed)
        return self._kept(key, lambda: Step(trainer, share, update, shares or 1, shares and 1, counting, placed))

    def evaluation(self, placed: Placed | None = None) -> Step:
        """The step that only looks."""
        key = ("evaluate", *self._made_of(), placed)
        return self._kept(key, lambda: Step(self.trainer, fed(self._look, placed), placed=placed))

    def single(self, examples: int, x: Any, y: Any) -> Step:
        """The step for a batch by itself, without totals; looked up again once something has changed."""
        trainer = self.trainer
        loss = trainer.loss, trainer.loss.reduction
        parts = trainer.model, loss, trainer.optimizer, trainer.capture, trainer.threads
        made_of = recordings.version, parts, trainer.precision, trainer.l2, trainer.clip_norm, examples
        if self._single is None or self._single[0] != made_of:
            make: Make = lambda shares: self.training_in(shares, examples, counting=False)
            self._single = made_of, make(self._found(make, x, y))
        return self._single[1]

    def decide(self, loader: DataLoader, begun_with: int | None = None) -> None:
        """Settle into how many shares the batches of this run are cut; a resumed one was begun with so many."""
        trainer, first = self.trainer, slice(loader.batch_size)
        trainer.model.train()
        make: Make = lambda shares: self.training_in(shares, len(loader.dataset))
        self.shares = self._found(make, loader.dataset.x[first], loader.dataset.y[first])
        shares, begun = min(self.shares or 1, loader.batch_size), min(begun_with or 1, loader.batch_size)
        if shares > 1 and shares != begun:
            trainer.note(f"each batch is cut into {shares} shares, a thread each")
        if begun_with is not None and shares != begun:
            trainer.note(f"the run was begun with {begun} of them: its last digits are not what they would have been")

    def _found(self, make: Make, x: Any, y: Any) -> int | None:
        """The number of shares as set, or as trying showed, once for each kind of batch; ``make(shares)`` makes a step
        to try, and those that were not chosen are let go, with all their memory."""
        trainer = self.trainer
        checked(trainer.threads, trainer)
        checked_precision(trainer.precision, trainer)
        for what, given in (("x", x), ("y", y)):
            if not hasattr(given, "shape") or not len(given):
                raise ArgumentError(f"a batch is two arrays or tensors with a row an example; {what} is {given!r:.40}.")
        if len(self._tried) >= MOST:
            self._tried.clear()
        key = *self._made_of(), trainer.threads, x.shape, y.shape
        if key not in self._tried and trainer.threads == "auto":
            self._leave_other_backends()
            known = self._steps.copy()
            self._tried[key] = choose(trainer, make, x, y)
            chosen = make(self._tried[key])
            self._steps = known | {name: step for name, step in self._steps.items() if step is chosen}
            gc.collect()  # a step and its recording hold each other
            trainer.backend.tidy()
        elif key not in self._tried:
            if trainer.threads > 1 and not separable(trainer, x, y):
                raise ArgumentError(
                    f"Trainer(threads={trainer.threads}): with {trainer.loss!r} and this model the loss of a batch is "
                    "not the mean of its parts' losses, so threads cannot share it. Use threads=1."
                )
            self._tried[key] = int(trainer.threads)
        return self._tried[key]

    def _made_of(self) -> tuple[Any, ...]:
        trainer = self.trainer
        parts = trainer.model, trainer.loss, trainer.loss.reduction, trainer.optimizer, *trainer.metrics.items()
        return trainer.backend.name, parts, trainer.capture, trainer.precision

    def _kept(self, key: Any, make: Any) -> Step:
        if key not in self._steps:
            self._leave_other_backends()
            if len(self._steps) >= MOST:
                self._steps.pop(next(iter(self._steps)))  # the oldest
            self._steps[key] = make()
        self._steps[key].reset()
        return self._steps[key]

    def _leave_other_backends(self) -> None:
        """Let go of what a model that has moved left behind: steps, and data that were placed there."""
        backend = self.trainer.backend
        if any(step.backend is not backend for step in self._steps.values()):
            self._steps = {key: step for key, step in self._steps.items() if step.backend is backend}
            self._single = None
            gc.collect()  # a step and its recording hold each other
        self.trainer.feeding.leave_other_backends()

    def forget_eager(self) -> None:
        """Let go of the steps that could not be recorded."""
        self._steps = {key: step for key, step in self._steps.items() if step.recorded}

    def forget(self, placed: Placed) -> None:
        """Let go of the steps that pick rows of data that are on the device no longer."""
        self._steps = {key: step for key, step in self._steps.items() if step.placed is not placed}
        gc.collect()  # a step and its recording hold each other
        self.trainer.backend.tidy()

    def make_room(self, wanted: Step, batch: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Let go of memory that other steps hold, and of data on the device unless they were asked to be there; the
        batch as it can be taken then, or None where there was nothing to let go of."""
        placed, recorded = wanted.placed, [step for step in self._steps.values() if step.program]
        leaves = placed is not None and placed.here and self.trainer.data_on_device == "auto"
        if not recorded and not leaves:
            return None
        if placed is not None and leaves:
            batch = placed.on_host(*batch)
            placed.leave()
            self.trainer.note("data leave the device, where they leave no room: batches go there one by one")
        for step in recorded:
            step.record_anew()
        gc.collect()
        self.trainer.backend.tidy()
        return batch

    @property
    def words(self) -> str:
        """How the training step that was recorded last is taken."""
        found = self._last
        calls = f"{len(found.program or []) if found else 0} calls"
        return f"{calls} in each of {found.shares} threads" if found and found.shares > 1 else f"{calls} a step"

    @property
    def program(self) -> Program | None:
        """The training step that was recorded last."""
        return self._last.program if self._last else None

    @property
    def _last(self) -> Step | None:
        found = [step for key, step in self._steps.items() if key[0] == "train" and step.program]
        return found[-1] if found else None
