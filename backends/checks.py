"""What NumPy would take for another row is refused: a replayed step has nobody else who looks."""

from typing import Any

import numpy as np

from tinynet.errors import ArgumentError


def counted(target: Any) -> Any:
    """The numbers read without a sign, so that one below 0 is a very large one."""
    return target.view(f"u{target.itemsize}")


def check_classes(x: Any, target: Any, numbers: Any) -> None:
    """Complain of a class that x has no column for; ``numbers`` is the target, ``counted``."""
    if target.size and np.maximum.reduce(numbers) >= x.shape[1]:
        stray = target.min() if target.min() < 0 else target.max()
        raise ArgumentError(f"cross-entropy got class {stray}; classes are 0 … {x.shape[1] - 1}.")
