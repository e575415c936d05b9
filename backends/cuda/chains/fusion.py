"""Operations of single elements in a recorded step, joined into chains: one launch for many calls.

A call joins a chain before it if it goes through the same space, if what it shares with the chain lies place by place,
and if nothing that was launched in between reads or writes what it touches. A chain may begin with a small product of
matrices. The results that nobody reads outside the chain are never stored.
"""

import sys
from collections import Counter
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet.backend import Kernel
from tinynet.backends.cuda.chains.chain import Chain
from tinynet.backends.cuda.chains.epilogue import as_matrix, compiled
from tinynet.backends.cuda.chains.links import (
    COUNTS_ON,
    Link,
    Touched,
    apart,
    extent,
    linked,
    meet,
    multiplied,
    passes,
    spread,
    touched,
)
from tinynet.backends.cuda.chains.loss import scaled
from tinynet.backends.cuda.module import Module
from tinynet.dtypes import FLOATS, dtype_name

if TYPE_CHECKING:
    from tinynet.program import Call, Program

MOST = 24  # arrays of a chain: a kernel takes 4 KB of parameters, and a thread has only so many registers
REACH = 48  # how many launches back a chain is looked for
CHEAP = frozenset("add sub mul div neg copy cast".split())  # what every thread may as well do for itself
ONE_LAUNCH = frozenset(
    "add sub mul div neg exp log sqrt sin cos abs sign tanh maximum minimum clip greater greater_equal less less_equal "
    "equal not_equal copy cast".split()
)
"""What is one launch of the array library's own already."""


@dataclass
class Group:
    """Links that are to be one chain, and a call whose sums a product in front of it adds up on the way."""

    links: list[Link]
    sums: "Call | None" = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Their space: that of a link that needs its shape, else of the first that is more than a number."""
        wide = [link for link in self.links if not link.single] or self.links
        return next((link.shape for link in wide if not link.flat), wide[0].shape)

    @property
    def reads(self) -> list[Touched]:
        """What they read, and where."""
        return [x for link in self.links for x in link.reads]

    @property
    def writes(self) -> list[Touched]:
        """What they write, and where."""
        return [x for link in self.links for x in link.writes] + ([(extent(self.sums.out), None)] if self.sums else [])


def in_chains(program: "Program", cuda: Module, small: int) -> "list[Call]":
    """The calls of a program, with chains in the place of operations of single elements.

    Args:
        small: how many multiplications a product of matrices may have that a chain follows in the same launch.
    """
    array_type = program.backend.array_type
    calls = _varying(program, array_type)
    wanted = _wanted(calls)
    calls = scaled(calls, wanted, array_type)
    entries: list[Any] = []
    for call in calls:
        if first := multiplied(call, small):
            entries.append(Group([first]))
            continue
        before, link = _bias_apart(call, program.backend.kernels["add"])
        if before:
            entries.append(before)
        else:
            link = None if call.is_view else linked(call, array_type)
        if link is None:
            if not _added_on_the_way(entries, call, array_type):
                entries.append(call)
        elif group := _found(entries, link, array_type):
            group.links.append(link)
        else:
            entries.append(Group([link]))
    joined = [_joined(entry, calls, wanted, cuda) if isinstance(entry, Group) else [entry] for entry in entries]
    return [call for some in joined for call in some]


# --- what comes and what stays ----------------------------------------------------------------------------------------


def _references(objects: list[Any]) -> list[int]:
    """How often each object is referred to, by this list and by whoever counts among them."""
    return [sys.getrefcount(x) for x in objects]


BESIDE = _references([object()])[0]  # which is another number in another Python


def _wanted(calls: "list[Call]") -> set[int]:
    """The arrays, by ``id``, that somebody beside the calls holds, or a view of them."""
    mentions = Counter(id(x) for call in calls for x in (*call.inputs, *call.outs))
    arrays = list({id(x): x for call in calls for x in (*call.inputs, *call.outs)}.values())
    return {id(x) for x, count in zip(arrays, _references(arrays)) if count > mentions[id(x)] + BESIDE}


def _varying(program: "Program", array_type: Any) -> "list[Call]":
    """The calls without those that give the same at every replay: what goes into them is made by no call, and nobody
    but the calls can reach it. A gradient of 1 to begin with, divided by the size of a batch, is such a thing."""
    calls, held = program.calls, _wanted(program.calls)
    changing = [extent(x) for x in program.inputs]
    changing += [extent(out) for call in calls for out in call.outs if call.in_place]
    changing += [extent(x) for call in calls if call.name in COUNTS_ON for x in call.inputs]
    made = {id(out) for call in calls for out in call.outs}
    kept = []
    for call in calls:
        arrays = [x for x in call.inputs if isinstance(x, array_type)]
        reachable = any(id(x) in made or id(x) in held or x.base is not None for x in arrays)
        reachable = reachable or any(id(out) in held for out in call.outs)  # somebody may overwrite it
        steady = not reachable and not any(meet(extent(x), y) for x in arrays for y in changing)
        if steady and not call.in_place and not call.is_view and linked(call, array_type):
            made -= {id(out) for out in call.outs}
        else:
            kept.append(call)
    return kept


# --- products ---------------------------------------------------------------------------------------------------------


def _bias_apart(call: "Call", add: Kernel) -> "tuple[Call | None, Link | None]":
    """A large layer as its product and, as a link, its bias, which then costs a launch of its own no longer."""
    x, w, b = call.inputs if call.name == "linear" else (None, None, None)
    if b is None or not call.out.size or dtype_name(call.out.dtype) not in FLOATS or b.dtype != call.out.dtype:
        return None, None
    added = replace(call, name="add", kernel=add, inputs=(call.out, b), params={})
    link = linked(added, type(call.out))
    if link is None:
        return None, None
    link.split_from = call
    return replace(call, inputs=(x, w, None)), link


def _added_on_the_way(entries: list[Any], call: "Call", array_type: Any) -> bool:
    """Whether a product before it can add up the rows that a call adds up; it then does."""
    if call.name != "sum_to" or call.is_view:
        return False
    x, out = call.inputs[0], call.out
    mine = (extent(x), x.shape, x.strides, x.dtype)
    between: list[tuple[list[Touched], list[Touched]]] = []
    for entry in reversed(entries[-REACH:]):
        if not isinstance(entry, Group):
            if not entry.is_view:
                between.append(touched(entry, array_type))
            continue
        product = entry.links[0].product
        if product is not None and product.adds and entry.sums is None:
            y = product.inputs[0]
            alike = mine == (extent(y), y.shape, y.strides, y.dtype)
            fits = out.shape == (product.stack.m,) and out.dtype == x.dtype and out.flags.c_contiguous
            alone = Link(call, x.shape, entry.links[0].step, {}, False, [(extent(x), None)], [(extent(out), None)])
            clear = apart(entry.reads, alone.writes) and apart(alone.writes, entry.writes)
            if alike and fits and clear and all(passes(alone, *some) for some in between):
                entry.sums = call
                return True
        between.append((entry.reads, entry.writes))
    return False


# --- which chain a call joins -----------------------------------------------------------------------------------------


def _found(entries: list[Any], link: Link, array_type: Any) -> Group | None:
    """The chain that a link joins, where it stands or, if it has to wait for something, at the end: one that makes what
    the link reads, or else the last that nothing stands in the way of."""
    between: list[tuple[list[Touched], list[Touched]]] = []
    given = {address for (address, _), _ in link.reads}
    found: tuple[int, bool] | None = None
    for position in range(len(entries) - 1, max(-1, len(entries) - REACH), -1):
        entry = entries[position]
        if not isinstance(entry, Group):
            if not entry.is_view:
                between.append(touched(entry, array_type))
            continue
        makes = any(address in given for (address, _), _ in entry.writes)
        if (makes or found is None) and _fits(entry, link):
            stays = all(passes(link, *some) for some in between)
            if stays or all(passes(entry, *some) for some in between):
                found = position, stays
                if makes:
                    break
        between.append((entry.reads, entry.writes))
    if found is None:
        return None
    position, stays = found
    group: Group = entries[position]
    if not stays:
        entries.append(entries.pop(position))
    return group


def _fits(group: Group, link: Link) -> bool:
    """Whether a link can join a group."""
    whole = Group([*group.links, link], group.sums)
    shape, alone = whole.shape, len({other.single for other in whole.links}) == 1
    for other in whole.links:
        if other.single:
            if not alone and other.step.name not in CHEAP:
                return False  # a number that every thread would take long over
        elif other.shape != shape and not (other.flat and prod(other.shape) == prod(shape)):
            return False
    before, after = Group([spread(other, shape) for other in group.links], group.sums), spread(link, shape)
    places = {here for other in (*before.links, after) for here in other.arrays}
    if len(places) > MOST or (group.links[0].product and as_matrix(shape, list(places)) is None):
        return False
    if not alone and _overtaken([*before.links, after]):
        return False
    pairs = (after.reads, before.writes), (before.reads, after.writes), (before.writes, after.writes)
    return all(apart(*pair) for pair in pairs)


def _overtaken(links: list[Link]) -> bool:
    """Whether a single number is read from memory and written: one thread would write it before others have read it."""
    made: set[Any] = set()
    read: set[Any] = set()
    for link in links:
        read |= {x for x in link.step.inputs if x in link.arrays and x not in made}
        made |= set(link.step.outs)
    return any(not any(here.strides) for here in read & made)


# --- the chain as a call ----------------------------------------------------------------------------------------------


class _Kernel:
    """The kernel of a chain: its arrays in the order of the call's inputs and results."""

    def __init__(self, chain: Chain, cuda: Module) -> None:
        self.run = chain.compiled(cuda)

    def __call__(self, *arrays: Any, out: Any) -> Any:
        self.run(list(arrays), list(out))
        return out


class _ProductKernel:
    """The kernel of a product and the chain behind it: the product's own arrays come first, the sums of rows last."""

    def __init__(self, first: Link, chain: Chain, cuda: Module, sums: bool) -> None:
        assert first.product is not None
        self.own, self.sums = len(first.product.inputs), sums
        self.run = compiled(cuda, first.product, chain, first.step.outs[0])

    def __call__(self, *arrays: Any, out: Any) -> Any:
        *writes, last = out if self.sums else (*out, None)
        self.run(list(arrays[: self.own]), list(arrays[self.own :]), writes, last)
        return out


def _joined(group: Group, every: "list[Call]", wanted: set[int], cuda: Module) -> "list[Call]":
    """One call for a group, none if nobody reads what it gives; a single call that is one launch stays what it is."""
    calls = [link.call for link in group.links]
    first = group.links[0]
    own = {id(call) for link in group.links for call in (link.call, link.split_from)}
    read = wanted | {id(x) for call in every if id(call) not in own for x in (*call.inputs, *call.outs)}
    links = [spread(link, group.shape) for link in group.links]
    arrays = {here: array for link in links for here, array in link.arrays.items()}
    kept = {
        here
        for link in links
        for here in link.step.outs
        if link.call.in_place or arrays[here].base is not None or id(arrays[here]) in read
    }
    if not kept and not group.sums:
        return []
    if len(calls) == 1 and not group.sums and (first.product or calls[0].name in ONE_LAUNCH):
        return calls
    extra = (group.sums,) if group.sums else ()
    chain = Chain(group.shape, [link.step for link in links if not link.product], kept)
    kernel: Any = _Kernel(chain, cuda) if not first.product else _ProductKernel(links[0], chain, cuda, bool(extra))
    inputs, outs = (tuple([arrays[here] for here in places]) for places in (chain.reads, chain.writes))
    inputs, outs = (*(first.product.inputs if first.product else ()), *inputs), (*outs, *[call.out for call in extra])
    names = [call.name for call in (*calls, *extra)]
    name = f"chain of {', '.join(names)}" if len(names) > 1 else names[0]
    in_place = any(call.in_place for call in (*calls, *extra))
    return [type(first.call)(name, kernel, inputs, outs, {}, in_place=in_place)]
