"""What every picture of the report is drawn with: scales, ticks, text, and an SVG that says what it shows.

Colours come from the page's style by class, so one drawing serves light and dark. Must not know benchmarks.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from tinynet.explain.notation import clip

WIDE, NARROW = 960, 346  # pixels: a desk's page, a phone's
CHARACTER = 6.9  # pixels, of text at 12 pixels, rather too many than too few


@dataclass(frozen=True)
class Scale:
    """Numbers low … high to pixels start … end, evenly or, with ``log``, a factor a pixel."""

    low: float
    high: float
    start: float
    end: float
    log: bool = True

    def __call__(self, x: float) -> float:
        """The pixel of x, held inside the scale."""
        low, high, x = (math.log(v) if self.log else v for v in (self.low, self.high, max(x, self.low)))
        return self.start + (self.end - self.start) * min(1.0, (x - low) / (high - low))

    def ticks(self, steps: Sequence[float] = (1,), base: float = 10) -> list[float]:
        """Round numbers inside the scale: base ** n times each of ``steps``; on an even scale about five of them."""
        if self.log:
            powers = range(math.floor(math.log(self.low, base)) - 1, math.ceil(math.log(self.high, base)) + 2)
            found = (step * base**power for power in powers for step in steps)
            return [x for x in found if self.low * 0.999 <= x <= self.high * 1.001]
        rough = (self.high - self.low) / 5
        power = 10 ** math.floor(math.log10(rough))
        step = power * next(n for n in (1, 2, 5, 10) if n * power >= rough * 0.999)
        return [step * i for i in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]


def around(values: Iterable[float], start: float, end: float, base: float = 10) -> Scale:
    """A log scale from the power of ``base`` below the smallest value to the one above the largest."""
    known = list(values)
    low, high = (math.log(v, base) for v in (min(known), max(known)))
    first, last = math.floor(low + 1e-9), math.ceil(high - 1e-9)
    return Scale(base**first, base ** max(last, first + 1), start, end)


def svg(name: str, title: str, words: str, width: float, height: float, body: Iterable[str]) -> str:
    """One picture; ``name`` must be the only one of its kind in the page."""
    return (
        f'<svg role="img" aria-labelledby="{name}-title {name}-words" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-words">{escape(words)}</desc>{"".join(body)}</svg>'
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start", room: float = math.inf) -> str:
    """Words at a point, cut with an ellipsis where they would take more than ``room`` pixels."""
    longest = int(min(max(room / CHARACTER, 2), 10_000))
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(clip(words, longest))}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def thinned(places: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    """Labels in rising order of place, without those that would run into the one before."""
    kept: list[tuple[float, str]] = []
    for place, words in places:
        if not kept or place - kept[-1][0] > (len(words) + len(kept[-1][1])) / 2 * CHARACTER + 5:
            kept.append((place, words))
    return kept


def both(name: str, draw: Callable[[str, float], str]) -> str:
    """A picture twice, as a desk and as a phone shows it; the page's style hides one of them from everybody."""
    wide, narrow = draw(name, WIDE), draw(f"{name}-narrow", NARROW)
    return f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>' if wide else ""
