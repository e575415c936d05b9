"""A small product of matrices with a chain behind it, in one launch: layer and activation, gradient and slope.

The product's kernel hands every result to the chain while it is still in a register. A gradient of a weight may add up
the rows of its first factor on the way, which is the gradient of the bias.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.backends.cuda.chains.chain import Chain, Place, Strides, converted, register
from tinynet.backends.cuda.gemm import THREADS, fits, launching
from tinynet.backends.cuda.layout import Stack, run_together, stacked
from tinynet.backends.cuda.module import Module, defined, source
from tinynet.dtypes import FLOATS, dtype_name

Array = Any


@dataclass
class Product:
    """A product that a chain can follow.

    Attributes:
        inputs: x, y and the bias, if any, as the call was given them.
        dtype: of all of them, and of the result.
        adds: whether its first factor is an array's rows turned round, whose sums are a bias's gradient.
    """

    inputs: list[Array]
    dtype: str
    stack: Stack
    adds: bool


def product_of(name: str, inputs: tuple[Any, ...], out: Array, small: int) -> Product | None:
    """The product that a call computes, if a kernel of our own can: all of one type, small, no stack, no copy."""
    if name not in ("linear", "matmul", "rows_times", "rows_product") or isinstance(out, tuple):
        return None
    x, y, b = (*inputs, None)[:3]
    given = [a for a in (x, y, b) if a is not None]
    dtype = dtype_name(out.dtype)
    if dtype not in FLOATS or any(a.dtype != out.dtype for a in given) or min(x.ndim, y.ndim) < 2:
        return None
    if name == "rows_product":
        if not all(a.ndim == 2 or a.flags.c_contiguous for a in (x, y)):
            return None
        x, y = x.reshape(-1, x.shape[-1]).T, y.reshape(-1, y.shape[-1])
    elif name == "linear":
        y = y.T
    if not 0 < out.size * x.shape[-1] <= small:
        return None
    stack = stacked(x, y, out)
    if stack.dimensions or stack.n != out.shape[-1] or not fits(stack, b, out.dtype):
        return None
    return Product(given, dtype, stack, name == "rows_product")


def as_matrix(shape: tuple[int, ...], places: list[Place]) -> list[Strides] | None:
    """How places lie along the rows and the columns that a space comes down to; None where leading dimensions of one
    of them do not run together."""
    rows = [run_together(shape[:-1], place.strides[:-1]) for place in places]
    return None if None in rows else [(step or 0, place.strides[-1]) for step, place in zip(rows, places)]


def compiled(cuda: Module, product: Product, chain: Chain, result: Place) -> Callable[..., None]:
    """A function of the product's inputs, the arrays that the chain reads, those that it writes, and room for the sums
    of rows, or None."""
    chain.settle([result])
    lies = as_matrix(chain.shape, [*chain.reads, *chain.writes])
    assert lies is not None
    offsets, strides = chain.offsets(lies, ("row_", "column_"))
    parameters = ["", *chain.parameters(), *[f"long long s{i}" for i in range(len(strides))]]
    lines = [
        "#define FINISHED(at_row, at_column, found) {",
        "long long row_ = at_row, column_ = at_column;",
        f"{register(product.dtype)} result_ = {converted('found', product.dtype)};",
        *chain.statements(offsets, {result: "result_"}, "row_ == 0 && column_ == 0"),
        "}",
    ]
    text = source("chain.cuh", "gemm.cu").replace(" /* more */", ", ".join(parameters))
    code = defined({"T": product.dtype}) + " \\\n    ".join(lines) + "\n" + text
    name, grid, numbers = launching(product.stack)
    launch = cuda.compiled(code, name)
    more = [np.int64(stride) for stride in strides]

    def run(inputs: list[Array], reads: list[Array], writes: list[Array], row_sums: Array | None) -> None:
        x, y, b = (*inputs, None)[:3]
        launch(grid, THREADS, x, y, b, None, *numbers, row_sums, *reads, *writes, *more)

    return run
