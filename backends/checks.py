"""What NumPy would take for a row from the end is refused: a replayed step has nobody else who looks."""

from typing import Any

import numpy as np

from tinynet.errors import ArgumentError


def check_classes(x: Any, target: Any) -> None:
    """Complain of a class below 0; one that is too large NumPy notices by itself."""
    if target.size and np.minimum.reduce(target) < 0:
        raise ArgumentError(f"cross-entropy got class {target.min()}; classes are 0 … {x.shape[1] - 1}.")
