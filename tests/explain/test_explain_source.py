"""The program: run on its own, it must give the engine's numbers and gradients to the last bit."""

import keyword
import math
import unicodedata
from functools import reduce

import pytest
import support  # noqa: F401 - registers how random tests are drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from tinynet import Value
from tinynet import primitives as p
from tinynet.errors import DomainError
from tinynet.explain.identifiers import identify
from tinynet.explain.source import DEFINED, MATH, to_source
from tinynet.explain.trace import trace
from tinynet.graph import backward_order
from tinynet.primitives import Primitive

BINARY = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "x * x": lambda x, y: x * x,
    "maximum": p.maximum,
    "minimum": p.minimum,
    "where": lambda x, y: p.where(p.greater(x, y), x, y),
    "where x": lambda x, y: p.where(x, x, y),
    **{
        name: (lambda x, y, name=name: getattr(p, name)(x, y))
        for name in ["greater", "greater_equal", "less", "less_equal", "equal", "not_equal"]
    },
}
UNARY = {
    "square": lambda x: x**2,
    "root": lambda x: x**0.5,
    "inverse": lambda x: x**-1,
    "large power": lambda x: x**300,
    "flat": lambda x: x**0,
    "2 - x": lambda x: 2 - x,
    "x * -1": lambda x: x * -1,
    "2 ** x": lambda x: 2**x,
    "2 * 3": lambda x: Value(2) * Value(3) + x * 1e300,
    "inf": lambda x: x * math.inf,
    "neg": lambda x: -x,
    "leaky_relu": lambda x: x.leaky_relu(0.1),
    "clip": lambda x: x.clip(-1.0, 1.0),
    "clip below": lambda x: x.clip(-math.inf, 0.5),
    "sign": p.sign,
    "as in micrograd": lambda x: Value(x.data * 2, (x,), "\n+"),
    "from nothing": lambda x: Value(1.5, (x, x)),
    **{
        name: (lambda x, name=name: getattr(x, name)())
        for name in ["abs", "exp", "log", "sqrt", "sin", "cos", "erf", "tanh", "sigmoid", "relu", "softplus"]
    },
}
NUMBERS = st.one_of(
    st.floats(-3, 3).map(lambda x: round(x, 2)),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 800.0, -800.0, 1e200, -1e200, 1e-300, math.inf, -math.inf, math.nan]),
)
NASTY = [
    "a", "d_a", "d_d_a", "a_2", "a 2", "my loss", "<script>", '"', "'''", "\\", "#", "a\nimport os", "a\r\u2028b",
    "\x00", "مرحبا", "שלום b", "lambda", "None", "print", "exp", "max", "float", "where", "__builtins__", "__debug__",
    "ﬁ", "fi", "α", "é", "e\u0301", "10", "2nd", "x1", "v1", "out", "d_out", "_", "🙂", "\ud800", "n" * 10_000, "ª",
    "a\u0301\u0301",
]  # fmt: skip
LABELS = st.one_of(st.just(""), st.sampled_from(NASTY), st.text(max_size=6))


@st.composite
def expressions(draw):
    """A result; every operation may use every earlier value, and data may be changed after the fact."""
    values = [Value(x, label=draw(LABELS)) for x in draw(st.lists(NUMBERS, min_size=1, max_size=4))]
    for name in draw(st.lists(st.sampled_from([*BINARY, *UNARY]), max_size=12)):
        pick = st.sampled_from(values)
        try:
            made = BINARY[name](draw(pick), draw(pick)) if name in BINARY else UNARY[name](draw(pick))
        except (DomainError, OverflowError):
            continue
        made.label = draw(LABELS)
        values.append(made)
    if draw(st.integers(0, 9)) == 0:
        changed = draw(st.sampled_from(values))
        changed.data += draw(st.sampled_from([1.0, 1e-13]))
    return values[-1]


def same(x, y):
    return x == y or (math.isnan(x) and math.isnan(y))


def identifiers(walk):
    return identify(walk.nodes, [*MATH, *DEFINED])


def ran(root):
    """What the program of a result says, by identifier; held against ``backward()`` for every value."""
    text = to_source(trace(root))
    names: dict = {}
    exec(text, names)
    root.backward()
    found = identifiers(trace(root))
    assert len(set(found)) == len(found)
    for value, name in zip(reversed(backward_order(root)), found, strict=True):
        assert same(names[f"d_{name}"], value.grad), f"d_{name} is {names[f'd_{name}']!r}, not {value.grad!r}\n{text}"
        if name in names:
            assert same(names[name], value.data), f"{name} is {names[name]!r}, not {value.data!r}\n{text}"
            assert isinstance(names[name], float)
    return text


@settings(max_examples=600)
@given(expressions())
def test_the_program_gives_the_gradients_of_backward_to_the_last_bit(root):
    try:
        trace(root)
    except (DomainError, TypeError):  # TypeError: data was changed so that a power became complex
        return
    ran(root)


def lines(text):
    return sum(not line.endswith(" = 0.0") for line in text.splitlines())  # of those there are more for long names


SMALL = """\
# Backpropagation through loss: forward, then backward, in the engine's order.
# Run it: each d_NAME at the end is d loss/d NAME, how much loss moves when NAME does.

from math import tanh

# leaves
a = 2.0
b = -3.0

# forward
v1 = a * b
v2 = v1 + 10.0
loss = tanh(v2)

# backward
d_loss = 1.0  # d loss/d loss = 1
d_v2 = d_10 = d_v1 = d_b = d_a = 0.0
d_v2 += d_loss * (1 - loss * loss)  # d loss/d v2 = 1 - loss * loss = 0.00134095
d_v1 += d_v2  # d v2/d v1 = 1
d_10 += d_v2  # d v2/d 10 = 1
d_a += d_v1 * b  # d v1/d a = b = -3
d_b += d_v1 * a  # d v1/d b = a = 2
"""


def leaf(x=2.0, label="x"):
    return Value(x, label=label)


@pytest.mark.tiny
def test_the_two_line_example():
    loss = (leaf(2.0, "a") * leaf(-3.0, "b") + 10).tanh()
    loss.label = "loss"
    assert ran(loss) == SMALL


@pytest.mark.tiny
def test_a_leaf_is_its_own_result():
    assert ran(Value(3.0)).endswith("# leaves\nout = 3.0\n\n# backward\nd_out = 1.0  # d out/d out = 1\n")


@pytest.mark.tiny
def test_an_input_used_twice_says_which_is_meant():
    x = leaf(3.0)
    text = ran(x * x)
    assert "d_x += d_out * x  # d out/d x = x = 3 (input 1)\nd_x += d_out * x  # d out/d x = x = 3 (input 2)\n" in text


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda x: x * -3, "out = x * (-3.0)\n"),
        (lambda x: x - -3, "out = x - (-3.0)\n"),
        (lambda x: (x * 0.5) ** 1e20, "out = v1 ** 1e+20\n"),
        (lambda x: (-2) ** x, "out = (-2.0) ** x\n"),
        (lambda x: x**2, "out = x ** 2\n"),
        (lambda x: x**2, "d_x += d_out * 2 * x  # d out/d x = 2 * x = 4\n"),
        (lambda x: x * math.inf, 'out = x * float("inf")\n'),
        (lambda x: x.clip(-math.inf, 1), 'out = clip(x, low=float("-inf"), high=1)\n'),
        (lambda x: x.relu(), "d_x += d_out * (out > 0)  # d out/d x = (out > 0) = 1\n"),
        (lambda x: p.greater(x, 1.0), "out = float(x > 1.0)\n"),
        (lambda x: p.sign(x), "d_x += 0  # d out/d x = 0: the operation hands no gradient on\n"),
        (lambda x: (x * 400).exp(), 'out = float("inf")  # a number: Python\'s own exp(v1) stops or differs here\n'),
        (lambda x: (x * 1e200) ** 2, 'out = float("inf")  # a number: Python\'s own v1 ** 2 stops or differs here\n'),
        (
            lambda x: Value(4.0, (x,), "no\nop"),
            'out = 4.0  # a number: made from x by "no op", which says no formula\n',
        ),
        (lambda x: Value(4.0, (x, x)), "out = 4.0  # a number: made from x, x, which says no formula\n"),
    ],
)
def test_the_line(make, line):
    try:
        assert line in ran(make(leaf()))
    except DomainError:  # (-2) ** x has no slope; its value has
        root = make(leaf())
        root.primitive = Primitive("pow", p.pow.number, symbol="**")
        assert line in ran(root)


@pytest.mark.parametrize("name", [name for name, row in vars(p).items() if isinstance(row, Primitive) and row.number])
def test_every_operation_on_numbers_is_written_as_a_formula(name):
    row = getattr(p, name)
    count = row.number.__code__.co_argcount if hasattr(row.number, "__code__") else len(row.rules) or 1
    count = {"sign": 1, "leaky_relu": 1, "clip": 1, "log": 1}.get(name, 2 if row.symbol in "> >= < <= == !=" else count)
    params = {"leaky_relu": {"slope": 0.1}, "clip": {"low": -0.5, "high": 1.5}}.get(name, {})
    for point in [(0.5, 1.25, 2.0), (-0.25, 0.5, 3.0), (3.0, -2.0, -1.0)]:
        try:
            text = ran(row(*[leaf(x, label) for x, label in zip(point, "abc")][:count], **params))
        except DomainError:
            assert name in ("log", "sqrt", "pow")
            continue
        assert "a number:" not in text


@pytest.mark.parametrize("change", [3.0, 1e-13])
def test_a_number_stands_where_inputs_were_changed(change):
    x = leaf()
    y = x * 3
    x.data += change
    text = ran(y)
    assert "out = 6.0  # a number: its inputs (x, 3) were changed after it was computed\n" in text


def test_an_operation_of_ones_own_is_worked_out():
    cube = Primitive("cube", lambda x: x**3, lambda g, out, x: g * 3 * x**2)
    text = ran(Value.apply(cube, leaf()))
    assert "out = x ** 3\n" in text
    assert "d_x += d_out * 3 * x ** 2  # d out/d x = 3 * x ** 2 = 12\n" in text


def test_an_operation_that_takes_no_symbols_leaves_its_numbers():
    cube = Primitive("cube", lambda x: math.fabs(x) ** 3, lambda g, out, x: g * 3 * math.fabs(x) ** 2)
    text = ran(Value.apply(cube, leaf()))
    assert "out = 8.0  # a number: Python's own cube(x) stops or differs here\n" in text
    assert "d_x += 12.0  # d out/d x = 12; a number: no formula of its rule gives it\n" in text


@pytest.mark.parametrize(("rule", "times"), [(lambda y, x: x - y, 500), (lambda y, x: y + x, 4_000)])
def test_a_formula_beyond_the_parser_is_a_number(rule, times):
    deep = Primitive("deep", lambda x: x, lambda g, out, x: g * reduce(lambda y, _: rule(y, x), range(times), x))
    assert "a number: no formula of its rule gives it\n" in ran(Value.apply(deep, leaf()))


@pytest.mark.parametrize("name", ["sin", "exp", "print", "exec", "lambda", "x", "a b", '"\n#'])
def test_an_operation_under_a_borrowed_name_is_not_believed(name, capsys):
    odd = Primitive(name, lambda x: math.fabs(x) + 5, lambda g, out, x: g * Primitive(name, math.fabs)(x))
    ran(Value.apply(odd, leaf()))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("label", NASTY)
def test_no_label_breaks_out(label):
    for root in (leaf(1.5, label) * leaf(2.5, label) + leaf(0.5, "a"), leaf(label=label)):
        plain = ran(leaf(1.5, "p") * leaf(2.5, "q") + leaf(0.5, "r")) if root.parents else ran(leaf(label="p"))
        text = ran(root)
        assert lines(text) == lines(plain)
        assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text.replace("\n", ""))
        code = "".join(line.partition("#")[0] for line in text.split("\n"))
        assert not any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in code)
        text.encode()


@pytest.mark.parametrize(
    ("label", "line"),
    [
        ("my loss", 'my_loss = 2.0  # called "my loss"'),
        ("lambda", 'lambda_ = 2.0  # called "lambda"'),
        ("exp", 'exp_ = 2.0  # called "exp"'),
        ("مرحبا", 'x = 2.0  # called "\u2068مرحبا\u2069"'),
        ("2nd", 'x_2nd = 2.0  # called "2nd"'),
        ("hidden_size", "hidden_size = 2.0"),
        ("α", "α = 2.0"),
        ("ﬁt", 'fit = 2.0  # called "ﬁt"'),
    ],
)
def test_names_stay_readable(label, line):
    assert f"\n{line}\n" in ran(leaf(label=label) * 3)


def test_gradients_names_and_variables_never_meet():
    values = [leaf(float(i), label) for i, label in enumerate(["d_a", "a", "d_d_a", "a b", "a_b", "d_10", "d_c", "c!"])]
    total = Value(10.0)
    for value in values:
        total = total * value + value
    text = ran(total)
    assert "\na = 1.0\n" in text  # the plain name keeps its own
    assert "\na_b = 4.0\n" in text


def test_a_label_does_not_take_the_functions_away():
    ran(leaf(label="__builtins__").softplus() * leaf(label="max").relu())


@given(st.lists(LABELS, min_size=1, max_size=8))
def test_identifiers_are_valid_and_different(labels):
    total = Value(1.0)
    for label in labels:
        total = total + leaf(label=label)
    nodes = trace(total).nodes
    found = identify(nodes)
    for node, name in zip(nodes, found):
        assert node.nameless or (name.isidentifier() and not keyword.iskeyword(name))
        assert f"d_{name}".isidentifier() and unicodedata.normalize("NFKC", name) == name
    written = [f"d_{x}" for x in found] + [x for node, x in zip(nodes, found) if not node.nameless]
    assert len(set(written)) == len(written)


def test_a_long_graph():
    x = y = leaf(0.1)
    for i in range(3_000):
        y = y * 0.5 + x
        y.label = "🙂" if i % 2 else ""
    zeros = [line for line in ran(y).splitlines() if line.endswith(" = 0.0")]
    assert 80 < max(map(len, zeros)) <= 104
