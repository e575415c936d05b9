"""Where one backend overtakes another: the step of a small network over doubling batches, and over doubling widths.

A backend has costs that do not grow with the work (a call, a launch) and others that do; one overtakes another where
the second kind outweighs the first. Each curve is measured upwards until its backend is past bearing or its time is up.
"""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinynet.bench.contest import PAUSE, Say
from tinynet.bench.process import ContenderError, Process

BACKENDS = ("scalar", "numpy", "cupy")
BEARABLE = 0.3  # seconds; where a backend's curve ends
TURNS = 3
TURN, WARM_UP = 0.02, 0.05  # seconds
Point = dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A range of networks.

    Attributes:
        of: what doubles.
        title: the network in words.
        notation: of the workload of a given size.
        most: the largest size.
    """

    of: str
    title: str
    notation: Callable[[int], str]
    most: int


SWEEPS = [
    Sweep("batch", "64-64-10, ReLU: seconds a step by batch size", lambda x: f"mlp:64-64-10@{x}", 4096),
    Sweep(
        "width",
        "three layers of one width, ReLU, batch 1: seconds a step by width",
        lambda x: f"mlp:{x}-{x}-{x}@1",
        2048,
    ),
]


def crossovers(seconds: float, usable: Sequence[str], say: Say, most: int | None = None) -> list[dict[str, Any]]:
    """Both sweeps, as the result has them.

    Args:
        seconds: for each sweep.
        usable: the backends to measure; the others are null.
        say: is told what is being done.
        most: the largest size, where it is not the sweep's own.
    """
    found = []
    for sweep in SWEEPS:
        points = _curves(sweep, seconds, usable, say, most or sweep.most)
        pairs = zip(BACKENDS[1:], BACKENDS)
        overtakes = [overtake(points, who, whom, sweep.of, usable) for who, whom in pairs]
        found.append({"of": sweep.of, "title": sweep.title, "points": points, "overtakes": overtakes})
    return found


def overtake(points: list[Point], who: str, whom: str, of: str, usable: Sequence[str]) -> dict[str, Any]:
    """From where on one backend is faster than another: read off where their curves cross on logarithmic axes."""
    both = [p for p in points if p["seconds"][who] and p["seconds"][whom]]
    ahead = [p["seconds"][whom] >= p["seconds"][who] for p in both]
    at = None
    if missing := [name for name in (who, whom) if name not in usable]:
        words = f"not measured: {' and '.join(missing)} cannot run here or was not asked for"
    elif not both:
        words = f"not measured: there is no {of} at which both have a time"
    elif not any(ahead):
        words = f"not within the range: {whom} is faster up to a {of} of {both[-1]['x']:,}"
    elif not ahead[-1]:
        words = f"{whom} is faster at a {of} of {both[-1]['x']:,}, the largest; the curves cross more than once"
    elif all(ahead):
        words = f"not within the range: {who} is faster from a {of} of {both[0]['x']:,} on"
    else:
        after = max(i for i, is_ahead in enumerate(ahead) if not is_ahead) + 1
        at = _crossing(both[after - 1], both[after], who, whom)
        words = f"{who} overtakes {whom} at a {of} of about {at:,.0f}"
    return {"who": who, "whom": whom, "at": at, "words": words}


def _crossing(before: Point, after: Point, who: str, whom: str) -> float:
    """Where two straight lines on logarithmic axes meet, between two points."""
    gaps = [math.log(p["seconds"][who] / p["seconds"][whom]) for p in (before, after)]
    share = gaps[0] / (gaps[0] - gaps[1])
    return float(before["x"] * (after["x"] / before["x"]) ** share)


def _curves(sweep: Sweep, seconds: float, usable: Sequence[str], say: Say, most: int) -> list[Point]:
    points: list[Point] = []
    end = time.monotonic() + seconds
    running: dict[str, Process] = {}
    with contextlib.ExitStack() as stack:
        for name in BACKENDS:
            if name in usable:
                with contextlib.suppress(ContenderError):  # its curve stays empty
                    running[name] = Process(f"tinynet {name}")
                    stack.callback(running[name].close)
        x = 1
        while x <= most and running and (not points or time.monotonic() < end):
            say(f"crossovers: {sweep.of} {x}")
            taken = {name: _time(running[name], sweep.notation(x)) if name in running else None for name in BACKENDS}
            points.append({"x": x, "seconds": taken})
            running = {name: p for name, p in running.items() if (taken[name] or math.inf) <= BEARABLE}
            x *= 2
    return points


def _time(process: Process, workload: str) -> float | None:
    """Seconds a step: the least of a few turns; None where the backend has no answer."""
    try:
        took = process.ask("make", workload=workload, warm_up=WARM_UP)["step_s"]
        repeats = max(1, int(TURN / took))
        turns = []
        for _ in range(TURNS if took < BEARABLE else 1):
            time.sleep(PAUSE / 2)
            turns.append(float(process.ask("turn", repeats=repeats, ahead=int(repeats > 1))["seconds"]))
        return min(turns)
    except ContenderError:
        return None
