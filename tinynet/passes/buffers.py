"""Results of a recorded step whose last use is over make room for others: less memory, and more of it in the cache.

A result lives from the call that makes it to the last one that reads it or a view of it. Results that live
at different times may lie in one place. What somebody outside the program still holds (a returned loss, a gradient)
stays where it is.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinynet.backend import Array
from tinynet.passes.blocks import element_by_element

if TYPE_CHECKING:
    from tinynet.program import Call, Program


@dataclass(eq=False)
class _Result:
    """Stands in a call for an array that the program makes, or for a view of one (``of``)."""

    array: Array = None
    of: "_Result | None" = None
    first: int = -1  # the call that makes it
    last: int = 0  # the last call that touches it

    @property
    def root(self) -> "_Result":
        """What it is a view of; itself, if of nothing."""
        return self if self.of is None else self.of.root


def share_buffers(program: "Program") -> None:
    """Lay the passing results of a program into places that are used again."""
    if not program.backend.overlays:
        return
    results = _stand_in(program)
    passing = [result for result in results if not _held(result)]
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


def _places(calls: "list[Call]", passing: list[_Result]) -> list[list[_Result]]:
    """For each place the results that lie there at different times. The largest come first, so that none of the others
    makes a place larger; each goes where a guest has left last, which is likelier to be in the cache still."""
    for position, call in enumerate(calls):
        for result in call.outs:
            if isinstance(result, _Result) and result.first < 0:
                result.first = position
    places: list[list[_Result]] = []
    for result in sorted(passing, key=lambda x: (-x.array.nbytes, x.first)):
        fits = [place for place in places if all(_in_turn(calls, result, guest) for guest in place)]
        if fits:
            max(fits, key=lambda place: max(x.last if x.last <= result.first else -1 for x in place)).append(result)
        else:
            places.append([result])
    return places


def _in_turn(calls: "list[Call]", x: _Result, y: _Result) -> bool:
    """Whether one of two has been read for the last time when the other is made."""
    earlier, later = (x, y) if x.first < y.first else (y, x)
    if earlier.last != later.first:
        return earlier.last < later.first
    return element_by_element(calls[later.first].kernel) and _alike(x.array, y.array)  # it writes where it reads


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
