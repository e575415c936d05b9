"""A network made of neurons made of Values: what a layer is before it becomes a matrix. Standard library only.

The names and arguments are micrograd's, so that its notebooks run here. ``nn.Linear`` is the same layer for every
backend: ``Layer(3, 2)`` holds the rows of its weight matrix, one in each neuron.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from tinynet.errors import ShapeError
from tinynet.value import Value


class _Part:
    """What neurons, layers and networks share."""

    def parameters(self) -> list[Value]:
        """Every weight and bias."""
        return []

    def zero_grad(self) -> None:
        """Forget the gradients of all weights and biases."""
        for parameter in self.parameters():
            parameter.grad = 0.0


class Neuron(_Part):
    """relu(w · x + b); just w · x + b with ``nonlin=False``. Weights start uniform in ±1, the bias at 0."""

    def __init__(self, nin: int, nonlin: bool = True) -> None:
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0.0)
        self.nonlin = nonlin

    def __call__(self, x: Sequence[Any]) -> Value:
        """One number for nin numbers."""
        if len(x) != len(self.w):
            raise ShapeError(f"a neuron with {len(self.w)} inputs got {len(x)}.")
        total = self.b
        for weight, number in zip(self.w, x):
            total = total + weight * number
        return total.relu() if self.nonlin else total

    def parameters(self) -> list[Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{'ReLU' if self.nonlin else 'Linear'}Neuron({len(self.w)})"


class Layer(_Part):
    """Neurons side by side, all looking at the same inputs."""

    def __init__(self, nin: int, nout: int, **settings: Any) -> None:
        self.neurons = [Neuron(nin, **settings) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """nout numbers for nin numbers; a single one stands alone."""
        outputs = [neuron(x) for neuron in self.neurons]
        return outputs[0] if len(outputs) == 1 else outputs

    def parameters(self) -> list[Value]:
        """Those of every neuron."""
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(str, self.neurons))}]"


class MLP(_Part):
    """Layers one behind the other, bent by ReLU everywhere but at the end: ``MLP(2, [16, 16, 1])``."""

    def __init__(self, nin: int, nouts: Sequence[int]) -> None:
        self.layers = [
            Layer(before, after, nonlin=i != len(nouts) - 1)
            for i, (before, after) in enumerate(zip([nin, *nouts], nouts))
        ]
        for i, layer in enumerate(self.layers):  # a drawing of the network says which weight is where
            for j, neuron in enumerate(layer.neurons):
                neuron.b.label = f"layers.{i}.b[{j}]"
                for k, weight in enumerate(neuron.w):
                    weight.label = f"layers.{i}.w[{j},{k}]"

    def __call__(self, x: Any) -> Any:
        """Through each layer in turn."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def parameters(self) -> list[Value]:
        """Those of every layer."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(str, self.layers))}]"
