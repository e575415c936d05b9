"""Indices that lie outside their dimension, counted on the device, where CuPy takes another element and says nothing.

Looking at each call would make the host wait each time, and a replayed step, whose batch is another one every time,
could not look at all. Counting waits for nothing and serves both; whoever reads numbers looks at the count.
"""

from functools import partial
from typing import Any

from tinynet.backends.kernels import dense, embedding, plain
from tinynet.errors import ArgumentError
from tinynet.primitives import ARRAY

Array = Any


class Strays:
    """How many indices lay outside since numbers were last read, and the layers that looked something up.

    Attributes:
        count: int64, on the device; kernels add to it.
        askers: the layers, in words.
    """

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.count = xp.zeros((), "int64")
        self.askers: set[str] = set()

    def note(self, index: Array, least: int, size: int) -> None:
        """Count the numbers of an index that lie below ``least``, or outside a dimension of that size."""
        index = index.astype("int64", copy=False)  # a small unsigned type cannot be compared with -size
        outside = self.xp.count_nonzero((index < least) | (index >= size))
        self.xp.add(self.count, outside, out=self.count)

    def complain(self, strays: int, name: str) -> None:
        """Begin to count anew, and say what the count was.

        Raises:
            ArgumentError: always.
        """
        self.count.fill(0)
        asked = f" Tables were looked up by {', '.join(sorted(self.askers))}." if self.askers else ""
        raise ArgumentError(
            f"on backend {name!r} {strays} of the indices or classes used since numbers were last read lay "
            f"outside their dimension.{asked} The GPU took other elements instead, so what was computed since is "
            "wrong. Look for class or row numbers that are too large; the same step on 'numpy' stops at the place."
        )

    def kernels(self) -> dict[str, Any]:
        """The kernels that take indices, each of which counts first."""
        return {
            "gather": partial(_gather, self),
            "softmax_cross_entropy": partial(_softmax_cross_entropy, self),
            "embedding": partial(_embedding, self),
        }


def _gather(strays: Strays, x: Array, *arrays: Array, index: tuple[Any, ...], out: Array = None) -> Array:
    """x[index]."""
    for array, size in zip(arrays, indexed_sizes(x.shape, index) if arrays else ()):
        strays.note(array, -size, size)
    return plain.gather(strays.xp, x, *arrays, index=index, out=out)


def _softmax_cross_entropy(strays: Strays, x: Array, target: Array, mean: bool = False, out: Any = None) -> Any:
    """-log softmax(x)[target] for each row, or the mean, and the slope."""
    strays.note(target, 0, x.shape[1])
    return dense.softmax_cross_entropy(strays.xp, x, target, mean, out=out)


def _embedding(
    strays: Strays, weight: Array, index: Array, padding_idx: int | None, layer: str, out: Array = None
) -> Array:
    """The rows that an index names; the layer is noted."""
    strays.note(index, 0, weight.shape[0])
    strays.askers.add(layer)
    return embedding.embedding(strays.xp, weight, index, padding_idx, layer, out=out)


def indexed_sizes(shape: tuple[int, ...], index: tuple[Any, ...]) -> list[int]:
    """The sizes of the dimensions that the arrays in an index pick from."""
    parts = [part for part in index if part is not None]
    if Ellipsis in parts:
        here = parts.index(Ellipsis)
        parts[here : here + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    return [size for part, size in zip(parts, shape) if part is ARRAY]
