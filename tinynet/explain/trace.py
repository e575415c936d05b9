"""Backpropagation as data: every node of a graph, and every step of the chain rule, in the engine's order.

It walks the graph as ``Value.backward`` does and applies the same rules, but writes to its own records: no Value is
changed. Must not know how anything is worded, drawn or saved.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinynet.errors import ArgumentError, DomainError, ShapeError, TypeMismatch
from tinynet.explain.names import name_nodes
from tinynet.explain.notation import number
from tinynet.explain.symbols import Symbol, Variable
from tinynet.graph import backward_order
from tinynet.primitives import Primitive
from tinynet.value import Value


@dataclass(eq=False, slots=True)
class Node:
    """One Value of the graph: what it is called, how it was made, its number and its gradient."""

    id: int
    name: str
    nameless: bool  # the name is merely the number of a constant
    primitive: Primitive | None
    parents: "tuple[Node, ...]"
    value: float
    gradient: float
    label: str  # as it was given, before it was made a name

    @property
    def operation(self) -> str:
        """The name of the operation that made it; empty for a leaf."""
        return self.primitive.name if self.primitive else ""

    @property
    def symbol(self) -> Symbol:
        """What stands for it in a formula."""
        return Symbol(self.value if self.nameless else Variable(self.name, self.value))

    @property
    def formula(self) -> Symbol:
        """How it was computed: ``a * b``; for a leaf, the leaf itself."""
        if not self.parents:
            return self.symbol
        return Symbol.apply(self.primitive or Primitive("made_from", None), *[x.symbol for x in self.parents])

    @property
    def stale(self) -> bool:
        """Whether the inputs were changed after it was computed from them."""
        if self.primitive is None or self.primitive.number is None:
            return False
        try:
            now = self.primitive.number(*[x.value for x in self.parents])
        except (ValueError, ArithmeticError):
            return True
        return not (math.isclose(now, self.value, rel_tol=1e-9) or (math.isnan(now) and math.isnan(self.value)))


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain rule: a node hands its gradient on to one of its parents.

    Attributes:
        node, parent, i: from where to where; the parent is the node's input number ``i``.
        upstream: d result / d node.
        local: d node / d parent.
        contribution: what the rule hands on, upstream × local.
        before, total: what the parent has received before this step, and after it.
    """

    node: Node
    parent: Node
    i: int
    upstream: float
    local: float
    contribution: float
    before: float
    total: float

    @property
    def formula(self) -> Symbol | None:
        """The local derivative, from the rule itself; None where the rule does not take Symbols."""
        rule = self.node.primitive and self.node.primitive.rule(self.i)
        if rule is None:
            return Symbol(0.0)
        try:
            return Symbol.of(rule(1.0, self.node.symbol, *[x.symbol for x in self.node.parents]))
        except (TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class Trace:
    """A walked graph: ``nodes`` in forward order, the result last; ``steps`` in backward order."""

    nodes: list[Node]
    steps: list[Step]

    @property
    def root(self) -> Node:
        """The result whose gradients these are."""
        return self.nodes[-1]

    @property
    def leaves(self) -> list[Node]:
        """The nodes that were not computed from others."""
        return [node for node in self.nodes if not node.parents]


def read_graph(root: Any) -> list[Node]:
    """All that a result was computed from, in forward order, each with the gradient that it holds now.

    Args:
        root: a Value, or a Tensor with one element on the scalar backend.

    Raises:
        TypeMismatch: it is neither.
        ArgumentError: the tensor is on another backend, where there are no single numbers to show.
        ShapeError: the tensor has not exactly one element.
    """
    values = backward_order(as_value(root))
    values.reverse()
    nodes: dict[Value, Node] = {}
    for i, (value, (name, nameless)) in enumerate(zip(values, name_nodes(values))):
        parents = tuple([nodes[x] for x in value.parents])
        data, grad, label = float(value.data), float(value.grad), str(value.label)
        nodes[value] = Node(i, name, nameless, value.primitive, parents, data, grad, label)
    return list(nodes.values())


def trace(root: Any) -> Trace:
    """Walk backwards from a result as ``backward()`` does, leaving every Value as it is.

    Raises:
        DomainError: where a slope is infinite; and whatever ``read_graph`` raises.
    """
    nodes = read_graph(root)
    for node in nodes:
        node.gradient = 0.0
    nodes[-1].gradient = 1.0
    steps = [step for node in reversed(nodes) if node.primitive for step in hand_on(node)]
    return Trace(nodes, steps)


def nearest(nodes: list[Node], limit: int | None) -> list[Node]:
    """The ``limit`` nodes fewest operations away from the result, in forward order; all of them for None."""
    if limit is None or len(nodes) <= limit:
        return nodes
    chosen, queue = {nodes[-1].id}, deque([nodes[-1]])
    while queue:
        for parent in queue.popleft().parents:
            if len(chosen) < limit and parent.id not in chosen:
                chosen.add(parent.id)
                queue.append(parent)
    return [node for node in nodes if node.id in chosen]


def checked_limit(limit: int | None) -> int | None:
    """The limit, if it can be one. Raises ``ArgumentError`` for anything but a whole number from 1, or None."""
    if limit is None or (isinstance(limit, int) and limit >= 1):
        return limit
    raise ArgumentError(f"limit= says how many to show at most; got {limit!r}. Give 1 or more, or None for all.")


def as_value(root: Any) -> Value:
    """The one number that a result is, a Value. Raises what ``read_graph`` does."""
    if isinstance(root, Value):
        return root
    backend = getattr(root, "backend", None)
    if backend is None or not hasattr(root, "data"):
        raise TypeMismatch(
            f"Only a Value, or a Tensor with one element, can be explained or drawn; got {type(root).__name__}: "
            f"{root!r:.60}. Compute it from Values: Value(2.0) * 3."
        )
    if root.size != 1:
        raise ShapeError(
            f"One number can be explained; this tensor has shape {root.shape}. Reduce it by .mean() or .sum()."
        )
    value = root.data.item() if backend.differentiates else None
    if not isinstance(value, Value):
        raise ArgumentError(
            f"Single numbers are remembered on the scalar backend only; this tensor is {root.dtype} on {backend.name}. "
            'Move the model to "scalar" first: model.to("scalar").'
        )
    return value


def hand_on(node: Node) -> Iterator[Step]:
    """What a node's gradient gives to each of its parents: the engine's ``_backward``, written down.

    All is computed from the gradient that the node holds at the first step; a step adds to its parent when asked for.
    """
    inputs, g, primitive = [x.value for x in node.parents], node.gradient, node.primitive
    shares = []
    for i, parent in enumerate(node.parents):
        rule = primitive.rule(i) if primitive else None
        try:
            share = float(rule(g, node.value, *inputs)) if rule else 0.0
            local = float(rule(1.0, node.value, *inputs)) if rule else 0.0
        except (ValueError, ArithmeticError) as error:
            raise DomainError(
                f"{node.name} = {node.formula.printed(plugged=True)}: its slope there is not finite ({error}), with "
                f"{parent.name} = {number(parent.value)}. Keep the input inside the function's domain."
            ) from None
        shares.append((local, share))
    for i, (parent, (local, share)) in enumerate(zip(node.parents, shares)):
        before = parent.gradient
        parent.gradient += share
        yield Step(node, parent, i, g, local, share, before, parent.gradient)
