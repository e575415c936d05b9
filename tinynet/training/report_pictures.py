"""Pictures for the training report: bytes and SVG made from arrays, each with a text that says what it shows.

Separate from the page, which only places them. Must not know trainers or data sets.
"""

import base64
import html
import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.training.history import History

Array = NDArray[Any]
INK = "#123456"  # drawn in this colour by matplotlib, then turned into the colour of the page's text
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")  # Okabe and Ito


def png(pixels: Array) -> bytes:
    """Bytes 0 … 255, grey (height, width) or colour (height, width, 3), as a PNG file."""
    height, width = pixels.shape[:2]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = pixels.astype(np.uint8).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()  # each row: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def image(pixels: Array, text: str) -> str:
    """An <img> that carries its picture with it."""
    return f'<img src="{_data(pixels)}" alt="{html.escape(text)}" width="{pixels.shape[1]}" height="{pixels.shape[0]}">'


def _data(pixels: Array) -> str:
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def grey(x: Array) -> Array:
    """Numbers 0 … 1 as ink on paper."""
    return np.asarray(np.round(255 * (1 - np.clip(x, 0, 1))))


def diverging(x: Array) -> Array:
    """Signed numbers in colour: blue below 0, white at 0, orange above; the strongest at full strength."""
    strength = np.clip(x / (np.percentile(np.abs(x), 99.5) or 1.0), -1, 1)[..., None]
    blue, orange, white = np.array([5, 90, 160]), np.array([200, 80, 0]), np.array([250, 250, 250])
    return np.asarray(np.round(white + np.abs(strength) * (np.where(strength < 0, blue, orange) - white)))


def curves(history: History, stacked: bool = False) -> str:
    """The learning curves, in the colours of the page; one below the other for a narrow one."""
    import matplotlib

    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    rules = dict.fromkeys(inks, INK) | {"svg.hashsalt": f"tinynet{stacked}", "axes.prop_cycle": _cycle()}
    out = io.BytesIO()
    with matplotlib.rc_context(rules):
        history.plot(stacked=stacked).savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = re.sub(r"<metadata>.*?</metadata>", "", out.getvalue().decode(), flags=re.DOTALL)
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    last = history.epochs[-1]
    told = ", ".join(
        f"{name} {last[name]:.4g}" for name in last if name not in ("epoch", "lr", "seconds", "samples_per_second")
    )
    text = f"Learning curves over {len(history)} epochs; after the last: {told}."
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(text)}"', 1)


def _cycle() -> Any:
    from cycler import cycler

    return cycler(color=["#2f8fd0", "#e07b1a"])  # seen on white and on black


def plane(regions: Array, box: tuple[float, float, float, float], x: Array, y: Array, wrong: Array, text: str) -> str:
    """Points of several classes in the plane, over the regions in which a model decides for each class.

    Args:
        regions: (n, n) class numbers, the first row at the top.
        box: left, right, bottom, top.
        x: (points, 2). y, wrong: (points,) their classes, and which are put in a wrong one.
    """
    left, right, bottom, top = box
    palette = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in COLOURS])
    tint = palette[regions % len(COLOURS)] * 0.35 + 255 * 0.65
    at = np.stack([(x[:, 0] - left) / (right - left), (top - x[:, 1]) / (top - bottom)], axis=1) * 480
    points = "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{5 if bad else 3.2}" fill="{COLOURS[int(k) % len(COLOURS)]}" '
        f'stroke="{"#000" if bad else "#fff"}" stroke-width="{1.8 if bad else 0.7}"/>'
        for (px, py), k, bad in sorted(zip(at, y, wrong), key=lambda item: bool(item[2]))
    )
    return (
        f'<svg role="img" aria-label="{html.escape(text)}" viewBox="0 0 480 480" width="480">'
        f'<image href="{_data(tint)}" width="480" height="480" preserveAspectRatio="none"/>{points}</svg>'
    )


def fit(x: Array, y: Array, grid: Array, line: Array, text: str) -> str:
    """Points (x, y) and a curve through them."""
    low, high = min(y.min(), line.min()), max(y.max(), line.max())

    def places(xs: Array, ys: Array) -> Iterator[tuple[float, float]]:
        for a, b in zip(xs, ys):
            yield (
                10 + 580 * (a - grid[0]) / ((grid[-1] - grid[0]) or 1.0),
                290 - 280 * (b - low) / ((high - low) or 1.0),
            )

    dot = f'r="3" fill="{COLOURS[0]}" opacity=".6"'
    points = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" {dot}/>' for a, b in places(x, y))
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places(grid, line))
    return (
        f'<svg role="img" aria-label="{html.escape(text)}" viewBox="0 0 600 300" width="600">{points}'
        f'<polyline points="{path}" fill="none" stroke="{COLOURS[1]}" stroke-width="2.5"/></svg>'
    )
