"""``DataLoader``: a data set in batches, in an order that can be taken up again exactly.

The order of an epoch depends on (seed, epoch) and on nothing else. Must not know what the batches are used for, nor
move them to any device.
"""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinynet.data.dataset import Dataset
from tinynet.errors import ArgumentError, TypeMismatch


class DataLoader:
    """Batches ``(x, y)`` of a data set, epoch after epoch: x (batch, …) and y (batch, …), with the data set's dtypes.

    ``dataset`` is a ``Dataset`` or a pair ``(x, y)``. With ``shuffle``, epoch e takes the examples in the order
    ``np.random.default_rng([seed, e]).permutation(n)``, otherwise in their own order and as views. The last batch of an
    epoch is shorter when ``batch_size`` does not divide n, or left out with ``drop_last``. ``len(loader)`` is the
    number of batches in an epoch.

    ``epoch`` and ``position`` count the epochs finished and the batches given in this one. Iterating gives the rest of
    the epoch and then moves to the next, so a loop left half-way, or a loader restored by ``load_state_dict``, goes on
    where it was. Both numbers may be set to start elsewhere.

    Raises ``ArgumentError`` for an empty data set, a batch size below 1, a negative seed, or when ``drop_last`` would
    leave nothing; ``TypeMismatch`` when ``dataset`` is neither of the two.
    """

    def __init__(
        self,
        dataset: Dataset | tuple[ArrayLike, ArrayLike],
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.dataset = _as_dataset(dataset)
        self.batch_size = operator.index(batch_size)
        self.shuffle = bool(shuffle)
        self.seed = operator.index(seed)
        self.drop_last = bool(drop_last)
        self.epoch = 0
        self.position = 0
        n = len(self.dataset)
        if n == 0:
            raise ArgumentError(f"DataLoader: {self.dataset!r} is empty. Give it at least one example.")
        if self.batch_size < 1:
            raise ArgumentError(f"DataLoader: a batch has at least 1 example; got batch_size={self.batch_size}.")
        if self.seed < 0:
            raise ArgumentError(f"DataLoader: seed must be 0 or more; got {self.seed}.")
        if len(self) == 0:
            raise ArgumentError(
                f"DataLoader: with drop_last, batches of {self.batch_size} from {n} examples leave none. Use a "
                f"batch_size of at most {n}, or drop_last=False."
            )

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        order = self.order()
        for places in self.places():
            yield self.dataset[places if order is None else order[places]]

    def order(self) -> NDArray[np.int64] | None:
        """The examples in the order of this epoch; None where that is their own."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.dataset)) if self.shuffle else None

    def places(self) -> Iterator[slice]:
        """Where each batch that is left of this epoch lies in the order; then the loader moves to the next epoch."""
        epoch = self.epoch
        while self.epoch == epoch and self.position < len(self):
            # Counted before it is given: a state saved while the batch is in use says that it was.
            self.position += 1
            yield slice((self.position - 1) * self.batch_size, self.position * self.batch_size)
        if self.epoch == epoch:
            self.epoch, self.position = epoch + 1, 0

    def __repr__(self) -> str:
        order = f"shuffled, seed {self.seed}" if self.shuffle else "in order"
        return (
            f"DataLoader({self.dataset!r}, batches of {self.batch_size}, {order}, "
            f"epoch {self.epoch}, {self.position} of {len(self)} batches given)"
        )

    def state_dict(self) -> dict[str, int | bool]:
        """Where the loader is and what fixes its order, as numbers and booleans that JSON can hold."""
        return {"epoch": self.epoch, "position": self.position, **self._fixed()}

    def load_state_dict(self, state: Mapping[str, int | bool]) -> None:
        """Go to where ``state`` was taken: the batches that follow are those that followed there.

        Raises ``ArgumentError``, and changes nothing, when the state is incomplete or was taken with another number of
        examples, batch size, seed, ``shuffle`` or ``drop_last``.
        """
        missing = self.state_dict().keys() - state.keys()
        if missing:
            raise ArgumentError(
                f"DataLoader.load_state_dict: the state lacks {', '.join(sorted(missing))}; it has "
                f"{', '.join(sorted(state)) or 'nothing'}. Pass what state_dict() returned."
            )
        differ = [f"{key} {state[key]} there, {own} here" for key, own in self._fixed().items() if state[key] != own]
        if differ:
            raise ArgumentError(
                f"DataLoader.load_state_dict: the state belongs to another loader: {'; '.join(differ)}. "
                "Make this one as that one was made, or start afresh without the state."
            )
        epoch, position = operator.index(state["epoch"]), operator.index(state["position"])
        if epoch < 0 or not 0 <= position <= len(self):
            raise ArgumentError(
                f"DataLoader.load_state_dict: epoch {epoch}, position {position} is no place in epochs of {len(self)} "
                "batches. Pass what state_dict() returned."
            )
        self.epoch, self.position = epoch, position

    def _fixed(self) -> dict[str, int | bool]:
        return {
            "examples": len(self.dataset),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }


def _as_dataset(dataset: Dataset | tuple[ArrayLike, ArrayLike]) -> Dataset:
    if isinstance(dataset, Dataset):
        return dataset
    if isinstance(dataset, (tuple, list)) and len(dataset) == 2:
        return Dataset(*dataset)
    raise TypeMismatch(f"DataLoader: give a Dataset or a pair (x, y); got {type(dataset).__name__}.")
