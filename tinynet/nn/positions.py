"""Positions: attention does not see in what order its inputs come, so they are told.

Three ways: a fixed pattern of waves added to the inputs, a learned row for each position added to them, or queries and
keys turned by an angle that grows with the position. What is fixed is computed where it is needed: it is no state, so
it is neither saved nor loaded nor moved, and no length is the longest.
"""

import math

from tinynet.errors import ArgumentError, ShapeError
from tinynet.functions import arange, cat, stack, zeros
from tinynet.fused import Fused
from tinynet.nn import init
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import number, unusual, whole
from tinynet.parameter import Parameter
from tinynet.tensor import Tensor


def _angles(like: Tensor, length: int, offset: int, width: int, base: float) -> Tensor:
    """position / base^(2i / width) for each position and i = 0 … width/2 - 1, in float64: (length, width/2)."""
    positions, pairs = (arange(n, backend=like.backend).to(dtype="float64") for n in (length, width // 2))
    return (positions + offset).unsqueeze(1) * (pairs * (-2 * math.log(base) / width)).exp()


def _even(layer: str, **named: int) -> int:
    width: int = whole(layer, 2, **named)
    if width % 2:
        raise ArgumentError(f"{layer}({width}): it takes numbers in pairs; choose an even width.")
    return width


class _Added(Module):
    """What the two kinds that are added to the inputs share: where in these the positions lie."""

    embed_dim: int
    batch_first: bool

    def table(self, x: Tensor, length: int, offset: int) -> Tensor:
        """The rows of positions offset … offset + length - 1: (length, embed_dim)."""
        raise NotImplementedError

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """(length, batch, embed_dim), or in the order that the class says -> the same.

        Args:
            offset: the first element's position.
        """
        offset = whole(self.described(), 0, offset=offset)
        if x.ndim not in (2, 3) or x.shape[-1] != self.embed_dim:
            order = "batch, length" if self.batch_first else "length, batch"
            raise ShapeError(f"{self.described()} needs ({order}, {self.embed_dim}); got {x.shape}.")
        x = floating(x, next(self.parameters(), None))
        if self.batch_first or x.ndim == 2:
            return x + self.table(x, x.shape[-2], offset)
        return x + self.table(x, x.shape[0], offset).unsqueeze(1)


class SinusoidalPositions(_Added):
    """x + waves, of which each pair is slower than the one before:

        wave(pos, 2i) = sin(pos / 10000^(2i / embed_dim)),    wave(pos, 2i + 1) = cos(pos / 10000^(2i / embed_dim))

    Shapes: (length, batch, embed_dim) -> the same; with ``batch_first`` (batch, length, embed_dim). One example may
    come without the batch.

    Source: A. Vaswani et al., *Attention is all you need*, 2017, section 3.5.
    """

    def __init__(self, embed_dim: int, batch_first: bool = False) -> None:
        self.embed_dim, self.batch_first = _even("SinusoidalPositions", embed_dim=embed_dim), batch_first

    def table(self, x: Tensor, length: int, offset: int) -> Tensor:
        """Sines and cosines in turns."""
        angles = _angles(x, length, offset, self.embed_dim, 10000.0)
        return stack([angles.sin(), angles.cos()], dim=-1).reshape(length, self.embed_dim).to(dtype=x.dtype)

    def extra_repr(self) -> str:
        """The width, and where the batch stands."""
        return ", ".join((str(self.embed_dim), *unusual(self, batch_first=False)))


class LearnedPositions(_Added):
    """x + a learned row for each position; ``weight`` is (max_length, embed_dim), standard normal at the start.

    Shapes: (length, batch, embed_dim) -> the same; with ``batch_first`` (batch, length, embed_dim). One example may
    come without the batch.

    Raises:
        ShapeError: more positions than there are rows.
    """

    def __init__(self, max_length: int, embed_dim: int, batch_first: bool = False) -> None:
        self.max_length, self.embed_dim = whole("LearnedPositions", max_length=max_length, embed_dim=embed_dim)
        self.batch_first = batch_first
        self.weight = init.normal_(Parameter(zeros(self.max_length, self.embed_dim)))

    def table(self, x: Tensor, length: int, offset: int) -> Tensor:
        """Rows of the weight."""
        if offset + length > self.max_length:
            raise ShapeError(
                f"{self.described()} knows positions 0 … {self.max_length - 1}; got {length} from position {offset} "
                "on. Shorten the sequence, or make the layer longer."
            )
        return self.weight[offset : offset + length]

    def extra_repr(self) -> str:
        """The sizes, and where the batch stands."""
        return ", ".join((str(self.max_length), str(self.embed_dim), *unusual(self, batch_first=False)))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair (xᵢ, xᵢ₊ₙ), n half the width, turned by its angle: (…, 2n), (…, n), (…, n) -> (…, 2n)."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def _rotary(x: Tensor, offset: int, base: float, turn: int) -> Tensor:
    angles = _angles(x, x.shape[-2], offset, x.shape[-1], base) * turn
    return rotate(x, angles.cos().to(dtype=x.dtype), angles.sin().to(dtype=x.dtype))


rotary: Fused = Fused(  # its gradient turns back: a rotation's transpose is its inverse
    "rotary",
    _rotary,
    lambda g, out, x, offset, base, turn: rotary(g, offset=offset, base=base, turn=-turn),
)


class RotaryPositions(Module):
    """Queries and keys turned pair by pair, so that their products depend on nothing but how far apart they are:

        (xᵢ, xᵢ₊ₙ) -> (xᵢ cos θ - xᵢ₊ₙ sin θ, xᵢ sin θ + xᵢ₊ₙ cos θ),    θ = position / base^(i/n),  n = width / 2

    Pairs lie half the width apart, as in GPT-NeoX and LLaMA (the paper takes neighbours).

    Shapes: (…, length, width) -> the same.

    Args:
        width: of one head; even.
        base: how much slower the last pair turns than the first, at least 1.

    Source: J. Su et al., *RoFormer: enhanced transformer with rotary position embedding*, 2021.
    """

    def __init__(self, width: int, base: float = 10000.0) -> None:
        self.width, self.base = _even("RotaryPositions", width=width), number("RotaryPositions", 1, base=base)

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """(…, length, width) -> the same, where the first element stands at position ``offset``."""
        offset = whole(self.described(), 0, offset=offset)
        if x.ndim < 2 or x.shape[-1] != self.width:
            raise ShapeError(f"{self.described()} needs (…, length, {self.width}); got {x.shape}.")
        return rotary(floating(x), offset=offset, base=self.base, turn=1)

    def extra_repr(self) -> str:
        """The width of a head, and what differs from the default."""
        return ", ".join((str(self.width), *unusual(self, base=10000.0)))
