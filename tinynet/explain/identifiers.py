"""The graph in Python's spelling: a valid name for each node, and formulas in these names.

Separate because code and LaTeX are both made from the same formulas. Must not know what the text is for.
"""

import builtins
import keyword
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from tinynet.explain.symbols import Symbol, Variable
from tinynet.explain.trace import Node, Step

_ISOLATES = re.compile("[\u2068\u2069]")
_SIGNS = {"(", ")", ", ", "-", *(f" {sign} " for sign in "+ - * / ** > >= < <= == !=".split())}
_REFUSED = (TypeError, AttributeError, ValueError, ArithmeticError)  # what a rule raises that takes numbers alone


def bare(name: str) -> str:
    """The name without the signs that set right-to-left text apart."""
    return _ISOLATES.sub("", name)


def identify(nodes: Sequence[Node], reserved: Iterable[str] = ()) -> list[str]:
    """An identifier for each node, such that the identifier and ``d_`` before it are names of their own.

    What a name consists of stays where Python allows it, except right-to-left letters: they would turn the line around.
    A constant without a name is written as its number, so its identifier is good after ``d_`` only: ``10``, ``0_5``.

    Args:
        reserved: names that are taken, besides Python's keywords and builtins.
    """
    taken = {*keyword.kwlist, *dir(builtins), *reserved}
    stems = [_stem(node, taken) for node in nodes]
    found, counts = [""] * len(nodes), Counter[str]()
    # names that need no change come first, so that they need none; then `d_a`, which may be the gradient of `a`
    order = sorted(range(len(nodes)), key=lambda i: (stems[i] != nodes[i].name, stems[i].startswith("d_")))
    for i in order:
        name = stems[i]
        while f"d_{name}" in taken or (name in taken and not nodes[i].nameless):
            counts[stems[i]] += 1
            name = f"{stems[i]}_{counts[stems[i]] + 1}"
        taken |= {f"d_{name}"} if nodes[i].nameless else {name, f"d_{name}"}
        found[i] = name
    return found


def literal(x: float) -> str:
    """A float that Python reads as the same float."""
    return repr(x) if math.isfinite(x) else f'float("{x}")'


def operands(nodes: Sequence[Node], names: Sequence[str]) -> list[Symbol]:
    """What stands for each node in a formula: its name, or the number of a constant that has none.

    A constant stays a float (``10.0``): Python's whole numbers neither round nor overflow as floats do.
    """
    return [Symbol(Variable(_constant(x.value) if x.nameless else name, x.value)) for x, name in zip(nodes, names)]


def made(node: Node, symbols: Sequence[Symbol]) -> Symbol | None:
    """How a node was computed; None where nothing says so."""
    if node.primitive is None or not node.parents:
        return None
    return Symbol.apply(node.primitive, *[symbols[x.id] for x in node.parents])


def worked_out(node: Node, symbols: Sequence[Symbol]) -> Symbol | None:
    """The same from the inside, by the operation's own function; None where that takes no Symbols."""
    if node.primitive is None or node.primitive.number is None:
        return None
    try:
        return Symbol.of(node.primitive.number(*[symbols[x.id] for x in node.parents]))
    except _REFUSED:
        return None


def handed_on(step: Step, upstream: float | Symbol, symbols: Sequence[Symbol]) -> Symbol | None:
    """What the rule of a step makes of a gradient; of 1, the local derivative. None where it takes no Symbols."""
    rule = step.node.primitive and step.node.primitive.rule(step.i)
    if rule is None:
        return Symbol(0.0)
    try:
        return Symbol.of(rule(upstream, symbols[step.node.id], *[symbols[x.id] for x in step.node.parents]))
    except _REFUSED:
        return None


def spelled(formula: Symbol | None) -> str | None:
    """The formula in Python, every digit kept; None where it holds a word that Python cannot read as a name."""
    if formula is None or not all(_readable(part) for part in formula.parts if isinstance(part, str)):
        return None
    return "".join(formula.write(_digits, lambda variable: variable.name))


def _stem(node: Node, taken: set[str]) -> str:
    text = unicodedata.normalize("NFKC", bare(node.name))  # as Python reads every identifier
    if node.nameless:
        text = text.replace("−", " minus ")
    if not (text.isidentifier() and all(map(_allowed, text))):
        text = "_".join("".join(c if _allowed(c) else " " for c in text).split())
    if node.nameless:
        return text
    if text[:1].isdecimal():
        text = f"x_{text}"
    if not text.isidentifier() or unicodedata.normalize("NFKC", text) != text:
        text = "v" if node.parents else "x"
    return f"{text}_" if text in taken else text


def _allowed(c: str) -> bool:
    return f"_{c}".isidentifier() and unicodedata.bidirectional(c) not in ("R", "AL", "AN")


def _constant(x: float) -> str:
    return f"({literal(x)})" if literal(x).startswith("-") else literal(x)


def _digits(x: float) -> str:
    return repr(int(x)) if x.is_integer() and abs(x) < 1e15 else literal(x)


def _readable(part: str) -> bool:
    return part in _SIGNS or (part.removesuffix("=").isidentifier() and not keyword.iskeyword(part.removesuffix("=")))
