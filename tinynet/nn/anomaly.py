"""What layers do inside ``with tn.detect_anomaly():``: look for the first number that is not finite.

Knows Tensor; is called by Module alone.
"""

from math import inf
from typing import Any

from tinynet.errors import NonFiniteError
from tinynet.tensor import Tensor


def examine(layer: str, what: str, tensors: Any) -> None:
    """Refuse nan and inf in a tensor, or in a nest of them.

    Raises:
        NonFiniteError: it says the layer, what holds the number, where and how many there are.
    """
    if isinstance(tensors, tuple | list):
        for part in tensors:
            examine(layer, what, part)
    if not isinstance(tensors, Tensor) or not tensors.is_floating_point() or not tensors.size:
        return
    numbers = tensors.numpy()
    strange = (numbers != numbers) | (abs(numbers) == inf)  # nan alone differs from itself
    if strange.any():
        index = tuple(int(places[0]) for places in strange.nonzero())
        raise NonFiniteError(
            f"{layer}: {what} {tensors.shape} holds {numbers[index]} at {index}, one of {strange.sum()} such numbers. "
            "Look at the data, or at what came before; a smaller learning rate or clip_norm= keeps weights from "
            "growing without end."
        )


def watch_gradient(layer: str, outputs: Any) -> None:
    """Examine the gradient that will come back to a layer's output; not where arrays find their own gradients."""
    if isinstance(outputs, tuple | list):
        for part in outputs:
            watch_gradient(layer, part)
    if isinstance(outputs, Tensor) and outputs.requires_grad and not outputs.backend.differentiates:
        outputs.register_hook(lambda g: examine(layer, "the gradient of its output", g))
