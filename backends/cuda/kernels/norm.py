"""Normalisation and its gradients over the last dimensions, or over all but the channels. The source is ``norm.cu``.

One launch forwards. Backwards one for the gradient of x, and of a w with a number for each channel; a w with a number
for each place of a row takes a second, small one. Every sum is added up in an order that the shapes alone decide.
"""

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.kernels.lines import given, place, team, together
from tinynet.backends.cuda.module import Module, blocks, divisor
from tinynet.backends.halves import in_float32
from tinynet.dtypes import FLOATS, dtype_name

Array = Any
FILE = "norm.cu"
MOST = 2**31 - 1
ROOM = 46 << 10  # bytes of shared memory for the shares of w's gradient, beside what the source declares itself
MANY = 4096  # groups from which on blocks for w's gradient are larger, and more

Sizes = tuple[int, int, int]


BFLOAT16 = frozenset(("normalise", "normalise_grad"))
"""The kernels that take bfloat16 as it lies."""


def kernels(cuda: Module, plain: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """name -> kernel."""
    plain = in_float32(plain, BFLOAT16)
    return {
        "normalise": partial(_normalise, cuda, plain),
        "normalise_grad": partial(_normalise_grad, cuda, plain),
    }


def _normalise(
    cuda: Module, plain: Mapping[str, Kernel], x: Array, w: Array | None, b: Array | None, axes: tuple[int, ...],
    eps: float, out: Any = None,
) -> Any:  # fmt: skip
    """(x - mean) / √(var + eps) · w + b, and the mean and the variance over ``axes``."""
    xp = cuda.xp
    x, sizes = _laid(xp, x, axes)
    steps = [_steps(x, axes, sizes, extra) if sizes else None for extra in (w, b)]
    if not sizes or None in steps:
        return plain["normalise"](x, w, b, axes, eps, out=out)
    wanted = out or (None, None, None)
    kept = tuple([1 if i in axes else n for i, n in enumerate(x.shape)])
    made = _like(xp, x, wanted[0])
    mean, var = (place(xp, like, kept, x.dtype) for like in wanted[1:])
    outer, groups, inner = sizes
    threads, block = team(outer * inner)
    cuda.kernel(FILE, "normalise", T=dtype_name(x.dtype))(
        blocks(groups, block // threads), block, x, *_flat(xp, w, b), made, mean, var, np.int64(groups),
        np.int32(outer), divisor(inner), *[np.int32(n) for pair in steps for n in pair or ()], np.float64(eps),
        np.int32(threads),
    )  # fmt: skip
    return tuple([given(xp, a, o) for a, o in zip((made, mean, var), wanted)])


def _normalise_grad(
    cuda: Module, plain: Mapping[str, Kernel], g: Array, x: Array, w: Array | None, mean: Array, var: Array,
    axes: tuple[int, ...], eps: float, out: Any = None,
) -> Any:  # fmt: skip
    """The gradient with respect to x, √(var + eps)⁻¹ (gw - mean(gw) - x̂ mean(gw x̂)), and, with a w, that to w."""
    xp = cuda.xp
    x, sizes = _laid(xp, x, axes)
    steps = _steps(x, axes, sizes, w) if sizes else None
    plan = _plan(sizes, steps, x.dtype) if sizes and steps else None
    alike = all(a.dtype == x.dtype for a in (g, mean, var))
    if sizes is None or steps is None or plan is None or not alike or (w is not None and steps == (0, 0)):
        return plain["normalise_grad"](g, x, w, mean, var, axes, eps, out=out)
    outer, groups, inner = sizes
    grid, block, threads, shared = plan
    wanted = (*(out or (None,)), None)[:2]
    made = _like(xp, x, wanted[0])
    towards_w = None if w is None else place(xp, wanted[1], w.shape, w.dtype)
    wide = "float64" if x.dtype.itemsize == 8 else "float32"
    parts = xp.empty((grid, inner), wide) if shared else None
    cuda.kernel(FILE, "normalise_grad", shared, T=dtype_name(x.dtype))(
        grid, block, _lying_like(xp, g, x), x, *_flat(xp, w, mean, var), made, None if shared else towards_w, parts,
        np.int64(groups), np.int32(outer), divisor(inner), *map(np.int32, steps), np.float64(eps), np.int32(threads),
    )  # fmt: skip
    if shared:
        cuda.kernel(FILE, "rows_added", T=dtype_name(x.dtype))(
            blocks(inner, 32), 1024 if grid > 128 else 256, parts, towards_w, np.int32(grid), np.int32(inner)
        )
    made = given(xp, made, wanted[0])
    return (made,) if w is None else (made, given(xp, towards_w, wanted[1]))


def _plan(sizes: Sizes, steps: tuple[int, int], dtype: Any) -> tuple[int, int, int, int] | None:
    """Blocks, threads of a block and of a team, and bytes of shared memory; None where those would be too many."""
    outer, groups, inner = sizes
    threads, block = team(outer * inner)
    if not steps[1]:
        return blocks(groups, block // threads), block, threads, 0
    bytes_each = inner * max(dtype.itemsize, 4)
    if threads <= 32 and groups > MANY:
        block *= 4
    while block // threads > 1 and block > 32 and block // threads * bytes_each > ROOM:
        block //= 2
    needed = block // threads * bytes_each
    if needed > ROOM:
        return None
    shared = min(1 << (needed - 1).bit_length(), ROOM)  # few different sizes: each is a function of its own
    return blocks(groups, block // threads, 512 if groups > MANY else 256), block, threads, shared


def _laid(xp: Any, x: Array, axes: tuple[int, ...]) -> tuple[Array, Sizes | None]:
    """x, copied row by row if it must be, and its sizes. Rows are, so that w runs along them."""
    in_rows = axes == tuple(range(x.ndim - len(axes), x.ndim))
    if in_rows or not (sizes := _sizes(x, axes)):
        x = together(xp, x)
        sizes = _sizes(x, axes)
    return x, sizes


def _sizes(x: Array, axes: tuple[int, ...]) -> Sizes | None:
    """x in the order in which it lies, as (outer, groups, inner): the numbers of a group lie along outer and inner, the
    groups side by side in the order of their dimensions. None where it cannot be seen so."""
    if dtype_name(x.dtype) not in FLOATS or not x.size or x.size > MOST:
        return None
    order = [i for i in np.argsort([-s for s in x.strides], kind="stable").tolist() if x.shape[i] > 1]
    lies = x.itemsize
    for i in reversed(order):
        if x.strides[i] != lies:
            return None
        lies *= x.shape[i]
    middle = [place for place, i in enumerate(order) if i not in axes]
    first, last = (middle[0], middle[-1] + 1) if middle else (0, 0)
    kept = order[first:last]
    if kept != sorted(kept) or any(i in axes for i in kept):
        return None
    outer, groups, inner = (prod(x.shape[i] for i in part) for part in (order[:first], kept, order[last:]))
    return outer, groups, inner


def _steps(x: Array, axes: tuple[int, ...], sizes: Sizes, extra: Array | None) -> tuple[int, int] | None:
    """The strides of w or b along groups and inside them; None where they are spread over x in another way."""
    if extra is None or (extra.size == 1 and extra.dtype == x.dtype):
        return (1, 0) if extra is not None and sizes[1] == 1 else (0, 0)
    shape = (*[1] * (x.ndim - extra.ndim), *extra.shape)
    if extra.dtype != x.dtype or len(shape) > x.ndim:
        return None
    if shape == tuple([1 if i in axes else n for i, n in enumerate(x.shape)]):
        return 1, 0
    along = shape == tuple([n if i in axes else 1 for i, n in enumerate(x.shape)])
    return (0, 1) if along and sizes[0] == 1 and x.flags.c_contiguous else None


def _flat(xp: Any, *arrays: Array | None) -> list[Array | None]:
    return [None if a is None else together(xp, a) for a in arrays]


def _like(xp: Any, x: Array, out: Array) -> Array:
    """``out`` where it lies as x does, else a new array that does."""
    lies_so = out is not None and out.dtype == x.dtype and _lies_like(out, x)
    return out if lies_so else xp.empty_like(x)


def _lying_like(xp: Any, g: Array, x: Array) -> Array:
    if _lies_like(g, x):
        return g
    made = xp.empty_like(x)
    xp.copyto(made, g)
    return made


def _lies_like(a: Array, x: Array) -> bool:
    return all(n == 1 or s == t for n, s, t in zip(x.shape, a.strides, x.strides))
