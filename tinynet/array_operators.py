"""What can be written on a Tensor and not on a Value: shapes, indexing, comparisons element by element, reductions.

Like ``operators.py`` it adds no machinery: each method is a row of the formula sheet, or a few of them.
"""

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from tinynet import primitives as p
from tinynet.dtypes import FLOATS, HALVES
from tinynet.errors import ShapeError, TypeMismatch
from tinynet.operators import Operators
from tinynet.primitives import Primitive

Dim = int | Sequence[int] | None


class Extreme(NamedTuple):
    """What ``x.max(dim)`` and ``x.min(dim)`` return."""

    values: Any
    indices: Any


class ArrayOperators(Operators):
    """Shapes, indexing, comparisons and reductions, in PyTorch's names."""

    data: Any
    backend: Any
    of: Any

    @classmethod
    def like(cls, data: Any, other: Any) -> Any:
        """The data as a tensor on the same backend as ``other``."""
        raise NotImplementedError

    def numpy(self) -> "np.ndarray[Any, Any]":
        """A NumPy copy."""
        raise NotImplementedError

    # --- shape --------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return tuple(self.data.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.data.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.data.shape)

    def numel(self) -> int:
        """The number of elements, as PyTorch asks for it."""
        return self.size

    @property
    def dtype(self) -> str:
        """The element type by name. Values count as float64, which is what they compute in."""
        return self.backend.dtype(self.data)

    def is_floating_point(self) -> bool:
        """Whether the elements are floats, and so may have gradients."""
        return self.dtype in FLOATS

    def __len__(self) -> int:
        if not self.shape:
            raise TypeMismatch("len() of a 0-d tensor: it has one element and no first dimension.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: Any) -> Self:
        """The same elements in another shape; one size may be -1."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if sizes == self.shape:
            return self
        wanted = tuple([int(n) for n in sizes])
        if wanted == self.shape or (wanted == (-1,) and self.ndim == 1):
            return self
        return self.apply(p.reshape, self, shape=wanted)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """Dimensions start_dim … end_dim run together into one: ``flatten(1)`` keeps the batch."""
        if not self.ndim:
            return self.reshape(1)
        start, end = self._dims((start_dim, end_dim))
        return self.reshape(*self.shape[:start], math.prod(self.shape[start : end + 1]), *self.shape[end + 1 :])

    def permute(self, *dims: Any) -> Self:
        """Dimensions in another order."""
        return self.apply(p.transpose, self, axes=self._dims(dims[0] if isinstance(dims[0], tuple | list) else dims))

    def transpose(self, dim0: int, dim1: int) -> Self:
        """Two dimensions swapped."""
        axes = list(range(self.ndim))
        a, b = self._dims((dim0, dim1))
        axes[a], axes[b] = b, a
        return self.apply(p.transpose, self, axes=tuple(axes))

    @property
    def T(self) -> Self:
        """All dimensions in reverse order; the transpose of a matrix."""
        return self.apply(p.transpose, self, axes=tuple(range(self.ndim)[::-1]))

    @property
    def mT(self) -> Self:
        """The last two dimensions swapped: the transpose of each matrix in a batch."""
        return self.transpose(-2, -1)

    def unsqueeze(self, dim: int) -> Self:
        """A new dimension of size 1 at position dim."""
        if not -self.ndim - 1 <= dim <= self.ndim:
            raise ShapeError(f"unsqueeze has places 0 … {self.ndim} for a new dimension of {self.shape}; got {dim}.")
        dim = dim + self.ndim + 1 if dim < 0 else dim
        return self.reshape(*self.shape[:dim], 1, *self.shape[dim:])

    def squeeze(self, dim: Dim = None) -> Self:
        """Without its dimensions of size 1, or without those of them that are named."""
        drop = {i for i, n in enumerate(self.shape) if n == 1} & set(self._dims(dim))
        return self.reshape(tuple(n for i, n in enumerate(self.shape) if i not in drop))

    def broadcast_to(self, shape: Sequence[int]) -> Self:
        """Repeated along dimensions of size 1, and along new leading ones, without a copy."""
        return self if tuple(shape) == self.shape else self.apply(p.broadcast_to, self, shape=tuple(shape))

    def narrow(self, dim: int, start: int, length: int) -> Self:
        """Elements start … start + length - 1 along one dimension."""
        dim = self._dims(dim)[0]
        if not 0 <= start <= start + length <= self.shape[dim]:
            raise ShapeError(
                f"narrow wants elements {start} … {start + length - 1} of dimension {dim} of {self.shape}."
            )
        index = [slice(None)] * self.ndim
        index[dim] = slice(start, start + length)
        return self[tuple(index)]

    def __getitem__(self, key: Any) -> Self:
        index, arrays = [], []
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, (ArrayOperators, np.ndarray, list, range)):
                part = self.like(list(part) if isinstance(part, range) else part, self)
                if part.dtype == "bool":
                    chosen = np.nonzero(part.numpy())  # how many there are is known only by looking
                    part_arrays = [self.of(self.backend.array(where), self.backend) for where in chosen]
                else:
                    part_arrays = [part if part.size else part.to("int64")]
                arrays += part_arrays
                index += [p.ARRAY] * len(part_arrays)
            else:
                index.append(part)
        return self.apply(p.gather, self, *arrays, index=tuple(index))

    # --- comparisons: element by element ------------------------------------------------------------------------------

    # fmt: off
    def __gt__(self, other: Any) -> Self: return self.apply(p.greater, self, other)
    def __ge__(self, other: Any) -> Self: return self.apply(p.greater_equal, self, other)
    def __lt__(self, other: Any) -> Self: return self.apply(p.less, self, other)
    def __le__(self, other: Any) -> Self: return self.apply(p.less_equal, self, other)
    def __eq__(self, other: object) -> Self: return self.apply(p.equal, self, other)  # type: ignore[override]
    def __ne__(self, other: object) -> Self: return self.apply(p.not_equal, self, other)  # type: ignore[override]
    __hash__ = object.__hash__
    # fmt: on

    # --- sums, products, extremes -------------------------------------------------------------------------------------

    def _dims(self, dim: Dim) -> tuple[int, ...]:
        """Dimensions as non-negative numbers; all of them for None."""
        count = self.ndim
        if dim is None:
            return tuple(range(count))
        dims = (dim,) if isinstance(dim, int) else tuple(dim) if isinstance(dim, Sequence) else (operator.index(dim),)
        for d in dims:
            if not -count <= d < count:
                raise ShapeError(f"there is no dimension {d} in a tensor of shape {self.shape}.")
        return tuple([d % count for d in dims])

    def _reduce(self, primitive: Primitive, dim: Dim, keepdim: bool) -> Self:
        dims = self._dims(dim)
        out = self.apply(primitive, self, axis=dims)
        return out if keepdim else out.reshape([n for i, n in enumerate(self.shape) if i not in dims])

    def sum(self, dim: Dim = None, keepdim: bool = False) -> Self:
        """The sum over the dimensions dim, all by default."""
        return self._reduce(p.sum, dim, keepdim)

    def mean(self, dim: Dim = None, keepdim: bool = False) -> Self:
        """The mean, Σx / n."""
        if self.dtype in HALVES:  # a float16's sums end at 65,504
            wide = self.apply(p.cast, self, dtype="float32")
            return self.apply(p.cast, wide.mean(dim, keepdim), dtype=self.dtype)
        total = self.sum(dim, keepdim)
        return total / (self.size // max(total.size, 1)) if self.size else total * np.nan

    def var(self, dim: Dim = None, correction: int = 1, keepdim: bool = False) -> Self:
        """The variance, Σ(x - mean)² / (n - correction)."""
        if self.dtype in HALVES:
            wide = self.apply(p.cast, self, dtype="float32")
            return self.apply(p.cast, wide.var(dim, correction, keepdim), dtype=self.dtype)
        squares = ((self - self.mean(dim, keepdim=True)) ** 2).sum(dim, keepdim)
        return squares / max(self.size // max(squares.size, 1) - correction, 0)

    def std(self, dim: Dim = None, correction: int = 1, keepdim: bool = False) -> Self:
        """The standard deviation, √var."""
        return self.var(dim, correction, keepdim).sqrt()

    def amax(self, dim: Dim = None, keepdim: bool = False) -> Self:
        """The largest element; where several tie, they share the gradient."""
        return self._reduce(p.max, dim, keepdim)

    def amin(self, dim: Dim = None, keepdim: bool = False) -> Self:
        """The smallest element; where several tie, they share the gradient."""
        return self._reduce(p.min, dim, keepdim)

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The largest element; with ``dim`` the pair (values, indices)."""
        return self.amax() if dim is None else Extreme(self.amax(dim, keepdim), self.argmax(dim, keepdim))

    def min(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The smallest element; with ``dim`` the pair (values, indices)."""
        return self.amin() if dim is None else Extreme(self.amin(dim, keepdim), self.argmin(dim, keepdim))

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The index of the (first) largest element, in the flattened tensor where dim is None."""
        return self._where_extreme(p.argmax, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The index of the (first) smallest element, in the flattened tensor where dim is None."""
        return self._where_extreme(p.argmin, dim, keepdim)

    def _where_extreme(self, primitive: Primitive, dim: int | None, keepdim: bool) -> Self:
        if dim is None:
            return self.reshape(-1)._reduce_index(primitive, 0).reshape((1,) * self.ndim if keepdim else ())
        out = self._reduce_index(primitive, self._dims(dim)[0])
        return out.unsqueeze(dim % self.ndim) if keepdim else out

    def _reduce_index(self, primitive: Primitive, axis: int) -> Self:
        return self.apply(primitive, self, axis=axis)

    def __matmul__(self, other: Any) -> Self:
        """Matrix product over the last two dimensions, batched over the others; a 1-d operand is a row or a column."""
        x, y = self, self.like(other, self)
        left, right = x.shape, y.shape
        if not left or not right:
            raise ShapeError(f"matmul needs at least one dimension on both sides; got {left} @ {right}. Use *.")
        row, column = len(left) == 1, len(right) == 1
        if left[-1] != right[0 if column else -2]:
            raise ShapeError(f"matmul multiplies (…, n, k) @ (…, k, m); got {left} @ {right}: k differs.")
        out = self.apply(p.matmul, x.unsqueeze(0) if row else x, y.unsqueeze(1) if column else y)
        out = out.squeeze(-1) if column else out
        return out.squeeze(-1 if column else -2) if row else out

    def __rmatmul__(self, other: Any) -> Self:
        return self.like(other, self) @ self
