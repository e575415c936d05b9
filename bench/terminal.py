"""The table that `tinynet bench` prints while it measures: apart from the reports, which are made of a whole result."""

import re
from typing import Any

from tinynet.bench.contenders import Contender


class Table:
    """The table in the terminal: a row a workload, a column a contender, milliseconds a step."""

    def __init__(self, present: list[Contender]) -> None:
        self.names = [c.name for c in present]
        self.widths = [max(10, len(name)) for name in self.names]

    def head(self) -> str:
        """The names of the columns, and the line under them."""
        names = self._row("ms a step", self.names, "best peer / tinynet")
        return f"{names}\n{re.sub('[^|]', '-', names)}"

    def lines(self, part: dict[str, Any]) -> list[str]:
        """A workload's row, and a line for each contender that failed on it."""
        results = part["results"]
        cells = [self._cell(results.get(name)) for name in self.names]
        failed = [f"  {name}: {result['error']}" for name, result in results.items() if "error" in result]
        return [self._row(part["name"], cells, f"{part['ratio']:.2f}×" if part["ratio"] else "–"), *failed]

    def _cell(self, result: dict[str, Any] | None) -> str:
        if result is None:
            return "–"
        return "error" if "error" in result else f"{result['median_s'] * 1e3:.4g}"

    def _row(self, name: str, cells: list[str], last: str) -> str:
        middle = " | ".join(f"{cell:>{width}}" for cell, width in zip(cells, self.widths))
        return f"| {name:<12} | {middle} | {last:>19} |"
