"""What recording buys: one training step of 784-16-16-10 (ReLU, batch 32, SGD), run eagerly and replayed, in turn.

python -m tinynet.bench.replay
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

import tinynet as tn
from tinynet import nn, optim


def steps() -> tuple[dict[str, Callable[[], object]], Callable[[], int]]:
    """The same step twice, each with a model of its own; and how many calls the recorded one makes, once it has run."""
    random = np.random.default_rng(0)
    x, y = tn.Tensor(random.random((32, 784), np.float32)), tn.Tensor(random.integers(0, 10, 32))

    def make() -> Callable[[tn.Tensor, tn.Tensor], tn.Tensor]:
        model = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        loss = nn.CrossEntropyLoss()

        def step(x: tn.Tensor, y: tn.Tensor) -> tn.Tensor:
            optimizer.zero_grad()
            result = loss(model(x), y)
            result.backward()
            optimizer.step()
            return result

        return step

    eager, recorded = make(), tn.capture(make())
    return {"eager": lambda: eager(x, y), "replayed": lambda: recorded(x, y)}, lambda: len(recorded.program or [])


def main(rounds: int = 20, repeats: int = 200) -> None:
    """Time both in turn and print the medians and their ratio."""
    contenders, calls = steps()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, step in contenders.items():
            began = time.perf_counter()
            for _ in range(repeats):
                step()
            times[name].append((time.perf_counter() - began) / repeats)
    medians = {name: statistics.median(taken[1:]) for name, taken in times.items()}  # the first round warms up
    for name, median in medians.items():
        print(f"{name:9} {median * 1e6:7.1f} µs a step")
    print(f"calls     {calls():7}")
    print(f"ratio     {medians['eager'] / medians['replayed']:7.2f}")


if __name__ == "__main__":
    main()
