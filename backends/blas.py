"""The threads that NumPy's BLAS uses inside a product of matrices."""

from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> list[Any]:
    """What threadpoolctl knows of: OpenBLAS, MKL, BLIS; not Apple's Accelerate, whose threads cannot be set."""
    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


def use_threads(count: int) -> int | None:
    """Let every product in this process use so many threads from now on; returns how many before, None if unknown.

    Setting costs less than a microsecond; it holds for all threads of the process.
    """
    before = None
    for library in _libraries():
        before = library.get_num_threads()
        library.set_num_threads(count)
    return before
