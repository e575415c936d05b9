"""How matrices lie in memory, as a product of stacks of matrices needs to know it; numbers alone, no device.

Strides are counted in elements here, not in bytes. ``x``, ``y`` and ``out`` are (…, M, K) @ (…, K, N) -> (…, M, N).
"""

from dataclasses import dataclass
from typing import Any

Array = Any
Lie = tuple[int, int]


def lie(shape: tuple[int, ...], strides: tuple[int, ...]) -> Lie | None:
    """How a matrix (rows, columns) lies: (0, from row to row) where each row lies together, (1, from column to column)
    where each column does, None where it is neither.
    """
    (rows, columns), (down, right) = shape, strides
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return 0, columns if rows == 1 else down
    if (down == 1 or rows == 1) and right >= rows:
        return 1, right
    return None


def run_together(shape: tuple[int, ...], strides: tuple[int, ...]) -> int | None:
    """The stride of several dimensions seen as one; None where their elements lie at no even distance."""
    size, stride = 1, 0
    for n, step in zip(reversed(shape), reversed(strides)):
        if n == 1:
            continue
        if size == 1:
            stride = step
        elif step != size * stride:
            return None
        size *= n
    return stride


def lies_well(x: Array) -> bool:
    """Whether the matrices of a stack lie row by row or column by column."""
    return lie(x.shape[-2:], _ends(x)) is not None


@dataclass
class Stack:
    """A stack of products.

    Attributes:
        m, n, k: the sizes of the matrices.
        ends: for x, y and out, the strides along rows and columns.
        dimensions: of the stack: a size, and the strides of x, y and out along it.
    """

    m: int
    n: int
    k: int
    ends: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    dimensions: list[tuple[int, tuple[int, int, int]]]

    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shapes of the three matrices."""
        return (self.m, self.k), (self.k, self.n), (self.m, self.n)

    def lies(self) -> tuple[Any, ...]:
        """How the three matrices lie."""
        return tuple(lie(shape, end) for shape, end in zip(self.shapes(), self.ends))


def stacked(x: Array, y: Array, out: Array) -> Stack:
    """The fewest and largest products that x @ y into ``out`` comes down to.

    Neighbouring dimensions of the stack become one where all three arrays allow it. A last dimension along which ``y``
    is repeated becomes rows of ``x`` and ``out``; one along which ``x`` is repeated, columns of ``y`` and ``out``.
    """
    batch = out.shape[:-2]
    dimensions: list[tuple[int, tuple[int, int, int]]] = []
    for size, sx, sy, so in zip(batch, *(_steps(a, len(batch)) for a in (x, y, out))):
        if size == 1:
            continue
        step = sx, sy, so
        if dimensions and all(before == size * after for before, after in zip(dimensions[-1][1], step)):
            size *= dimensions.pop()[0]
        dimensions.append((size, step))
    stack = Stack(x.shape[-2], y.shape[-1], x.shape[-1], (_ends(x), _ends(y), _ends(out)), dimensions)
    while stack.dimensions and (larger := _grown(stack)):
        stack = larger
    return stack


def _ends(x: Array) -> tuple[int, int]:
    return x.strides[-2] // x.itemsize, x.strides[-1] // x.itemsize


def _steps(x: Array, ndim: int) -> list[int]:
    """The strides along so many dimensions of a stack; 0 where the array is repeated."""
    own = [0 if n == 1 else s // x.itemsize for n, s in zip(x.shape[:-2], x.strides[:-2])]
    return [0] * (ndim - len(own)) + own


def _grown(stack: Stack) -> Stack | None:
    """The last dimension of the stack as rows or as columns of larger matrices; None where it is neither."""
    m, n, dimensions = stack.m, stack.n, stack.dimensions[:-1]
    (x_down, x_right), (y_down, y_right), (out_down, out_right) = stack.ends
    size, (sx, sy, so) = stack.dimensions[-1]
    larger = None
    if not sy and (m == 1 or (sx, so) == (m * x_down, m * out_down)):
        x_down, out_down = (sx, so) if m == 1 else (x_down, out_down)
        larger = Stack(m * size, n, stack.k, ((x_down, x_right), stack.ends[1], (out_down, out_right)), dimensions)
    elif not sx and (n == 1 or (sy, so) == (n * y_right, n * out_right)):
        y_right, out_right = (sy, so) if n == 1 else (y_right, out_right)
        larger = Stack(m, n * size, stack.k, (stack.ends[0], (y_down, y_right), (out_down, out_right)), dimensions)
    return larger if larger and all(larger.lies()) else None
