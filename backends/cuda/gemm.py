"""Small products of matrices by kernels of our own, and when they are chosen: where a call of cuBLAS costs more than
the product. They take matrices with any strides, and add the bias before anything is stored.
"""

from typing import Any

import numpy as np

from tinynet.backends.cuda.layout import Stack
from tinynet.backends.cuda.module import Module
from tinynet.dtypes import dtype_name

Array = Any

# To be set by `python3 -m tinynet.bench.gemm_rates` on a card.
SMALL = 1 << 20  # multiplications up to which a product is small
LONG, FEW = 128, 1 << 13  # terms of a sum from which on, and results up to which, a warp works at each result
MOST = 65535  # products of a stack, the most that a grid has room for in its last direction

TILE, THREADS, LANES = 32, 256, 32


def fits(stack: Stack, b: Array | None, dtype: Any) -> bool:
    """Whether one launch does it: a stack of one dimension at most, and a bias of the same type for each column."""
    if b is not None and not (b.dtype == dtype and b.shape == (stack.n,) and b.flags.c_contiguous):
        return False
    return not stack.dimensions or (len(stack.dimensions) == 1 and stack.dimensions[0][0] <= MOST)


def by_warps(stack: Stack, count: int) -> bool:
    """Whether every result has a warp to itself, and not a thread of a tile."""
    return stack.k >= LONG and count * stack.m * stack.n <= FEW


def small_product(
    module: Module, stack: Stack, x: Array, y: Array, out: Array, b: Array = None, warps: bool | None = None
) -> Array:
    """x @ y + b into ``out``, in one launch; ``stack`` says how the three lie.

    Args:
        b: (N,), without gaps, or None.
        warps: which of the two kernels; by the sizes where not given.
    """
    name, grid, numbers = launching(stack, warps)
    module.kernel("gemm.cu", name, T=dtype_name(x.dtype))(grid, THREADS, x, y, b, out, *numbers, None)
    return out


def launching(stack: Stack, warps: bool | None = None) -> tuple[str, tuple[int, int, int], list[Any]]:
    """The kernel for a product, its grid, and its sizes and strides in the order of its parameters."""
    count, steps = stack.dimensions[0] if stack.dimensions else (1, (0, 0, 0))
    if by_warps(stack, count) if warps is None else warps:
        name, blocks = "gemm_by_warps", -(-stack.m * stack.n // (THREADS // LANES))
    else:
        name, blocks = "gemm_by_tiles", -(-stack.m // TILE) * -(-stack.n // TILE)
    sizes = [np.int32(n) for n in (stack.m, stack.n, stack.k)]
    return name, (blocks, 1, count), [*sizes, *[np.int64(n) for end in (*stack.ends, steps) for n in end]]
