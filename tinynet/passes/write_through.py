"""Where a recorded result is only ever copied on (a gradient into its place), it is computed there at once."""

from typing import TYPE_CHECKING

from tinynet.backend import Array

if TYPE_CHECKING:
    from tinynet.program import Call, Program


def write_through(program: "Program") -> "list[Call]":
    """The calls of a program without the copies that can be had for nothing."""
    kept: list[Call] = []
    for position, call in enumerate(program.calls):
        maker = _maker(program, call, kept)
        later = program.calls[position + 1 :]
        if maker is not None and not any(_touches(program, other, call.inputs[0]) for other in later):
            maker.out, maker.in_place = call.out, True
        else:
            kept.append(call)
    return kept


def _maker(program: "Program", copy: "Call", before: "list[Call]") -> "Call | None":
    """The call that made the array which ``copy`` copies, if it may as well write to the copy's destination."""
    if copy.name != "copy" or copy.inputs[0].shape != copy.out.shape or copy.inputs[0].dtype != copy.out.dtype:
        return None
    source, target = copy.inputs[0], copy.out
    if any(source is array for array in (*program.inputs, *program.outputs)):
        return None
    for call in reversed(before):
        if call.out is source:
            return None if call.is_view or _touches(program, call, target) else call
        if _touches(program, call, source) or _touches(program, call, target):
            return None
    return None


def _touches(program: "Program", call: "Call", array: Array) -> bool:
    arrays = [x for x in (*call.inputs, *call.outs) if isinstance(x, program.backend.array_type)]
    return any(program.backend.shares_memory(x, array) for x in arrays)
