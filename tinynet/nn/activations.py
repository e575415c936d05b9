"""Activations: what bends the line. Each works element by element, except softmax, which works along a dimension."""

import math

from tinynet import primitives as p
from tinynet.dtypes import HALVES
from tinynet.errors import ArgumentError, TypeMismatch
from tinynet.fused import Fused
from tinynet.nn.module import Module
from tinynet.primitives import Primitive
from tinynet.tensor import Tensor


def _softmax(x: Tensor, dim: int) -> Tensor:
    powers = (x - x.detach().amax(dim, keepdim=True)).exp()  # the largest is e^0: nothing overflows
    return powers / powers.sum(dim, keepdim=True)


def _log_softmax(x: Tensor, dim: int) -> Tensor:
    shifted = x - x.detach().amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


softmax = Fused("softmax", _softmax, lambda g, out, x, dim: out * (g - (g * out).sum(dim, keepdim=True)))
log_softmax = Fused("log_softmax", _log_softmax, lambda g, out, x, dim: g - out.exp() * g.sum(dim, keepdim=True))


relu_gradient: Fused = Fused(
    "relu_gradient", lambda g, made: g * (made > 0), lambda h, out, g, made: relu_gradient(h, made), None
)
"""g where relu made a number above 0."""
relu = Primitive("relu", p.relu.number, lambda g, out, x: relu_gradient(g, out))
"""The formula sheet's, with its gradient in one kernel."""


def _gelu_reference(x: Tensor, approximate: str) -> Tensor:
    if approximate == "tanh":
        return x * (((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)).tanh() + 1) * 0.5
    return x * ((x * math.sqrt(0.5)).erf() + 1) * 0.5


_gelu = Fused("gelu", _gelu_reference, lambda g, out, x, slope, approximate: g * slope, saves=1)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), where Φ is the normal distribution function; ``approximate`` as for the layer GELU."""
    if x.dtype in HALVES:  # a float16's polynomials end at 65,504
        return _gelu(x.to(dtype="float32"), approximate=approximate).to(dtype=x.dtype)
    return _gelu(x, approximate=approximate)


class Step(Module):
    """1 where x > 0, else 0: the perceptron's output. Its slope is 0 everywhere, so nothing before it can learn."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return (x > 0).to(dtype=x.dtype)


class Sigmoid(Module):
    """σ(x) = 1 / (1 + e^-x), a smooth step from 0 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.sigmoid()


class Tanh(Module):
    """(e^x - e^-x) / (e^x + e^-x), a smooth step from -1 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.tanh()


class ReLU(Module):
    """max(0, x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return Tensor.apply(relu, x)


class LeakyReLU(Module):
    """x where positive, negative_slope · x elsewhere, so that no unit falls silent for good."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        if not isinstance(negative_slope, int | float):
            raise TypeMismatch(f"LeakyReLU(negative_slope=) is a number; got {negative_slope!r:.60}.")
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.leaky_relu(self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return str(self.negative_slope)


class Softplus(Module):
    """ln(1 + e^x), a smooth ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x.softplus()


class GELU(Module):
    """x Φ(x), where Φ is the normal distribution function. Source: Hendrycks and Gimpel, 2016.

    Args:
        approximate: ``"none"`` for Φ by the error function, ``"tanh"`` for the approximation that GPT-2 uses.
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ArgumentError(f"GELU({approximate=}): choose 'none' or 'tanh'.")
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return gelu(x, self.approximate)

    def extra_repr(self) -> str:
        """The approximation, where there is one."""
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class SiLU(Module):
    """x σ(x), also called swish. Source: Hendrycks and Gimpel, 2016; Ramachandran et al., 2017."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return x * x.sigmoid()


class Softmax(Module):
    """e^xᵢ / Σⱼ e^xⱼ along a dimension: positive numbers that add up to 1.

    CrossEntropyLoss contains it already: a model trained with that loss ends without a Softmax.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Along ``dim``."""
        return softmax(x, dim=self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"
