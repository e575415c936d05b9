"""Rows of a table looked up by number, and added up in their places, the numbers that name no row counted on the way.

``add_rows`` gives the same sums every time: it adds in an order that the sizes decide. Only where that would take a
block too many looks at the index are rows added by atomics, in the order in which they happen to come.
"""

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.kernels.lines import given, place, together
from tinynet.backends.cuda.module import NAMES, Module, blocks, warps
from tinynet.backends.cuda.strays import Strays
from tinynet.backends.halves import in_float32
from tinynet.backends.kernels.plain import copy
from tinynet.dtypes import FLOATS, HALVES, dtype_name
from tinynet.primitives import ARRAY

Array = Any
FILE = "lookup.cu"
WORDS = {8: "int64", 4: "int32", 2: "int16", 1: "int8"}  # what rows are copied in, by its bytes
INDICES = tuple(name for name in NAMES if "int" in name)
MOST = 512  # threads of a block of add_rows, as the source has it
FULL = 1024  # blocks that keep a card busy
MOST_LOOKS = 1 << 27  # at the index, by all blocks together: 1 GB from the cache

FIRST = ((ARRAY,), (ARRAY, Ellipsis))


BFLOAT16 = frozenset(("embedding_grad",))
"""The kernels that take bfloat16 as it lies."""


def kernels(cuda: Module, plain: Mapping[str, Kernel], strays: Strays) -> dict[str, Kernel]:
    """name -> kernel; those to fall back on count strays, too."""
    plain = in_float32(plain, BFLOAT16)
    return {
        "gather": partial(_gather, cuda, plain, strays),
        "scatter_add": partial(_scatter_add, cuda, plain),
        "embedding": partial(_embedding, cuda, plain, strays),
        "embedding_grad": partial(_embedding_grad, cuda, plain),
    }


def _gather(
    cuda: Module, plain: Mapping[str, Kernel], strays: Strays, x: Array, *arrays: Array, index: tuple[Any, ...],
    out: Array = None,
) -> Array:  # fmt: skip
    """x[index]: rows of x for one array of numbers, which may count from the end."""
    if len(arrays) == 1 and index in FIRST and _are_rows(x, arrays[0]):
        return _take(cuda, strays, x, arrays[0], -len(x), out)
    return plain["gather"](x, *arrays, index=index, out=out)


def _embedding(
    cuda: Module, plain: Mapping[str, Kernel], strays: Strays, weight: Array, index: Array,
    padding_idx: int | None, layer: str, out: Array = None,
) -> Array:  # fmt: skip
    """The rows that an index names; ``layer`` is who asks, for messages."""
    if weight.ndim == 2 and _are_rows(weight, index):
        strays.askers.add(layer)
        return _take(cuda, strays, weight, index, 0, out)
    return plain["embedding"](weight, index, padding_idx, layer, out=out)


def _scatter_add(
    cuda: Module, plain: Mapping[str, Kernel], g: Array, *arrays: Array, index: tuple[Any, ...],
    shape: tuple[int, ...], out: Array = None,
) -> Array:  # fmt: skip
    """Zeros of the given shape, plus g at the index: rows of g in the places of one array of numbers."""
    if len(arrays) == 1 and index in FIRST and _can_add(g, arrays[0], shape):
        return _add(cuda, g, arrays[0], shape, out)
    return plain["scatter_add"](g, *arrays, index=index, shape=shape, out=out)


def _embedding_grad(
    cuda: Module, plain: Mapping[str, Kernel], g: Array, index: Array, rows: int, out: Array = None
) -> Array:
    """Zeros, plus each row of g in its place."""
    if _can_add(g, index, (rows, g.shape[-1])):
        return _add(cuda, g, index, (rows, g.shape[-1]), out)
    return plain["embedding_grad"](g, index, rows, out=out)


def _are_rows(x: Array, index: Array) -> bool:
    return bool(x.size and index.size and x.flags.c_contiguous and dtype_name(index.dtype) in INDICES)


def _take(cuda: Module, strays: Strays, x: Array, index: Array, least: int, out: Array) -> Array:
    """The rows of x that an index names, in one launch."""
    xp = cuda.xp
    made = place(xp, out, (*index.shape, *x.shape[1:]), x.dtype)
    size = prod(x.shape[1:]) * x.itemsize
    word = next(word for word in WORDS if not (size % word or x.data.ptr % word or made.data.ptr % word))
    team = min(1 << (size // word - 1).bit_length(), 256)
    cuda.kernel(FILE, "take_rows", T=WORDS[word], I=dtype_name(index.dtype))(
        blocks(index.size, 256 // team), 256, x, together(xp, index), made, strays.count, np.int64(index.size),
        np.int64(len(x)), np.int64(size // word), np.int64(least), np.int32(team),
    )  # fmt: skip
    return given(xp, made, out)


def _can_add(g: Array, index: Array, shape: tuple[int, ...]) -> bool:
    fits = g.shape == (*index.shape, *shape[1:]) and g.size and shape[0]
    return bool(fits and dtype_name(g.dtype) in FLOATS and dtype_name(index.dtype) in INDICES)


def _add(cuda: Module, g: Array, index: Array, shape: tuple[int, ...], out: Array) -> Array:
    """Zeros of a shape, plus the rows of g in the places that an index names."""
    xp, rows, columns, count = cuda.xp, shape[0], prod(shape[1:]), index.size
    by_place = rows > max(count, FULL)
    block = warps(count, MOST)
    lanes = lanes_of(columns, grid := count if by_place else rows, block)
    tiles = blocks(columns, lanes)
    if grid * count * tiles > MOST_LOOKS or tiles > 65535:
        return _added_by_atomics(xp, g, index, shape, out)
    made = place(xp, out, shape, g.dtype)
    if by_place:
        made.fill(0)
    cuda.kernel(FILE, "add_rows", T=dtype_name(g.dtype), I=dtype_name(index.dtype))(
        (grid, tiles), block, together(xp, g), together(xp, index), made, np.int64(count),
        np.int64(rows), np.int64(columns), np.int32(lanes), np.int32(by_place),
    )  # fmt: skip
    return given(xp, made, out)


def lanes_of(columns: int, grid: int, block: int) -> int:
    """How many columns a block takes: few, so that many threads share a column, while there are not enough blocks."""
    lanes = 1
    while lanes < min(columns, block) and (lanes < 32 or grid * -(-columns // lanes) > FULL):
        lanes *= 2
    return lanes


def _added_by_atomics(xp: Any, g: Array, index: Array, shape: tuple[int, ...], out: Array) -> Array:
    """The same in no fixed order; half floats are added up in float32."""
    wide = "float32" if dtype_name(g.dtype) in HALVES else g.dtype
    made = place(xp, out, shape, wide)
    made.fill(0)
    xp.add.at(made, index, g.astype(wide, copy=False))
    return given(xp, made, out) if out is not None or made.dtype == g.dtype else copy(xp, made, dtype_name(g.dtype))
