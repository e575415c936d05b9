"""What each operation of single elements is in CUDA C++: the formulas that chains of them are written with.

A formula gets its inputs as C++ expressions of the type that the operation computes in (float for both kinds of half)
and gives one expression for each result. It must give what the kernel of its name in ``kernels/`` gives.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Formula = Callable[..., str]
Literal = Callable[[Any], str]

COMPARISONS = {"greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!="}
INTEGERS_TOO = {"add", "sub", "mul", "neg", "maximum", "minimum", "where", "copy", "cast", *COMPARISONS}
NUMBERS = {"leaky_relu": ("slope",), "clip": ("low", "high")}  # parameters that stand for inputs
MOVES = {"copy", "cast"}  # whose result may have any type

_INVERSE_ROOT = math.sqrt(0.5)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)
_ROOT = math.sqrt(2 / math.pi)


def number(value: Any, name: str) -> str:
    """A number as a literal of the type that an operation computes in, digit for digit."""
    dtype = np.dtype(name)
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        return f"({int(value)}LL)"
    with np.errstate(over="ignore"):
        rounded = float(np.asarray(value).astype(dtype))
    kind = "double" if dtype == np.float64 else "float"
    if math.isnan(rounded):
        return f"(({kind})(INFINITE - INFINITE))"
    if math.isinf(rounded):
        return f"(({kind})({'-' if rounded < 0 else ''}INFINITE))"
    return f"(({kind}){rounded.hex()})"


def _power(x: str, y: str, exponent: Any) -> str:
    """x^y; the exponents that networks use most are multiplications and roots."""
    known = {2: f"{x} * {x}", 1: x, 0.5: f"sqrt({x})"}
    return known.get(exponent, f"pow({x}, {y})")


def _sigmoid(x: str, itemsize: int, literal: Literal) -> str:
    highest = {2: 11.0, 4: 88.0, 8: 709.0}[itemsize]
    return f"{literal(1)} / (exp(smaller(-{x}, {literal(highest)})) + {literal(1)})"


def _gelu(x: str, approximate: str, literal: Literal) -> tuple[str, str]:
    """x Φ(x) and its slope Φ(x) + x φ(x); or Φ as a tanh, and the slope of that."""
    near = f"smaller(larger({x}, {literal(-40.0)}), {literal(40.0)})"
    half, one = literal(0.5), literal(1)
    if approximate == "none":
        share = f"({half} * ({one} + erf({near} * {literal(_INVERSE_ROOT)})))"
        slope = f"{share} + {near} * (exp({literal(-0.5)} * {near} * {near}) * {literal(1 / _ROOT_TWO_PI)})"
        return f"{x} * {share}", slope
    inner = f"({near} * ({literal(_ROOT)} + {literal(0.044715 * _ROOT)} * {near} * {near}))"
    share = f"({half} * ({one} + tanh({inner})))"
    rate = f"({literal(6 * 0.044715 * _ROOT)} * {near} * {near} + {literal(2 * _ROOT)})"
    return f"{x} * {share}", f"{share} + {near} * {share} * ({one} - {share}) * {rate}"


FORMULAS: dict[str, Formula] = {
    "add": lambda x, y: f"{x} + {y}",
    "sub": lambda x, y: f"{x} - {y}",
    "mul": lambda x, y: f"{x} * {y}",
    "div": lambda x, y: f"{x} / {y}",
    "neg": lambda x: f"-{x}",
    "exp": lambda x: f"exp({x})",
    "log": lambda x: f"log({x})",
    "sqrt": lambda x: f"sqrt({x})",
    "sin": lambda x: f"sin({x})",
    "cos": lambda x: f"cos({x})",
    "abs": lambda x: f"fabs({x})",
    "erf": lambda x: f"erf({x})",
    "tanh": lambda x: f"tanh({x})",
    "sign": lambda x: f"({x} != {x} ? {x} : ({x} > 0) - ({x} < 0))",
    "maximum": lambda x, y: f"larger({x}, {y})",
    "minimum": lambda x, y: f"smaller({x}, {y})",
    "clip": lambda x, low, high: f"smaller(larger({x}, {low}), {high})",
    "copy": lambda x: x,
    "cast": lambda x: x,
    "where": lambda condition, x, y: f"({condition} ? {x} : {y})",
    "relu_gradient": lambda g, made: f"{g} * ({made} > 0)",
}
FORMULAS |= {name: lambda x, y, sign=sign: f"{x} {sign} {y}" for name, sign in COMPARISONS.items()}


def written(name: str, inputs: list[str], values: tuple[Any, ...], params: dict[str, Any], dtype: str) -> list[str]:
    """The results of an operation as expressions.

    Args:
        inputs: its inputs as expressions; ``values`` as they were given, arrays or numbers.
        dtype: what it computes in.
    """
    literal: Literal = lambda value: number(value, dtype)
    if name == "pow":
        return [_power(inputs[0], inputs[1], values[1] if isinstance(values[1], int | float) else None)]
    if name == "sigmoid":
        return [_sigmoid(inputs[0], np.dtype(dtype).itemsize, literal)]
    if name == "softplus":
        return [f"larger({inputs[0]}, {literal(0)}) + log1p(exp(-fabs({inputs[0]})))"]
    if name == "relu":
        return [f"larger({inputs[0]}, {literal(0)})"]
    if name == "leaky_relu":
        x, slope = inputs
        return [f"({x} > 0 ? {x} : {x} * {slope})"]
    if name == "gelu":
        return list(_gelu(inputs[0], params["approximate"], literal))
    return [FORMULAS[name](*inputs)]


KNOWN = frozenset({*FORMULAS, "pow", "sigmoid", "softplus", "relu", "leaky_relu", "gelu"})
