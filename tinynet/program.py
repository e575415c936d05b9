"""Program: a training step as a flat list of kernel calls, recorded once and replayed.

While a step runs eagerly for the first time, every kernel launched is written down with the very arrays it used. Those
arrays become the fixed buffers: to run the step again, fill the input buffers and call the kernels in order. There is
no graph, no allocation and no Python beyond the list. Printed, a program is the step as plain array calls.

This file knows kernels, arrays and the backend contract; it knows nothing of tensors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinynet.backend import Array, Backend, Kernel
from tinynet.errors import CaptureError
from tinynet.listing import listing
from tinynet.passes import share_buffers, write_through

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
    in_place: bool = False  # whether it fills arrays that were there before it

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
        modes: the modules whose training mode the step looked at, and what it saw.
        leaves: leaf -> the gradient that the step first added to, or ``FORGOTTEN`` where the step itself began it anew.
        way: how the backend replays it, in a few words, where there is something to say.
    """

    backend: Backend
    inputs: list[Array] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    modes: list[tuple[Any, bool]] = field(default_factory=list)
    leaves: dict[Any, Any] = field(default_factory=dict)
    way: str = ""
    _run: list[Callable[[], Any]] = field(default_factory=list)

    # --- recording ----------------------------------------------------------------------------------------------------

    def record(
        self,
        backend: Backend,
        name: str,
        kernel: Kernel,
        inputs: tuple[Any, ...],
        out: Any,
        params: Any,
        in_place: bool,
    ) -> None:
        """Write down one kernel launch."""
        if backend is not self.backend:
            self.refuse(f"it computes on {backend.name} as well as on {self.backend.name}")
        is_view = name in VIEWS and backend.shares_memory(out, inputs[0])
        self.calls.append(call := Call(name, kernel, inputs, out, params, is_view, in_place))
        if in_place and any(backend.shares_memory(made, given) for made in call.outs for given in self.inputs):
            self.refuse("an argument was changed in place, which its owner would not see")

    def refuse(self, why: str) -> None:
        """Give up recording: a replay could not repeat what just happened."""
        raise CaptureError(f"the step cannot be recorded: {why}. Move it out of the step, or run without capture.")

    def accumulates(self, leaf: Any, grad: Any) -> None:
        """Note what a leaf's gradient was when the step first added to it."""
        self.leaves.setdefault(leaf, grad)

    def forgets(self, leaf: Any) -> None:
        """Note that the step begins a leaf's gradient anew."""
        self.leaves.setdefault(leaf, FORGOTTEN)

    def looks_at(self, module: Any, training: bool) -> None:
        """Note the mode of a module that the step looked at."""
        self.modes.append((module, training))

    def finish(self) -> None:
        """Drop copies that can be had for nothing, join calls, share buffers, and make everything ready to be run."""
        self.calls = write_through(self)
        self.calls = self.backend.joined(self)
        share_buffers(self)
        self._run = self.backend.ready(self)

    # --- replaying ----------------------------------------------------------------------------------------------------

    def replay(self) -> None:
        """Run the step on what the input buffers hold."""
        for run in self._run:
            run()

    def __len__(self) -> int:
        return sum(not call.is_view for call in self.calls)

    def __str__(self) -> str:
        return listing(self)
