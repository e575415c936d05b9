"""The answer to "why is my GPU slower here?", from measured numbers, in plain words.

Apart because it is asked alone too: it is written into the JSON. Paragraphs are set apart by an empty line, items of a
list begin with "- ". Must not know pages or Markdown.
"""

from collections.abc import Mapping
from typing import Any

from tinynet.bench.contenders import OURS
from tinynet.bench.report.reading import Measured, Reading, Row, number, positive, read, text
from tinynet.bench.report.units import duration, figure
from tinynet.explain.notation import counted

CARD = "tinynet cupy"
LAUNCH = (5e-6, 10e-6)  # seconds; what a launch is commonly said to cost its host, nowhere measured here
BYTES = 4  # of a float32


def gpu_answer(result: Mapping[str, Any]) -> str:
    """Why a GPU is slower or faster on these workloads, and at what size it pays.

    Without a measured GPU no figure is given for one: it says that none was measured, what decides it, and how much
    time this machine's own steps leave for launching kernels.
    """
    found = read(result)
    measured = [row for row in found.rows if CARD in row.measured]
    parts = _measured(found, measured) if measured else _unmeasured(found)
    return "\n\n".join(parts)


# --- with a GPU -------------------------------------------------------------------------------------------------------


def _measured(found: Reading, rows: list[Row]) -> list[str]:
    compared = [row for row in rows if OURS in row.measured]
    slower = [row for row in compared if row.measured[CARD].median > row.measured[OURS].median]
    faster = [row for row in compared if row not in slower]
    if not compared:
        lines = "\n".join(f"- {row.name}: {_step(row.measured[CARD])} on the GPU" for row in rows)
        return [f"A GPU was measured, but nothing beside it on the CPU:\n{lines}", _why(), *_crossing(found)]
    said = (
        f"The GPU is slower than this machine's CPU on {len(slower)} of {counted(len(compared), 'workload')}, and"
        f" faster on {len(faster)}."
    )
    parts = [said, _why()]
    rate = positive(_rates(found).get("gemm_gflops"))
    if slower:
        parts.append("Where it is slower:\n" + "\n".join(_line(row, rate) for row in slower))
    if faster:
        parts.append("Where it is faster:\n" + "\n".join(_line(row, rate) for row in faster))
    return parts + _crossing(found)


def _rates(found: Reading) -> Mapping[str, Any]:
    gpu = found.machine.get("gpu")
    return gpu if isinstance(gpu, Mapping) else {}


def _line(row: Row, rate: float | None) -> str:
    """A workload: both times, what a launch takes, what the arithmetic alone would take, and what is moved."""
    card, cpu = row.measured[CARD], row.measured[OURS]
    ratio = card.median / cpu.median
    said = [f"{duration(card.median)} a step on the GPU against {duration(cpu.median)} on the CPU"]
    said += [f"{figure(ratio)} times as long" if ratio > 1 else f"{figure(1 / ratio)} times as fast"]
    if card.launches:
        each = duration(card.median / card.launches)
        said.append(f"{counted(card.launches, 'kernel launch', 'kernel launches')}, {each} each")
    if row.flop and rate:
        alone = row.flop / rate / 1e9
        share = min(100.0, 100 * alone / card.median)
        said.append(
            f"its {figure(row.flop / 1e6)} million floating-point operations alone would take the card "
            f"{duration(alone)} at its measured rate, {figure(share)} % of the step"
        )
    if row.parameters:
        said.append(f"{_size(row.parameters * BYTES)} of weights to read and to update")
    return f"- {row.name}: {'; '.join(said)}."


def _size(count: float) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{figure(count / size)} {unit}"
    return f"{figure(count)} bytes"


def _step(one: Measured) -> str:
    return f"{duration(one.median)} a step"


def _crossing(found: Reading) -> list[str]:
    """What the crossover curves say about the GPU."""
    said = []
    for curve in found.crossovers:
        for one in curve.get("overtakes") or []:
            if not isinstance(one, Mapping) or one.get("who") != "cupy":
                continue
            at = number(one.get("at"))
            of = text(curve.get("of")) or "size"
            words = text(one.get("words")) or (f"from a {of} of about {figure(at)}" if at else f"at no {of} tried")
            said.append(f"- {text(curve.get('title')) or of}: {words}")
    return ["At what size it pays:\n" + "\n".join(said)] if said else []


# --- without one ------------------------------------------------------------------------------------------------------


def _unmeasured(found: Reading) -> list[str]:
    reason = next((c.why_absent for c in found.contenders if c.name == CARD and c.why_absent), "")
    first = "No GPU was measured here, so no figure below is one of a GPU." + (
        f" The reason: {reason}" if reason else ""
    )
    parts = [first, _why()]
    lines = [line for row in found.rows if (line := _room(row))]
    if lines:
        low, high = (f"{seconds * 1e6:.0f}" for seconds in LAUNCH)
        parts.append(
            f"A launch is commonly said to cost {low} to {high} µs; take that as a rule of thumb, it was not measured"
            " here. What the steps measured on this CPU leave room for:\n" + "\n".join(lines)
        )
    parts.append(
        "Before a GPU can win, the launches must fit into the time that the CPU takes; after that, its rate of"
        " arithmetic decides. Larger batches and wider layers make every launch do more and add none, so they are what"
        " turns it. `tinynet bench --backends numpy,cupy` on a machine with a GPU measures where that happens."
    )
    return parts


def _room(row: Row) -> str:
    """How many launches this CPU's time for a step leaves room for, beside how many a step needs, where known."""
    ours = row.measured.get(OURS)
    if ours is None:
        return ""
    few, many = (round(ours.median / seconds) for seconds in reversed(LAUNCH))
    room = f"{few:,} to {many:,}" if few != many else f"{few:,}"
    said = f"- {row.name}: {_step(ours)}, which is the time of {room} launches"
    if not many:
        said = f"- {row.name}: {_step(ours)}, which is less than a single launch"
    if not ours.launches:
        return f"{said}."
    needs = f"the recorded step makes {counted(ours.launches, 'call')}"
    if ours.launches > many:
        return f"{said}; {needs}, so launching them one by one would take longer than the whole step takes here."
    if ours.launches > few:
        return f"{said}; {needs}, so launching them one by one would take about as long as the whole step takes here."
    return f"{said}; {needs}, so there is time to spare, and the arithmetic decides."


def _why() -> str:
    return (
        "A GPU gets a training step as a list of kernels. Each one costs its host a few microseconds to launch, however"
        " little it computes, and data that come from the host have to be copied first. A small network's step is many"
        " kernels with next to nothing in each: the card waits to be told what to do. A step that is replayed as one"
        " CUDA graph is launched once for all its kernels, which makes each cheaper, not free."
    )
