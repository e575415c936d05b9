"""Linear, the layer that every network begins with, and the perceptron, which came before it."""

from collections.abc import Sequence
from typing import Any

from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.functions import zeros
from tinynet.fused import Fused
from tinynet.modes import no_grad
from tinynet.nn import init
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import whole
from tinynet.parameter import Parameter
from tinynet.tensor import Tensor


def _rows(x: Tensor) -> Tensor:
    """All leading dimensions run together: (…, features) -> (rows, features)."""
    return x if x.ndim == 2 else x.reshape(-1 if x.size else 0, x.shape[-1])


rows_product = Fused(
    "rows_product",
    lambda x, y: _rows(x).T @ _rows(y),
    lambda g, out, x, y: y @ g.T,
    lambda g, out, x, y: x @ g,
)
"""Xᵀ Y, where all leading dimensions of x, and of y, run together."""
rows_times: Fused = Fused(
    "rows_times",
    lambda x, w: x @ w,
    lambda g, out, x, w: rows_times(g, w.T),
    lambda g, out, x, w: rows_product(x, g),
)
"""X W, where all leading dimensions of x run together in one product."""
linear = Fused(
    "linear",
    lambda x, w, b: x @ w.T + b if b is not None else x @ w.T,
    lambda g, out, x, w, b: rows_times(g, w),
    lambda g, out, x, w, b: rows_product(g, x),
    lambda g, out, x, w, b: g,
)


class WeightedSum(Module):
    """What Linear and the perceptron share: weights, a bias, and the one kind of input that fits them."""

    in_features: int
    weight: Parameter
    bias: Parameter | None

    def forward(self, x: Tensor) -> Tensor:
        """(…, in_features) -> (…, out_features)."""
        if not isinstance(x, Tensor):
            raise TypeMismatch(
                f"{self.described()} needs a tensor, an array or a list of numbers; got {type(x).__name__}: {x!r:.60}."
            )
        shape = x.shape
        if not shape or shape[-1] != self.in_features:
            raise ShapeError(
                f"{self.described()} needs (batch, {self.in_features}); got {shape}. "
                + (f"Does it follow a layer with {shape[-1]} outputs?" if shape else "Is it a batch?")
            )
        return linear(floating(x, self.weight), self.weight, self.bias)


class Linear(WeightedSum):
    """a = x Wᵀ + b, a weighted sum of the inputs for each output.

    Shapes: (…, in_features) -> (…, out_features); ``weight`` is (out_features, in_features), as in a = Wx + b.

    Args:
        in_features, out_features: the number of inputs and of outputs.
        bias: whether to add b.

    Weights and biases start uniform in ±1/√in_features, as in PyTorch; ``nn.init`` has the other customs.

    Raises:
        ShapeError: the input's last dimension is not in_features.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features, self.out_features = whole("Linear", in_features=in_features, out_features=out_features)
        self.weight = Parameter(zeros((self.out_features, self.in_features)))
        self.bias = Parameter(zeros(self.out_features)) if bias else None
        bound = 1 / self.in_features**0.5
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        """The sizes, and whether the bias is missing."""
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Perceptron(WeightedSum):
    """The threshold unit: 1 where w·x + b > 0, else 0. It has no useful gradient; it has a learning rule.

    Shapes: (batch, in_features) -> (batch, 1).

    Args:
        in_features: the number of inputs; or a list of weights to start from.
        bias: where to start the bias.

    Source: F. Rosenblatt, *The perceptron*, Psychological Review 65, 1958; Nielsen, *Neural Networks and Deep
    Learning*, chapter 1.
    """

    bias: Parameter

    def __init__(self, in_features: int | Sequence[float], bias: float = 0.0) -> None:
        weights = [0.0] * in_features if isinstance(in_features, int) else [float(w) for w in in_features]
        if not weights:
            raise ArgumentError("Perceptron needs at least one input.")
        self.in_features = len(weights)
        self.weight = Parameter([weights], requires_grad=False)
        self.bias = Parameter([float(bias)], requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """1 where the weighted sum is above 0, else 0."""
        return (super().forward(x) > 0).to(dtype=self.weight.dtype)

    def learn(self, x: Any, y: Any, epochs: int = 1) -> int:
        """Rosenblatt's rule, one example at a time: w ← w + (y - ŷ) x, b ← b + (y - ŷ).

        Args:
            x: (examples, in_features). y: (examples,) of 0 and 1.
            epochs: how often to go through the examples; it stops early once there is no mistake.

        Returns:
            The number of mistakes in the last epoch; it reaches 0 exactly where a line separates the two classes.

        Raises:
            ArgumentError: not as many targets as examples, or no epoch.
        """
        x, y = self._admit(x), self._admit(y)
        if len(x) != len(y) or epochs < 1:
            raise ArgumentError(
                f"learn needs a target for each example, and an epoch at least; got {len(x)} examples, {len(y)} "
                f"targets and {epochs} epochs."
            )
        if any(target not in (0, 1) for target in y.reshape(-1).tolist()):
            raise ArgumentError(f"Perceptron.learn needs targets of 0 and 1; got {y.tolist()!r:.60}.")
        mistakes = 0
        with no_grad():
            for _ in range(epochs):
                mistakes = 0
                for example, target in zip(x, y):
                    error = float(target) - float(self(example))
                    if error:
                        mistakes += 1
                        self.weight.add_(example * error)
                        self.bias.add_(error)
                if not mistakes:
                    break
        return mistakes

    def extra_repr(self) -> str:
        """The number of inputs."""
        return str(self.in_features)
