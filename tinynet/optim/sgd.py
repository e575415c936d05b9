"""Gradient descent: on a whole function with the classic stopping rules, and stochastic, with momentum."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.modes import no_grad
from tinynet.optim.optimizer import Optimizer
from tinynet.parameter import Parameter
from tinynet.tensor import Tensor


class SGD(Optimizer):
    """Stochastic gradient descent: w ← w - lr · g; with momentum v ← μ v + g, w ← w - lr · v.

    Args:
        momentum: μ, how much of the last step is kept.
        nesterov: step along g + μ v, the gradient a step ahead.

    Source: Sutskever et al., *On the importance of initialization and momentum in deep learning*, 2013; PyTorch's form.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | None = None,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.momentum = self._checked("momentum", momentum)
        self.nesterov = nesterov
        if nesterov and not momentum:
            raise ArgumentError("SGD(nesterov=True) needs a momentum above 0.")
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    @property
    def memory(self) -> tuple[str, ...]:  # type: ignore[override]
        """With momentum, the running sum of gradients."""
        return ("momentum",) if self.momentum else ()

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], lr: Tensor) -> None:
        """w ← w - lr · (g, or the running sum of gradients)."""
        if self.momentum:
            v = state["momentum"].mul_(self.momentum).add_(g)
            g = g + self.momentum * v if self.nesterov else v
        w.sub_(lr * g)


@dataclass(frozen=True)
class Descent:
    """How a gradient descent went.

    Attributes:
        steps: how many steps were taken.
        stopped_by: ``"tolerance"`` (the largest step was small enough), ``"max_steps"``, or ``"diverged"`` (a loss or a
            step is infinite or not a number any more: the learning rate is too large).
        losses: the loss before each step, and after the last.
        largest_step: the last step's largest component, |lr · slope|.
    """

    steps: int
    stopped_by: str
    losses: tuple[float, ...] = field(repr=False)
    largest_step: float


def gradient_descent(
    loss: Callable[[], Any],
    parameters: Iterable[Any],
    lr: float = 0.1,
    tolerance: float = 1e-3,
    max_steps: int = 1000,
) -> Descent:
    """Plain gradient descent on a whole function: step = slope × learning rate, until the steps are small.

    >>> intercept, slope = Value(0.0), Value(1.0)
    >>> squares = lambda: sum((y - (intercept + slope * x)) ** 2 for x, y in points)
    >>> gradient_descent(squares, [intercept, slope], lr=0.01)

    Args:
        loss: computes the loss anew from the parameters.
        parameters: Values, or Tensors that require gradients; changed in place.
        lr: the learning rate.
        tolerance: stop once no parameter moves by more than this.
        max_steps: stop after so many steps in any case.

    Raises:
        ArgumentError: a setting outside its range, or no parameters.
    """
    parameters = list(parameters)
    if not (lr > 0 and tolerance >= 0 and max_steps >= 1 and parameters):
        raise ArgumentError(
            f"gradient_descent({lr=}, {tolerance=}, {max_steps=}) on {len(parameters)} parameters: it needs a positive "
            "rate, a tolerance of at least 0, one step and one parameter at least."
        )
    losses: list[float] = []
    moves: list[float] = []
    stopped_by = ""
    while not stopped_by:
        for parameter in parameters:
            parameter.zero_grad()
        result = loss()
        losses.append(float(result))
        result.backward()
        moves = [_descend(parameter, lr) for parameter in parameters]
        if not all(map(math.isfinite, (losses[-1], *moves))):
            stopped_by = "diverged"
        elif max(moves) <= tolerance:
            stopped_by = "tolerance"
        elif len(losses) == max_steps:
            stopped_by = "max_steps"
    return Descent(len(losses), stopped_by, (*losses, float(loss())), max(moves))


def _descend(parameter: Any, lr: float) -> float:
    """Take one parameter's step, and say how long its largest component was."""
    if not isinstance(parameter, Tensor):
        move = float(lr * parameter.grad)
        parameter.data -= move
        return abs(move)
    if parameter.grad is None:
        return 0.0
    with no_grad():
        step = parameter.grad * lr
        parameter.sub_(step)
        return float(step.abs().amax()) if step.size else 0.0
