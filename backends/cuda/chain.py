"""A chain of operations of single elements as one kernel: what passes between them never leaves a thread.

A chain goes through a *space*, the shape that all its operations share. An array lies in it by its strides, counted in
elements, 0 along a dimension that it is repeated in. Every thread does the whole chain for its elements of the space;
an operation on a single number is done by every thread, and stored by one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet.backends.cuda.formulas import INTEGERS_TOO, MOVES, number, written
from tinynet.backends.cuda.module import NAMES, Module, blocks, source
from tinynet.dtypes import HALVES

BLOCK = 256
MOST = 1 << 14  # blocks; beyond, a thread goes on to other elements
EXACT = ("--fmad=false",)  # each operation rounds by itself, as it does when it is launched alone

Strides = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """An array in the space: where it begins, its element type, its strides; of a single number they are all 0."""

    address: int
    dtype: str
    strides: Strides


@dataclass
class Step:
    """One operation: results, inputs (places or plain numbers) as they were given, and what it computes in."""

    name: str
    outs: list[Place]
    inputs: list[Any]
    params: dict[str, Any]
    dtype: str


@dataclass
class Chain:
    """Operations in their order, over one space.

    Attributes:
        kept: the places whose numbers somebody reads later; the others stay in registers.
    """

    shape: tuple[int, ...]
    steps: list[Step]
    kept: set[Place]
    reads: list[Place] = field(default_factory=list)  # in the order of the kernel's parameters
    writes: list[Place] = field(default_factory=list)

    def compiled(self, cuda: Module) -> Callable[[list[Any], list[Any]], None]:
        """A function of the arrays that it reads and those that it writes, in the order of these attributes."""
        sizes, places = collapsed(self.shape, self._places())
        code, strides = self._source(sizes, places)
        launch = cuda.compiled(code, "chain", options=EXACT)
        count = int(np.prod(self.shape, dtype=np.int64))
        numbers = [np.int64(count), *map(np.int64, sizes[1:]), *map(np.int64, strides)]
        grid = blocks(count, BLOCK, MOST)

        def run(reads: list[Any], writes: list[Any]) -> None:
            launch(grid, BLOCK, *reads, *writes, *numbers)

        return run

    def _places(self) -> list[Place]:
        """Everything that is loaded or stored, and with it ``reads`` and ``writes``."""
        made: set[Place] = set()
        reads: dict[Place, None] = {}
        writes: dict[Place, None] = {}
        for step in self.steps:
            reads |= {x: None for x in step.inputs if isinstance(x, Place) and x not in made}
            made |= set(step.outs)
            writes |= {out: None for out in step.outs if out in self.kept}
        self.reads, self.writes = list(reads), list(writes)
        return [*self.reads, *self.writes]

    def _source(self, sizes: list[int], places: list[Strides]) -> tuple[str, list[int]]:
        """The kernel's text, and the strides that it takes after the sizes."""
        every = [*self.reads, *self.writes]
        parameters = [
            f"{'const ' if i < len(self.reads) else ''}{NAMES[place.dtype]}* a{i}" for i, place in enumerate(every)
        ]
        dimensions = [f"long long n{d}" for d in range(1, len(sizes))]
        offsets, numbers = [], []
        for strides in places:
            terms = []
            for d, stride in enumerate(strides):
                if stride:
                    terms.append(f"i{d}" if stride == 1 else f"i{d} * s{len(numbers)}")
                    numbers += [stride] if stride != 1 else []
            offsets.append(" + ".join(terms) or "0")
        steps = [f"long long s{i}" for i in range(len(numbers))]
        body = [*self._decoded(len(sizes)), *self._statements(offsets)]
        lines = "\n        ".join(body)
        text = f"""
extern "C" __global__ void chain({", ".join([*parameters, "long long n", *dimensions, *steps])}) {{
    long long step = gridDim.x * (long long)blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += step) {{
        {lines}
    }}
}}
"""
        return source("chain.cuh") + text, numbers

    @staticmethod
    def _decoded(dimensions: int) -> list[str]:
        """The place along each dimension, from the count of the element."""
        if dimensions == 1:
            return ["long long i0 = i;"]
        lines = ["long long rest = i;"]
        for d in range(dimensions - 1, 0, -1):
            lines.append(f"long long i{d} = rest % n{d}; rest /= n{d};")
        return [*lines, "long long i0 = rest;"]

    def _statements(self, offsets: list[str]) -> list[str]:
        names: dict[Place, str] = {}
        lines = []
        for i, place in enumerate(self.reads):
            names[place] = f"r{i}"
            lines.append(f"{register(place.dtype)} r{i} = widened(a{i}[{offsets[i]}]);")
        for k, step in enumerate(self.steps):
            inputs = [self._input(step, j, x, names) for j, x in enumerate(step.inputs)]
            results = written(step.name, inputs, tuple(step.inputs), step.params, step.dtype)
            for j, (out, expression) in enumerate(zip(step.outs, results, strict=True)):
                name = f"v{k}_{j}"
                lines.append(f"{register(out.dtype)} {name} = {converted(expression, out.dtype)};")
                names[out] = name
        for i, place in enumerate(self.writes, len(self.reads)):
            alone = "" if any(place.strides) or np.prod(self.shape) == 1 else "if (i == 0) "
            lines.append(f"{alone}narrowed(&a{i}[{offsets[i]}], {names[place]});")
        return lines

    @staticmethod
    def _input(step: Step, position: int, x: Any, names: dict[Place, str]) -> str:
        """An input in the type that the step computes in; a condition and what is only moved stay what they are."""
        if not isinstance(x, Place):
            return number(x, step.dtype)
        as_it_is = x.dtype == step.dtype or (step.name == "where" and position == 0) or step.name in MOVES
        return names[x] if as_it_is else f"({converted(names[x], step.dtype)})"


def register(dtype: str) -> str:
    """The type that numbers of an element type have in a register."""
    return "float" if dtype in HALVES else NAMES[dtype]


def converted(expression: str, dtype: str) -> str:
    """An expression in an element type, rounded to it."""
    if dtype in HALVES:
        return f"rounded<{NAMES[dtype]}>((float)({expression}))"
    return f"({expression}) != 0" if dtype == "bool" else f"({NAMES[dtype]})({expression})"


def collapsed(shape: tuple[int, ...], places: list[Place]) -> tuple[list[int], list[Strides]]:
    """The space in as few dimensions as its arrays allow: two that every array goes through evenly are one."""
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in places]
    for d, size in enumerate(shape):
        if size == 1:
            continue
        here = [place.strides[d] for place in places]
        if sizes and all(along[-1] == step * size for along, step in zip(strides, here)):
            sizes[-1] *= size
            for along, step in zip(strides, here):
                along[-1] = step
        else:
            sizes.append(size)
            for along, step in zip(strides, here):
                along.append(step)
    return sizes or [1], [tuple(along) or (0,) for along in strides]


def computes_in(name: str, kinds: list[str], numbers: list[Any], out: str) -> str | None:
    """The element type that an operation computes in, for these types of inputs; None where no chain does it."""
    if name in MOVES:
        return kinds[0] if kinds else out
    if name == "where":
        return out
    found = np.result_type(*map(np.dtype, kinds)) if kinds else np.dtype(out)
    whole = found.kind in "iu"
    if found.kind == "b" or (whole and (name not in INTEGERS_TOO or any(isinstance(x, float) for x in numbers))):
        return None  # what NumPy makes of these depends on more than the types
    return str(found.name)
