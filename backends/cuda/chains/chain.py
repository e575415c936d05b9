"""A chain of operations of single elements as one kernel: what passes between them never leaves a thread.

A chain goes through a *space*, the shape that all its operations share. An array lies in it by its strides, counted in
elements, 0 along a dimension that it is repeated in. Every thread does the whole chain for its elements of the space;
an operation on a single number is done by every thread, and stored by one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from tinynet.backends.cuda.chains.formulas import INTEGERS_TOO, MOVES, number, written
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
        self.settle()
        sizes, lies = collapsed(self.shape, [*self.reads, *self.writes])
        offsets, strides = self.offsets(lies, [f"i{d}" for d in range(len(sizes))])
        parameters = [*self.parameters("long long n"), *[f"long long n{d}" for d in range(1, len(sizes))]]
        parameters += [f"long long s{i}" for i in range(len(strides))]
        lines = "\n        ".join([*_decoded(len(sizes)), *self.statements(offsets, {}, "i == 0")])
        text = f"""
extern "C" __global__ void chain({", ".join(parameters)}) {{
    long long step = gridDim.x * (long long)blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += step) {{
        {lines}
    }}
}}
"""
        launch = cuda.compiled(source("chain.cuh") + text, "chain", options=EXACT)
        count = prod(self.shape)
        numbers = [np.int64(n) for n in (count, *sizes[1:], *strides)]
        grid = blocks(count, BLOCK, MOST)

        def run(reads: list[Any], writes: list[Any]) -> None:
            launch(grid, BLOCK, *reads, *writes, *numbers)

        return run

    def settle(self, given: Sequence[Place] = ()) -> None:
        """Find out what is loaded and what is stored, where some places are there already."""
        made = set(given)
        reads: dict[Place, None] = {}
        writes = {place: None for place in given if place in self.kept}
        for step in self.steps:
            reads |= {x: None for x in step.inputs if isinstance(x, Place) and x not in made}
            made |= set(step.outs)
            writes |= {out: None for out in step.outs if out in self.kept}
        self.reads, self.writes = list(reads), list(writes)

    def parameters(self, *others: str) -> list[str]:
        """The kernel's parameters: what it reads, what it writes, and others."""
        reads = [f"const {NAMES[place.dtype]}* a{i}" for i, place in enumerate(self.reads)]
        return [*reads, *[f"{NAMES[p.dtype]}* a{i}" for i, p in enumerate(self.writes, len(reads))], *others]

    @staticmethod
    def offsets(lies: list[Strides], indices: Sequence[str]) -> tuple[list[str], list[int]]:
        """For each array where its element is, as an expression; and its strides ``s0``, ``s1``, … as numbers."""
        offsets, numbers = [], list[int]()
        for strides in lies:
            terms = []
            for index, stride in zip(indices, strides, strict=True):
                if stride:
                    terms.append(index if stride == 1 else f"{index} * s{len(numbers)}")
                    numbers += [stride] if stride != 1 else []
            offsets.append(" + ".join(terms) or "0")
        return offsets, numbers

    def statements(self, offsets: list[str], given: dict[Place, str], first: str) -> list[str]:
        """What a thread does for an element; ``given`` names what is there already, ``first`` says who stores what is
        the same for all."""
        names = dict(given)
        lines = []
        for i, place in enumerate(self.reads):
            names[place] = f"r{i}"
            lines.append(f"{register(place.dtype)} r{i} = widened(a{i}[{offsets[i]}]);")
        for k, step in enumerate(self.steps):
            inputs = [self._input(step, j, x, names) for j, x in enumerate(step.inputs)]
            results = written(step.name, inputs, tuple(step.inputs), step.params, step.dtype)
            for j, (out, expression) in enumerate(zip(step.outs, results, strict=True)):
                lines.append(f"{register(out.dtype)} v{k}_{j} = {converted(expression, out.dtype)};")
                names[out] = f"v{k}_{j}"
        for i, place in enumerate(self.writes, len(self.reads)):
            alone = "" if any(place.strides) or prod(self.shape) == 1 else f"if ({first}) "
            lines.append(f"{alone}narrowed(&a{i}[{offsets[i]}], {names[place]});")
        return lines

    @staticmethod
    def _input(step: Step, position: int, x: Any, names: dict[Place, str]) -> str:
        """An input in the type that the step computes in; a condition and what is only moved stay what they are."""
        if not isinstance(x, Place):
            return number(x, step.dtype)
        as_it_is = x.dtype == step.dtype or (step.name == "where" and position == 0) or step.name in MOVES
        return names[x] if as_it_is else f"({converted(names[x], step.dtype)})"


def _decoded(dimensions: int) -> list[str]:
    """The place along each dimension, from the count of the element."""
    if dimensions == 1:
        return ["long long i0 = i;"]
    others = [f"long long i{d} = rest % n{d}; rest /= n{d};" for d in range(dimensions - 1, 0, -1)]
    return ["long long rest = i;", *others, "long long i0 = rest;"]


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
