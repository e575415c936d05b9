"""What a replay on NumPy calls: kernels bound to their arrays, with all that can be known beforehand worked out once.

A replayed call has the same arrays every time. So a number among its inputs becomes an array of one element once
(NumPy would convert it at each call), and a kernel of a few NumPy calls becomes those calls, without the Python around
them. The calls, and so every bit of the results, are those of the kernel itself.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinynet.program import Call

Run = Callable[[], Any]
_makers: dict[str, Callable[[Call], list[Run] | None]] = {}


def bind(call: Call) -> list[Run]:
    """The calls without arguments that do what this recorded call does."""
    made = _makers[call.name](call) if call.name in _makers else None
    if made is None and isinstance(call.kernel, np.ufunc):
        made = [partial(call.kernel, *_as_arrays(call.inputs), out=call.out)]
    return made or [partial(call.kernel, *call.inputs, out=call.out, **call.params)]


def bound(name: str) -> Callable[[Any], Any]:
    """Enter a function as the one that binds a kernel; it may decline with None."""

    def enter(maker: Any) -> Any:
        _makers[name] = maker
        return maker

    return enter


def _as_arrays(inputs: tuple[Any, ...]) -> list[Any]:
    """The inputs, plain numbers as arrays of the element type that NumPy would give them beside the others."""
    kinds = [x.dtype for x in inputs if isinstance(x, np.ndarray)]
    floating = len(set(kinds)) == 1 and kinds[0].kind == "f"
    return [np.asarray(x, kinds[0]) if floating and type(x) in (int, float) else x for x in inputs]


@bound("linear")
def _linear(call: Call) -> list[Run] | None:
    x, w, b = call.inputs
    out = call.out
    if x.ndim > 2:
        if not (x.flags.c_contiguous and out.flags.c_contiguous):
            return None
        x, out = x.reshape(-1, x.shape[-1]), out.reshape(-1, len(w))
    product = partial(np.matmul, x, w.T, out=out)
    return [product] if b is None else [product, partial(np.add, out, b, out=out)]


@bound("sum")
def _sum(call: Call) -> list[Run] | None:
    (x,) = call.inputs
    if x.dtype == np.float16:
        return None
    return [partial(np.add.reduce, x, axis=call.params["axis"], out=call.out, keepdims=True)]


ROW = 2**16  # elements of zeros at most
_zeros: dict[Any, Any] = {}


@bound("relu")
def _relu(call: Call) -> list[Run] | None:
    """Beside a row of zeros: NumPy's maximum takes two arrays several times faster than an array and a number."""
    (x,), out = call.inputs, call.out
    if not (x.flags.c_contiguous and out.flags.c_contiguous and x.size):
        return None
    row = x.size
    for size in x.shape:
        if row <= ROW:
            break
        row //= size
    zeros = _zeros.setdefault(x.dtype, np.zeros(ROW, x.dtype))[:row]
    return [partial(np.maximum, x.reshape(-1, row), zeros, out=out.reshape(-1, row))]
