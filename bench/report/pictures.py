"""The pictures of times, ratios and rates: which bars, on which axis, and the words for those who do not see.

Apart from ``bars``, which draws them, and from the page, which places them. Each takes the reading, a name of its own
and a width in pixels, and is empty where there is nothing to show.
"""

from collections.abc import Sequence

from tinynet.bench.report.bars import Axis, Bar, Group, bars
from tinynet.bench.report.chart import NARROW, Scale, around
from tinynet.bench.report.reading import Contender, Measured, Reading, Row
from tinynet.bench.report.units import figure, milliseconds, times
from tinynet.explain.notation import clip


def step_times(found: Reading, name: str, width: float) -> str:
    """The time of a step: a bar each contender, in groups of a workload, on a log axis in milliseconds."""
    groups = []
    for row in found.rows:
        ran = [c for c in found.of("tinynet", "peer", "floor") if c.name in row.measured]
        groups.append(Group([_time(row.measured[c.name], c, found.ours) for c in ran], row.name, row.what))
    groups = [group for group in groups if group.bars]
    if not groups:
        return ""
    scale = around((x for group in groups for one in group.bars for x in one.numbers), 0, 1)
    title = "milliseconds a step" if width <= NARROW else "milliseconds a step, shorter is better"
    axis = Axis(f"{title}; ten times from line to line", scale.low, scale.high, True, scale.ticks())
    return bars(name, "Time of a step, by workload", _words(groups), groups, axis, width)


def rates(found: Reading, name: str, width: float) -> str:
    """GFLOP/s of tinynet and of the fastest peer, on an axis from 0, beside the machine's rates of a matrix product."""
    groups = []
    for row in found.rows:
        ran = [(found.ours, "tinynet"), (row.best_peer, "peer")]
        known = [(who, kind, rate) for who, kind in ran if (rate := row.value(who, "gflops"))]
        drawn = [Bar(who, rate, rate, rate, f"{figure(rate)} GFLOP/s", kind) for who, kind, rate in known]
        groups.append(Group(drawn, row.name, row.what))
    groups = [group for group in groups if group.bars]
    if not groups:
        return ""
    marks = [(rate, f"GEMM, {threads}: {figure(rate)} GFLOP/s") for threads, rate in found.gemm.items()]
    values = [one.value for group in groups for one in group.bars]
    scale = Scale(0, max([*values, *(x for x, _ in marks)]) * 1.02, 0, 1, log=False)
    title = "GFLOP/s, longer is better" if width <= NARROW else "GFLOP/s of matrix products in a step, longer is better"
    axis = Axis(title, 0, scale.high, False, scale.ticks(), None, marks)
    return bars(name, "Arithmetic rate of a step, by workload", _words(groups), groups, axis, width)


def ratios(found: Reading, name: str, width: float) -> str:
    """Best peer / tinynet, one bar a workload from 1.0 to the right or to the left; a dot for each other peer."""
    shown = []
    for row in found.rows:
        if row.ratio is None:
            continue
        low, high = row.spread(row.best_peer) or (row.ratio, row.ratio)
        dots = [(ratio, f"{peer}: {times(ratio)}") for peer, ratio in _others(found, row)]
        words = f"{times(row.ratio)} {clip(row.best_peer, 24)}" if width > NARROW else times(row.ratio)
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
    ours = row.measured.get(found.ours)
    if ours is None:
        return []
    peers = [c.name for c in found.of("peer") if c.name in row.measured and c.name != row.best_peer]
    return [(peer, row.measured[peer].median / ours.median) for peer in peers]


def _time(one: Measured, who: Contender, ours: str) -> Bar:
    """A contender's time in milliseconds, in the colour of what it is."""
    kind = {"tinynet": "tinynet" if who.name == ours else "engine", "floor": "floor"}.get(who.role, "peer")
    return Bar(who.name, one.median * 1e3, one.low * 1e3, one.high * 1e3, f"{milliseconds(one.median)} ms", kind)


def _words(groups: Sequence[Group]) -> str:
    """Every bar, for those who do not see them."""
    return ". ".join(f"{g.name}: {', '.join(f'{one.label} {one.shown}' for one in g.bars)}" for g in groups)
