"""Sources in CUDA C++, compiled by NVRTC for an element type when a kernel is first wanted, and launched.

A kernel's pointer parameters take arrays, or None; its numbers take ``np.int32``, ``np.int64``, ``np.float32`` or
``np.float64``, as the source declares them. Strides are the kernel's own business: an array is its first element.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = {path.name: path for path in sorted(Path(__file__).parent.rglob("*.cu*"))}
NAMES = {
    "float16": "half_t", "bfloat16": "bfloat_t", "float32": "float", "float64": "double", "bool": "bool",
    "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long", "uint8": "unsigned char",
}  # fmt: skip
NULL = np.uint64(0)
OPTIONS = ("-std=c++17",)
USUAL = 48 << 10  # bytes of shared memory that a block may have without asking

Launch = Callable[..., None]


@cache
def source(*files: str) -> str:
    """The text of sources, with what all of them begin with; the types ``T`` and ``I`` are left open."""
    return "".join([SOURCES[file].read_text() for file in ("common.cuh", *files)])


def defined(types: Mapping[str, str | int]) -> str:
    """The lines that settle types, ``T="float32"``, and sizes that must be known beforehand, ``TALL=8``."""
    each = {letter: name if isinstance(name, int) else NAMES[name] for letter, name in types.items()}
    return "".join(f"#define {letter} {name}\n" for letter, name in each.items())


class Module:
    """The kernels of our own on one array module, each compiled once for each of its types."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self._kernels: dict[Any, Launch] = {}

    def kernel(self, file: str, name: str, shared: int = 0, **types: str | int) -> Launch:
        """A kernel of a source file, as a function of grid, block and arguments.

        Args:
            file: its name, ``norm.cu``.
            name: the kernel's, in the source.
            shared: bytes of dynamic shared memory that it is launched with.
            types: the element types that the source leaves open, ``T="float32", I="int64"``, and sizes, ``TALL=8``.
        """
        key = file, name, shared, *types.items()
        if key not in self._kernels:
            self._kernels[key] = self.compiled(defined(types) + source(file), name, shared)
        return self._kernels[key]

    def compiled(self, code: str, name: str, shared: int = 0, options: tuple[str, ...] = ()) -> Launch:
        """A kernel of a whole source text, compiled now, so that no replay has to."""
        function = self.xp.RawModule(code=code, options=OPTIONS + options).get_function(name)
        # CuPy loads a source once: this limit is that of all who have asked for the kernel, and is never lowered.
        if shared > USUAL and shared > function.max_dynamic_shared_size_bytes:
            function.max_dynamic_shared_size_bytes = shared

        def launch(grid: int | tuple[int, ...], block: int, *arguments: Any) -> None:
            grid = grid if isinstance(grid, tuple) else (grid,)
            if 0 not in grid:
                given = tuple([NULL if x is None else x for x in arguments])
                function(grid, (block,), given, shared_mem=shared)

        return launch


def blocks(count: int, block: int = 256, most: int = 1 << 16) -> int:
    """How many blocks of threads cover so many elements; a kernel goes round again where they are too many."""
    return min(-(-count // block), most)


def divisor(n: int) -> np.uint64:
    """A number below 2**31 to divide by, as ``Divisor`` in common.cuh takes it: itself, and its multiplier above."""
    shift = 31 + (n - 1).bit_length()
    return np.uint64(n | -(-(1 << shift) // n) << 32)


def warps(length: int, most: int = 1024) -> int:
    """A block for a row of so many numbers: whole warps, a power of two of them."""
    return min(max(32, 1 << max(length - 1, 0).bit_length()), most)
