"""What a replay on NumPy calls: kernels bound to their arrays, with all that can be known beforehand worked out once.

A replayed call has the same arrays every time. So a number among its inputs becomes an array of one element once
(NumPy would convert it at each call), and a kernel of a few NumPy calls becomes those calls, without the Python around
them. The calls, and so every bit of the results, are those of the kernel itself.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinynet.backends.checks import check_classes, counted
from tinynet.backends.halves import Quietly
from tinynet.backends.kernels.activations import by_sign
from tinynet.backends.kernels.dense import laid_flat, lies_across
from tinynet.backends.kernels.plain import SMALL, adds_as_product, reduced
from tinynet.program import Call

Run = Callable[[], Any]
_makers: dict[str, Callable[[Call], list[Run] | None]] = {}


def bind(call: Call) -> list[Run]:
    """The functions without arguments that do, one after the other, what this recorded call does."""
    if isinstance(call.kernel, Quietly):  # half floats
        return [partial(call.kernel, *call.inputs, out=call.out, **call.params)]
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
    """The inputs, plain numbers as arrays of the element type that NumPy would give them beside the others, and what
    was spread from one element as that element."""
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    floating = len({x.dtype for x in arrays}) == 1 and arrays[0].dtype.kind == "f"
    return [np.asarray(x, arrays[0].dtype) if floating and type(x) in (int, float) else _narrow(x) for x in inputs]


def _narrow(x: Any) -> Any:
    spread = isinstance(x, np.ndarray) and x.size > 1 and not any(x.strides)
    return x[(0,) * x.ndim + (...,)] if spread else x


def _product(x: Any, y: Any, out: Any) -> Run:
    """x @ y: ``dot`` asks BLAS for the same as ``matmul`` does, with half a microsecond less around it."""
    plain = x.ndim == y.ndim == 2 and x.dtype == y.dtype == out.dtype and x.dtype.kind == "f"
    if plain and out.flags.c_contiguous and x.size and y.size:
        return partial(x.dot, y, out)
    return partial(np.matmul, x, y, out=out)


@bound("matmul")
def _matmul(call: Call) -> list[Run]:
    x, y = call.inputs
    return [_product(x, y, call.out)]


@bound("linear")
def _linear(call: Call) -> list[Run] | None:
    x, w, b = call.inputs
    return _weighted_sums(x, w, b, call.out)


@bound("rows_times")
def _rows_times(call: Call) -> list[Run] | None:
    x, w = call.inputs
    return _weighted_sums(x, w.T, None, call.out)


def _weighted_sums(x: Any, w: Any, b: Any, out: Any) -> list[Run] | None:
    if lies_across(x, len(w)):
        if not out.T.flags.c_contiguous:
            return None
        across = _product(w, x.T, out.T)
        return [across] if b is None else [across, partial(np.add, out.T, b[:, None], out=out.T)]
    if x.ndim > 2:
        if not (x.flags.c_contiguous and out.flags.c_contiguous):
            return None
        x, out = x.reshape(-1, x.shape[-1]), out.reshape(-1, len(w))
    product = _product(x, w.T, out)
    return [product] if b is None else [product, partial(np.add, out, b, out=out)]


@bound("rows_product")
def _rows_product(call: Call) -> list[Run] | None:
    x, y = call.inputs
    if x.ndim > 2:
        if not (x.flags.c_contiguous and y.flags.c_contiguous and x.size and y.size):
            return None
        x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    return [_product(x.T, y, call.out)]


@bound("sum")
def _sum(call: Call) -> list[Run] | None:
    return _added_up(call.inputs[0], call.params["axis"], call.out)


@bound("sum_to")
def _sum_to(call: Call) -> list[Run] | None:
    x = call.inputs[0]
    axes, kept = reduced(x.shape, call.params["shape"])
    return _added_up(x, axes, call.out.reshape(kept)) if call.out.flags.c_contiguous else None


def _added_up(x: Any, axes: tuple[int, ...], out: Any) -> list[Run] | None:
    if x.dtype == np.float16:
        return None
    if adds_as_product(x, axes):
        rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[: len(axes)]), -1)
        return [partial(np.ones(len(rows), x.dtype).dot, rows, out.reshape(-1))] if out.flags.c_contiguous else None
    return [partial(np.add.reduce, x, axes, None, out, True)]


@bound("relu")
def _relu(call: Call) -> list[Run] | None:
    (x,) = call.inputs
    return None if x.size > SMALL else [partial(np.maximum, *_as_arrays((x, 0)), out=call.out)]


@bound("relu_gradient")
def _relu_gradient(call: Call) -> list[Run] | None:
    g, made = call.inputs
    if by_sign(g, made):
        slope = np.empty_like(made)  # in the order in which it lies
        first: Run = partial(np.sign, made, out=slope)
    else:
        slope = np.empty_like(made, bool)
        first = partial(np.greater, *_as_arrays((made, 0)), out=slope)
    return [first, partial(np.multiply, g, slope, out=call.out)]


@bound("softmax_cross_entropy")
def _softmax_cross_entropy(call: Call) -> list[Run] | None:
    """The kernel's own calls, with room for what passes between them."""
    (x, target), (losses, slope) = call.inputs, call.out
    rows, classes = x.shape
    if not (x.size and x.dtype == slope.dtype == losses.dtype) or x.dtype == np.float16:
        return None
    if not (slope.flags.c_contiguous or slope.flags.f_contiguous):
        return None
    peaks, wanted, total, each = (np.empty(rows, x.dtype) for _ in range(4))
    across = x.T if x.T.flags.c_contiguous else np.empty((classes, rows), x.dtype)
    turned = [] if across.base is not None else [partial(np.copyto, across, x.T)]
    mean: list[Run] = [partial(np.copyto, losses, each)]
    if call.params["mean"]:
        number = np.asarray(rows, x.dtype)
        mean = [partial(np.add.reduce, each, 0, None, losses), partial(np.divide, losses, number, out=losses)]
    flat, columns, steps = laid_flat(slope)
    first, chosen = np.arange(0, rows * steps, steps), np.empty(rows, np.int64)
    spread = [] if columns == 1 else [partial(np.multiply, target, np.asarray(columns), out=chosen, casting="unsafe")]
    return [
        partial(check_classes, x, target, counted(target)),
        *turned,
        partial(np.maximum.reduce, across, 0, None, peaks),
        partial(np.subtract, x, peaks[:, None], out=slope),
        *spread,
        partial(np.add, first, chosen if spread else target, out=chosen, casting="unsafe"),
        partial(flat.take, chosen, None, wanted, "clip"),
        partial(np.exp, slope, out=slope),
        partial(slope.dot, np.ones(classes, x.dtype), total),
        partial(np.log, total, out=each),
        partial(np.subtract, each, wanted, out=each),
        partial(np.divide, slope, total[:, None], out=slope),
        partial(np.negative, each, out=wanted),
        partial(np.expm1, wanted, out=wanted),
        partial(flat.__setitem__, chosen, wanted),
        *mean,
    ]
