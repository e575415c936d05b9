"""Progress: what a run shows while it lasts. In a terminal a bar, in a notebook a line that updates itself, in a log
file a line an epoch, or nothing."""

import sys
import time
from typing import Any

from tinynet.errors import ArgumentError

REDRAW = 0.1  # seconds; reading a loss more often would make a GPU wait


class Progress:
    """Shows nothing; the base of the others.

    Args:
        epochs, batches: how many epochs, and batches in each.
    """

    def __init__(self, epochs: int, batches: int) -> None:
        self.epochs, self.batches = epochs, batches
        self._drawn = 0.0

    def due(self) -> bool:
        """Whether it is time to draw again."""
        now = time.perf_counter()
        if now - self._drawn < REDRAW:
            return False
        self._drawn = now
        return True

    def batch(self, epoch: int, batch: int, text: str) -> None:
        """So many batches of this epoch are done."""

    def epoch(self, text: str) -> None:
        """An epoch is over."""

    def say(self, text: str) -> None:
        """Something worth a line of its own."""

    def close(self) -> None:
        """The run is over, however it ended."""


class _Silent(Progress):
    def due(self) -> bool:
        return False


class _Log(Progress):
    """A line an epoch, for files and pipes."""

    def due(self) -> bool:
        return False

    def epoch(self, text: str) -> None:
        print(text, flush=True)

    say = epoch


class _Terminal(Progress):
    """A bar with the time left, by rich, and a line an epoch above it."""

    def __init__(self, epochs: int, batches: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        super().__init__(epochs, batches)
        columns = ("{task.description}", BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Bar(*columns, TextColumn("{task.fields[text]}", markup=False), transient=True)
        self.task = self.bar.add_task("training", total=epochs * batches, text="")
        self.bar.start()

    def batch(self, epoch: int, batch: int, text: str) -> None:
        description = f"epoch {epoch + 1}/{self.epochs}"
        self.bar.update(self.task, completed=epoch * self.batches + batch, description=description, text=text)

    def epoch(self, text: str) -> None:
        self.bar.console.print(text, markup=False, highlight=False)

    say = epoch

    def close(self) -> None:
        self.bar.stop()


class _Notebook(Progress):
    """One line that updates itself, kept when the notebook is saved; it needs no extra package."""

    def __init__(self, epochs: int, batches: int) -> None:
        from IPython.display import HTML, display

        super().__init__(epochs, batches)
        self.html = HTML
        self.handle: Any = display(HTML(""), display_id=True)
        self.lines: list[str] = []

    def batch(self, epoch: int, batch: int, text: str) -> None:
        import html

        done = epoch * self.batches + batch
        bar = f'<progress value="{done}" max="{max(self.epochs * self.batches, 1)}"></progress>'
        lines = "\n".join(self.lines)
        shown = html.escape(f"{lines}\n" if lines else "")
        self.handle.update(self.html(f"<pre>{shown}</pre>{bar} epoch {epoch + 1}/{self.epochs} {html.escape(text)}"))

    def epoch(self, text: str) -> None:
        import html

        self.lines.append(text)
        self.handle.update(self.html(f"<pre>{html.escape(chr(10).join(self.lines))}</pre>"))

    say = epoch


def make_progress(wanted: bool | str, epochs: int, batches: int) -> Progress:
    """The fitting kind: True looks where the output goes, False is silent, ``"log"`` is a line an epoch."""
    if wanted not in (True, False, "log"):
        raise ArgumentError(f"fit(progress={wanted!r}): choose True, False or 'log'.")
    if not wanted:
        return _Silent(epochs, batches)
    if wanted is True and "ipykernel" in sys.modules:
        return _Notebook(epochs, batches)
    if wanted is True and sys.stdout.isatty():
        return _Terminal(epochs, batches)
    return _Log(epochs, batches)
