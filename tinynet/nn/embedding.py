"""Embedding: a row of numbers for each word, letter or category, looked up by its number and learned."""

from typing import Any

from tinynet.errors import ArgumentError, TypeMismatch
from tinynet.functions import where, zeros
from tinynet.fused import Fused
from tinynet.modes import mode, no_grad
from tinynet.nn import init
from tinynet.nn.module import Module
from tinynet.nn.settings import whole
from tinynet.parameter import Parameter
from tinynet.primitives import Primitive
from tinynet.tensor import Tensor


def _embedding(weight: Tensor, index: Tensor, padding_idx: int | None, layer: str) -> Tensor:
    rows = weight[index]
    return rows if padding_idx is None else where((index == padding_idx).unsqueeze(-1), rows.detach(), rows)


def _learned(g: Tensor, index: Tensor, padding_idx: int | None) -> Tensor:
    """The gradient without that of the padding row."""
    return g if padding_idx is None else where((index == padding_idx).unsqueeze(-1), 0.0, g)


_embedding_grad = Primitive(
    "embedding_grad", None, lambda g, out, x, index, rows: embedding(g, index, padding_idx=None, layer="embedding")
)
embedding: Fused = Fused(
    "embedding",
    _embedding,
    lambda g, out, weight, index, padding_idx, layer: _embedding_grad(
        _learned(g, index, padding_idx), index, rows=len(weight)
    ),
)


class Embedding(Module):
    """The rows of a table that whole numbers name.

    Shapes: (…) of integers below num_embeddings -> (…, embedding_dim); ``weight`` is (num_embeddings, embedding_dim).

    Args:
        num_embeddings, embedding_dim: the number of rows and their width.
        padding_idx: a row that starts as zeros and is never learned; negative ones count from the end.

    Rows start standard normal, as in PyTorch.

    Raises:
        ArgumentError: an index names no row.
        TypeMismatch: the indices are not integers.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        sizes = {"num_embeddings": num_embeddings, "embedding_dim": embedding_dim}
        self.num_embeddings, self.embedding_dim = whole("Embedding", **sizes)
        self.padding_idx = padding_row("Embedding", padding_idx, self.num_embeddings)
        self.weight = init.normal_(Parameter(zeros(self.num_embeddings, self.embedding_dim)))
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].zero_()

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> "Embedding":
        """An embedding with the rows of a matrix, held still unless told otherwise.

        Args:
            embeddings: (num_embeddings, embedding_dim) numbers.
            freeze: whether training leaves them as they are.
            padding_idx: a row that is never learned; it keeps its numbers.
        """
        rows = Parameter(embeddings, requires_grad=not freeze)
        if rows.ndim != 2:
            raise ArgumentError(
                f"Embedding.from_pretrained needs (num_embeddings, embedding_dim) numbers; got {rows.shape}."
            )
        layer = cls(rows.shape[0], rows.shape[1], padding_idx)
        layer.weight = rows
        return layer

    def forward(self, index: Tensor) -> Tensor:
        """(…) -> (…, embedding_dim)."""
        check_index(self.described(), index, self.num_embeddings)
        return embedding(self.weight, index, padding_idx=self.padding_idx, layer=self.described())

    def extra_repr(self) -> str:
        """The sizes, and the padding row where there is one."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def padding_row(name: str, padding_idx: int | None, rows: int) -> int | None:
    """The padding row counted from the start."""
    if padding_idx is None:
        return None
    row: int = whole(name, None, padding_idx=padding_idx)
    if not -rows <= row < rows:
        raise ArgumentError(f"{name} has rows 0 … {rows - 1}; got padding_idx={row}.")
    return row % rows


def check_index(name: str, index: Any, rows: int) -> None:
    """Refuse an index of other than integers and, where looking is possible, a number that names no row: CuPy would
    take another row and say nothing. In a recorded step the kernels look, each in its way."""
    if not isinstance(index, Tensor) or index.is_floating_point() or index.dtype == "bool":
        got = index.dtype if isinstance(index, Tensor) else type(index).__name__
        raise TypeMismatch(f"{name} looks up rows by whole numbers; got {got}. Use .to('int64').")
    if mode.recorder is None:
        numbers = index.numpy()
        strays = numbers[(numbers < 0) | (numbers >= rows)]
        if strays.size:
            raise ArgumentError(
                f"{name} has rows 0 … {rows - 1}; got index {strays[0]}. Is the vocabulary larger than the table?"
            )
