"""Functions that make tensors, join them or choose between them."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from tinynet import primitives as p
from tinynet import random
from tinynet.backend import Backend
from tinynet.dtypes import check_dtype
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.modes import mode
from tinynet.registry import get_backend
from tinynet.tensor import Tensor


def full(
    shape: int | Sequence[int], value: float, dtype: str | None = None, backend: "str | Backend | None" = None
) -> Tensor:
    """A tensor filled with one number."""
    chosen = get_backend(backend)
    if dtype is not None:
        check_dtype(dtype)
    return _made(chosen.full(_sizes((shape,)), value, dtype or chosen.default_dtype), chosen)


def zeros(*shape: Any, dtype: str | None = None, backend: "str | Backend | None" = None) -> Tensor:
    """A tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``."""
    return full(_sizes(shape), 0.0, dtype, backend)


def ones(*shape: Any, dtype: str | None = None, backend: "str | Backend | None" = None) -> Tensor:
    """A tensor of ones: ``ones(2, 3)`` or ``ones((2, 3))``."""
    return full(_sizes(shape), 1.0, dtype, backend)


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    if not all(isinstance(size, Integral) and int(size) >= 0 for size in sizes):
        raise ShapeError(f"a shape is a row of whole numbers of at least 0; got {sizes!r}. A dtype goes as dtype=.")
    return tuple(map(int, sizes))


def arange(start: int, stop: int | None = None, step: int = 1, backend: "str | Backend | None" = None) -> Tensor:
    """The integers start, start + step, … below stop; 0 … start - 1 where only one is given."""
    chosen = get_backend(backend)
    first, last = (0, start) if stop is None else (start, stop)
    return _made(chosen.array(np.arange(first, last, step)), chosen)


def rand(*shape: Any, dtype: str | None = None, backend: "str | Backend | None" = None) -> Tensor:
    """Random numbers uniform in [0, 1): ``rand(2, 3)``. The same on every backend after the same ``tn.manual_seed``,
    and drawn anew in each replay of a recorded step."""
    chosen = get_backend(backend)
    if dtype is not None:
        check_dtype(dtype)
    state = Tensor.of(random.stream(chosen), chosen)
    return Tensor.apply(p.uniform, state, shape=_sizes(shape), dtype=dtype or chosen.default_dtype)


def _made(array: Any, backend: Backend) -> Tensor:
    """The new array as a Tensor; inside a recorded step as a copy that each replay makes anew."""
    return Tensor.of(array if mode.recorder is None else backend.launch("copy", array), backend)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one behind the other along a dimension they have."""
    if isinstance(tensors, Tensor) or not all(isinstance(t, Tensor) for t in tensors):
        raise TypeMismatch(f"cat takes a list of tensors; got {type(tensors).__name__}.")
    if not tensors:
        raise ArgumentError("cat needs at least one tensor; got none.")
    return Tensor.apply(p.concatenate, *tensors, axis=tensors[0]._dims(dim)[0])


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new dimension."""
    if len({t.shape for t in tensors}) > 1:
        raise ShapeError(f"stack needs tensors of one shape; got {', '.join(str(t.shape) for t in tensors)}.")
    return cat([t.unsqueeze(dim) for t in tensors], dim)


def where(condition: Tensor, x: Any, y: Any) -> Tensor:
    """x where the condition holds, y elsewhere."""
    return Tensor.apply(p.where, condition, x, y)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two numbers, Values or Tensors, element by element; a tie shares the gradient."""
    return p.maximum(x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two numbers, Values or Tensors, element by element; a tie shares the gradient."""
    return p.minimum(x, y)
