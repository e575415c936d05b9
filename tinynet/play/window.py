"""The part of the plane that is shown, and the places in it where the network is asked.

Must not know networks.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Window = tuple[tuple[float, float], tuple[float, float]]  # its lowest corner, its highest
MARGIN = 0.15  # of the points' range, on each side


def window_around(x: Array) -> Window:
    """The range of points (n, 2) with a margin around it."""
    low, high = x.min(axis=0), x.max(axis=0)
    margin = np.maximum(MARGIN * (high - low), 0.1)
    first, last = (low - margin).tolist(), (high + margin).tolist()
    return (first[0], first[1]), (last[0], last[1])


def centres(window: Window, across: int, down: int) -> Array:
    """The middles of the cells that the window is cut into, (across · down, 2), row by row from the lowest corner."""
    (left, bottom), (right, top) = window
    x0 = left + (np.arange(across) + 0.5) / across * (right - left)
    x1 = bottom + (np.arange(down) + 0.5) / down * (top - bottom)
    columns, rows = np.meshgrid(x0, x1)
    return np.stack([columns.ravel(), rows.ravel()], axis=1)
