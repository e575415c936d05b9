"""Value: a number that remembers how it was made, and so can say how a result depends on it.

The whole of backpropagation, one number at a time. What can be written on a Value stands in ``operators.py``, the rules
in ``primitives.py``, the order in ``graph.py``; this file adds the memory. All four use the standard library only.
``_prev``, ``_op`` and ``_backward`` are micrograd's names, so that code written for it runs here unchanged.
"""

from collections.abc import Iterable
from numbers import Real
from typing import Any

from tinynet import primitives as p
from tinynet.errors import DomainError, TypeMismatch
from tinynet.graph import backward_order
from tinynet.operators import Operators
from tinynet.primitives import Primitive


class Value(Operators):
    """A number, how it was computed, and the gradient of the last ``backward()`` with respect to it.

    >>> a = Value(2.0, label="a"); b = Value(-3.0, label="b")
    >>> loss = (a * b + 10).tanh()
    >>> loss.backward()
    >>> round(a.grad, 6)                           # d loss / d a = (1 - tanh² 4) · b
    -0.004023

    Attributes:
        data: the number.
        grad: d(result)/d(this number), filled in by ``result.backward()``.
        parents: the Values this one was computed from; none for a leaf.
        primitive: the operation that made it, a row of the formula sheet; None for a leaf.
        label: a name for messages and drawings.

    Raises:
        TypeMismatch: when the data is not one real number.
        DomainError: when an operation has no value there: log of a non-positive number, 0 ** -1, 1 / 0.
    """

    __slots__ = ("__weakref__", "data", "grad", "label", "parents", "primitive")
    data: float
    primitive: Primitive | None

    def __init__(self, data: Any, _children: Iterable["Value"] = (), _op: str = "", label: str = "") -> None:
        if data.__class__ is not float:
            if not isinstance(data, Real):
                raise TypeMismatch(f"Value(...) holds one real number; got {type(data).__name__}: {data!r:.60}.")
            data = float(data)
        self.data = data
        self.grad = 0.0
        self.parents = tuple(_children)
        self.primitive = Primitive(_op, None) if _op else None
        self.label = label

    @staticmethod
    def apply(primitive: Primitive, *inputs: Any, symbol: str = "", **params: Any) -> "Value":
        """Apply a row of the formula sheet to Values or numbers, and remember it."""
        if params:
            primitive = primitive.bind(symbol, **params)
        parents = tuple([x if isinstance(x, Value) else Value(x) for x in inputs])
        assert primitive.number is not None
        try:
            data = primitive.number(*[x.data for x in parents])
        except (ValueError, ArithmeticError):
            raise _domain_error(primitive, parents, "it has no value there") from None
        return _remember(data, primitive, parents)

    @classmethod
    def _pair(cls, primitive: Primitive, x: Any, y: Any) -> Any:
        if isinstance(x, (Value, Real)) and isinstance(y, (Value, Real)):
            return Value.apply(primitive, x, y)
        return NotImplemented

    # Addition and multiplication, which most graphs are made of, take a shorter way: they decide how fast this is.

    def __add__(self, other: Any) -> "Value":
        if isinstance(other, Value):
            return _remember(self.data + other.data, _add, (self, other))
        return Value._pair(_add, self, other)

    def __mul__(self, other: Any) -> "Value":
        if isinstance(other, Value):
            return _remember(self.data * other.data, _mul, (self, other))
        return Value._pair(_mul, self, other)

    def __pow__(self, other: Any) -> "Value":
        if isinstance(other, Real):  # a number as exponent is part of the operation, not a node of the graph
            return Value.apply(p.pow, self, y=float(other), symbol=f"**{other}")
        return Value._pair(p.pow, self, other)

    # Comparisons look at the number; in sets and dictionaries a Value is itself and no other.

    # fmt: off
    def __lt__(self, other: Any) -> bool: return bool(self.data < _number(other))
    def __le__(self, other: Any) -> bool: return bool(self.data <= _number(other))
    def __gt__(self, other: Any) -> bool: return bool(self.data > _number(other))
    def __ge__(self, other: Any) -> bool: return bool(self.data >= _number(other))
    def __eq__(self, other: object) -> bool: return self is other or bool(self.data == _number(other))
    def __float__(self) -> float: return self.data
    def __bool__(self) -> bool: return bool(self.data)
    __hash__ = object.__hash__
    # fmt: on

    def backward(self) -> None:
        """Fill in ``grad`` of every Value that this one was computed from: d(this) / d(that).

        Called again, the leaves add the new gradients to what they hold (``zero_grad`` forgets it), while the Values in
        between start afresh. Source: Rumelhart, Hinton and Williams, *Learning representations by back-propagating
        errors*, 1986.

        Raises:
            DomainError: where a slope is infinite, such as that of the square root at 0.
        """
        order = backward_order(self)
        for node in order:
            if node.parents:
                node.grad = 0.0
        self.grad += 1.0
        for node in order:
            if node.parents:
                node._backward()

    def _backward(self) -> None:
        """Hand this Value's gradient on to its parents: one step of the chain rule."""
        primitive, parents = self.primitive, self.parents
        if primitive is None or not primitive.rules:
            return
        g, out, rules = self.grad, self.data, primitive.rules
        try:
            if len(parents) == 2:  # the usual case, written out for speed
                x, y = parents
                dx, dy = rules[0](g, out, x.data, y.data), rules[1](g, out, x.data, y.data)  # type: ignore[misc]
                x.grad += dx
                y.grad += dy
            else:
                inputs = [x.data for x in parents]
                for rule, x in zip(rules, parents):
                    x.grad += rule(g, out, *inputs) if rule else 0.0
        except (ValueError, ArithmeticError):
            raise _domain_error(primitive, parents, "its slope there is not finite") from None

    def zero_grad(self) -> None:
        """Forget the gradients of this Value and of all that it was computed from."""
        for node in backward_order(self):
            node.grad = 0.0

    def item(self) -> float:
        """The number itself, as ``Tensor.item`` gives it."""
        return self.data

    @property
    def op(self) -> str:
        """The name of the operation that made this Value; empty for a leaf."""
        return self.primitive.name if self.primitive else ""

    @property
    def _op(self) -> str:
        return self.primitive.symbol if self.primitive else ""

    @property
    def _prev(self) -> set["Value"]:
        return set(self.parents)

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data}, grad={self.grad}{label})"


_add, _mul, _new = p.add, p.mul, Value.__new__


def _remember(data: float, primitive: Primitive, parents: tuple[Value, ...]) -> Value:
    """A new Value that knows where it came from; ``Value(...)`` without its checks."""
    out = _new(Value)
    out.data = data
    out.grad = 0.0
    out.primitive = primitive
    out.parents = parents
    out.label = ""
    return out


def _number(x: Any) -> Any:
    return x.data if isinstance(x, Value) else x


DOMAINS = {"log": "an input above 0", "sqrt": "an input of at least 0", "div": "a divisor other than 0",
           "pow": "a base above 0, or a whole exponent, not negative at 0"}  # fmt: skip


def _domain_error(primitive: Primitive, parents: tuple[Value, ...], why: str) -> DomainError:
    """Say which number was to blame, by its label where it has one."""
    named = [f"{x.label} = {x.data:g}" if x.label else f"{x.data:g}" for x in parents]
    named += [f"{number:g}" for number in primitive.params.values()]
    needs = DOMAINS.get(primitive.name, "a finite input")
    return DomainError(f"{primitive.name}({', '.join(named)}): {why}. It needs {needs}.")
