"""The networks that points are told apart by: made from sizes, trained and asked on NumPy in float64.

Separate from the session, which knows points and acts. Must not know how a network is shown.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tinynet import nn, optim
from tinynet.random import manual_seed

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
LOSS = nn.BCEWithLogitsLoss()


def build(hidden: Sequence[int], activation: type[nn.Module], weights: Weights | None = None) -> nn.Sequential:
    """Two inputs, hidden layers with an activation after each, and one output, a logit."""
    sizes = [2, *hidden, 1]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    model = nn.Sequential(*layers[:-1]).to("numpy", dtype="float64")
    if weights is not None:
        model.load_state_dict(weights)
    return model


def weights_of(model: nn.Module) -> dict[str, Array]:
    """A copy of every parameter, by its dotted name."""
    return {name: np.array(parameter.numpy()) for name, parameter in model.named_parameters()}


def fresh(hidden: Sequence[int], activation: type[nn.Module], seed: int) -> dict[str, Array]:
    """The weights that a seed begins with."""
    manual_seed(seed)
    return weights_of(build(hidden, activation))


def logits(model: nn.Module, x: Array) -> Array:
    """(n, 2) -> (n,): above 0 for class 1."""
    return np.asarray(model.predict(x).numpy()[:, 0])


def probabilities(model: nn.Module, x: Array) -> Array:
    """(n, 2) -> (n,): σ of the logits, how likely class 1 is."""
    return np.asarray(model.predict(x).sigmoid().numpy()[:, 0])


def mean_loss(model: nn.Module, x: Array, y: NDArray[np.int64]) -> float:
    """The binary cross-entropy over all points."""
    return float(LOSS(model.predict(x), y[:, None].astype(np.float64)).item())


def descend(model: nn.Module, x: Array, y: NDArray[np.int64], lr: float) -> float:
    """One step of gradient descent on all points at once; returns the loss before it."""
    rule = optim.SGD(model.parameters(), lr=lr)
    rule.zero_grad()
    loss = LOSS(model(x), y[:, None].astype(np.float64))
    loss.backward()
    rule.step()
    return float(loss.item())
