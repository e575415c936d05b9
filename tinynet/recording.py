"""``capture``: run a function of tensors once, then replay what it did.

The functions that this is for are training and prediction steps: always the same operations on arrays of the same
shapes. What a replay cannot repeat (reading a value to decide what to do next) is refused with a CaptureError.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.backend import Backend
from tinynet.errors import BackendMismatch, CaptureError, TypeMismatch
from tinynet.modes import mode, switched
from tinynet.program import FORGOTTEN, Program
from tinynet.registry import get_backend
from tinynet.staleness import recordings
from tinynet.tensor import Tensor

MOST = 64  # signatures kept; a constant that changes from call to call would make a new one each time
MOST_STATES = 8  # recordings kept for one signature, as gradients are empty, half full, …


class Recording:
    """A program, and the tensors through which it is fed and read.

    Attributes:
        result: what the function returned; its tensors are buffers that each replay overwrites.
        gradients: (leaf, its gradient) as the function left them.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: list[Any], backend: Backend, names: list[tuple[str, Tensor]]
    ) -> None:
        self.places = [i for i, a in enumerate(arguments) if isinstance(a, Tensor)]
        self.inputs: list[Tensor] = []
        own = [self._buffer(a) if isinstance(a, Tensor) else a for a in arguments]
        backend = self.inputs[0].backend if self.inputs else backend
        if not backend.replayable:
            raise CaptureError(
                f"backend {backend.name!r} computes with Values, not with a list of kernel calls: no capture."
            )
        self.program = Program(backend, [x.data for x in self.inputs])
        try:
            with switched(recorder=self.program):
                result = function(*own)
        except BackendMismatch as error:
            raise CaptureError(
                f"{error} Array arguments were put on {backend.name}; capture(step, backend=…) names another."
            ) from error
        for name, tensor in names:
            self.program.names[id(tensor.data)] = name
            if tensor.grad is not None:
                self.program.names[id(tensor.grad.data)] = f"{name}.grad"
        self.result = _map(self._output, result)
        del result  # and with it the graph, which holds every array
        self.program.finish()
        backend.tidy()
        self.version = recordings.version
        self.gradients = [(leaf, leaf.grad) for leaf in self.program.leaves]
        self._kept = [(leaf, grad) for leaf, grad in self.program.leaves.items() if grad is not FORGOTTEN]
        self._copy = backend.kernels["copy"]

    def _buffer(self, given: Tensor) -> Tensor:
        if given.requires_grad:
            raise CaptureError(
                "an argument requires a gradient. A captured step finds its leaves outside: use a closure."
            )
        self.inputs.append(Tensor.of(given.backend.launch("copy", given.data), given.backend))
        return self.inputs[-1]

    def _output(self, result: Tensor) -> Tensor:
        self.program.outputs.append(result.data)
        return result.detach()

    def fits(self) -> bool:
        """Whether a replay would do what running the function would: nothing outdated, same gradients to add to."""
        if self.version != recordings.version:
            return False
        for module, training in self.program.modes:
            if module.training != training:
                return False
        return all([_same_array(leaf.grad, grad) for leaf, grad in self._kept])

    def run(self, *arguments: Any) -> None:
        """Fill the input buffers and replay the program; nothing but arrays is touched, so any thread may."""
        for place, buffer in zip(self.places, self.inputs):
            given = arguments[place]
            if isinstance(given, Tensor):
                self._copy(given.data, out=buffer.data)
            else:
                buffer.backend.load(given, buffer.data)
        self.program.replay()

    def replay(self, *arguments: Any) -> Any:
        """What running the function would do, leaves' gradients included."""
        self.run(*arguments)
        for leaf, gradient in self.gradients:
            if leaf.grad is not gradient:
                leaf.grad = gradient
        return self.result


class Captured:
    """A function that is recorded on its first call for each signature and replayed after; made by ``capture``.

    Attributes:
        program: the Program that ran last; print it to see the step.
    """

    def __init__(self, function: Callable[..., Any], backend: Backend, names: list[tuple[str, Tensor]]) -> None:
        self.function, self.backend, self.names = function, backend, names
        self._recordings: dict[Any, list[Recording]] = {}
        self.program: Program | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Run the function: recorded the first time, replayed after."""
        if mode.recorder is not None:
            return self.function(*arguments)  # a part of the step that is being recorded
        if len(self._recordings) > MOST:
            self._recordings.clear()
        signature = (mode.remember, mode.fused, mode.anomaly, mode.autocast, *map(self._signature, arguments))
        try:
            known = self._recordings.setdefault(signature, [])
        except TypeError as error:
            raise TypeMismatch(
                f"a captured function takes tensors, arrays and plain constants; got something else ({error})."
            ) from None
        for recording in known:
            if recording.fits():
                self.program = recording.program
                return recording.replay(*arguments)
        known[:] = [r for r in known if r.version == recordings.version][-MOST_STATES:]
        given = [Tensor(a, backend=self.backend) if isinstance(a, np.ndarray) else a for a in arguments]
        recording = Recording(self.function, given, self.backend, self.names)
        known.append(recording)
        self.program = recording.program
        return recording.result

    def _signature(self, argument: Any) -> Any:
        if isinstance(argument, Tensor):
            return argument.backend, argument.data.shape, argument.data.dtype
        if isinstance(argument, np.ndarray):
            return self.backend, argument.shape, argument.dtype
        return argument, repr(argument)


def capture(function: Callable[..., Any], backend: "str | Backend | None" = None, names: Any = ()) -> Captured:
    """The function, recorded on the first call for each signature and replayed after.

    On NumPy a replay gives bit for bit what running gives, without building a graph or allocating. Tensors that the
    function returns are buffers: the next call overwrites them, so read them or copy them before. Arguments that are no
    tensors or arrays are part of the signature: each new one records anew. Python numbers that the function finds
    outside itself stay as they were when it was recorded.

    Args:
        function: takes tensors, returns tensors (or nested tuples, lists and dictionaries of them, or None).
        backend: where NumPy arrays among the arguments are put.
        names: pairs (name, tensor), such as ``model.named_parameters()``, used when the program is printed.

    Raises:
        CaptureError: on the first call, if the function does what cannot be replayed, such as reading a value.
    """
    if not callable(function):
        raise TypeMismatch(f"capture takes a function; got {function!r:.60}.")
    return Captured(function, get_backend(backend), list(names))


def _same_array(x: Tensor | None, y: Tensor | None) -> bool:
    return x is y or (x is not None and y is not None and x.data is y.data)


def _map(function: Callable[[Tensor], Any], result: Any) -> Any:
    """Apply a function to every tensor in a nest of tuples, lists and dictionaries."""
    if isinstance(result, Tensor):
        return function(result)
    if isinstance(result, tuple | list):
        parts = [_map(function, x) for x in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    if isinstance(result, dict):
        return {key: _map(function, x) for key, x in result.items()}
    if result is None or isinstance(result, int | float | str):
        return result
    raise TypeMismatch(f"a captured function returns tensors or nests of them; got {type(result).__name__}.")
