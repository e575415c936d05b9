"""The formula sheet: every differentiable operation, what it computes, and its gradient.

A row is

    name = Primitive("name", what it computes on numbers, gradient with respect to the first input, to the second, …)

and a gradient rule is the chain rule for one link: given ``g``, the gradient of the loss with respect to ``out``, it
returns the gradient with respect to that input,

    dL/dx = g · d out / d x

written in plain operators, so that the same rule serves a float inside ``Value`` and an array inside ``Tensor`` (and,
since Tensor operators are differentiable, second derivatives come for free). Three conventions keep the rows short:

- Broadcasting is not undone here: ``Tensor.backward`` sums a gradient back to its input's shape in one place.
- Reductions keep the reduced dimensions, with size 1; ``Tensor.sum`` drops them afterwards.
- ``None`` as the function on numbers marks an operation that exists for arrays alone; ``None`` as a rule marks an
  input that has no gradient.

This file uses the standard library only and knows neither Value nor Tensor.
"""

import builtins
import math
import operator
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from typing import Any

from tinynet.errors import TypeMismatch

Rule = Callable[..., Any]


class Primitive:
    """A differentiable operation: its name, its value on numbers, and one gradient rule an input.

    Calling it applies it to whatever its inputs are: ``sin(0.5)`` is a float, ``sin(value)`` a Value that remembers,
    ``sin(tensor)`` a Tensor whose backend is asked for its kernel ``sin``.

    Args:
        name: the kernel's name, and the method's name on Value and Tensor.
        number: the function on floats, or None where only arrays make sense.
        rules: for each input, ``rule(g, out, *inputs, **params)``, or None where there is no gradient. An operation
            without rules is not differentiable: its results remember nothing.
        symbol: how the operation is drawn (``*``); its name where not given.
        variadic: for any number of inputs: one rule whose extra argument ``i`` says which input is asked for.
    """

    def __init__(
        self, name: str, number: Rule | None, *rules: Rule | None, symbol: str = "", variadic: Rule | None = None
    ) -> None:
        self.name, self.number, self.rules, self.variadic = name, number, rules, variadic
        self.symbol = symbol or name
        self.params: dict[str, Any] = {}
        self.jointly: Rule | None = None  # one rule for all inputs, where a fused primitive has it
        self.once = False  # whether its gradient cannot be differentiated again, as with some fused ones

    @cached_property
    def differentiable(self) -> bool:
        """Whether any input has a gradient."""
        return bool(self.rules or self.variadic or self.jointly)

    def rule(self, i: int) -> Rule | None:
        """The gradient rule of input ``i``."""
        if self.variadic is not None:
            return partial(self.variadic, i=i)
        return self.rules[i] if i < len(self.rules) else None

    @lru_cache(maxsize=256)  # noqa: B019 - primitives live as long as the program
    def bind(self, symbol: str = "", **params: Any) -> "Primitive":
        """The same operation with its parameters fixed: ``pow.bind(y=2)`` is the square."""
        rules = [rule and partial(rule, **params) for rule in self.rules]
        bound = Primitive(
            self.name, self.number and partial(self.number, **params), *rules, symbol=symbol or self.symbol
        )
        bound.params = params
        return bound

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Apply it to numbers, Values or Tensors."""
        for x in inputs:
            if hasattr(x, "apply"):
                return x.apply(self, *inputs, **params)
        if self.number is None:
            raise TypeMismatch(f"{self.name} works on tensors; got {', '.join(type(x).__name__ for x in inputs)}.")
        return self.number(*inputs, **params)

    def __repr__(self) -> str:
        return f"Primitive({self.name!r})"


def _sigmoid(x: float) -> float:
    """1 / (1 + e^-x), written so that neither end overflows."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _exp(x: float) -> float:
    """e^x, infinite where a float ends (x > 709.78), as arrays have it."""
    return math.inf if x >= 709.782712893384 else math.exp(x)


def _pow(x: float, y: float) -> float:
    """x^y over the real numbers: a negative base with a fractional exponent is refused, not made complex."""
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf


# fmt: off
# --- arithmetic -------------------------------------------------------------------------------------------------------
add = Primitive("add", operator.add, lambda g, out, x, y: g, lambda g, out, x, y: g, symbol="+")
sub = Primitive("sub", operator.sub, lambda g, out, x, y: g, lambda g, out, x, y: -g, symbol="-")
mul = Primitive("mul", operator.mul, lambda g, out, x, y: g * y, lambda g, out, x, y: g * x, symbol="*")
div = Primitive("div", operator.truediv, lambda g, out, x, y: g / y, lambda g, out, x, y: -g * out / y, symbol="/")
neg = Primitive("neg", operator.neg, lambda g, out, x: -g, symbol="-")
pow = Primitive("pow", _pow,
    lambda g, out, x, y: g * y * x ** (y - (y != 0)),           # y - 1, except that x^0 is flat at x = 0 too
    lambda g, out, x, y: g * out * log(where(x == 0, 1, x)),    # 0^y is flat for y > 0
    symbol="**")

# --- functions of one number ------------------------------------------------------------------------------------------
exp = Primitive("exp", _exp, lambda g, out, x: g * out)
log = Primitive("log", math.log, lambda g, out, x: g / x)
sqrt = Primitive("sqrt", math.sqrt, lambda g, out, x: g / (2 * out))
sin = Primitive("sin", math.sin, lambda g, out, x: g * cos(x))
cos = Primitive("cos", math.cos, lambda g, out, x: -g * sin(x))
abs = Primitive("abs", operator.abs, lambda g, out, x: g * sign(x))
erf = Primitive("erf", math.erf, lambda g, out, x: g * (2 / math.sqrt(math.pi)) * exp(-x * x))

# --- activations ------------------------------------------------------------------------------------------------------
tanh = Primitive("tanh", math.tanh, lambda g, out, x: g * (1 - out * out))
sigmoid = Primitive("sigmoid", _sigmoid, lambda g, out, x: g * (out * (1 - out)))
relu = Primitive("relu", lambda x: 0.0 if x <= 0 else x, lambda g, out, x: g * (out > 0))
leaky_relu = Primitive("leaky_relu", lambda x, slope: x if x > 0 else slope * x,
    lambda g, out, x, slope: where(x > 0, g, slope * g))
softplus = Primitive("softplus", lambda x: builtins.max(x, 0.0) + math.log1p(math.exp(-builtins.abs(x))),
    lambda g, out, x: g * sigmoid(x))

# --- choices: at a tie the gradient is shared ------------------------------------------------------------------------
maximum = Primitive("maximum", builtins.max,
    lambda g, out, x, y: g * ((1 + sign(x - y)) / 2), lambda g, out, x, y: g * ((1 + sign(y - x)) / 2))
minimum = Primitive("minimum", builtins.min,
    lambda g, out, x, y: g * ((1 + sign(y - x)) / 2), lambda g, out, x, y: g * ((1 + sign(x - y)) / 2))
clip = Primitive("clip", lambda x, low, high: float(builtins.min(builtins.max(x, low), high)),
    lambda g, out, x, low, high: g * (out == x))
where = Primitive("where", lambda condition, x, y: x if condition else y,
    None,
    lambda g, out, condition, x, y: where(condition, g, 0),
    lambda g, out, condition, x, y: where(condition, 0, g))

# --- no gradient: flat wherever they have one ------------------------------------------------------------------------
sign = Primitive("sign", lambda x: float((x > 0) - (x < 0)))
greater = Primitive("greater", operator.gt, symbol=">")
greater_equal = Primitive("greater_equal", operator.ge, symbol=">=")
less = Primitive("less", operator.lt, symbol="<")
less_equal = Primitive("less_equal", operator.le, symbol="<=")
equal = Primitive("equal", operator.eq, symbol="==")
not_equal = Primitive("not_equal", operator.ne, symbol="!=")
argmax = Primitive("argmax", None)
argmin = Primitive("argmin", None)
uniform = Primitive("uniform", None)

# --- arrays: sums, products, extremes --------------------------------------------------------------------------------
sum = Primitive("sum", None, lambda g, out, x, axis: broadcast_to(g, shape=x.shape))
max = Primitive("max", None, lambda g, out, x, axis: g * _share(x == out, g, axis))
min = Primitive("min", None, lambda g, out, x, axis: g * _share(x == out, g, axis))
matmul = Primitive("matmul", None, lambda g, out, x, y: g @ y.mT, lambda g, out, x, y: x.mT @ g, symbol="@")

# --- arrays: shape ----------------------------------------------------------------------------------------------------
cast = Primitive("cast", None, lambda g, out, x, dtype: cast(g, dtype=x.dtype))
reshape = Primitive("reshape", None, lambda g, out, x, shape: reshape(g, shape=x.shape))
transpose = Primitive("transpose", None,
    lambda g, out, x, axes: transpose(g, axes=tuple(sorted(range(len(axes)), key=axes.__getitem__))))
broadcast_to = Primitive("broadcast_to", None, lambda g, out, x, shape: g)
concatenate = Primitive("concatenate", None, variadic=lambda g, out, *xs, axis, i: g.narrow(
    axis, start=builtins.sum(x.shape[axis] for x in xs[:i]), length=xs[i].shape[axis]))

# Indexing and its mirror image: what one gathers, the other adds back. `index` holds slices, integers, None and `...`;
# an integer array stands in it as ARRAY and is passed as an input of its own.
gather = Primitive("gather", None,
    lambda g, out, x, *arrays, index: scatter_add(g, *arrays, index=index, shape=x.shape))
scatter_add = Primitive("scatter_add", None,
    lambda g, out, x, *arrays, index, shape: gather(g, *arrays, index=index))
ARRAY = "array"
# fmt: on


def _share(attains: Any, g: Any, axis: Any) -> Any:
    """Each extreme element's share of the gradient: 1, or 1/k where k elements tie."""
    attains = cast(attains, dtype=g.dtype)
    return attains / sum(attains, axis=axis)
