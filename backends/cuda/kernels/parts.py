"""Gradients of the parts of one array, put together: where they were computed in their places, nothing is left."""

import math
from itertools import pairwise
from typing import Any

from tinynet.backends.kernels import plain
from tinynet.dtypes import dtype_name

Array = Any
MOST = 16  # parts that are looked at in pairs


def _order(strides: tuple[int, ...]) -> list[int]:
    """The dimensions from the one with the longest stride to the one with the shortest."""
    return sorted(range(len(strides)), key=lambda i: -strides[i])


def _turned_back(x: Array, order: list[int]) -> Array:
    """The array whose dimensions were taken in this order."""
    return x.transpose(sorted(range(len(order)), key=lambda i: order[i]))


def side_by_side(xp: Any, *arrays: Array) -> list[Array] | None:
    """Room for something like each array, laid out as they are if they are neighbours in one array; None if not."""
    first, second = arrays[:2]
    apart = second.data.ptr - first.data.ptr
    alike = all(x.shape == first.shape and x.strides == first.strides for x in arrays)
    even = all(y.data.ptr - x.data.ptr == apart for x, y in pairwise(arrays))
    if apart <= 0 or not alike or not even:
        return None
    shape, order = (len(arrays), *first.shape), _order((apart, *first.strides))
    whole = _turned_back(xp.empty([shape[i] for i in order], first.dtype), order)
    return [whole[i] for i in range(len(arrays))]


def assemble(xp: Any, x: Array, *parts: Array, indices: tuple[Any, ...], out: Array = None) -> Array:
    """Parts at their indices in an array laid out like x, zeros elsewhere; what falls on the same place adds up.

    A part that lies in its place is not copied. Without ``out`` the result is the array that the parts are views of,
    where each of them stands at its index there.
    """
    if not _tile(x.shape, indices):
        return _added(xp, x, parts, indices, out)
    if out is None and (whole := _around(x, parts, indices)) is not None:
        return whole
    out = xp.empty_like(x, dtype=parts[0].dtype) if out is None else out
    for part, index in zip(parts, indices):
        if not _same(view := out[_full(index)], part):
            xp.copyto(view, part)
    return out


def _added(xp: Any, x: Array, parts: tuple[Array, ...], indices: tuple[Any, ...], out: Array | None) -> Array:
    """Parts added up in their places, bfloat16, with which CuPy does not add, in float32."""
    if (dtype := dtype_name(parts[0].dtype)) != "bfloat16":
        return plain.assemble(xp, x, *parts, indices=indices, out=out)
    whole = plain.assemble(xp, x, *[part.astype("float32") for part in parts], indices=indices)
    return plain.copy(xp, whole, dtype, out=out)


def _full(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index with an ellipsis, with which the result is always an array."""
    return index if any(part is Ellipsis for part in index) else (*index, Ellipsis)


def _spans(shape: tuple[int, ...], index: tuple[Any, ...]) -> list[range]:
    """Which numbers of each dimension an index takes."""
    parts = [part for part in _full(index) if part is not None]
    here = next(i for i, part in enumerate(parts) if part is Ellipsis)
    parts[here : here + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    return [range(n)[part] if isinstance(part, slice) else range(n)[part % n :][:1] for n, part in zip(shape, parts)]


def _tile(shape: tuple[int, ...], indices: tuple[Any, ...]) -> bool:
    """Whether every element of a shape is taken by one of a few indices, and by no other."""
    if len(indices) > MOST:
        return False
    boxes = [_spans(shape, index) for index in indices]
    if sum(math.prod(map(len, box)) for box in boxes) != math.prod(shape):
        return False
    return all(
        any(set(mine).isdisjoint(theirs) for mine, theirs in zip(box, other))
        for i, box in enumerate(boxes)
        for other in boxes[:i]
    )


def _same(x: Array, y: Array) -> bool:
    """Whether two arrays are the same elements in memory, in the same order."""
    steps = [[s for s, n in zip(a.strides, a.shape) if n > 1] for a in (x, y)]
    return bool(x.data.ptr == y.data.ptr and x.shape == y.shape and x.dtype == y.dtype and steps[0] == steps[1])


def _around(x: Array, parts: tuple[Array, ...], indices: tuple[Any, ...]) -> Array | None:
    """The array laid out like x that has each part in its place, if the parts are views of one; else None."""
    base = parts[0].base
    if base is None or base.size != x.size or base.dtype != parts[0].dtype or not base.flags.c_contiguous:
        return None
    order = _order(x.strides)
    whole = _turned_back(base.reshape([x.shape[i] for i in order]), order)
    return whole if all(_same(whole[_full(i)], part) for part, i in zip(parts, indices)) else None
