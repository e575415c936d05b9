"""A result of `tinynet bench` as the report reads it: whatever is missing, null or not a number becomes None.

Apart so that the Markdown, the page and the answers ask one place, and none of them breaks on a run that was cut short.
Must not know how anything is shown.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinynet.bench.contenders import OURS
from tinynet.bench.report.units import NONE


@dataclass(frozen=True)
class Contender:
    """Who was to run: its name, what it is in a line, where it computes, and why it was absent, if it was."""

    name: str
    role: str
    what: str
    present: bool
    why_absent: str
    device: str = "cpu"


@dataclass(frozen=True)
class Measured:
    """A contender's step of a workload: seconds, MB, GFLOP/s; ``low`` and ``high`` are the quartiles of the rounds,
    ``alone`` the time of a step whose end is waited for."""

    median: float
    low: float
    high: float
    rounds: int
    repeats: float | None
    first_call: float | None
    importing: float | None
    memory: float | None
    gflops: float | None
    share: float | None
    alone: float | None
    note: str

    @property
    def launches(self) -> int | None:
        """How many kernels a step calls, where the note says it: "27 calls", "27 kernel launches"."""
        found = re.search(r"(\d[\d,]*) (?:kernel |array |recorded )?(?:calls|launches|kernels)\b", self.note)
        return int(found[1].replace(",", "")) if found else None


@dataclass(frozen=True)
class Row:
    """A workload with all that was measured of it."""

    name: str
    what: str
    parameters: float | None
    batch: float | None
    flop: float | None
    measured: dict[str, Measured]
    errors: dict[str, str]
    best_peer: str
    ratio: float | None
    floor_ratio: float | None
    ours: str

    def value(self, contender: str, what: str) -> float | None:
        """A field of ``Measured``; None where the contender did not run."""
        return getattr(self.measured.get(contender), what, None)

    def spread(self, peer: str) -> tuple[float, float] | None:
        """The lowest and highest ratio peer / tinynet that the quartiles of both allow."""
        ours, theirs = self.measured.get(self.ours), self.measured.get(peer)
        return None if ours is None or theirs is None else (theirs.low / ours.high, theirs.high / ours.low)

    def missing(self, contender: str) -> str:
        """What stands in the place of a figure that is not there: left out, failed, or nothing at all."""
        error = self.errors.get(contender)
        return NONE if error is None else "left out" if "left out" in error else "failed"

    @property
    def verdict(self) -> str:
        """``faster``, ``slower``, or ``level`` where the quartiles allow both; empty where nothing was compared."""
        if self.ratio is None:
            return ""
        low, high = self.spread(self.best_peer) or (self.ratio, self.ratio)
        return "faster" if low > 1 else "slower" if high < 1 else "level"


@dataclass(frozen=True)
class Reading:
    """The whole result."""

    contenders: list[Contender]
    rows: list[Row]
    machine: Mapping[str, Any]
    versions: dict[str, str]
    command: str
    began: str
    seconds: float | None
    interrupted: bool
    crossovers: list[Mapping[str, Any]]
    ours: str
    precision: str

    @property
    def us(self) -> str:
        """Whose ratios they are, in words."""
        return "tinynet on NumPy" if self.ours == OURS else self.ours

    @property
    def on_gpu(self) -> bool:
        """Whether the ratios are of steps on a GPU."""
        return any(c.name == self.ours and c.device == "gpu" for c in self.contenders)

    @property
    def card(self) -> Mapping[str, Any]:
        """What is known of the GPU; empty where there is none."""
        return _mapping(self.machine.get("gpu"))

    def of(self, *roles: str) -> list[Contender]:
        """The contenders of these roles that measured something, in the order of the result."""
        ran = {name for row in self.rows for name in row.measured}
        return [c for c in self.contenders if c.role in roles and c.name in ran]

    @property
    def absent(self) -> list[Contender]:
        """Those that could not run."""
        return [c for c in self.contenders if not c.present]

    @property
    def pytorch(self) -> str:
        """The name of PyTorch's eager contender; empty where it did not run."""
        names = [c.name for c in self.of("peer") if "torch" in c.name.lower() and "compile" not in c.name.lower()]
        return names[0] if names else ""

    @property
    def gemm(self) -> dict[str, float]:
        """The rates of a matrix product where the ratios are from, GFLOP/s: the processor's by "one thread", "all
        threads", or the card's by the side of the matrices, in the precision of the run."""
        rates: Mapping[str, Any] = _mapping(self.machine.get("gemm_gflops"))
        if self.on_gpu:
            rows = [row for row in self.card_gemm if row["precision"] == self.precision]
            rates = {f"{row['side']} × {row['side']}": row.get("library") for row in rows}
        return {str(name): rate for name, found in rates.items() if (rate := positive(found)) is not None}

    @property
    def card_gemm(self) -> list[Mapping[str, Any]]:
        """The card's rates as they were measured: side, precision, and by library and tinynet GFLOP/s and error."""
        return [row for row in _list(self.card.get("gemm")) if positive(row.get("side")) and text(row.get("precision"))]


def read(result: Mapping[str, Any]) -> Reading:
    """A result of format 1, as far as it goes."""
    ours = text(result.get("ours")) or OURS
    rows = [_row(found, ours) for found in _list(result.get("workloads"))]
    contenders = [_contender(found) for found in _list(result.get("contenders"))]
    known = {c.name for c in contenders}
    unknown = dict.fromkeys(n for row in rows for n in (*row.measured, *row.errors) if n not in known)
    contenders += [Contender(n, "tinynet" if n.startswith("tinynet") else "peer", "", True, "") for n in unknown]
    return Reading(
        contenders,
        rows,
        _mapping(result.get("machine")),
        {str(name): str(version) for name, version in _mapping(result.get("versions")).items() if version},
        text(result.get("command")),
        text(result.get("began")),
        positive(result.get("seconds")),
        bool(result.get("interrupted")),
        _list(result.get("crossovers")),
        ours,
        text(result.get("precision")) or "float32",
    )


def number(x: Any) -> float | None:
    """A number that is not below zero; None for anything else."""
    usable = isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) and x >= 0
    return float(x) if usable else None


def positive(x: Any) -> float | None:
    """A number above zero; None for anything else."""
    return number(x) or None


def text(x: Any) -> str:
    """Words; empty for null."""
    return "" if x is None else str(x)


def _mapping(x: Any) -> Mapping[str, Any]:
    return x if isinstance(x, Mapping) else {}


def _list(x: Any) -> list[Mapping[str, Any]]:
    return [item for item in x if isinstance(item, Mapping)] if isinstance(x, list) else []


def _contender(found: Mapping[str, Any]) -> Contender:
    present = found.get("present") is not False
    why = text(found.get("why_absent")) or ("" if present else "no reason was given")
    device = text(found.get("device")) or "cpu"
    return Contender(text(found.get("name")), text(found.get("role")), text(found.get("what")), present, why, device)


def _row(found: Mapping[str, Any], ours: str) -> Row:
    measured, errors = {}, {}
    for name, one in _mapping(found.get("results")).items():
        one = _mapping(one)
        median = positive(one.get("median_s"))
        if median is None or one.get("error"):
            errors[str(name)] = text(one.get("error")) or "it gave no time"
            continue
        measured[str(name)] = Measured(
            median,
            positive(one.get("low_s")) or median,
            positive(one.get("high_s")) or median,
            len(one["rounds_s"]) if isinstance(one.get("rounds_s"), list) else 0,
            positive(one.get("repeats")),
            number(one.get("first_call_s")),
            number(one.get("import_s")),
            number(one.get("memory_mb")),
            positive(one.get("gflops")),
            positive(one.get("share_of_gemm")),
            positive(one.get("alone_s")),
            text(one.get("note")),
        )
    return Row(
        text(found.get("name")),
        text(found.get("what")),
        positive(found.get("parameters")),
        positive(found.get("batch")),
        positive(found.get("flop")),
        measured,
        errors,
        text(found.get("best_peer")),
        positive(found.get("ratio")),
        positive(found.get("floor_ratio")),
        ours,
    )
