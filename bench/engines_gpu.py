"""tinynet's own ways to take a training step on a GPU: recorded and replayed, and operation by operation.

The batch lies on the device; a replay copies it into the recording's buffers, there.
"""

from collections.abc import Callable
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

    def note() -> str:
        program = recorded.program
        return f"{len(program or [])} calls a step, {getattr(program, 'way', '')}".rstrip(", ")

    return _on_card(lambda: recorded(*given), model, held)._replace(note=note)


def eager(workload: Workload) -> Step:
    """The step operation by operation."""
    held = _held()
    model, step, given = parts(workload, "cupy")
    return _on_card(lambda: step(*given), model, held)


def _on_card(run: Callable[[], Any], model: Any, held: float) -> Step:
    wait = get_backend("cupy").synchronize
    return Step(run, lambda: weights_of(model), wait=wait, memory=lambda: max(_reserved() - held, 0.0))


def _held() -> float:
    """Megabytes of the card that arrays hold, once what freed ones have left is given back."""
    get_backend("cupy").tidy()
    return _reserved()


def _reserved() -> float:
    """Megabytes of the card that are held, by arrays and for those to come: its most, since nothing is given back."""
    memory: Any = get_backend("cupy").memory()
    return float(memory.reserved) / 1e6
