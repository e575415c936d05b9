"""Gradient clipping: hold a step to a length, when a gradient explodes."""

from collections.abc import Iterable

from tinynet.errors import ArgumentError
from tinynet.functions import minimum
from tinynet.modes import no_grad
from tinynet.parameter import Parameter
from tinynet.tensor import Tensor


def clip_grad_norm_(parameters: Parameter | Iterable[Parameter], max_norm: float) -> Tensor:
    """Scale all gradients together so that their norm √Σg² is at most max_norm; returns the norm before.

    Source: Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, 2013.
    """
    gradients = _gradients(parameters, "max_norm", max_norm)
    with no_grad():
        squares = [(g * g).sum() for g in gradients]
        norm = sum(squares[1:], squares[0]).sqrt()
        scale = minimum(max_norm / (norm + 1e-6), 1.0)
        for g in gradients:
            g.mul_(scale)
    return norm


def clip_grad_value_(parameters: Parameter | Iterable[Parameter], clip_value: float) -> None:
    """Hold each gradient element between -clip_value and clip_value."""
    with no_grad():
        for g in _gradients(parameters, "clip_value", clip_value):
            g.copy_(g.clip(-clip_value, clip_value))


def _gradients(parameters: Parameter | Iterable[Parameter], name: str, limit: float) -> list[Tensor]:
    if not limit > 0:
        raise ArgumentError(f"gradients are clipped to a positive {name}; got {limit!r}.")
    listed = [parameters] if isinstance(parameters, Parameter) else dict.fromkeys(parameters)
    gradients = [p.grad for p in listed if p.grad is not None]
    if not gradients:
        raise ArgumentError("there are no gradients to clip. Call loss.backward() first.")
    return gradients
