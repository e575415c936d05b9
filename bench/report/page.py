"""A result as one page for somebody who did not build it: what was measured, how, and what came of it.

The page carries everything with it: no network, no script, no font from elsewhere. It is read in light and in dark, on
a desk, on a phone and on paper. The frame and its colours stand in ``page.html``, the figures in ``tables`` and
``pictures``; this file places them and says what they mean.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from tinynet.bench.report import crossings, pictures, tables
from tinynet.bench.report.answers import gpu_answer
from tinynet.bench.report.chart import NARROW, both
from tinynet.bench.report.how import bound, how, products, topics
from tinynet.bench.report.reading import Reading, positive, read, text
from tinynet.bench.report.units import NONE, duration, figure, times
from tinynet.bench.report.words import blas, environment, gpu, machine, summary, versions
from tinynet.explain.notation import counted

TITLE = "A training step of tinynet beside other libraries"
CURVE = 452  # pixels: two such pictures stand side by side


def page(result: Mapping[str, Any]) -> str:
    """The whole page; whatever the run did not measure is left out, and what was absent or failed is said."""
    found = read(result)
    sections = [
        _head(found), _how(found), _ratios(found), _times(found), _rates(found), _memory(found), _starts(found),
        _crossovers(found), _gpu(found, text(result.get("gpu_answer")) or gpu_answer(result)), _missing(found),
        _made(found), _everything(found),
    ]  # fmt: skip
    template = Template(files("tinynet.bench.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(title=escape(TITLE), body="\n".join(filter(None, sections)))


def _head(found: Reading) -> str:
    compared = [row for row in found.rows if row.ratio is not None]
    ratios = sorted(row.ratio for row in compared if row.ratio is not None)
    floors = [row.floor_ratio for row in found.rows if row.floor_ratio is not None]
    shown = {"workloads": str(len(found.rows))}
    if ratios:
        shown |= {
            "faster than the best peer": f"{sum(row.verdict == 'faster' for row in compared)} of {len(compared)}",
            "best peer / tinynet, lowest": times(ratios[0]),
            "best peer / tinynet, highest": times(ratios[-1]),
        }
    if floors:
        shown["replay / floor, highest"] = times(max(floors))
    if found.seconds is not None:
        shown["whole run"] = duration(found.seconds)
    boxes = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown.items())
    warning = (
        '<p class="warning">The run was interrupted: this page shows what was measured until then.</p>'
        if found.interrupted
        else ""
    )
    options = " ".join(f"<span>{escape(part)}</span>" for part in re.split(r" (?=--)", found.command))
    command = (
        f"<p>This line does it again:</p><pre>{escape(environment(found))}{options}</pre>" if found.command else ""
    )
    return (
        f"<header><h1>{escape(TITLE)}</h1>"
        f'<p class="soft">{escape(_when(found))}</p>'
        f'</header>{warning}<dl class="figures">{boxes}</dl><p>{escape(summary(found))}</p>{command}'
    )


def _when(found: Reading) -> str:
    """When and where, in a line."""
    when = f" {found.began.replace('T', ', ').replace('Z', ' UTC')}" if found.began else ""
    where = machine(found)
    return f"Measured{when} on {'a machine that was not noted' if where == NONE else where}"


def _how(found: Reading) -> str:
    return _section("What was measured, and how", _list(how(found)) + tables.workloads(found))


def _ratios(found: Reading) -> str:
    if not found.rows:
        return _section("Ratios", "<p>No workload was measured.</p>")
    drawn = both("ratios", partial(pictures.ratios, found))
    words = (
        f"<p>Right of the line {escape(found.us)} is faster than the fastest peer, left of it slower. The whisker is "
        "what the quartiles of both allow; where it touches the line, the two are called level. An empty dot is "
        "another peer.</p>"
    )
    return _section("Ratios", (words + _figure(drawn) if drawn else "") + tables.ratios(found))


def _times(found: Reading) -> str:
    drawn = both("times", partial(pictures.step_times, found))
    words = "<p>The median of a step, with a whisker from the lower to the upper quartile.</p>"
    return _section("Time of a step", words + _key(found) + _figure(drawn)) if drawn else ""


def _rates(found: Reading) -> str:
    drawn = both("rates", partial(pictures.rates, found))
    listed = tables.rates(found)
    if not listed:
        return ""
    sizes = "of {}" if found.on_gpu else "on {}"
    rates = " and ".join(f"{figure(rate)} GFLOP/s {sizes.format(name)}" for name, rate in found.gemm.items())
    gemm = f" This {'card' if found.on_gpu else 'machine'} multiplies matrices at {rates}." if rates else ""
    words = (
        "<p>How much arithmetic a second a step does, in GFLOP/s: thousand million floating-point operations of its "
        f"matrix products a second.{escape(gemm)} Small networks are far below that rate because their steps are made "
        "of many small operations, whose calls cost more than their arithmetic.</p>"
    )
    near = bound(found)
    decided = f"<p>Where matrix products decide the time of a step:</p>{_list(near)}" if near else ""
    return _section("Arithmetic", words + _figure(drawn) + decided + listed)


def _memory(found: Reading) -> str:
    listed = tables.memory(found)
    return _section("Memory", f"<p>{escape(topics(found)['memory'])}</p>{listed}") if listed else ""


def _starts(found: Reading) -> str:
    words = (
        "<p>What happens once: importing the library, and the first call of a step, which records or compiles it. "
        "Neither is in the times above.</p>"
    )
    listed = tables.starts(found)
    return _section("Before the first step", words + listed) if listed else ""


def _crossovers(found: Reading) -> str:
    drawn = [(i, curve) for i, curve in enumerate(found.crossovers) if crossings.curves(curve)]
    if not drawn:
        return ""
    parts = []
    for i, curve in drawn:
        wide, narrow = (crossings.picture(curve, f"crossing-{i}-{width}", width) for width in (CURVE, NARROW))
        parts.append(
            f'<div><h3>{escape(crossings.heading(curve))}</h3><figure class="short"><div class="wide">{wide}</div>'
            f'<div class="narrow">{narrow}</div></figure>{_list(crossings.sentences(curve))}</div>'
        )
    words = (
        "<p>The same small network on each engine of tinynet, at growing sizes; lower is faster. Each line of the grid "
        "is ten times the one below.</p>"
    )
    return _section("Where one engine overtakes another", f'{words}<div class="pictures">{"".join(parts)}</div>')


def _gpu(found: Reading, answer: str) -> str:
    """The answer as paragraphs and lists, its commands set apart."""
    blocks = []
    for block in answer.split("\n\n"):
        lines = block.split("\n")
        said = " ".join(line for line in lines if not line.startswith("- "))
        blocks += [f"<p>{_coded(said)}</p>"] if said else []
        blocks.append(_list([line.removeprefix("- ") for line in lines if line.startswith("- ")]))
    return _section("Why is my GPU slower here?", "".join(blocks))


def _missing(found: Reading) -> str:
    absent = [(c.name, c.why_absent) for c in found.absent]
    failed = [(f"{name} on {row.name}", error) for row in found.rows for name, error in row.errors.items()]
    none = "" if absent or failed else "<p>Every contender was there, and none failed.</p>"
    listed = tables.facts("Who was absent, and why", absent) + tables.facts(
        "What was left out or failed, and why", failed
    )
    return _section("What is not in this report", none + listed)


def _made(found: Reading) -> str:
    memory = positive(found.machine.get("memory_gb"))
    pairs = [
        ("processor", text(found.machine.get("processor"))),
        ("cores", text(found.machine.get("cores"))),
        ("memory", f"{figure(memory)} GB" if memory else ""),
        ("system", text(found.machine.get("system"))),
        ("matrix products by", blas(found)),
        *((f"GEMM, {name}", f"{figure(rate)} GFLOP/s") for name, rate in found.gemm.items()),
        ("GPU", gpu(found).removeprefix("GPU: ")),
        *(("GEMM of the GPU", line) for line in products(found)),
        ("versions", versions(found)),
        ("command", environment(found) + found.command if found.command else ""),
        ("began", found.began),
        ("took", "" if found.seconds is None else duration(found.seconds)),
    ]
    who = [(c.name, c.what) for c in found.contenders if c.what]
    shown = [(name, value) for name, value in pairs if value and value != NONE]
    return _section(
        "Machine, versions, command", tables.facts("How it was measured", shown) + tables.facts("Who took part", who)
    )


def _everything(found: Reading) -> str:
    listed = tables.everything(found)
    steps = counted(sum(len(row.measured) for row in found.rows), "measurement")
    return (
        _section("Every figure", f"<p>All {steps}, as the JSON file has them, rounded.</p>{listed}") if listed else ""
    )


# --- pieces -----------------------------------------------------------------------------------------------------------


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>"


def _list(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{_coded(item)}</li>' for item in items)}</ul>" if items else ""


def _coded(words: str) -> str:
    """Words, and between backquotes a command."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(words))


def _figure(drawn: str) -> str:
    return f"<figure>{drawn}</figure>" if drawn else ""


def _key(found: Reading) -> str:
    """What the colours of the bars mean, those that occur."""
    meaning: dict[str, Callable[[], bool]] = {
        "tinynet": lambda: any(c.name == found.ours for c in found.of("tinynet")),
        "engine": lambda: any(c.name != found.ours for c in found.of("tinynet")),
        "peer": lambda: bool(found.of("peer")),
        "floor": lambda: bool(found.of("floor")),
    }
    words = {
        "tinynet": found.us, "engine": "other ways of tinynet", "peer": "other libraries",
        "floor": "floor: the same NumPy calls written by hand",
    }  # fmt: skip
    items = "".join(
        f'<li><svg width="14" height="12" aria-hidden="true"><rect class="{kind}" x="1" y="1" width="12" height="10"/>'
        f"</svg>{escape(words[kind])}</li>"
        for kind, occurs in meaning.items()
        if occurs()
    )
    return f'<ul class="key">{items}</ul>'
