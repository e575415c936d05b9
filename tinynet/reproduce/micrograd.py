"""A. Karpathy, *micrograd* (2020): its demonstration, on Values, one number at a time."""

import random

from tinynet import data
from tinynet.neuron import MLP
from tinynet.reproduce.published import Effort, Published
from tinynet.value import Value


def demo(effort: Effort) -> float:
    """100 moons, an MLP 2-16-16-1 of rectified neurons, hinge loss with λ = 1e-4; accuracy in percent."""
    random.seed(1337 + effort.seed)  # the author's, for the default
    moons = data.moons(100, noise=0.1, seed=1 + effort.seed)
    points, sides = moons.x.tolist(), [2 * int(y) - 1 for y in moons.y]
    model = MLP(2, [16, 16, 1])
    accuracy = 0.0

    def step(i: int) -> None:
        nonlocal accuracy
        scores = [model([Value(v) for v in point]) for point in points]
        hinge = sum(((1 - side * score).relu() for side, score in zip(sides, scores)), Value(0.0)) * (1 / len(points))
        penalty = sum((p * p for p in model.parameters()), Value(0.0)) * 1e-4
        accuracy = 100 * sum((score.data > 0) == (side > 0) for side, score in zip(sides, scores)) / len(points)
        model.zero_grad()
        (hinge + penalty).backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * i / 100) * p.grad

    effort.steps(step, 50 if effort.quick else 100, lambda: f"accuracy {accuracy:.0f} %")
    return accuracy


RESULTS = [
    Published(
        "micrograd", "Karpathy, *micrograd*, demo.ipynb", "MLP 2-16-16-1 of Values, 100 moons, 100 steps", "100 %", "%",
        100.0, 95.0, 0.2, 0.1, demo,
    )
]  # fmt: skip
