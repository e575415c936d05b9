"""Pictures of arrays: maps side by side, or bars, each with a caption and a scale with numbers.

Blue is below 0, orange above it, and 0 is nearly white everywhere, so that one layer compares with the next; readers
who are colour-blind can tell the three apart. Must not know models: a panel is a title and numbers.
"""

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.errors import ArgumentError
from tinynet.explain.notation import clip, counted, number

Array = NDArray[Any]
DPI, WIDTH = 200, 1400  # pixels an inch; the widest row of maps, in pixels
MAPS, FILTERS, CHANNELS, BARS = 64, 16, 8, 100  # what is more is left out, and the caption says so
INK, LINE = "#1f2328", "#57606a"
FRAME, PAPER, UNKNOWN = (150, 160, 170), (255, 255, 255), (110, 110, 110)
ANCHORS = np.array([(6, 40, 92), (86, 150, 208), (250, 250, 250), (238, 148, 62), (120, 42, 0)])  # from −1 to 1


@dataclass(frozen=True)
class Panel:
    """A title, and numbers: (n,), (rows, columns), (maps, rows, columns), or filters (out, in, rows, columns)."""

    title: str
    values: Array

    @property
    def is_bars(self) -> bool:
        """Whether every unit has one number: a vector, or maps of one pixel."""
        return self.values.ndim < 2 or (self.values.ndim == 3 and self.values.shape[1:] == (1, 1))

    def caption(self) -> str:
        """The title, what is shown, and how much of it."""
        *counts, rows, columns = (1, 1, *self.values.shape)[-max(self.values.ndim, 2) :]
        if self.is_bars:
            told = _part(BARS, self.values.size, "number")
        elif self.values.ndim == 4 and counts[1] > 1:
            told = f"{_part(FILTERS, counts[0], 'filter')} of {rows} × {columns} across, "
            told += f"{_part(CHANNELS, counts[1], 'channel')} down"
        else:
            what = "filter" if self.values.ndim == 4 else "map"
            told = f"{_part(MAPS, counts[0], what)} of " if counts else ""
            told += f"{rows} × {columns}"
        lost = int((~np.isfinite(self.values)).sum())
        return f"{clip(self.title, 90)}: {told}" + (f" ({lost:,} not finite, in grey)" if lost else "")

    def shown(self) -> tuple[Array, int]:
        """The numbers that are shown, (maps, rows, columns), and how many maps stand in a row; bars are one map."""
        if self.is_bars:
            return self.values.reshape(1, 1, -1)[..., :BARS], 1
        rows, columns = self.values.shape[-2:]
        if self.values.ndim == 4 and self.values.shape[1] > 1:
            filters = self.values[:FILTERS, :CHANNELS].swapaxes(0, 1)
            return filters.reshape(-1, rows, columns), filters.shape[1]
        maps = self.values.reshape(-1, rows, columns)[:MAPS]
        lines = math.ceil(len(maps) * max(100, columns + 8) / WIDTH)
        return maps, math.ceil(len(maps) / lines)

    def pixels(self) -> Array:
        """The maps side by side, each in a thin frame, every number a block of pixels; for bars, blank room.

        Of more numbers than there are pixels, 1,392 across and 480 down, some are passed over.
        """
        maps, across = self.shown()
        n, rows, columns = maps.shape
        if self.is_bars:
            return np.zeros((200, min(WIDTH, max(240, 70 * columns))))
        most = 240 if self.values.ndim > 2 else max(480, min(14 * columns, 800), columns)
        wide = min(WIDTH // across - 8, most)
        tall = min(max(48, round(wide * rows / columns)), 480)
        blocks = paint(maps, limits(maps)[1])[:, np.arange(tall) * rows // tall][
            :, :, np.arange(wide) * columns // wide
        ]
        for colour in (FRAME, PAPER):
            inside, blocks = blocks, np.empty((n, blocks.shape[1] + 4, blocks.shape[2] + 4, 3), np.uint8)
            blocks[:] = colour
            blocks[:, 2:-2, 2:-2] = inside
        _, high, broad, _ = blocks.shape
        blank = np.full((-n % across, high, broad, 3), PAPER, np.uint8)
        grid = np.concatenate([blocks, blank]).reshape(-1, across, high, broad, 3)
        return grid.swapaxes(1, 2).reshape(-1, across * broad, 3)


def _part(most: int, n: int, what: str) -> str:
    return counted(n, what) if n <= most else f"first {most} of {counted(n, what)}"


def limits(values: Array) -> tuple[float, float]:
    """The ends of the scale: 0 and the largest number; or, where some are negative, the strongest and its opposite."""
    finite = values[np.isfinite(values)]
    most = float(np.abs(finite).max(initial=0.0)) or 1.0
    return (-most if (finite < 0).any() else 0.0), most


def paint(values: Array, most: float) -> Array:
    """Numbers −most … most as colours, (…, 3); what is not finite in grey."""
    known = np.isfinite(values)
    at = np.where(known, values, 0) / most
    colours = np.stack([np.interp(at, np.linspace(-1, 1, len(ANCHORS)), shade) for shade in ANCHORS.T], axis=-1)
    return np.where(known[..., None], colours.round(), UNKNOWN).astype(np.uint8)


def draw(panels: list[Panel]) -> Any:
    """The panels one below the other, as a matplotlib figure.

    Raises:
        ArgumentError: they are too many for one picture.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    bodies = [panel.pixels() for panel in panels]
    sizes = [(max(body.shape[0] / DPI, 0.45), body.shape[1] / DPI) for body in bodies]
    width, height = WIDTH / DPI + 1.2, sum(tall + 0.6 for tall, _ in sizes) + 0.1
    if height * DPI >= 2**16:
        raise ArgumentError(
            f"one picture does not hold {len(panels)} panels. Save them to a folder, or choose a layer: layer=…."
        )
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(width, height), dpi=DPI)
        top = height
        for panel, body, (tall, wide) in zip(panels, bodies, sizes):
            figure.text(0.4 / width, (top - 0.25) / height, panel.caption(), size=8.5, color=INK, va="center")
            top -= 0.4 + tall
            left, bottom, room = 0.4 / width, top / height, tall / height
            axes = figure.add_axes((left, bottom, wide / width, room))
            values, _ = panel.shown()
            if panel.is_bars:
                _bars(axes, values.reshape(-1))
            else:
                axes.imshow(body, aspect="auto", interpolation="nearest")
                axes.set_axis_off()
                axes = figure.add_axes((left + (wide + 0.1) / width, bottom, 0.09 / width, room))
                _scale(axes, *limits(values))
            axes.tick_params(labelsize=6.5, length=2, width=0.5, colors=INK, pad=1.5)
            for spine in axes.spines.values():
                spine.set(linewidth=0.5, color=LINE)
            top -= 0.2
    return figure


def picture(panels: list[Panel], kind: str) -> bytes:
    """The panels as the bytes of a PNG, SVG or PDF file; the same panels give the same bytes."""
    import matplotlib.style

    out, dates = io.BytesIO(), {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.style.context(["default", {"svg.hashsalt": "tinynet"}]):
        draw(panels).savefig(out, format=kind, dpi=DPI, metadata=dates.get(kind))
    return out.getvalue()


def _scale(axes: Any, low: float, high: float) -> None:
    """The colour bar."""
    ramp = paint(np.linspace(low, high, 128)[:, None], high)
    axes.imshow(ramp, aspect="auto", origin="lower", extent=(0, 1, low, high))
    axes.yaxis.tick_right()
    ticks = sorted({low, 0.0, high})
    axes.set(xticks=[], yticks=ticks, yticklabels=[number(float(f"{tick:.3g}")) for tick in ticks])


def _bars(axes: Any, values: Array) -> None:
    """A bar a number, in the colours of the maps."""
    from matplotlib.ticker import MaxNLocator

    colours = paint(values, limits(values)[1]) / 255
    heights = np.where(np.isfinite(values), values, limits(values)[1])
    axes.bar(range(len(values)), heights, color=colours, edgecolor=LINE, linewidth=0.4)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlim(-0.7, len(values) - 0.3)
    if not heights.any():
        axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(10 if len(values) > 20 else 20, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.spines[["top", "right"]].set_visible(False)
