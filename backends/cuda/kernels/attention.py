"""Attention on CUDA: small heads in one launch, forwards and back; large ones as products of matrices, with one launch
for the rows between them. Queries, keys and values are read where they lie, as views of one array.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tinynet.backend import Array, Kernel
from tinynet.backends.cuda.kernels.heads import Heads, handed_over, heads
from tinynet.backends.cuda.kernels.parts import assemble, side_by_side
from tinynet.backends.cuda.module import Module, warps
from tinynet.backends.kernels.attention import place
from tinynet.dtypes import FLOATS, HALVES, dtype_name
from tinynet.precision import matmul_precision

FILE = "attention.cu"
ROWS, TILE, SLOT, THREADS = 16, 64, 68, 256  # as the source has them
WIDEST = 128  # columns that a warp has room for
ROOM = 64 << 10  # bytes of shared memory: what a block may have on every card since sm_75
TENSOR_CORES = 1 << 26  # multiplications from which on products of half floats, or in TF32, win; an estimate

BFLOAT16 = frozenset(("attention", "attention_grad", "assemble"))
"""The kernels here that take bfloat16 as it lies: all of them."""


def kernels(cuda: Module, plain: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """``attention``, its gradient, and what puts the gradients of queries, keys and values in their places."""
    return {
        "attention": partial(attention, cuda, plain),
        "attention_grad": partial(attention_grad, cuda, plain),
        "assemble": partial(assemble, cuda.xp),
    }


# --- which of the two ways --------------------------------------------------------------------------------------------


def _pitch(columns: int) -> int:
    return -(-columns // 32) * 32 + 4


def room(d: int, e: int, keys: int, size: int) -> int:
    """Bytes of shared memory that ``attention`` takes, of numbers of that size."""
    return size * (ROWS * _pitch(d) + TILE * _pitch(max(d, e)) + ROWS * (-(-keys // TILE) * TILE + 4))


def room_of_grad(d: int, e: int, size: int) -> int:
    """Bytes of shared memory that ``attention_grad`` takes, of numbers of that size."""
    return size * (ROWS * _pitch(e) + TILE * _pitch(max(d, e)) + 2 * ROWS * SLOT + TILE)


def is_small(dtype: str, d: int, e: int, scores: int, shared: int) -> bool:
    """Whether one launch does it: where it has room, and so many scores do not make tensor cores worth their while."""
    narrow = dtype in HALVES or (dtype == "float32" and matmul_precision() != "highest")
    return max(d, e) <= WIDEST and shared <= ROOM and not (narrow and scores * (d + e) > TENSOR_CORES)


def _wide(dtype: str) -> str:
    return "float32" if dtype in HALVES else dtype


def _ours(keep: Array | None, *arrays: Array) -> bool:
    """Whether the arrays hold numbers that the kernels compute with, and dropout says yes or no."""
    return all(dtype_name(x.dtype) in FLOATS for x in arrays) and (keep is None or keep.dtype == bool)


# --- forwards ---------------------------------------------------------------------------------------------------------


def attention(
    cuda: Module, plain: Mapping[str, Kernel], q: Array, k: Array, v: Array, mask: Array | None, keep: Array | None,
    causal: bool, scale: float, out: Any = None,
) -> Any:  # fmt: skip
    """softmax(scale · q kᵀ + mask) v; and the softmax itself for the gradient.

    Keys that ``causal`` hides are not read where one launch does it.
    """
    xp = cuda.xp
    if not _ours(keep, q, k, v):
        return plain["attention"](q, k, v, mask, keep, causal=causal, scale=scale, out=out)
    if out is None:
        batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        shape = (*batch, q.shape[-2], k.shape[-2])
        out = place(xp, q, batch, q.shape[-2], v.shape[-1]), xp.empty(shape, q.dtype)
    shape, dtype = out[1].shape, dtype_name(q.dtype)
    k, v = (x.astype(q.dtype, copy=False) for x in (k, v))
    weights = out[1] if out[1].flags.c_contiguous else xp.empty(shape, q.dtype)
    if mask is not None:
        mask = xp.broadcast_to(mask if mask.dtype in (bool, q.dtype) else mask.astype(q.dtype), shape)
    keep = None if keep is None else xp.ascontiguousarray(xp.broadcast_to(keep, shape))
    d, e, (length, keys) = q.shape[-1], v.shape[-1], shape[-2:]
    shared = room(d, e, keys, np.dtype(_wide(dtype)).itemsize)
    masks = [] if mask is None else [mask]
    if is_small(dtype, d, e, weights.size, shared):
        found = heads(xp, shape[:-2], [q, k, v, *masks], [out[0]], len(masks))
        given = [*found.arguments(0), *found.arguments(1), *found.arguments(2), *_mask(found, 3 if masks else None)]
        sizes = [np.int32(n) for n in (found.inner, length, keys, d, e, causal)]
        launch = cuda.kernel(FILE, "attention", shared, T=dtype)
        grid = -(-length // ROWS) * _count(shape)
        launch(grid, THREADS, *given, keep, *found.arguments(-1), weights, *sizes, np.float64(scale))
        handed_over(xp, [found.arrays[-1], weights], out)
        return out
    scores = weights if _wide(dtype) == dtype else xp.empty(shape, _wide(dtype))
    plain["matmul"](q, xp.swapaxes(k, -1, -2), out=scores)
    found = heads(xp, shape[:-2], [weights, *masks], [], len(masks))
    kept = None if keep is None else xp.empty(shape, q.dtype)
    sizes = [np.int32(n) for n in (found.inner, length, keys, causal)]
    launch = cuda.kernel(FILE, "attention_softmax", T=dtype)
    given = [scores, *_mask(found, 1 if masks else None), keep, weights, kept]
    launch(_count(shape) * length, warps(-(-keys // 4), 256), *given, *sizes, np.float64(scale))
    plain["matmul"](weights if keep is None else kept, v, out=out[0])
    handed_over(xp, [weights], out[1:])
    return out


def _count(shape: tuple[int, ...]) -> int:
    """How many matrices an array holds."""
    return int(np.prod(shape[:-2], dtype=np.int64))


def _mask(found: Heads, i: int | None) -> list[Any]:
    """A mask's arguments: a pointer to booleans, one to floats, of which one at least is none, and four strides."""
    if i is None:
        return [None, None, *[np.int64(0)] * 4]
    mask, *steps = found.arguments(i, columns=True)
    return [mask, None, *steps] if mask.dtype == bool else [None, mask, *steps]


# --- back -------------------------------------------------------------------------------------------------------------


def attention_grad(
    cuda: Module, plain: Mapping[str, Kernel], g: Array, result: Array, q: Array, k: Array, v: Array,
    keep: Array | None, weights: Array, causal: bool, scale: float, scores: bool = True, out: Any = None,
) -> Any:  # fmt: skip
    """The gradients of q, k, v, and, if ``scores`` are asked for, of the scores:

        ds = softmax · (g vᵀ - Σ g result),    the sum along each row.

    Where ``scores`` are not asked for, the last array holds nothing that may be read.
    """
    xp = cuda.xp
    if not _ours(keep, g, result, q, k, v, weights):
        return plain["attention_grad"](g, result, q, k, v, keep, weights, causal=causal, scale=scale, out=out)
    shape, dtype = weights.shape, dtype_name(q.dtype)
    if out is None:
        batch = shape[:-2]
        sides = side_by_side(xp, q, k, v) if q.shape[:-2] == batch else None
        out = *(sides or [place(xp, x, batch, *x.shape[-2:]) for x in (q, k, v)]), xp.empty(shape, q.dtype)
    ds = out[3] if out[3].flags.c_contiguous else xp.empty(shape, q.dtype)
    g, result, k, v, weights = (x.astype(q.dtype, copy=False) for x in (g, result, k, v, weights))
    weights = xp.ascontiguousarray(weights)
    keep = None if keep is None else xp.ascontiguousarray(xp.broadcast_to(keep, shape))
    d, e, (length, keys) = q.shape[-1], v.shape[-1], shape[-2:]
    shared = room_of_grad(d, e, np.dtype(_wide(dtype)).itemsize)
    if is_small(dtype, d, e, weights.size, shared):
        found = heads(xp, shape[:-2], [g, result, q, k, v], [*out[:3]])
        inputs, outs = ([x for i in part for x in found.arguments(i)] for part in (range(5), range(5, 8)))
        sizes = [np.int32(n) for n in (found.inner, length, keys, d, e, causal)]
        launch = cuda.kernel(FILE, "attention_grad", shared, T=dtype)
        grid = (-(-length // ROWS) + -(-keys // ROWS)) * _count(shape)
        launch(grid, THREADS, *inputs, keep, weights, *outs, ds if scores else None, *sizes, np.float64(scale))
        handed_over(xp, [*found.arrays[5:], ds][: 3 + scores], out)
        return out
    towards = ds if _wide(dtype) == dtype else xp.empty(shape, _wide(dtype))
    plain["matmul"](g, xp.swapaxes(v, -1, -2), out=towards)
    found = heads(xp, shape[:-2], [g, result], [])
    kept = None if keep is None else xp.empty(shape, q.dtype)
    sizes = [np.int32(n) for n in (found.inner, length, keys, e)]
    launch = cuda.kernel(FILE, "attention_softmax_grad", T=dtype)
    given = [*found.arguments(0), *found.arguments(1), keep, weights, towards, ds, kept]
    launch(_count(shape) * length, warps(-(-keys // 4), 256), *given, *sizes, np.float64(1 if scores else scale))
    kept = weights if kept is None else kept
    for x, y, to in (ds, k, out[0]), (xp.swapaxes(ds, -1, -2), q, out[1]), (xp.swapaxes(kept, -1, -2), g, out[2]):
        plain["matmul"](x, y, out=to)
    if scores:  # which want to be as they are
        xp.multiply(out[0], scale, out=out[0])
        xp.multiply(out[1], scale, out=out[1])
        handed_over(xp, [ds], out[3:])
    return out
