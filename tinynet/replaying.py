"""What a backend may do so that recorded steps replay faster, and how one waits for a device. Every default is right,
and does nothing special."""

from collections.abc import Callable
from functools import partial
from typing import Any


class Replaying:
    """The part of a backend's contract that only replays use.

    Attributes:
        replayable: whether a recorded list of kernel calls repeats a step.
        overlays: whether results of a recorded step can share memory (``overlay``).
    """

    replayable = True
    overlays = False

    def bind(self, call: Any) -> list[Callable[[], Any]]:
        """The functions without arguments that do, one after the other, what a recorded ``Call`` does."""
        return [partial(call.kernel, *call.inputs, out=call.out, **call.params)]

    def joined(self, program: Any) -> list[Any]:
        """The calls of a ``Program``, some of them perhaps joined into fewer."""
        calls: list[Any] = program.calls
        return calls

    def ready(self, program: Any) -> list[Callable[[], Any]]:
        """The functions without arguments that replay a ``Program``, one after the other."""
        return [run for call in program.calls if not call.is_view for run in self.bind(call)]

    def overlay(self, arrays: list[Any]) -> list[Any]:
        """New arrays like these, all beginning at one and the same place in memory; only where ``overlays``."""
        raise NotImplementedError

    def tidy(self) -> None:
        """Give memory that nobody uses any longer back to the system, after a recording has left much of it."""

    def use_threads(self, count: int) -> int | None:
        """Let every kernel use so many threads inside from now on; returns how many before, None where none can say."""
        return None

    def synchronize(self) -> None:
        """Wait until everything that was launched is done, where a device works beside the host."""
