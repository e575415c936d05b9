"""PyTorch's CPU tensors as a backend of tinynet: a model moves here by ``model.to("torch-cpu")``.

It is written from ``tinynet/backend.py`` alone, as anyone could: a table of the required kernels, the ways in and out
of a tensor, and an entry point ``torch-cpu`` in the group ``tinynet.backends``. PyTorch's own gradients are not used.
"""

import math
import operator

import torch

from tinynet.backend import Backend


def _numbers_as_tensors(function):
    """Functions that take tensors alone get Python numbers as tensors of the (last) other input's type."""

    def kernel(*xs, out=None):
        like = [x for x in xs if isinstance(x, torch.Tensor)][-1]
        fractional = any(isinstance(x, float) for x in xs) and not like.is_floating_point()
        dtype = torch.float64 if fractional else like.dtype
        return function(*[x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=dtype) for x in xs], out=out)

    return kernel


def _matmul(x, y, out=None):
    if out is None or out.is_contiguous():
        return torch.matmul(x, y, out=out)
    return _copy(torch.matmul(x, y), out=out)


def _copy(x, dtype=None, out=None):
    if out is None:
        return x.to(getattr(torch, dtype) if dtype else x.dtype, copy=True)
    return out.copy_(x) if isinstance(x, torch.Tensor) else out.fill_(x)


def _view(make):
    """A view of the input, or its elements copied to ``out``."""

    def kernel(x, *, out=None, **params):
        return make(x, **params) if out is None else _copy(make(x, **params), out=out)

    return kernel


def _index(index, arrays):
    """The index with its arrays in their places; integers beside arrays are arrays too, as NumPy reads them."""
    rest = iter(arrays)
    index = [next(rest).long() if isinstance(part, str) else part for part in index]
    return tuple(torch.tensor([part]) if arrays and isinstance(part, int) else part for part in index)


def _gather(x, *arrays, index, out=None):
    found = x[_index(index, arrays)]
    return found if out is None else _copy(found, out=out)


def _scatter_add(g, *arrays, index, shape, out=None):
    places = torch.arange(math.prod(shape)).reshape(shape)[_index(index, arrays)]
    total = torch.zeros(math.prod(shape), dtype=g.dtype)
    total.index_add_(0, places.reshape(-1), g.expand(places.shape).reshape(-1))
    return _copy(total.reshape(shape), out=out)


def _mix(bits):
    """The hash of tinynet's ``uniform``, in 64-bit integers, for PyTorch lacks unsigned ones of 32 bits."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        bits = ((bits ^ (bits >> shift)) * factor) & 0xFFFFFFFF
    return bits


def _uniform(state, shape, dtype, out=None):
    seed, calls = state.tolist()
    keys = _mix(((2 * calls + torch.arange(2)) * 0x9E3779B9 + seed) & 0xFFFFFFFF)
    bits = _mix(_mix(torch.arange(math.prod(shape)) ^ keys[0]) ^ keys[1])
    state[1] += 1
    return _copy(((bits >> 8) / 2**24).reshape(shape), dtype, out=out)


TAKE_TENSORS = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.true_divide, "pow": torch.pow,
    "maximum": torch.maximum, "minimum": torch.minimum, "greater": torch.gt, "greater_equal": torch.ge,
    "less": torch.lt, "less_equal": torch.le, "equal": torch.eq, "not_equal": torch.ne, "where": torch.where,
}  # fmt: skip

KERNELS = {
    **{name: _numbers_as_tensors(function) for name, function in TAKE_TENSORS.items()},
    **{name: getattr(torch, name) for name in ("neg", "exp", "log", "sqrt", "sin", "cos", "abs", "erf", "sign")},
    **{name: getattr(torch, name) for name in ("tanh", "sigmoid")},
    "relu": lambda x, out=None: torch.clamp(x, min=0, out=out),
    "leaky_relu": lambda x, slope, out=None: torch.where(x > 0, x, x * slope, out=out),
    "softplus": lambda x, out=None: torch.logaddexp(x, torch.zeros_like(x), out=out),
    "clip": lambda x, low, high, out=None: torch.clamp(x, low, high, out=out),
    "sum": lambda x, axis, out=None: torch.sum(x, dim=axis, keepdim=True, out=out),
    "max": lambda x, axis, out=None: torch.amax(x, dim=axis, keepdim=True, out=out),
    "min": lambda x, axis, out=None: torch.amin(x, dim=axis, keepdim=True, out=out),
    "argmax": lambda x, axis, out=None: torch.argmax(x, dim=axis, out=out),
    "argmin": lambda x, axis, out=None: torch.argmin(x, dim=axis, out=out),
    "concatenate": lambda *xs, axis, out=None: torch.cat(xs, dim=axis, out=out),
    "matmul": _matmul,
    "copy": _copy,
    "cast": _copy,
    "reshape": _view(lambda x, shape: x.reshape(shape)),
    "transpose": _view(lambda x, axes: x.permute(axes)),
    "broadcast_to": _view(lambda x, shape: x.expand(shape)),
    "gather": _gather,
    "scatter_add": _scatter_add,
    "uniform": _uniform,
}


class TorchBackend(Backend):
    """PyTorch on the CPU."""

    name = "torch-cpu"
    kernels = KERNELS
    array_type = torch.Tensor

    def launch(self, name, *inputs, out=None, **params):
        try:
            return super().launch(name, *inputs, out=out, **params)
        except RuntimeError as error:  # what PyTorch raises where shapes do not fit
            raise ValueError(str(error)) from error

    def array(self, data, dtype=None):
        data = torch.from_numpy(data.copy())
        return data if dtype is None else data.to(getattr(torch, dtype))

    def numpy(self, array):
        return array.numpy()

    def full(self, shape, value, dtype):
        return torch.full(shape, value, dtype=getattr(torch, dtype))

    def dtype(self, array):
        return str(array.dtype).removeprefix("torch.")

    def shares_memory(self, x, y):
        return operator.eq(*[a.untyped_storage().data_ptr() for a in (x, y)])
