"""The contract between the engine and an array library: one table of kernels behind one door.

A *kernel* is a function ``kernel(*arrays, out=None, **params) -> array`` that knows nothing but its arguments. A
*backend* is a table of kernels and the few ways in and out of its arrays. Everything that computes goes through
``backend.launch``, so recording a step (``program.py``) is one ``if`` in one place. This file names no array library
but NumPy, whose arrays are how host data comes and goes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinynet.dtypes import dtype_name, met
from tinynet.errors import KernelMissing
from tinynet.memory import HasMemory
from tinynet.modes import mode
from tinynet.replaying import Replaying

Array = Any
Kernel = Callable[..., Any]

REQUIRED = frozenset(
    "add sub mul div neg pow exp log sqrt sin cos abs erf sign tanh sigmoid relu leaky_relu softplus maximum minimum "
    "clip where greater greater_equal less less_equal equal not_equal sum max min argmax argmin matmul cast copy "
    "reshape transpose broadcast_to concatenate gather scatter_add uniform".split()
)
"""The kernels that every backend must have. All others are fused ones, each with a reference to fall back on.

Unless listed here they take arrays alone, ``add(x, y)``, ``exp(x)``, ``where(condition, x, y)``, and broadcast them:

    pow(x, y), clip(x, low, high), leaky_relu(x, slope)
    sum, max, min(x, axis=(0, 2))           the reduced dimensions stay, with size 1
    argmax, argmin(x, axis=1)               the dimension goes
    cast(x, dtype=), copy(x, dtype=None)    a copy is always a new array, or ``out``, broadcast and converted to fit
    reshape(x, shape=), transpose(x, axes=), broadcast_to(x, shape=), concatenate(*xs, axis=)
    gather(x, *arrays, index=)              x[index] as NumPy reads it, where each ``"array"`` is the next of the arrays
    scatter_add(g, *arrays, index=, shape=) zeros of the shape, plus g at the index; what meets adds up
    uniform(state, shape=, dtype=)          random numbers in [0, 1); ``state``, int64 (seed, calls), counts the call

A Python number may stand for an array and leaves the other's dtype as it is. Comparisons give ``bool``, ``argmax`` and
``argmin`` ``int64``. Inputs that do not fit raise ValueError or IndexError, which ``Tensor`` turns into a message that
names the operation and the shapes.
"""


class Backend(Replaying, HasMemory, ABC):
    """An array library at work. A new one fills in this class and names itself in the entry-point group
    ``tinynet.backends`` (CONTRIBUTING.md shows the lines it takes). For replays: ``replaying.py``, ``memory.py``.

    Attributes:
        name: how it is chosen: ``model.to(name)``.
        kernels: name -> kernel; must cover ``REQUIRED``.
        array_type: the class of its arrays, which have a ``shape`` and a ``dtype``.
        default_dtype: what Python floats become.
        is_host: whether its arrays lie in the memory that NumPy sees.
        differentiates: whether its arrays find their own gradients (``gradients`` below), so that the tensor rules are
            never used. True for the scalar backend alone.
        halves: of an array library that cannot compute well with half floats: which kernel to run on these inputs.
    """

    name: str
    kernels: Mapping[str, Kernel]
    array_type: type
    default_dtype = "float32"
    is_host = True
    differentiates = False
    halves: Callable[[str, Kernel, tuple[Any, ...]], Kernel] | None = None

    def __init__(self) -> None:
        if missing := sorted(REQUIRED - set(self.kernels)):
            raise KernelMissing(f"backend {self.name!r} lacks required kernels: {', '.join(missing)}. Add them.")

    def launch(self, name: str, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """Run one kernel. The result is a new array, a view, or ``out``, filled."""
        try:
            kernel = self.kernels[name]
        except KeyError:
            known = ", ".join(self.kernels)
            raise KernelMissing(f"backend {self.name!r} has no kernel {name!r}; it has: {known}.") from None
        if met.halves and self.halves is not None:
            kernel = self.halves(name, kernel, inputs)
        result = kernel(*inputs, out=out, **params)
        if result.__class__ is not self.array_type:
            result = tuple(map(self.wrap, result)) if isinstance(result, tuple) else self.wrap(result)
        if mode.recorder is not None:
            mode.recorder.record(self, name, kernel, inputs, result, params, out is not None)
        return result

    def wrap(self, result: Any) -> Array:
        """The result of a kernel as an array of this backend (some libraries return bare scalars for 0-d results)."""
        return result

    @abstractmethod
    def array(self, data: Any, dtype: str | None = None) -> Array:
        """A new array from a NumPy array."""

    @abstractmethod
    def numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """A NumPy array with the array's numbers; it waits for a device to finish."""

    @abstractmethod
    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Array:
        """A new array filled with one number."""

    def load(self, data: np.ndarray[Any, Any], out: Array) -> None:
        """Overwrite ``out`` with the elements of a NumPy array."""
        self.launch("copy", data if isinstance(data, self.array_type) else self.array(data), out=out)

    def dtype(self, array: Array) -> str:
        """The name of the array's element type, one of ``DTYPES``."""
        return dtype_name(array.dtype)

    def shares_memory(self, x: Array, y: Array) -> bool:
        """Whether one array is a view of the other. True where that is unknown: a recorded step then keeps a copy."""
        raise NotImplementedError

    def constant(self, array: Array) -> Array:
        """The array as something that no gradient flows into, on a backend that differentiates itself."""
        return array

    def label(self, array: Array, name: str) -> None:
        """Let the elements without a name know what they belong to, on a backend whose elements can."""

    def forget_gradients(self, array: Array) -> None:
        """Set the gradients inside the array's elements to 0, on a backend whose elements have some."""

    def gradients(self, root: Array, seed: Array, wanted: list[Array]) -> list[Array]:
        """d(sum of root · seed) / d(each wanted array), for a backend that differentiates itself."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<backend {self.name}>"
