"""Between an operation and its kernel: the inputs brought together on one backend, and what an array library complains
of said in the words of the operation."""

from numbers import Integral, Real
from typing import Any

from tinynet.backend import Backend
from tinynet.errors import BackendMismatch, ShapeError, TinynetError, TypeMismatch
from tinynet.host import HostExchange


def together(operation: str, inputs: tuple[Any, ...]) -> tuple[Backend, tuple[Any, ...]]:
    """The one backend of an operation's inputs, and the inputs as Tensors of it and plain Python numbers."""
    first = next((x for x in inputs if isinstance(x, HostExchange)), None)
    if first is None:
        got = ", ".join(type(x).__name__ for x in inputs)
        raise TypeMismatch(f"{operation} works on tensors; got {got}. Make one: Tensor(data).")
    backend = first.backend
    ready = []
    for x in inputs:
        if isinstance(x, HostExchange):
            if x.backend is not backend:
                raise BackendMismatch(
                    f"{operation} got tensors on {backend.name} and on {x.backend.name}. Move one with .to(...)."
                )
        elif isinstance(x, Integral):  # NumPy's numbers carry a dtype that would win over the tensor's
            x = int(x)
        elif isinstance(x, Real):
            x = float(x)
        elif x is not None:
            x = first.like(x, first)
        ready.append(x)
    return backend, tuple(ready)


def launch(backend: Backend, kernel: str, inputs: tuple[Any, ...], arrays: list[Any], **params: Any) -> Any:
    """Launch a kernel; what the array library complains of becomes an error that names the operation and its inputs."""
    try:
        return backend.launch(kernel, *arrays, **params)
    except TinynetError:
        raise
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        got = ", ".join(f"{x.shape} {x.dtype}" if isinstance(x, HostExchange) else repr(x) for x in inputs)
        settings = "".join(f", {name}={value}" for name, value in params.items() if name != "out")
        into = f" into {params['out'].shape}" if "out" in params else ""
        kind = ShapeError if isinstance(error, ValueError | IndexError) else TypeMismatch
        name = f"{kernel}_" if into else kernel
        raise kind(f"{name} cannot take ({got}{settings}){into}: {error}") from error
