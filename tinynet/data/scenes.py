"""Scenes: digits somewhere in a larger picture, among pieces of other digits and noise, to be found or outlined.

They are made from digits that are given, so that scenes for testing hold digits that no one has trained on. Must not
read any file.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinynet.data.dataset import Dataset
from tinynet.data.synthetic import seeded
from tinynet.errors import ArgumentError, ShapeError

INK = 0.3
"""From this brightness on, a pixel of a digit's image belongs to the digit."""


class Scenes(NamedTuple):
    """Pictures, and what is to be known about them; ``Dataset(scenes.images, scenes.masks)`` is for segmentation.

    Attributes:
        images: float32 (n, 1, size, size) in [0, 1], 0 the background.
        masks: int64 (n, size, size), 0 for background, clutter and noise, 1 + d for the pixels of a digit d.
        labels: int64 (n, digits), each digit's class.
        boxes: float32 (n, digits, 4), left, top, right and bottom edge of each digit in pixels: its pixels are the
            columns left … right - 1 and the rows top … bottom - 1, and none of the edges can be moved in.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]


def scenes(
    digits: Dataset, n: int, size: int = 48, count: int = 1, clutter: int = 4, noise: float = 0.1, seed: int = 0
) -> Scenes:
    """``n`` pictures of ``count`` digits each, at random places, whose boxes do not meet.

    Args:
        digits: what they are made of, such as a part of ``data.digits(flat=False)``: ``x`` (any, 1, rows, columns) in
            [0, 1], ``y`` the classes.
        size: the sides of the pictures in pixels; the digits fill at most two fifths of one.
        clutter: how many pieces of 8 × 8 pixels, cut from other digits, lie about.
        noise: the standard deviation of normal noise on each pixel, which is then cut off at 0 and 1.

    Where things meet, the brighter pixel is seen. The same arguments give the same scenes.

    Raises:
        ArgumentError: a number is out of its range.
        ShapeError: the digits are no such images.

    Source: the clutter follows Mnih, Heess, Graves and Kavukcuoglu, *Recurrent models of visual attention*, 2014.
    """
    random = seeded("scenes", n, noise, seed)
    if digits.x.ndim != 4 or digits.x.shape[1] != 1 or digits.y.ndim != 1 or min(digits.x.shape[2:]) < 16:
        raise ShapeError(
            "scenes: digits are images (any, 1, rows, columns) of 16 pixels and more, with a class each; got "
            f"{digits!r}. Load them with flat=False."
        )
    if count < 1 or clutter < 0:
        raise ArgumentError(f"scenes: count is at least 1 and clutter at least 0; got {count} and {clutter}.")
    chosen = random.integers(len(digits), size=(n, count))
    drawings = [[_cut(digits.x[i, 0]) for i in row] for row in chosen]
    longest = max(max(drawing.shape) for row in drawings for drawing in row)
    least = longest if count == 1 else int(np.ceil(1.6 * longest * np.sqrt(count)))  # two fifths of the picture
    if size < least:
        raise ArgumentError(f"scenes: {count} of these digits need pictures of size={least} or more; got {size}.")
    found = Scenes(
        np.zeros((n, 1, size, size), np.float32),
        np.zeros((n, size, size), np.int64),
        np.zeros((n, count), np.int64),
        np.zeros((n, count, 4), np.float32),
    )
    found.labels[:] = digits.y[chosen]
    for image, row, mask, labels, boxes in zip(found.images[:, 0], drawings, *found[1:]):
        boxes[:] = _places(row, size, random)
        for drawing, label, (left, top, right, bottom) in zip(row, labels, boxes.astype(int)):
            image[top:bottom, left:right] = drawing
            mask[top:bottom, left:right] = np.where(drawing >= INK, 1 + label, 0)
        for piece in random.integers(len(digits), size=clutter):
            _paste(image, digits.x[piece, 0], random)
    found.images[:] = np.clip(found.images + noise * random.standard_normal(found.images.shape), 0, 1)
    return found


def _cut(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part of a digit's image that its ink fills."""
    ink = image >= INK
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        raise ArgumentError(f"scenes: one of the digits has no pixel of {INK} or brighter. Are they scaled to 0 … 1?")
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _places(drawings: list[NDArray[np.float32]], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Boxes (digits, 4) that do not meet: drawn one after the other, and anew where a place is hard to find."""
    boxes: list[NDArray[np.int64]] = []
    for drawing in drawings:
        sides = np.array(drawing.shape[::-1])  # width, height
        for _ in range(100):
            corner = random.integers(size - sides + 1)
            box = np.concatenate([corner, corner + sides])
            if all((box[:2] >= other[2:]).any() or (other[:2] >= box[2:]).any() for other in boxes):
                boxes.append(box)
                break
        else:
            return _places(drawings, size, random)
    return np.array(boxes)


def _paste(image: NDArray[np.float32], digit: NDArray[np.float32], random: np.random.Generator, side: int = 8) -> None:
    """A piece from the middle of another digit, somewhere in the picture."""
    (row, column), (top, left) = (random.integers(np.array(a.shape) - side + 1) for a in (digit[4:-4, 4:-4], image))
    piece = digit[4 + row : 4 + row + side, 4 + column : 4 + column + side]
    seen = image[top : top + side, left : left + side]
    np.maximum(seen, piece, out=seen)
