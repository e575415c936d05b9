"""How the heads of attention lie in memory: stacks of matrices as views of other arrays, counted in two dimensions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.backends.kernels.plain import copy

Array = Any


@dataclass
class Heads:
    """Stacks of matrices that one launch goes through.

    Attributes:
        inner: the size of the inner dimension of the stack.
        arrays: the stacks, first those that are read, then those that are written.
        steps: for each of them the strides along the outer dimension, the inner one, rows and columns, in elements.
    """

    inner: int
    arrays: list[Array]
    steps: list[tuple[int, ...]]

    def arguments(self, i: int, columns: bool = False) -> list[Any]:
        """A stack's pointer and its strides: all four, or those without the columns', which is 1."""
        return [self.arrays[i], *[np.int64(n) for n in self.steps[i][: 4 if columns else 3]]]


def heads(xp: Any, batch: tuple[int, ...], inputs: list[Array], outs: list[Array], masks: int = 0) -> Heads:
    """Stacks of one batch, as kernels can go through them; copies where they cannot.

    Args:
        inputs: (…, rows, columns), in batches that spread to ``batch``.
        outs: what is to be written, (batch…, rows, columns); where that cannot be, room beside it.
        masks: how many of the last inputs may have gaps between columns.
    """
    last = len(inputs) - masks
    inputs = [xp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in inputs]
    inputs = [x if i >= last or _closed(x) else xp.ascontiguousarray(x) for i, x in enumerate(inputs)]
    outs = [y if _closed(y) and y.dtype == inputs[0].dtype else xp.empty(y.shape, inputs[0].dtype) for y in outs]
    found = _counted(batch, inputs + outs)
    if found is None:  # more than two dimensions that no array may join
        inputs = [xp.ascontiguousarray(x) for x in inputs]
        outs = [y if y.flags.c_contiguous else xp.empty(y.shape, y.dtype) for y in outs]
        found = _counted(batch, inputs + outs)
    assert found is not None
    return found


def _closed(x: Array) -> bool:
    """Whether the numbers of a row lie side by side."""
    return bool(x.shape[-1] <= 1 or x.strides[-1] == x.itemsize)


def _counted(batch: tuple[int, ...], arrays: list[Array]) -> Heads | None:
    """The stacks with neighbouring dimensions as one, where all of them allow it; None where more than two are left."""
    sizes: list[int] = []
    strides: list[list[int]] = []
    for i, size in enumerate(batch):
        here = [x.strides[i] // x.itemsize for x in arrays]
        if size == 1:
            continue
        if sizes and strides[-1] == [size * n for n in here]:
            size *= sizes.pop()
            strides.pop()
        sizes.append(size)
        strides.append(here)
    if len(sizes) > 2:
        return None
    missing = 2 - len(sizes)
    sizes = [1] * missing + sizes
    outer, inner = [[0] * len(arrays)] * missing + strides
    ends = [[n // x.itemsize for n in x.strides[-2:]] for x in arrays]
    return Heads(sizes[1], arrays, [(a, b, *end) for a, b, end in zip(outer, inner, ends)])


def handed_over(xp: Any, found: list[Array], wanted: tuple[Array, ...]) -> None:
    """Copy what was written to where it is wanted, unless it lies there."""
    for x, y in zip(found, wanted):
        if x is not y:
            copy(xp, x, out=y)
