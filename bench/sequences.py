"""The kinds of network over tokens: recurrent, long short-term memory, attention, and makemore's names.

Separate from ``families.py`` because a sequence has a length, and an answer at each of its places.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinynet.bench.workload import Library, Product, Shapes, Workload
from tinynet.errors import ArgumentError


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
        self.count(3)

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
        self.count(4)
        if self.sizes[1] % self.sizes[2]:
            raise ArgumentError(f"{self.name}: the width, {self.sizes[1]}, is no multiple of {self.sizes[2]} heads.")

    @property
    def what(self) -> str:
        vocabulary, width, heads, layers = self.sizes
        inside = f"{layers} layers, {heads} heads, width {width}"
        return f"GPT, {inside}, context {self.length}, vocabulary {vocabulary}, without positions"

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
        self.count(3)

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
