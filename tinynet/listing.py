"""A program as text: the step as plain array calls, a line a call. That is a lesson too."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.backend import Array

if TYPE_CHECKING:
    from tinynet.program import Call, Program


def listing(program: "Program") -> str:
    """The step as plain array calls, a line a call; lines marked as views cost nothing on replay."""
    backend, calls = program.backend, program.calls
    names = program.names | {id(array): f"x{i}" for i, array in enumerate(program.inputs)}
    made: set[int] = set()
    given: dict[int, Array] = {}  # what is there before the step: parameters, memory, constants

    def name(x: Any) -> str:
        if not isinstance(x, backend.array_type):
            return repr(x)
        if id(x) not in made:
            given.setdefault(id(x), x)
        return names.setdefault(id(x), f"{'t' if id(x) in made else 'c'}{len(names)}")

    def line(call: "Call") -> str:
        is_ufunc = isinstance(call.kernel, np.ufunc)
        arguments = [name(x) for x in call.inputs] + [f"{key}={value!r}" for key, value in call.params.items()]
        made.update(id(x) for x in call.outs)
        outs = ", ".join(name(x) for x in call.outs)
        shown = f"np.{call.kernel.__name__}" if is_ufunc else call.name
        text = f"{shown}({', '.join([*arguments, f'out={outs}'])})"
        if call.is_view:
            text = f"{outs} = {call.name}({', '.join(arguments)})"
        return f"{text:<88} # {kind(call.outs[0])}" + (", a view" if call.is_view else "")

    def kind(array: Array) -> str:
        return f"{backend.dtype(array)} {tuple(array.shape)}"

    lines = [line(call) for call in calls]
    head = [f"# {names[key]}: {kind(array)}" for key, array in given.items()]
    way = f", {program.way}" if program.way else ""
    return "\n".join([f"# {len(program)} calls on {backend.name}{way}", *head, *lines])
