"""Callbacks: what looks at a run after each epoch and may stop it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.errors import ArgumentError

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer


class Callback:
    """The base of every callback. Its plain attributes and arrays are saved in checkpoints, so that a resumed run goes
    on as if it had not been interrupted."""

    def on_fit_start(self, trainer: "Trainer", numbers: Sequence[str]) -> None:
        """A run begins. ``numbers`` names what each epoch's row will hold. A resumed run loads its state after this."""

    def on_epoch_end(self, trainer: "Trainer", row: dict[str, float]) -> str | None:
        """Look at the epoch's numbers. A text returned stops the run and is noted as the reason."""
        return None

    def on_fit_end(self, trainer: "Trainer") -> None:
        """The run is over."""

    def state_dict(self) -> dict[str, Any]:
        """What must survive an interruption: numbers, strings and arrays, in dictionaries and lists."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        vars(self).update(state)


class EarlyStopping(Callback):
    """Stop when a number has not improved for ``patience`` epochs, and go back to the weights of the best one.

    Args:
        patience: how many epochs without improvement are borne.
        monitor: which number of the history; ``val_loss`` by default.
        min_delta: by how much it must improve to count.
        largest: whether larger is better; so for accuracy.
        restore_best: whether to end with the best epoch's weights.
    """

    def __init__(
        self,
        patience: int = 5,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        largest: bool | None = None,
        restore_best: bool = True,
    ) -> None:
        if patience < 1:
            raise ArgumentError(f"EarlyStopping(patience={patience}): at least one epoch must pass.")
        self.patience, self.monitor, self.min_delta, self.restore_best = patience, monitor, min_delta, restore_best
        self.largest = "accuracy" in monitor if largest is None else largest
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = math.inf, 0, 0
        self.weights: dict[str, np.ndarray[Any, Any]] = {}

    def on_fit_start(self, trainer: "Trainer", numbers: Sequence[str]) -> None:
        """Begin anew, if what is to be watched will be there."""
        if self.monitor not in numbers:
            raise ArgumentError(
                f"EarlyStopping watches {self.monitor!r}; this run has {', '.join(numbers)}. Pass validation= to fit, "
                "or watch another number."
            )
        self._forget()

    def on_epoch_end(self, trainer: "Trainer", row: dict[str, float]) -> str | None:
        """Compare with the best so far."""
        now = -row[self.monitor] if self.largest else row[self.monitor]
        if now < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = now, int(row["epoch"]), 0
            if self.restore_best:
                self.weights = {name: tensor.numpy() for name, tensor in trainer.model.state_dict().items()}
            return None
        self.waited += 1
        if self.waited < self.patience:
            return None
        return f"early stopping: {self.monitor} was best in epoch {self.best_epoch}, {self.waited} epochs ago"

    def on_fit_end(self, trainer: "Trainer") -> None:
        """Go back to the best weights, if that was asked for and they are not the last."""
        if self.restore_best and self.weights and self.waited:
            trainer.model.load_state_dict(self.weights)


class OverfittingWarning(Callback):
    """Note, once, that the validation loss has risen for ``epochs`` epochs on end while the training loss fell."""

    def __init__(self, epochs: int = 3) -> None:
        if epochs < 1:
            raise ArgumentError(f"OverfittingWarning(epochs={epochs}): at least one epoch must pass.")
        self.epochs = epochs
        self._forget()

    def _forget(self) -> None:
        self.run = 0
        self.last: list[float] = []
        self.warned = False

    def on_fit_start(self, trainer: "Trainer", numbers: Sequence[str]) -> None:
        """Begin anew."""
        self._forget()

    def on_epoch_end(self, trainer: "Trainer", row: dict[str, float]) -> str | None:
        """Compare with the epoch before."""
        if "val_loss" not in row:
            return None
        now = [row["loss"], row["val_loss"]]
        worse = bool(self.last) and now[0] < self.last[0] and now[1] > self.last[1]
        self.run, self.last = (self.run + 1 if worse else 0), now
        if self.run >= self.epochs and not self.warned:
            self.warned = True
            trainer.note(
                f"overfitting: for {self.run} epochs (to epoch {row['epoch']:g}) the validation loss rose while the "
                "training loss fell. More data, l2=, early stopping or a smaller model would help."
            )
        return None
