"""tinynet's own ways to take a training step on a GPU: recorded and replayed, and operation by operation.

The batch lies on the device; a replay copies it into the recording's buffers, there.
"""

from typing import Any

import tinynet as tn
from tinynet.bench.contenders import Step
from tinynet.bench.engines import parts, weights_of
from tinynet.bench.workload import Workload
from tinynet.bench.workloads import read
from tinynet.registry import get_backend


def use_precision(precision: str) -> None:
    """How float32 is multiplied: as float32, or in TF32."""
    tn.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def touch() -> None:
    """Take a tiny step: the device is then set up, and what is loaded late is there."""
    step = replayed(read("mlp-quick"))
    step.run()
    step.wait()


def replayed(workload: Workload) -> Step:
    """The step recorded once and replayed."""
    held = _held()
    model, step, given = parts(workload, "cupy")
    recorded = tn.capture(step)
    return Step(
        lambda: recorded(*given),
        lambda: weights_of(model),
        lambda: f"{len(recorded.program or [])} calls a step",
        get_backend("cupy").synchronize,
        lambda: _held() - held,
    )


def eager(workload: Workload) -> Step:
    """The step operation by operation."""
    held = _held()
    model, step, given = parts(workload, "cupy")
    backend = get_backend("cupy")
    return Step(
        lambda: step(*given), lambda: weights_of(model), wait=backend.synchronize, memory=lambda: _held() - held
    )


def _held() -> float:
    """Megabytes that the memory pool has taken from the device: it gives nothing back by itself, so that its most is
    what it holds."""
    backend: Any = get_backend("cupy")
    return float(backend.xp.get_default_memory_pool().total_bytes()) / 1e6
