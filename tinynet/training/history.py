"""History: what a training run went through, epoch by epoch; as a table, as JSON, as a picture."""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinynet.errors import ArgumentError, CheckpointError
from tinynet.files import write_bytes


@dataclass
class History:
    """A row of numbers for each epoch.

    Attributes:
        epochs: for each epoch its ``epoch`` (from 1), ``loss``, metrics, the same with ``val_`` in front for the
            validation set, ``lr``, ``seconds`` and ``samples_per_second``.
        notes: what the trainer or a callback had to say, such as a warning of overfitting.
        stopped: why training ended: ``"epochs"``, ``"early stopping"``, ``"interrupted"``; empty while it runs.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stopped: str = ""

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, name: str) -> list[float]:
        """One number over all epochs: ``history["val_loss"]``."""
        if self.epochs and not any(name in row for row in self.epochs):
            raise ArgumentError(f"history[{name!r}]: there is no such number; there are {', '.join(self.epochs[-1])}.")
        return [row[name] for row in self.epochs if name in row]

    def best(self, name: str = "val_loss", largest: bool | None = None) -> dict[str, float]:
        """The row of the epoch in which a number was best: an accuracy largest, any other smallest, or as you say."""
        if not self.epochs:
            raise ArgumentError("this history has no epochs yet.")
        self[name]
        largest = "accuracy" in name if largest is None else largest
        worst = -math.inf if largest else math.inf
        rows = [row for row in self.epochs if name in row]
        return (max if largest else min)(rows, key=lambda row: worst if math.isnan(row[name]) else row[name])

    # --- as a file ----------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Everything as JSON."""
        return json.dumps({"epochs": self.epochs, "notes": self.notes, "stopped": self.stopped}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "History":
        """The history that ``to_json`` wrote."""
        try:
            read = json.loads(text)
            return cls([dict(row) for row in read["epochs"]], list(read["notes"]), str(read["stopped"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"this is not a history that tinynet wrote ({error!r}).") from error

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as JSON (``.json``) or as a learning-curve picture (``.png``, ``.svg``, ``.pdf``)."""
        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".json":
            return write_bytes(path, self.to_json().encode())
        if kind in (".png", ".svg", ".pdf"):
            return write_bytes(path, self.picture(kind[1:]))
        raise ArgumentError(f"a history is saved as .json, .png, .svg or .pdf; got {path.name!r}.")

    # --- as a picture -------------------------------------------------------------------------------------------------

    def plot(self, figure: Any = None, stacked: bool = False) -> Any:
        """The learning curves as a matplotlib figure: the loss, and the first metric, if any, beside it or below it."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        skip = {"epoch", "loss", "lr", "seconds", "samples_per_second"}
        metrics = [k for k in (self.epochs[0] if self.epochs else {}) if k not in skip and not k.startswith("val_")]
        shown = ["loss", *metrics[:1]]
        rows_and_columns = (len(shown), 1) if stacked else (1, len(shown))
        size = (4.6 * rows_and_columns[1], 3.4 * rows_and_columns[0])
        figure = figure or Figure(figsize=size, layout="constrained")
        for name, axes in zip(shown, figure.subplots(*rows_and_columns, squeeze=False).flat):
            for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
                rows = [row for row in self.epochs if key in row]
                if rows:
                    mark = "o" if len(rows) < 20 else None
                    axes.plot(
                        [r["epoch"] for r in rows],
                        [r[key] for r in rows],
                        style,
                        label=label,
                        marker=mark,
                        markersize=3,
                    )
            axes.set(xlabel="epoch", ylabel=name)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.25)
            if axes.lines:
                axes.legend(frameon=False)
        return figure

    def picture(self, kind: str = "png") -> bytes:
        """The learning curves as the bytes of a picture file."""
        import io

        out = io.BytesIO()
        self.plot().savefig(out, format=kind, dpi=150)
        return out.getvalue()

    def _repr_png_(self) -> bytes | None:
        return self.picture() if self.epochs else None

    def __str__(self) -> str:
        if not self.epochs:
            return "History: no epochs yet"
        names = [k for k in self.epochs[-1] if k not in ("samples_per_second",)]
        rows = [[f"{row.get(k, float('nan')):.6g}" for k in names] for row in self.epochs]
        widths = [max(len(k), *(len(row[i]) for row in rows)) for i, k in enumerate(names)]
        lines = ["  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths)) for row in [names, *rows]]
        return "\n".join([*lines, *self.notes])
