"""Layers that compute nothing: the same numbers in another shape."""

from tinynet.nn.module import Module
from tinynet.nn.settings import whole
from tinynet.tensor import Tensor


class Flatten(Module):
    """Dimensions start_dim … end_dim run together into one: from images (batch, c, h, w) to rows (batch, c · h · w)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = whole("Flatten", None, start_dim=start_dim, end_dim=end_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, …) -> (batch, features)."""
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The dimensions, where they are not the usual ones."""
        return "" if (self.start_dim, self.end_dim) == (1, -1) else f"{self.start_dim}, {self.end_dim}"
