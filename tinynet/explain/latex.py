r"""Backpropagation as LaTeX: an ``align*`` of amsmath, each formula with its names and with the numbers plugged in.

The formulas are the ones of the program (``identifiers.py``), read back by Python's own parser and set with the
brackets that LaTeX needs. Separate because labels come from anybody, and none may reach the page as a command. Must not
know pictures or files.
"""

import ast
import math
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from tinynet.explain.identifiers import bare, handed_on, made, operands, spelled
from tinynet.explain.notation import atom, counted
from tinynet.explain.symbols import ATOM, NEGATIVE, POWER, PRODUCT, SUM, Symbol
from tinynet.explain.trace import Node, Step, Trace, checked_limit

Typeset = tuple[str, int]  # the LaTeX of a formula, and how tightly it holds together

_FUNCTIONS = {"sigmoid": r"\sigma", "log": r"\ln", "maximum": r"\max", "minimum": r"\min"} | {
    name: rf"\{name}" for name in ("exp", "sin", "cos", "tanh")
}
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Gt: ">", ast.GtE: r"\geq", ast.Lt: "<", ast.LtE: r"\leq", ast.Eq: "=", ast.NotEq: r"\neq",
}  # fmt: skip
_ESCAPED = {
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "−": "-", "…": r"\ldots{}", **{c: f"\\{c}" for c in "{}$&#%_"},
}  # fmt: skip


def to_latex(walk: Trace, limit: int | None = 200) -> str:
    r"""The walk as an ``align*`` environment: a row a value, then a row for each step of the chain rule.

    >>> from tinynet import Value
    >>> from tinynet.explain.trace import trace
    >>> print(to_latex(trace(Value(2.0, label="a") * Value(-3.0, label="b"))))
    \begin{align*}
    a &= 2 \\
    b &= -3 \\
    \mathrm{out} &= a \cdot b = 2 \cdot (-3) = -6 \\
    \frac{\partial \mathrm{out}}{\partial \mathrm{out}} &= 1 \\
    \frac{\partial \mathrm{out}}{\partial a} &\mathrel{+}= \frac{\partial \mathrm{out}}{\partial \mathrm{out}} \cdot b = 1 \cdot (-3) = -3 \\
    \frac{\partial \mathrm{out}}{\partial b} &\mathrel{+}= \frac{\partial \mathrm{out}}{\partial \mathrm{out}} \cdot a = 1 \cdot 2 = 2
    \end{align*}

    Args:
        limit: how many steps are written at most, the ones nearest the result, and how many values; None for all.

    Raises:
        ArgumentError: a limit that is none.
    """  # noqa: E501 - rows of LaTeX
    checked_limit(limit)
    writer = _Writer(walk)
    named = [node for node in walk.nodes if not node.nameless]
    shown = named if limit is None else named[-limit:]
    steps = walk.steps[:limit]
    root = writer.slope(walk.root)
    rows = [
        *_note(len(named) - len(shown), "earlier value"),
        *map(writer.forward, shown),
        f"{root} &= 1",
        *map(writer.backward, steps),
        *_note(len(walk.steps) - len(steps), "further step"),
    ]
    return "\n".join([r"\begin{align*}", " \\\\\n".join(rows), r"\end{align*}"])


def name(text: str) -> str:
    r"""A name as LaTeX: ``v1`` as ``v_{1}``, a word upright, anything else as text with every special sign escaped."""
    plain = re.fullmatch(r"([A-Za-z]+)(?:_?([0-9]+))?", text)
    if plain:
        letters, digits = plain.groups()
        stem = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
        return f"{stem}_{{{digits}}}" if digits else stem
    if re.fullmatch("[A-Za-z0-9_]+", text):
        return rf"\mathrm{{{_escaped(text)}}}"
    return rf"\text{{{_escaped(atom(bare(text)))}}}"


def figure(x: float) -> Typeset:
    r"""A number with six significant digits: ``1.5 \times 10^{-7}``."""
    if math.isnan(x):
        return r"\mathrm{nan}", ATOM
    sign, binding = ("-", NEGATIVE) if x < 0 else ("", ATOM)
    if math.isinf(x):
        return rf"{sign}\infty", binding
    digits, _, exponent = f"{abs(x):g}".partition("e")
    return (rf"{sign}{digits} \times 10^{{{int(exponent)}}}", PRODUCT) if exponent else (sign + digits, binding)


class _Writer:
    """Writes one row at a time."""

    def __init__(self, walk: Trace) -> None:
        self.walk = walk
        self.symbols = operands(walk.nodes, [f"n{node.id}" for node in walk.nodes])

    def forward(self, node: Node) -> str:
        changed = r" \quad \text{(from inputs that were changed since)}" if node.stale else ""
        sides = _readings(self._parsed(made(node, self.symbols)), self._names, self._numbers)
        return f"{self._label(node)} &= {_equation([*(s for s, _ in sides), figure(node.value)[0]])}{changed}"

    def backward(self, step: Step) -> str:
        handed = rf"{self.slope(step.parent)} &\mathrel{{+}}= "
        if step.node.primitive is None or step.node.primitive.rule(step.i) is None:
            return handed + "0"  # nothing is multiplied: the gradient above may be infinite
        local = self._parsed(handed_on(step, 1.0, self.symbols))
        sides = _readings(local, self._names, self._numbers) or [figure(step.local)] * 2
        upstream = [(self.slope(step.node), POWER), figure(step.upstream)]
        products = [_times(g, side) for g, side in zip(upstream, sides)]
        return handed + _equation([*products, figure(step.contribution)[0]])

    def slope(self, node: Node) -> str:
        """The derivative of the result with respect to a node."""
        return rf"\frac{{\partial {self._label(self.walk.root)}}}{{\partial {self._label(node)}}}"

    def _parsed(self, formula: Symbol | None) -> ast.expr | None:
        text = spelled(formula)
        try:
            return ast.parse(text, mode="eval").body if text is not None else None
        except (SyntaxError, RecursionError):  # an operation called `=`; a formula of a thousand terms
            return None

    def _label(self, node: Node) -> str:
        return figure(node.value)[0] if node.nameless else name(node.name)

    def _names(self, variable: str) -> Typeset:
        return self._label(self._node(variable)), ATOM

    def _numbers(self, variable: str) -> Typeset:
        return figure(self._node(variable).value)

    def _node(self, variable: str) -> Node:
        return self.walk.nodes[int(variable[1:])]


def _readings(formula: ast.expr | None, *shown: Callable[[str], Typeset]) -> Sequence[Typeset]:
    """The formula once for each way to show a variable; nothing where it holds what is no formula."""
    try:
        return [] if formula is None else [_typeset(formula, show) for show in shown]
    except (LookupError, RecursionError):
        return []


def _typeset(x: ast.expr, show: Callable[[str], Typeset]) -> Typeset:
    """A formula as LaTeX. Raises ``LookupError`` for Python that is no formula."""
    match x:
        case ast.Name(id=variable):
            return show(variable)
        case ast.Constant(value=int() | float() as number):
            return figure(float(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return "-" + _held(_typeset(operand, show), NEGATIVE + 1), NEGATIVE
        case ast.BinOp(left=x, op=ast.Div(), right=y):
            return rf"\frac{{{_typeset(x, show)[0]}}}{{{_typeset(y, show)[0]}}}", POWER
        case ast.BinOp(left=x, op=ast.Pow(), right=y):
            return f"{_held(_typeset(x, show), ATOM)}^{{{_typeset(y, show)[0]}}}", POWER
        case ast.BinOp(left=x, op=ast.Mult(), right=y):
            return _times(_typeset(x, show), _typeset(y, show)), PRODUCT
        case ast.BinOp(left=x, op=ast.Add() | ast.Sub() as op, right=y):
            sign = "+" if isinstance(op, ast.Add) else "-"
            return f"{_held(_typeset(x, show), SUM)} {sign} {_held(_typeset(y, show), SUM + 1, right=True)}", SUM
        case ast.Compare():
            return rf"[{_compared(x, show)}]", ATOM  # Iverson's bracket: 1 where it holds, else 0
        case ast.Call(func=ast.Name(id=function), args=args, keywords=keywords):
            return _called(function, args, keywords, show)
    raise LookupError(type(x).__name__)


def _called(
    function: str, args: list[ast.expr], keywords: list[ast.keyword], show: Callable[[str], Typeset]
) -> Typeset:
    if function == "float" and len(args) == 1 and isinstance(args[0], ast.Constant):  # float("inf")
        return figure(float(str(args[0].value)))
    inside = [_typeset(x, show)[0] for x in args]
    if function == "sqrt" and len(args) == 1:
        return rf"\sqrt{{{inside[0]}}}", POWER
    if function == "abs" and len(args) == 1:
        return rf"\left|{inside[0]}\right|", ATOM
    if function == "where" and len(args) == 3:
        holds = _compared(args[0], show) if isinstance(args[0], ast.Compare) else rf"{inside[0]} \neq 0"
        cases = rf"{inside[1]} & \text{{if }} {holds} \\ {inside[2]} & \text{{else}}"
        return rf"\begin{{cases}} {cases} \end{{cases}}", SUM
    inside += [rf"\mathrm{{{_escaped(x.arg or '')}}} = {_typeset(x.value, show)[0]}" for x in keywords]
    sign = _FUNCTIONS.get(function) or rf"\operatorname{{{_escaped(function)}}}"
    return sign + _bracketed(", ".join(inside)), POWER


def _compared(x: ast.Compare, show: Callable[[str], Typeset]) -> str:
    sign = _COMPARED[type(x.ops[0])]
    return f"{_typeset(x.left, show)[0]} {sign} {_typeset(x.comparators[0], show)[0]}"


def _times(x: Typeset, y: Typeset) -> str:
    return rf"{_held(x, PRODUCT)} \cdot {_held(y, PRODUCT + 1, right=True)}"


def _held(x: Typeset, least: int, right: bool = False) -> str:
    """In brackets where it holds together less tightly than that; a minus sign never follows another sign."""
    text, binding = x
    return _bracketed(text) if binding < least or (right and text.startswith("-")) else text


def _bracketed(text: str) -> str:
    return rf"\left({text}\right)" if r"\frac" in text or r"\begin" in text else f"({text})"


def _equation(sides: Iterable[str]) -> str:
    return " = ".join(side for side, _ in groupby(sides))


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(c, c) for c in text)


def _note(n: int, one: str) -> list[str]:
    return [rf"&\text{{\ldots{{}} {counted(n, one)} left out; limit= shows more}}"] if n else []
