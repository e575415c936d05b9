"""The cupy backend on the strict stand-in, so that it can be tested where there is no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import strict_cuda
import strict_cupy
from strict_cublas import StrictCublas

from tinynet import registry
from tinynet.backends.cupy_backend import CupyBackend


class StrictCupy(CupyBackend):
    """CupyBackend as it is, except that the stand-in cannot run a compiled kernel."""

    def __init__(self, name: str = "cupy") -> None:
        self.name = name
        super().__init__(strict_cupy, StrictCublas())
        self.products.small = 512 * strict_cuda.compilable  # the CPU is slow at a card's kernels

    def compile(self) -> None:
        """Nothing to compile with."""


@contextmanager
def strict_cupy_in_charge() -> Iterator[CupyBackend]:
    """Inside this, ``"cupy"`` names the backend on the stand-in."""
    before = registry._loaded.pop("cupy", None)
    registry._loaded["cupy"] = StrictCupy()
    try:
        yield registry._loaded["cupy"]
    finally:
        del registry._loaded["cupy"]
        if before is not None:
            registry._loaded["cupy"] = before
