"""How numbers and names are written for people, wherever an explanation or a drawing shows them.

Separate because the words, the picture and the exports must agree on every digit. Must not know graphs or formats.
"""

import re
import unicodedata

LONGEST_NAME = 40  # characters
ELLIPSIS = "…"
MINUS = "−"

_JOINERS = "\u200c\u200d"  # invisible, but part of how Persian and emoji are written


def number(x: float) -> str:
    """Six significant digits and a true minus sign: −0.00402285."""
    text = f"{x:g}"
    return "0" if text == "-0" else text.replace("-", MINUS)


def counted(n: int, one: str, many: str = "") -> str:
    """``1 value``, ``2,000 values``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def clean(label: object) -> str:
    """A label on one line, without control characters, cut to LONGEST_NAME; empty where nothing can be seen.

    A label in a right-to-left script is set apart (U+2068 … U+2069), or it would turn the numbers after it around.
    """
    text = " ".join(str(label)[:1000].split())
    text = clip("".join(c if c.isprintable() or c in _JOINERS else "\ufffd" for c in text), LONGEST_NAME)
    from_right = any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in text)
    return f"\u2068{text}\u2069" if from_right else text


def clip(text: str, longest: int) -> str:
    """The text, or as much of it as leaves room for an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + ELLIPSIS


def atom(name: str) -> str:
    """A name as it stands inside a formula: in brackets where it could be read as a formula itself.

    The index of ``0.weight[3,5]`` is no reason for brackets.
    """
    return f"({name})" if re.search(r"[\s+\-*/×−=<>(),^&|]", re.sub(r"\[[\d,]+\]$", "", name)) else name


def columns(text: str) -> int:
    """How many columns of a fixed-width font the text takes."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def padded(text: str, width: int) -> str:
    """The text with spaces after it, to that many columns."""
    return text + " " * (width - columns(text))
