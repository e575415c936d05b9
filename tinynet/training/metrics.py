"""Metrics: numbers to read beside the loss.

A metric counts, for a batch, how much of it applies to (``accuracy``: how many examples are right); the trainer adds
that up on the device and divides by the number of examples once an epoch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.errors import ArgumentError
from tinynet.nn.losses import Loss
from tinynet.tensor import Tensor

Metric = Callable[[Loss, Tensor, Tensor], Tensor]


def accuracy(loss: Loss, prediction: Tensor, target: Tensor) -> Tensor:
    """How many examples are put in their class; where an example has many pixels or steps, each counts its part."""
    return _examples(loss, loss.classes(prediction) == loss.target_classes(prediction, target), target)


def error(loss: Loss, prediction: Tensor, target: Tensor) -> Tensor:
    """How many examples are put in a wrong class; where an example has many pixels or steps, each counts its part."""
    return _examples(loss, loss.classes(prediction) != loss.target_classes(prediction, target), target)


def _examples(loss: Loss, found: Tensor, target: Tensor) -> Tensor:
    """Of how many examples something was found, counting only what the loss counts."""
    counted = loss.counted(target)
    if counted is not None:
        return (found * counted).sum() / counted.sum() * len(target)
    return found.sum() if found.size == len(target) else found.sum() * (len(target) / max(found.size, 1))


METRICS: dict[str, Metric] = {"accuracy": accuracy, "error": error}
TAKEN = ("epoch", "loss", "lr", "seconds", "samples_per_second")  # what else a row of the history holds


def find_metrics(wanted: Any) -> dict[str, Metric]:
    """Metrics by name; functions stand for themselves. One, or a list of them."""
    found: dict[str, Metric] = {}
    for metric in [wanted] if isinstance(wanted, str) or callable(wanted) else wanted or ():
        if callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
        elif metric in METRICS:
            name, metric = metric, METRICS[metric]
        else:
            raise ArgumentError(f"there is no metric {metric!r}. Choose from {', '.join(METRICS)}, or pass a function.")
        if name in found or name in TAKEN or name.startswith("val_"):
            raise ArgumentError(
                f"two numbers of a row would be called {name!r}. Give the metric's function a name of its own."
            )
        found[name] = metric
    return found


def confusion_matrix(predicted: Any, actual: Any, classes: int | None = None) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """How often class i (row) was taken for class j (column).

    Args:
        predicted, actual: (examples,) class numbers.
        classes: how many there are; the largest number seen, plus one, by default.
    """
    predicted, actual = np.asarray(predicted, np.int64), np.asarray(actual, np.int64)
    if predicted.shape != actual.shape or predicted.ndim != 1:
        raise ArgumentError(
            f"confusion_matrix needs two lists of equal length; got {predicted.shape} and {actual.shape}."
        )
    both = np.concatenate([predicted, actual])
    size = int(both.max(initial=-1)) + 1 if classes is None else classes
    if both.size and not 0 <= both.min() <= both.max() < size:
        raise ArgumentError(f"confusion_matrix of {size} classes, 0 … {size - 1}; got {both.min()} … {both.max()}.")
    return np.bincount(actual * size + predicted, minlength=size * size).reshape(size, size)
