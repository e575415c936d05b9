"""The kinds of network over numbers, each of any size: dense, micrograd's moons, convolutional.

What a step and a batch are is said in ``workload.py``, how a size is asked for in ``workloads.py``; the kinds over
tokens are in ``sequences.py``. Must not know who runs them.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from tinynet.bench.workload import Library, Product, Shapes, Workload
from tinynet.errors import ArgumentError


class Mlp(Workload):
    """Dense layers with ReLU between them, on numbers in [0, 1), one class each."""

    family = "mlp"
    takes = "the units of each layer, two or more"

    def check(self) -> None:
        if len(self.sizes) < 2:
            raise ArgumentError(f"{self.name}: mlp takes {self.takes}; got one.")

    @property
    def layers(self) -> tuple[int, ...]:
        """The units of every layer, inputs and outputs too."""
        return self.sizes

    @property
    def what(self) -> str:
        return f"{'-'.join(map(str, self.layers))}, ReLU"

    def model(self, library: Library) -> Any:
        nn, layers = library.nn, []
        for before, after in pairwise(self.layers):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def shapes(self) -> Shapes:
        found: Shapes = {}
        for i, (before, after) in enumerate(pairwise(self.layers)):
            found |= {f"{2 * i}.weight": (after, before), f"{2 * i}.bias": (after,)}
        return found

    def products(self) -> list[Product]:
        return [Product(self.batch, b, a, 3 if i else 2) for i, (a, b) in enumerate(pairwise(self.layers))]

    def examples(self, random: np.random.Generator) -> tuple[Any, Any]:
        return _pixels(random, self.batch, self.sizes[0]), random.integers(0, self.sizes[-1], self.batch)


class Moons(Mlp):
    """micrograd's demo: points of two half circles, dense layers with ReLU, hinge loss, a little weight decay."""

    family = "moons"
    takes = "the units of each hidden layer, one or more"
    learning_rate = 0.1
    weight_decay = 2e-4  # the gradient of 1e-4 · Σ w²

    def check(self) -> None:
        """Any hidden layers will do."""

    @property
    def layers(self) -> tuple[int, ...]:
        return (2, *self.sizes, 1)

    @property
    def what(self) -> str:
        return f"{super().what}, hinge loss, moons"

    def examples(self, random: np.random.Generator) -> tuple[Any, Any]:
        from tinynet import data

        drawn = data.moons(self.batch, noise=0.1, seed=1)
        return drawn.x, (2 * drawn.y - 1).astype(np.float32)

    def cost(self, library: Library) -> Callable[[Any, Any], Any]:
        return lambda scores, sides: (1 - sides * scores.reshape(-1)).relu().mean()


class Cnn(Workload):
    """Nielsen's network of chapter 6: two convolutions of 5 × 5, each with ReLU and 2 × 2 pooling, two dense layers."""

    family = "cnn"
    takes = "the image's side, the channels of each of two convolutions, dense units, classes"

    def check(self) -> None:
        self.count(5)
        if self.sizes[0] < 16:
            raise ArgumentError(f"{self.name}: two convolutions of 5 × 5 and two poolings need a side of at least 16.")

    @property
    def sides(self) -> tuple[int, int, int]:
        """Of what the first and the second convolution give, and of what the second pooling leaves."""
        first = self.sizes[0] - 4
        second = first // 2 - 4
        return first, second, second // 2

    @property
    def what(self) -> str:
        side, first, second, units, classes = self.sizes
        return f"{side}×{side}, 1→{first}→{second} 5×5, pooled, {units}-{classes}, ReLU"

    def model(self, library: Library) -> Any:
        nn, (_, first, second, units, classes) = library.nn, self.sizes
        return nn.Sequential(
            nn.Conv2d(1, first, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(first, second, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(second * self.sides[2] ** 2, units), nn.ReLU(), nn.Linear(units, classes),
        )  # fmt: skip

    def shapes(self) -> Shapes:
        _, first, second, units, classes = self.sizes
        return {
            "0.weight": (first, 1, 5, 5), "0.bias": (first,), "3.weight": (second, first, 5, 5), "3.bias": (second,),
            "7.weight": (units, second * self.sides[2] ** 2), "7.bias": (units,),
            "9.weight": (classes, units), "9.bias": (classes,),
        }  # fmt: skip

    def products(self) -> list[Product]:
        (_, first, second, units, classes), (wide, narrow, left) = self.sizes, self.sides
        return [
            Product(self.batch * wide**2, first, 25, 2),
            Product(self.batch * narrow**2, second, 25 * first),
            Product(self.batch, units, second * left**2),
            Product(self.batch, classes, units),
        ]

    def examples(self, random: np.random.Generator) -> tuple[Any, Any]:
        side, classes = self.sizes[0], self.sizes[-1]
        return _pixels(random, self.batch, 1, side, side), random.integers(0, classes, self.batch)


def _pixels(random: np.random.Generator, *shape: int) -> Any:
    return random.random(shape, np.float32)
