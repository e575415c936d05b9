"""NumPy on the CPU: the kernels as they stand, but for two.

A class or a row below 0, which NumPy would count from the end, is refused; in a replayed step nothing else would look.
"""

from typing import Any

import numpy as np

from tinynet.backend import Array, Backend
from tinynet.backends.blas import use_threads
from tinynet.backends.bound import Run, bind
from tinynet.backends.checks import check_classes, counted
from tinynet.backends.halves import Halves
from tinynet.backends.kernels import table
from tinynet.backends.unused import give_back
from tinynet.errors import ArgumentError, TypeMismatch
from tinynet.passes import in_blocks
from tinynet.program import Call, Program

_KERNELS = table(np)


def _softmax_cross_entropy(x: Array, target: Array, mean: bool = False, out: Any = None) -> Any:
    check_classes(x, target, counted(target))
    return _KERNELS["softmax_cross_entropy"](x, target, mean, out=out)


def _embedding(weight: Array, index: Array, padding_idx: int | None, layer: str, out: Array = None) -> Array:
    counted = index.view(f"u{index.itemsize}")  # in which a number below 0 is a very large one
    if index.size and np.maximum.reduce(counted, None) >= len(weight):
        stray = index.min() if index.min() < 0 else index.max()
        raise ArgumentError(
            f"{layer} has rows 0 … {len(weight) - 1}; got index {stray}. Is the vocabulary larger than the table?"
        )
    return weight.take(index, 0, out, "clip")  # which need not look again


LINE = 64  # bytes that a processor fetches at once


class NumpyBackend(Backend):
    """Arrays in main memory, kernels by NumPy and its BLAS."""

    name = "numpy"
    kernels = _KERNELS | {"softmax_cross_entropy": _softmax_cross_entropy, "embedding": _embedding}
    array_type = np.ndarray
    overlays = True
    halves = Halves()

    def wrap(self, result: Any) -> Array:
        return np.asarray(result)  # NumPy hands out 0-d results as bare scalars

    def array(self, data: np.ndarray[Any, Any], dtype: str | None = None) -> Array:
        if data.dtype == object:
            raise TypeMismatch(
                f"backend {self.name!r} holds numbers, got objects: {data!r:.60}. Values live on 'scalar'."
            )
        return np.array(data, dtype)

    def numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return array

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Array:
        return np.full(shape, value, dtype)

    def bind(self, call: Call) -> list[Run]:
        return bind(call)

    def joined(self, program: Program) -> list[Call]:
        return in_blocks(program)

    def overlay(self, arrays: list[Array]) -> list[Array]:
        room = np.empty(max(a.nbytes for a in arrays) + LINE, np.uint8)
        start = -room.ctypes.data % LINE
        return [np.ndarray(a.shape, a.dtype, room, start, a.strides) for a in arrays]

    def tidy(self) -> None:
        give_back()

    def use_threads(self, count: int) -> int | None:
        return use_threads(count)

    def shares_memory(self, x: Array, y: Array) -> bool:
        return np.may_share_memory(x, y)
