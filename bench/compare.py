"""Two runs side by side: what has moved beyond noise."""

import json
import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from tinynet.bench.result import FORMAT
from tinynet.errors import FileError

LEAST = 0.05  # a change of at most 5 % is not told from noise
STEADY = 1.25  # a machine that is slower or faster than this as a whole was busy with something else
SAME = ("processor", "cores", "system", "blas", "blas_kernels")


class Move(NamedTuple):
    """One contender on one workload.

    Attributes:
        drift: the machine's own part: what the peers' new medians are of their old ones, in the middle.
        ratio: the new median over the old one, divided by that; below 1 is faster.
        moved: whether that is beyond noise.
    """

    workload: str
    contender: str
    old: float
    new: float
    drift: float
    ratio: float
    moved: bool


def load(path: Path) -> dict[str, Any]:
    """A result that was written before.

    Raises:
        FileError: it is missing, damaged, or no result of this format.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise FileError(
            f"Reading {path}: {error.strerror or error}. `tinynet bench --json {path}` writes one."
        ) from error
    except ValueError as error:
        raise FileError(f"Reading {path}: it is no JSON ({error}). `tinynet bench --json` writes results.") from error
    if not isinstance(found, dict) or "format" not in found:
        raise FileError(f"Reading {path}: it is no result of `tinynet bench`. Name a file that --json has written.")
    if found["format"] != FORMAT:
        raise FileError(
            f"Reading {path}: format {found['format']!r}, and this version reads {FORMAT}. Measure it anew."
        )
    try:
        for part in found["workloads"]:
            for result in part["results"].values():
                if "error" not in result:
                    for key in ("low_s", "median_s", "high_s"):
                        _seconds(key, result[key])
            for key in ("name", "what"):
                _words(key, part[key])
            _ = part["batch"]
        for contender in found["contenders"]:
            for key in ("name", "role"):
                _words(key, contender[key])
        _ = [found["machine"][key] for key in SAME], dict(found["versions"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"Reading {path}: it is damaged ({type(error).__name__}: {error}). Measure it anew.") from error
    return found


def _seconds(key: str, x: Any) -> None:
    if isinstance(x, bool) or not isinstance(x, int | float):
        raise TypeError(f"{key} is {x!r}, and must be a number")
    if not (math.isfinite(x) and x > 0):
        raise ValueError(f"{key} is {x!r}, and must be finite and above 0")


def _words(key: str, x: Any) -> None:
    if not isinstance(x, str) or not x:
        raise TypeError(f"{key} is {x!r}, and must be words")


def moves(old: dict[str, Any], new: dict[str, Any]) -> list[Move]:
    """Every contender on every workload that both runs measured, the same network and batch under the same name; none
    where the two multiplied in different precisions.

    A machine that is busier, or warmer, slows everyone. So the peers, if all versions but tinynet's are the same, tell
    how much slower it was as a whole, workload by workload, and the new figures are divided by that. One has moved when
    the ranges between its lower and upper quartiles do not overlap then, and its median differs by more than 5 %. Where
    the peers differ by more than a quarter, nothing has: the machine was busy with something else.
    """
    if old.get("precision", "float32") != new.get("precision", "float32"):
        return []
    peers = {c["name"] for c in new["contenders"] if c["role"] == "peer"} if _same_libraries(old, new) else set()
    before = {_same(part): part["results"] for part in old["workloads"]}
    found = []
    for part in new["workloads"]:
        was = before.get(_same(part), {})
        both = {
            name: (was[name], after)
            for name, after in part["results"].items()
            if "error" not in was.get(name, {"error": "absent"}) and "error" not in after
        }
        ratios = {name: after["median_s"] / first["median_s"] for name, (first, after) in both.items()}
        controls = [ratio for name, ratio in ratios.items() if name in peers]
        drift = statistics.median(controls) if controls else 1.0
        for name, (first, after) in both.items():
            ratio = ratios[name] / drift
            apart = after["low_s"] / drift > first["high_s"] or after["high_s"] / drift < first["low_s"]
            moved = apart and abs(ratio - 1) > LEAST and 1 / STEADY <= drift <= STEADY
            found.append(Move(part["name"], name, first["median_s"], after["median_s"], drift, ratio, moved))
    return found


def _same(part: dict[str, Any]) -> tuple[Any, ...]:
    """What two workloads must have in common to be compared."""
    return part["name"], part["what"], str(part["batch"])


def _same_libraries(old: dict[str, Any], new: dict[str, Any]) -> bool:
    libraries = [{k: v for k, v in run["versions"].items() if k != "tinynet"} for run in (old, new)]
    return libraries[0] == libraries[1]


def other_machine(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two machines, a line each; of runs on two of them nothing is compared."""
    before, now = ({key: machine[key] for key in SAME} | {"GPU": _card(machine)} for machine in (old, new))
    return [f"{key.replace('_', ' ')}: {before[key]} before, {now[key]} now" for key in now if before[key] != now[key]]


def _card(machine: dict[str, Any]) -> str:
    card = machine.get("gpu")
    return card.get("name") or "a GPU" if isinstance(card, dict) else "none"


def not_compared(lines: list[str]) -> str:
    """That two runs are of different machines, in words."""
    return "\n".join(["Not compared: the two runs are of different machines.", *(f"  {line}" for line in lines)])


def differences(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What differs between the machines of two runs, and between the versions of what took part; a line each."""
    machines = other_machine(old["machine"], new["machine"])
    names = sorted({*old["versions"], *new["versions"]})
    pairs = [(name, old["versions"].get(name, "absent"), new["versions"].get(name, "absent")) for name in names]
    return machines, [f"{name}: {was} before, {now} now" for name, was, now in pairs if was != now]


def comparison(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The comparison in words: what moved, what did not, and why figures of two machines are not compared."""
    machines, versions = differences(old, new)
    if machines:
        return not_compared(machines)
    lines = [f"Compared with the run of {old.get('began', 'an unknown date')}:"]
    if versions:
        lines += ["  other versions, to which a change may be due:", *(f"    {line}" for line in versions)]
    found = moves(old, new)
    for workload, drift in {move.workload: move.drift for move in found}.items():
        if not 1 / STEADY <= drift <= STEADY:
            lines.append(
                f"  {workload}: no verdict, since the peers took {drift:.2f}× the time: the machine was another."
            )
    for move in found:
        if move.moved:
            direction = "faster" if move.ratio < 1 else "slower"
            change = f"{move.old * 1e3:.4g} → {move.new * 1e3:.4g} ms, {move.ratio:.2f}× the time"
            beside = f" beside peers that took {move.drift:.2f}×" if move.drift != 1.0 else ""
            lines.append(f"  {move.workload}, {move.contender}: {direction}, {change}{beside}")
    still = sum(not move.moved for move in found)
    lines.append(
        f"  {still} of {len(found)} figures did not move beyond noise (quartiles apart, and more than {LEAST:.0%})."
        if found
        else "  no contender was measured on the same workload (name, network, batch and precision) in both."
    )
    return "\n".join(lines)
