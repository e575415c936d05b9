"""A result as the short table of the README: a row a workload, milliseconds, ratios and memory.

Apart from the Markdown of a whole run, which has quartiles, what was absent and how it was measured.
"""

import re
from collections.abc import Mapping
from typing import Any

from tinynet.bench.report.how import PRODUCTS
from tinynet.bench.report.markdown import code, safe
from tinynet.bench.report.reading import Reading, Row, read, text
from tinynet.bench.report.units import NONE, figure, milliseconds
from tinynet.bench.report.words import machine

LIBRARIES = {"torch": "PyTorch", "jax": "JAX", "numpy": "NumPy", "cupy-cuda12x": "CuPy", "cupy-cuda13x": "CuPy"}


def summary_table(result: Mapping[str, Any]) -> str:
    """Where it was measured, in a sentence, and the table; contenders that measured nothing have no column."""
    found = read(result)
    others = [c.name for c in found.of("peer")]
    floor = any(row.floor_ratio is not None for row in found.rows)
    pytorch = found.pytorch
    heads = ["workload", safe(found.us), *map(safe, others), "best peer / tinynet", *["replay / floor"] * floor]
    heads += [f"memory, MB: tinynet{' / PyTorch' if pytorch else ''}"]
    lines = [heads, ["---"] * len(heads)]
    for row in found.rows:
        memory = [figure(row.value(name, "memory")) for name in filter(None, (found.ours, pytorch))]
        lines.append([
            safe(row.name), *(_cell(row, name) for name in (found.ours, *others)), _ratio(row.ratio),
            *[_ratio(row.floor_ratio)] * floor, " / ".join(memory),
        ])  # fmt: skip
    return "\n".join([_where(found), "", *(f"| {' | '.join(cells)} |" for cells in lines)]) + "\n"


def _where(found: Reading) -> str:
    versions = ", ".join(f"{LIBRARIES[name]} {v}" for name, v in found.versions.items() if name in LIBRARIES)
    products = f"; matrix products {PRODUCTS.get(found.precision, found.precision)}" if found.on_gpu else ""
    command = re.sub(
        r" --(json|markdown|report|compare) \S+", "", found.command
    )  # where to, which nobody needs to know
    parts = [safe(machine(found)), safe(versions), code(command) if command else ""]
    broken = " The run was interrupted." if found.interrupted else ""
    when = f" {text(found.began)[:10]}" if found.began else ""
    return f"Milliseconds a step, medians,{when} on {'; '.join(filter(None, parts))}{products}.{broken}"


def _cell(row: Row, name: str) -> str:
    one = row.measured.get(name)
    return row.missing(name) if one is None else milliseconds(one.median)


def _ratio(ratio: float | None) -> str:
    return NONE if ratio is None else f"{ratio:.2f}"
