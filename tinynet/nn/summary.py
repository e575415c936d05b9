"""``model.summary()``: the layers of a model as a table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinynet.errors import ArgumentError
from tinynet.functions import zeros
from tinynet.tensor import no_grad

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
        shapes = ["(batch, " + ", ".join(map(str, r.output_shape[1:])) + ")" if r.output_shape else "?" for r in self.rows]
        cells = [("name", "layer", "output", "parameters")]
        cells += [(r.name, r.layer, shape, f"{r.parameters:,}") for r, shape in zip(self.rows, shapes)]
        widths = [max(len(row[i]) for row in cells) for i in range(4)]
        lines = [
            f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]:>{widths[3]}}" for row in cells
        ]
        rule = "─" * len(lines[0])
        held = f" ({self.trainable:,} trainable)" if self.trainable != self.parameters else ""
        total = f"{self.parameters:,} parameters{held}, {self.bytes / 1000:,.1f} kB"
        return "\n".join([lines[0], rule, *lines[1:], rule, total])


def summarise(model: "Module", input_shape: tuple[int, ...] | None) -> Summary:
    """Run a batch of one zero through the model and note what comes out of each layer."""
    leaves = [(name, m) for name, m in model.named_modules() if not any(True for _ in m.children())]
    if input_shape is None:
        sizes = [getattr(m, "in_features", None) for _, m in leaves]
        input_shape = (sizes[0],) if sizes and sizes[0] else None
    shapes: dict[Any, tuple[int, ...]] = {}
    order: list[Any] = []
    if input_shape is not None:
        first = next(model.parameters(), None)
        x = zeros((1, *input_shape), backend=first.backend if first is not None else None)
        removers = []
        for _, module in leaves:

            def note(module: Any, _: Any, output: Any) -> None:
                shapes[id(module)] = getattr(output, "shape", None)
                order.append(id(module))

            removers.append(module.register_forward_hook(note))
        try:
            with no_grad():
                model(x)
        except ValueError as error:
            raise ArgumentError(f"summary(input_shape={input_shape}) does not fit the model: {error}") from error
        finally:
            for remove in removers:
                remove()
    rows = tuple(
        Row(name or type(m).__name__, f"{type(m).__name__}({m.extra_repr()})", shapes.get(id(m)), own)
        for name, m in sorted(leaves, key=lambda item: order.index(id(item[1])) if id(item[1]) in order else -1)
        for own in [sum(p.size for p in m.parameters())]
    )
    parameters = list(model.parameters())
    return Summary(
        rows,
        sum(p.size for p in parameters),
        sum(p.size for p in parameters if p.requires_grad),
        sum(p.size * int(p.dtype.removeprefix("float")) // 8 for p in parameters),
    )
