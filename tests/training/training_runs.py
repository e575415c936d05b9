"""What the tests of training share: small models, small data, and the comparison of runs."""

from itertools import pairwise
from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Trainer, data, nn, optim

CLOCKS = ("seconds", "samples_per_second")  # what no two runs have in common

MOONS = data.moons(50, seed=3)
REST = data.moons(30, seed=4)


def mlp(*sizes: int, seed: int = 1, dtype: str = "float32") -> nn.Sequential:
    """Linear, Tanh, …, Linear."""
    tn.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1]).to("numpy", dtype=dtype)


def moons_trainer(
    optimizer: Any = None, loss: Any = None, model: Any = None, metrics: Any = "accuracy", **options: Any
):
    """A trainer of a small classifier, in one thread: how many are tried depends on the machine."""
    options = {"threads": 1} | options
    return Trainer(
        model or mlp(2, 6, 2), loss or nn.CrossEntropyLoss(), optimizer or optim.SGD(lr=0.3), metrics, **options
    )


def weights(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def memory(trainer: Trainer) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in trainer.optimizer.state_dict()["memory"].items()}


def rows(history: tn.History) -> list[dict[str, float]]:
    """The history without what the clock put there."""
    return [{k: v for k, v in row.items() if k not in CLOCKS} for row in history.epochs]


def same_bits(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Fail, naming the array and an element, unless all are equal bit for bit."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        if found[name].tobytes() != array.tobytes():
            index = tuple(int(i) for i in np.argwhere(found[name] != array)[0])
            raise AssertionError(f"{name}{list(index)}: {found[name][index]!r}, expected {array[index]!r}")


def same_run(found: Trainer, expected: Trainer) -> None:
    """Fail unless two trainers ended alike: weights, what the optimiser remembers, history."""
    same_bits(weights(found.model), weights(expected.model))
    same_bits(memory(found), memory(expected))
    assert found.optimizer.lr == expected.optimizer.lr
    assert rows(found.history) == rows(expected.history)
