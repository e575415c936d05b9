"""The slope of a loss, scaled in the launch that makes it: the gradient that a training step begins with.

The loss is the mean of a batch, so its slope is softmax - one-hot divided by the number of examples, which backward
asks for as a product. Where nobody reads the slope without that factor, and it never changes, the kernel takes it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinynet.backends.cuda.chains.links import extent, meet, touched

if TYPE_CHECKING:
    from tinynet.program import Call

LOSS = "softmax_cross_entropy"


def scaled(calls: "list[Call]", held: set[int], array_type: Any) -> "list[Call]":
    """The calls, products of a loss's slope and a single number taken into the loss.

    Args:
        held: the arrays, by ``id``, that somebody beside the calls holds.
    """
    kept = list(calls)
    for call in calls:
        if call.name != LOSS or call.is_view:
            continue
        slope = call.outs[1]
        readers = [
            other for other in kept if any(x is slope for x in (*other.inputs, *other.outs)) and other is not call
        ]
        factor = _factor(readers[0], slope, array_type) if len(readers) == 1 and id(slope) not in held else None
        if factor is None or not _steady(calls, factor) or not _free(kept, call, readers[0], array_type):
            continue
        (reader,) = readers
        outs = call.outs[0], reader.out
        whole = replace(
            call, out=outs, params={**call.params, "scale": factor}, in_place=call.in_place or reader.in_place
        )
        kept = [whole if other is call else other for other in kept if other is not reader]
    return kept


def _factor(call: "Call", slope: Any, array_type: Any) -> Any:
    """The single number that a product multiplies the slope by, into an array of its own."""
    if call.name != "mul" or call.is_view or call.out is slope or slope.base is not None:
        return None
    others = [x for x in call.inputs if x is not slope]
    fits = len(others) == 1 and isinstance(others[0], array_type) and others[0].size == 1
    alike = fits and others[0].dtype == slope.dtype == call.out.dtype and call.out.strides == slope.strides
    return others[0] if alike and call.out.shape == slope.shape else None


def _steady(calls: "list[Call]", factor: Any) -> bool:
    """Whether no call writes the factor."""
    return not any(meet(extent(factor), extent(out)) for call in calls for out in call.outs)


def _free(calls: "list[Call]", first: "Call", last: "Call", array_type: Any) -> bool:
    """Whether nothing from one call up to another touches what the other writes."""
    begin, end = (next(i for i, call in enumerate(calls) if call is some) for some in (first, last))
    room = extent(last.out)
    between = [touched(call, array_type) for call in calls[begin:end] if not call.is_view]
    return not any(meet(here, room) for reads, writes in between for here, _ in (*reads, *writes))
