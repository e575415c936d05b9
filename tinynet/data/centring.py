"""A drawn digit made like those of MNIST: 20 pixels long, its centre of mass at the middle of 28 × 28.

Must not know networks, or where the drawing comes from.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FAINT = 0.1  # of the darkest: below it there is no ink


def centred(drawing: Array, size: int) -> Array:
    """A drawing, 0 … 1, cut out, scaled and moved into a square (size, size) as MNIST's digits are; blank stays blank.

    The longer side of the ink becomes 20/28 of the square, the shorter keeps its proportion. The centre of mass comes
    to pixel 14 of 0 … 27, half a pixel right of and below the middle: that is where it is in MNIST's own digits.

    Source: Y. LeCun and others, *Gradient-based learning applied to document recognition*, 1998, section III.
    """
    ink = drawing > FAINT * drawing.max()
    if not ink.any():
        return np.zeros((size, size))
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    cut = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = size * 20 / 28 / max(cut.shape)
    height, width = (max(round(n * scale), 1) for n in cut.shape)
    small = np.clip(resampling(cut.shape[0], height) @ cut @ resampling(cut.shape[1], width).T, 0, 1)
    ys, xs = np.mgrid[:height, :width]
    top, left = (
        int(np.clip(round(size / 2 - float((small * at).sum() / small.sum())), 0, size - n))
        for at, n in ((ys, height), (xs, width))
    )
    square = np.zeros((size, size))
    square[top : top + height, left : left + width] = small
    return square


def resampling(before: int, after: int) -> Array:
    """(after, before): each new pixel as a weighted mean of the old ones, the weights a triangle around its middle.

    Where pixels grow fewer the triangle is as much wider, so that every old pixel counts.
    """
    reach = max(before / after, 1.0)
    middles = (np.arange(after) + 0.5) * before / after
    distance = np.abs(np.arange(before) + 0.5 - middles[:, None]) / reach
    weights = np.maximum(1 - distance, 0)
    return weights / weights.sum(axis=1, keepdims=True)
