"""A. Karpathy, *makemore*, part 2 (2022): a multilayer perceptron that continues names, after Bengio et al. (2003)."""

import random as standard_random

import numpy as np

from tinynet import data, nn, optim, random
from tinynet.data import Dataset
from tinynet.modes import no_grad
from tinynet.nn import init
from tinynet.recording import capture
from tinynet.reproduce.published import Effort, Published
from tinynet.tensor import Tensor


def examples(effort: Effort) -> tuple[Dataset, Dataset]:
    """Three characters and the one that follows: of the first 80 % of the shuffled names, and of the next 10 %."""
    names = data.names(effort.directory)
    vocabulary = data.Characters(names, boundary=".")
    standard_random.Random(42).shuffle(names)
    first, second = int(0.8 * len(names)), int(0.9 * len(names))
    train, valid = (data.next_character(part, 3, vocabulary) for part in (names[:first], names[first:second]))
    return train, valid


def mlp(hidden: int = 200, width: int = 10) -> nn.Module:
    """Three embeddings side by side, one layer of tanh, 27 logits; everything starts standard normal, as published."""
    model = nn.Sequential(
        nn.Embedding(27, width), nn.Flatten(), nn.Linear(3 * width, hidden), nn.Tanh(), nn.Linear(hidden, 27)
    )
    return init.initialise(model, "normal", "normal")


def names(effort: Effort) -> float:
    """200,000 steps of 32 examples, lr 0.1 and, in the second half, 0.01; the loss on validation names."""
    random.manual_seed(effort.seed)
    train, valid = examples(effort)
    model, loss = mlp(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    count = 20_000 if effort.quick else 200_000
    chosen = np.random.default_rng(effort.seed)

    def train_step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        cost = loss(model(x), y)
        cost.backward()
        optimizer.step()
        return cost

    recorded = capture(train_step)
    cost = Tensor(0.0)

    def step(i: int) -> None:
        nonlocal cost
        if i == count // 2:
            optimizer.lr = 0.01
        cost = recorded(*train[chosen.integers(len(train), size=32)])

    effort.steps(step, count, lambda: f"loss {cost.item():.3f}")
    with no_grad():
        return float(loss(model.predict(valid.x, 10_000), valid.y))


RESULTS = [
    Published(
        "makemore-mlp", "Karpathy, *makemore*, part 2", "MLP 3 × 10 → 200 tanh → 27 on 32,033 names, 200,000 steps",
        "2.17 nats", "nats", 2.18, 2.40, 0.5, 0.1, names,
    )
]  # fmt: skip
