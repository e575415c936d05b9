"""``model.summary()``: the layers of a model as a table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinynet.errors import ArgumentError, TypeMismatch
from tinynet.functions import zeros
from tinynet.modes import no_grad

if TYPE_CHECKING:
    from tinynet.nn.module import Module


@dataclass(frozen=True)
class Row:
    """One layer: its dotted name, how it is made, its output's shape (None where unknown), its own parameters."""

    name: str
    layer: str
    output_shape: tuple[int, ...] | None
    parameters: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model; ``str()`` is the table.

    Attributes:
        rows: a row a layer, in the order of computation.
        parameters, trainable: how many numbers the model holds, and how many of them are trained.
        bytes: the memory they take, at the model's element type.
    """

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    bytes: int

    def __str__(self) -> str:
        shapes = [str(("batch", *r.output_shape[1:])).replace("'", "") if r.output_shape else "?" for r in self.rows]
        cells = [("name", "layer", "output", "parameters")]
        cells += [(r.name, r.layer, shape, f"{r.parameters:,}") for r, shape in zip(self.rows, shapes)]
        widths = [max(len(row[i]) for row in cells) for i in range(4)]
        sides = "<<<>"
        lines = ["  ".join(f"{cell:{side}{n}}" for cell, side, n in zip(row, sides, widths)) for row in cells]
        rule = "─" * len(lines[0])
        held = f" ({self.trainable:,} trainable)" if self.trainable != self.parameters else ""
        total = f"{self.parameters:,} parameters{held}, {self.bytes / 1000:,.1f} kB"
        return "\n".join([lines[0], rule, *lines[1:], rule, total])


def summarise(model: "Module", input_shape: int | tuple[int, ...] | None) -> Summary:
    """Run a batch of one example of zeros through the model, in evaluation, and note what comes out of each layer."""
    layers = [(name, m, m.own_parameters()) for name, m in model.named_modules()]
    layers = [(name, m, own) for name, m, own in layers if own or not any(True for _ in m.children())]
    if input_shape is None:
        first_leaf = next(m for m in model.modules() if not any(True for _ in m.children()))
        input_shape = getattr(first_leaf, "in_features", None)
    shapes: dict[Any, tuple[int, ...] | None] = {}  # in the order of computation
    if input_shape is not None:
        example = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
        first = next(model.parameters(), None)
        backend = first.backend if first is not None else None

        def note(module: Any, _: Any, output: Any) -> None:
            first_part = output[0] if isinstance(output, tuple) and output else output  # a state comes behind
            shapes[module] = getattr(first_part, "shape", None)

        removers = [module.register_forward_hook(note) for _, module, _ in layers]
        try:
            with model.evaluating(), no_grad():
                try:
                    model(zeros((1, *example), backend=backend))
                except TypeMismatch:  # it looks things up by whole numbers
                    model(zeros((1, *example), dtype="int64", backend=backend))
        except ValueError as error:
            raise ArgumentError(f"summary(input_shape={input_shape}) does not fit the model: {error}") from error
        finally:
            for remove in removers:
                remove()
    order = {module: i for i, module in enumerate(shapes)}
    layers.sort(key=lambda layer: order.get(layer[1], -1))
    rows = tuple(
        Row(name or type(m).__name__, f"{type(m).__name__}({m.extra_repr()})", shapes.get(m), sum(p.size for p in own))
        for name, m, own in layers
    )
    parameters = list(model.parameters())
    return Summary(
        rows,
        sum(p.size for p in parameters),
        sum(p.size for p in parameters if p.requires_grad),
        sum(p.size * int(p.dtype.rpartition("float")[2]) // 8 for p in parameters),
    )
