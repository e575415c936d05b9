"""What the functions of ``nn.functional`` are given: data made into tensors, and refusals in the function's name."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from tinynet.errors import ShapeError, TypeMismatch
from tinynet.nn.module import admitted
from tinynet.tensor import Tensor


def tensors(function: str, *given: Any, needed: int = 1) -> list[Any]:
    """Each argument as a tensor, what comes from the host on the backend of the tensors among them.

    Args:
        needed: how many there must be; None stays None after them.

    Raises:
        TypeMismatch: an argument is no data.
    """
    here = max((x for x in given if isinstance(x, Tensor)), key=Tensor.is_floating_point, default=None)

    def made(x: Any, may_lack: bool) -> Any:
        if isinstance(x, Tensor) or (x is None and may_lack):
            return x
        if not isinstance(x, list | tuple | int | float) and not hasattr(x, "__array__"):
            raise TypeMismatch(f"{function} needs a tensor, an array or lists of numbers; got {x!r:.60}.")
        if here is not None and here.is_floating_point():
            return admitted(x, here)
        return Tensor(x, backend=None if here is None else here.backend)

    return [made(x, i >= needed) for i, x in enumerate(given)]


def floats(function: str, *given: Any, needed: int = 1) -> list[Any]:
    """``tensors``, where integers become floats as well, in the element type of the others."""
    found = tensors(function, *given, needed=needed)
    dtypes = [x.dtype for x in found if x is not None and x.is_floating_point()] or [found[0].backend.default_dtype]
    return [x if x is None or x.is_floating_point() else x.to(dtype=dtypes[0]) for x in found]


def check_shapes(function: str, shape: tuple[int, ...], **parts: Tensor | None) -> None:
    """Refuse a part that is there and has another shape."""
    for name, part in parts.items():
        if part is not None and part.shape != shape:
            raise ShapeError(f"{function} needs {name} of shape {shape} with this input; got {part.shape}.")


def last_dimensions(function: str, x: Tensor, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The sizes to normalise over, which must be those of the last dimensions."""
    shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{function} needs normalized_shape, the sizes of the input's last dimensions; got {normalized_shape!r} "
            f"for {x.shape}."
        )
    return x.shape[-len(shape) :]


@cache
def called(function: str, layer: Any) -> Any:
    """The layer under the function's name, which its messages then say."""
    return type(function, (layer,), {})
