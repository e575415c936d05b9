"""What a task reports: scores beside those of an honest baseline, and a picture. Must not know any task."""

import io
from dataclasses import dataclass
from typing import Any

from tinynet.training import History

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8c8c8c"
"""Of the pictures: told apart by everyone, and in print."""


@dataclass(frozen=True)
class Score:
    """One number that says how good a model is, beside that of the baseline.

    Attributes:
        metric: what is measured, in words.
        baseline, reached: by the baseline, by the model.
        limit: what no model can do better than, where that is known.
        form: how the numbers are written.
        lower_is_better: as for an error; a share that is right is better the larger it is.
    """

    metric: str
    baseline: float
    reached: float
    limit: float | None = None
    form: str = ".1%"
    lower_is_better: bool = False

    @property
    def beaten(self) -> bool:
        """Whether the model is better than the baseline."""
        return self.reached < self.baseline if self.lower_is_better else self.reached > self.baseline


@dataclass(frozen=True)
class Result:
    """What came of a task; print it.

    Attributes:
        scores: what was measured on data that the model has not trained on.
        baseline: what the baseline does, in words.
        history: of the training.
        figure: what the model predicts, a matplotlib figure.
    """

    scores: tuple[Score, ...]
    baseline: str
    history: History
    figure: Any

    def picture(self, kind: str = "png") -> bytes:
        """The figure as the bytes of a picture file."""
        out = io.BytesIO()
        self.figure.savefig(out, format=kind, dpi=130)
        return out.getvalue()

    def _repr_png_(self) -> bytes:
        return self.picture()

    def __str__(self) -> str:
        limits = any(score.limit is not None for score in self.scores)
        rows = [["metric", "baseline", "reached", *(["best possible"] if limits else [])]]
        for score in self.scores:
            numbers = (score.baseline, score.reached, score.limit)[: 3 if limits else 2]
            rows.append([score.metric, *("" if n is None else format(n, score.form) for n in numbers)])
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [f"{row[0]:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in zip(row[1:], widths[1:])) for row in rows]
        seconds = sum(row["seconds"] for row in self.history.epochs)
        return "\n".join([*map(str.rstrip, lines), f"baseline: {self.baseline}; trained for {seconds:.1f} s"])
