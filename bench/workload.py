"""A workload: a network, a batch and a training step, defined once for tinynet and for every library beside it.

tinynet and PyTorch share their names, so that one definition serves both; the others bring code of their own and start
from the same weights. A step is forward, loss, backward and a plain SGD update, in float32. The kinds of network are in
``families.py`` and ``sequences.py``, their names on the command line in ``workloads.py``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinynet.errors import ArgumentError

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Library:
    """Where layers, functions and update rules come from, and how an array becomes a tensor."""

    name: str
    nn: Any
    functional: Any
    optim: Any
    tensor: Callable[[Any], Any]


class Product(NamedTuple):
    """A matrix product, (rows, terms) @ (terms, columns), and how often it or one of its size is done in a step.

    Three times as a rule: once forward, once for the gradient of each factor; twice where the left one is given.
    """

    rows: int
    columns: int
    terms: int
    times: int = 3


@dataclass(frozen=True)
class Workload(ABC):
    """A network of given sizes and its batch; a subclass is a family.

    Args:
        name: what it is called in tables.
        sizes: of the layers, as the family orders them.
        length: of the sequences; 0 in a family that has none.
        batch: examples a step.
    """

    family: ClassVar[str]
    takes: ClassVar[str]  # the sizes in words
    learning_rate: ClassVar[float] = 0.01
    weight_decay: ClassVar[float] = 0.0

    name: str
    sizes: tuple[int, ...]
    length: int
    batch: int

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:  # noqa: B027 - a family that takes any number of sizes has nothing to add
        """Complain, with an ArgumentError, of sizes that make no network."""

    def count(self, expected: int) -> None:
        """Complain of more sizes than the family takes, or fewer.

        Raises:
            ArgumentError: there are not so many.
        """
        if len(self.sizes) != expected:
            raise ArgumentError(
                f"{self.name}: {self.family} takes {expected} sizes ({self.takes}); got {len(self.sizes)}."
            )

    @abstractmethod
    def model(self, library: Library) -> Any:
        """The network, of a library's layers."""

    @abstractmethod
    def shapes(self) -> Shapes:
        """Every parameter's name and shape, as PyTorch has them."""

    @abstractmethod
    def products(self) -> list[Product]:
        """The matrix products of a step."""

    @abstractmethod
    def examples(self, random: np.random.Generator) -> tuple[Any, Any]:
        """Inputs and answers of one batch, as NumPy arrays."""

    @property
    @abstractmethod
    def what(self) -> str:
        """The network in words."""

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(map(math.prod, self.shapes().values()))

    @property
    def flop(self) -> float:
        """Floating-point operations of a step: 2·m·n·k of each matrix product, forward and backward.

        What is done number by number (activations, normalisation, softmax, the update) is not counted.
        """
        return float(sum(2 * p.rows * p.columns * p.terms * p.times for p in self.products()))

    def weights(self, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
        """The weights that every contender starts from, by PyTorch's names: uniform, |w| ≤ 1/√(inputs)."""
        random = np.random.default_rng(seed)
        drawn = {}
        for name, shape in self.shapes().items():
            bound = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.05
            middle = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0  # the factors of a normalisation
            drawn[name] = random.uniform(middle - bound, middle + bound, shape).astype(np.float32)
        return drawn

    def given(self) -> tuple[Any, Any]:
        """The batch that every contender gets."""
        return self.examples(np.random.default_rng(0))

    def cost(self, library: Library) -> Callable[[Any, Any], Any]:
        """The loss, a function of the network's output and the answers: softmax and cross-entropy."""
        entropy: Callable[[Any, Any], Any] = library.nn.CrossEntropyLoss()
        return entropy

    def step(
        self, library: Library, model: Any, forward: Callable[[Any, Any], Any] | None = None
    ) -> Callable[..., Any]:
        """A training step of a model, to be called with tensors of the library.

        Args:
            forward: the loss of inputs and answers, where it is not simply the model's and ``cost``'s.
        """
        cost = self.cost(library)
        optimizer = library.optim.SGD(model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)

        def plain(x: Any, y: Any) -> Any:
            return cost(model(x), y)

        loss_of = forward or plain

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = loss_of(x, y)
            loss.backward()
            optimizer.step()
            return loss

        return step
