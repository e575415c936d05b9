"""The pictures of lessons: matplotlib in one style, as SVG that takes the page's colours, light or dark.

Must not know lessons: a picture is whatever a function draws on a figure, and the sentence that it returns.
"""

import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tinynet.explain.notation import MINUS

INK, PAPER = "#123456", "#654321"  # drawn in these, then turned into the colours of the page's text and ground
COLOURS = ("#2f8fd0", "#e07b1a", "#1fa37a", "#cc79a7", "#b39700", "#8b6fd0")  # seen on white and on black
SIGNED = ("#06285c", "#5696d0", "#fafafa", "#ee943e", "#782a00")  # from below 0 to above
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.22,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "image.cmap": "gray_r",
    "image.interpolation": "none",  # its own pixels, however large it is shown
    "figure.constrained_layout.use": True,
} | dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK)


@dataclass(frozen=True)
class Picture:
    """An SVG, and what is to be seen on it."""

    svg: str
    says: str


def picture(draw: Callable[[Any], str], size: tuple[float, float], name: str = "picture") -> Picture:
    """Draw on a fresh figure of so many inches; the same drawing gives the same SVG.

    ``name`` keeps apart what several pictures on one page refer to.
    """
    import matplotlib.style
    from cycler import cycler
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    rules = STYLE | {"axes.prop_cycle": cycler(color=COLOURS), "svg.hashsalt": name}
    out = io.StringIO()
    with matplotlib.style.context(["default", rules]):
        figure = Figure(figsize=size)
        says = re.sub(r"(?<![\w-])-(?=[\d.])|(?<=\de)-(?=\d)", MINUS, draw(figure))
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                if axis.get_scale() == "log":
                    axis.set_major_formatter(_power)
                    axis.set_minor_formatter(NullFormatter())
        canvas: Any = FigureCanvasSVG(figure)  # savefig would draw it twice
        canvas.print_svg(out, metadata={"Date": None})
    return Picture(_svg(out.getvalue(), says), says)


def _power(x: float, place: float) -> str:
    """A number on a log axis: 0.01, 1, 100, and 10⁻⁶ where it would be long."""
    if 0.0009 < x < 11_000:
        return f"{x:,.6g}"
    digits, power = f"{x:.0e}".split("e")
    small = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{small}" if digits == "1" else f"{digits}·10{small}"


def _svg(text: str, says: str) -> str:
    """As it may stand in a page: no prologue, the page's colours and font, and a text alternative."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text[text.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "var(--ground)")
    text = text.replace("font-family: 'DejaVu Sans'", "font-family: inherit").replace("'DejaVu Sans'", "inherit")
    text = re.sub(r"<!--.*?-->\s*|\n\s*", lambda found: "" if found[0].startswith("<!--") else "\n", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', r"\1\2", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(says)}"', 1)


def signed() -> Any:
    """The colours of signed numbers: blue below 0, nearly white at 0, orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signed", SIGNED)


def tiles(
    figure: Any, images: Sequence[ArrayLike], titles: Sequence[str] = (), columns: int = 0, sign: bool = False
) -> None:
    """Images side by side, each (rows, columns), as ink on paper; with ``sign``, in the colours of signed numbers.

    Signed images share one scale, so that they compare.
    """
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    most = max(float(np.abs(image).max()) for image in images) or 1.0
    for i, axes in enumerate(np.ravel(figure.subplots(rows, columns, squeeze=False))):
        axes.set_axis_off()
        if i < len(images):
            low, high = (-most, most) if sign else (0.0, most)
            axes.imshow(images[i], cmap=signed() if sign else "gray_r", vmin=low, vmax=high)
            axes.set_title(titles[i] if i < len(titles) else "", fontsize=8.5)
