"""The report's tables as HTML: every head names a unit, every row its workload, and a wide one scrolls in its own box.

Apart from the page, which only places them. Each takes the reading and is empty where there is nothing to show.
"""

from collections.abc import Sequence
from html import escape

from tinynet.bench.report.reading import Measured, Reading, Row
from tinynet.bench.report.units import NONE, amount, figure, milliseconds, percent, times


class Words(str):
    """A cell that holds words, not a number."""

    __slots__ = ()


def workloads(found: Reading) -> str:
    """What each workload is, and how large."""
    heads = ["workload", "network and batch", "parameters, count", "batch, examples", "operations a step, million"]
    rows = []
    for row in found.rows:
        operations = NONE if row.flop is None else figure(row.flop / 1e6)
        rows.append(
            (escape(row.name), [Words(escape(row.what)), amount(row.parameters), amount(row.batch), operations])
        )
    return table("The workloads", heads, rows) if rows else ""


def ratios(found: Reading) -> str:
    """The ratio best peer / tinynet with its verdict, what a replay costs over the floor, and times in milliseconds."""
    others = [c.name for c in found.of("tinynet") if c.name != found.ours]
    peers = [c.name for c in found.of("peer")]
    floors = not found.on_gpu
    heads = ["best peer / tinynet, ×", *["replay / floor, ×"] * floors, found.ours + ", ms (quartiles)"]
    heads += [f"{name}, ms" for name in others + peers]
    rows = []
    for row in found.rows:
        ours = row.measured.get(found.ours)
        verdict = f"<small>{escape(row.verdict)}</small>" if row.verdict else ""
        rows.append((
            escape(row.name),
            [
                f"<b>{times(row.ratio)}</b>{verdict}", *[times(row.floor_ratio)] * floors, _time(row, found.ours, ours),
                *(_time(row, name, row.measured.get(name)) for name in others + peers),
            ],
        ))  # fmt: skip
    return table("Time of a step, milliseconds, and ratios", ["workload", *heads], rows)


def memory(found: Reading) -> str:
    """MB at the peak of a step, by contender, and tinynet's share of PyTorch's."""
    names = [c.name for c in found.of("tinynet", "peer", "floor")]
    names = [name for name in names if any(row.value(name, "memory") is not None for row in found.rows)]
    pytorch = found.pytorch
    compared = found.ours in names and pytorch in names
    rows = []
    for row in found.rows:
        cells = [figure(row.value(name, "memory")) for name in names]
        if compared:
            ours, theirs = (row.value(name, "memory") for name in (found.ours, pytorch))
            cells.append(times(ours / theirs) if ours is not None and theirs else NONE)
        rows.append((escape(row.name), cells))
    heads = [f"{name}, MB" for name in names] + [f"{found.ours} / {pytorch}, ×"] * compared
    return table("Memory at the peak of a step, MB", ["workload", *heads], rows) if names else ""


def rates(found: Reading) -> str:
    """GFLOP/s by contender with its share of the machine's rate."""
    names = [c.name for c in found.of("tinynet", "peer", "floor")]
    names = [name for name in names if any(row.value(name, "gflops") is not None for row in found.rows)]
    rows = []
    for row in found.rows:
        cells = []
        for name in names:
            one = row.measured.get(name)
            cells.append(NONE if one is None or one.gflops is None else _with(figure(one.gflops), percent(one.share)))
        rows.append((escape(row.name), cells))
    heads = ["workload", *(f"{name}, GFLOP/s (share, %)" for name in names)]
    return table("Arithmetic rate of a step, GFLOP/s, and its share of the GEMM rate, %", heads, rows) if names else ""


def starts(found: Reading) -> str:
    """Seconds to import each library, and seconds of the first call of each workload's step."""
    names = [c.name for c in found.of("tinynet", "peer")]
    rows = []
    imports = [[row.value(name, "importing") for row in found.rows] for name in names]
    known = [sorted(x for x in seconds if x is not None) for seconds in imports]
    if any(known):
        rows.append(("import", [figure(x[len(x) // 2] if x else None) for x in known]))
    for row in found.rows:
        cells = [figure(row.value(name, "first_call")) for name in names]
        if any(cell != NONE for cell in cells):
            rows.append((escape(row.name), cells))
    return (
        table("Import, and the first call of each workload, seconds", ["what", *(f"{name}, s" for name in names)], rows)
        if rows
        else ""
    )


def everything(found: Reading) -> str:
    """Every contender on every workload with all its figures."""
    waited = any(one.alone for row in found.rows for one in row.measured.values())
    heads = [
        "contender", "median, ms", "lower quartile, ms", "upper quartile, ms",
        *["waited for each time, ms"] * waited, "rounds, count", "steps a round, count", "first call, s", "import, s",
        "memory, MB", "GFLOP/s", "share of GEMM, %", "note",
    ]  # fmt: skip
    rows: list[tuple[str, Sequence[str]]] = []
    for row in found.rows:
        rows += [(escape(row.name), [])] if row.measured else []
        for name, one in row.measured.items():
            share = NONE if one.share is None else figure(100 * one.share)
            times = [milliseconds(seconds) for seconds in (one.median, one.low, one.high, *[one.alone] * waited)]
            counts = [amount(n) for n in (one.rounds, one.repeats)]
            others = [figure(x) for x in (one.first_call, one.importing, one.memory, one.gflops)]
            rows.append((escape(name), [*times, *counts, *others, share, Words(escape(one.note))]))
    return table("Every figure of the run", heads, rows) if rows else ""


def facts(caption: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Names with what belongs to them."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="words">{escape(value)}</td></tr>' for name, value in pairs
    )
    return _box(caption, f"<tbody>{body}</tbody>") if pairs else ""


def table(caption: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Rows of a name and cells, all HTML already; a row without cells is a heading for those after it."""
    wordy = {i + 1 for _, cells in rows for i, cell in enumerate(cells) if isinstance(cell, Words)}
    kinds = [' class="words"' if i in wordy else "" for i in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{escape(words)}</th>' for words, kind in zip(heads, kinds))
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(map(_cell, cells))}</tr>'
        if cells
        else f'</tbody><tbody><tr><th scope="rowgroup" colspan="{len(heads)}">{name}</th></tr>'
        for name, cells in rows
    )
    return _box(caption, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")


def _cell(inside: str) -> str:
    return f'<td class="words">{inside}</td>' if isinstance(inside, Words) else f"<td>{inside}</td>"


def _box(caption: str, inside: str) -> str:
    """A table in a box that scrolls by itself, for the keyboard too."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>{inside}</table></div>"
    )


def _time(row: Row, name: str, one: Measured | None) -> str:
    if one is None:
        return row.missing(name)
    quartiles = f"{milliseconds(one.low)} to {milliseconds(one.high)}"
    return _with(milliseconds(one.median), quartiles) if one.high > one.low else milliseconds(one.median)


def _with(value: str, more: str) -> str:
    return f"{value}<small>{more}</small>"
