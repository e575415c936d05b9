"""What recorded steps rest on. A replay repeats kernel calls and no Python, so whatever Python would now do differently
must be noticed: a parameter in other memory, another hyperparameter, a hook, a module switched to evaluation.

Recording is looked at through this one object by everything that can make a recording stale. Standard library only.
"""

from typing import Any

from tinynet.errors import CaptureError


class _Recordings:
    """How the world of the recorded steps stands.

    Attributes:
        version: raised by ``outdate``; a recording of another version is stale.
        modes: while a step is being recorded, the (module, training) pairs that it looked at; None otherwise.
    """

    def __init__(self) -> None:
        self.version = 0
        self.modes: list[tuple[Any, bool]] | None = None

    def outdate(self) -> None:
        """Make every recording stale: something that steps are made of has changed."""
        self.version += 1

    def refuse(self, what: str) -> None:
        """Complain if a step is being recorded, for what a replay could not repeat."""
        if self.modes is not None:
            raise CaptureError(f"the step cannot be recorded: {what}. Move it out of the step, or run without capture.")


recordings = _Recordings()
