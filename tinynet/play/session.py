"""What every session shares: positions, acts, revisions, and a request that is read before anything is changed.

A position is a value: an act makes another one, the state is worked out from that, and only when both have succeeded
do they take the place of the old. So an act that is refused, wherever it fails, has changed nothing. Must not know
HTTP, nor what is played with.
"""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from tinynet.errors import ArgumentError, did_you_mean
from tinynet.explain.run import Run, as_json
from tinynet.explain.trace import Trace
from tinynet.explain.words import tell
from tinynet.play.page import live_page
from tinynet.play.requests import Request

Json = dict[str, Any]
REMEMBERED = 500  # losses
FASTEST = 1e6  # a learning rate


class OutOfDate(ArgumentError):  # noqa: N818
    """An act that was meant for a state which has passed."""


class Stopping(ArgumentError):  # noqa: N818
    """The server is being ended, and the act with it."""


@dataclass(frozen=True, eq=False)
class Position:
    """Where a session stands; each kind has more of it.

    Attributes:
        lr: the learning rate.
        steps: how many were taken since the values were last set afresh.
        history: the loss before each of the last steps.
        note: what there is to say about the act that led here.
    """

    lr: float = 0.0
    steps: int = 0
    history: tuple[float, ...] = ()
    note: str = ""

    def stepped(self, loss: float, **changes: Any) -> Any:
        """The position after one more step, whose loss before it was ``loss``."""
        return replace(self, steps=self.steps + 1, history=(*self.history, loss)[-REMEMBERED:], **changes)


P = TypeVar("P", bound=Position)


class Session(ABC, Generic[P]):
    """Something to play with.

    Attributes:
        kind: its name in every state.
        longest_run: how many steps one act may take.
        position: where it stands.
        revision: how many acts have succeeded.
    """

    kind = ""
    longest_run = 1000

    def __init__(self, position: P) -> None:
        self.stopping = threading.Event()
        self.position, self.revision = position, 0
        self._state = self._told(position, 0)

    # --- what each kind says ------------------------------------------------------------------------------------------

    @abstractmethod
    def acts(self) -> Mapping[str, Callable[[Request], P]]:
        """What can be done, by name: each reads a request, and returns the position that comes of it."""

    @abstractmethod
    def loss(self, position: P) -> float:
        """The loss there."""

    @abstractmethod
    def walk(self, position: P) -> tuple[Trace, Run]:
        """Backpropagation there, and the same as data: one frame."""

    @abstractmethod
    def described(self, position: P) -> Json:
        """What the state holds beside what every state holds."""

    def descent(self, position: P) -> Iterator[P]:
        """The position after each further step of gradient descent, without an end.

        Raises:
            ArgumentError, DomainError: the next step cannot be taken.
        """
        raise NotImplementedError

    # --- what the server asks -----------------------------------------------------------------------------------------

    def state(self) -> Json:
        """Everything a page needs to show where the session stands, as JSON can hold it."""
        return self._state

    def act(self, request: Mapping[str, Any]) -> Json:
        """Do what is asked for, and return the new state.

        Raises:
            OutOfDate: the request names a revision that is not the present one.
            TinynetError: it cannot be done; the message says why. Nothing has been changed in either case.
        """
        asked = Request(request)
        revision = asked.get("revision")
        if revision is not None and (revision != self.revision or isinstance(revision, bool)):
            raise OutOfDate(
                "something else has changed the numbers in the meantime (another tab?), so this was not done. Nothing "
                "was changed; here is where the engine is now: try again."
            )
        acts, name = self.acts(), asked.get("act")
        if not isinstance(name, str) or name not in acts:
            hint = did_you_mean(name, acts) if isinstance(name, str) else "."
            raise ArgumentError(f"there is no act {name!r:.60}{hint} There are {', '.join(acts)}.")
        self.check_running()
        position = acts[name](asked)
        state = self._told(position, self.revision + 1)
        self.position, self._state, self.revision = position, state, self.revision + 1
        return state

    def page(self) -> str:
        """The page, with the present state in it."""
        walk, run = self.walk(self.position)
        return live_page(run, tell(walk, 200), {key: part for key, part in self._state.items() if key != "run"})

    def stop(self) -> None:
        """End the act that is going on, at its next step, without its changes."""
        self.stopping.set()

    # --- acts that several kinds have ---------------------------------------------------------------------------------

    def rate(self, asked: Request) -> P:
        """``lr``: another learning rate."""
        return replace(self.present, lr=asked.number("value", 0.0, FASTEST))

    def once(self, asked: Request) -> P:
        """``step``: one step of gradient descent."""
        return next(self.descent(self.present))

    def many(self, asked: Request) -> P:
        """``run``: several steps; they end early, with a note, before one that would lead nowhere."""
        steps, position = asked.whole("steps", 1, self.longest_run), self.present
        descent = self.descent(position)
        for taken in range(steps):
            self.check_running()
            try:
                position = next(descent)
            except (ArgumentError, ArithmeticError) as error:  # DomainError is an ArithmeticError
                if not taken:
                    raise
                return replace(position, note=f"The run ended after {taken} of {steps} steps: {error}")
        return position

    @property
    def present(self) -> P:
        """The position to start from, without the note of how it was reached."""
        return replace(self.position, note="")

    def check_running(self) -> None:
        """Raise ``Stopping`` where the server is being ended."""
        if self.stopping.is_set():
            raise Stopping("the server is being stopped; nothing was changed.")

    def explained(self, position: P) -> Json | None:
        """The run that the state shows."""
        return self.walk(position)[1].data()

    def _told(self, position: P, revision: int) -> Json:
        state: Json = {
            "kind": self.kind,
            "revision": revision,
            "run": self.explained(position),
            "lr": position.lr,
            "steps": position.steps,
            "history": [as_json(loss) for loss in position.history],
            "loss": as_json(self.loss(position)),
            "note": position.note,
        }
        return state | self.described(position)


def check_finite(name: str, x: float) -> None:
    """Refuse a step that would lead out of all numbers. Raises ``ArgumentError``."""
    if not math.isfinite(x):
        raise ArgumentError(
            f"after the next step {name} would be {as_json(x)}, and nothing would be left to go on from: the steps are "
            "too long. Take a smaller learning rate."
        )
