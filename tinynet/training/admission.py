"""What comes into a training run: data of any of the forms that are allowed, looked at before anything is changed."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.data import DataLoader, Dataset
from tinynet.dtypes import FLOATS
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.modes import no_grad
from tinynet.tensor import Tensor

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

Data = Any  # a Dataset, a DataLoader, or a pair (x, y)


def as_loader(data: Data, batch_size: int, shuffle: bool, seed: int, dtype: str) -> DataLoader:
    """A loader of this run's own, at its first epoch."""
    if not isinstance(data, DataLoader):
        return DataLoader(as_dataset(data, dtype), batch_size, shuffle, seed)
    loader = copy.copy(data)
    loader.dataset, loader.epoch, loader.position = as_dataset(data, dtype), 0, 0
    return loader


def as_dataset(data: Data, dtype: str) -> Dataset:
    """A data set with its floats in that element type, the model's, so that no batch is converted."""
    if isinstance(data, DataLoader):
        data = data.dataset
    if not isinstance(data, Dataset):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeMismatch(f"data is a Dataset, a DataLoader or a pair (x, y); got {type(data).__name__}.")
        data = Dataset(*(a.numpy() if isinstance(a, Tensor) else a for a in data))
    if not len(data):
        raise ArgumentError(f"{data!r} is empty. Give it at least one example.")
    wanted = np.dtype(dtype)
    x, y = (a.astype(wanted) if a.dtype.name in FLOATS and a.dtype != wanted else a for a in (data.x, data.y))
    return data if x is data.x and y is data.y else Dataset(x, y, classes=data.classes, name=data.name)


def check(trainer: "Trainer", data: Dataset) -> None:
    """Refuse what the model, the loss or a metric cannot take, before anything is changed."""
    loss, prediction = trainer.loss, trainer.predict(data.x[:1])
    loss.check_target(prediction, data.y)  # all at once, while it is on the host
    with no_grad():
        found = {"the loss": loss(prediction, data.y[:1])}
        target = as_target(data.y[:1], prediction)
        found |= {f"metric {name!r}": metric(loss, prediction, target) for name, metric in trainer.metrics.items()}
    for what, value in found.items():
        if np.shape(value) != ():
            raise ShapeError(
                f"{what} of a batch must be one number; {loss!r} on {prediction.shape} and {target.shape} gave "
                f"{np.shape(value)}. Reduce it, by .mean() or .sum()."
            )


def as_target(y: Any, prediction: Tensor) -> Tensor:
    """The target as a tensor where the prediction is."""
    return y if isinstance(y, Tensor) else Tensor(y, backend=prediction.backend)
