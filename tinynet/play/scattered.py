"""Where a session with points stands: the points, the network, and the part of the plane that is shown.

Separate from the acts that lead from one such position to the next. Must not know requests.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tinynet.play.network import Array, Weights
from tinynet.play.session import Position
from tinynet.play.window import Window, window_around


@dataclass(frozen=True, eq=False)
class Scattered(Position):
    """Points and a network.

    Attributes:
        x, y: the points, (n, 2), and their classes, (n,).
        chosen: the point that is explained.
        hidden, activation, seed: how the network was made.
        weights: by name; never changed in place.
        window: the part of the plane that is shown.
    """

    x: Array = field(default_factory=lambda: np.zeros((1, 2)))
    y: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    chosen: int = 0
    hidden: tuple[int, ...] = ()
    activation: str = ""
    seed: int = 0
    weights: Weights = field(default_factory=dict)
    window: Window = ((0.0, 0.0), (1.0, 1.0))


def shown(position: Scattered) -> Scattered:
    """The same, with a window that shows every point: the old one wherever it does."""
    low, high = position.window
    inside = (position.x >= low).all() and (position.x <= high).all()
    return position if inside else replace(position, window=window_around(position.x))
