"""Operations of single elements in a recorded step, joined into chains: one launch for many calls.

A call joins a chain before it if it goes through the same space, if what it shares with the chain lies place by place,
and if nothing that was launched in between reads or writes what it touches. The results that nobody reads outside the
chain are never stored.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet.backends.cuda.chain import Chain, Place, Step, computes_in
from tinynet.backends.cuda.formulas import KNOWN, NUMBERS
from tinynet.backends.cuda.module import NAMES, Module

if TYPE_CHECKING:
    from tinynet.program import Call, Program

Range = tuple[int, int]  # the addresses between which an array lies
Touched = tuple[Range, Any]  # and its place in the space, where there is one
MOST = 24  # arrays of a chain: a kernel takes 4 KB of parameters, and a thread has only so many registers
REACH = 48  # how many launches back a chain is looked for
CHEAP = frozenset("add sub mul div neg copy cast".split())  # what every thread may as well do for itself
COUNTS_ON = {"uniform"}  # what also writes to what it is given


@dataclass
class Link:
    """A call as a chain sees it.

    Attributes:
        shape: the space that it goes through.
        arrays: those that it reads and writes, by their places.
        flat: whether they lie one element after the other, so that any shape of the same size will do.
    """

    call: "Call"
    shape: tuple[int, ...]
    step: Step
    arrays: dict[Place, Any] = field(default_factory=dict)
    flat: bool = True
    reads: list[Touched] = field(default_factory=list)
    writes: list[Touched] = field(default_factory=list)

    @property
    def single(self) -> bool:
        """Whether it computes a single number."""
        return prod(self.shape) == 1

    @property
    def in_place(self) -> bool:
        """Whether it overwrites what it reads."""
        return any(x in self.step.outs for x in self.step.inputs)


@dataclass
class _Group:
    """Links that are to be one chain."""

    links: list[Link]

    @property
    def shape(self) -> tuple[int, ...]:
        """Their space: that of a link that needs its shape, else of the first that is more than a number."""
        wide = [link for link in self.links if not link.single] or self.links
        return next((link.shape for link in wide if not link.flat), wide[0].shape)

    @property
    def reads(self) -> list[Touched]:
        return [x for link in self.links for x in link.reads]

    @property
    def writes(self) -> list[Touched]:
        return [x for link in self.links for x in link.writes]


def in_chains(program: "Program", cuda: Module) -> "list[Call]":
    """The calls of a program, with chains in the place of operations of single elements."""
    array_type = program.backend.array_type
    calls = _varying(program, array_type)
    wanted = _wanted(calls)
    entries: list[Any] = []
    for call in calls:
        link = None if call.is_view else linked(call, array_type)
        if link is None:
            entries.append(call)
        elif place := _found(entries, link, array_type):
            place.links.append(link)
        else:
            entries.append(_Group([link]))
    joined = [_joined(entry, calls, wanted, cuda) if isinstance(entry, _Group) else [entry] for entry in entries]
    return [call for some in joined for call in some]


def _wanted(calls: "list[Call]") -> set[int]:
    """The arrays, by ``id``, that somebody beside the calls holds, or a view of them."""
    mentions = Counter(id(x) for call in calls for x in (*call.inputs, *call.outs))
    found = set()
    for call in calls:
        beside = 2 if isinstance(call.out, tuple) else 3  # this loop, the function that asks, and a tuple of one
        found |= {id(out) for out in call.outs if sys.getrefcount(out) > mentions[id(out)] + beside}
        found |= {id(x) for x in call.inputs if sys.getrefcount(x) > mentions[id(x)] + 2}
    return found


def _varying(program: "Program", array_type: type) -> "list[Call]":
    """The calls without those that give the same at every replay: what goes into them is made by no call, and nobody
    but the calls can reach it. A gradient of 1 to begin with, divided by the size of a batch, is such a thing."""
    calls, held = program.calls, _wanted(program.calls)
    changing = [_range(out) for call in calls for out in call.outs if call.in_place] + [
        _range(x) for x in program.inputs
    ]
    changing += [_range(x) for call in calls if call.name in COUNTS_ON for x in call.inputs]
    made = {id(out) for call in calls for out in call.outs}
    kept = []
    for call in calls:
        arrays = [x for x in call.inputs if isinstance(x, array_type)]
        steady = all(
            id(x) not in made
            and id(x) not in held
            and x.base is None
            and not any(_meet(_range(x), y) for y in changing)
            for x in arrays
        )
        if steady and not call.in_place and not call.is_view and linked(call, array_type):
            made -= {id(out) for out in call.outs}
        else:
            kept.append(call)
    return kept


# --- a call as a link -------------------------------------------------------------------------------------------------


def linked(call: "Call", array_type: type) -> Link | None:
    """The call as a link, if a chain can do what it does."""
    name, inputs, outs = call.name, call.inputs, call.outs
    shape = tuple(outs[0].shape)
    if name == "reshape":  # a copy, which the shape of its input shows place by place
        name, shape, outs = "copy", tuple(inputs[0].shape), (outs[0].reshape(inputs[0].shape),)
    elif name == "concatenate" and len(inputs) == 1:
        name = "copy"
    inputs += tuple([call.params[key] for key in NUMBERS.get(name, ()) if key in call.params])
    if name not in KNOWN or not outs[0].size or any(out.shape != shape for out in outs):
        return None
    if not all(isinstance(x, (array_type, int, float)) for x in inputs):
        return None
    kinds = [x.dtype.name for x in inputs if isinstance(x, array_type)]
    numbers = [x for x in inputs if not isinstance(x, array_type)]
    results = [out.dtype.name for out in outs]
    dtype = computes_in(name, kinds, numbers, results[0])
    if dtype is None or any(kind not in NAMES for kind in (*kinds, *results)):
        return None
    link = Link(call, shape, Step(name, [], [], call.params, dtype))
    for x in inputs:
        place = x
        if isinstance(x, array_type):
            place = _place(x, shape)
            link.arrays[place] = x
            link.reads.append((_range(x), place))
            link.flat &= _flat(x, shape)
        link.step.inputs.append(place)
    for out, given in zip(outs, call.outs, strict=True):
        place = _place(out, shape)
        if any(not step and n > 1 for step, n in zip(place.strides, shape)):
            return None  # several elements in one place
        link.arrays[place] = given
        link.step.outs.append(place)
        link.writes.append((_range(out), place))
        link.flat &= _flat(out, shape)
    return link if _apart(link.reads, link.writes) else None


def _place(x: Any, shape: tuple[int, ...]) -> Place:
    """Where an array lies in a space that it may be repeated in."""
    size = x.dtype.itemsize
    steps = [0 if n == 1 else stride // size for n, stride in zip(x.shape, x.strides)]
    return Place(int(x.data.ptr), x.dtype.name, (0,) * (len(shape) - x.ndim) + tuple(steps))


def _range(x: Any) -> Range:
    """The addresses between which an array lies."""
    steps = [(n - 1) * stride for n, stride in zip(x.shape, x.strides)]
    first = int(x.data.ptr) + sum(step for step in steps if step < 0)
    return first, first + sum(abs(step) for step in steps) + x.dtype.itemsize


def _flat(x: Any, shape: tuple[int, ...]) -> bool:
    return x.size == 1 or (tuple(x.shape) == shape and bool(x.flags.c_contiguous))


def _meet(x: Range, y: Range) -> bool:
    return x[0] < y[1] and y[0] < x[1]


def _apart(reads: list[Touched], writes: list[Touched]) -> bool:
    """Whether nothing that is written is also read, but place by place."""
    return all(x == y or not _meet(there, here) for there, x in writes for here, y in reads)


# --- which chain a call joins -----------------------------------------------------------------------------------------


def _found(entries: list[Any], link: Link, array_type: type) -> _Group | None:
    """The last chain that a link can join: where it stands, or at the end, if nothing between is in the way."""
    between: list[tuple[list[Touched], list[Touched]]] = []
    for place in range(len(entries) - 1, max(-1, len(entries) - REACH), -1):
        entry = entries[place]
        if not isinstance(entry, _Group):
            if not entry.is_view:
                between.append(_touched(entry, array_type))
            continue
        if _fits(entry, link):
            if all(_passes(link, *touched) for touched in between):
                return entry
            if all(_passes(entry, *touched) for touched in between):
                entries.append(entries.pop(place))
                return entry
        between.append((entry.reads, entry.writes))
    return None


def _touched(call: "Call", array_type: type) -> tuple[list[Touched], list[Touched]]:
    """What a call that is no link reads and writes."""
    arrays = [(_range(x), None) for x in call.inputs if isinstance(x, array_type)]
    return arrays, [(_range(x), None) for x in call.outs] + (arrays if call.name in COUNTS_ON else [])


def _passes(link: "Link | _Group", reads: list[Touched], writes: list[Touched]) -> bool:
    """Whether a link or a chain may as well be done on the other side of what reads and writes these."""
    late = any(_meet(here, there) for here, _ in link.reads for there, _ in writes)
    return not late and not any(_meet(here, there) for here, _ in link.writes for there, _ in (*reads, *writes))


def _fits(group: _Group, link: Link) -> bool:
    """Whether a link can join a group."""
    whole = _Group([*group.links, link])
    shape, alone = whole.shape, len({link.single for link in whole.links}) == 1
    for other in whole.links:
        if other.single:
            if not alone and (other.in_place or other.step.name not in CHEAP):
                return False  # a number that every thread would count on, or takes long over
        elif other.shape != shape and not (other.flat and prod(other.shape) == prod(shape)):
            return False
    before, after = _Group([_spread(other, shape) for other in group.links]), _spread(link, shape)
    if len({(place.address, place.dtype) for other in whole.links for place in other.arrays}) > MOST:
        return False
    pairs = (after.reads, before.writes), (before.reads, after.writes), (before.writes, after.writes)
    return all(_apart(*pair) for pair in pairs)


def _spread(link: Link, shape: tuple[int, ...]) -> Link:
    """The link in a space of its own size, or, where it is a single number, in any."""
    known: dict[Any, Any] = {}
    for place in link.arrays:
        steps = place.strides
        if not any(steps):
            steps = (0,) * len(shape)
        elif link.shape != shape:
            steps = _row_major(shape)
        known[place] = Place(place.address, place.dtype, steps)
    step = Step(
        link.step.name, [known[x] for x in link.step.outs], [known.get(x, x) for x in link.step.inputs],
        link.step.params, link.step.dtype,
    )  # fmt: skip
    reads, writes = ([(there, known[place]) for there, place in touched] for touched in (link.reads, link.writes))
    arrays = {known[place]: array for place, array in link.arrays.items()}
    return Link(link.call, link.shape, step, arrays, link.flat, reads, writes)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([0 if n == 1 else prod(shape[i + 1 :]) for i, n in enumerate(shape)])


# --- the chain as a call ----------------------------------------------------------------------------------------------


class _Kernel:
    """The kernel of a chain: its arrays in the order of the call's inputs and results."""

    def __init__(self, chain: Chain, cuda: Module) -> None:
        self.run = chain.compiled(cuda)

    def __call__(self, *arrays: Any, out: Any) -> Any:
        self.run(list(arrays), list(out))
        return out


def _joined(group: _Group, every: "list[Call]", wanted: set[int], cuda: Module) -> "list[Call]":
    """One call for a group, none if nobody reads what it gives; a single call that is one launch stays what it is."""
    calls = [link.call for link in group.links]
    if len(calls) == 1 and calls[0].name in ONE_LAUNCH:
        return calls
    own = set(map(id, calls))
    read = wanted | {id(x) for call in every if id(call) not in own for x in (*call.inputs, *call.outs)}
    links = [_spread(link, group.shape) for link in group.links]
    arrays = {place: array for link in links for place, array in link.arrays.items()}
    kept = {
        place
        for link in links
        for place in link.step.outs
        if link.call.in_place or arrays[place].base is not None or id(arrays[place]) in read
    }
    if not kept:
        return []
    chain = Chain(group.shape, [link.step for link in links], kept)
    kernel = _Kernel(chain, cuda)
    inputs, outs = (tuple([arrays[place] for place in places]) for places in (chain.reads, chain.writes))
    name = f"chain of {', '.join(call.name for call in calls)}" if len(calls) > 1 else calls[0].name
    in_place = any(call.in_place for call in calls)
    return [type(calls[0])(name, kernel, inputs, outs, {}, in_place=in_place)]


ONE_LAUNCH = frozenset(
    "add sub mul div neg exp log sqrt sin cos abs sign tanh maximum minimum clip greater greater_equal less less_equal "
    "equal not_equal copy cast".split()
)
"""What is one launch of the array library's own already."""
