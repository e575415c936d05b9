"""How fast a GPU multiplies matrices: CUDA's library through CuPy, and beside it the backend's own way to it.

What steps on a GPU are held against. It runs in a process of its own, so that a precision that is set for the whole
process is set nowhere else. The error of each product is measured too: it shows in which precision it was computed.
"""

import json
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tinynet import set_float32_matmul_precision
from tinynet.bench.clock import least
from tinynet.registry import get_backend

SIDES = (1024, 4096)
AT_ONCE = 10  # products between two looks at the clock
CHECKED = 16  # rows that are compared with float64
Rate = dict[str, Any]


def rates(precision: str, seconds: float, sides: tuple[int, ...]) -> list[Rate]:
    """GFLOP/s and error of float32 (side, side) @ (side, side), by the library and by us.

    Args:
        precision: float32 or tf32; the library reads its own from CUPY_TF32 when it is loaded.
        seconds: for each product.
    """
    set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    backend: Any = get_backend("cupy")
    found = []
    for side in sides:
        x, y = np.random.default_rng(0).uniform(-1, 1, (2, side, side)).astype(np.float32)
        exact = x[:CHECKED].astype(np.float64) @ y.astype(np.float64)
        left, right, out = backend.array(x), backend.array(y), backend.full((side, side), 0.0, "float32")
        row: Rate = {"side": side, "precision": precision}
        library, ours = partial(backend.xp.matmul, left, right), partial(backend.launch, "matmul", left, right)
        for who, product in (("library", library), ("tinynet", ours)):
            (into := partial(product, out=out))()  # compiled
            row[who] = 2 * side**3 / least([into] * AT_ONCE, AT_ONCE, backend.synchronize, seconds) / 1e9
            row[f"{who}_error"] = float(np.abs(backend.numpy(out)[:CHECKED] - exact).max() / np.abs(exact).max())
        found.append(row)
    return found


def best_rate(gpu: Mapping[str, Any] | None, precision: str) -> float | None:
    """The highest rate at which the library multiplies in a precision, GFLOP/s; None where none was measured."""
    rows = (gpu or {}).get("gemm") or []
    return max((row["library"] for row in rows if row["precision"] == precision), default=None)


def main() -> None:
    """Print the rates as JSON: precision and seconds are the arguments."""
    print(json.dumps(rates(sys.argv[-2], float(sys.argv[-1]), SIDES)))
