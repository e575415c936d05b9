"""Program: a training step as a flat list of kernel calls, recorded once and replayed.

While a step runs eagerly for the first time, every kernel launched is written down with the very arrays it used. Those
arrays become the fixed buffers: to run the step again, fill the input buffers and call the kernels in order. There is
no graph, no allocation and no Python beyond the list. Printed, a program is the step as plain array calls.

This file knows kernels, arrays and the backend contract; it knows nothing of tensors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tinynet.backend import Array, Backend, Kernel
from tinynet.errors import CaptureError

VIEWS = frozenset({"reshape", "transpose", "broadcast_to", "gather"})
"""Kernels whose result may be a view, which shows a changed input by itself and need not be run again."""


FORGOTTEN = "forgotten"


@dataclass
class Call:
    """One kernel launch: ``kernel(*inputs, out=out, **params)``."""

    name: str
    kernel: Kernel
    inputs: tuple[Any, ...]
    out: Any
    params: dict[str, Any]
    is_view: bool = False

    @property
    def outs(self) -> tuple[Array, ...]:
        """The arrays it fills: one, or several for a fused kernel that keeps something for its gradient."""
        return self.out if isinstance(self.out, tuple) else (self.out,)


@dataclass
class Program:
    """A recorded step.

    Attributes:
        backend: where its arrays live.
        inputs, outputs: the arrays to fill before a replay, and to read after it.
        calls: the kernel launches in order.
        names: what to call an array (by ``id``) when the program is printed.
        leaves: leaf -> the gradient it held when the step first added to it, or ``FORGOTTEN`` where the step itself
            began it anew: a replay adds to the very same array.
    """

    backend: Backend
    inputs: list[Array] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    leaves: dict[Any, Any] = field(default_factory=dict)
    _run: list[Callable[[], Any]] = field(default_factory=list)

    # --- recording ----------------------------------------------------------------------------------------------------

    def record(self, name: str, kernel: Kernel, inputs: tuple[Any, ...], out: Any, params: dict[str, Any]) -> None:
        """Write down one kernel launch."""
        is_view = name in VIEWS and self.backend.shares_memory(out, inputs[0])
        self.calls.append(Call(name, kernel, inputs, out, params, is_view))

    def refuse(self, why: str) -> None:
        """Give up recording: a replay could not repeat what just happened."""
        raise CaptureError(f"the step cannot be recorded: {why}. Move it out of the step, or run without capture.")

    def accumulates(self, leaf: Any, grad: Any) -> None:
        """Note what a leaf's gradient was when the step first added to it."""
        self.leaves.setdefault(leaf, grad)

    def forgets(self, leaf: Any) -> None:
        """Note that the step begins a leaf's gradient anew."""
        self.leaves.setdefault(leaf, FORGOTTEN)

    def finish(self) -> None:
        """Drop copies that can be had for nothing, and bind every call to its arrays."""
        self._write_through()
        self._run = [
            partial(call.kernel, *call.inputs, out=call.out, **call.params) for call in self.calls if not call.is_view
        ]

    def _write_through(self) -> None:
        """Where a result is only ever copied on (a gradient into its place), compute it there at once."""
        kept: list[Call] = []
        for position, call in enumerate(self.calls):
            maker = self._maker(call, kept)
            later = self.calls[position + 1 :]
            if maker is not None and not any(self._touches(other, call.inputs[0]) for other in later):
                maker.out = call.out
            else:
                kept.append(call)
        self.calls = kept

    def _maker(self, copy: Call, before: list[Call]) -> Call | None:
        """The call that made the array which ``copy`` copies, if it may as well write to the copy's destination."""
        if copy.name != "copy" or copy.inputs[0].shape != copy.out.shape or copy.inputs[0].dtype != copy.out.dtype:
            return None
        source, target = copy.inputs[0], copy.out
        if any(source is array for array in (*self.inputs, *self.outputs)):
            return None
        for call in reversed(before):
            if call.out is source:
                return None if call.is_view or self._touches(call, target) else call
            if self._touches(call, source) or self._touches(call, target):
                return None
        return None

    def _touches(self, call: Call, array: Array) -> bool:
        arrays = [x for x in (*call.inputs, *call.outs) if isinstance(x, self.backend.array_type)]
        return any(self.backend.shares_memory(x, array) for x in arrays)

    # --- replaying ----------------------------------------------------------------------------------------------------

    def replay(self) -> None:
        """Run the step on what the input buffers hold."""
        for run in self._run:
            run()

    def __len__(self) -> int:
        return len(self._run)

    def __str__(self) -> str:
        return listing(self)


def listing(program: Program) -> str:
    """The step as plain array calls, a line a call; lines marked as views cost nothing on replay."""
    backend, calls = program.backend, program.calls
    names = program.names | {id(array): f"x{i}" for i, array in enumerate(program.inputs)}
    made = {id(array) for call in calls for array in call.outs}
    constants: dict[int, Array] = {}

    def name(x: Any) -> str:
        if not isinstance(x, backend.array_type):
            return repr(x)
        if id(x) not in made:
            constants[id(x)] = x
        return names.setdefault(id(x), f"{'t' if id(x) in made else 'c'}{len(names)}")

    def line(call: Call) -> str:
        is_ufunc = isinstance(call.kernel, np.ufunc)
        arguments = [name(x) for x in call.inputs] + [f"{key}={value!r}" for key, value in call.params.items()]
        outs = ", ".join(name(x) for x in call.outs)
        shown = f"np.{call.kernel.__name__}" if is_ufunc else call.name
        text = f"{shown}({', '.join([*arguments, f'out={outs}'])})"
        if call.is_view:
            text = f"{outs} = {call.name}({', '.join(arguments)})"
        return f"{text:<88} # {kind(call.outs[0])}" + (", a view" if call.is_view else "")

    def kind(array: Array) -> str:
        return f"{backend.dtype(array)} {tuple(array.shape)}"

    lines = [line(call) for call in calls]
    head = [f"# {names[key]}: {kind(array)}" for key, array in constants.items()]
    return "\n".join([f"# {len(program)} calls on {backend.name}", *head, *lines])
