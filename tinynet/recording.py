"""``capture``: run a function of tensors once, then replay what it did.

The functions that this is for are training and prediction steps: always the same operations on arrays of the same
shapes. What a replay cannot repeat (reading a value to decide what to do next) is refused with a CaptureError.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.backend import Backend
from tinynet.errors import CaptureError, TypeMismatch
from tinynet.parameter import layout
from tinynet.program import Program
from tinynet.registry import get_backend
from tinynet.tensor import Tensor


class _Recording:
    """A program, and the tensors through which it is fed and read."""

    def __init__(self, function: Callable[..., Any], arguments: list[Any], names: dict[int, str]) -> None:
        self.arguments = [
            Tensor.of(a.backend.launch("copy", a.data), a.backend) if _is_tensor(a) else a for a in arguments
        ]
        self.inputs = [a for a in self.arguments if _is_tensor(a)]
        backend = self.inputs[0].backend
        if not backend.replayable:
            raise CaptureError(
                f"backend {backend.name!r} computes with Values, not with a list of kernel calls: no capture."
            )
        self.program = Program(backend, [x.data for x in self.inputs], names=names)
        backend.recorder = self.program
        try:
            result = function(*self.arguments)
        finally:
            backend.recorder = None
        self.result = _map(lambda x: x.detach(), result)
        _map(lambda x: self.program.outputs.append(x.data), result)
        self.program.finish()
        self.layout = layout.version

    def fits(self) -> bool:
        """Whether a replay would do what running the function would: same storage, same gradients to add to."""
        leaves = self.program.leaves.items()
        return self.layout == layout.version and all(
            empty is None or (leaf.grad is None) == empty for leaf, empty in leaves
        )

    def replay(self, arguments: list[Any]) -> Any:
        for buffer, given in zip(self.inputs, [a for a in arguments if _is_tensor(a)]):
            buffer.backend.launch("copy", given.data, out=buffer.data)
        self.program.replay()
        for leaf in self.program.leaves:
            leaf.grad_arrived()
        return self.result


class Captured:
    """A function that is recorded on its first call for each signature and replayed after; made by ``capture``.

    Attributes:
        program: the Program that ran last; print it to see the step.
    """

    def __init__(self, function: Callable[..., Any], backend: "str | Backend | None", names: dict[int, str]) -> None:
        self.function, self.backend, self.names = function, backend, names
        self._recordings: dict[Any, list[_Recording]] = {}
        self.program: Program | None = None

    def __call__(self, *arguments: Any) -> Any:
        given = [Tensor(a, backend=self.backend) if isinstance(a, np.ndarray) else a for a in arguments]
        signature = tuple([(a.backend.name, a.shape, a.dtype) if _is_tensor(a) else a for a in given])
        known = self._recordings.setdefault(signature, [])
        recording = next((r for r in known if r.fits()), None)
        if recording is not None:
            self.program = recording.program
            return recording.replay(given)
        known[:] = [r for r in known if r.layout == layout.version]
        recording = _Recording(self.function, given, self.names)
        known.append(recording)
        self.program = recording.program
        return recording.result


def capture(function: Callable[..., Any], backend: "str | Backend | None" = None, names: Any = ()) -> Captured:
    """The function, recorded on the first call for each signature and replayed after.

    Replaying gives bit for bit what running gives, without building a graph or allocating. Tensors that the function
    returns are buffers: the next call overwrites them, so read them or copy them before. Arguments that are no tensors
    or arrays are part of the signature: each new one records anew.

    Args:
        function: takes tensors, returns tensors (or nested tuples, lists and dictionaries of them, or None).
        backend: where NumPy arrays among the arguments are put.
        names: pairs (name, tensor), such as ``model.named_parameters()``, used when the program is printed.

    Raises:
        CaptureError: on the first call, if the function does what cannot be replayed, such as reading a value.
    """
    return Captured(function, get_backend(backend), {id(tensor.data): name for name, tensor in names})


def _is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor)


def _map(function: Callable[[Tensor], Any], result: Any) -> Any:
    """Apply a function to every tensor in a nest of tuples, lists and dictionaries."""
    if isinstance(result, Tensor):
        return function(result)
    if isinstance(result, tuple | list):
        return type(result)([_map(function, x) for x in result])
    if isinstance(result, dict):
        return {key: _map(function, x) for key, x in result.items()}
    if result is None or isinstance(result, int | float | str):
        return result
    raise TypeMismatch(f"a captured function returns tensors or nests of them; got {type(result).__name__}.")
