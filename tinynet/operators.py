"""What can be written on a Value and on a Tensor alike: arithmetic, and the functions of the formula sheet.

Models are written in these operators alone, which is why one definition runs on every engine. An engine adds
``apply(primitive, *inputs)``, and ``_pair``: the same for two operands, or NotImplemented where the other operand is
foreign, so that Python asks it.
"""

from typing import Any, Self

from tinynet import primitives as p
from tinynet.primitives import Primitive


class Operators:
    """Arithmetic and functions, each one a row of the formula sheet."""

    __slots__ = ()

    @staticmethod
    def apply(primitive: Primitive, *inputs: Any, **params: Any) -> Any:
        """Compute the operation and remember it."""
        raise NotImplementedError

    @classmethod
    def _pair(cls, primitive: Primitive, x: Any, y: Any) -> Any:
        raise NotImplementedError

    # fmt: off
    def __add__(self, other: Any) -> Self: return self._pair(p.add, self, other)
    def __radd__(self, other: Any) -> Self: return self._pair(p.add, other, self)
    def __sub__(self, other: Any) -> Self: return self._pair(p.sub, self, other)
    def __rsub__(self, other: Any) -> Self: return self._pair(p.sub, other, self)
    def __mul__(self, other: Any) -> Self: return self._pair(p.mul, self, other)
    def __rmul__(self, other: Any) -> Self: return self._pair(p.mul, other, self)
    def __truediv__(self, other: Any) -> Self: return self._pair(p.div, self, other)
    def __rtruediv__(self, other: Any) -> Self: return self._pair(p.div, other, self)
    def __pow__(self, other: Any) -> Self: return self._pair(p.pow, self, other)
    def __rpow__(self, other: Any) -> Self: return self._pair(p.pow, other, self)
    def __neg__(self) -> Self: return self.apply(p.neg, self)
    def __pos__(self) -> Self: return self
    def __abs__(self) -> Self: return self.apply(p.abs, self)
    # fmt: on

    def abs(self) -> Self:
        """|x|; its slope at 0 is taken as 0."""
        return self.apply(p.abs, self)

    def exp(self) -> Self:
        """e^x."""
        return self.apply(p.exp, self)

    def log(self) -> Self:
        """The natural logarithm of x > 0."""
        return self.apply(p.log, self)

    def sqrt(self) -> Self:
        """The square root of x ≥ 0."""
        return self.apply(p.sqrt, self)

    def sin(self) -> Self:
        """The sine of x radians."""
        return self.apply(p.sin, self)

    def cos(self) -> Self:
        """The cosine of x radians."""
        return self.apply(p.cos, self)

    def erf(self) -> Self:
        """The error function, 2/√π ∫₀ˣ e^(-t²) dt."""
        return self.apply(p.erf, self)

    def tanh(self) -> Self:
        """(e^x - e^-x) / (e^x + e^-x)."""
        return self.apply(p.tanh, self)

    def sigmoid(self) -> Self:
        """σ(x) = 1 / (1 + e^-x)."""
        return self.apply(p.sigmoid, self)

    def relu(self) -> Self:
        """max(0, x); its slope at 0 is taken as 0."""
        return self.apply(p.relu, self)

    def leaky_relu(self, slope: float = 0.01) -> Self:
        """x where it is positive, slope · x elsewhere."""
        return self.apply(p.leaky_relu, self, slope=slope)

    def softplus(self) -> Self:
        """ln(1 + e^x), a smooth ReLU."""
        return self.apply(p.softplus, self)

    def clip(self, low: float, high: float) -> Self:
        """x held between low and high, both included; flat outside."""
        return self.apply(p.clip, self, low=low, high=high)
