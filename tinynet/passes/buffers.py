"""Results of a recorded step whose last use is over make room for others: less memory, and more of it in the cache.

A result lives from the call that makes it to the last one that reads it or a view of it. Walking through the calls,
each new result takes the free place that fits it best; a place grows to its largest guest. What somebody outside the
program still holds (a returned loss, a gradient) stays where it is.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.backend import Array

if TYPE_CHECKING:
    from tinynet.program import Call, Program


@dataclass(eq=False)
class _Result:
    """Stands in a call for an array that the program makes, or for a view of one (``of``)."""

    array: Array = None
    of: "_Result | None" = None
    last: int = 0  # the last call that touches it
    place: int = -1

    @property
    def root(self) -> "_Result":
        """What it is a view of; itself, if of nothing."""
        return self if self.of is None else self.of.root


def share_buffers(program: "Program") -> None:
    """Lay the passing results of a program into places that are used again."""
    if not program.backend.overlays:
        return
    results = _stand_in(program)
    passing = {result for result in results if not _held(result)}
    places = _places(program.calls, passing)
    for guests in places:
        for guest, array in zip(guests, program.backend.overlay([guest.array for guest in guests])):
            guest.array = array
    _put_back(program)


def _stand_in(program: "Program") -> list[_Result]:
    """Let a stand-in take the place of every result in every call, so that nothing but it holds the array."""
    known: dict[int, _Result] = {}
    results: list[_Result] = []
    for position, call in enumerate(program.calls):
        if not call.is_view and not call.in_place:
            for out in call.outs:
                if id(out) not in known and _apart(program, out, call.inputs):
                    known[id(out)] = _Result(out)
                    results.append(known[id(out)])
        elif call.is_view and id(call.inputs[0]) in known:
            known[id(call.out)] = _Result(of=known[id(call.inputs[0])])
        for x in (*call.inputs, *call.outs):
            if id(x) in known:
                known[id(x)].root.last = position
        call.inputs = tuple([known.get(id(x), x) for x in call.inputs])
        outs = tuple([known.get(id(x), x) for x in call.outs])
        call.out = outs if isinstance(call.out, tuple) else outs[0]
    return results


def _apart(program: "Program", out: Array, inputs: tuple[Any, ...]) -> bool:
    """Whether a result has memory of its own, without gaps."""
    arrays = [x for x in inputs if isinstance(x, program.backend.array_type)]
    return _dense(out) and not any(program.backend.shares_memory(out, x) for x in arrays)


def _dense(x: Array) -> bool:
    """Whether the elements lie side by side, in whatever order of dimensions."""
    step = x.dtype.itemsize
    for stride, size in sorted((stride, size) for stride, size in zip(x.strides, x.shape) if size > 1):
        if stride != step:
            return False
        step *= size
    return x.size > 0


def _held(result: _Result) -> bool:
    """Whether anything but its stand-in holds the array, or the memory under it."""
    owner = result.array.base
    return sys.getrefcount(result.array) > 2 or (owner is not None and sys.getrefcount(owner) > 3)


def _places(calls: "list[Call]", passing: set[_Result]) -> list[list[_Result]]:
    """For each place the results that lie there, one after the other."""
    places: list[list[_Result]] = []
    sizes: list[int] = []
    free: list[int] = []
    for position, call in enumerate(calls):
        new = [x for x in call.outs if isinstance(x, _Result) and x in passing and x.place < 0]
        ending = _ending((*call.inputs, *call.outs), passing, position)
        if isinstance(call.kernel, np.ufunc) and len(new) == 1:  # may write where it reads, element by element
            free += [x.place for x in ending if x.place >= 0 and _alike(x.array, new[0].array)]
        for result in new:
            if free:
                fits = [p for p in free if sizes[p] >= result.array.nbytes]
                result.place = min(fits, key=lambda p: sizes[p]) if fits else max(free, key=lambda p: sizes[p])
                free.remove(result.place)
            else:
                result.place = len(places)
                places.append([])
                sizes.append(0)
            places[result.place].append(result)
            sizes[result.place] = max(sizes[result.place], result.array.nbytes)
        busy = {x.place for x in new if x.last > position}
        free += {x.place for x in ending} - busy - set(free)
    return places


def _ending(touched: tuple[Any, ...], passing: set[_Result], position: int) -> list[_Result]:
    roots = dict.fromkeys(x.root for x in touched if isinstance(x, _Result))
    return [root for root in roots if root in passing and root.last == position]


def _alike(x: Array, y: Array) -> bool:
    return bool(x.shape == y.shape and x.strides == y.strides and x.dtype == y.dtype)


def _put_back(program: "Program") -> None:
    """Let the arrays stand in the calls again, views made anew."""
    actual: Callable[[Any], Any] = lambda x: x.array if isinstance(x, _Result) else x
    for call in program.calls:
        call.inputs = tuple(map(actual, call.inputs))
        if call.is_view and isinstance(call.out, _Result):
            call.out.array = call.kernel(*call.inputs, **call.params)
        call.out = tuple(map(actual, call.out)) if isinstance(call.out, tuple) else actual(call.out)
