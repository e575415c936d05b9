"""Symbol: an operand that writes down what is done to it.

The formula of a local derivative is found by handing Symbols to the very rule that the engine uses, so the formula that
people read cannot differ from the rule. Must not know graphs, Values or formats.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

from tinynet.explain.notation import atom, number
from tinynet.primitives import Primitive

COMPARE, SUM, PRODUCT, NEGATIVE, POWER, ATOM = range(6)  # how tightly a formula holds together

_INFIX = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "**": POWER} | dict.fromkeys(
    [">", ">=", "<", "<=", "==", "!="], COMPARE
)
_PRINTED = {" * ": " × ", " - ": " − ", "-": "−", " >= ": " ≥ ", " <= ": " ≤ ", " != ": " ≠ "}


@dataclass(frozen=True, slots=True)
class Variable:
    """A name in a formula, and the number it stands for."""

    name: str
    value: float


Part = str | float | Variable


class Symbol:
    """A formula: operators applied to Symbols give longer formulas, with no more brackets than they need.

    Multiplying by 1, dividing by 1 and raising to the power 1 leave no trace; multiplying by −1 is a minus sign.

    Args:
        part: the variable or the number to begin with.
    """

    __slots__ = ("binding", "parts")

    def __init__(self, part: float | Variable) -> None:
        self.parts: tuple[Part, ...] = (part,)
        self.binding = ATOM

    @classmethod
    def of(cls, x: Any) -> "Symbol":
        """A number as a Symbol; a Symbol as it is."""
        if isinstance(x, Symbol):
            return x
        if isinstance(x, Real):
            return cls(float(x))
        raise TypeError(f"a formula holds numbers and Symbols; got {type(x).__name__}")

    @classmethod
    def _made(cls, binding: int, *parts: Part) -> "Symbol":
        made = cls(0.0)
        made.parts, made.binding = parts, binding
        return made

    @staticmethod
    def apply(primitive: Primitive, *inputs: Any, **params: Any) -> "Symbol":
        """The operation written out: between its operands where it has a sign, else as a function."""
        params = primitive.params | params
        sign = "**" if primitive.name == "pow" else primitive.symbol
        operands = [Symbol.of(x) for x in (*inputs, *(params.values() if sign == "**" else ()))]
        if sign in _INFIX and len(operands) == 2:
            return _infix(sign, *operands)
        if sign == "-" and len(operands) == 1:
            return -operands[0]
        parts: list[Part] = [primitive.name, "("]
        for x in operands:
            parts += [*x.parts, ", "]
        for name, value in params.items():
            parts += [f"{name}=", *Symbol.of(value).parts, ", "]
        return Symbol._made(ATOM, *(parts[:-1] if operands else parts), ")")

    # fmt: off
    def __add__(self, other: Any) -> "Symbol": return _infix("+", self, other)
    def __radd__(self, other: Any) -> "Symbol": return _infix("+", other, self)
    def __sub__(self, other: Any) -> "Symbol": return _infix("-", self, other)
    def __rsub__(self, other: Any) -> "Symbol": return _infix("-", other, self)
    def __mul__(self, other: Any) -> "Symbol": return other * self if _is(other, 1, -1) else _infix("*", self, other)
    def __truediv__(self, other: Any) -> "Symbol": return self if _is(other, 1) else _infix("/", self, other)
    def __rtruediv__(self, other: Any) -> "Symbol": return _infix("/", other, self)
    def __pow__(self, other: Any) -> "Symbol": return self if _is(other, 1) else _infix("**", self, other)
    def __rpow__(self, other: Any) -> "Symbol": return _infix("**", other, self)
    def __gt__(self, other: Any) -> "Symbol": return _infix(">", self, other)
    def __ge__(self, other: Any) -> "Symbol": return _infix(">=", self, other)
    def __lt__(self, other: Any) -> "Symbol": return _infix("<", self, other)
    def __le__(self, other: Any) -> "Symbol": return _infix("<=", self, other)
    def __eq__(self, other: Any) -> "Symbol": return _infix("==", self, other)  # type: ignore[override]
    def __ne__(self, other: Any) -> "Symbol": return _infix("!=", self, other)  # type: ignore[override]
    __hash__ = object.__hash__
    # fmt: on

    def __rmul__(self, other: Any) -> "Symbol":
        if _is(other, 1):
            return self
        return -self if _is(other, -1) else _infix("*", other, self)

    def __neg__(self) -> "Symbol":
        return Symbol._made(NEGATIVE, "-", *_bracketed(self, self.binding <= NEGATIVE))

    def __bool__(self) -> bool:
        raise TypeError("a formula is neither true nor false: write a choice with tinynet.primitives.where")

    def __str__(self) -> str:
        """The formula in Python's own spelling, every digit kept."""
        return "".join(self.write(lambda x: repr(int(x)) if x.is_integer() else repr(x), lambda v: v.name))

    def pieces(self) -> list[Part]:
        """The formula in pieces, with × and − as it is read: text, numbers, and variables to be filled in."""
        pieces: list[Part] = [_PRINTED.get(part, part) if isinstance(part, str) else part for part in self.parts]
        return ["(", *pieces, ")"] if self.binding == COMPARE else pieces

    def printed(self, plugged: bool = False) -> str:
        """The formula as it is read, with × and −; with ``plugged`` the numbers stand in place of the names."""
        name: Callable[[Variable], Any] = (lambda v: v.value) if plugged else (lambda v: atom(v.name))
        text = "".join(self.write(number, name, _PRINTED))
        return f"({text})" if self.binding == COMPARE else text

    def write(
        self, digits: Callable[[float], str], name: Callable[[Variable], Any], signs: dict[str, str] | None = None
    ) -> Iterator[str]:
        """The pieces as text.

        Args:
            digits: how a number is written.
            name: what stands for a variable, text or a number.
            signs: other signs than Python's.
        """
        for i, part in enumerate(self.parts):
            shown = name(part) if isinstance(part, Variable) else part
            if isinstance(shown, float):
                before = self.parts[i - 1] if i else ""
                after = self.parts[i + 1] if i + 1 < len(self.parts) else ""
                negative = shown < 0 and (before in ("-", " - ", " + ") or after == " ** ")
                yield f"({digits(shown)})" if negative else digits(shown)
            elif isinstance(part, str):
                yield (signs or {}).get(part, part)
            else:
                yield shown


def _is(x: Any, *numbers: int) -> bool:
    return isinstance(x, Real) and x in numbers


def _bracketed(x: Symbol, needed: bool) -> tuple[Part, ...]:
    return ("(", *x.parts, ")") if needed else x.parts


def _infix(sign: str, x: Any, y: Any) -> Symbol:
    """Floats do not quite associate, so ``a * (b * c)`` keeps its brackets: the formula says what is computed."""
    x, y, binding = Symbol.of(x), Symbol.of(y), _INFIX[sign]
    left = x.binding <= binding if sign == "**" or binding == COMPARE else x.binding < binding
    right = y.binding < NEGATIVE if sign == "**" else y.binding <= binding
    right = right or (binding == SUM and y.binding == NEGATIVE)
    return Symbol._made(binding, *_bracketed(x, left), f" {sign} ", *_bracketed(y, right))
