"""The contract's products of matrices on CUDA: kernels of our own for small ones, cuBLAS for others.

Neither copies what lies row by row or column by column, and a CUDA graph can hold both. Integers go to CuPy.
"""

from typing import Any

import numpy as np

from tinynet.backends.cuda.blas import DATA_TYPES, Blas
from tinynet.backends.cuda.gemm import SMALL, fits, small_product
from tinynet.backends.cuda.layout import stacked
from tinynet.backends.cuda.module import Module
from tinynet.backends.kernels.plain import copy
from tinynet.dtypes import HALVES, dtype_name

Array = Any


class Products:
    """Kernels of the contract: ``matmul``, ``linear``, ``rows_times``, ``rows_product``.

    Args:
        xp: CuPy, or what stands for it.
        blas: cuBLAS.
        module: the kernels of our own.
        small: multiplications up to which they are chosen; 0 leaves everything to cuBLAS. Sizes alone decide.
    """

    def __init__(self, xp: Any, blas: Blas, module: Module, small: int = SMALL) -> None:
        self.xp, self.blas, self.module, self.small = xp, blas, module, small

    def kernels(self) -> dict[str, Any]:
        """name -> kernel, for the backend's table."""
        return {
            "matmul": self.matmul,
            "linear": self.linear,
            "rows_times": self.matmul,
            "rows_product": self.rows_product,
        }

    def matmul(self, x: Array, y: Array, out: Array = None) -> Array:
        """x @ y as NumPy reads it: (…, M, K) @ (…, K, N) -> (…, M, N), stacks broadcast, (K,) a row or a column.

        Raises:
            ValueError: the shapes do not fit.
        """
        return self.affine(x, y, out=out)

    def linear(self, x: Array, w: Array, b: Array | None, out: Array = None) -> Array:
        """x Wᵀ + b, (…, in), (out, in), (out,) -> (…, out)."""
        return self.affine(x, w.T, b, out=out)

    def rows_product(self, x: Array, y: Array, out: Array = None) -> Array:
        """Xᵀ Y, where all leading dimensions run together: (…, M), (…, N) -> (M, N)."""
        x, y = (a if a.ndim == 2 else self.xp.reshape(a, (-1, a.shape[-1])) for a in (x, y))
        return self.affine(x.T, y, out=out)

    def affine(self, x: Array, y: Array, b: Array | None = None, out: Array = None) -> Array:
        """x @ y + b, b (N,) or None: one launch where the product is small, else the product and one more for b."""
        if x.ndim == 1 or y.ndim == 1:
            return self._of_vectors(x, y, b, out)
        shape, dtype = _fitting(x, y), dtype_name(x.dtype)
        if x.dtype != y.dtype:
            dtype = dtype_name(np.promote_types(x.dtype, y.dtype))
            x, y = (a.astype(dtype, copy=False) for a in (x, y))
        place = out
        if out is not None and out.shape != shape:
            raise ValueError(f"a product of shape {shape} does not fit an out of shape {tuple(out.shape)}")
        if out is None or not _takes(out, dtype) or any(self.xp.may_share_memory(out, a) for a in (x, y)):
            place = self.xp.empty(shape, dtype)
        self._compute(x, y, b, place)
        return place if out is None or place is out else copy(self.xp, place, out=out)

    def _compute(self, x: Array, y: Array, b: Array | None, out: Array) -> None:
        if dtype_name(x.dtype) not in DATA_TYPES:
            out[...] = self.xp.matmul(x, y)
        elif self._in_one_launch(x, y, b, out):
            return
        else:
            self.blas.gemm(x, y, out)
        if b is not None:
            self.xp.add(out, b, out=out)

    def _in_one_launch(self, x: Array, y: Array, b: Array | None, out: Array) -> bool:
        """Whether a kernel of our own has done it all."""
        if not 0 < out.size * x.shape[-1] <= self.small or x.dtype != out.dtype:
            return False
        stack = stacked(x, y, out)
        if not fits(stack, b, x.dtype):
            return False
        small_product(self.module, stack, x, y, out, b)
        return True

    def _of_vectors(self, x: Array, y: Array, b: Array | None, out: Array) -> Array:
        """The same where a vector is a matrix of one row, or of one column."""
        row, column = x.ndim == 1, y.ndim == 1
        place = out
        if out is not None:
            place = out[None, None] if row and column else out[..., None] if column else out[..., None, :]
        x, y = x[None] if row else x, y[:, None] if column else y
        result = self.affine(x, y, b, out=place)
        return out if out is not None else result[(..., 0 if row else slice(None), 0 if column else slice(None))]


def _fitting(x: Array, y: Array) -> tuple[int, ...]:
    """The shape of x @ y."""
    if x.shape[-1] != y.shape[-2]:
        raise ValueError(f"matrices {tuple(x.shape)} and {tuple(y.shape)} do not fit: {x.shape[-1]} ≠ {y.shape[-2]}")
    before, after = x.shape[:-2], y.shape[:-2]
    batch = before if before == after or not after else np.broadcast_shapes(before, after)
    return (*batch, x.shape[-2], y.shape[-1])


def _takes(out: Array, dtype: str) -> bool:
    """Whether a product of this type can be written to ``out`` at once."""
    kind = dtype_name(out.dtype)
    return kind == dtype or (kind == "float32" and dtype in HALVES)
