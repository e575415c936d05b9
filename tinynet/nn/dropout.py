"""Dropout: in training some numbers are left out by chance, so that none is relied on too much."""

import math

from tinynet.backend import Backend
from tinynet.errors import ShapeError
from tinynet.functions import rand
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import number
from tinynet.tensor import Tensor

FINEST = 2**24  # rand draws multiples of 1/FINEST, which every float from float32 on holds exactly


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """x with each number 0 with probability p and 1 / (1 - p) as large otherwise, in training; else x itself."""
    return _dropped(x, x.shape, number("dropout", most=1, p=p), training)


def kept(shape: tuple[int, ...], p: float, backend: Backend) -> Tensor:
    """Booleans, each False with probability p."""
    least = math.ceil(p * FINEST) / FINEST  # draws compare with it alike in every precision
    return rand(shape, backend=backend) >= least


def _dropped(x: Tensor, shape: tuple[int, ...], p: float, training: bool) -> Tensor:
    """x times a mask of that shape, in training."""
    x = floating(x)
    if not (training and p):
        return x
    return x * (kept(shape, p, x.backend).to(dtype=x.dtype) * (1 / (1 - p))) if p < 1 else x * 0.0


class Dropout(Module):
    """In training each number becomes 0 with probability p, the others x / (1 - p); in evaluation x stays x.

    The masks are drawn from ``tn.manual_seed``'s stream, the same on every backend.

    Raises:
        ArgumentError: p does not lie in 0 … 1.

    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = number(type(self).__name__, most=1, p=p)

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
        return _dropped(x, (*x.shape[:2], *[1] * (x.ndim - 2)), self.p, self.training)
