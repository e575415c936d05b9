"""The report's tables as HTML: every head names a unit, every row its workload, and a wide one scrolls in its own box.

Apart from the page, which only places them. Each takes the reading and is empty where there is nothing to show.
"""

from collections.abc import Sequence
from html import escape

from tinynet.bench.report.reading import MAIN, Measured, Reading, Row
from tinynet.bench.report.units import NONE, amount, figure, milliseconds, percent, times


def ratios(found: Reading) -> str:
    """Times in milliseconds, the ratio best peer / tinynet with its verdict, and what a replay costs over the floor."""
    others = [c.name for c in found.of("tinynet") if c.name != MAIN]
    peers = [c.name for c in found.of("peer")]
    heads = [MAIN + ", ms (quartiles)", *(f"{name}, ms" for name in others + peers)]
    heads += ["best peer / tinynet, ×", "replay / floor, ×"]
    rows = []
    for row in found.rows:
        ours = row.measured.get(MAIN)
        verdict = f"<small>{escape(row.verdict)}</small>" if row.verdict else ""
        rows.append((
            _workload(row),
            [
                _time(row, MAIN, ours),
                *(_time(row, name, row.measured.get(name)) for name in others + peers),
                f"<b>{times(row.ratio)}</b>{verdict}", times(row.floor_ratio),
            ],
        ))  # fmt: skip
    return table("Time of a step, milliseconds, and ratios", ["workload", *heads], rows)


def memory(found: Reading) -> str:
    """MB at the peak of a step, by contender, and tinynet's share of PyTorch's."""
    names = [c.name for c in found.of("tinynet", "peer", "floor")]
    names = [name for name in names if any(row.value(name, "memory") is not None for row in found.rows)]
    pytorch = found.pytorch
    compared = MAIN in names and pytorch in names
    rows = []
    for row in found.rows:
        cells = [figure(row.value(name, "memory")) for name in names]
        if compared:
            ours, theirs = (row.value(name, "memory") for name in (MAIN, pytorch))
            cells.append(times(ours / theirs) if ours is not None and theirs else NONE)
        rows.append((escape(row.name), cells))
    heads = [f"{name}, MB" for name in names] + [f"{MAIN} / {pytorch}, ×"] * compared
    return table("Memory at the peak of a step, MB", ["workload", *heads], rows) if names else ""


def rates(found: Reading) -> str:
    """GFLOP/s by contender with its share of the machine's rate, and the operations of a step."""
    names = [c.name for c in found.of("tinynet", "peer", "floor")]
    names = [name for name in names if any(row.value(name, "gflops") is not None for row in found.rows)]
    rows = []
    for row in found.rows:
        cells = [NONE if row.flop is None else figure(row.flop / 1e6)]
        for name in names:
            one = row.measured.get(name)
            cells.append(NONE if one is None or one.gflops is None else _with(figure(one.gflops), percent(one.share)))
        rows.append((escape(row.name), cells))
    heads = ["million operations a step", *(f"{name}, GFLOP/s (share of GEMM, %)" for name in names)]
    return table("Arithmetic rate of a step", ["workload", *heads], rows) if names else ""


def starts(found: Reading) -> str:
    """Seconds to import each library, and seconds of the first call of each workload's step."""
    names = [c.name for c in found.of("tinynet", "peer")]
    rows = []
    imports = [[row.value(name, "importing") for row in found.rows] for name in names]
    known = [sorted(x for x in seconds if x is not None) for seconds in imports]
    if any(known):
        rows.append(("importing the library", [figure(x[len(x) // 2] if x else None) for x in known]))
    for row in found.rows:
        cells = [figure(row.value(name, "first_call")) for name in names]
        if any(cell != NONE for cell in cells):
            rows.append((f"first call, {escape(row.name)}", cells))
    return table("Before the first step, seconds", ["what", *(f"{name}, s" for name in names)], rows) if rows else ""


def everything(found: Reading) -> str:
    """Every contender on every workload with all its figures."""
    heads = [
        "workload", "contender", "median, ms", "lower quartile, ms", "upper quartile, ms", "rounds, count",
        "steps a round, count", "first call, s", "import, s", "memory, MB", "GFLOP/s", "share of GEMM, %", "note",
    ]  # fmt: skip
    rows = []
    for row in found.rows:
        for name, one in row.measured.items():
            cells = [
                escape(name), milliseconds(one.median), milliseconds(one.low), milliseconds(one.high),
                amount(one.rounds), amount(one.repeats), figure(one.first_call), figure(one.importing),
                figure(one.memory), figure(one.gflops),
                NONE if one.share is None else figure(100 * one.share), f"\0{escape(one.note)}",
            ]  # fmt: skip
            rows.append((escape(row.name), cells))
    return table("Every figure of the run", heads, rows) if rows else ""


def facts(caption: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Names with what belongs to them."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="words">{escape(value)}</td></tr>' for name, value in pairs
    )
    return _box(caption, f"<tbody>{body}</tbody>") if pairs else ""


def table(caption: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Rows of cells, which are HTML already; a cell that begins with a null character holds words, not a number."""
    head = "".join(f'<th scope="col">{escape(words)}</th>' for words in heads)
    body = "".join(f'<tr><th scope="row">{name}</th>{"".join(map(_cell, cells))}</tr>' for name, cells in rows)
    return _box(caption, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")


def _cell(words: str) -> str:
    return f'<td class="words">{words[1:]}</td>' if words.startswith("\0") else f"<td>{words}</td>"


def _box(caption: str, inside: str) -> str:
    """A table in a box that scrolls by itself, for the keyboard too."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>{inside}</table></div>"
    )


def _workload(row: Row) -> str:
    weights = "" if row.parameters is None else f"{amount(row.parameters)} parameters"
    about = ", ".join(filter(None, [row.what, weights]))
    return f"{escape(row.name)}<small>{escape(about)}</small>" if about else escape(row.name)


def _time(row: Row, name: str, one: Measured | None) -> str:
    if one is None:
        return "failed" if name in row.errors else NONE
    return _with(milliseconds(one.median), f"{milliseconds(one.low)} to {milliseconds(one.high)}")


def _with(value: str, more: str) -> str:
    return f"{value}<small>{more}</small>"
