"""Where one engine overtakes another: curves on two log axes, the crossing marked and said in words.

Apart from the bars: other axes, other words. Must not know how the sizes were chosen or timed.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from tinynet.bench.report.chart import CHARACTER, Scale, around, line, svg, text, thinned
from tinynet.bench.report.reading import positive
from tinynet.bench.report.reading import text as words_of
from tinynet.bench.report.units import duration, figure, tick

HEIGHT, TOP, BOTTOM, LEFT, RIGHT, GAP = 330.0, 58.0, 44.0, 46.0, 62.0, 15.0  # pixels
UNITS = {"batch": "batch, examples a step", "width": "width, units a layer"}
SHAPES = {"scalar": "0", "numpy": "1", "cupy": "2"}  # each engine's marks, its line and its colour, by class

Curves = dict[str, list[tuple[float, float]]]


def curves(crossover: Mapping[str, Any]) -> Curves:
    """By engine, the (size, seconds) that were measured."""
    found: Curves = {}
    for point in crossover.get("points") or []:
        x, seconds = positive(point.get("x")), point.get("seconds") or {}
        for engine, taken in seconds.items():
            if x is not None and (y := positive(taken)) is not None:
                found.setdefault(str(engine), []).append((x, y))
    return {engine: sorted(points) for engine, points in found.items()}


def heading(crossover: Mapping[str, Any]) -> str:
    """What is varied."""
    title = words_of(crossover.get("title")) or f"over the {words_of(crossover.get('of')) or 'size'}"
    return title[0].upper() + title[1:]


def sentences(crossover: Mapping[str, Any]) -> list[str]:
    """A sentence for each pair of engines: at what size one overtakes the other, or that it does not."""
    said = []
    for one in crossover.get("overtakes") or []:
        who, whom, of = (words_of(x) for x in (one.get("who"), one.get("whom"), crossover.get("of")))
        at = positive(one.get("at"))
        where = f"at a {of} of about {figure(at)}" if at else f"at no {of} within the range tried"
        said.append(words_of(one.get("words")) or f"{who} overtakes {whom} {where}")
    return said


def picture(crossover: Mapping[str, Any], name: str, width: float) -> str:
    """The curves; empty where no size was measured."""
    found = curves(crossover)
    every = [point for points in found.values() for point in points]
    if not every:
        return ""
    first, last = min(x for x, _ in every), max(x for x, _ in every)
    across = Scale(first, last if last > first else first * 2, LEFT, width - RIGHT)
    up = around((y * 1e3 for _, y in every), HEIGHT - BOTTOM, TOP)
    of = words_of(crossover.get("of"))
    body = [text(0, 14, "milliseconds a step", "soft")]
    body.append(text(width - RIGHT, HEIGHT - 6, UNITS.get(of, of or "size"), "soft", "end"))
    for y in up.ticks():
        body += [line(LEFT, up(y), width - RIGHT, up(y), "grid"), text(LEFT - 6, up(y) + 4, tick(y), "soft", "end")]
    sizes = sorted({x for x, _ in every})
    body += [line(across(x), HEIGHT - BOTTOM, across(x), HEIGHT - BOTTOM + 4, "whisker") for x in sizes]
    labels = thinned((across(x), tick(x)) for x in sizes)
    body += [text(x, HEIGHT - BOTTOM + 18, words, "soft", "middle") for x, words in labels]
    for i, (engine, points) in enumerate(found.items()):
        body.append(_curve(engine, i, points, across, up))
    body += _crossings(crossover, across, width)
    body += _names({engine: (across(points[-1][0]), up(points[-1][1] * 1e3)) for engine, points in found.items()})
    told = "; ".join(
        f"{engine}: {', '.join(f'{duration(y)} at {figure(x)}' for x, y in points)}" for engine, points in found.items()
    )
    return svg(name, heading(crossover), f"{'. '.join(sentences(crossover))}. {told}.", width, HEIGHT, body)


def _crossings(crossover: Mapping[str, Any], across: Scale, width: float) -> list[str]:
    """A dashed line where one engine overtakes another, and the size in words above it."""
    lines: list[str] = []
    labels: list[str] = []
    for one in crossover.get("overtakes") or []:
        at = positive(one.get("at"))
        if at is None or not across.low <= at <= across.high:
            continue
        x, y = across(at), 32 + 15 * (len(lines) % 2)
        size = f"{words_of(crossover.get('of'))} about {tick(float(f'{at:.3g}'))}"
        words = f"{one.get('who')} overtakes {one.get('whom')}: {size}"
        lines.append(line(x, y + 4, x, HEIGHT - BOTTOM, "mark"))
        labels.append(text(max(0, min(x, width - len(words) * CHARACTER)), y, words, room=width))
    return lines + labels


def _curve(engine: str, index: int, points: list[tuple[float, float]], across: Scale, up: Scale) -> str:
    """A line through the points, and at each a mark of the engine's own shape."""
    kind = SHAPES.get(engine, str(index % 3))
    places = [(across(x), up(y * 1e3)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(_mark(kind, x, y) for x, y in places)
    return f'<g class="curve{kind}"><title>{escape(engine)}</title><polyline points="{path}"/>{marks}</g>'


def _mark(kind: str, x: float, y: float) -> str:
    if kind == "0":
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>'
    if kind == "1":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    return f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z"/>'


def _names(ends: dict[str, tuple[float, float]]) -> list[str]:
    """Each engine's name at the end of its curve, moved down where it would lie on another."""
    drawn: list[str] = []
    taken: list[tuple[float, float]] = []
    for engine, (x, y) in sorted(ends.items(), key=lambda item: item[1][1]):
        for other_x, other_y in taken:
            if abs(x - other_x) < RIGHT and abs(y - other_y) < GAP:
                y = other_y + GAP
        taken.append((x, y))
        drawn.append(text(x + 9, y + 4, engine))
    return drawn
