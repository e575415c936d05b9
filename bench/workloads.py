"""What networks that people learn on cost to train: each workload once, for tinynet and PyTorch alike.

The two share their names, so one definition serves both: a workload is built from a library's ``nn``, ``functional``
and ``optim``. A step is forward, loss, backward and a plain SGD update, in float32.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Library:
    """Where layers, functions and update rules come from, and how an array becomes a tensor."""

    name: str
    nn: Any
    functional: Any
    optim: Any
    tensor: Callable[[Any], Any]


@dataclass(frozen=True)
class Workload:
    """A model and a batch.

    Attributes:
        model: builds the model from a Library.
        batch: draws (x, y) as NumPy arrays.
    """

    model: Callable[[Library], Any]
    batch: Callable[[np.random.Generator], tuple[Any, Any]]

    def step(self, library: Library) -> Callable[[Any, Any], Any]:
        """A training step, to be called with tensors of the library."""
        model, loss = self.model(library), library.nn.CrossEntropyLoss()
        optimizer = library.optim.SGD(model.parameters(), lr=0.01)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            logits = model(x)
            cost = loss(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
            cost.backward()
            optimizer.step()
            return cost

        return step


def mlp(*sizes: int) -> Callable[[Library], Any]:
    """Dense layers with ReLU between them."""

    def model(library: Library) -> Any:
        nn, layers = library.nn, []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    return model


def cnn(library: Library) -> Any:
    """The network of Nielsen's chapter 6 with two convolutions."""
    nn = library.nn
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 40, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(640, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


def recurrent(kind: str, vocabulary: int = 65) -> Callable[[Library], Any]:
    """Characters, a recurrent layer over them, and logits at every step."""

    def model(library: Library) -> Any:
        nn = library.nn

        class Characters(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(vocabulary, 32)
                self.layer = getattr(nn, kind)(32, 128, batch_first=True)
                self.head = nn.Linear(128, vocabulary)

            def forward(self, x: Any) -> Any:
                return self.head(self.layer(self.embedding(x))[0])

        return Characters()

    return model


def gpt(library: Library, vocabulary: int = 65, width: int = 128, heads: int = 4, layers: int = 4) -> Any:
    """A small GPT: pre-norm blocks of causal attention and a network four times as wide inside."""
    nn, functional = library.nn, library.functional

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


def names(library: Library) -> Any:
    """makemore's network: three characters of 10 numbers each, 200 tanh units, 27 logits."""
    nn = library.nn
    return nn.Sequential(nn.Embedding(27, 10), nn.Flatten(), nn.Linear(30, 200), nn.Tanh(), nn.Linear(200, 27))


def images(batch: int, *shape: int) -> Callable[[np.random.Generator], tuple[Any, Any]]:
    """Pixels in [0, 1), and one of ten classes each."""
    return lambda random: (random.random((batch, *shape), np.float32), random.integers(0, 10, batch))


def tokens(batch: int, length: int, count: int, answers: int | None = None) -> Callable[[np.random.Generator], Any]:
    """Token numbers, and the next of each; or one answer an example."""
    after = (batch, length) if answers is None else (batch,)
    return lambda random: (random.integers(0, count, (batch, length)), random.integers(0, count, after))


WORKLOADS = {
    "mlp-3b1b": Workload(mlp(784, 16, 16, 10), images(32, 784)),
    "mlp-nielsen": Workload(mlp(784, 30, 10), images(10, 784)),
    "mlp-512": Workload(mlp(784, 512, 512, 10), images(256, 784)),
    "cnn-nielsen": Workload(cnn, images(64, 1, 28, 28)),
    "rnn-char": Workload(recurrent("RNN"), tokens(32, 64, 65)),
    "lstm-char": Workload(recurrent("LSTM"), tokens(32, 64, 65)),
    "gpt-nano": Workload(gpt, tokens(12, 64, 65)),
    "names-mlp": Workload(names, tokens(32, 3, 27, answers=1)),
}
