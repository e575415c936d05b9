"""Backpropagation as a Python program: plain assignments, forward and backward, that give the engine's own numbers.

Every line is worked out before it is written; where Python would not give the engine's number to the last bit, the line
holds that number and says why. Must not know sentences, pictures or files.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from tinynet.explain.identifiers import handed_on, identify, literal, made, operands, spelled, worked_out
from tinynet.explain.notation import clean
from tinynet.explain.symbols import COMPARE, Symbol, Variable
from tinynet.explain.trace import Node, Step, Trace

WIDEST = 100  # columns of a line that sets gradients to 0

MATH = ["cos", "erf", "exp", "log", "log1p", "sin", "sqrt", "tanh"]
BUILT_IN = ["abs", "float"]
DEFINED = {
    "clip": "def clip(x, low, high):\n    return float(min(max(x, low), high))",
    "leaky_relu": "def leaky_relu(x, slope):\n    return x if x > 0 else slope * x",
    "maximum": "def maximum(x, y):\n    return max(x, y)",
    "minimum": "def minimum(x, y):\n    return min(x, y)",
    "relu": "def relu(x):\n    return 0.0 if x <= 0 else x",
    "sigmoid": "def sigmoid(x):\n    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))",
    "sign": "def sign(x):\n    return float((x > 0) - (x < 0))",
    "softplus": "def softplus(x):\n    return max(x, 0.0) + log1p(exp(-abs(x)))",
    "where": "def where(condition, x, y):\n    return x if condition else y",
}
_CALLS = {"sigmoid": {"exp"}, "softplus": {"exp", "log1p"}}  # what the functions above need from math
_FUNCTIONS = {*MATH, *BUILT_IN, *DEFINED}


def to_source(walk: Trace) -> str:
    """The walk as a program that runs by itself and ends with each gradient in ``d_NAME``, equal to the engine's.

    Infinite and undefined numbers are equal too; a zero may have the other sign.

    >>> from tinynet import Value
    >>> from tinynet.explain.trace import trace
    >>> print(to_source(trace(Value(2.0, label="a") * Value(-3.0, label="b"))))
    # Backpropagation through out: forward, then backward, in the engine's order.
    # Run it: each d_NAME at the end is d out/d NAME, how much out moves when NAME does.
    <BLANKLINE>
    # leaves
    a = 2.0
    b = -3.0
    <BLANKLINE>
    # forward
    out = a * b
    <BLANKLINE>
    # backward
    d_out = 1.0  # d out/d out = 1
    d_b = d_a = 0.0
    d_a += d_out * b  # d out/d a = b = -3
    d_b += d_out * a  # d out/d b = a = 2
    <BLANKLINE>
    """
    writer = _Writer(walk)
    leaves = [writer.leaf(node) for node in walk.leaves if not node.nameless]
    forward = [writer.forward(node) for node in walk.nodes if node.parents]
    backward = [writer.seed(), *writer.zeros(), *map(writer.backward, walk.steps)]
    root = writer.names[walk.root.id]
    header = [
        f"# Backpropagation through {root}: forward, then backward, in the engine's order.",
        f"# Run it: each d_NAME at the end is d {root}/d NAME, how much {root} moves when NAME does.",
    ]
    parts = [header, *writer.preamble()]
    parts += [[f"# {title}", *lines] for title, lines in (("leaves", leaves), ("forward", forward)) if lines]
    return "\n\n".join("\n".join(lines) for lines in [*parts, ["# backward", *backward]]) + "\n"


class _Writer:
    """Writes one line at a time, and remembers which functions the lines use."""

    def __init__(self, walk: Trace) -> None:
        self.walk = walk
        self.names = identify(walk.nodes, [*MATH, *DEFINED])
        self.symbols = operands(walk.nodes, self.names)
        self.numbers = {name: node.value for name, node in zip(self.names, walk.nodes) if not node.nameless}
        self.numbers |= {f"d_{name}": node.gradient for name, node in zip(self.names, walk.nodes)}
        self.used: set[str] = set()

    def leaf(self, node: Node) -> str:
        return self._assign(node, literal(node.value))

    def forward(self, node: Node) -> str:
        formula = made(node, self.symbols)
        if node.primitive is not None and node.primitive.number is not None:
            for reading in (formula, worked_out(node, self.symbols)):
                text = self._checked(reading, node.value)
                if reading is not None and text is not None:
                    # a comparison is 0.0 or 1.0, as in the engine: Python's True would count in whole numbers
                    return self._assign(node, f"float({text})" if reading.binding == COMPARE else text)
        return self._assign(node, literal(node.value), self._why(node, spelled(formula)))

    def seed(self) -> str:
        root = self.names[self.walk.root.id]
        return f"d_{root} = 1.0  # d {root}/d {root} = 1"

    def zeros(self) -> Iterator[str]:
        """``d_v1 = d_a = 0.0``, as many to a line as there is room for, in the order in which they are needed."""
        line = ""
        for node in reversed(self.walk.nodes[:-1]):
            target = f"d_{self.names[node.id]} = "
            if len(line) + len(target) > WIDEST:
                yield f"{line}0.0"
                line = ""
            line += target
        if line:
            yield f"{line}0.0"

    def backward(self, step: Step) -> str:
        node, parent = self.names[step.node.id], self._short(step.parent)
        upstream = Symbol(Variable(f"d_{node}", step.upstream))
        text = self._checked(handed_on(step, upstream, self.symbols), step.contribution)
        formula = handed_on(step, 1.0, self.symbols)
        reading, number = spelled(formula), f"{step.local:g}"
        if reading is None or (formula is not None and len(formula.parts) == 1 and reading not in self.numbers):
            reading = number
        elif formula is not None and formula.binding == COMPARE:
            reading = f"({reading})"
        comment = f"d {node}/d {parent} = {reading}" + (f" = {number}" if reading != number else "")
        if step.node.primitive is None or step.node.primitive.rule(step.i) is None:
            comment += ": the operation hands no gradient on"
        elif text is None:
            text, comment = literal(step.contribution), f"{comment}; a number: no formula of its rule gives it"
        place = f" (input {step.i + 1})" if step.node.parents.count(step.parent) > 1 else ""
        return f"d_{self.names[step.parent.id]} += {text}  # {comment}{place}"

    def preamble(self) -> list[list[str]]:
        """The imports and the definitions that the lines so far need."""
        needed = self.used.union(*[_CALLS.get(name, ()) for name in self.used])
        imported = [name for name in MATH if name in needed]
        parts = [[f"from math import {', '.join(imported)}"]] if imported else []
        return parts + [[text] for name, text in DEFINED.items() if name in needed]

    def _assign(self, node: Node, text: str, *comments: str) -> str:
        name = self.names[node.id]
        called = [] if name == node.name else [f'called "{node.name}"']
        comment = "; ".join([*called, *comments])
        return f"{name} = {text}" + (f"  # {comment}" if comment else "")

    def _short(self, node: Node) -> str:
        return f"{node.value:g}" if node.nameless else self.names[node.id]

    def _why(self, node: Node, formula: str | None) -> str:
        """Why a node's line holds a number."""
        primitive, inputs = node.primitive, ", ".join(map(self._short, node.parents))
        if primitive is None or primitive.number is None:
            by = f' by "{clean(primitive.name)}"' if primitive else ""
            return f"a number: made from {inputs}{by}, which says no formula"
        try:
            now: Any = primitive.number(*[x.value for x in node.parents])
        except (ValueError, ArithmeticError):
            now = None
        if now is None or not _same(now, node.value):
            return f"a number: its inputs ({inputs}) were changed after it was computed"
        what = formula or f"{clean(primitive.name)}({inputs})"
        return f"a number: Python's own {what} stops or differs here"

    def _checked(self, formula: Symbol | None, expected: float) -> str | None:
        """The formula's text if Python computes the expected number from it."""
        text = spelled(formula)
        if text is None:
            return None
        try:
            code = compile(text, "<formula>", "eval")
            called = [name for name in code.co_names if name not in self.numbers]
            if not _FUNCTIONS.issuperset(called) or not _same(eval(code, _engine(), self.numbers), expected):
                return None
        except (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError):
            return None
        self.used.update(called)
        return text


@lru_cache(maxsize=1)
def _engine() -> dict[str, Any]:
    """The functions as a reader of the program gets them."""
    names: dict[str, Any] = {}
    exec("\n".join([f"from math import {', '.join(MATH)}", *DEFINED.values()]), names)
    return names


def _same(x: Any, y: float) -> bool:
    return bool(x == y) or (isinstance(x, float) and math.isnan(x) and math.isnan(y))
