"""scikit-learn: MLPClassifier, one ``partial_fit`` a step, plain SGD without momentum, decay or shuffling."""

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from tinynet.bench.contenders import Step
from tinynet.bench.workload import Workload
from tinynet.bench.workloads import read
from tinynet.errors import ArgumentError


def touch() -> None:
    """Take a tiny step: what the library loads late and its threads are then there."""
    make(read("mlp-quick")).run()


def make(workload: Workload) -> Step:
    """The step.

    Raises:
        ArgumentError: two classes or fewer, for which MLPClassifier has one output and another loss.
    """
    if workload.sizes[-1] < 3:
        raise ArgumentError(f"left out: MLPClassifier has another loss for {workload.sizes[-1]} classes.")
    (x, y), classes = workload.given(), np.arange(workload.sizes[-1])
    model = MLPClassifier(
        workload.sizes[1:-1], solver="sgd", alpha=0.0, batch_size=workload.batch, shuffle=False,
        learning_rate_init=workload.learning_rate, momentum=0.0, nesterovs_momentum=False,
    )  # fmt: skip
    model.partial_fit(x, y, classes=classes)  # makes the arrays; its step is undone in the next lines
    for i, (weights, biases) in enumerate(zip(model.coefs_, model.intercepts_)):
        weights[...] = workload.weights()[f"{2 * i}.weight"].T
        biases[...] = workload.weights()[f"{2 * i}.bias"]

    def run() -> Any:
        model.partial_fit(x, y)
        return model.loss_

    def state() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for i, (weights, biases) in enumerate(zip(model.coefs_, model.intercepts_)):
            found |= {f"{2 * i}.weight": weights.T, f"{2 * i}.bias": biases}
        return found

    return Step(run, state)
