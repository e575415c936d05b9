"""What was reached, kept in a file and written as a table: ``reproduce.json`` and ``reproduce.md`` in one folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinynet
from tinynet.errors import FileError
from tinynet.files import write_bytes
from tinynet.reproduce.published import Published


@dataclass(frozen=True)
class Reached:
    """One run: what it reached, how, and how long it took in seconds."""

    name: str
    reached: float
    quick: bool
    seed: int
    seconds: float
    backend: str = "numpy"
    versions: str = f"tinynet {tinynet.__version__}, NumPy {np.__version__}"

    @property
    def command(self) -> str:
        """The command line that runs it again."""
        seed = f" --seed {self.seed}" if self.seed else ""
        backend = f" --backend {self.backend}" if self.backend != "numpy" else ""
        return f"tinynet reproduce {self.name}{' --quick' if self.quick else ''}{seed}{backend}"


class Book:
    """The runs of a folder; the last full and the last quick run of each result are kept.

    Raises:
        FileError: the folder's file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: dict[tuple[str, bool], Reached] = {}
        path = folder / "reproduce.json"
        if path.exists():
            try:
                rows = json.loads(path.read_text("utf-8"))
                self.runs = {(row["name"], row["quick"]): Reached(**row) for row in rows}
            except (ValueError, TypeError, KeyError) as error:
                raise FileError(
                    f"Reading {path}: it is no list of runs ({error}). Move it away, or name another folder with --out."
                ) from error

    def add(self, run: Reached, results: dict[str, Published]) -> None:
        """Keep a run, and write both files."""
        self.runs[run.name, run.quick] = run
        rows = [asdict(kept) for kept in self.runs.values()]
        write_bytes(self.folder / "reproduce.json", (json.dumps(rows, indent=1) + "\n").encode())
        write_bytes(self.folder / "reproduce.md", self.table(results).encode())

    def table(self, results: dict[str, Published]) -> str:
        """Markdown: published, reached, command; a full run where there is one, else a quick one, else neither."""
        lines = ["| published | reached | command |", "|---|---|---|"]
        for result in results.values():
            run = self.runs.get((result.name, False)) or self.runs.get((result.name, True))
            figure = result.figure or "no figure published"
            reached = "not run"
            if run is not None:
                missed = "" if result.good(run.reached, run.quick) else ", below what is expected"
                kind = " in a quick run" if run.quick else ""
                reached = f"{result.words(run.reached)}{kind}{missed}, {duration(run.seconds)}"
            command = run.command if run else f"tinynet reproduce {result.name}"
            lines.append(f"| {result.source}: {result.setting}: {figure} | {reached} | `{command}` |")
        return "\n".join(lines) + "\n"


def duration(seconds: Any) -> str:
    """Seconds, or minutes, in words."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
