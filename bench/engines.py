"""tinynet's own ways to take a training step on the CPU: recorded on NumPy, eager, on Values; and the floor."""

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Tensor, nn, optim
from tinynet.bench.contenders import Step
from tinynet.bench.workload import Library, Workload
from tinynet.bench.workloads import read
from tinynet.errors import ArgumentError

LIBRARY = Library("tinynet", nn, nn.functional, optim, Tensor)
BEARABLE = 3.0  # seconds a step
NODE = 1e-6  # seconds that a Value takes, made and differentiated


def touch() -> None:
    """Take a tiny step: what the library loads late and its threads are then there."""
    _ = np.ones((64, 64), np.float32) @ np.ones((64, 64), np.float32)
    numpy(read("mlp-quick")).run()


class _Cost(nn.Loss):
    """A workload's cost as a Trainer wants it."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.cost = workload.cost(LIBRARY)

    def check_target(self, prediction: Tensor, target: Any) -> None:
        """Nothing: the answers are the workload's own."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = self.cost(prediction, target)
        return loss


def numpy(workload: Workload) -> Step:
    """The step as a Trainer takes it: recorded, replayed, in as many threads as trying shows to be best."""
    model, _, given = parts(workload, "numpy")
    optimizer = optim.SGD(lr=workload.learning_rate, weight_decay=workload.weight_decay)
    trainer = tn.Trainer(model, _Cost(workload), optimizer)
    return Step(lambda: trainer.train_on_batch(*given), lambda: weights_of(model), lambda: trainer.steps.words)


def numpy_eager(workload: Workload) -> Step:
    """The step operation by operation."""
    model, step, given = parts(workload, "numpy")
    return Step(lambda: step(*given), lambda: weights_of(model))


def scalar(workload: Workload) -> Step:
    """The step on Values.

    Raises:
        ArgumentError: it would take longer than anyone waits; the estimate is a microsecond for each operation of the
            forward pass, a third of all.
    """
    expected = workload.flop / 3 * NODE
    if expected > BEARABLE:
        raise ArgumentError(f"left out: on Values a step of {workload.name} would take about {expected:.0f} s.")
    model, step, given = parts(workload, "scalar")
    return Step(lambda: step(*given), lambda: weights_of(model))


def floor(workload: Workload) -> Step | None:
    """The same NumPy calls written out by hand, where there is such a step of the workload's family."""
    import importlib

    x, y = workload.given()
    step = importlib.import_module("tinynet.bench.floors").step(workload, x, y)
    return None if step is None else Step(lambda: step(x, y), lambda: step.weights)


def parts(workload: Workload, backend: str) -> tuple[Any, Callable[..., Any], tuple[Tensor, Tensor]]:
    """The model with the workload's weights, its step, and the batch."""
    model = workload.model(LIBRARY)
    model.load_state_dict(workload.weights())
    model.to(backend)
    x, y = (Tensor(part, backend=backend) for part in workload.given())
    return model, workload.step(LIBRARY, model), (x, y)


def weights_of(model: Any) -> dict[str, Any]:
    """The weights as they stand, by name."""
    return dict(model.state_dict())
