"""A digit to draw, and what each layer of a trained network makes of it.

The network answers on NumPy. Backpropagation through all its weights is 40,000 numbers of the scalar engine, so it is
worked out only where it is asked for. Must not know how the network was trained or saved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tinynet import nn
from tinynet.data import Dataset
from tinynet.data.centring import centred
from tinynet.errors import ArgumentError
from tinynet.explain.feature_maps import feature_maps
from tinynet.explain.model_run import layers, walks
from tinynet.explain.run import Run, as_json
from tinynet.explain.trace import Trace
from tinynet.play.requests import Request
from tinynet.play.session import Json, Position, Session
from tinynet.training.report import confidences, measure

SIDE = 28
PIXELS = SIDE * SIDE


@dataclass(frozen=True, eq=False)
class Drawn(Position):
    """A drawing and what it is meant to be.

    Attributes:
        image: the drawing, (784,).
        seen: what the network sees of it, (784,).
        label: the class for the loss.
        explained: whether the state holds the run.
    """

    image: NDArray[np.float64] = field(default_factory=lambda: np.zeros(PIXELS))
    seen: NDArray[np.float64] = field(default_factory=lambda: np.zeros(PIXELS))
    label: int = 0
    explained: bool = False


class DigitsSession(Session[Drawn]):
    """A digit to draw.

    Args:
        model: takes (n, 784) and gives a number for each class; it is moved to NumPy, in float64.
        loss: takes what it gives, and classes.
        classes: their names.
        examples: drawings to begin with, x (n, 784).

    Raises:
        ArgumentError: the model is for something else.
    """

    kind = "digits"

    def __init__(self, model: nn.Module, loss: nn.Loss, classes: tuple[str, ...], examples: Dataset) -> None:
        self.model = model.to("numpy", dtype="float64").eval()
        self.cost, self.classes, self.examples = loss, classes, examples
        shape = self.model.predict(np.zeros((1, PIXELS))).shape
        if shape != (1, len(classes)) or len(classes) < 2:
            raise ArgumentError(
                f"a network to draw for gives a number for each class, {len(classes)}; this one gives {shape[1:]}."
            )
        self._page: tuple[int, str] = (-1, "")
        first = self._example_image(0)
        super().__init__(Drawn(image=first, seen=first, label=int(examples.y[0])))

    def acts(self) -> Mapping[str, Callable[[Request], Drawn]]:
        """What can be done."""
        return {
            "image": self._image, "label": self._label, "example": self._example, "explain": self._explain,
            "clear": self._clear,
        }  # fmt: skip

    def _image(self, asked: Request) -> Drawn:
        image = np.array(asked.numbers("pixels", PIXELS, 0.0, 1.0))
        seen = centred(image.reshape(SIDE, SIDE), SIDE).reshape(-1) if asked.yes("centre", True) else image
        return self._plain(image=image, seen=seen)

    def _label(self, asked: Request) -> Drawn:
        return self._plain(label=asked.whole("value", 0, len(self.classes) - 1))

    def _example(self, asked: Request) -> Drawn:
        k = asked.whole("index", 0, len(self.examples) - 1)
        image = self._example_image(k)
        return self._plain(image=image, seen=image, label=int(self.examples.y[k]))

    def _explain(self, asked: Request) -> Drawn:
        return replace(self.present, explained=True)

    def _clear(self, asked: Request) -> Drawn:
        return self._plain(image=np.zeros(PIXELS), seen=np.zeros(PIXELS))

    def _plain(self, **changes: object) -> Drawn:
        return replace(self.present, explained=False, **changes)  # type: ignore[arg-type]

    def _example_image(self, k: int) -> NDArray[np.float64]:
        return np.array(self.examples.x[k], np.float64).reshape(-1)

    # --- what every session says --------------------------------------------------------------------------------------

    def page(self) -> str:
        """The page, with the run of the present drawing in it; kept, since that takes seconds."""
        if self._page[0] != self.revision:
            self._page = (self.revision, super().page())
        return self._page[1]

    def loss(self, position: Drawn) -> float:
        """How wrong the network is about the drawing, if it is meant to be what the label says."""
        return float(self.cost(self.model.predict(position.seen[None]), np.array([position.label])).item())

    def explained(self, position: Drawn) -> Json | None:
        """The run, where it was asked for."""
        return super().explained(position) if position.explained else None

    def walk(self, position: Drawn) -> tuple[Trace, Run]:
        """Backpropagation through the network's loss on the drawing, on the scalar engine."""
        walk, more = next(walks(self.model, position.seen[None], np.array([position.label]), self.cost, None, 0))
        run = Run(f"Backpropagation through {walk.root.name}")
        run.add(walk, **more)
        run.describe(layers(self.model), (SIDE, SIDE))
        return walk, run

    def described(self, position: Drawn) -> Json:
        """The drawing, what each layer makes of it, and the answer."""
        modules = dict(self.model.named_modules())
        maps = feature_maps(self.model, position.seen[None])
        outputs = self.model.predict(position.seen[None]).numpy()
        return {
            "image": position.image.tolist(),
            "seen": position.seen.tolist(),
            "label": position.label,
            "classes": [*self.classes],
            "examples": len(self.examples),
            "layers": [
                {
                    "name": name,
                    "description": _description(modules, name),
                    "values": [as_json(x) for x in maps[name][0].tolist()],
                }
                for name in maps
            ],
            "measure": measure(self.cost, len(self.classes)),
            "probabilities": [as_json(x) for x in confidences(self.cost, outputs)[0].tolist()],
        }


def _description(modules: Mapping[str, nn.Module], name: str) -> str:
    return repr(modules[name]) if name in modules else ""
