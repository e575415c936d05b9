"""Where a recorded result is only ever copied on (a gradient into its place), it is computed there at once."""

import sys
from typing import TYPE_CHECKING

from tinynet.backend import Array

if TYPE_CHECKING:
    from tinynet.program import Call, Program


def write_through(program: "Program") -> "list[Call]":
    """The calls of a program without the copies that can be had for nothing."""
    kept: list[Call] = []
    for position, call in enumerate(program.calls):
        later = program.calls[position + 1 :]
        path = _path(program, call, kept)
        if not path or any(_touches(program, other, call.inputs[0]) for other in later):
            kept.append(call)
            continue
        maker, *views = path
        target = program.backend.kernels["reshape"](call.out, shape=maker.out.shape) if views else call.out
        if program.backend.shares_memory(target, call.out):
            maker.out, maker.in_place = target, True
            kept = [other for other in kept if not any(other is view for view in views)]
        else:
            kept.append(call)
    return kept


def _path(program: "Program", copy: "Call", before: "list[Call]") -> "list[Call]":
    """The call that made what ``copy`` copies, and the reshapes between the two, if it may as well write to the copy's
    destination; nothing otherwise."""
    views: list[Call] = []
    if copy.name != "copy" or copy.inputs[0].shape != copy.out.shape or copy.inputs[0].dtype != copy.out.dtype:
        return views
    source, target = copy.inputs[0], copy.out
    for call in reversed(before):
        if any(source is array for array in (*program.inputs, *program.outputs)):
            return []
        if call.out is source and not call.is_view:
            free = not call.in_place and not _held(program, call.out)
            return [call, *views] if free and not _touches(program, call, target) else []
        if call.out is source and call.name == "reshape":
            views.append(call)
            source = call.inputs[0]
        elif _touches(program, call, source) or _touches(program, call, target):
            return []
    return []


def _held(program: "Program", array: Array) -> bool:
    """Whether anybody but the calls, and ``_path``, which asks, holds an array or the memory under it."""
    owner = getattr(array, "base", None)
    mentions, views, beside = 0, set(), set()
    for call in program.calls:
        for x in (*call.inputs, *call.outs):
            mentions += x is array
            if (base := getattr(x, "base", None)) is not None and base is array:
                views.add(id(x))
            elif base is not None and base is owner:
                beside.add(id(x))
    x = base = call = None  # type: ignore[assignment]  # which held the last of them
    known = mentions + len(views) + 3
    return sys.getrefcount(array) > known or (owner is not None and sys.getrefcount(owner) > len(beside) + 2)


def _touches(program: "Program", call: "Call", array: Array) -> bool:
    arrays = [x for x in (*call.inputs, *call.outs) if isinstance(x, program.backend.array_type)]
    return any(program.backend.shares_memory(x, array) for x in arrays)
