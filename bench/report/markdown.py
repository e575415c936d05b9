"""A result as Markdown, to be pasted into a README or an issue.

Apart from the page, which shows more; both take their figures from ``reading`` and write them as ``units`` says.
"""

import re
from collections.abc import Mapping
from typing import Any

from tinynet.bench.report.how import bound, how, products
from tinynet.bench.report.reading import Measured, Reading, Row, read
from tinynet.bench.report.units import NONE, duration, figure, milliseconds, percent, times
from tinynet.bench.report.words import environment, machine, summary, versions


def markdown(result: Mapping[str, Any]) -> str:
    """The result as a table with a heading before it and, after it, what was absent, what failed and how to read it."""
    found = read(result)
    blocks = [
        "## A training step of tinynet beside other libraries",
        "  \n".join(filter(None, _made(found))),
        safe(summary(found)),
        _table(found),
        _products(found),
        _list("Absent", [f"{safe(c.name)}: {safe(c.why_absent)}" for c in found.absent]),
        _list(
            "Left out or failed",
            [f"{safe(row.name)}, {safe(n)}: {safe(e)}" for row in found.rows for n, e in row.errors.items()],
        ),
        _list("Where matrix products decide", [safe(line) for line in bound(found)]),
        _list("How to read this", [safe(line) for line in how(found)]),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _made(found: Reading) -> list[str]:
    """Machine, versions, command and date, a line each."""
    when = ", ".join(filter(None, [found.began, f"took {duration(found.seconds)}" if found.seconds else ""]))
    return [
        f"**Machine**: {safe(machine(found))}",
        f"**Versions**: {safe(versions(found))}",
        f"**Command**: {code(environment(found) + found.command)}" if found.command else "",
        f"**Measured**: {safe(when)}{' (interrupted: what was measured until then)' * found.interrupted}"
        if when
        else "",
    ]


def _table(found: Reading) -> str:
    others = [c.name for c in found.of("tinynet") if c.name != found.ours]
    peers = [c.name for c in found.of("peer")]
    pytorch, floors = found.pytorch, not found.on_gpu
    heads = [
        "workload", "best peer / tinynet, ×", *["replay / floor, ×"] * floors, f"{found.ours}, ms (quartiles)",
        *(f"{safe(name)}, ms" for name in others + peers), "tinynet, GFLOP/s (share of GEMM, %)",
        f"memory tinynet / {safe(pytorch) or 'PyTorch'}, MB",
    ]  # fmt: skip
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for row in found.rows:
        ours = row.measured.get(found.ours)
        lines.append([
            safe(row.name), _ratio(row), *[times(row.floor_ratio)] * floors, _time(row, found.ours),
            *(_other(row, name) for name in others + peers), _rate(ours),
            " / ".join(figure(row.value(name, "memory")) for name in (found.ours, pytorch)),
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) if found.rows else "No workload was measured."


def _products(found: Reading) -> str:
    """How fast the card multiplies matrices: a line each, for one table would not fit another."""
    return _list("Matrix products of this card", [safe(line) for line in products(found)])


def _time(row: Row, name: str) -> str:
    one = row.measured.get(name)
    if one is None:
        return row.missing(name)
    quartiles = f" ({milliseconds(one.low)} to {milliseconds(one.high)})" if one.high > one.low else ""
    return milliseconds(one.median) + quartiles


def _other(row: Row, name: str) -> str:
    return milliseconds(row.measured[name].median) if name in row.measured else row.missing(name)


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return NONE
    return f"**{times(row.ratio)}** ({safe(row.best_peer)})" if row.best_peer else f"**{times(row.ratio)}**"


def _rate(one: Measured | None) -> str:
    if one is None or one.gflops is None:
        return NONE
    return figure(one.gflops) if one.share is None else f"{figure(one.gflops)} ({percent(one.share)})"


def _list(title: str, items: list[str]) -> str:
    return "\n".join([f"**{title}**", "", *(f"- {item}" for item in items)]) if items else ""


def code(text: str) -> str:
    """A line of code, whatever backquotes stand in it."""
    line = " ".join(text.split())
    marks = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    return f"{marks}{line}{marks}" if marks == "`" else f"{marks} {line} {marks}"


def safe(text: str) -> str:
    """Text that Markdown, its tables and the HTML that it may carry leave as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", " ".join(text.split()))
