"""What each layer of a network makes of an input: every output as an array and as a picture, and the filters.

How a picture is drawn stands in ``panels.py``. Must not know backends, or how models are trained.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import isqrt, prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tinynet.errors import ArgumentError, ShapeError, TypeMismatch, did_you_mean
from tinynet.explain.notation import clip, number
from tinynet.explain.panels import Panel, draw, picture
from tinynet.files import write_bytes
from tinynet.modes import no_grad
from tinynet.nn import Linear, Module, Sequential
from tinynet.nn.attention import MultiheadAttention
from tinynet.nn.module import admitted
from tinynet.tensor import Tensor

Array = NDArray[Any]
FORMATS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Output:
    """What a layer gave: its title and numbers, and how to read them.

    Attributes:
        batch: the dimension that counts the examples; None where none does.
        steps: whether an example is a sequence, (steps, features): drawn with the steps across.
        filters: the layer's weights, where they are images.
    """

    title: str
    values: Array
    batch: int | None
    steps: bool = False
    filters: Array | None = None

    def panels(self, example: int) -> list[Panel]:
        """The filters, and what the layer made of one example."""
        filters = [] if self.filters is None else [Panel(f"{self.title}, weights", self.filters)]
        values = self.values if self.batch is None else self.values.take(example, self.batch)
        if self.steps and values.ndim == 2:
            return [*filters, Panel(f"{self.title}, steps across", values.T)]
        return [*filters, Panel(self.title, values)]


class FeatureMaps(Mapping[str, Array]):
    """The output of every layer, whole batches, by the layer's name in the order of computation.

    A layer that ran again is listed again, as ``name (2)``; the weights that an attention returns as
    ``name (weights)``. A notebook shows one picture, a row a layer; ``str()`` is a table.

    Attributes:
        input: what went in, a batch.
        filters: the weights that are images, by layer: a convolution's (out, in, rows, columns), and, in the same
            shape, those of a Linear that is the first to look at an image.
    """

    def __init__(self, x: Array, given: Output, outputs: dict[str, Output], examples: int) -> None:
        self.input, self._given, self._outputs, self._examples = x, given, outputs, examples
        self.filters = {name: output.filters for name, output in outputs.items() if output.filters is not None}

    def __getitem__(self, name: str) -> Array:
        return self._outputs[name].values

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def _chosen(self, layer: str | None, example: int) -> list[Output]:
        """What is drawn: one layer, or the input and all layers."""
        if layer is not None and layer not in self._outputs:
            raise ArgumentError(
                f"there is no layer {layer!r} here, but {clip(', '.join(self), 300)}{did_you_mean(str(layer), self)}"
            )
        if not 0 <= example < self._examples:
            raise ArgumentError(f"there is no example {example}; they are 0 to {self._examples - 1}.")
        return [self._given, *self._outputs.values()] if layer is None else [self._outputs[layer]]

    def _panels(self, layer: str | None, example: int) -> list[Panel]:
        return [panel for output in self._chosen(layer, example) for panel in output.panels(example)]

    def figure(self, layer: str | None = None, example: int = 0) -> Any:
        """One layer, or all one below the other, for one example of the batch, as a matplotlib figure."""
        return draw(self._panels(layer, example))

    def save(self, path: str | os.PathLike[str], layer: str | None = None, example: int = 0) -> Path:
        """Write one layer, or all, as one picture (.png, .svg or .pdf); or into a folder, a PNG a layer.

        Raises:
            ArgumentError: another ending, no such layer or example. Nothing has been written.
            FileError: the place cannot be written to.
        """
        path, kind = Path(path), Path(path).suffix.lower()
        if kind in FORMATS:
            return write_bytes(path, picture(self._panels(layer, example), kind[1:]))
        if kind and not path.is_dir():
            raise ArgumentError(
                f"Saving {path}: feature maps are pictures. End the name with one of {', '.join(FORMATS)}, or name a "
                "folder, for a picture a layer."
            )
        for i, output in enumerate(self._chosen(layer, example)):
            name = re.sub(r"[^0-9A-Za-z._]+", "-", output.title)[:80].strip("-")
            write_bytes(path / f"{i:02}-{name}.png", picture(output.panels(example), "png"))
        return path

    def _repr_png_(self) -> bytes:
        return picture(self._panels(None, 0), "png")

    def __str__(self) -> str:
        rows = [
            (output.title, str(output.values.shape), f"{number(output.values.min())} … {number(output.values.max())}")
            for output in self._outputs.values()
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths)).rstrip() for row in rows)

    __repr__ = __str__


def feature_maps(model: Module, x: Any) -> FeatureMaps:
    """What each layer makes of an input: the model runs once, in evaluation mode, and every output is kept.

    >>> maps = tn.feature_maps(model, x)
    >>> maps["0"].shape, maps.filters["0"].shape
    ((1, 20, 24, 24), (20, 1, 5, 5))
    >>> maps.save("maps.png")

    A module made of others is a layer of its own where it gives something that none of them gave.

    Args:
        model: on any backend.
        x: a batch as the model takes it; or one example, as the first layer with weights takes it.

    Raises:
        TypeMismatch: the model is no module, or the input holds no numbers.
        ShapeError: the input is empty, or does not fit: the layer that refuses it says what it needs.
        ArgumentError: no layer gives a tensor.
    """
    if not isinstance(model, Module):
        raise TypeMismatch(f"feature_maps(model, x) needs a model made of layers; got {type(model).__name__}.")
    orders = [module.batch_first for module in model.modules() if hasattr(module, "batch_first")]
    time_first = not all(orders)
    x = _batch(model, x, time_first)
    dim = int(time_first and (x.ndim == 3 or not x.is_floating_point()))
    examples, image = x.shape[dim], _image(x.shape[1:])
    long = bool(orders) and x.ndim == 3 and x.shape[1 - dim] > x.shape[2]  # a sequence, and no picture read in rows
    shown = Output("input", x.numpy() if image is None else x.numpy().reshape(-1, *image), dim, long)
    outputs: dict[str, Output] = {}
    given, times, weighted, steps = {id(x)}, Counter[Module](), False, False
    for name, module, output in _calls(model, x):
        first, *rest = output if isinstance(output, tuple) else (output,)
        times[module] += 1
        key = (name or type(module).__name__) + (f" ({times[module]})" if times[module] > 1 else "")
        layer = f"{type(module).__name__}({module.extra_repr()})"
        weight = getattr(module, "weight", None)
        rank = weight.ndim if isinstance(weight, Tensor) else 0
        # What follows a Linear, an Embedding or a recurrent layer is (steps, features), until a Conv1d.
        steps = rank == 2 or hasattr(module, "batch_first") or (steps and rank < 3)
        composed = isinstance(module, Sequential) or any(True for _ in module.children())
        if isinstance(first, Tensor) and not (composed and id(first) in given):
            filters = _filters(module, None if weighted else image) if times[module] == 1 else None
            dim = int(time_first and first.ndim == 3)
            batch = dim if first.shape[dim : dim + 1] == (examples,) else None
            outputs[key] = Output(f"{key} {layer}" if name else layer, first.numpy(), batch, steps, filters)
        if isinstance(module, MultiheadAttention) and rest[0] is not None:
            key = f"{key} (weights)"
            outputs[key] = Output(f"{key} {layer}, queries down", rest[0].numpy(), 0)
        given.add(id(first))
        weighted = weighted or bool(module.own_parameters())
    if not outputs:
        raise ArgumentError(
            f"feature_maps found no layer in {type(model).__name__} that gave a tensor. Has it layers, and does its "
            "forward use them?"
        )
    return FeatureMaps(x.numpy(), shown, outputs, examples)


def _batch(model: Module, x: Any, time_first: bool) -> Tensor:
    """The input where the parameters are; one example, as the first layer with weights takes it, as a batch of one."""
    here = next(model.parameters(), None)
    if not isinstance(x, Tensor):
        x = Tensor(x) if here is None else admitted(x, here)
    for layer in model.modules():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor) or hasattr(layer, "batch_first"):
            example = weight.ndim - 1 if isinstance(weight, Tensor) else 2
            x = x.unsqueeze(int(time_first and example < 3)) if x.ndim == example else x
            break
    if not x.ndim or not x.size:
        raise ShapeError(f"feature_maps needs an example at least; got shape {x.shape}.")
    return x


def _calls(model: Module, x: Tensor) -> list[tuple[str, Module, Any]]:
    """Every call of a module during one run: its name, itself, what it returned; in the order of their ends."""
    calls: list[tuple[str, Module, Any]] = []
    names = {module: name for name, module in reversed([*model.named_modules()])}  # a shared one by its first name
    with ExitStack() as stack:
        for context in (no_grad(), model.evaluating()):
            stack.enter_context(context)
        for module in names:
            stack.callback(module.register_forward_hook(lambda m, _, output: calls.append((names[m], m, output))))
        model(x)
    return calls


def _image(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape (channels, rows, columns) of an example that is an image; a square number of pixels, from 8 × 8, is."""
    side = isqrt(prod(shape))
    return shape if len(shape) == 3 else (1, side, side) if len(shape) == 1 and side**2 == shape[0] >= 64 else None


def _filters(module: Module, image: tuple[int, ...] | None) -> Array | None:
    """The weights of a layer as images, where they are; those of a Linear where it looks at the image."""
    weight = getattr(module, "weight", None)
    if isinstance(module, Linear) and image is not None and prod(image) == module.in_features:
        return module.weight.numpy().reshape(-1, *image)
    return weight.numpy() if isinstance(weight, Tensor) and weight.ndim == 4 else None
