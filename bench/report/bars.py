"""Horizontal bars in groups, with whiskers for the spread: the report's pictures of times, ratios and rates.

Apart because three pictures are one drawing. Must not know what is measured, only its numbers and words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tinynet.bench.report.chart import CHARACTER, NARROW, Scale, line, svg, text, thinned
from tinynet.bench.report.units import tick

BAR, ROW, HEAD, EDGE = 12, 19, 26, 40  # pixels: a bar, its row, the name over a group, the room of an axis


@dataclass(frozen=True)
class Bar:
    """A bar: its label, its number with the spread, what is written at its end, and dots for others beside it.

    Attributes:
        kind: the class that colours it: tinynet, engine, peer, floor or slow.
        dots: other numbers on the same row, each with its words.
    """

    label: str
    value: float
    low: float
    high: float
    shown: str
    kind: str
    dots: Sequence[tuple[float, str]] = ()

    @property
    def numbers(self) -> list[float]:
        """All that the axis has to hold."""
        return [self.value, self.low, self.high, *(x for x, _ in self.dots)]


@dataclass(frozen=True)
class Group:
    """Bars under one name; without a name, bars alone."""

    bars: Sequence[Bar]
    name: str = ""
    what: str = ""


@dataclass(frozen=True)
class Axis:
    """How numbers become lengths.

    Attributes:
        title: what is measured, with its unit.
        low, high: the numbers at its ends; with ``log``, each pixel is a factor.
        ticks: the numbers written at it.
        base: where bars begin; None for the left edge.
        marks: numbers to draw a line at, each with its words.
    """

    title: str
    low: float
    high: float
    log: bool
    ticks: Sequence[float]
    base: float | None = None
    marks: Sequence[tuple[float, str]] = ()


def bars(name: str, title: str, words: str, groups: Sequence[Group], axis: Axis, width: float) -> str:
    """The picture, one row a bar, the axis above and below."""
    shown = [bar for group in groups for bar in group.bars]
    left = min(max(len(bar.label) for bar in shown) * CHARACTER + 10, 146 if width <= NARROW else 210)
    right = width - max(len(bar.shown) for bar in shown) * CHARACTER - 12
    scale = Scale(axis.low, axis.high, left, right, axis.log)
    top = EDGE + 16 * len(axis.marks)
    body, y = [], float(top)
    for group in groups:
        if group.name:
            y += HEAD
            start = len(group.name) * (CHARACTER + 0.8) + 12
            body.append(text(0, y - 8, group.name, "name", room=width * 0.88))
            if width > NARROW:
                body.append(text(start, y - 8, group.what, "soft", room=width - start))
        for bar in group.bars:
            body += [_bar(bar, scale, axis.base, y + ROW / 2), text(0, y + ROW / 2 + 4, bar.label, room=left - 6)]
            body.append(text(width, y + ROW / 2 + 4, bar.shown, "figure", "end"))
            y += ROW
    return svg(name, title, words, width, y + EDGE, [*_grid(axis, scale, top, y, width), *body])


def _grid(axis: Axis, scale: Scale, top: float, bottom: float, width: float) -> list[str]:
    """The axis above and below with its lines, and the marks."""
    drawn = [line(scale(x), top - 4, scale(x), bottom + 4, "grid") for x in axis.ticks]
    places = [scale(x) for x, _ in axis.marks]
    for x, words in thinned((scale(x), tick(x)) for x in axis.ticks):
        drawn.append(text(x, bottom + 17, words, "soft", "middle"))
        if all(abs(x - place) > len(words) * CHARACTER / 2 + 3 for place in places):  # a mark's line passes here
            drawn.append(text(x, top - 9, words, "soft", "middle"))
    drawn.append(text(0, 12, axis.title, "soft", room=width))
    for i, (x, words) in enumerate(sorted(axis.marks, reverse=True)):  # the rightmost on top: no line through a label
        y = EDGE - 6 + 16 * i
        drawn.append(line(scale(x), y + 3, scale(x), bottom + 4, "mark"))
        drawn.append(text(min(max(scale(x), len(words) * CHARACTER), width), y, words, "", "end", room=width))
    return drawn


def _bar(bar: Bar, scale: Scale, base: float | None, y: float) -> str:
    """A bar, its whisker with ends, its dots; as a tooltip, its words."""
    begin, end = sorted((scale.start if base is None else scale(base), scale(bar.value)))
    low, high = scale(bar.low), scale(bar.high)
    whisker = [
        line(low, y, high, y, "whisker"),
        *(line(x, y - 3.5, x, y + 3.5, "whisker") for x in (low, high)),
    ]
    dots = "".join(
        f'<circle class="dot" cx="{scale(x):.1f}" cy="{y:.1f}" r="4"><title>{escape(words)}</title></circle>'
        for x, words in bar.dots
    )
    return (
        f"<g><title>{escape(f'{bar.label}: {bar.shown}')}</title>"
        f'<rect class="{bar.kind}" x="{begin:.1f}" y="{y - BAR / 2:.1f}" width="{max(end - begin, 1):.1f}" '
        f'height="{BAR}"/>{"".join(whisker) if bar.high > bar.low else ""}</g>{dots}'
    )
