"""How the report writes its figures: three significant digits, the unit chosen once for a whole table or picture.

Apart because the Markdown, the page and the pictures must agree on every digit. Must not know what was measured.
"""

import math

NONE = "–"  # where nothing was measured


def figure(x: float | None) -> str:
    """Three significant digits without an exponent: 0.0512, 3.40, 60,200; a dash where there is none."""
    if x is None:
        return NONE
    rounded = float(f"{x:.3g}")
    if not rounded:
        return "0"
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}".replace("-", "−")


def tick(x: float) -> str:
    """A round number as an axis says it: 0.01, 1, 1,000."""
    return f"{x:,.6g}"


def milliseconds(seconds: float | None) -> str:
    """Seconds as a number of milliseconds."""
    return figure(None if seconds is None else seconds * 1e3)


def percent(share: float | None) -> str:
    """A share of one as per cent, its sign included."""
    return NONE if share is None else f"{figure(share * 100)} %"


def times(ratio: float | None) -> str:
    """A ratio with its sign: 2.17×."""
    return NONE if ratio is None else f"{figure(ratio)}×"


def duration(seconds: float | None) -> str:
    """A time with the unit that suits its size: 60.5 ns, 51.2 µs, 3.40 ms, 75 s, 4 min 5 s."""
    if seconds is None:
        return NONE
    if seconds >= 100:
        return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{figure(seconds / size)} {unit}"
    return f"{figure(seconds * 1e9)} ns"


def amount(n: float | None) -> str:
    """A count, with thousands apart."""
    return NONE if n is None else f"{n:,.0f}"
