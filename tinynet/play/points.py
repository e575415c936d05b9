"""Points in a plane, and a network that tells two classes of them apart: both can be edited, number by number.

The network trains and answers on NumPy; backpropagation is explained on one chosen point, by a run of the same weights
on the scalar engine. Must not know where the points come from.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinynet import nn
from tinynet.errors import ArgumentError, did_you_mean
from tinynet.explain.model_run import layers, walks
from tinynet.explain.run import Run, as_json
from tinynet.explain.trace import Trace
from tinynet.play import network
from tinynet.play.requests import Request
from tinynet.play.scattered import Scattered, shown
from tinynet.play.session import Json, Session, check_finite
from tinynet.play.window import centres, window_around

LARGEST = 1e6  # a coordinate or a weight: far out, and nothing computed from it overflows
MOST_POINTS, MOST_LAYERS, MOST_UNITS = 500, 3, 16
LARGEST_SEED = 2**32 - 1
ACROSS = DOWN = 40
PLACE = re.compile(r"(.+)\[(\d{1,4}(?:,\d{1,4})*)\]")


class PointsSession(Session[Scattered]):
    """Points to play with.

    Args:
        x, y: the points, (n, 2), and their classes, 0 or 1, (n,).
        hidden: the units of each hidden layer.
        activation: what stands between layers; a name in ``activations``.
        activations: the choices.
        seed, lr: of the initial weights; the learning rate.

    Raises:
        ArgumentError: something does not fit.
    """

    kind = "points"
    longest_run = 500

    def __init__(
        self,
        x: Any,
        y: Any,
        hidden: tuple[int, ...],
        activation: str,
        activations: Mapping[str, type[nn.Module]],
        seed: int = 0,
        lr: float = 0.5,
    ) -> None:
        self.activations = activations
        points = Request({"hidden": list(hidden), "seed": seed, "activation": activation})
        hidden = points.wholes("hidden", MOST_LAYERS, 1, MOST_UNITS)
        x, y = np.array(x, np.float64), np.array(y, np.int64)
        if not 1 <= len(x) <= MOST_POINTS:
            raise ArgumentError(f"there are 1 to {MOST_POINTS} points to play with; got {len(x)}. Take fewer.")
        if x.shape != (len(x), 2) or y.shape != (len(x),) or not np.isin(y, (0, 1)).all():
            raise ArgumentError("points are two numbers each, and a class, 0 or 1.")
        if not (np.abs(x) <= LARGEST).all():
            raise ArgumentError(f"coordinates are finite, from {-LARGEST:g} to {LARGEST:g}. Scale them.")
        weights = network.fresh(hidden, self._kind_of(activation), points.whole("seed", 0, LARGEST_SEED))
        super().__init__(
            Scattered(
                lr, x=x, y=y, hidden=hidden, activation=activation, seed=seed, weights=weights, window=window_around(x)
            )
        )

    def acts(self) -> Mapping[str, Callable[[Request], Scattered]]:
        """What can be done."""
        return {
            "value": self._value, "point-add": self._add, "point-move": self._move, "point-label": self._label,
            "point-remove": self._remove, "choose": self._choose, "activation": self._activation, "sizes": self._sizes,
            "seed": self._seed, "lr": self.rate, "step": self.once, "run": self.many, "reset": self._reset,
        }  # fmt: skip

    # --- points -------------------------------------------------------------------------------------------------------

    def _add(self, asked: Request) -> Scattered:
        here, point = self.present, asked.numbers("x", 2, -LARGEST, LARGEST)
        if len(here.x) == MOST_POINTS:
            raise ArgumentError(f"there are {MOST_POINTS} points already, which is as many as there can be.")
        y = np.append(here.y, asked.whole("label", 0, 1))
        return shown(replace(here, x=np.append(here.x, [point], axis=0), y=y))

    def _move(self, asked: Request) -> Scattered:
        return self._moved(self._index(asked), asked.numbers("x", 2, -LARGEST, LARGEST))

    def _moved(self, index: int, to: list[float]) -> Scattered:
        x = self.position.x.copy()
        x[index] = to
        return shown(replace(self.present, x=x))

    def _label(self, asked: Request) -> Scattered:
        y = self.position.y.copy()
        y[self._index(asked)] = asked.whole("label", 0, 1)
        return replace(self.present, y=y)

    def _remove(self, asked: Request) -> Scattered:
        here, index = self.present, self._index(asked)
        if len(here.x) == 1:
            raise ArgumentError("this is the last point, and without one there is nothing to learn. Add another first.")
        chosen = min(here.chosen - (index < here.chosen), len(here.x) - 2)
        return replace(here, x=np.delete(here.x, index, axis=0), y=np.delete(here.y, index), chosen=chosen)

    def _choose(self, asked: Request) -> Scattered:
        return replace(self.present, chosen=self._index(asked))

    def _index(self, asked: Request) -> int:
        return asked.whole("index", 0, len(self.position.x) - 1)

    # --- the network --------------------------------------------------------------------------------------------------

    def _value(self, asked: Request) -> Scattered:
        here, name = self.present, asked.text("name")
        number = asked.number("value", -LARGEST, LARGEST)
        found = PLACE.fullmatch(name)
        array, index = (found[1], tuple(map(int, found[2].split(",")))) if found else ("", ())
        if array == "x" and index in ((0, 0), (0, 1)):
            to = here.x[here.chosen].tolist()
            to[index[1]] = number
            return self._moved(here.chosen, to)
        shape = here.weights[array].shape if array in here.weights else ()
        if len(index) != len(shape) or not shape or not all(i < n for i, n in zip(index, shape)):
            raise ArgumentError(
                f"there is no number {name!r:.60} that can be set. There are x[0,0], x[0,1] and the parameters, such "
                "as 0.weight[0,0]."
            )
        changed = here.weights[array].copy()
        changed[index] = number
        return replace(here, weights={**here.weights, array: changed})

    def _activation(self, asked: Request) -> Scattered:
        name = asked.text("name")
        self._kind_of(name)
        return replace(self.present, activation=name)

    def _sizes(self, asked: Request) -> Scattered:
        return self._anew(hidden=asked.wholes("hidden", MOST_LAYERS, 1, MOST_UNITS))

    def _seed(self, asked: Request) -> Scattered:
        return self._anew(seed=asked.whole("value", 0, LARGEST_SEED))

    def _reset(self, asked: Request) -> Scattered:
        return self._anew()

    def _anew(self, **changes: Any) -> Scattered:
        """The weights that the seed begins with, and nothing learned yet."""
        here: Scattered = replace(self.present, steps=0, history=(), **changes)
        weights = network.fresh(here.hidden, self._kind_of(here.activation), here.seed)
        return replace(here, weights=weights)

    def _kind_of(self, name: str) -> type[nn.Module]:
        if name not in self.activations:
            hint = did_you_mean(name, self.activations)
            raise ArgumentError(f"there is no activation {name!r:.60}{hint} Choose from {', '.join(self.activations)}.")
        return self.activations[name]

    def model(self, position: Scattered) -> nn.Sequential:
        """The network as it is there."""
        return network.build(position.hidden, self._kind_of(position.activation), position.weights)

    # --- what every session says --------------------------------------------------------------------------------------

    def descent(self, position: Scattered) -> Iterator[Scattered]:
        """Gradient descent on all points at once."""
        model = self.model(position)
        while True:
            with np.errstate(over="ignore", invalid="ignore"):  # looked at below
                loss = network.descend(model, position.x, position.y, position.lr)
                weights = network.weights_of(model)
                check_finite("the loss", network.mean_loss(model, position.x, position.y))
            for name, array in weights.items():
                far = float(np.abs(array).max())
                check_finite(name, far if far <= LARGEST else np.inf)
            position = position.stepped(loss, weights=weights)
            yield position

    def loss(self, position: Scattered) -> float:
        """The mean over all points, of which the explained one is a single one."""
        return network.mean_loss(self.model(position), position.x, position.y)

    def walk(self, position: Scattered) -> tuple[Trace, Run]:
        """Backpropagation through the network's loss on the chosen point alone, on the scalar engine."""
        model, k = self.model(position), position.chosen
        x, y = position.x[k : k + 1], position.y[k : k + 1, None]
        walk, more = next(walks(model, x, y, network.LOSS, None, 0))
        run = Run(f"Backpropagation through {walk.root.name}")
        run.add(walk, **more)
        run.describe(layers(model))
        return walk, run

    def described(self, position: Scattered) -> Json:
        """The points with the network's answers, the plane, and every parameter."""
        model = self.model(position)
        answers = network.probabilities(model, position.x).tolist()
        right = (network.logits(model, position.x) > 0) == (position.y == 1)
        low, high = position.window
        plane = network.probabilities(model, centres(position.window, ACROSS, DOWN))
        return {
            "points": [
                {"x": x, "label": label, "output": answer}
                for x, label, answer in zip(position.x.tolist(), position.y.tolist(), answers)
            ],
            "chosen": position.chosen,
            "boundary": {"low": [*low], "high": [*high], "size": [ACROSS, DOWN], "values": plane.tolist()},
            "activation": position.activation,
            "activations": [*self.activations],
            "sizes": [2, *position.hidden, 1],
            "seed": position.seed,
            "accuracy": float(right.mean()),
            "parameters": [
                {"name": f"{name}[{','.join(map(str, index))}]", "value": as_json(float(value))}
                for name, array in position.weights.items()
                for index, value in np.ndenumerate(array)
            ],
        }
