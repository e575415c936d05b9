"""How numbers come into a tensor, are replaced in it, and leave it: NumPy arrays, Python numbers, other backends."""

import copy
from typing import Any, Self

import numpy as np

from tinynet import primitives as p
from tinynet.array_operators import ArrayOperators
from tinynet.backend import Backend
from tinynet.dtypes import DTYPES, check_dtype
from tinynet.errors import GradientError, ShapeError, TypeMismatch
from tinynet.modes import mode, refuse_while_recording
from tinynet.primitives import Primitive
from tinynet.registry import get_backend


class HostExchange(ArrayOperators):
    """Reading a tensor, moving, filling and copying it. Reading waits for a device: a recorded step refuses it."""

    primitive: Primitive | None
    requires_grad: bool
    label: str
    grad: Any

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self.primitive is not None:
            raise GradientError("only leaves can be copied deeply; this tensor was computed. Use detach().")
        twin = memo[id(self)] = type(self).__new__(type(self))
        twin.data, twin.backend = self.backend.launch("copy", self.data), self.backend
        twin.requires_grad, twin.label = self.requires_grad, self.label
        twin.grad = copy.deepcopy(self.grad, memo)
        return twin

    def numpy(self) -> np.ndarray[Any, Any]:
        """A NumPy copy. On a GPU this waits for it to finish."""
        refuse_while_recording("a value was read (item, numpy, bool, print) inside the step")
        return np.array(self.backend.numpy(self.data))

    def item(self) -> float | int | bool:
        """The one number in this tensor as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item() needs exactly one element; this tensor has shape {self.shape}.")
        return self.numpy().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.numpy().tolist()

    def to(self, backend: "str | Backend | None" = None, dtype: str | None = None) -> Self:
        """This tensor on another backend, or with another element type; itself where nothing changes.

        Raises:
            GradientError: moving between backends while a gradient is wanted; use ``detach()`` first.
        """
        if backend is None and dtype == self.dtype:
            return self
        if backend in DTYPES:
            backend, dtype = None, str(backend)
        if dtype is not None:
            check_dtype(dtype)
        target = self.backend if backend is None else get_backend(backend)
        if target is not self.backend:
            if self.requires_grad and mode.remember:
                raise GradientError(
                    f"moving from {self.backend.name} to {target.name} has no gradient: detach() first."
                )
            return self.of(target.array(self.numpy(), dtype), target)
        return self if dtype in (None, self.dtype) else self.apply(p.cast, self, dtype=dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return self.numpy().astype(dtype or self.dtype)

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __repr__(self) -> str:
        shown = np.array2string(self.numpy(), precision=4, separator=", ", threshold=100, prefix="Tensor(")
        made = f", made by {self.primitive.name}" if self.primitive else ", requires_grad" if self.requires_grad else ""
        return f"Tensor({shown}, {self.dtype}, {self.backend.name}{made})"

    # --- in place: for optimisers and for loading, where nothing is remembered ----------------------------------------

    def _overwrite(self, kernel: str, *inputs: Any) -> Self:
        """Launch a kernel into this tensor's own array."""
        raise NotImplementedError

    def overwritten(self) -> None:
        """Note that the numbers in this tensor have changed."""
        raise NotImplementedError

    def add_(self, other: Any) -> Self:
        """Add in place."""
        return self._overwrite("add", self, other)

    def sub_(self, other: Any) -> Self:
        """Subtract in place."""
        return self._overwrite("sub", self, other)

    def mul_(self, other: Any) -> Self:
        """Multiply in place."""
        return self._overwrite("mul", self, other)

    def copy_(self, other: Any) -> Self:
        """Overwrite with another tensor's elements, broadcast and converted."""
        return self._overwrite("copy", self.like(other, self))

    def zero_(self) -> Self:
        """Fill with zeros."""
        return self.copy_(0.0)

    def load_(self, data: Any) -> Self:
        """Overwrite with numbers or an array from the host, or a tensor from anywhere; broadcast and converted."""
        host = data.numpy() if isinstance(data, HostExchange) else np.asarray(data)
        if host.shape != self.shape:
            host = np.broadcast_to(host, self.shape)
        self.backend.load(host, self.data)
        self.overwritten()
        return self


def host_array(data: Any, dtype: str | None, default: str) -> np.ndarray[Any, Any]:
    """Anything a Tensor can be made from, as a NumPy array; Python floats, which name no precision, as default."""
    if isinstance(data, HostExchange):
        return data.numpy()
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(f"Tensor(...) needs rows of equal length; NumPy says: {error}") from None
    except RuntimeError as error:  # a PyTorch tensor that requires a gradient
        raise TypeMismatch(f"Tensor(...) cannot read {type(data).__name__}: {error}") from None
    if dtype is not None:
        check_dtype(dtype)
    if array.dtype != object and array.dtype.name not in DTYPES:  # objects are the scalar backend's business
        raise TypeMismatch(f"Tensor(...) holds {', '.join(DTYPES)}; got {array.dtype.name} in {data!r:.60}.")
    if array.dtype.itemsize == 2:
        check_dtype(array.dtype.name)
    if dtype is None and array.dtype == np.float64 and not hasattr(data, "__array__"):
        return array.astype(default)
    return array
