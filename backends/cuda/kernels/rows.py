"""Softmax, its logarithm, and cross-entropy with its slope, one launch each. The source is ``rows.cu``."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.kernels.lines import given, lines, place, sides, team, together
from tinynet.backends.cuda.module import NAMES, Module, blocks
from tinynet.backends.cuda.strays import Strays
from tinynet.backends.halves import in_float32
from tinynet.dtypes import FLOATS, dtype_name

Array = Any
FILE = "rows.cu"
SIDE_BY_SIDE, SHORT = 32, 64  # lines that lie beside each other in so many at least get a thread each, if so short
MOST_SUMS = 2048  # blocks whose sums the last of them adds up


BFLOAT16 = frozenset(("softmax", "log_softmax", "softmax_cross_entropy"))
"""The kernels that take bfloat16 as it lies."""


def kernels(cuda: Module, plain: Mapping[str, Kernel], strays: Strays) -> dict[str, Kernel]:
    """name -> kernel; those to fall back on count strays, too."""
    plain = in_float32(plain, BFLOAT16)
    finished = cuda.xp.zeros((), "uint32")  # blocks that are through with a launch; 0 between two launches
    return {
        "softmax": partial(_softmax, cuda, plain, "softmax"),
        "log_softmax": partial(_softmax, cuda, plain, "log_softmax"),
        "softmax_cross_entropy": partial(_softmax_cross_entropy, cuda, plain, strays, finished),
    }


def _softmax(cuda: Module, plain: Mapping[str, Kernel], name: str, x: Array, dim: int, out: Array = None) -> Array:
    """e^x / Σ e^x along a dimension, or its logarithm."""
    xp, dtype = cuda.xp, dtype_name(x.dtype)
    dim = dim + x.ndim if dim < 0 else dim
    if dtype not in FLOATS or not x.size or not 0 <= dim < x.ndim:
        return plain[name](x, dim, out=out)
    made = xp.empty(x.shape, x.dtype) if out is None or out.dtype != x.dtype or lines(out, dim) is None else out
    x = together(xp, x) if lines(x, dim) is None else x
    length, (before, after) = x.shape[dim], sides(x.shape, dim)
    threads, block = (1, 128) if after >= SIDE_BY_SIDE and length <= SHORT else team(length)
    strides = [np.int64(stride) for a in (x, made) for stride in lines(a, dim) or ()]
    cuda.kernel(FILE, "softmax", T=dtype, I="int64")(
        blocks(before * after, block // threads), block, x, made, np.int64(before * after), np.int32(length),
        np.int64(after), *strides, np.int32(threads), np.int32(name == "log_softmax"),
    )  # fmt: skip
    return given(xp, made, out)


def _softmax_cross_entropy(
    cuda: Module, plain: Mapping[str, Kernel], strays: Strays, finished: Array, x: Array, target: Array,
    mean: bool = False, out: Any = None, scale: Array = None,
) -> Any:  # fmt: skip
    """-log softmax(x)[target] for each row, or the mean of these; and the slope, softmax(x) - one-hot(target), times a
    scale, an array of one element, if there is one."""
    xp, dtype, kind = cuda.xp, dtype_name(x.dtype), dtype_name(target.dtype)
    losses, slope = out or (None, None)
    fits = dtype in FLOATS and kind in NAMES and kind not in ("bool", *FLOATS) and x.ndim == 2 and x.size
    if not fits or target.shape != x.shape[:1]:
        made = plain["softmax_cross_entropy"](x, target, mean, out=out)
        if scale is not None:
            xp.multiply(made[1], scale, out=made[1])
        return made
    rows, classes = x.shape
    result = place(xp, losses, () if mean else (rows,), x.dtype)
    made_slope = slope if slope is not None and slope.dtype == x.dtype else xp.empty_like(x)
    threads, block = team(classes)
    grid = blocks(rows, block // threads, MOST_SUMS if mean else 1 << 16)
    sums = xp.empty(grid, "float64" if dtype == "float64" else "float32") if mean else None
    strides = [np.int64(stride // a.itemsize) for a in (x, made_slope) for stride in a.strides]
    cuda.kernel(FILE, "softmax_cross_entropy", T=dtype, I=kind)(
        grid, block, x, together(xp, target), scale, None if mean else result, result if mean else None, made_slope,
        sums, finished, strays.count, np.int64(rows), np.int32(classes), *strides, np.int32(threads),
    )  # fmt: skip
    return given(xp, result, losses), given(xp, made_slope, slope)
