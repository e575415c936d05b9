"""micrograd: its demonstration as its author wrote it, a neuron at a time."""

from typing import Any

import numpy as np
from micrograd.engine import Value
from micrograd.nn import MLP

from tinynet.bench.contenders import Step
from tinynet.bench.families import Moons


def touch() -> None:
    """Take a tiny step, as the others do."""
    make(Moons("tiny", (2,), 0, 4)).run()


def make(workload: Moons) -> Step:
    """The step; what it returns is the hinge loss without the penalty, as the other contenders have it."""
    sizes = workload.layers
    model = MLP(sizes[0], list(sizes[1:]))
    for i, layer in enumerate(model.layers):
        weights, biases = (workload.weights()[f"{2 * i}.{part}"].tolist() for part in ("weight", "bias"))
        for neuron, row, bias in zip(layer.neurons, weights, biases):
            neuron.b.data = bias
            for w, number in zip(neuron.w, row):
                w.data = number
    points, sides = (part.tolist() for part in workload.given())

    def run() -> Any:
        scores = [model([Value(x) for x in point]) for point in points]
        losses = [(1 + -side * score).relu() for side, score in zip(sides, scores)]
        hinge = sum(losses) * (1.0 / len(losses))
        total = hinge + workload.weight_decay / 2 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= workload.learning_rate * p.grad
        return hinge.data

    def state() -> dict[str, Any]:
        found = {}
        for i, layer in enumerate(model.layers):
            found[f"{2 * i}.weight"] = np.array([[w.data for w in neuron.w] for neuron in layer.neurons])
            found[f"{2 * i}.bias"] = np.array([neuron.b.data for neuron in layer.neurons])
        return found

    return Step(run, state)
