"""Dropout: in training some numbers are left out by chance, so that none is relied on too much."""

import math

from tinynet.errors import ArgumentError, ShapeError
from tinynet.functions import rand
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

FINEST = 2**24  # rand draws multiples of 1/FINEST, which every float from float32 on holds exactly


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """x with each number 0 with probability p and 1 / (1 - p) as large otherwise, in training; else x itself."""
    return _dropped(x, x.shape, _probability("dropout", p)) if training and p else x


def _probability(name: str, p: float) -> float:
    if not isinstance(p, int | float) or not 0 <= p <= 1:
        raise ArgumentError(f"{name}({p=}): p is a probability, a number from 0 to 1.")
    return p


def _dropped(x: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    """x times a mask of that shape."""
    if p == 1:
        return x * 0.0
    least = math.ceil(p * FINEST) / FINEST  # draws compare with it alike in every precision
    kept = rand(shape, backend=x.backend) >= least
    return x * (kept.to(dtype=x.dtype) * (1 / (1 - p)))


class Dropout(Module):
    """In training each number becomes 0 with probability p, the others x / (1 - p); in evaluation x stays x.

    The masks are drawn from ``tn.manual_seed``'s stream, the same on every backend.

    Raises:
        ArgumentError: p does not lie in 0 … 1.

    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = _probability(type(self).__name__, p)

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class Dropout2d(Dropout):
    """Dropout of whole channels: the pixels of one tell much the same, so they go or stay together.

    Shapes: (batch, channels, height, width), or more or fewer dimensions after the channels.

    Source: Tompson et al., *Efficient object localization using convolutional networks*, 2015.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Channel by channel."""
        if x.ndim < 3:
            raise ShapeError(
                f"{self.described()} needs (batch, channels, height, width); got {x.shape}. Rows of features want "
                "Dropout."
            )
        if not (self.training and self.p):
            return x
        return _dropped(x, (*x.shape[:2], *[1] * (x.ndim - 2)), self.p)
