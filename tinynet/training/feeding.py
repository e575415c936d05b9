"""How a step is fed: with batches from the host, or with row numbers of data that lie on the device.

Where a model trains on a device and the data fit beside it, they are copied there once. The order of an epoch then goes
over once an epoch, a batch is a part of it, and the step picks its rows where they lie. The batches are the same either
way. On the host nothing is placed anywhere.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.backend import Backend
from tinynet.data import DataLoader, Dataset
from tinynet.errors import ArgumentError, DeviceMemoryError
from tinynet.memory import size
from tinynet.tensor import Tensor

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

PART = 4  # data are placed where they take at most one part in so many of the memory that is free


def checked_place(wanted: Any) -> Any:
    """The setting ``Trainer(data_on_device=)``, or an error that says what it may be."""
    if not (isinstance(wanted, bool) or wanted == "auto"):
        raise ArgumentError(f"Trainer(data_on_device={wanted!r}): it is True, False or 'auto'.")
    return wanted


class Placed:
    """A data set on a device.

    Attributes:
        here: whether it still is; a step that needs the room sends it away.
    """

    def __init__(self, dataset: Dataset, backend: Backend) -> None:
        self.dataset, self.backend, self.here = dataset, backend, True
        self._arrays = [Tensor(array, backend=backend) for array in (dataset.x, dataset.y)]

    def take_over(self, dataset: Dataset, backend: Backend) -> bool:
        """Hold another data set in the same memory, so that recorded steps go on with it; False where it differs."""
        arrays = dataset.x, dataset.y
        alike = [(t.shape, t.dtype) == (a.shape, a.dtype.name) for t, a in zip(self._arrays, arrays)]
        if not self.here or backend is not self.backend or not all(alike):
            return False
        for tensor, array in zip(self._arrays, arrays):
            tensor.load_(array)
        self.dataset = dataset
        return True

    def rows(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The examples with these numbers, which are known to be there."""
        x, y = [
            Tensor.of(self.backend.launch("take", held.data, numbers.data), self.backend)
            if "take" in self.backend.kernels
            else held[numbers]
            for held in self._arrays
        ]
        return x, y

    def on_host(self, numbers: Tensor) -> tuple[Any, Any]:
        """The same examples, from the host."""
        x, y = self.dataset[numbers.numpy()]
        return x, y

    def leave(self) -> None:
        """Be on the device no longer."""
        self.here, self._arrays = False, []


def fed(share: Callable[..., Tensor], placed: Placed | None) -> Callable[..., Tensor]:
    """A share (totals, x, y) that takes row numbers of what is placed as well."""
    if placed is None:
        return share
    return lambda totals, *batch: share(totals, *(batch if len(batch) == 2 else placed.rows(*batch)))


class Feed:
    """The batches of a loader as a step takes them: (x, y) from the host, or (row numbers,) of what is placed.

    Attributes:
        loader: says which batches, and counts them.
        placed: the data on the device, if they lie there.
    """

    def __init__(self, loader: DataLoader, placed: Placed | None = None) -> None:
        self.loader, self.placed = loader, placed

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.loader) if self.placed is None or not self.placed.here else self._rows(self.placed)

    def _rows(self, placed: Placed) -> Iterator[tuple[Any, ...]]:
        order = self.loader.order()
        order = np.arange(len(self.loader.dataset)) if order is None else order
        numbers = Tensor(order, backend=placed.backend)
        for places in self.loader.places():
            yield (numbers[places],) if placed.here else self.loader.dataset[order[places]]


class Feeding:
    """Which data of a trainer lie on its device: of each role, ``"training"`` and ``"validation"``, those of the last
    run."""

    def __init__(self, trainer: "Trainer") -> None:
        self.trainer = trainer
        self._placed: dict[str, Placed] = {}

    def feed(self, role: str, loader: DataLoader) -> Feed:
        """The batches of a loader, whose data are placed on the device where that is wanted and there is room.

        Raises:
            ArgumentError: ``data_on_device=True``, and the loader or the data set makes its batches itself.
            DeviceMemoryError: ``data_on_device=True``, and there is no room.
        """
        trainer, backend = self.trainer, self.trainer.backend
        wanted = not backend.is_host and checked_place(trainer.data_on_device)
        own = _made_by_itself(loader)
        if wanted is True and own:
            raise ArgumentError(
                f"Trainer(data_on_device=True): {own} of the {role} data makes batches in its own way. Leave "
                "data_on_device out."
            )
        placed = self._placed.get(role)
        if placed is not None and not (wanted and not own and placed.take_over(loader.dataset, backend)):
            self._send_away(role)
            placed = None
        if wanted:
            why = "" if placed else own and f"{own} makes its batches in its own way"
            if not placed and not why:
                placed, why = self._put(loader.dataset, backend)
                if placed:
                    self._placed[role] = placed
            self._note(role, loader.dataset, why)
        return Feed(loader, placed)

    def _put(self, dataset: Dataset, backend: Backend) -> tuple[Placed | None, str]:
        """The data on the device, or why not."""
        needed, free = _bytes(dataset), backend.free_memory()
        if self.trainer.data_on_device is True:
            return Placed(dataset, backend), ""
        if free is None:
            return None, f"{backend.name} does not say how much memory is free"
        if needed > free // PART:
            return None, f"they are more than a quarter of the {size(free)} that are free"
        try:
            return Placed(dataset, backend), ""
        except DeviceMemoryError:
            return None, "there was no room in one piece"

    def _note(self, role: str, dataset: Dataset, why: str) -> None:
        """Say, once in a run, where the data are."""
        name = self.trainer.backend.name
        where = f"go to {name} batch by batch: {why}" if why else f"lie on {name}"
        text = f"{role} data ({size(_bytes(dataset))}) {where}"
        if text not in self.trainer.history.notes:
            self.trainer.note(text)

    def leave_other_backends(self) -> None:
        """Send away what lies where the model is no longer."""
        for role in [role for role, placed in self._placed.items() if placed.backend is not self.trainer.backend]:
            self._placed.pop(role).leave()

    def _send_away(self, role: str) -> None:
        placed = self._placed.pop(role)
        placed.leave()
        self.trainer.steps.forget(placed)


def _bytes(dataset: Dataset) -> int:
    return int(dataset.x.nbytes + dataset.y.nbytes)


def _made_by_itself(loader: DataLoader) -> str:
    """The class that makes batches in its own way, which rows of the arrays are not; empty where none does."""
    if type(loader).__iter__ is not DataLoader.__iter__:
        return type(loader).__name__
    if type(loader.dataset).__getitem__ is not Dataset.__getitem__:
        return type(loader.dataset).__name__
    return ""
