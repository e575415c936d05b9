"""A strict stand-in for CuPy 14, on the CPU: what a test hands to the cupy backend as `xp`.

There is no GPU where the tests run, so this module wraps NumPy and fails wherever CuPy would bite: host arrays among
device arrays, `where=` on ufuncs, numbers where CuPy returns 0-d arrays, reads that make the host wait. Indices out of
range wrap in silence, as they do there. Where CuPy does something undefined or silently expensive, it fails loudly.
Results lie in memory as CuPy's do: row by row, whatever the operands, but for the few functions that keep an order. It
knows nothing of tinynet. A name missing here is an AttributeError: if CuPy has it, add a row to a table below.

    import strict_cupy as xp
    with xp.no_synchronisation():      # any .item(), .get(), float(), bool()... in here is an AssertionError
        step()
    xp.synchronisations                # how often the host has waited so far (read it through the module)

Host NumPy functions do the work on `ndarray._host`. Names live in `_NAMES`, behind the module's `__getattr__`, so that
`xp.sum` exists while `sum` in this file is still Python's.
"""

import inspect
import sys
from contextlib import contextmanager
from functools import partialmethod
from operator import attrgetter
from types import SimpleNamespace

import numpy as np
import strict_cuda
import strict_memory
from strict_cuda import on_stream, refuse_in_capture, spoil

synchronisations = 0
_forbidden = 0  # depth of no_synchronisation()


def _synchronise(what):
    global synchronisations
    refuse_in_capture(what)
    if _forbidden:
        raise AssertionError(f"{what} makes the host wait for the device, inside no_synchronisation()")
    synchronisations += 1
    strict_memory.complete()


strict_cuda.on_wait[0] = strict_memory.told.waits = _synchronise
strict_memory.told.copies = refuse_in_capture


@contextmanager
def no_synchronisation():
    """Raise AssertionError at every host read, to prove that a step makes none."""
    global _forbidden
    _forbidden += 1
    try:
        yield
    finally:
        _forbidden -= 1


# --- in and out of the stand-in ---------------------------------------------------------------------------------------


def _array(x):
    if not isinstance(x, ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    return x._host


def _operand(x):
    """An array, or a scalar: Python's own are weak in promotion, NumPy's bring their dtype (NEP 50), as in CuPy 14."""
    if type(x) in (bool, int, float, complex) or (isinstance(x, np.generic) and x.dtype.kind in "biufc"):
        return x
    return _array(x)


def _wrap(result, source=None, order="K"):
    """A device array (a list or tuple of them) for a host result, which if it is new lies in an order; a view remembers
    whose memory it shares."""
    if isinstance(result, (list, tuple)):
        return type(result)(_wrap(item, source, order) for item in result)
    host = np.asarray(result)  # a reduction's scalar too: CuPy returns 0-d arrays
    if host.dtype.char not in "?bBhHiIlLqQefdFD" and host.dtype.name != "bfloat16":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    array = object.__new__(ndarray)
    shares = source is not None and np.may_share_memory(host, source._host)
    array._host = host if shares else np.asarray(host, order=order)
    array.base = (source if source.base is None else source.base) if shares else None
    if not shares:
        strict_cuda.born(array)
    return array


def _quiet():
    return np.errstate(all="ignore")  # a GPU does not warn of overflow or 0/0


def _refuse_overlap(target, value):
    """CuPy copies contiguous arrays of one shape and dtype with a plain memcpy, undefined where the two overlap."""
    if (
        isinstance(value, np.ndarray)
        and (value.shape, value.strides, value.dtype) == (target.shape, target.strides, target.dtype)
        and target.flags.c_contiguous
        and target.ctypes.data != value.ctypes.data
        and np.may_share_memory(target, value)
    ):
        raise AssertionError("copying between overlapping arrays is undefined on CuPy")


# --- indexing ---------------------------------------------------------------------------------------------------------


def _wrapped(indices, size):
    """CuPy takes integer arrays modulo the axis: an index out of range reads a wrong row and says nothing."""
    return np.asarray(indices.astype(np.int64) % size) if size else indices


def _key(host, key):
    """(index for NumPy, whether it holds arrays); plain integers are checked on the host, by CuPy and by NumPy."""
    parts = list(key) if isinstance(key, tuple) else [key]
    for i, part in enumerate(parts):
        if isinstance(part, ndarray):
            parts[i] = part._host
        elif isinstance(part, np.ndarray):  # CuPy copies it over: a hidden transfer at each use, so not here
            raise TypeError(f"Unsupported type {type(part)} as an index")
        elif isinstance(part, (list, tuple)):
            parts[i] = np.asarray(part) if len(part) else np.empty(0, np.int32)
    masks = [part for part in parts if isinstance(part, np.ndarray) and part.dtype == bool]
    if len(masks) > 1:
        raise IndexError("CuPy takes at most one boolean array in an index")
    if masks:
        _synchronise("boolean mask indexing")  # the count of True is the shape of the result
    width = [0 if p is None or p is Ellipsis else p.ndim if masks and p is masks[0] else 1 for p in parts]
    axis = 0
    for i, part in enumerate(parts):
        if part is Ellipsis:
            axis += host.ndim - sum(width)
        elif isinstance(part, np.ndarray) and part.dtype.kind in "iu" and axis < host.ndim:
            parts[i] = _wrapped(part, host.shape[axis])
        axis += width[i]
    advanced = any(isinstance(part, np.ndarray) for part in parts)
    if not advanced and not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)  # a[0] of a vector is a 0-d view, not a number
    return tuple(parts), advanced


def _refuse_duplicates(host, value, pick):
    """Many threads write one cell and any of them may win; one scalar for all is harmless."""
    cells = pick(np.arange(host.size).reshape(host.shape)) if np.size(value) != 1 else np.empty(0)
    if np.unique(cells).size != cells.size:
        raise AssertionError("duplicate indices are undefined on CuPy")


# --- the array --------------------------------------------------------------------------------------------------------


class ndarray:
    """A device array: not a numpy.ndarray, and never turned into one by accident."""

    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape, dtype=float, order="C"):
        self._host, self.base = spoil(strict_cuda.guarded(shape, dtype, order)), None
        strict_cuda.born(self)

    # to the host: each of these waits for the device
    def get(self, stream=None, order="C", out=None, blocking=True):
        if blocking or out is None:
            _synchronise(".get()")
        if out is None:
            return self._host.copy(order)
        if out.dtype != self.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        if out.shape != self.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        if not blocking and out.flags.c_contiguous:
            strict_memory.fetch(out.ctypes.data, self._host.tobytes())
        else:
            np.copyto(out, self._host, casting="no")
        return out

    def item(self):
        _synchronise(".item()")
        return self._host.item()

    def tolist(self):
        _synchronise(".tolist()")
        return self._host.tolist()

    def __bool__(self):
        if self.size != 1:
            raise ValueError("The truth value of an array whose size is not 1 is ambiguous. Use a.any() or a.all()")
        _synchronise("bool()")
        return bool(self._host)

    def set(self, arr, stream=None):
        """Overwrite with a host array: CuPy wants the same dtype, the same shape and a contiguous target."""
        if not isinstance(arr, np.ndarray) or arr.dtype != self.dtype:
            raise TypeError(f"Only a numpy.ndarray of {self.dtype} can be set to this array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        refuse_in_capture("a copy from the host")
        self._host[...] = arr

    # NumPy's protocols: NumPy functions on device arrays run here, mixtures are refused
    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` explicitly.")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        kwargs.update({"out": kwargs["out"][0]} if "out" in kwargs else {})
        function = _NAMES.get(ufunc.__name__)
        if method != "__call__":
            function = getattr(function, method, None)
        scalars = (bool, int, float, complex, np.generic)
        known = all(isinstance(x, (ndarray, np.ndarray, *scalars)) for x in (*inputs, kwargs.get("out", 0)))
        return function(*inputs, **kwargs) if function and known else NotImplemented

    def __array_function__(self, func, types, args, kwargs):
        home = linalg.__dict__ if func.__module__ == "numpy.linalg" else _NAMES
        known = all(issubclass(t, (ndarray, np.ndarray)) for t in types) and home.get(func.__name__, func) is not func
        return home[func.__name__](*args, **kwargs) if known else NotImplemented

    # indexing
    @on_stream
    def __getitem__(self, key):
        key, advanced = _key(self._host, key)
        found = self._host[key]
        return _wrap(np.array(found, order="C") if advanced else found, self)

    @on_stream
    def __setitem__(self, key, value):
        key, advanced = _key(self._host, key)
        value = _operand(value)
        if advanced:
            _refuse_duplicates(self._host, value, lambda cells: cells[key])
        else:
            _refuse_overlap(self._host[key], value)
        with _quiet():
            self._host[key] = value

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # shape, dtype, memory (the plain attributes come from a table below)
    @property
    def flags(self):
        c, f = self._host.flags.c_contiguous, self._host.flags.f_contiguous
        return SimpleNamespace(c_contiguous=c, f_contiguous=f, forc=c or f, fnc=f and not c, owndata=self.base is None)

    @on_stream
    def reshape(self, *shape, order="C"):
        return _wrap(self._host.reshape(*shape, order=order), self)

    def transpose(self, *axes):
        return _wrap(self._host.transpose(*axes), self)

    def view(self, dtype=None):
        return _wrap(self._host.view(self.dtype if dtype is None else dtype), self)

    @on_stream
    def astype(self, dtype, order="K", *, copy=True):  # CuPy refuses casting= and subok=
        with _quiet():
            return self if not copy and self.dtype == dtype else _wrap(self._host.astype(dtype, order))

    @on_stream
    def copy(self, order="C"):
        return _wrap(self._host.copy(order))

    @on_stream
    def flatten(self, order="C"):
        return _wrap(self._host.flatten(order))

    def fill(self, value):
        if np.ndim(_operand(value)):
            raise ValueError("non-scalar array cannot be used for fill")
        self[...] = value

    def clip(self, min=None, max=None, out=None):
        return _NAMES["clip"](self, min, max, out)

    def __deepcopy__(self, memo=None):
        return self.copy()

    __copy__ = __deepcopy__


# --- ufuncs -----------------------------------------------------------------------------------------------------------

# The dtypes CuPy has atomics for; every other ufunc's `at` is missing there.
_ATOMIC = {"add": "iIlLqQefd", "subtract": "iI", "maximum": "iIlLqQfd", "minimum": "iIlLqQfd"}


class ufunc:
    """An elementwise function. No `where=`: CuPy has none, and an unknown keyword is a TypeError."""

    def __init__(self, name):
        self._host = getattr(np, name)
        self.__name__, self.nin, self.nout, self.nargs = name, self._host.nin, self._host.nout, self._host.nargs

    @on_stream
    def __call__(self, *args, out=None, dtype=None, casting="same_kind"):
        if not self.nin <= len(args) <= self.nargs or (len(args) > self.nin and out is not None):
            raise TypeError(f"Wrong number of arguments for {self.__name__!r}: {len(args)}")
        if len(args) > self.nin:
            args, out = args[: self.nin], args[self.nin]
        out = out[0] if isinstance(out, tuple) else out
        inputs = [_operand(x) for x in args]
        for x in inputs:
            if type(x) is int:  # it takes the array's dtype, in comparisons too, where NumPy knows better
                np.array(x, np.result_type(*inputs))  # OverflowError
        with _quiet():
            if out is None:
                return _wrap(self._host(*inputs, dtype=dtype, casting=casting, order="C"))
            self._host(*inputs, out=_array(out), dtype=dtype, casting=casting)
        return out

    @on_stream
    def at(self, a, indices, b=None):
        """Scatter, atomically: duplicates are welcome here (on a GPU in no fixed order)."""
        if self.__name__ not in _ATOMIC:
            raise NotImplementedError(f"`{self.__name__}.at` is not supported yet")
        if _array(a).dtype.char not in _ATOMIC[self.__name__]:
            raise TypeError(f"{self.__name__}.at does not support {a.dtype}")
        with _quiet():
            self._host.at(a._host, _key(a._host, indices)[0], _operand(b))


_UFUNCS = """
    add subtract multiply divide true_divide floor_divide remainder mod fmod power float_power negative positive
    exp exp2 expm1 log log2 log10 log1p logaddexp sqrt cbrt square reciprocal absolute abs fabs sign signbit copysign
    sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh hypot deg2rad rad2deg heaviside
    maximum minimum fmax fmin greater greater_equal less less_equal equal not_equal
    logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor invert left_shift right_shift
    isnan isinf isfinite rint floor ceil trunc
"""
_NAMES = {name: ufunc(name) for name in _UFUNCS.split()}

# --- functions --------------------------------------------------------------------------------------------------------

# CuPy 14's signatures, so that reductions know no `where=` or `initial=`, and keep to them in the order of arguments.
# Where CuPy and NumPy disagree on that order the rest is keyword-only (*). The names tell arrays from parameters.
_SIGNATURES = {
    "shape, dtype=float, order='C'": "zeros ones",
    "a, dtype=None, order='K', *, shape=None": "zeros_like ones_like",
    "shape, fill_value, dtype=None, order='C'": "full",
    "a, fill_value, dtype=None, order='K', *, shape=None": "full_like",
    "start, stop=None, step=1, dtype=None": "arange",
    "start, stop, num=50, endpoint=True, *, dtype=None": "linspace",
    "N, M=None, k=0, dtype=float, order='C'": "eye",
    "a, k=0": "tril triu diag",
    "a, order='K'": "copy",
    "a, axis=None, dtype=None, out=None, keepdims=False": "sum prod mean",
    "a, axis=None, dtype=None, out=None, ddof=0, keepdims=False": "var std",
    "a, axis=None, out=None, keepdims=False": "max min amax amin any all",
    "a, axis=None, *, out=None, keepdims=False": "argmax argmin",
    "a, axis=None, dtype=None, out=None": "cumsum cumprod",
    "a, axis=None": "count_nonzero squeeze flip",
    "a, a_min, a_max, out=None": "clip",
    "a, decimals=0, out=None": "round",
    "a, axis=-1, kind=None": "sort argsort",
    "a, b, rtol=1e-5, atol=1e-8, equal_nan=False": "allclose isclose",
    "a, b, equal_nan=False": "array_equal",
    "a, b, axes=2": "tensordot",
    "a, b, out=None": "outer",
    "a, b": "shares_memory may_share_memory",
    "a, newshape, order='C'": "reshape",
    "a, order='C'": "ravel",
    "a, axes=None": "transpose",
    "a, axis1, axis2": "swapaxes",
    "a, source, destination": "moveaxis",
    "a, axis": "expand_dims",
    "a, shape": "broadcast_to",
    "tup, axis=0, out=None, *, dtype=None, casting='same_kind'": "concatenate stack",
    "a, indices_or_sections, axis=0": "split array_split",
    "a, pad_width, mode='constant', **kwargs": "pad",
    "a, shift, axis=None": "roll",
    "a, repeats, axis=None": "repeat",
    "a, reps": "tile",
}
_ARRAYS, _OPERANDS = {"a", "b", "out"}, {"a_min", "a_max", "fill_value"}
_ORDERED = set("zeros ones full eye copy zeros_like ones_like full_like roll".split())
_CUBS = dict.fromkeys("sum prod mean".split(), "lLqQefdFD")  # and the types that CUB does these in
_CUBS |= dict.fromkeys("max min amax amin".split(), "bBhHiIlLqQefdFD")


def _order(name, given):
    """In which order a function's result lies, if it is new: row by row, whatever the arrays; but for functions that
    are told an order or keep the array's, and where CUB reduces the first dimensions of what lies column by column."""
    a = given.get("a")
    if name in _ORDERED:
        return "K"
    if name == "pad":
        return "F" if a.flags.fnc else "C"
    if name in _CUBS and a.flags.fnc and a.dtype.char in _CUBS[name] and given.get("dtype") in (None, a.dtype):
        axes = sorted(np.atleast_1d(given["axis"]) % a.ndim) if given.get("axis") is not None else []
        return "F" if axes and axes == [*range(len(axes))] else "C"
    return "C"


def _function(name, parameters, home=np):
    signature = inspect.signature(eval(f"lambda {parameters}: None"))
    host = getattr(home, name)

    def function(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        given = dict(bound.arguments)
        if name in ("min", "amin") and given.get("out") is not None and given["a"].flags.forc:
            raise TypeError("operand type(s) all returned NotImplemented: min hands out to CUB as a dtype (CuPy 9032)")
        for key, value in given.items():
            if key == "tup":
                bound.arguments[key] = [_array(item) for item in value]
            elif (key in _ARRAYS or key in _OPERANDS) and value is not None:
                bound.arguments[key] = (_array if key in _ARRAYS else _operand)(value)
        if name in ("tensordot", "outer"):
            refuse_in_capture(name)
        with _quiet():
            result = host(*bound.args, **bound.kwargs)
        if name.endswith("memory"):  # addresses are known on the host
            return result
        return _wrap(result, given.get("a"), _order(name, given)) if given.get("out") is None else given["out"]

    function.__name__ = name
    return function if name.endswith("memory") else on_stream(function)


for _parameters, _row in _SIGNATURES.items():
    _NAMES.update({name: _function(name, _parameters) for name in _row.split()})


def _exposed(function):
    _NAMES[function.__name__.lstrip("_")] = function
    return function


_NAMES["get_default_memory_pool"] = strict_memory.get_default_memory_pool


@_exposed
def empty(shape, dtype=float, order="C"):
    return ndarray(shape, dtype, order)


@_exposed
def empty_like(prototype, dtype=None, order="K", *, shape=None):
    return _wrap(spoil(np.empty_like(_array(prototype), dtype, order, shape=shape)))


@_exposed
def array(obj, dtype=None, copy=True, order="K"):
    """The explicit transfer: host data is always copied; a device array stays on the device."""
    if isinstance(obj, ndarray):
        same = not copy and (dtype is None or obj.dtype == dtype)
        return obj if same else obj.astype(obj.dtype if dtype is None else dtype, order)
    refuse_in_capture("a copy from the host")
    return _wrap(np.array(obj, dtype, order=order))


@_exposed
def asarray(a, dtype=None, order=None):
    return array(a, dtype, copy=False, order=order or "K")


@_exposed
@on_stream
def ascontiguousarray(a, dtype=None):
    a = asarray(a, dtype)
    return a if a.flags.c_contiguous else _wrap(np.ascontiguousarray(a._host))


@_exposed
def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(order=order, out=out, blocking=blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


@_exposed
@on_stream
def copyto(dst, src, casting="same_kind", where=None):
    target, value = _array(dst), _operand(src)
    if where is None:
        _refuse_overlap(target, value)
    with _quiet():
        np.copyto(target, value, casting, where=True if where is None else _array(where))


@_exposed
def nonzero(a):
    if not _array(a).ndim:
        raise ValueError("Calling nonzero on 0d arrays is not allowed")
    _synchronise("nonzero()")  # the count is the shape of the result
    return _wrap(np.nonzero(a._host))


@_exposed
@on_stream
def where(condition, x=None, y=None):
    if (x is None) != (y is None):
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    return nonzero(condition) if x is None else _wrap(np.where(_array(condition), _operand(x), _operand(y)), order="C")


def _product(name):
    def product(a, b, out=None):
        refuse_in_capture("cuBLAS")
        a, b = _array(a), _array(b)
        if out is not None:  # dot raises on these; matmul falls back on a hidden temporary, so both raise here
            if _array(out).dtype != np.result_type(a, b):
                raise ValueError(f"Not supported dtype combination: {a.dtype}, {b.dtype} into {out.dtype}")
            if not out.flags.c_contiguous:
                raise ValueError("Output array must be C-contiguous")
        bfloat16 = "bfloat16" in (a.dtype.name, b.dtype.name)
        if bfloat16 and max(a.ndim, b.ndim) > 2:
            raise TypeError("CuPy multiplies stacks of bfloat16 by its kernels of integers")
        with _quiet():
            result = getattr(np, name)(a, b, out=None if out is None else out._host)
        if out is None:  # NumPy gives float32 for bfloat16
            return _wrap(result.astype(np.result_type(a, b)) if bfloat16 else result, order="C")
        return out

    product.__name__ = name
    return product


matmul, dot = _exposed(_product("matmul")), _exposed(_product("dot"))


@_exposed
def einsum(subscripts, *operands, dtype=None, optimize=False):  # no out= in CuPy
    refuse_in_capture("cuBLAS")
    with _quiet():
        result = np.einsum(subscripts, *[_array(x) for x in operands], dtype=dtype, optimize=optimize)
    return _wrap(result, operands[0])


@_exposed
@on_stream
def take(a, indices, axis=None, out=None):
    if isinstance(indices, np.ndarray):
        raise TypeError(f"Unsupported type {type(indices)} as an index")
    indices = indices._host if isinstance(indices, ndarray) else np.asarray(indices)
    result = _wrap(np.take(_array(a), indices, axis, mode="wrap"), order="C")
    if out is None:
        return result
    if (_array(out).dtype, out.shape) != (result.dtype, result.shape):
        raise (TypeError if out.dtype != result.dtype else ValueError)("Output dtype or shape mismatch")
    out._host[...] = result._host
    return out


@_exposed
@on_stream
def take_along_axis(a, indices, axis):
    return _wrap(np.take_along_axis(_array(a), _wrapped(_array(indices), a.shape[axis]), axis), order="C")


@_exposed
@on_stream
def put_along_axis(arr, indices, values, axis):
    indices, value = _wrapped(_array(indices), _array(arr).shape[axis]), _operand(values)
    _refuse_duplicates(arr._host, value, lambda cells: np.take_along_axis(cells, indices, axis))
    np.put_along_axis(arr._host, indices, value, axis)


@_exposed
def result_type(*args):
    return np.result_type(*[x._host if isinstance(x, ndarray) else x for x in args])


@_exposed
def get_array_module(*args):
    return sys.modules[__name__] if any(isinstance(x, ndarray) for x in args) else np


# Dtypes, constants and functions of dtypes and shapes: CuPy hands out NumPy's own.
_HOST = """
    bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128 intp
    integer signedinteger unsignedinteger floating inexact number generic dtype finfo iinfo issubdtype promote_types
    can_cast broadcast_shapes newaxis inf nan pi e
"""
_NAMES.update({name: getattr(np, name) for name in _HOST.split()})


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"the strict stand-in for CuPy has no {name!r}; if CuPy 14 has, add a row to its tables")
    return _NAMES[name]


# --- operators, methods and attributes, from tables -------------------------------------------------------------------


def _defers(other):
    """Whether the right-hand operand takes over: CuPy asks `__array_ufunc__ is None`, then `__array_priority__`."""
    if hasattr(other, "__array_ufunc__"):
        return other.__array_ufunc__ is None
    return getattr(other, "__array_priority__", 0) > ndarray.__array_priority__


def _operator(name, swap=False):
    def operator(self, other):
        if _defers(other):
            return NotImplemented
        function = _NAMES[name] if isinstance(other, ndarray) else getattr(np, name)  # NumPy asks both operands
        return function(other, self) if swap else function(self, other)

    return operator


_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift", "matmul": "matmul",
}  # fmt: skip
_COMPARISONS = {
    "lt": "less", "le": "less_equal", "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal"
}  # fmt: skip
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
_PLAIN = "shape dtype ndim size nbytes itemsize strides"
_METHODS = """
    sum prod mean var std max min any all argmax argmin cumsum cumprod round argsort
    dot ravel squeeze swapaxes take repeat nonzero
"""
_ATTRIBUTES = {
    **{name: attrgetter(f"_host.{name}") for name in _PLAIN.split()},
    "T": lambda a: _wrap(a._host.T, a),
    "mT": lambda a: _wrap(a._host.mT, a),
    "data": lambda a: strict_memory.MemoryPointer(a._host),
    "device": lambda a: cuda.Device(0),
}


def _furnish():
    for name, function in {**_OPERATORS, **_COMPARISONS}.items():
        setattr(ndarray, f"__{name}__", _operator(function))
    for name, function in _OPERATORS.items():
        setattr(ndarray, f"__r{name}__", _operator(function, swap=True))
        if name != "matmul":  # CuPy has no in-place @: Python makes it a = a @ b
            setattr(ndarray, f"__i{name}__", lambda self, other, f=_NAMES[function]: f(self, other, self))
    for name, function in _UNARY.items():
        setattr(ndarray, f"__{name}__", lambda self, f=_NAMES[function]: f(self))
    for name in _METHODS.split():
        setattr(ndarray, name, _NAMES[name])
    for name, get in _ATTRIBUTES.items():
        setattr(ndarray, name, property(get))
    for convert in (float, int, complex, repr, str, format):  # printing reads the array too

        def read(self, *args, convert=convert):
            _synchronise(f"{convert.__name__}()")
            return convert(self._host, *args)

        setattr(ndarray, f"__{convert.__name__}__", read)


_furnish()

# --- submodules -------------------------------------------------------------------------------------------------------

linalg = SimpleNamespace(norm=_function("norm", "a, ord=None, axis=None, keepdims=False", np.linalg))
_tricks = {"as_strided": "a, shape=None, strides=None", "sliding_window_view": "a, window_shape, axis=None"}
_tricks = {name: _function(name, parameters, np.lib.stride_tricks) for name, parameters in _tricks.items()}
lib = SimpleNamespace(stride_tricks=SimpleNamespace(**_tricks))


class Generator:
    """Random arrays. The seed is salted: CuPy's streams never equal NumPy's, and no test may lean on it."""

    def __init__(self, seed=None):
        self._host = np.random.default_rng(None if seed is None else [seed, 0xC0DA])

    def _draw(self, name, size=None, dtype=np.float64, out=None):
        result = getattr(self._host, name)(size, dtype, None if out is None else _array(out))
        return _wrap(result) if out is None else out

    random = partialmethod(_draw, "random")
    standard_normal = partialmethod(_draw, "standard_normal")

    def uniform(self, low=0.0, high=1.0, size=None, dtype=np.float64):
        return _wrap(np.asarray(self._host.uniform(low, high, size), dtype))

    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False):
        return _wrap(self._host.integers(low, high, size, dtype, endpoint))


random = SimpleNamespace(default_rng=Generator, Generator=Generator)


class _Device:
    compute_capability = "90"

    def __init__(self, device=0):
        self.id = int(device)

    def synchronize(self):
        _synchronise("synchronize()")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


cuda = SimpleNamespace(
    is_available=lambda: True,
    Device=_Device,
    Stream=strict_cuda.Stream,
    get_current_stream=strict_cuda.get_current_stream,
    alloc=strict_cuda.alloc,
    MemoryPool=strict_memory.MemoryPool,
    MemoryPointer=strict_memory.MemoryPointer,
    Event=strict_memory.Event,
    alloc_pinned_memory=strict_memory.alloc_pinned_memory,
    memory=SimpleNamespace(OutOfMemoryError=strict_memory.OutOfMemoryError),
    using_allocator=strict_cuda.using_allocator,
    runtime=SimpleNamespace(
        CUDARuntimeError=RuntimeError,
        getDeviceCount=lambda: 1,
        memGetInfo=strict_memory.mem_get_info,
        getDeviceProperties=lambda device: {
            "name": b"strict stand-in",
            "major": 9,
            "minor": 0,
            "totalGlobalMem": 0,
            "multiProcessorCount": 4,
            "sharedMemPerBlockOptin": 227 << 10,
        },
        runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
    ),
)


RawModule, RawKernel = strict_cuda.RawModule, strict_cuda.RawKernel


class ElementwiseKernel:
    """Holds its source; running it needs what this module does without."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def __call__(self, *args, **kwargs):
        raise NotImplementedError("elementwise kernels need a GPU")


ReductionKernel = ElementwiseKernel
