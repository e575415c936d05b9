"""The contest: a training step of one workload by every contender, in turn, and what each of them needed.

Each lives in a process of its own, so that no library's waiting threads are in another's way; before each turn there
is a pause, until those of the one before have stopped waiting for work. Slow contenders take fewer turns. On a GPU a
turn's steps are launched one after the other and the device is waited for once, at its end.
"""

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tinynet.bench.contenders import Contender
from tinynet.bench.process import PATIENCE, ContenderError, Process
from tinynet.bench.workload import Workload

ROUNDS = 11
FEWEST = 3
PAUSE = 0.1  # seconds
SHORTEST = 0.01  # seconds of steps in a turn
ALONE = 21  # steps that are waited for one by one
Say = Callable[[str], None]


@dataclass
class Entry:
    """One contender's part: its process while it lives, what it took, or why it failed."""

    process: Process | None = None
    import_s: float = 0.0
    first_call_s: float = 0.0
    step_s: float = 0.0
    note: str = ""
    turns: int = 0
    repeats: int = 1
    rounds: list[float] = field(default_factory=list)
    memory_mb: float | None = None
    first_loss: float | None = None
    alone_s: float | None = None
    error: str | None = None

    def plan(self, seconds: float) -> None:
        """As many turns, and steps in each, as fit into its share of the time."""
        turn = max(seconds / ROUNDS - PAUSE, SHORTEST)
        self.repeats = max(1, int(turn / self.step_s))
        cost = PAUSE + self.repeats * self.step_s
        self.turns = min(ROUNDS, max(FEWEST, int(seconds / cost)))

    def close(self) -> None:
        """End its process."""
        if self.process:
            self.process.close()
            self.process = None

    def due(self, number: int) -> bool:
        """Whether it takes part in that round: its turns are spread over all of them."""
        return (number + 1) * self.turns // ROUNDS > number * self.turns // ROUNDS

    def result(self, workload: Workload, gemm: float | None) -> dict[str, Any] | None:
        """What it took, as the report has it; None where there is nothing to tell.

        Args:
            gemm: GFLOP/s of the matrix product where it computes; None where that is not known.
        """
        if self.error:
            return {"error": self.error}
        if not self.rounds:
            return None
        low, median, high = quartiles(self.rounds)
        rate = workload.flop / median / 1e9
        return {
            "median_s": median,
            "low_s": low,
            "high_s": high,
            "rounds_s": self.rounds,
            "repeats": self.repeats,
            "first_call_s": self.first_call_s,
            "import_s": self.import_s,
            "memory_mb": self.memory_mb,
            "gflops": rate,
            "share_of_gemm": rate / gemm if gemm else None,
            "first_loss": self.first_loss,
            "alone_s": self.alone_s,
            "note": self.note,
        }


class Contest:
    """One workload, and everyone who takes part in it.

    Args:
        seconds: of measuring, all contenders together; imports and first calls come on top.
        say: is told what is being done.
        precision: how those on a GPU multiply float32: float32, or tf32.
        patience: seconds, the longest an import and a first call are waited for.

    Attributes:
        entries: by the contenders' names, as far as it came.
        stop: once it is set, nothing is waited for any longer.
    """

    def __init__(
        self,
        workload: Workload,
        contenders: list[Contender],
        seconds: float,
        say: Say,
        precision: str = "float32",
        patience: float = PATIENCE,
    ) -> None:
        self.workload, self.seconds, self.say = workload, seconds, say
        self.precision, self.patience = precision, patience
        self.contenders = [contender for contender in contenders if contender.takes(workload.family)]
        self.entries: dict[str, Entry] = {}
        self.stop = threading.Event()

    def run(self) -> None:
        """Measure; what was measured before a KeyboardInterrupt stays in ``entries``."""
        try:
            self.prepare()
            self.measure()
        finally:
            self.close()

    def prepare(self, together: bool = False) -> None:
        """Let everyone take the first step, one after the other, or all at once: ``close`` comes after."""
        if together:
            self.entries = {contender.name: Entry() for contender in self.contenders}  # in their order
            with ThreadPoolExecutor(max(len(self.contenders), 1)) as pool:
                list(pool.map(self._enter, self.contenders))
        else:
            for contender in self.contenders:
                self._enter(contender)

    def measure(self) -> None:
        """Let everyone who has taken the first step take turns."""
        alive = self._alive()
        for entry in alive.values():
            entry.plan(self.seconds / len(alive))
        for number in range(ROUNDS):
            for name, entry in self._alive().items():
                if entry.due(number):
                    self.say(f"{self.workload.name}: round {number + 1} of {ROUNDS}, {name}")
                    self._turn(entry)
        on_device = {contender.name for contender in self.contenders if contender.device == "gpu"}
        for name, entry in self._alive().items():
            self.say(f"{self.workload.name}: memory, {name}")
            if self._ask(entry, "memory", repeats=3) and name in on_device:
                self._ask(entry, "alone", repeats=ALONE)

    def close(self) -> None:
        """End every process."""
        self.stop.set()
        held = [entry for entry in self.entries.values() if entry.process]
        with ThreadPoolExecutor(max(len(held), 1)) as pool:
            list(pool.map(Entry.close, held))

    def _alive(self) -> dict[str, Entry]:
        return {name: entry for name, entry in self.entries.items() if entry.process}

    def _enter(self, contender: Contender) -> None:
        self.say(f"{self.workload.name}: first call, {contender.name}")
        entry = self.entries[contender.name] = Entry()
        try:
            environment = dict(contender.environment)
            entry.process = Process(contender.name, self.precision, self.patience, self.stop, **environment)
        except ContenderError as error:
            entry.error = str(error)
            return
        entry.import_s = entry.process.import_s
        answer = self._ask(entry, "make", patience=self.patience, workload=self.workload.name)
        if answer and not answer["has"]:
            entry.close()
        elif answer:
            entry.first_call_s, entry.step_s, entry.note = answer["first_call_s"], answer["step_s"], answer["note"]
            entry.first_loss = answer["first_loss"]

    def _turn(self, entry: Entry) -> None:
        time.sleep(PAUSE)
        answer = self._ask(entry, "turn", repeats=entry.repeats, ahead=int(entry.repeats > 1))
        if answer:
            entry.rounds.append(answer["seconds"])

    def _ask(self, entry: Entry, what: str, **details: Any) -> dict[str, Any] | None:
        """The answer; a contender that has none is out."""
        assert entry.process
        try:
            answer = entry.process.ask(what, **details)
        except ContenderError as error:
            entry.error = str(error)
            entry.close()
            return None
        entry.memory_mb = answer.get("memory_mb", entry.memory_mb)
        entry.alone_s = answer.get("alone_s", entry.alone_s)
        if "why" in answer:
            entry.note = "; ".join(filter(None, [entry.note, answer["why"]]))
        return answer


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high
