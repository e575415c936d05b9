"""The scalar backend: NumPy arrays of Values.

NumPy falls back on Python's operators for arrays of objects, so the structural kernels (matmul, sum, reshape, indexing)
work unchanged and every result is a Value that remembers. What differs, and why:

- Functions of the formula sheet are applied to each element, so that the graph shows them by name.
- A number as exponent stays a parameter of the operation: x² has a gradient at x < 0, x^y with respect to y has none.
- Every float is a Value. NumPy leaves plain numbers where it adds up nothing, or where a 0 was chosen or joined on.
- ``max`` shares the gradient among ties, as the formula sheet says; NumPy would pick one element.
- ``out`` means: overwrite the numbers inside the Values that are there. History ends at such a step, which is just what
  an optimiser's update is.
- Gradients come from ``Value.backward`` and from none of the tensor rules: this is the independent oracle.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet import primitives as p
from tinynet.backend import REQUIRED, Array, Backend
from tinynet.backends.kernels import table
from tinynet.dtypes import FLOATS
from tinynet.value import Value

_to_values = np.frompyfunc(lambda x: x if isinstance(x, Value) else Value(x), 1, 1)
_forget_history = np.frompyfunc(lambda x: Value(x.data, label=x.label), 1, 1)
_to_fresh_values = np.frompyfunc(lambda x: Value(float(x)), 1, 1)


def _each(primitive: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel that applies a row of the formula sheet to each element; ``plain`` is for arrays of plain numbers."""

    def kernel(*xs: Any, out: None = None, **params: Any) -> Any:
        if not any(isinstance(x, np.ndarray) and x.dtype.kind == "O" for x in xs):
            return plain(*xs, **params)
        return np.frompyfunc(lambda *values: primitive(*values, **params), len(xs), 1)(*xs)

    return kernel


def _extreme(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The largest (smallest) element as the mean of the elements that attain it, which is how ties share a gradient."""

    def shared(x: Array, axis: tuple[int, ...], out: None = None) -> Array:
        if x.dtype != object:
            return kernel(x, axis=axis)
        numbers = x.astype(np.float64)
        attains = numbers == kernel(numbers, axis=axis)
        count = np.sum(attains, axis=axis, keepdims=True)
        total = np.sum(np.where(attains, x, 0), axis=axis, keepdims=True)
        return np.where(count > 1, total / count, total)

    return shared


def _copy(x: Array, dtype: str | None = None, out: None = None) -> Array:
    """The numbers without their history."""
    return _forget_history(x) if x.dtype == object else x.astype(dtype or x.dtype)


def _cast(x: Array, dtype: str, out: None = None) -> Array:
    """Values are floats of every width; as integers they lose their history."""
    if dtype in FLOATS:
        return _to_values(x)
    return x.astype(np.float64).astype(dtype) if x.dtype == object else x.astype(dtype)


PLAIN = table(np)
BY_ELEMENT = ("sigmoid", "relu", "leaky_relu", "softplus", "erf", "sign", "clip", "maximum", "minimum")


class ScalarBackend(Backend):
    """Every number a Value."""

    name = "scalar"
    kernels = {name: kernel for name, kernel in PLAIN.items() if name in REQUIRED} | {
        **{name: _each(getattr(p, name), PLAIN[name]) for name in BY_ELEMENT},
        **{name: _extreme(PLAIN[name]) for name in ("max", "min")},
        "pow": _each(operator.pow, PLAIN["pow"]),
        "copy": _copy,
        "cast": _cast,
    }
    array_type = np.ndarray
    default_dtype = "float64"
    differentiates = True
    replayable = False

    def launch(self, name: str, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """Run one kernel; with ``out`` the numbers go into its Values and the history ends."""
        result = super().launch(name, *inputs, **params)
        if result.dtype.kind in "fO":
            result = np.asarray(_to_values(result))
        if out is None:
            return result
        if out.dtype != object:
            np.copyto(out, result, casting="unsafe")
            return out
        for value, new in zip(out.flat, np.broadcast_to(result, out.shape).flat):
            value.data = float(new)
            value.label = getattr(new, "label", "") or value.label
        return out

    def wrap(self, result: Any) -> Array:
        return np.asarray(result)

    def array(self, data: np.ndarray[Any, Any], dtype: str | None = None) -> Array:
        if data.dtype == object:
            return _to_values(data)
        data = np.array(data, dtype)
        return np.asarray(_to_fresh_values(data)) if data.dtype.name in FLOATS else data

    def numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array, np.float64) if array.dtype == object else array

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Array:
        return self.array(np.full(shape, value, dtype))

    def dtype(self, array: Array) -> str:
        return "float64" if array.dtype == object else str(array.dtype.name)

    def shares_memory(self, x: Array, y: Array) -> bool:
        return np.may_share_memory(x, y)

    def constant(self, array: Array) -> Array:
        return np.asarray(_forget_history(array)) if array.dtype == object else array

    def label(self, array: Array, name: str) -> None:
        if array.dtype == object:
            for index, value in np.ndenumerate(array):
                value.label = value.label or f"{name}[{','.join(map(str, index))}]"

    def forget_gradients(self, array: Array) -> None:
        if array.dtype == object:
            for value in array.flat:
                value.grad = 0.0

    def gradients(self, root: Array, seed: Array, wanted: list[Array]) -> list[Array]:
        watched = {value: value.grad for array in wanted for value in array.flat}
        for value in watched:
            value.grad = 0.0
        total: Value = np.sum(root * seed) + Value(0.0)  # the sum of an empty array is the number 0
        total.backward()
        read = np.frompyfunc(lambda value: Value(value.grad), 1, 1)
        found = [np.asarray(read(array)) for array in wanted]
        for value, before in watched.items():  # like every leaf's, their gradients add up from call to call
            value.grad += 0.0 if value.parents else before
        return found
