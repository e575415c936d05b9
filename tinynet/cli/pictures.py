"""Pictures as text, and files as pictures: what ``predict`` and ``data`` show, and how a drawn digit comes in."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.data.centring import centred
from tinynet.errors import ArgumentError, FileError

Array = NDArray[Any]
SHADES = " ░▒▓█"


def side(inputs: int) -> int | None:
    """The side of the square picture that a number of inputs makes; None where they make none."""
    root = round(inputs**0.5)
    return root if root * root == inputs and root >= 8 else None


def text_art(image: Array) -> str:
    """A picture (height, width) of 0 … 1 as lines of text; two rows share a line, since letters are twice as tall."""
    height = image.shape[0]
    padded = np.concatenate([image, np.zeros((height % 2, image.shape[1]))])
    pairs = padded.reshape(-1, 2, image.shape[1]).mean(axis=1)
    shades = np.clip(np.ceil(pairs * (len(SHADES) - 1) - 0.15), 0, len(SHADES) - 1).astype(int)
    return "\n".join("".join(SHADES[s] for s in row).rstrip() for row in shades)


def beside(pictures: list[str], width: int) -> str:
    """Pictures of text side by side."""
    columns = [picture.split("\n") for picture in pictures]
    rows = [[column[i] if i < len(column) else "" for column in columns] for i in range(max(map(len, columns)))]
    return "\n".join("  ".join(f"{cell:<{width}}" for cell in row).rstrip() for row in rows)


def bar(part: float, width: int = 24) -> str:
    """A bar of text for a number between 0 and 1."""
    eighths = round(min(max(part, 0.0), 1.0) * width * 8)
    return "█" * (eighths // 8) + ("" if eighths % 8 == 0 else " ▏▎▍▌▋▊▉"[eighths % 8])


def read_image(path: str, size: int, invert: bool | None = None) -> tuple[Array, bool]:
    """A picture file as grey values (size, size), 0 the background, as MNIST has them; and whether it was inverted.

    ``invert`` turns dark on light into light on dark; None looks at the border, which is background. A digit is then
    cut out and centred as MNIST's are: its longer side 20/28 of the picture, its centre of mass in the middle; a file
    that already has the size is taken as it is.

    Raises:
        FileError: the file is missing or is no picture.
        ArgumentError: the picture is blank.
    """
    from PIL import Image, UnidentifiedImageError

    if not Path(path).is_file():
        raise FileError(f"Reading {path}: there is no such file. Check the path, or give the number of a test example.")
    try:
        with Image.open(path) as opened:
            flat = Image.new("RGBA", opened.size, "white")
            flat.alpha_composite(opened.convert("RGBA"))  # what is transparent is paper
            grey = np.asarray(flat.convert("L"), np.float64) / 255
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise FileError(
            f"Reading {path}: this is no picture that can be read ({error}). Use PNG, JPEG or PGM."
        ) from error
    if invert is None:
        edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
        invert = bool(np.median(edge) > 0.5)
    grey = 1 - grey if invert else grey
    if np.ptp(grey) < 0.05:
        raise ArgumentError(f"{path} is blank: all its pixels are alike. Is it the right file?")
    if grey.shape == (size, size):
        return grey, invert
    return centred(_cleaned(grey), size), invert


def _cleaned(grey: Array) -> Array:
    """The drawing without its paper: from 0, the ground, to 1, the darkest ink."""
    low, high = np.percentile(grey, 5), grey.max()
    grey = np.clip((grey - low) / (high - low), 0, 1)
    return np.where(grey < 0.2, 0, grey)  # the grain of paper
