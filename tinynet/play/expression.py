"""An expression to play with: its leaves can be set, and moved against their gradients, by the scalar engine.

The text is read by a function that the session is given; from then on the graph is kept as a form without numbers, and
computed afresh for each position. Must not know how an expression is written.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.explain.run import Run
from tinynet.explain.trace import Trace, trace
from tinynet.graph import backward_order
from tinynet.play.requests import Request
from tinynet.play.session import Json, Position, Session, check_finite
from tinynet.primitives import Primitive
from tinynet.value import Value

LONGEST_LABEL = 200
Read = Callable[[str, Mapping[str, float]], Value]


class Form:
    """A graph without its numbers: how each value is made of those before it; the index is the node's number.

    Attributes:
        names: the leaves that had a label.
        numbers, labels: of the leaves, and of all, as they were.
    """

    def __init__(self, root: Value) -> None:
        values = backward_order(root)
        values.reverse()  # forward, as ``explain`` counts
        at = {value: i for i, value in enumerate(values)}
        self.rows: list[tuple[Primitive | None, list[int]]] = [
            (value.primitive, [at[x] for x in value.parents]) for value in values
        ]
        self.numbers = {i: value.data for i, value in enumerate(values) if not value.parents}
        self.labels = {i: value.label for i, value in enumerate(values) if value.label}
        self.names = [i for i in self.numbers if i in self.labels]

    def values(self, numbers: Mapping[int, float], labels: Mapping[int, str]) -> list[Value]:
        """The graph with these numbers in its leaves, computed by the engine; the result is the last.

        Raises:
            DomainError: a function was asked for a value where it has none.
        """
        made: list[Value] = []
        for i, (primitive, parents) in enumerate(self.rows):
            out = Value(numbers[i]) if primitive is None else Value.apply(primitive, *[made[j] for j in parents])
            out.label = labels.get(i, "")
            made.append(out)
        return made


@dataclass(frozen=True, eq=False)
class Written(Position):
    """An expression with numbers in it: its text, its form, and by node the number of each leaf and the labels."""

    text: str = ""
    form: Form = field(default_factory=lambda: Form(Value(0.0)))
    numbers: Mapping[int, float] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)

    def values(self) -> list[Value]:
        """The graph, computed."""
        return self.form.values(self.numbers, self.labels)


class ExpressionSession(Session[Written]):
    """An expression to play with.

    Args:
        text: as it was written.
        numbers: what its names stand for.
        read: takes (text, numbers), and gives the result as a Value whose leaves are labelled with their names.
        lr: the learning rate.

    Raises:
        TinynetError: it cannot be read or computed.
    """

    kind = "expression"
    longest_run = 1000

    def __init__(self, text: str, numbers: Mapping[str, float], read: Read, lr: float = 0.1) -> None:
        self.read = read
        super().__init__(self._written(text, numbers, lr))

    def _written(self, text: str, numbers: Mapping[str, float], lr: float) -> Written:
        form = Form(self.read(text, numbers))
        return Written(lr, text=text, form=form, numbers=form.numbers, labels=form.labels)

    def acts(self) -> Mapping[str, Callable[[Request], Written]]:
        """What can be done."""
        return {
            "value": self._value, "label": self._label, "expression": self._expression, "lr": self.rate,
            "step": self.once, "run": self.many, "reset": self._reset,
        }  # fmt: skip

    def _value(self, asked: Request) -> Written:
        here = self.present
        node = asked.whole("node", 0, len(here.form.rows) - 1)
        if node not in here.numbers:
            name = trace(here.values()[-1]).nodes[node].name
            raise ArgumentError(f"{name} is computed from others, so it cannot be set. Set one of the leaves it is of.")
        return replace(here, numbers={**here.numbers, node: asked.number("value")})

    def _label(self, asked: Request) -> Written:
        here = self.present
        node = asked.whole("node", 0, len(here.form.rows) - 1)
        return replace(here, labels={**here.labels, node: asked.text("label")[:LONGEST_LABEL]})

    def _expression(self, asked: Request) -> Written:
        return self._written(asked.text("text"), asked.named_numbers("values"), self.position.lr)

    def _reset(self, asked: Request) -> Written:
        here = self.present
        return replace(here, numbers=here.form.numbers, steps=0, history=())

    def descent(self, position: Written) -> Iterator[Written]:
        """Each named leaf moves by lr × its gradient, downhill."""
        while True:
            position = self._step(position)
            yield position

    def _step(self, position: Written) -> Written:
        if not position.form.names:
            raise ArgumentError(
                "there is no named number here to move. Write a name in the expression, such as a*b instead of 2*3."
            )
        values = position.values()
        values[-1].backward()
        leaves = {i: values[i] for i in position.form.names}
        moved = {i: leaf.data - position.lr * leaf.grad for i, leaf in leaves.items()}
        after: Written = position.stepped(values[-1].data, numbers={**position.numbers, **moved})
        for i, leaf in leaves.items():
            check_finite(leaf.label or "a leaf", moved[i])
        check_finite("the result", self.loss(after))
        return after

    def loss(self, position: Written) -> float:
        """The result of the expression."""
        return position.values()[-1].data

    def walk(self, position: Written) -> tuple[Trace, Run]:
        """Backpropagation through the expression."""
        walk = trace(position.values()[-1])
        run = Run(f"Backpropagation through {walk.root.name}")
        run.add(walk)
        return walk, run

    def described(self, position: Written) -> Json:
        """The text, and its leaves: their names now, and in the text; a step moves those that are ``trained``."""
        nodes = trace(position.values()[-1]).nodes
        leaves: list[dict[str, Any]] = [
            {
                "node": i,
                "name": nodes[i].name,
                "variable": position.form.labels.get(i, ""),
                "value": x,
                "trained": i in position.form.names,
            }
            for i, x in position.numbers.items()
        ]
        return {"expression": position.text, "leaves": leaves}
