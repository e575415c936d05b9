"""How weights start. Each function overwrites a parameter in place with numbers drawn on the host (``tn.manual_seed``),
so that every backend starts from the same ones, and returns it.

For a weight of shape (out, in, …): fan_in = in × the rest, fan_out = out × the rest.
"""

import math
from typing import Any

from tinynet import random
from tinynet.errors import ArgumentError
from tinynet.nn.module import Module
from tinynet.parameter import Parameter


def _fans(parameter: Parameter) -> tuple[int, int]:
    if parameter.ndim < 2:
        raise ArgumentError(f"fan_in and fan_out need a weight of shape (out, in, …); got {parameter.shape}.")
    rest = math.prod(parameter.shape[2:])
    return parameter.shape[1] * rest, parameter.shape[0] * rest


def _fill(parameter: Parameter, numbers: Any) -> Parameter:
    parameter.load_(numbers)
    return parameter


def zeros_(parameter: Parameter) -> Parameter:
    """All 0. Units that start equal stay equal: good for biases, useless for weights."""
    return _fill(parameter, 0.0)


def uniform_(parameter: Parameter, low: float = 0.0, high: float = 1.0) -> Parameter:
    """Uniform in [low, high)."""
    return _fill(parameter, random.generator().uniform(low, high, parameter.shape))


def normal_(parameter: Parameter, mean: float = 0.0, std: float = 1.0) -> Parameter:
    """Normal; the standard normal by default, as in Nielsen's chapter 1."""
    return _fill(parameter, random.generator().normal(mean, std, parameter.shape))


def scaled_normal_(parameter: Parameter) -> Parameter:
    """Normal with std 1/√fan_in, which keeps a unit's sum near 1. Source: Nielsen, chapter 3."""
    return normal_(parameter, std=1 / math.sqrt(_fans(parameter)[0]))


def xavier_uniform_(parameter: Parameter, gain: float = 1.0) -> Parameter:
    """Uniform in ±gain √(6 / (fan_in + fan_out)). Source: Glorot and Bengio, 2010."""
    bound = gain * math.sqrt(6 / sum(_fans(parameter)))
    return uniform_(parameter, -bound, bound)


def xavier_normal_(parameter: Parameter, gain: float = 1.0) -> Parameter:
    """Normal with std gain √(2 / (fan_in + fan_out)). Source: Glorot and Bengio, 2010."""
    return normal_(parameter, std=gain * math.sqrt(2 / sum(_fans(parameter))))


def kaiming_uniform_(parameter: Parameter, gain: float = math.sqrt(2)) -> Parameter:
    """Uniform in ±gain √(3 / fan_in); the default gain suits ReLU. Source: He et al., 2015."""
    bound = gain * math.sqrt(3 / _fans(parameter)[0])
    return uniform_(parameter, -bound, bound)


def kaiming_normal_(parameter: Parameter, gain: float = math.sqrt(2)) -> Parameter:
    """Normal with std gain / √fan_in; the default gain suits ReLU. Source: He et al., 2015."""
    return normal_(parameter, std=gain / math.sqrt(_fans(parameter)[0]))


WEIGHTS = {
    "normal": normal_,
    "scaled-normal": scaled_normal_,
    "xavier": xavier_uniform_,
    "he": kaiming_normal_,
    "zeros": zeros_,
}


def initialise(model: Module, weights: str, biases: str = "zeros") -> Module:
    """Start every weight and every bias of a model in the named way.

    Args:
        weights: one of ``normal``, ``scaled-normal``, ``xavier``, ``he``, ``zeros``.
        biases: ``normal`` or ``zeros``.
    """
    if weights not in WEIGHTS or biases not in ("normal", "zeros"):
        raise ArgumentError(
            f"initialise(weights={weights!r}, biases={biases!r}): weights is one of {', '.join(WEIGHTS)}; biases "
            "is normal or zeros."
        )
    for parameter in model.parameters():
        WEIGHTS[weights if parameter.ndim > 1 else biases](parameter)
    return model
