"""The pictures of times, ratios, rates and memory: which bars, on which axis, and the words for those who do not see.

Apart from ``bars``, which draws them, and from the page, which places them. Each takes the reading, a name of its own
and a width in pixels, and is empty where there is nothing to show.
"""

from collections.abc import Callable

from tinynet.bench.report.bars import Axis, Bar, Group, bars
from tinynet.bench.report.chart import NARROW, Scale, around
from tinynet.bench.report.reading import MAIN, Measured, Reading, Row
from tinynet.bench.report.units import figure, milliseconds, percent, times


def step_times(found: Reading, name: str, width: float) -> str:
    """The time of a step: a bar each contender, in groups of a workload, on a log axis in milliseconds."""

    def bar(one: Measured, label: str, kind: str) -> Bar:
        return Bar(label, one.median * 1e3, one.low * 1e3, one.high * 1e3, f"{milliseconds(one.median)} ms", kind)

    axis = "milliseconds a step" if width <= NARROW else "milliseconds a step, shorter is better"
    log = "each line ten times the one before"
    return _grouped(found, name, width, "Time of a step, by workload", bar, f"{axis}; {log}", None)


def memory(found: Reading, name: str, width: float) -> str:
    """The working memory of a step in MB, on a log axis."""

    def bar(one: Measured, label: str, kind: str) -> Bar | None:
        if not one.memory:
            return None
        return Bar(label, one.memory, one.memory, one.memory, f"{figure(one.memory)} MB", kind)

    title = "MB at the peak of a step" if width <= NARROW else "MB at the peak of a step, shorter is better"
    return _grouped(
        found, name, width, "Memory of a step, by workload", bar, f"{title}; each line ten times the one before", None
    )


def rates(found: Reading, name: str, width: float) -> str:
    """GFLOP/s of tinynet and of the fastest peer, beside the machine's rate of a matrix product."""
    machine = found.gemm

    def bar(one: Measured, label: str, kind: str) -> Bar | None:
        if not one.gflops:
            return None
        share = f" ({percent(one.share)})" if one.share is not None and width > NARROW else ""
        return Bar(label, one.gflops, one.gflops, one.gflops, f"{figure(one.gflops)} GFLOP/s{share}", kind)

    title = "GFLOP/s, longer is better" if width <= NARROW else "GFLOP/s of matrix products in a step, longer is better"
    marks = sorted((rate, f"GEMM, {threads}: {figure(rate)}") for threads, rate in machine.items())
    return _grouped(found, name, width, "Arithmetic rate of a step, by workload", bar, title, marks)


def ratios(found: Reading, name: str, width: float) -> str:
    """Best peer / tinynet, one bar a workload from 1.0 to the right or to the left; a dot for each other peer."""
    shown = []
    for row in found.rows:
        if row.ratio is None:
            continue
        low, high = row.spread(row.best_peer) or (row.ratio, row.ratio)
        dots = [(ratio, f"{peer}: {times(ratio)}") for peer, ratio in _others(found, row)]
        words = f"{times(row.ratio)} {row.best_peer}" if width > NARROW else times(row.ratio)
        kind = "tinynet" if row.ratio >= 1 else "slow"
        shown.append(Bar(row.name, row.ratio, min(low, row.ratio), max(high, row.ratio), words, kind, dots))
    if not shown:
        return ""
    scale = around([1.0, *(x for bar in shown for x in bar.numbers)], 0, 1, base=2)
    axis = Axis(
        "best peer / tinynet, ×" if width <= NARROW else "best peer's time / tinynet's, ×: above 1 tinynet is faster",
        scale.low, scale.high, True, scale.ticks(base=2), 1.0, [(1.0, "as fast as the best peer")],
    )  # fmt: skip
    words = "; ".join(f"{bar.label}: {times(bar.value)}" for bar in shown)
    return bars(name, "Ratio of the best peer's time to tinynet's, by workload", words, [Group(shown)], axis, width)


def _others(found: Reading, row: Row) -> list[tuple[str, float]]:
    """The ratios of the peers that are not the best."""
    ours = row.measured.get(MAIN)
    if ours is None:
        return []
    peers = [c.name for c in found.of("peer") if c.name in row.measured and c.name != row.best_peer]
    return [(peer, row.measured[peer].median / ours.median) for peer in peers]


def _grouped(
    found: Reading,
    name: str,
    width: float,
    title: str,
    bar: Callable[[Measured, str, str], Bar | None],
    axis_title: str,
    marks: list[tuple[float, str]] | None,
) -> str:
    """A group of bars a workload; on an axis from 0 where there are marks, else on a log axis."""
    groups = []
    for row in found.rows:
        drawn = [
            made
            for c in found.of("tinynet", "peer", "floor")
            if c.name in row.measured and (made := bar(row.measured[c.name], c.name, _kind(c.name, c.role)))
        ]
        if drawn:
            groups.append(Group(drawn, row.name, row.what))
    values = [x for group in groups for one in group.bars for x in one.numbers]
    if not values:
        return ""
    if marks is None:
        scale = around(values, 0, 1)
        axis = Axis(axis_title, scale.low, scale.high, True, scale.ticks())
    else:
        scale = Scale(0, max([*values, *(x for x, _ in marks)]) * 1.02, 0, 1, log=False)
        axis = Axis(axis_title, 0, scale.high, False, scale.ticks(), None, marks)
    words = ". ".join(f"{g.name}: {', '.join(f'{one.label} {one.shown}' for one in g.bars)}" for g in groups)
    return bars(name, title, words, groups, axis, width)


def _kind(name: str, role: str) -> str:
    """The class that colours a contender."""
    return {"tinynet": "tinynet" if name == MAIN else "engine", "floor": "floor"}.get(role, "peer")
