"""Calls of a recorded step as links of a chain: what a call computes in its space, and what it reads and writes."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

from tinynet.backends.cuda.chains.chain import Place, Step, computes_in
from tinynet.backends.cuda.chains.epilogue import Product, product_of
from tinynet.backends.cuda.chains.formulas import KNOWN, NUMBERS
from tinynet.backends.cuda.module import NAMES

if TYPE_CHECKING:
    from tinynet.program import Call

Range = tuple[int, int]  # the addresses between which an array lies
Touched = tuple[Range, Any]  # and its place in the space; None where threads read more than their own elements
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
    product: Product | None = None  # what it is, if no formula
    split_from: "Call | None" = None  # the call that it is a part of

    @property
    def single(self) -> bool:
        """Whether it computes a single number."""
        return prod(self.shape) == 1


def linked(call: "Call", array_type: Any) -> Link | None:
    """The call as a link, if a chain can do what it does."""
    name, inputs, outs = call.name, call.inputs, call.outs
    shape = tuple(outs[0].shape)
    if name == "reshape" and outs[0].flags.c_contiguous:  # a copy, which its input's shape shows place by place
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
        here = x
        if isinstance(x, array_type):
            here = place(x, shape)
            link.arrays[here] = x
            link.reads.append((extent(x), here))
            link.flat &= flat(x, shape)
        link.step.inputs.append(here)
    for out, given in zip(outs, call.outs, strict=True):
        here = place(out, shape)
        if any(not step and n > 1 for step, n in zip(here.strides, shape)):
            return None  # several elements in one place
        link.arrays[here] = given
        link.step.outs.append(here)
        link.writes.append((extent(out), here))
        link.flat &= flat(out, shape)
    return link if apart(link.reads, link.writes) else None


def place(x: Any, shape: tuple[int, ...]) -> Place:
    """Where an array lies in a space that it may be repeated in."""
    size = x.dtype.itemsize
    steps = [0 if n == 1 else stride // size for n, stride in zip(x.shape, x.strides)]
    return Place(int(x.data.ptr), x.dtype.name, (0,) * (len(shape) - x.ndim) + tuple(steps))


def extent(x: Any) -> Range:
    """The addresses between which an array lies."""
    steps = [(n - 1) * stride for n, stride in zip(x.shape, x.strides)]
    first = int(x.data.ptr) + sum(step for step in steps if step < 0)
    return first, first + sum(abs(step) for step in steps) + x.dtype.itemsize


def flat(x: Any, shape: tuple[int, ...]) -> bool:
    """Whether an array goes through a space element by element in its own memory, or is a single number."""
    return x.size == 1 or (tuple(x.shape) == shape and bool(x.flags.c_contiguous))


def multiplied(call: "Call", small: int) -> Link | None:
    """The call as the first link of a chain, if it is a small product of matrices."""
    product = None if call.is_view else product_of(call.name, call.inputs, call.out, small)
    if product is None or call.out.size == 1:
        return None
    here = place(call.out, call.out.shape)
    reads: list[Touched] = [(extent(x), None) for x in product.inputs]
    step = Step(call.name, [here], [], {}, product.dtype)
    link = Link(call, call.out.shape, step, {here: call.out}, False, reads, [(extent(call.out), here)], product)
    return link if apart(link.reads, link.writes) else None


def spread(link: Link, shape: tuple[int, ...]) -> Link:
    """The link in a space of its own size, or, where it is a single number, in any."""
    known: dict[Any, Any] = {None: None}
    for here in link.arrays:
        steps = here.strides
        if not any(steps):
            steps = (0,) * len(shape)
        elif link.shape != shape:
            steps = row_major(shape)
        known[here] = Place(here.address, here.dtype, steps)
    outs, inputs = ([known.get(x, x) for x in some] for some in (link.step.outs, link.step.inputs))
    reads, writes = ([(there, known[here]) for there, here in touched] for touched in (link.reads, link.writes))
    arrays = {known[here]: array for here, array in link.arrays.items()}
    return replace(link, step=replace(link.step, outs=outs, inputs=inputs), arrays=arrays, reads=reads, writes=writes)


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an array of that shape without gaps; 0 along a dimension of one element."""
    return tuple([0 if n == 1 else prod(shape[i + 1 :]) for i, n in enumerate(shape)])


# --- what calls touch -------------------------------------------------------------------------------------------------


def meet(x: Range, y: Range) -> bool:
    """Whether two ranges of addresses overlap."""
    return x[0] < y[1] and y[0] < x[1]


def apart(reads: Iterable[Touched], writes: Iterable[Touched]) -> bool:
    """Whether nothing that is written is also read, but place by place."""
    reads = list(reads)
    return all((x == y and x is not None) or not meet(there, here) for there, x in writes for here, y in reads)


def touched(call: "Call", array_type: Any) -> tuple[list[Touched], list[Touched]]:
    """What a call that is no link reads and writes."""
    arrays: list[Touched] = [(extent(x), None) for x in call.inputs if isinstance(x, array_type)]
    return arrays, [(extent(x), None) for x in call.outs] + (arrays if call.name in COUNTS_ON else [])


def passes(some: Any, reads: Iterable[Touched], writes: Iterable[Touched]) -> bool:
    """Whether a link or a chain may as well be done on the other side of what reads and writes these."""
    reads, writes = list(reads), list(writes)
    late = any(meet(here, there) for here, _ in some.reads for there, _ in writes)
    return not late and not any(meet(here, there) for here, _ in some.writes for there, _ in (*reads, *writes))
