"""Trainer: the training loop, written once and carefully.

It can be interrupted at any moment and resumed exactly; it reads nothing back from a device more often than it draws.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinynet.data import DataLoader, Dataset
from tinynet.errors import ArgumentError, CaptureError, TypeMismatch
from tinynet.functions import full
from tinynet.nn.losses import Loss
from tinynet.nn.module import Module
from tinynet.optim import Optimizer, Schedule, clip_grad_norm_
from tinynet.recording import Captured, capture
from tinynet.tensor import Tensor, no_grad
from tinynet.training.callbacks import Callback, OverfittingWarning
from tinynet.training.history import History
from tinynet.training.metrics import find_metrics
from tinynet.training.progress import Progress, make_progress
from tinynet.training.run_state import load_run, save_run

Pair = Any  # a Dataset, a DataLoader, or a pair (x, y)


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
        callbacks: Sequence[Callback] = (),
    ) -> None:
        for what, given, kind in (("model", model, Module), ("loss", loss, Loss), ("optimizer", optimizer, Optimizer)):
            if not isinstance(given, kind):
                raise TypeMismatch(
                    f"Trainer({what}=) takes a {kind.__name__}; got {given!r:.60}. Does it still need its parentheses?"
                )
        if l2 < 0 or (clip_norm is not None and clip_norm <= 0):
            raise ArgumentError(f"Trainer(l2={l2}, clip_norm={clip_norm}): l2 is at least 0 and clip_norm above 0.")
        self.model, self.loss, self.optimizer, self.schedule = model, loss, optimizer, schedule
        self.metrics = find_metrics(metrics)
        self.l2, self.clip_norm, self.capture = l2, clip_norm, capture
        self.callbacks = [*callbacks, OverfittingWarning()]
        if not optimizer.bound:
            optimizer.bind(model.parameters())
        if schedule is not None and schedule.optimizer is None:
            schedule.bind(optimizer)
        self.history = History()
        self._progress = Progress(0, 0)
        self._interrupted = False
        self._steps: dict[Any, Any] = {}

    # --- one step -----------------------------------------------------------------------------------------------------

    def _forward(self, totals: dict[str, Tensor], x: Any, y: Any) -> Tensor:
        """Predictions and loss of a batch, added to the running totals."""
        prediction = self.model(x)
        loss: Tensor = self.loss(prediction, y)
        with no_grad():
            seen = loss.detach() * len(x) if self.loss.reduction != "sum" else loss.detach()
            totals["loss"].add_(seen)
            for name, metric in self.metrics.items():
                totals[name].add_(metric(self.loss, prediction.detach(), self._target(y, prediction)))
        return loss

    def _target(self, y: Any, prediction: Tensor) -> Tensor:
        return y if isinstance(y, Tensor) else Tensor(y, backend=prediction.backend)

    def _train_step(self, totals: dict[str, Tensor], examples: int, x: Any, y: Any) -> None:
        self.optimizer.zero_grad()
        loss = self._forward(totals, x, y)
        loss.backward()
        with no_grad():
            if self.l2:
                for w in self.model.parameters():
                    if w.ndim > 1 and w.grad is not None:
                        w.grad.add_(w * (self.l2 / examples))
            if self.clip_norm:
                clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()

    def _eval_step(self, totals: dict[str, Tensor], x: Any, y: Any) -> None:
        with no_grad():
            self._forward(totals, x, y)

    def _prepared(self, kind: str, examples: int = 0) -> tuple[Any, dict[str, Tensor]]:
        """The step to call for each batch, recorded where that is possible, and the totals that it adds to."""
        backend = self._backend()
        key = (kind, backend.name, examples, self.l2, self.clip_norm)
        if key not in self._steps:
            # kept from fit to fit: what was recorded stays good
            totals = {name: full((), 0.0, "float64", backend) for name in ("loss", *self.metrics)}
            if kind == "train":
                step: Any = lambda x, y: self._train_step(totals, examples, x, y)
            else:
                step = lambda x, y: self._eval_step(totals, x, y)
            if self.capture and backend.replayable:
                step = capture(step, backend, list(self.model.named_parameters()))
            self._steps[key] = (step, totals)
        step, totals = self._steps[key]
        for total in totals.values():
            total.zero_()
        return step, totals

    def _run(self, step: Any, x: Any, y: Any, kind: str, examples: int = 0) -> Any:
        """Take one step; where it turns out that it cannot be recorded, say so and go on eagerly."""
        try:
            step(x, y)
        except CaptureError as error:
            self.note(f"running eagerly: {error}")
            self.capture = False
            self._steps = {
                key: (s.function if isinstance(s, Captured) else s, t) for key, (s, t) in self._steps.items()
            }
            step = step.function
            step(x, y)
        return step

    def _backend(self) -> Any:
        first = next(self.model.parameters(), None)
        if first is None:
            raise ArgumentError("the model has no parameters: there is nothing to train.")
        return first.backend

    @property
    def program(self) -> Any:
        """The recorded training step, or None; print it to see what a step is made of."""
        found = [s.program for key, (s, _) in self._steps.items() if key[0] == "train" and isinstance(s, Captured)]
        return found[-1] if found else None

    # --- training -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        train: Pair,
        validation: Pair | None = None,
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
            train, validation: a Dataset, a pair (x, y), or (train only) a DataLoader.
            epochs: how many in all; a resumed run counts those it had done.
            batch_size: examples a step; the last batch of an epoch is whatever remains.
            shuffle, seed: each epoch takes the examples in an order that (seed, epoch) determines.
            checkpoint: where to save the run after each epoch, and when it is interrupted.
            checkpoint_every: save it every so many steps as well.
            resume: go on from ``checkpoint`` if that file exists (True), or from the file named here. The run then
                ends, bit for bit on NumPy, as if it had never been interrupted.
            progress: True shows a bar or lines as fits the output, False nothing, ``"log"`` a line an epoch.

        Returns:
            The History. Ctrl-C finishes the step at hand, saves the checkpoint and returns; a second Ctrl-C raises.

        Raises:
            CheckpointError: ``resume`` names a file that is missing, damaged, or of another run.
        """
        loader = train if isinstance(train, DataLoader) else DataLoader(self._data(train), batch_size, shuffle, seed)
        valid = None if validation is None else self._data(validation)
        if epochs < 0:
            raise ArgumentError(f"fit(epochs={epochs}): it must be at least 0.")
        callbacks = [*self.callbacks, *callbacks]
        self.history = History()
        carried: dict[str, float] = {}
        where = checkpoint if resume is True else resume
        if resume and where is None:
            raise ArgumentError("fit(resume=True) goes on from checkpoint=; name that file too.")
        if where and (resume is not True or os.path.exists(where)):
            carried = load_run(self, where, loader, callbacks)
        self._progress = make_progress(progress, epochs, len(loader))
        self.history.stopped = ""
        try:
            with self._interruptible():
                self._epochs(loader, valid, epochs, carried, checkpoint, checkpoint_every, callbacks)
        finally:
            self._progress.close()
        for callback in callbacks:
            callback.on_fit_end(self)
        return self.history

    def _epochs(
        self,
        loader: DataLoader,
        valid: Dataset | None,
        epochs: int,
        carried: dict[str, float],
        checkpoint: Any,
        every: int | None,
        callbacks: list[Callback],
    ) -> None:
        n = len(loader.dataset)
        for dataset in (loader.dataset, *([valid] if valid is not None else [])):
            self.loss.check_target(self.model.predict(dataset.x[:1]), dataset.y)  # all at once, while it is on the host
        self.model.train()
        step, totals = self._prepared("train", n)
        for name, value in carried.items():
            if name in totals:
                totals[name].load_(value)
        spent = carried.get("seconds", 0.0)
        seen = min(loader.position * loader.batch_size, n)
        while loader.epoch < epochs and not self.history.stopped:
            began = time.perf_counter() - spent
            epoch, fresh = loader.epoch, seen
            for x, y in loader:
                step = self._run(step, x, y, "train", n)
                seen += len(x)
                if self._progress.due():
                    rate = (seen - fresh) / max(time.perf_counter() - began - spent, 1e-9)
                    shown = "  ".join(f"{k} {float(t) / seen:.4g}" for k, t in totals.items())
                    self._progress.batch(epoch, loader.position, f"{shown}  {rate:,.0f}/s")
                if self._interrupted or (checkpoint and every and loader.position % every == 0):
                    state = {k: float(t) for k, t in totals.items()} | {"seconds": time.perf_counter() - began}
                    if checkpoint:
                        save_run(self, checkpoint, loader, state, callbacks)
                    if self._interrupted:
                        self.history.stopped = "interrupted"
                        self.note(f"interrupted in epoch {epoch + 1}; " + self._saved(checkpoint))
                        return
            seconds = time.perf_counter() - began
            row = {"epoch": float(epoch + 1), **{k: float(t) / max(seen, 1) for k, t in totals.items()}}
            if valid is not None:
                row |= {f"val_{k}": v for k, v in self.evaluate(valid).items()}
                self.model.train()
            row |= {
                "lr": self.optimizer.lr,
                "seconds": seconds,
                "samples_per_second": (seen - fresh) / max(seconds - spent, 1e-9),
            }
            self._end_epoch(row, epochs, callbacks)
            spent, seen = 0.0, 0
            for total in totals.values():
                total.zero_()
            if loader.epoch >= epochs and not self.history.stopped:
                self.history.stopped = "epochs"
            if checkpoint:
                save_run(self, checkpoint, loader, {}, callbacks)
            if self._interrupted and not self.history.stopped:
                self.history.stopped = "interrupted"
                self.note(f"interrupted after epoch {epoch + 1}; " + self._saved(checkpoint))
        self.history.stopped = self.history.stopped or "epochs"

    def _saved(self, checkpoint: Any) -> str:
        return (
            f"the run is saved in {checkpoint}: fit(resume=True) goes on from here."
            if checkpoint
            else "nothing is saved."
        )

    def _end_epoch(self, row: dict[str, float], epochs: int, callbacks: list[Callback]) -> None:
        """Write the epoch down, show it, and let the schedule and the callbacks look at it."""
        self.history.epochs.append(row)
        shown = "  ".join(
            f"{k} {v:.4f}" for k, v in row.items() if k not in ("epoch", "lr", "seconds", "samples_per_second")
        )
        self._progress.epoch(f"epoch {row['epoch']:g}/{epochs}  {shown}  {row['seconds']:.1f} s")
        if not math.isfinite(row["loss"]):
            self.note(
                f"the loss is {row['loss']} in epoch {row['epoch']:g}: the steps are too long or the input is not finite. A "
                "smaller lr=, or clip_norm=, would help."
            )
            self.history.stopped = "the loss is not finite"
        if self.schedule is not None:
            self.schedule.step(row.get("val_loss", row["loss"]))
        for callback in callbacks:
            reason = callback.on_epoch_end(self, row)
            if reason:
                self.note(reason)
                self.history.stopped = reason.partition(":")[0]

    def note(self, text: str) -> None:
        """Write something down in the history, and show it."""
        self.history.notes.append(text)
        self._progress.say(text)

    # --- using --------------------------------------------------------------------------------------------------------

    def evaluate(self, dataset: Pair, batch_size: int = 1000) -> dict[str, float]:
        """The loss and the metrics on a data set, in evaluation mode."""
        dataset = self._data(dataset)
        was_training = self.model.training
        self.model.eval()
        try:
            step, totals = self._prepared("eval")
            for x, y in DataLoader(dataset, min(batch_size, len(dataset)), shuffle=False):
                step = self._run(step, x, y, "eval")
            return {name: float(total) / len(dataset) for name, total in totals.items()}
        finally:
            self.model.train(was_training)

    def _data(self, data: Pair) -> Dataset:
        """A data set with its floats in the model's element type, so that no batch is converted."""
        if isinstance(data, DataLoader):
            data = data.dataset
        if not isinstance(data, Dataset):
            if not isinstance(data, tuple | list) or len(data) != 2:
                raise TypeMismatch(f"data is a Dataset, a DataLoader or a pair (x, y); got {type(data).__name__}.")
            data = Dataset(*(a.numpy() if isinstance(a, Tensor) else np.asarray(a) for a in data))
        dtype = np.dtype(next(p.dtype for p in self.model.parameters()))
        x, y = (a.astype(dtype) if a.dtype.kind == "f" and a.dtype != dtype else a for a in (data.x, data.y))
        return data if x is data.x and y is data.y else Dataset(x, y, classes=data.classes, name=data.name)

    # --- interrupting and resuming ------------------------------------------------------------------------------------

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let Ctrl-C finish the step at hand first; a second one interrupts at once."""
        self._interrupted = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: Any) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
