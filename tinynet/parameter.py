"""Parameter: a trainable tensor; and the flat arrays in which parameters lie side by side.

Updating, clipping, averaging and saving are each one operation, however many layers there are, because the parameters
of a model are views of one array, and their gradients of another.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tinynet.backend import Backend
from tinynet.modes import mode
from tinynet.staleness import recordings
from tinynet.tensor import Tensor


class _Watched:
    """An attribute that recorded steps rely on: whoever sets it anew makes them stale."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, owner: Any, value: Any) -> None:
        if self.name in vars(owner):
            recordings.outdate()
        vars(owner)[self.name] = value


class Parameter(Tensor):
    """A tensor that requires a gradient and is found by ``Module.parameters()``.

    Once it lies in a flat array, ``grad`` is a view of the flat gradient: the next backward pass writes to the same
    memory, so copy a gradient that you want to keep.
    """

    data = _Watched()
    requires_grad: Any = _Watched()
    grad_place: Tensor | None = None  # this parameter's part of the flat gradient

    def __init__(
        self,
        data: Any,
        dtype: str | None = None,
        *,
        backend: str | Backend | None = None,
        requires_grad: bool = True,
        label: str = "",
    ) -> None:
        super().__init__(data, dtype, backend=backend, requires_grad=requires_grad, label=label)

    def move(self, data: Any, backend: Backend, grad_place: Tensor | None = None) -> None:
        """Live in another array from now on, with the gradient in another place."""
        grad = self.grad
        self.data, self.backend, self.grad_place = data, backend, grad_place
        if grad is not None:
            self.grad = grad.to(backend, self.dtype)
            if grad_place is not None:
                grad_place.copy_(self.grad)
                self.grad = grad_place

    def _first(self, g: Tensor) -> Tensor:
        if self.grad_place is None:
            return super()._first(g)
        self.backend.launch("copy", g.data, out=self.grad_place.data)
        self.grad_place.overwritten()
        return self.grad_place


class FlatParameters:
    """Parameters of one backend and dtype, side by side.

    Attributes:
        data, grad: one-dimensional tensors; each parameter is a view of the first, its gradient of the second.
        parameters: in the order in which they lie.
    """

    def __init__(self, parameters: list[Parameter]) -> None:
        self.parameters = parameters
        first = parameters[0]
        backend, dtype, total = first.backend, first.dtype, sum(p.size for p in parameters)
        self.data = Tensor.of(backend.full((total,), 0.0, dtype), backend)
        self.grad = Tensor.of(backend.full((total,), 0.0, dtype), backend)
        start = 0
        for parameter in parameters:
            here, start = start, start + parameter.size
            place, grad_place = (
                t.narrow(0, here, parameter.size).reshape(parameter.shape) for t in (self.data, self.grad)
            )
            place.copy_(parameter.detach())
            parameter.move(place.data, backend, grad_place)
        self._places = [parameter.data for parameter in parameters]

    @contextmanager
    def gradients_in(self, place: Tensor) -> Iterator[None]:
        """Inside ``with``, backward leaves the parameters' gradients in another flat array, beginning anew."""
        before = [(parameter, parameter.grad, parameter.grad_place) for parameter in self.parameters]
        start = 0
        for parameter in self.parameters:
            here, start = start, start + parameter.size
            parameter.grad = None
            parameter.grad_place = place.narrow(0, here, parameter.size).reshape(parameter.shape)
        try:
            yield
        finally:
            for parameter, grad, grad_place in before:
                parameter.grad, parameter.grad_place = grad, grad_place

    def intact(self) -> bool:
        """Whether every parameter still lies here; a model that moved to another backend took them away."""
        return all(parameter.data is place for parameter, place in zip(self.parameters, self._places))

    def gather_grad(self) -> Tensor:
        """The flat gradient, with zeros for parameters that the last backward pass did not reach."""
        for parameter in self.parameters:
            if mode.recorder is not None:
                mode.recorder.accumulates(parameter, parameter.grad)
            if parameter.grad is None:
                assert parameter.grad_place is not None
                parameter.grad_place.zero_()
            elif parameter.grad is not parameter.grad_place:
                assert parameter.grad_place is not None
                parameter.grad_place.copy_(parameter.grad)
        return self.grad


def flatten(parameters: Iterable[Parameter]) -> list[FlatParameters]:
    """Lay parameters side by side, one flat array for each backend and dtype; one that occurs twice lies once."""
    groups: dict[tuple[str, str], list[Parameter]] = {}
    for parameter in dict.fromkeys(parameters):
        groups.setdefault((parameter.backend.name, parameter.dtype), []).append(parameter)
    return [FlatParameters(group) for group in groups.values()]
