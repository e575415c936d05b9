"""What happens in a contender's own process: it is asked to import, to make a step, to take some, and answers in JSON.

A request and its answer are a line each. Standard library only until the library that is measured has been imported.
"""

import importlib
import json
import math
import os
import signal
import statistics
import sys
import time
from typing import Any

from tinynet.bench import memory
from tinynet.bench.contenders import BY_NAME, Step
from tinynet.errors import TinynetError

WARM_UP = 0.25  # seconds of steps before any is measured
SLOW = 1.0  # seconds; a step that takes longer warms up in one


class Child:
    """One contender, and the step that it is about to take."""

    step: Step
    base: float | None

    def imports(self, contender: str, precision: str = "float32") -> dict[str, Any]:
        """Import the library and let it take a tiny step; the memory of a workload counts from here on."""
        home, _, self.function = BY_NAME[contender].home.partition(":")
        began = time.perf_counter()
        self.module = importlib.import_module(home)
        took = time.perf_counter() - began
        if BY_NAME[contender].device == "gpu":
            self.module.use_precision(precision)
        self.module.touch()
        self.read = importlib.import_module("tinynet.bench.workloads").read  # which loads NumPy, if nothing else has
        self.base = memory.resident()
        return {"import_s": took}

    def make(self, workload: str, warm_up: float = WARM_UP) -> dict[str, Any]:
        """Make the step of a workload, take it once, and warm it up."""
        made = getattr(self.module, self.function)(self.read(workload))
        if made is None:
            return {"has": False}
        self.step = made
        began = time.perf_counter()
        loss = made.run()
        made.wait()
        first = time.perf_counter() - began
        loss = _number(loss)  # before the next step writes over it
        taken: list[float] = []
        end = time.perf_counter() + warm_up
        while len(taken) < 3 or time.perf_counter() < end:
            taken.append(self._time(1))
            if taken[-1] > SLOW:
                break
        usual = statistics.median(taken[-9:])
        return {
            "has": True,
            "first_call_s": first,
            "first_loss": loss,
            "step_s": usual,
            "note": self.step.note(),
        }

    def turn(self, repeats: int, ahead: int) -> dict[str, Any]:
        """Seconds a step, over some of them; the steps ahead wake threads and caches and are not counted.

        A device is waited for once, after the last of them, as in a training loop that reads its loss now and then.
        """
        self._time(ahead)
        return {"seconds": self._time(repeats) / repeats}

    def alone(self, repeats: int) -> dict[str, Any]:
        """Seconds of a step whose end is waited for before the next begins: the median of some."""
        return {"alone_s": statistics.median(self._time(1) for _ in range(repeats))}

    def memory(self, repeats: int) -> dict[str, Any]:
        """Megabytes that some steps need at most, above what the library alone held: of the device, or of the host."""
        if self.step.memory:
            return {"memory_mb": self.step.memory()}
        reset = memory.forget()
        self._time(repeats)
        peak = memory.peak()
        if not reset or peak is None or self.base is None:
            return {"memory_mb": None, "why": memory.ELSEWHERE}
        return {"memory_mb": max(peak - self.base, 0.0)}

    def _time(self, repeats: int) -> float:
        run = self.step.run
        began = time.perf_counter()
        for _ in range(repeats):
            run()
        self.step.wait()
        return time.perf_counter() - began


def _number(loss: Any) -> float | None:
    """A loss as JSON can hold it; None where it is no finite number."""
    loss = loss.item() if hasattr(loss, "item") else loss
    return float(loss) if isinstance(loss, int | float) and math.isfinite(loss) else None


def _said(error: Exception) -> str:
    """An error in a line: tinynet's say enough, those of others need their names."""
    words = str(error).strip().partition("\n")[0]
    return words if isinstance(error, TinynetError) else f"{type(error).__name__}: {words}".rstrip(": ")


def main() -> None:
    """Answer until the other side closes its end; what the library itself prints goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    child = Child()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(child, request.pop("do"))(**request)
        except Exception as error:  # whatever a library raises is its result
            answer = {"error": _said(error)}
        print(json.dumps(answer), file=answers, flush=True)
