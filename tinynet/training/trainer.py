"""Trainer: the training loop, written once and carefully.

It can be interrupted at any moment and resumed exactly; it reads nothing back from a device more often than it draws.
"""

import math
import os
import time
from collections.abc import Sequence
from typing import Any

from tinynet.backend import Backend
from tinynet.data import DataLoader
from tinynet.errors import ArgumentError, DeviceMemoryError, TypeMismatch
from tinynet.nn.losses import Loss
from tinynet.nn.module import Module
from tinynet.optim import GradScaler, Optimizer, Schedule
from tinynet.program import Program
from tinynet.tensor import Tensor
from tinynet.training.admission import Data, as_dataset, as_loader, check
from tinynet.training.callbacks import Callback, OverfittingWarning
from tinynet.training.feeding import Feed, Feeding, checked_place
from tinynet.training.history import History
from tinynet.training.interruption import Interruption
from tinynet.training.metrics import TAKEN, find_metrics
from tinynet.training.precision import checked_precision, computing, products
from tinynet.training.progress import Progress, make_progress
from tinynet.training.run_state import load_run, pack_callbacks, save_run
from tinynet.training.step import Step
from tinynet.training.steps import Steps
from tinynet.training.threads import checked

LOOKED_AT = 1000  # examples at a time, where nothing is learned from them


class Trainer:
    """Trains a model: batches, loss, backward, update, and what belongs around them.

    >>> trainer = Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(lr=0.5), metrics=["accuracy"])
    >>> history = trainer.fit(train, validation=valid, epochs=30, batch_size=10)

    Args:
        model: any Module; its parameters say on which backend it trains.
        loss: what is made small.
        optimizer: the update rule; one without parameters is given the model's.
        metrics: ``"accuracy"``, ``"error"``, or functions (loss, prediction, target) -> how many examples count.
        schedule: how the learning rate changes, stepped once an epoch.
        l2: λ. Adds λ/(2n) Σ w² to the cost, n the number of training examples, w the weights without the biases
            (Nielsen, chapter 3). The loss reported is without it.
        clip_norm: hold the norm of the whole gradient to this.
        capture: record the step once and replay it; where that is impossible, say so and run it eagerly.
        threads: how many shares each batch is cut into, a thread and a core each; the result for a number of threads is
            the same every time, bit for bit. ``"auto"`` tries on the first batch and takes what is fastest: one program
            for small networks, a share for each core for large ones. What it took is in ``history.notes``.
        precision: what a step computes in. ``"float32"``; ``"tf32"``, float32 whose products a GPU may compute in TF32;
            ``"bfloat16"`` or ``"float16"``, mixed precision: products in half floats, losses, normalisation and
            parameters in float32 (``tn.autocast``), with float16 a loss that is scaled (``tn.GradScaler``).
        data_on_device: on a device, whether ``fit`` copies its data there once, as they are when it begins, and steps
            pick their rows there; if not, batches go over one by one. ``"auto"`` copies data that take at most a
            quarter of the memory that is free. The batches are the same; ``history.notes`` says where the data are.
        callbacks: looked at after each epoch; a warning of overfitting is always among them.
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        metrics: Any = (),
        *,
        schedule: Schedule | None = None,
        l2: float = 0.0,
        clip_norm: float | None = None,
        capture: bool = True,
        threads: int | str = "auto",
        precision: str = "float32",
        data_on_device: bool | str = "auto",
        callbacks: Sequence[Callback] = (),
    ) -> None:
        for what, given, kind in (("model", model, Module), ("loss", loss, Loss), ("optimizer", optimizer, Optimizer)):
            if not isinstance(given, kind):
                raise TypeMismatch(
                    f"Trainer({what}=) takes a {kind.__name__}; got {given!r:.60}. Does it still need its parentheses?"
                )
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeMismatch(
                    f"Trainer(callbacks=) takes a list of Callbacks; got {callback!r:.60}. Does it still need its "
                    "parentheses?"
                )
        if not l2 >= 0 or not (clip_norm is None or clip_norm > 0):
            raise ArgumentError(f"Trainer(l2={l2}, clip_norm={clip_norm}): l2 is at least 0 and clip_norm above 0.")
        self.model, self.loss, self.optimizer, self.schedule = model, loss, optimizer, schedule
        self.metrics = find_metrics(metrics)
        self.l2, self.clip_norm, self.capture = l2, clip_norm, capture
        self.callbacks = [*callbacks, OverfittingWarning()]
        self.threads = checked(threads, self)
        self.precision = checked_precision(precision, self)
        self.scaler = GradScaler() if precision == "float16" else None
        self.data_on_device = checked_place(data_on_device)
        if schedule is not None and schedule.optimizer not in (None, optimizer):
            raise ArgumentError("Trainer(schedule=) steers another optimiser already. Make the schedule without one.")
        if not optimizer.bound:
            optimizer.bind(model.parameters())
        elif set(model.parameters()).isdisjoint(optimizer.parameters):
            raise ArgumentError(
                f"Trainer(optimizer=) updates another model, or a copy of this one. Give it this one's parameters, or "
                f"none: {type(optimizer).__name__}(lr={optimizer.lr:g})."
            )
        if schedule is not None and schedule.optimizer is None:
            schedule.bind(optimizer)
        self.history = History()
        self._progress = Progress(0, 0)
        self._ctrl_c = Interruption()
        self.steps = Steps(self)
        self.feeding = Feeding(self)

    @property
    def backend(self) -> Backend:
        """Where the model's parameters are, and so where it trains."""
        return self._first_parameter().backend

    def _first_parameter(self) -> Tensor:
        first = next(self.model.parameters(), None)
        if first is None:
            raise ArgumentError("the model has no parameters: there is nothing to train.")
        return first

    @property
    def program(self) -> Program | None:
        """The recorded training step, or None; print it to see what a step is made of."""
        return self.steps.program

    # --- training -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        train: Data,
        validation: Data | None = None,
        epochs: int = 1,
        batch_size: int = 32,
        *,
        shuffle: bool = True,
        seed: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        resume: bool | str | os.PathLike[str] = False,
        progress: bool | str = True,
        callbacks: Sequence[Callback] = (),
    ) -> History:
        """Train for a number of epochs.

        Args:
            train, validation: a Dataset, a pair (x, y), or a DataLoader, whose batches train the model from its first
                epoch on; the loader itself stays as it is.
            epochs: how many in all; a resumed run counts those it had done.
            batch_size: examples a step; the last batch of an epoch is whatever remains.
            shuffle, seed: each epoch takes the examples in an order that (seed, epoch) determines. A DataLoader has its
                own batch size, shuffle and seed.
            checkpoint: where to save the run after each epoch, and when it is interrupted.
            checkpoint_every: save it every so many steps as well.
            resume: go on from ``checkpoint`` if that file exists (True), or from the file named here. The run then
                ends, bit for bit on NumPy, as if it had never been interrupted; its learning rate is the saved one. A
                run that a callback had stopped stays stopped.
            progress: True shows a bar or lines as fits the output, False nothing, ``"log"`` a line an epoch.

        Returns:
            The History. Ctrl-C finishes the step at hand, saves the checkpoint and returns; a second Ctrl-C raises.

        Raises:
            CheckpointError: ``resume`` names a file that is missing, damaged, or of another run.
            ArgumentError, ShapeError, TypeMismatch: data or arguments do not fit; nothing has been changed then.
            DeviceMemoryError: the device has no room for a step; the message says what would fit.
        """
        if epochs < 0 or epochs % 1:
            raise ArgumentError(f"fit(epochs={epochs!r}): it is a whole number of at least 0.")
        if checkpoint_every is not None and (checkpoint is None or checkpoint_every < 1):
            raise ArgumentError(
                f"fit(checkpoint_every={checkpoint_every}, checkpoint={checkpoint!r}): it is a number of steps of at "
                "least 1, and needs checkpoint= to say where."
            )
        where = checkpoint if resume is True else resume
        if resume and where is None:
            raise ArgumentError("fit(resume=True) goes on from checkpoint=; name that file too.")
        dtype = self._first_parameter().dtype
        loader, valid = as_loader(train, batch_size, shuffle, seed, dtype), None
        if validation is not None:
            valid = as_dataset(validation, dtype)
            check(self, valid)
        check(self, loader.dataset)
        callbacks = [*self.callbacks, *callbacks]
        own = ("loss", *self.metrics)
        numbers = ("epoch", *own, *(f"val_{name}" for name in own if valid is not None), *TAKEN[2:])
        for callback in callbacks:
            callback.on_fit_start(self, numbers)
        if checkpoint is not None:
            pack_callbacks(callbacks, {})  # what cannot be saved is better found now
        self._progress = make_progress(progress, epochs, len(loader))
        try:
            self.steps.forget_eager()  # they may try again
            carried: dict[str, float] = {}
            if where and (resume is not True or os.path.exists(where)):
                carried = load_run(self, where, loader, callbacks)
                if self.threads != "auto":
                    self.steps.decide(loader, self.steps.shares or 1)
                if self.history.stopped in ("epochs", "interrupted"):
                    self.history.stopped = ""
            else:
                self.history = History()
                self.steps.decide(loader)
            feed, looked_at = self.feeding.feed("training", loader), None
            if valid is not None:
                looked_at = self.feeding.feed("validation", DataLoader(valid, LOOKED_AT, shuffle=False))
            with self._ctrl_c:
                self._epochs(feed, looked_at, epochs, carried, checkpoint, checkpoint_every, callbacks)
        finally:
            self._progress.close()
        for callback in callbacks:
            callback.on_fit_end(self)
        return self.history

    def _epochs(
        self,
        feed: Feed,
        valid: Feed | None,
        epochs: int,
        carried: dict[str, float],
        checkpoint: Any,
        every: int | None,
        callbacks: list[Callback],
    ) -> None:
        loader, n = feed.loader, len(feed.loader.dataset)
        self.model.train()
        step = self.steps.training(n, feed.placed)
        step.load(carried)
        spent = carried.get("seconds", 0.0)
        seen = min(loader.position * loader.batch_size, n)
        while loader.epoch < epochs and not self.history.stopped:
            began = time.perf_counter() - spent
            epoch, fresh = loader.epoch, seen
            for batch in feed:
                step(*batch)
                seen += len(batch[0])
                if self._progress.due():
                    rate = (seen - fresh) / max(time.perf_counter() - began - spent, 1e-9)
                    shown = "  ".join(f"{name} {total / seen:.4g}" for name, total in step.read().items())
                    self._progress.batch(epoch, loader.position, f"{shown}  {rate:,.0f}/s")
                if self._ctrl_c.asked or (every and loader.position % every == 0):
                    saved = self._save(checkpoint, loader, step, time.perf_counter() - began, callbacks)
                    if self._ctrl_c.asked:
                        self.history.stopped = "interrupted"
                        self.note(f"interrupted in epoch {epoch + 1}; {saved}")
                        return
            seconds = time.perf_counter() - began
            row = {"epoch": float(epoch + 1), **{name: total / seen for name, total in step.read().items()}}
            if valid is not None:
                row |= {f"val_{name}": value for name, value in self._validated(valid).items()}
            row |= {
                "lr": self.optimizer.lr,
                "seconds": seconds,
                "samples_per_second": (seen - fresh) / max(seconds - spent, 1e-9),
            }
            self._end_epoch(row, epochs, callbacks)
            spent, seen = 0.0, 0
            step = self.steps.training(n, feed.placed)  # a callback may have changed what it consists of
            if loader.epoch >= epochs and not self.history.stopped:
                self.history.stopped = "epochs"
            saved = self._save(checkpoint if math.isfinite(row["loss"]) else None, loader, step, 0.0, callbacks)
            if self._ctrl_c.asked and not self.history.stopped:
                self.history.stopped = "interrupted"
                self.note(f"interrupted after epoch {epoch + 1}; {saved}")
        self.history.stopped = self.history.stopped or "epochs"

    def _save(self, checkpoint: Any, loader: DataLoader, step: Step, seconds: float, callbacks: list[Callback]) -> str:
        """Save the run, if it is to be saved and is sound; says what became of it."""
        if checkpoint is None:
            return "nothing is saved."
        running = step.read()
        if not math.isfinite(running["loss"]):
            return "it is not saved, for its loss is not finite."
        save_run(self, checkpoint, loader, running | {"seconds": seconds}, callbacks)
        return f"the run is saved in {checkpoint}, to be resumed from here."

    def _end_epoch(self, row: dict[str, float], epochs: int, callbacks: list[Callback]) -> None:
        """Write the epoch down, show it, and let the schedule and the callbacks look at it."""
        self.history.epochs.append(row)
        shown = "  ".join(
            f"{k} {v:.4f}" for k, v in row.items() if k not in ("epoch", "lr", "seconds", "samples_per_second")
        )
        self._progress.epoch(f"epoch {row['epoch']:g}/{epochs}  {shown}  {row['seconds']:.2f} s")
        if not math.isfinite(row["loss"]):
            self.note(
                f"the loss is {row['loss']} in epoch {row['epoch']:g}: the steps are too long or the input is not "
                "finite. A smaller lr=, or clip_norm=, would help."
            )
            self.history.stopped = "the loss is not finite"
        if self.schedule is not None:
            self.schedule.step(row.get("val_loss", row["loss"]))
        for callback in callbacks:
            reason = callback.on_epoch_end(self, row)
            if reason:
                self.note(reason)
                self.history.stopped = self.history.stopped or reason.partition(":")[0]

    def note(self, text: str) -> None:
        """Write something down in the history, and show it."""
        self.history.notes.append(text)
        self._progress.say(text)

    # --- using --------------------------------------------------------------------------------------------------------

    def train_on_batch(self, x: Any, y: Any, examples: int | None = None) -> Tensor:
        """One training step on one batch, recorded and in threads as ``fit`` takes it: for loops of your own.

        Args:
            x, y: arrays or tensors, a row an example.
            examples: how many training examples there are, for ``l2``; left out, as many as in the batch.

        Returns:
            The loss before the update, one number. The next step overwrites it: read it before, or copy it.

        Raises:
            ShapeError, ArgumentError: the batch does not fit the model or the loss.
            CaptureError: ``threads`` cannot share this step.
            DeviceMemoryError: the device has no room for it; the message says what would fit.
        """
        if not self.model.training:
            self.model.train()
        return self.steps.single((examples or len(x)) if self.l2 else 0, x, y)(x, y)

    def evaluate(self, dataset: Data, batch_size: int = LOOKED_AT) -> dict[str, float]:
        """The loss and the metrics on a data set, in evaluation mode.

        Raises:
            ArgumentError, ShapeError, TypeMismatch: the data do not fit the model or the loss.
            DeviceMemoryError: the device has no room for such a batch; the message says what would fit.
        """
        dataset = as_dataset(dataset, self._first_parameter().dtype)
        check(self, dataset)
        return self._evaluate(Feed(DataLoader(dataset, batch_size, shuffle=False)))

    def _evaluate(self, feed: Feed) -> dict[str, float]:
        with self.model.evaluating():
            step = self.steps.evaluation(feed.placed)
            for batch in feed:
                step(*batch)
            return {name: total / len(feed.loader.dataset) for name, total in step.read().items()}

    def _validated(self, feed: Feed) -> dict[str, float]:
        """What evaluation finds; in smaller batches, which is noted, where a device has no room for large ones."""
        while True:
            try:
                return self._evaluate(feed)
            except DeviceMemoryError as error:
                if not error.fits:
                    raise
                tried = min(feed.loader.batch_size, len(feed.loader.dataset))
                self.note(f"validation goes in batches of {error.fits}: {tried} do not fit")
                feed.loader.batch_size, feed.loader.position = error.fits, 0

    def predict(self, x: Any, batch_size: int = 1000) -> Tensor:
        """The model's outputs for many examples, in evaluation mode: ``model.predict`` in this trainer's precision."""
        with products(self.precision), computing(self.precision):
            return self.model.predict(x, batch_size)
