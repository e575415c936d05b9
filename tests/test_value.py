"""Value: each operator and function against finite differences and PyTorch, and what learners do with their graphs."""

import gc
import math
import operator
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import support  # noqa: F401 - loads the hypothesis profile
from hypothesis import example, given
from hypothesis import strategies as st

from tinynet import Value, check_gradients, maximum, minimum
from tinynet import primitives as p
from tinynet.errors import DomainError, TinynetError, TypeMismatch


class Row(NamedTuple):
    """A function of Values, points away from its kinks, and the same in PyTorch where it is spelled differently."""

    function: Callable[..., Any]
    points: list[tuple[float, ...]]
    torch: Callable[..., Any] | None = None


def _torch(name: str) -> Callable[..., Any]:
    def call(*xs: Any) -> Any:
        import torch

        found = getattr(torch.nn.functional, name, None) or getattr(torch, name)
        return found(*xs)

    return call


def _torch_where(x: Any, y: Any) -> Any:
    import torch

    return torch.where(x > y, x, y * y)


PAIRS = [(2.0, -3.0), (-0.7, 1.3), (0.25, 4.0)]
POSITIVE = [(0.3,), (1.0,), (7.5,)]
ANY = [(-2.5,), (-0.3,), (0.0,), (0.4,), (3.0,)]
OFF_ZERO = [(-2.5,), (-0.3,), (0.4,), (3.0,)]

ROWS = {
    "x + y": Row(operator.add, PAIRS),
    "x - y": Row(operator.sub, PAIRS),
    "x * y": Row(operator.mul, PAIRS),
    "x / y": Row(operator.truediv, PAIRS),
    "x ** y": Row(operator.pow, [(2.0, -3.0), (0.7, 1.3), (0.25, 4.0), (1.5, 0.0)]),
    "-x": Row(operator.neg, ANY),
    "+x": Row(operator.pos, ANY),
    "abs(x)": Row(abs, OFF_ZERO),
    "x.abs()": Row(lambda x: x.abs(), OFF_ZERO),
    "x + 2": Row(lambda x: x + 2, ANY),
    "2 + x": Row(lambda x: 2 + x, ANY),
    "x - 2": Row(lambda x: x - 2, ANY),
    "2 - x": Row(lambda x: 2 - x, ANY),
    "x * 2": Row(lambda x: x * 2, ANY),
    "2 * x": Row(lambda x: 2 * x, ANY),
    "x / 2": Row(lambda x: x / 2, ANY),
    "2 / x": Row(lambda x: 2 / x, OFF_ZERO),
    "x ** 2": Row(lambda x: x**2, ANY),
    "x ** 3": Row(lambda x: x**3, ANY),
    "x ** 1": Row(lambda x: x**1, ANY),
    "x ** 0": Row(lambda x: x**0, ANY),
    "x ** -1": Row(lambda x: x**-1, OFF_ZERO),
    "x ** -2.0": Row(lambda x: x**-2.0, OFF_ZERO),
    "x ** 0.5": Row(lambda x: x**0.5, POSITIVE),
    "x ** 1.7": Row(lambda x: x**1.7, POSITIVE),
    "2 ** x": Row(lambda x: 2**x, ANY),
    "0.5 ** x": Row(lambda x: 0.5**x, ANY),
    "exp": Row(lambda x: x.exp(), ANY),
    "log": Row(lambda x: x.log(), POSITIVE),
    "sqrt": Row(lambda x: x.sqrt(), POSITIVE),
    "sin": Row(lambda x: x.sin(), ANY),
    "cos": Row(lambda x: x.cos(), ANY),
    "erf": Row(lambda x: x.erf(), ANY),
    "tanh": Row(lambda x: x.tanh(), ANY),
    "sigmoid": Row(lambda x: x.sigmoid(), ANY),
    "relu": Row(lambda x: x.relu(), OFF_ZERO),
    "leaky_relu": Row(lambda x: x.leaky_relu(0.2), OFF_ZERO, lambda x: _torch("leaky_relu")(x, 0.2)),
    "leaky_relu, default slope": Row(lambda x: x.leaky_relu(), OFF_ZERO, _torch("leaky_relu")),
    "softplus": Row(lambda x: x.softplus(), ANY, _torch("softplus")),
    "clip": Row(lambda x: x.clip(-1, 2), ANY),
    "maximum": Row(maximum, PAIRS, _torch("maximum")),
    "minimum": Row(minimum, PAIRS, _torch("minimum")),
    "where": Row(lambda x, y: p.where(x > y, x, y * y), PAIRS, _torch_where),
    "a + a": Row(lambda a: a + a, ANY),
    "a * a": Row(lambda a: a * a, ANY),
    "a / a": Row(lambda a: a / a, OFF_ZERO),
    "a ** a": Row(lambda a: a**a, POSITIVE),
    "diamond": Row(lambda a: (a * 3 + 1) * (a - 2) + (a * 3 + 1), ANY),
    "deep diamond": Row(lambda a, b: ((a + b) * (a * b)).tanh() + (a + b) ** 2 * (a * b), PAIRS),
    "neuron": Row(lambda w, x, b: (w * x + b).tanh(), [(-3.0, 2.0, 6.88), (0.5, 0.1, -0.2)]),
}
CASES = [pytest.param(row, point, id=f"{name} at {point}") for name, row in ROWS.items() for point in row.points]


def backward(function: Callable[..., Any], *numbers: float) -> tuple[float, list[float]]:
    """The value, and the gradient for each number."""
    inputs = [Value(x) for x in numbers]
    out = function(*inputs)
    out.backward()
    return out.data, [x.grad for x in inputs]


@pytest.mark.tiny
@pytest.mark.parametrize(("row", "point"), CASES)
def test_gradients_are_finite_differences(row, point):
    check_gradients(row.function, *[Value(x) for x in point])


@pytest.mark.torch
@pytest.mark.parametrize(("row", "point"), CASES)
def test_value_and_gradients_are_those_of_pytorch(row, point):
    import torch

    xs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point]
    theirs = (row.torch or row.function)(*xs)
    theirs.backward()
    ours, gradients = backward(row.function, *point)
    # The same formulas in double precision: a few last digits may round differently.
    assert ours == pytest.approx(theirs.item(), rel=1e-14, abs=1e-15)
    assert gradients == pytest.approx([x.grad.item() for x in xs], rel=1e-13, abs=1e-14)


@pytest.mark.tiny
def test_every_operation_on_numbers_has_a_row():
    seen = set()
    for row in ROWS.values():
        waiting = [row.function(*[Value(x) for x in row.points[-1]])]
        while waiting:
            node = waiting.pop()
            seen.add(node.op)
            waiting += node.parents
    known = {row.name for row in vars(p).values() if isinstance(row, p.Primitive) and row.number and row.differentiable}
    assert known - seen == set()


# --- the points where a convention decides ----------------------------------------------------------------------------


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("function", "point", "value", "slopes"),
    [
        (lambda x: x**0, [0.0], 1.0, [0.0]),
        (lambda x, y: x**y, [0.0, 0.0], 1.0, [0.0, 0.0]),
        (lambda x, y: x**y, [0.0, 2.0], 0.0, [0.0, 0.0]),
        (lambda x: 0**x, [2.0], 0.0, [0.0]),
        (lambda x: x**1, [0.0], 0.0, [1.0]),
        (lambda x: x**2, [0.0], 0.0, [0.0]),
        (lambda x: x**3, [-2.0], -8.0, [12.0]),
        (lambda x: x.relu(), [0.0], 0.0, [0.0]),
        (lambda x: x.leaky_relu(0.2), [0.0], 0.0, [0.2]),
        (lambda x: x.abs(), [0.0], 0.0, [0.0]),
        (lambda x: x.clip(0, 1), [0.0], 0.0, [1.0]),
        (lambda x: x.clip(0, 1), [1.0], 1.0, [1.0]),
        (lambda x: x.clip(0, 1), [2.0], 1.0, [0.0]),
        (maximum, [3.0, 3.0], 3.0, [0.5, 0.5]),
        (minimum, [3.0, 3.0], 3.0, [0.5, 0.5]),
        (lambda x: maximum(x, 0), [0.0], 0.0, [0.5]),
        (lambda x, y: p.where(True, x, y), [1.0, 2.0], 1.0, [1.0, 0.0]),
        (lambda x, y: p.where(False, x, y), [1.0, 2.0], 2.0, [0.0, 1.0]),
        (lambda x: p.sign(x) * x, [-3.0], 3.0, [-1.0]),
    ],
)
def test_conventions(function, point, value, slopes):
    assert backward(function, *point) == (value, slopes)


@pytest.mark.tiny
def test_micrograd_names():
    a, b = Value(2.0, (), ""), Value(-3.0, (), "", label="b")
    c = a * b
    assert (c._prev, c._op, a._prev, a._op, b.label) == ({a, b}, "*", set(), "", "b")
    assert [(a + b)._op, (a - b)._op, (a / b)._op, (-a)._op, (a**2)._op, a.relu()._op, a.tanh()._op] == [
        "+", "-", "/", "-", "**2", "relu", "tanh",
    ]  # fmt: skip
    assert Value(1.0, (a, b), "mine")._op == "mine"
    c.grad = 1.0
    c._backward()
    assert (a.grad, b.grad) == (-3.0, 2.0)
    a.data -= 0.1 * a.grad  # a step, as every micrograd notebook takes it
    assert a.data == pytest.approx(2.3)
    a._backward()  # a leaf hands nothing on
    assert repr(Value(2.5)) == "Value(data=2.5, grad=0.0)"
    assert repr(Value(2, label="a")) == "Value(data=2.0, grad=0.0, label='a')"


@pytest.mark.tiny
def test_sum_of_values_starts_from_the_number_0():
    xs = [Value(float(i)) for i in range(4)]
    total = sum(x * x for x in xs)
    total.backward()
    assert (total.data, [x.grad for x in xs]) == (14.0, [0.0, 2.0, 4.0, 6.0])


# --- backward: again, far, and without a trace ------------------------------------------------------------------------


@pytest.mark.tiny
def test_backward_twice_doubles_leaves_and_starts_inner_nodes_afresh():
    a, b = Value(2.0), Value(-3.0)
    inner = a * b
    out = (inner + a).tanh() * inner
    out.backward()
    leaves, inside = (a.grad, b.grad), (inner.grad, out.grad)
    out.backward()
    assert (a.grad, b.grad) == (2 * leaves[0], 2 * leaves[1])
    assert (inner.grad, out.grad) == inside


@pytest.mark.tiny
def test_zero_grad_forgets_everything_below():
    a = Value(2.0)
    inner = a * 3
    out = inner.exp()
    out.backward()
    out.zero_grad()
    assert (a.grad, inner.grad, out.grad) == (0.0, 0.0, 0.0)


@pytest.mark.tiny
def test_two_results_of_one_graph_add_up():
    a = Value(3.0)
    inner = a * a
    (inner * 2).backward()
    (inner + a).backward()
    assert a.grad == 12.0 + 7.0


@pytest.mark.tiny
def test_backward_of_a_leaf_is_1():
    a = Value(5.0)
    a.backward()
    assert a.grad == 1.0


def test_a_chain_of_100_000_nodes_is_differentiated_and_freed():
    x = Value(1.0)
    out = x
    for _ in range(100_000):
        out = out + x
    out.backward()
    assert (out.data, x.grad) == (100_001.0, 100_001.0)
    last = weakref.ref(out)
    del out
    gc.collect()
    assert last() is None


def test_a_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        a = Value(2.0)
        out = (a * a + a).tanh()
        out.backward()
        seen = weakref.ref(out)
        del out
        assert seen() is None
    finally:
        gc.enable()


@given(st.lists(st.tuples(st.sampled_from("+-*/m"), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=12))
def test_random_graphs_are_finite_differences(steps):
    """Programs of up to twelve operations, each on any two earlier results: sharing, diamonds and dead ends."""

    def program(*leaves):
        nodes = list(leaves)
        for symbol, i, j in steps:
            x, y = nodes[i % len(nodes)], nodes[j % len(nodes)]
            nodes.append(
                {
                    "+": lambda x, y: x + y,
                    "-": lambda x, y: x - y,
                    "*": lambda x, y: (x * y).tanh(),
                    "/": lambda x, y: x / (1 + y * y),
                    "m": lambda x, y: x.sin() * 0.5 + y.sigmoid(),
                }[symbol](x, y)
            )
        return nodes[-1]

    check_gradients(program, Value(0.7), Value(-1.1), Value(0.2))


# --- as a number, and as itself ---------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_comparisons_look_at_the_number():
    a, b = Value(2.0), Value(3.0)
    assert a < b and a <= b and b > a and b >= a and a != b
    assert not operator.eq(a, b) and a < 3 and a <= 2 and a == 2.0 and a != "2" and a != None  # noqa: E711
    assert operator.gt(3, a) and operator.le(2, a) and operator.eq(2.0, a) and not operator.lt(2, a)
    assert all(type(x) is bool for x in (a < b, a <= 2, a > b, a >= np.float64(2), a == 2, a != 2))
    assert sorted([b, a]) == [a, b] and max(a, b) is b
    assert (float(a), bool(Value(0.0)), bool(a), a.item()) == (2.0, False, True, 2.0)
    assert float("nan") != Value(float("nan"))


@pytest.mark.tiny
def test_in_sets_and_dictionaries_a_value_is_itself():
    a, b = Value(1.0), Value(1.0)
    assert a == b and len({a, b}) == 2 and len({a, a}) == 1
    names = {a: "a", b: "b"}
    a.data = 7.0
    assert (names[a], names[b]) == ("a", "b")


@pytest.mark.tiny
@pytest.mark.parametrize("number", [True, 3, 2.5, np.float32(2.5), np.float64(2.5), np.int64(3), math.inf])
def test_any_real_number_is_taken_and_kept_as_a_float(number):
    assert type(Value(number).data) is float and Value(number).data == float(number)


NUMPY_NUMBERS = [np.float64(2), np.float32(2), np.int64(2), np.array(2.0), np.array(2)]


@pytest.mark.parametrize("number", NUMPY_NUMBERS, ids=lambda x: f"{type(x).__name__} {np.asarray(x).dtype}")
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_numpy_numbers_on_either_side(op, number):
    for function, expected in ((lambda v: op(number, v), op(2.0, 3.0)), (lambda v: op(v, number), op(3.0, 2.0))):
        a = Value(3.0)
        out = function(a)
        assert type(out) is Value and type(out.data) is float and out.data == expected
        check_gradients(function, Value(3.0))


@pytest.mark.tiny
@pytest.mark.parametrize("number", [np.float64(2.5), np.float32(2.7)])
def test_gradients_stay_plain_floats_beside_numpy_exponents(number):
    slope = backward(lambda a: a**number, 3.0)[1][0]
    assert type(slope) is float and slope == backward(lambda a: a ** float(number), 3.0)[1][0]


@pytest.mark.tiny
def test_an_array_on_the_left_gives_an_array_of_values():
    a = Value(3.0)
    out = np.array([1.0, 2.0]) * a
    out.sum().backward()
    assert (out.dtype, a.grad) == (np.dtype(object), 3.0)


@pytest.mark.tiny
@pytest.mark.parametrize(
    "wrong", ["2", None, [1.0], 1j, np.array([1.0, 2.0]), object()], ids=lambda x: type(x).__name__
)
def test_wrong_types_are_refused(wrong):
    with pytest.raises(TypeMismatch, match=type(wrong).__name__):
        Value(wrong)
    if not isinstance(wrong, np.ndarray):
        for op in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
            with pytest.raises(TypeError):
                op(Value(1.0), wrong)
            with pytest.raises(TypeError):
                op(wrong, Value(1.0))


# --- where a function has no value, or no slope -----------------------------------------------------------------------


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("function", "number", "words"),
    [
        (lambda a: a.log(), -1.0, ["log", "a = -1"]),
        (lambda a: a.log(), 0.0, ["log", "a = 0"]),
        (lambda a: a.sqrt(), -1.0, ["sqrt", "a = -1"]),
        (lambda a: a**-1, 0.0, ["pow", "a = 0", "-1"]),
        (lambda a: a**0.5, -8.0, ["pow", "a = -8", "0.5"]),
        (lambda a: 1 / a, 0.0, ["div", "a = 0"]),
        (lambda a: a / 0, 3.0, ["div", "a = 3", "0"]),
        (lambda a: a ** Value(-1.0, label="b"), 0.0, ["pow", "a = 0", "b = -1"]),
    ],
)
def test_domain_errors_name_the_operation_and_the_number(function, number, words):
    with pytest.raises(DomainError) as caught:
        function(Value(number, label="a"))
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert isinstance(caught.value, TinynetError | ValueError | ArithmeticError)


@pytest.mark.tiny
@pytest.mark.parametrize("function", [lambda a: a.sqrt(), lambda a: a**0.5, lambda a: a ** Value(0.5)])
def test_an_infinite_slope_is_an_error_that_names_the_number(function):
    a = Value(0.0, label="a")
    out = function(a) * 2
    assert out.data == 0.0
    with pytest.raises(DomainError, match=r"a = 0.*slope"):
        out.backward()


# --- far out ----------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("name", "x", "value", "slope"),
    [
        ("sigmoid", 1e4, 1.0, 0.0),
        ("sigmoid", -1e4, 0.0, 0.0),
        ("tanh", 1e4, 1.0, 0.0),
        ("tanh", -1e4, -1.0, 0.0),
        ("softplus", 1e4, 1e4, 1.0),
        ("softplus", -1e4, 0.0, 0.0),
        ("erf", 1e4, 1.0, 0.0),
        ("exp", -1e4, 0.0, 0.0),
        ("exp", 1e4, math.inf, math.inf),
        ("relu", -1e4, 0.0, 0.0),
    ],
)
def test_stable_far_out(name, x, value, slope):
    assert backward(lambda a: getattr(a, name)(), x) == (value, [slope])


@given(st.floats(-1e4, 1e4))
@example(709.0)
@example(-745.2)
@example(36.8)
def test_sigmoid_softplus_and_tanh_hold_everywhere(x):
    """σ(x) + σ(-x) = 1, softplus(x) - softplus(-x) = x, tanh x = 2σ(2x) - 1: identities, to a few last digits."""
    up, down = Value(x), Value(-x)
    assert up.sigmoid().data + down.sigmoid().data == pytest.approx(1.0, rel=1e-15)
    assert up.softplus().data - down.softplus().data == pytest.approx(x, rel=1e-15, abs=1e-15)
    assert up.tanh().data == pytest.approx(2 * Value(2 * x).sigmoid().data - 1, abs=4e-16)
    assert backward(lambda a: a.softplus(), x)[1] == [up.sigmoid().data]


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("function", "numbers"),
    [
        (lambda x: x.exp(), [710.0]),
        (lambda x, y: x * y, [1e200, -1e200]),
        (lambda x, y: x + y, [1.7e308, 1.7e308]),
        (lambda x, y: x / y, [1e200, 1e-200]),
        (lambda x: x**2, [1e200]),
        (lambda x: x**3, [-1e200]),
        (lambda x: x**-3, [-1e-200]),
    ],
)
def test_overflow_is_infinite_as_in_arrays(function, numbers):
    with np.errstate(over="ignore"):
        expected = function(*[np.float64(x) for x in numbers]) if len(numbers) > 1 else None
        if expected is None:
            expected = np.exp(710.0) if numbers == [710.0] else function(np.float64(numbers[0]))
    assert function(*[Value(x) for x in numbers]).data == expected


@pytest.mark.tiny
def test_what_is_no_number_stays_none():
    for function in (Value.exp, Value.tanh, Value.sigmoid, lambda x: x * 2, lambda x: x + 1):
        assert math.isnan(function(Value(math.nan)).data)


def test_value_needs_the_standard_library_alone():
    program = (
        "import sys; from tinynet.value import Value; a = Value(2.0); (a * a).tanh().backward(); "
        "third = {'numpy', 'cupy', 'matplotlib', 'rich'} & set(sys.modules); sys.exit(str(third) if third else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
