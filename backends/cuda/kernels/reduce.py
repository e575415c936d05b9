"""Sums, largest and smallest numbers over dimensions, in one launch or two. The source is ``reduce.cu``."""

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.module import Module
from tinynet.backends.kernels.plain import copy, reduced
from tinynet.dtypes import FLOATS, dtype_name

Array = Any
HOW = {"sum": 0, "max": 1, "min": 2}
FILE = "reduce.cu"
ENOUGH = 128  # blocks, about as many as a large card has multiprocessors
SHORT = 1 << 10  # numbers that a warp adds up by itself
CHUNK = 1 << 12  # the least that is worth a block of its own, where a result is cut into chunks


class View(NamedTuple):
    """An array as two dimensions that stay by two that go, each with a size and a stride in elements."""

    kept: tuple[tuple[int, int], tuple[int, int]]
    gone: tuple[tuple[int, int], tuple[int, int]]


def kernels(cuda: Module, plain: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """name -> kernel."""
    own: dict[str, Kernel] = {name: partial(_over, cuda, plain, name) for name in HOW}
    return own | {"sum_to": partial(_sum_to, cuda, plain)}


def _over(
    cuda: Module, plain: Mapping[str, Kernel], name: str, x: Array, axis: tuple[int, ...], out: Array = None
) -> Array:
    """The sum, or the largest or smallest number, over the dimensions ``axis``, which stay with size 1."""
    kept = tuple([1 if i in axis else n for i, n in enumerate(x.shape)])
    view = viewed(x, axis) if dtype_name(x.dtype) in FLOATS and x.size else None
    if view is None or not axis:
        return _cupys(cuda, plain, name, x, axis, out)
    xp = cuda.xp
    place = out if out is not None and out.flags.c_contiguous and out.dtype == x.dtype else xp.empty(kept, x.dtype)
    if out is not None and (out.shape != kept or xp.may_share_memory(out, x)):
        return _cupys(cuda, plain, name, x, axis, out)
    _launched(cuda, HOW[name], x, view, place)
    return place if out is None or place is out else copy(xp, place, out=out)


def _cupys(cuda: Module, plain: Mapping[str, Kernel], name: str, x: Array, axis: tuple[int, ...], out: Array) -> Array:
    """CuPy's own; its ``min`` hands ``out`` to CUB as if it were a type, and fails (CuPy's issue 9032)."""
    if name == "min" and out is not None:
        return copy(cuda.xp, plain[name](x, axis), out=out)
    return plain[name](x, axis, out=out)


def _sum_to(cuda: Module, plain: Mapping[str, Kernel], x: Array, shape: tuple[int, ...], out: Array = None) -> Array:
    """What was broadcast from a shape, added up to that shape again."""
    axes, kept = reduced(x.shape, shape)
    if out is not None and (not out.flags.c_contiguous or out.shape != shape):
        return plain["sum_to"](x, shape, out=out)
    total = _over(cuda, plain, "sum", x, axes, out=None if out is None else out.reshape(kept))
    return out if out is not None else total.reshape(shape)


def _launched(cuda: Module, how: int, x: Array, view: View, out: Array) -> None:
    (_, (kept1, _)), (_, (gone1, gone_step1)) = view
    kept, gone = prod(n for n, _ in view.kept), prod(n for n, _ in view.gone)
    steps = [step for pair in (view.kept, view.gone) for _, step in pair]
    sizes = [np.int64(n) for n in (kept1, *steps[:2], gone, gone1, *steps[2:])]
    beside = view.kept[1][1] == 1 and kept1 >= 8 and gone_step1 != 1
    if beside:
        name, blocks, block = "across", -(-kept // 32), 32 * min(32, 1 << max(gone - 1, 0).bit_length())
    elif gone <= SHORT:
        name, blocks, block = "along", -(-kept // 8), 256
    else:
        name, blocks, block = "along_blocks", kept, 1024
    chunks = 1 if name == "along" or blocks >= ENOUGH else min(-(-ENOUGH // blocks), -(-gone // CHUNK))
    part = cuda.xp.empty((chunks, kept), "float64" if out.dtype == np.float64 else "float32") if chunks > 1 else None
    launch = cuda.kernel(FILE, name, T=dtype_name(x.dtype))
    chunk = np.int64(-(-gone // chunks))
    launch((blocks, chunks), block, x, part, out, np.int32(how), np.int64(kept), chunk, *sizes)
    if part is not None:
        whole = View(((1, 0), (kept, 1)), ((1, 0), (chunks, kept)))
        if part.dtype == out.dtype:
            _launched(cuda, how, part, whole, out)
        else:
            total = cuda.xp.empty(kept, part.dtype)
            _launched(cuda, how, part, whole, total)
            copy(cuda.xp, total.reshape(out.shape), out=out)


def viewed(x: Array, axis: tuple[int, ...]) -> View | None:
    """The array as the source sees it; None where its dimensions lie in more pieces than that."""
    pieces: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
    axes = {i % x.ndim for i in axis}
    for i, (size, stride) in enumerate(zip(x.shape, x.strides)):
        if size == 1:
            continue
        step, here = stride // x.dtype.itemsize, pieces[i in axes]
        if here and here[-1][1] == step * size:
            here[-1] = here[-1][0] * size, step
        else:
            here.append((size, step))
    if any(len(here) > 2 for here in pieces.values()):
        return None
    kept, gone = ([(1, 0)] * (2 - len(here)) + here for here in pieces.values())
    return View((kept[0], kept[1]), (gone[0], gone[1]))
