"""Between an operation and its kernel: the inputs brought together on one backend, and what an array library complains
of said in the words of the operation."""

from numbers import Integral, Real
from typing import Any, NoReturn

from tinynet.backend import Backend
from tinynet.errors import BackendMismatch, ShapeError, TinynetError, TypeMismatch
from tinynet.host import HostExchange

COMPLAINTS = (ValueError, IndexError, TypeError, OverflowError)  # what array libraries raise for inputs that do not fit


def together(operation: str, inputs: tuple[Any, ...]) -> tuple[Backend, tuple[Any, ...], list[Any], list[Any]]:
    """The one backend of an operation's inputs; the inputs as Tensors of it and plain Python numbers; their arrays; and
    the tensors among them that want a gradient."""
    backend, arrays, wanting = None, [], []
    for x in inputs:
        if isinstance(x, HostExchange):
            if x.backend is not backend:
                if backend is not None:
                    raise BackendMismatch(
                        f"{operation} got tensors on {backend.name} and on {x.backend.name}. Move one with .to(...)."
                    )
                backend = x.backend
            arrays.append(x.data)
            if x.requires_grad:
                wanting.append(x)
        elif x is None or x.__class__ is float or x.__class__ is int:
            arrays.append(x)
        else:
            return together(operation, _converted(operation, inputs))
    if backend is None:
        raise _no_tensor(operation, inputs)
    return backend, inputs, arrays, wanting


def _converted(operation: str, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Foreign numbers as Python's own, arrays and lists as Tensors beside the first one."""
    first = next((x for x in inputs if isinstance(x, HostExchange)), None)
    if first is None:
        raise _no_tensor(operation, inputs)
    ready = []
    for x in inputs:
        if isinstance(x, Integral):  # NumPy's numbers carry a dtype that would win over the tensor's
            x = int(x)
        elif isinstance(x, Real):
            x = float(x)
        elif x is not None:
            x = first.like(x, first)
        ready.append(x)
    return tuple(ready)


def _no_tensor(operation: str, inputs: tuple[Any, ...]) -> TypeMismatch:
    got = ", ".join(type(x).__name__ for x in inputs)
    return TypeMismatch(f"{operation} works on tensors; got {got}. Make one: Tensor(data).")


def explain(error: Exception, kernel: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> NoReturn:
    """Raise what an array library complains of as an error that names the operation and its inputs."""
    if isinstance(error, TinynetError):  # which does so already
        raise error
    got = ", ".join(f"{x.shape} {x.dtype}" if isinstance(x, HostExchange) else repr(x) for x in inputs)
    settings = "".join(f", {name}={value}" for name, value in params.items() if name != "out")
    into = f" into {params['out'].shape}" if "out" in params else ""
    kind = ShapeError if isinstance(error, ValueError | IndexError) else TypeMismatch
    name = f"{kernel}_" if into else kernel
    raise kind(f"{name} cannot take ({got}{settings}){into}: {error}") from error
