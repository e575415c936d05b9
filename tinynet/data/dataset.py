"""``Dataset``: examples ``x`` and their targets ``y``, held together.

Must not know where the arrays came from, nor how they are cut into batches (``loader.py``).
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinynet.errors import ArgumentError, ShapeError, TypeMismatch


class Dataset:
    """``n`` examples: ``x`` of shape (n, …) and targets ``y`` of shape (n, …), kept as they arrive, without a copy.

    ``classes`` names the values 0, 1, … of integer targets; ``name`` is for people. ``len(dataset)`` is n, and
    ``dataset[i]`` is ``(x[i], y[i])`` for an integer, a slice, or an array of integers or booleans.

    Raises ``ShapeError`` when the lengths differ, ``TypeMismatch`` when an array does not hold numbers,
    ``ArgumentError`` when a target has no class name.
    """

    def __init__(self, x: ArrayLike, y: ArrayLike, *, classes: Sequence[str] | None = None, name: str = "") -> None:
        self.x: NDArray[Any] = _numbers(x, "x")
        self.y: NDArray[Any] = _numbers(y, "y")
        self.classes: tuple[str, ...] | None = None if classes is None else tuple(classes)
        self.name = name
        if len(self.x) != len(self.y):
            raise ShapeError(
                f"Dataset: x has {len(self.x)} examples and y has {len(self.y)} targets (shapes {self.x.shape} and "
                f"{self.y.shape}). Give one target for each example, along the first axis."
            )
        if self.classes is not None and self.y.dtype.kind in "iu" and self.y.size:
            low, high = self.y.min(), self.y.max()
            if low < 0 or high >= len(self.classes):
                raise ArgumentError(
                    f"Dataset: y holds classes {low} to {high}, and {len(self.classes)} names were given, for 0 to "
                    f"{len(self.classes) - 1}. Give one name for each class, counted from 0."
                )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int | slice | NDArray[Any] | list[int]) -> tuple[Any, Any]:
        return self.x[index], self.y[index]

    def __repr__(self) -> str:
        classes = "" if self.classes is None else f", {len(self.classes)} classes"
        name = f"{self.name!r}, " if self.name else ""
        x, y = (f"{array.dtype} {array.shape}" for array in (self.x, self.y))
        return f"Dataset({name}{len(self)} examples, x: {x}, y: {y}{classes})"

    def subset(self, indices: ArrayLike) -> "Dataset":
        """The examples at ``indices``, one-dimensional: integers in that order (repeats allowed), or booleans (n,).

        Raises ``ArgumentError`` for an index that is not there, ``ShapeError`` or ``TypeMismatch`` for another kind of
        array.
        """
        rows = np.asarray(indices)
        if rows.size == 0 and rows.dtype.kind == "f":
            rows = rows.astype(np.int64)  # NumPy makes [] an array of floats
        if rows.dtype.kind not in "biu":
            raise TypeMismatch(f"{self!r}.subset: indices are integers or booleans; got {rows.dtype}.")
        if rows.ndim != 1 or (rows.dtype.kind == "b" and len(rows) != len(self)):
            raise ShapeError(
                f"{self!r}.subset: give indices (m,), or one boolean for each of the {len(self)} examples; got "
                f"{rows.dtype} {rows.shape}."
            )
        if rows.dtype.kind != "b" and rows.size and (rows.min() < -len(self) or rows.max() >= len(self)):
            raise ArgumentError(
                f"{self!r}.subset: indices run from {rows.min()} to {rows.max()}; the examples are 0 to "
                f"{len(self) - 1}."
            )
        return self._with(rows)

    def take(self, n: int) -> "Dataset":
        """The first ``n`` examples, sharing memory. Raises ``ArgumentError`` when there are fewer."""
        n = operator.index(n)
        if not 0 <= n <= len(self):
            raise ArgumentError(f"{self!r}.take({n}): there are 0 to {len(self)} examples to take. Ask for no more.")
        return self._with(slice(n))

    def split(self, first: float | int, *, seed: int = 0, stratified: bool = True) -> tuple["Dataset", "Dataset"]:
        """Divide at random into two data sets, each in the original order; every example is in exactly one.

        ``first`` is the size of the first part: a fraction of the examples (float, 0 < first < 1) or their number
        (int). ``stratified`` keeps the proportions of the classes to within one example in both parts, where ``y`` is
        integer and one-dimensional; other targets have no classes to keep. Raises ``ArgumentError`` when a part would
        be empty.
        """
        n = len(self)
        if isinstance(first, (float, np.floating)):
            count = round(first * n) if 0 < first < 1 else 0
        else:
            count = operator.index(first)
        if not 0 < count < n:
            raise ArgumentError(
                f"{self!r}.split({first!r}): one of the parts would be empty. Give a fraction between 0 and 1 (float) "
                f"or a number of examples from 1 to {n - 1} (int)."
            )
        chosen = np.zeros(n, bool)
        random = np.random.default_rng(seed)
        if stratified and self.y.ndim == 1 and self.y.dtype.kind in "iu":
            _, labels, sizes = np.unique(self.y, return_inverse=True, return_counts=True)
            for k, share in enumerate(_shares(sizes, count)):
                chosen[random.permutation(np.flatnonzero(labels == k))[:share]] = True
        else:
            chosen[random.permutation(n)[:count]] = True
        return self._with(chosen), self._with(~chosen)

    def _with(self, rows: Any) -> "Dataset":
        return Dataset(self.x[rows], self.y[rows], classes=self.classes, name=self.name)


def _numbers(values: ArrayLike, which: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ShapeError(f"Dataset: {which} is not an array ({error}). Give every example the same shape.") from error
    if array.dtype.kind not in "biuf":
        raise TypeMismatch(
            f"Dataset: {which} is {type(values).__name__} with elements of {array.dtype}, not numbers. Give a NumPy "
            "array of integers or floats."
        )
    if array.ndim == 0:
        raise ShapeError(f"Dataset: {which} is the single number {array}. Give an array with one row an example.")
    return array


def _shares(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """``count`` divided in the proportions of ``sizes``: whole numbers, the largest remainders rounded up."""
    scaled = sizes * count
    shares, remainders = np.divmod(scaled, sizes.sum())
    shares[np.argsort(-remainders, kind="stable")[: count - shares.sum()]] += 1
    return shares
