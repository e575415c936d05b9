"""The formulas: computed with Python's own eval, they must be the derivative that the engine computes."""

import math

import pytest

from tinynet import Value
from tinynet import primitives as p
from tinynet.explain.symbols import Symbol, Variable
from tinynet.explain.trace import trace
from tinynet.primitives import Primitive

PARAMS = {"leaky_relu": {"slope": 0.1}, "clip": {"low": -0.5, "high": 1.5}}
ROWS = [row for row in vars(p).values() if isinstance(row, Primitive) and row.number and row.differentiable]
CASES = [(row, PARAMS.get(row.name, {})) for row in ROWS]
CASES += [(p.pow, {"y": y}) for y in (-2, -1, 0, 0.5, 1, 2, 3)]
POINTS = [(0.7, 1.3, -0.4), (1.5, 0.25, 2.0), (0.5, 0.5, 0.5), (2.0, -3.0, 4.0), (-1.25, 2.0, 0.1)]
FUNCTIONS = {name: row.number for name, row in vars(p).items() if isinstance(row, Primitive) and row.number}


@pytest.mark.parametrize(("row", "params"), CASES, ids=lambda x: getattr(x, "name", None) or str(x))
def test_the_formula_is_the_local_derivative(row, params):
    checked = 0
    for point in POINTS:
        inputs = [Value(x, label=name) for name, x in zip("xyz", point[: len(row.rules) - ("y" in params)])]
        try:
            walk = trace(row(*inputs, **params))
        except ArithmeticError:
            continue  # outside the function's domain
        numbers = {node.name: node.value for node in walk.nodes}
        for step in walk.steps:
            text = str(step.formula)
            value = eval(text, {"__builtins__": {}}, FUNCTIONS | numbers)
            assert value == step.local, f"{row.name}, input {step.i}: {text} at {numbers}"
            checked += 1
    assert checked


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "formulas"),
    [
        (lambda x, y: x + y, ["1", "1"]),
        (lambda x, y: x - y, ["1", "-1"]),
        (lambda x, y: x * y, ["y", "x"]),
        (lambda x, y: x / y, ["1 / y", "-out / y"]),
        (lambda x, y: x**3, ["3 * x ** 2"]),
        (lambda x, y: x**2, ["2 * x"]),
        (lambda x, y: x.tanh(), ["1 - out * out"]),
        (lambda x, y: x.sigmoid(), ["out * (1 - out)"]),
        (lambda x, y: x.sqrt(), ["1 / (2 * out)"]),
        (lambda x, y: x.cos(), ["-sin(x)"]),
        (lambda x, y: x.relu(), ["out > 0"]),
        (lambda x, y: x.leaky_relu(), ["where(x > 0, 1, 0.01)"]),
        (lambda x, y: p.maximum(x, y), ["(1 + sign(x - y)) / 2", "(1 + sign(y - x)) / 2"]),
        (lambda x, y: x * -2, ["-2", "x"]),
    ],
)
def test_formulas_read_as_one_would_write_them(make, formulas):
    root = make(Value(2.0, label="x"), Value(3.0, label="y"))
    assert [str(step.formula) for step in trace(root).steps] == formulas


@pytest.mark.tiny
def test_brackets_are_there_when_needed_and_only_then():
    a, b, c = (Symbol(Variable(name, 2.0)) for name in "abc")
    for written in [
        "(a + b) * c", "a * b + c", "a - (b - c)", "a - b - c", "a / (b * c)", "a * (b * c)", "(a ** b) ** c",
        "a ** b ** c", "(-a) ** 2", "-a ** 2", "-(a + b)", "-a * b", "a - (-b)", "a ** -b", "(a > b) * c",
        "2 ** (a + 1)",
    ]:  # fmt: skip
        assert str(eval(written, {"a": a, "b": b, "c": c})) == written


def test_negative_numbers_in_their_place():
    a, n = Symbol(Variable("a", -2.0)), Symbol(-3.0)
    assert (a * n).printed() == "a × −3"
    assert (a - n).printed() == "a − (−3)"
    assert (n**a).printed(plugged=True) == "(−3) ** −2"
    assert eval(str(n**2)) == 9
    assert (a * a).printed(plugged=True) == "−2 × −2"
    assert (-a).printed(plugged=True) == "−(−2)"
    assert (a > 1).printed() == "(a > 1)"


def test_a_rule_that_takes_no_symbols_is_shown_by_its_number():
    cube = Primitive("cube", lambda x: x**3, lambda g, out, x: g * (3 * x**2 if x > 0 else 3 * math.fabs(x) ** 2))
    (step,) = trace(Value.apply(cube, Value(2.0, label="x"))).steps
    assert step.formula is None
    assert step.local == 12.0
