"""Half floats on an array library that computes badly with them: in float32, and rounded once.

A kernel whose inputs hold half floats runs on their float32 copies, and its result is rounded to the inputs' type where
they share one; beside float32 or float64 it stays as wide. So a sum of products is added up in float32 and rounded at
its end, which is what a GPU's units and PyTorch's kernels do. NumPy would round every term of a product in float16, two
hundred times as slowly, and knows bfloat16 by the package ``ml_dtypes`` alone, which leaves gaps.

What exceeds a half float's range is infinite, and nothing is said: a GPU says nothing either, and a loss that is scaled
runs into it on purpose.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tinynet.dtypes import FLOATS, HALVES, dtype_name

Array = Any
AS_THEY_LIE = frozenset("reshape transpose broadcast_to gather concatenate embedding uniform".split())
"""Kernels that move elements and do not compute with them."""


class Halves:
    """Chooses, for a backend's ``launch``, how a kernel takes its inputs.

    Args:
        narrow: the names of the types that kernels do not take as they are.
        native: kernels that take them all the same.
    """

    def __init__(self, narrow: tuple[str, ...] = HALVES, native: frozenset[str] = AS_THEY_LIE) -> None:
        self.narrow, self.native = narrow, native

    def __call__(self, name: str, kernel: Any, inputs: tuple[Any, ...]) -> Any:
        """The kernel, or one that computes the same in float32."""
        if name in self.native:
            return kernel
        if name in ("cast", "copy"):
            return Quietly(kernel)
        types = {dtype_name(x.dtype) for x in inputs if hasattr(x, "dtype")}
        if types.isdisjoint(self.narrow):
            return kernel
        floats = types.intersection(FLOATS)
        return Widely(kernel, floats.pop() if len(floats) == 1 else "")


def in_float32(kernels: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """name -> kernel, those of these names computing in float32 what they are given in bfloat16."""
    halves = Halves(("bfloat16",), frozenset())
    return {**kernels, **{name: partial(_chosen, halves, name, kernels[name]) for name in names}}


def _chosen(halves: Halves, name: str, kernel: Any, *inputs: Any, out: Any = None, **params: Any) -> Any:
    return halves(name, kernel, inputs)(*inputs, out=out, **params)


class Quietly:
    """A kernel that rounds numbers beyond a type's range to infinity and does not warn of it."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def __call__(self, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """Run it."""
        with np.errstate(over="ignore"):
            return self.kernel(*inputs, out=out, **params)


class Widely(Quietly):
    """A kernel that computes in float32 what it is given in half floats.

    Args:
        dtype: what its float32 results are rounded to; nothing leaves them as they are.
    """

    def __init__(self, kernel: Any, dtype: str) -> None:
        super().__init__(kernel)
        self.dtype = dtype

    def __call__(self, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """Run it."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.kernel(*[_wide(x) for x in inputs], **params)
            if isinstance(found, tuple):
                return tuple([self._rounded(x, out and out[i]) for i, x in enumerate(found)])
            return self._rounded(found, out)

    def _rounded(self, x: Any, out: Any) -> Any:
        if out is not None:
            out[...] = x
            return out
        return x.astype(self.dtype) if self.dtype and dtype_name(x.dtype) == "float32" else x


def _wide(x: Any) -> Any:
    return x.astype("float32") if hasattr(x, "dtype") and dtype_name(x.dtype) in HALVES else x
