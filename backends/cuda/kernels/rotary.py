"""Rotary positions in one launch, in whatever order heads lie. The source is ``rotary.cu``."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.kernels.lines import given, together
from tinynet.backends.cuda.layout import run_together
from tinynet.backends.cuda.module import Module, blocks
from tinynet.backends.halves import in_float32
from tinynet.dtypes import FLOATS, dtype_name

Array = Any
BLOCK = 128
SHARES = 16  # of the stack: each finds the angles anew, so there are few, yet enough to keep a card busy


BFLOAT16 = frozenset(("rotary",))
"""The kernels that take bfloat16 as it lies."""


def kernels(cuda: Module, plain: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """name -> kernel."""
    plain = in_float32(plain, BFLOAT16)
    return {"rotary": partial(_rotary, cuda, plain)}


def _rotary(
    cuda: Module, plain: Mapping[str, Kernel], x: Array, offset: int, base: float, turn: int, out: Array = None
) -> Array:
    """Each pair (xᵢ, xᵢ₊ₙ), n half the width, turned by position / baseⁱᐟⁿ, forwards or, with turn -1, back."""
    xp, dtype = cuda.xp, dtype_name(x.dtype)
    if dtype not in FLOATS or not x.size or x.ndim < 2 or x.shape[-1] % 2:
        return plain["rotary"](x, offset, base, turn, out=out)
    made = out if out is not None and out.dtype == x.dtype else xp.empty_like(x)
    split = _split(x, made)
    if split is None:
        x = together(xp, x)
        made = xp.empty(x.shape, x.dtype)
        split = _split(x, made)
    (length, half), stack = (x.shape[-2], x.shape[-1] // 2), math.prod(x.shape[:-2])
    inner, strides = split or (1, ())
    cuda.kernel("rotary.cu", "rotary", T=dtype)(
        (blocks(length * half, BLOCK, 2**31 - 1), min(stack, SHARES)), BLOCK, x, made, np.int32(length), np.int32(half),
        np.int64(stack), np.int64(inner), *map(np.int64, strides), np.int64(offset),
        np.float64(-math.log(base) / half), np.int32(turn),
    )  # fmt: skip
    return given(xp, made, out)


def _split(*arrays: Array) -> tuple[int, tuple[int, ...]] | None:
    """How many entries of a stack of matrices lie side by side, in all arrays alike, and for each array the strides
    between such groups, inside them, along rows and along columns; None where they lie in more than two ways."""
    shape = arrays[0].shape[:-2]
    for first in range(len(shape) + 1):
        found: list[int] = []
        for x in arrays:
            strides = tuple([s // x.itemsize for s in x.strides])
            outer, inner = (run_together(shape[p], strides[:-2][p]) for p in (slice(first), slice(first, None)))
            if outer is None or inner is None:
                break
            found += [outer, inner, *strides[-2:]]
        else:
            return math.prod(shape[first:]), tuple(found)
    return None
