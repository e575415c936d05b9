"""How arrays look to kernels that work line by line: where lines lie, how many threads each gets, where results go.

Strides are counted in elements here. A *team* is the threads that share a line: 1 to 32 lanes of a warp, or a block.
"""

from math import prod
from typing import Any

from tinynet.backends.cuda.layout import run_together
from tinynet.backends.cuda.module import warps
from tinynet.backends.kernels.plain import copy

Array = Any
BLOCK = 128  # threads of a block of several teams: small, so that even some hundred lines spread over the whole card
LONG = 512  # numbers of a line that a warp takes at most; beyond, a block does
EACH = 8  # numbers that each thread of such a block takes


def team(length: int) -> tuple[int, int]:
    """How many threads take a line of so many numbers, and how many a block has."""
    if length > LONG:
        return (block := warps(length // EACH)), block
    return min(1 << max(length - 1, 0).bit_length(), 32), BLOCK


def lines(x: Array, dim: int) -> tuple[int, int, int] | None:
    """The strides of what comes before a dimension, of what comes after it, and along it; None where there are more."""
    strides = tuple([s // x.itemsize for s in x.strides])
    before, after = run_together(x.shape[:dim], strides[:dim]), run_together(x.shape[dim + 1 :], strides[dim + 1 :])
    return None if before is None or after is None else (before, after, strides[dim])


def sides(shape: tuple[int, ...], dim: int) -> tuple[int, int]:
    """How many numbers come before a dimension, and after it."""
    return prod(shape[:dim]), prod(shape[dim + 1 :])


def together(xp: Any, x: Array) -> Array:
    """The array, or a copy of it that lies row by row."""
    return x if x.flags.c_contiguous else xp.ascontiguousarray(x)


def place(xp: Any, out: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Where a result is computed, row by row and of that type: ``out`` itself if it lies so."""
    return out if out is not None and out.dtype == dtype and out.flags.c_contiguous else xp.empty(shape, dtype)


def given(xp: Any, made: Array, out: Array) -> Array:
    """The result as it was asked for: in ``out``, which it may lie in already."""
    return made if out is None or made is out else copy(xp, made, out=out)
