"""A whole model explained: a copy of it on the scalar backend, run on a batch, and trained for some steps.

Separate because explaining a Value needs none of this, and no NumPy. Must not know how a run is shown.
"""

import copy
from collections.abc import Callable, Iterator
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.errors import ArgumentError
from tinynet.explain.groups import SMALLEST_IMAGE
from tinynet.explain.trace import Trace, as_value, trace
from tinynet.modes import no_grad
from tinynet.nn import CrossEntropyLoss, Module
from tinynet.nn.functional import softmax
from tinynet.optim import Optimizer
from tinynet.tensor import Tensor

Walk = tuple[Trace, dict[str, Any]]


def walks(
    model: Module, x: Any, y: Any, loss: Callable[[Any, Any], Any], optimizer: Optimizer | None, steps: int
) -> Iterator[Walk]:
    """The walk before each update and after the last, each with what the model answered.

    Args:
        model: of any backend; a copy of it is run, in training mode or not as it is.
        x, y: a batch of inputs and targets on the host.
        loss: takes (output, target).
        optimizer: how the weights move between two walks; one without parameters.
        steps: how many updates.

    Raises:
        ArgumentError: something is missing, or does not fit.
    """
    if x is None or y is None or loss is None:
        raise ArgumentError(
            "A model is explained on data: tn.explain(model, x, y, loss=nn.CrossEntropyLoss()), with x and y a batch "
            "of one or a few examples."
        )
    if not isinstance(steps, int) or steps < 0:
        raise ArgumentError(f"steps= says how many updates to take; got {steps!r}. Give 0 or more.")
    if steps and optimizer is None:
        raise ArgumentError(f"{steps} steps need an update rule: optimizer=optim.SGD(lr=0.5).")
    if optimizer is not None and optimizer.bound:
        raise ArgumentError(
            f"explain trains a copy of the model, so the optimizer must come without parameters: "
            f"{type(optimizer).__name__}(lr={optimizer.lr:g})."
        )
    twin = copy.deepcopy(model).to("scalar")
    rule = copy.deepcopy(optimizer)
    if rule is not None:
        rule.bind(twin.parameters())
    host: Any = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    target = y.numpy() if isinstance(y, Tensor) else np.asarray(y)
    if host.dtype.kind == "f":  # with a gradient, so that every use of a number is a use of the same Value
        host = Tensor(host, backend="scalar", requires_grad=True)
        host.backend.label(host.data, "x")
    pixels = {"input": seen.tolist()} if (seen := image(x)) is not None else {}
    for step in range(steps + 1):
        twin.zero_grad()
        output = twin(host)
        result = loss(output, target)
        number = as_value(result)
        number.label = number.label or "loss"
        yield trace(number), {"outputs": _outputs(output, target, loss)} | pixels
        if step < steps and rule is not None:
            result.backward()
            rule.step()


def image(x: Any) -> NDArray[Any] | None:
    """The first example of a batch, where it is an image of one channel, (rows, columns); None where it is none."""
    host = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    if host.ndim < 2 or not len(host) or host.dtype.kind != "f":
        return None
    one = np.squeeze(host[0])
    side = isqrt(one.size)
    if one.ndim == 1 and side * side == one.size and side >= SMALLEST_IMAGE:
        return one.reshape(side, side)
    return one if one.ndim == 2 and min(one.shape) >= SMALLEST_IMAGE else None


def layers(model: Module) -> dict[str, str]:
    """What each module that holds parameters is, by its dotted name: ``Linear(784, 16)``."""
    return {name: repr(part) for name, part in model.named_modules() if part.own_parameters()}


def _outputs(output: Tensor, target: Any, loss: Any) -> dict[str, Any] | None:
    """The answers of a model that gives a row of numbers an example."""
    if len(output.shape) != 2:
        return None
    found = {"values": output.numpy().tolist(), "targets": target.tolist()}
    if isinstance(loss, CrossEntropyLoss):
        with no_grad():
            found["probabilities"] = softmax(output, dim=1).numpy().tolist()
    return found
