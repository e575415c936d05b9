"""What the tests of images on CUDA share: kernels on the stand-in and on a card, beside NumPy's on the same numbers."""

import sys
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import strict_cuda
import strict_cupy
from strict_cublas import StrictCublas

from tinynet import get_backend
from tinynet.backends.cuda.blas import Blas
from tinynet.backends.cuda.kernels.image import BFLOAT16, kernels
from tinynet.backends.cuda.module import Module
from tinynet.backends.cuda.products import Products
from tinynet.backends.kernels import table

with suppress(ImportError):
    import ml_dtypes  # noqa: F401  # makes bfloat16 known to NumPy

NUMPY = table(np)
without_bfloat16 = pytest.mark.skipif("ml_dtypes" not in sys.modules, reason="ml_dtypes is not installed")
TYPES = ["float64", "float32", "float16", pytest.param("bfloat16", marks=without_bfloat16)]
ENGINES = ["stand-in", pytest.param("GPU", marks=pytest.mark.gpu)]
# Of the sum of the terms' sizes: they are added up in float64 or float32, and rounded once or, by way of columns, a few
# times.
PRECISION = {"float64": 1e-13, "float32": 2e-6, "float16": 2**-10, "bfloat16": 2**-7}


class Counted(Module):
    """Kernels that are counted when they are launched."""

    def __init__(self, xp: Any) -> None:
        super().__init__(xp)
        self.launched: list[str] = []

    def compiled(self, code: str, name: str, *given: Any, **more: Any) -> Any:
        launch = super().compiled(code, name, *given, **more)

        def run(*arguments: Any) -> None:
            self.launched.append(name)
            launch(*arguments)

        return run


class Images:
    """Our kernels on one array module.

    Args:
        engine: ``"stand-in"`` or ``"GPU"``.
    """

    def __init__(self, engine: str) -> None:
        if engine == "GPU":
            backend: Any = get_backend("cupy")
            self.xp, blas = backend.xp, backend.products.blas
        elif strict_cuda.compilable:
            self.xp, blas = strict_cupy, Blas(strict_cupy, StrictCublas())
        else:
            pytest.skip("g++ is not installed")
        self.module = Counted(self.xp)
        plain = table(self.xp) | Products(self.xp, blas, self.module).kernels()
        self.kernels = kernels(self.module, plain)
        assert self.kernels.keys() == BFLOAT16
        self.convolutions = self.kernels["conv2d"].__self__

    def go(self, way: str) -> None:
        """Let all convolutions go this way."""
        self.convolutions.forced = way

    def array(self, x: Any) -> Any:
        """On the card."""
        return None if x is None else self.xp.asarray(x)

    def run(self, name: str, arrays: Any, params: Any, out: Any = None) -> Any:
        """The result of our kernel, as NumPy's."""
        self.module.launched.clear()
        result = self.kernels[name](*map(self.array, arrays), out=out, **params)
        assert out is None or result is out
        assert out is not None or result.flags.c_contiguous
        return self.xp.asnumpy(result)

    def check(self, name: str, arrays: Any, params: Any, out: Any = None) -> Any:
        """Our result beside NumPy's in float64. Returns NumPy's."""
        given = [a for a in arrays if a is not None]
        dtype = given[0].dtype.name
        expected = NUMPY[name](*[a if a is None else a.astype("float64") for a in arrays], **params)
        found = self.run(name, arrays, params, out)
        assert found.dtype == (dtype if out is None else out.dtype)
        sizes = [a if a is None else np.abs(a.astype("float64")) for a in arrays]
        terms = NUMPY[name](*sizes, **params) if name != "max_pool2d_grad" else np.abs(expected)
        allowed = PRECISION[dtype] * np.where(np.isfinite(terms), terms, 0)
        found = found.astype("float64")
        with np.errstate(invalid="ignore"):
            right = (np.abs(found - expected) <= allowed) | (found == expected) | (np.isnan(found) & np.isnan(expected))
        if not right.all():
            at = tuple(map(int, np.argwhere(~right)[0]))
            raise AssertionError(
                f"{name}: {(~right).sum()} of {right.size} differ; {at}: {found[at]}, not {expected[at]}"
            )
        return expected
