"""The kinds of network that are measured, each of any size: dense, convolutional, recurrent, attention, names, moons.

What a step and a batch are is said in ``workload.py``, how a size is asked for in ``workloads.py``. Must not know
who runs them.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

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
        _count(self, 5)
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


class _Sequences(Workload):
    """What the families over sequences share: tokens in, logits for the next one at every place."""

    def _rows(self) -> int:
        return self.batch * self.length

    def examples(self, random: np.random.Generator) -> tuple[Any, Any]:
        shape = (self.batch, self.length)
        return random.integers(0, self.sizes[0], shape), random.integers(0, self.sizes[0], shape)

    def cost(self, library: Library) -> Callable[[Any, Any], Any]:
        entropy = library.nn.CrossEntropyLoss()
        return lambda logits, y: entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


class Rnn(_Sequences):
    """Characters, a recurrent layer over them, and logits at every step."""

    family = "rnn"
    takes = "the vocabulary, the numbers of an embedding, the hidden units; and how many steps"
    layer: ClassVar[str] = "RNN"
    gates: ClassVar[int] = 1

    def check(self) -> None:
        _count(self, 3)

    @property
    def what(self) -> str:
        vocabulary, embedded, hidden = self.sizes
        return f"{self.layer}, vocabulary {vocabulary}, embedding {embedded}, hidden {hidden}, {self.length} steps"

    def model(self, library: Library) -> Any:
        nn, kind, (vocabulary, embedded, hidden) = library.nn, self.layer, self.sizes

        class Characters(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(vocabulary, embedded)
                self.layer = getattr(nn, kind)(embedded, hidden, batch_first=True)
                self.head = nn.Linear(hidden, vocabulary)

            def forward(self, x: Any) -> Any:
                return self.head(self.layer(self.embedding(x))[0])

        return Characters()

    def shapes(self) -> Shapes:
        vocabulary, embedded, hidden = self.sizes
        units = self.gates * hidden
        return {
            "embedding.weight": (vocabulary, embedded),
            "layer.weight_ih_l0": (units, embedded), "layer.weight_hh_l0": (units, hidden),
            "layer.bias_ih_l0": (units,), "layer.bias_hh_l0": (units,),
            "head.weight": (vocabulary, hidden), "head.bias": (vocabulary,),
        }  # fmt: skip

    def products(self) -> list[Product]:
        (vocabulary, embedded, hidden), rows = self.sizes, self._rows()
        units = self.gates * hidden
        return [Product(rows, units, embedded), Product(rows, units, hidden), Product(rows, vocabulary, hidden)]


class Lstm(Rnn):
    """The same with long short-term memory."""

    family = "lstm"
    layer = "LSTM"
    gates = 4


class Gpt(_Sequences):
    """A small GPT: pre-norm blocks of causal attention and a network four times as wide inside."""

    family = "gpt"
    takes = "the vocabulary, the width, the heads, the layers; and the context"

    def check(self) -> None:
        _count(self, 4)
        if self.sizes[1] % self.sizes[2]:
            raise ArgumentError(f"{self.name}: the width, {self.sizes[1]}, is no multiple of {self.sizes[2]} heads.")

    @property
    def what(self) -> str:
        vocabulary, width, heads, layers = self.sizes
        return f"GPT, {layers} layers, {heads} heads, width {width}, context {self.length}, vocabulary {vocabulary}"

    def model(self, library: Library) -> Any:
        nn, functional, (vocabulary, width, heads, layers) = library.nn, library.functional, self.sizes

        class Block(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
                self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

            def forward(self, x: Any) -> Any:
                batch, length, _ = x.shape
                parts = self.inward(self.before(x)).reshape(batch, length, 3, heads, width // heads)
                q, k, v = parts.permute(2, 0, 3, 1, 4)
                seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + self.outward(seen.permute(0, 2, 1, 3).reshape(batch, length, width))
                return x + self.network(self.between(x))

        return nn.Sequential(
            nn.Embedding(vocabulary, width), *[Block() for _ in range(layers)], nn.LayerNorm(width),
            nn.Linear(width, vocabulary),
        )  # fmt: skip

    def shapes(self) -> Shapes:
        vocabulary, width, _, layers = self.sizes
        found: Shapes = {"0.weight": (vocabulary, width)}
        for i in range(1, layers + 1):
            for norm in ("before", "between"):
                found |= {f"{i}.{norm}.weight": (width,), f"{i}.{norm}.bias": (width,)}
            dense = {"inward": (3, 1), "outward": (1, 1), "network.0": (4, 1), "network.2": (1, 4)}
            for name, (after, before) in dense.items():
                found |= {f"{i}.{name}.weight": (after * width, before * width), f"{i}.{name}.bias": (after * width,)}
        found |= {f"{layers + 1}.weight": (width,), f"{layers + 1}.bias": (width,)}
        return found | {f"{layers + 2}.weight": (vocabulary, width), f"{layers + 2}.bias": (vocabulary,)}

    def products(self) -> list[Product]:
        (vocabulary, width, _, layers), rows, length = self.sizes, self._rows(), self.length
        dense = [Product(rows, after * width, before * width) for after, before in ((3, 1), (1, 1), (4, 1), (1, 4))]
        attention = [Product(rows, length, width), Product(rows, width, length)]  # all heads together, masked pairs too
        return layers * (dense + attention) + [Product(rows, vocabulary, width)]


class Names(Workload):
    """makemore's network: a few characters, an embedding each, one layer of tanh, logits for the next character."""

    family = "names"
    takes = "the vocabulary, the numbers of an embedding, the tanh units; and how many characters"

    def check(self) -> None:
        _count(self, 3)

    @property
    def what(self) -> str:
        vocabulary, embedded, units = self.sizes
        return f"{self.length}×{embedded} → {units} tanh → {vocabulary}"

    def model(self, library: Library) -> Any:
        nn, (vocabulary, embedded, units) = library.nn, self.sizes
        return nn.Sequential(
            nn.Embedding(vocabulary, embedded), nn.Flatten(), nn.Linear(self.length * embedded, units), nn.Tanh(),
            nn.Linear(units, vocabulary),
        )  # fmt: skip

    def shapes(self) -> Shapes:
        vocabulary, embedded, units = self.sizes
        return {
            "0.weight": (vocabulary, embedded), "2.weight": (units, self.length * embedded), "2.bias": (units,),
            "4.weight": (vocabulary, units), "4.bias": (vocabulary,),
        }  # fmt: skip

    def products(self) -> list[Product]:
        vocabulary, embedded, units = self.sizes
        return [
            Product(self.batch, units, self.length * embedded),
            Product(self.batch, vocabulary, units),
        ]

    def examples(self, random: np.random.Generator) -> tuple[Any, Any]:
        count = self.sizes[0]
        return random.integers(0, count, (self.batch, self.length)), random.integers(0, count, self.batch)


FAMILIES: dict[str, type[Workload]] = {family.family: family for family in (Mlp, Cnn, Rnn, Lstm, Gpt, Names, Moons)}


def _pixels(random: np.random.Generator, *shape: int) -> Any:
    return random.random(shape, np.float32)


def _count(workload: Workload, expected: int) -> None:
    if len(workload.sizes) != expected:
        raise ArgumentError(
            f"{workload.name}: {workload.family} takes {expected} sizes ({workload.takes}); got {len(workload.sizes)}."
        )
