"""What a network is made of, in words that fit into its file: sizes, activation, loss, data set.

``train`` writes a recipe beside the weights; ``evaluate``, ``predict`` and ``parity`` need nothing but the file. Must
not know how training is done.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tinynet import nn
from tinynet.cli.parser import UsageError
from tinynet.data import Dataset, load
from tinynet.errors import CheckpointError, TinynetError
from tinynet.training import checkpoint
from tinynet.training.report import confidences, measure

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
}
LOSSES: dict[str, Callable[[], nn.Loss]] = {
    "cross-entropy": nn.CrossEntropyLoss,
    "binary-cross-entropy": lambda: nn.BCEWithLogitsLoss("batchmean"),  # Nielsen, chapter 3
    "quadratic": nn.QuadraticCost,
    "mse": nn.MSELoss,
    "hinge": nn.HingeLoss,
}
SYNTHETIC = ("moons", "spirals", "circles", "xor", "line", "sine")
Array = NDArray[Any]


@dataclass(frozen=True)
class Recipe:
    """How to make a network, and what it is for.

    Attributes:
        sizes: the units of each layer, the inputs first: 784, 16, 16, 10.
        activation, loss: names from the tables above.
        dataset, data_options: what it was trained on, as ``data.load`` takes it.
        classes: the names of the classes, or None where it gives numbers (regression).
        settings: how it was trained, for the reader.
    """

    sizes: tuple[int, ...]
    activation: str
    loss: str
    dataset: str
    data_options: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def model(self) -> nn.Sequential:
        """The network, its weights not yet learned: Linear layers with activations between them.

        The quadratic losses compare outputs with 0 and 1, so their classifiers end with a Sigmoid.
        """
        layers: list[nn.Module] = []
        for inputs, outputs in zip(self.sizes, self.sizes[1:]):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[self.activation]()]
        layers.pop()
        if self.classes and self.loss in ("quadratic", "mse"):
            layers.append(nn.Sigmoid())
        return nn.Sequential(*layers)

    def cost(self) -> nn.Loss:
        """What training makes small."""
        return LOSSES[self.loss]()

    def data(self, name: str = "", **options: Any) -> tuple[Dataset, Dataset]:
        """(train, test) of its own data set, or of another one that fits it."""
        if name in ("", self.dataset):
            return load(self.dataset, **{**self.data_options, **options})
        train, test = load(name, **options)
        check_fit(self, test, name)
        return train, test

    # --- reading outputs ----------------------------------------------------------------------------------------------

    @property
    def measure(self) -> str:
        """What the numbers are that ``confidences`` gives: probability, activation or score."""
        return measure(self.cost(), self.sizes[-1])

    def confidences(self, outputs: Array) -> Array:
        """(n, outputs) -> (n, classes): how strongly each class is meant; the largest is the answer."""
        return confidences(self.cost(), outputs)

    # --- as a file ----------------------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return asdict(self)

    @classmethod
    def read(cls, about: dict[str, Any]) -> Self:
        """The recipe that ``about`` wrote. Raises KeyError, TypeError or ValueError where it is none."""
        known = {f.name: about[f.name] for f in fields(cls)}
        known["sizes"] = tuple(int(size) for size in known["sizes"])
        known["classes"] = None if known["classes"] is None else tuple(map(str, known["classes"]))
        if known["activation"] not in ACTIVATIONS or known["loss"] not in LOSSES or len(known["sizes"]) < 2:
            raise ValueError("an activation, a loss or sizes that are not known here")
        return cls(**known)


def open_model(path: str) -> tuple[Recipe, nn.Sequential]:
    """The recipe and the trained network in a file that ``tinynet train`` saved.

    Raises:
        CheckpointError: the file is missing, damaged, or does not say how its network is made.
    """
    arrays, about = checkpoint.read(path)
    if "trainer" in about:
        raise CheckpointError(
            f"Opening {path}: it holds a training run, not a finished model. `tinynet train --resume {path}` goes on "
            "with it and saves the model at the end."
        )
    try:
        recipe = Recipe.read(about["model"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"Opening {path}: it does not say how its network is made ({error!r}). Use a file that `tinynet train` "
            "saved; tn.load(model, path) reads others into a model of your own."
        ) from error
    model = recipe.model()
    try:
        model.load_state_dict(arrays)
    except TinynetError as error:
        raise CheckpointError(f"Opening {path}: its weights do not fit what it says of itself. {error}") from error
    dtypes = {str(array.dtype) for array in arrays.values()}
    return recipe, model.to(dtype="float64") if dtypes == {"float64"} else model


# --- what a data set needs --------------------------------------------------------------------------------------------


def data_needs(dataset: Dataset) -> tuple[int, int, str]:
    """The inputs and outputs that a data set asks for, and both in words."""
    inputs = int(np.prod(dataset.x.shape[1:]))
    if dataset.classes is None:
        outputs = int(np.prod(dataset.y.shape[1:]))
        return inputs, outputs, f"{_count(inputs, 'input')} and {_count(outputs, 'output')}"
    return inputs, len(dataset.classes), f"{_count(inputs, 'input')} and {len(dataset.classes)} classes"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def check_fit(recipe: Recipe, dataset: Dataset, name: str) -> None:
    """Refuse a network that cannot be used on a data set, and say what the data set needs.

    Raises:
        UsageError: sizes, or a loss, that do not fit.
    """
    inputs, outputs, needs = data_needs(dataset)
    got = "-".join(map(str, recipe.sizes))
    one = outputs == 2 and dataset.classes is not None and recipe.loss != "cross-entropy"
    if dataset.classes is None and recipe.loss not in ("mse", "quadratic"):
        raise UsageError(f"{name} asks for numbers, not classes: --loss is mse or quadratic there; got {recipe.loss}.")
    if (dataset.classes is None) != (recipe.classes is None):
        kinds = ["numbers", "classes"]
        raise UsageError(
            f"{name} asks for {kinds[dataset.classes is not None]}; this model answers with "
            f"{kinds[recipe.classes is not None]}. Name a data set like the one it was trained on, {recipe.dataset}."
        )
    if recipe.loss == "hinge":
        if outputs != 2:
            raise UsageError(f"--loss hinge tells two classes apart; {name} has {outputs}. Use cross-entropy.")
        outputs = 1
    if recipe.sizes[0] != inputs or not (recipe.sizes[-1] == outputs or (one and recipe.sizes[-1] == 1)):
        hidden = "-".join(map(str, recipe.sizes[1:-1] or (16,)))
        what = f"{needs}, and hinge takes one output" if recipe.loss == "hinge" else needs
        raise UsageError(f"{name} has {what}; got {got}. For example: --model {inputs}-{hidden}-{outputs}")
