"""micrograd's demo, one training step at a time: 100 moons, an MLP 2-16-16-1, hinge loss, a little weight decay.

The same step on micrograd, on tinynet's Values (neuron by neuron, and as ``nn`` layers on the scalar backend) and on
NumPy, in turn in one process, so that the ratios hold whatever the machine is doing.

    python -m tinynet.bench.moons    # needs `pip install micrograd` for the ratio
"""

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable

import tinynet as tn
from tinynet import data, neuron, nn
from tinynet.value import Value

EXAMPLES = data.moons(100, noise=0.1, seed=1)
SIDES = [2 * int(label) - 1 for label in EXAMPLES.y]


def neurons(network: type, value: type) -> Callable[[], float]:
    """The demo on numbers that remember, as its author wrote it: a neuron at a time."""
    random.seed(1337)
    model = network(2, [16, 16, 1])
    points = EXAMPLES.x.tolist()

    def step() -> float:
        scores = [model([value(x) for x in point]) for point in points]
        losses = [(1 + -side * score).relu() for side, score in zip(SIDES, scores)]
        total = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= 0.1 * p.grad
        return total.data

    return step


def layers(backend: str) -> Callable[[], float]:
    """The demo as nn layers, on any backend."""
    tn.manual_seed(1337)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)).to(backend)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1, weight_decay=2e-4)
    loss = nn.HingeLoss()

    def step(x: tn.Tensor, y: tn.Tensor) -> tn.Tensor:
        optimizer.zero_grad()
        result = loss(model(x), y)
        result.backward()
        optimizer.step()
        return result

    x, y = (tn.Tensor(a, backend=backend) for a in (EXAMPLES.x, EXAMPLES.y))
    run = tn.capture(step) if backend != "scalar" else step
    return lambda: run(x, y).item()


def contenders() -> dict[str, Callable[[], float]]:
    """Every way to take the step; micrograd only where it is installed."""
    found = {
        "tinynet neurons of Values": neurons(neuron.MLP, Value),
        "tinynet nn, scalar backend": layers("scalar"),
        "tinynet nn, NumPy, replayed": layers("numpy"),
    }
    try:
        from micrograd import engine
        from micrograd import nn as peer
    except ImportError:
        print("micrograd is not installed: no ratio", file=sys.stderr)
    else:
        found = {"micrograd": neurons(peer.MLP, engine.Value)} | found
    return found


def main(rounds: int = 7) -> None:
    """Time each contender's step in turn and print the medians and ratios."""
    steps = contenders()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            gc.collect()  # no contender pays for another's garbage
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    base = statistics.median(times["micrograd"][1:]) if "micrograd" in times else None
    for name, taken in times.items():
        median = statistics.median(taken[1:])  # the first round warms up
        ratio = f"{base / median:8.1f}× as fast as micrograd" if base else ""
        print(f"{name:28} {median * 1e3:9.2f} ms a step {ratio}")


if __name__ == "__main__":
    main()
