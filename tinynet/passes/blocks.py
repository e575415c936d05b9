"""Calls that go through long arrays element by element, one after the other, take them a block at a time.

An update of a million weights is a few such calls. Taken a block at a time, the numbers that one call leaves are still
in the cache when the next one reads them, and what only passes between them needs room for a block and no more. Every
element is computed as before, so every bit stays.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.backend import Array

if TYPE_CHECKING:
    from tinynet.program import Call, Program

LONG = 65_536  # elements; of shorter arrays several fit the cache as they are
BLOCK = 32_768


def in_blocks(program: "Program") -> "list[Call]":
    """The calls of a program, chains of element-by-element calls over long arrays joined into one call each."""
    kept: list[Call] = []
    chain: list[Call] = []
    for call in program.calls:
        if chain and not _fits(program, call, chain):
            if _small(call) and not any(_meet(program, call, other) for other in chain):
                kept.append(call)  # it may as well come before them: a rate, a power of β
                continue
            kept += _joined(program, chain)
            chain = []
        (chain if _through(call) else kept).append(call)
    return kept + _joined(program, chain)


def element_by_element(kernel: Any) -> bool:
    """Whether a kernel is a NumPy function of single elements; a product of matrices is a ufunc too, but not one."""
    return isinstance(kernel, np.ufunc) and kernel.signature is None


def _through(call: "Call") -> bool:
    """Whether a call goes through a long array in the order of memory, element by element."""
    out = call.out
    if not element_by_element(call.kernel) or isinstance(out, tuple) or out.size < LONG or call.params:
        return False
    inputs = [x for x in call.inputs if isinstance(x, np.ndarray)]
    kinds = {x.dtype for x in inputs}
    if len(inputs) < len(call.inputs) and not (len(kinds) == 1 and next(iter(kinds)).kind == "f"):
        return False  # what a number becomes beside other types is NumPy's to say
    apart = all(_same(x, out) or not np.may_share_memory(x, out) for x in inputs)
    return apart and all(x.shape == out.shape and x.flags.c_contiguous for x in (*inputs, out) if x.ndim)


def _fits(program: "Program", call: "Call", chain: "list[Call]") -> bool:
    """Whether a call may join: each array is one of theirs, place by place, or has nothing in common with them."""
    if not _through(call) or call.out.shape != chain[0].out.shape:
        return False
    theirs = [x for other in chain for x in _arrays(other)]
    return all(_same(x, y) or not program.backend.shares_memory(x, y) for x in _arrays(call) for y in theirs)


def _small(call: "Call") -> bool:
    return call.is_view or all(x.size == 1 for x in _arrays(call))


def _meet(program: "Program", call: "Call", other: "Call") -> bool:
    return any(program.backend.shares_memory(x, y) for x in _arrays(call) for y in _arrays(other))


def _arrays(call: "Call") -> list[Array]:
    return [x for x in (*call.inputs, *call.outs) if isinstance(x, np.ndarray)]


def _same(x: Array, y: Array) -> bool:
    return bool(x.shape == y.shape and x.dtype == y.dtype and x.ctypes.data == y.ctypes.data)


def _joined(program: "Program", chain: "list[Call]") -> "list[Call]":
    """One call for a chain; the chain itself where there is nothing to join."""
    if len(chain) < 2:
        return chain
    passing = {id(call.out) for call in chain if not call.in_place and _unseen(program, call, chain)}
    given = {id(x): x for call in chain for x in _arrays(call) if id(x) not in passing}
    places, spare = _places(chain, list(given), passing)
    place: Callable[[Call, Any], Any] = lambda call, x: places[id(x)] if isinstance(x, np.ndarray) else _number(call, x)
    steps = [(call.kernel, [place(call, x) for x in call.inputs], places[id(call.out)]) for call in chain]
    outs = {id(call.out): call.out for call in chain if id(call.out) in given}
    first = chain[0]
    name = f"blocks of {', '.join(call.name for call in chain)}"
    kernel = _Blocks(steps, spare, first.out.size)
    return [type(first)(name, kernel, tuple(given.values()), tuple(outs.values()), {}, in_place=True)]


def _places(chain: "list[Call]", given: list[int], passing: set[int]) -> tuple[dict[int, int], list[Array]]:
    """Where each array stands among those that are given and the spare ones, and the spare ones, a block long each:
    what passes takes one that has been read for the last time, if it can."""
    places, spare = {key: i for i, key in enumerate(given)}, list[Array]()
    last = {id(x): i for i, call in enumerate(chain) for x in _arrays(call)}
    free: list[int] = []
    for i, call in enumerate(chain):
        free += {places[id(x)] for x in call.inputs if id(x) in passing and last[id(x)] == i}
        if (key := id(call.out)) in passing and key not in places:
            fits = [place for place in free if spare[place - len(given)].dtype == call.out.dtype]
            if fits:
                free.remove(fits[0])
            else:
                spare.append(np.empty(BLOCK, call.out.dtype))
            places[key] = fits[0] if fits else len(given) + len(spare) - 1
    return places, spare


def _number(call: "Call", x: Any) -> Array:
    """A number as the array that NumPy would make of it anew for each block."""
    return np.asarray(x, next(y.dtype for y in call.inputs if isinstance(y, np.ndarray)))


def _unseen(program: "Program", call: "Call", chain: "list[Call]") -> bool:
    """Whether nothing but the chain holds what a call makes."""
    mentioned = sum(x is call.out for other in chain for x in (*other.inputs, other.out))
    return call.out.base is None and sys.getrefcount(call.out) <= mentioned + 1


class _Blocks:
    """The kernel of a chain: ``steps`` of (function, places of its inputs or numbers, place of its result)."""

    def __init__(self, steps: Sequence[tuple[Any, list[Any], int]], spare: list[Array], size: int) -> None:
        self.steps, self.spare, self.size = steps, spare, size
        self._runs: list[Callable[[], Any]] = []

    def __call__(self, *arrays: Array, out: Any) -> Any:
        if not self._runs:  # a replay hands over the same arrays each time
            self._runs = [run for start in range(0, self.size, BLOCK) for run in self._cut(arrays, start)]
        for run in self._runs:
            run()
        return out

    def _cut(self, arrays: tuple[Array, ...], start: int) -> list[Callable[[], Any]]:
        """The calls of one block."""
        count = min(BLOCK, self.size - start)
        parts = [x.reshape(-1)[start : start + count] if x.ndim else x for x in arrays]
        parts += [x[:count] for x in self.spare]
        part = lambda place: parts[place] if isinstance(place, int) else place
        return [partial(function, *map(part, inputs), out=parts[result]) for function, inputs, result in self.steps]
