"""The walk: it must be the engine's own, number for number, and must leave the graph alone."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import published_graph

import tinynet as tn
from tinynet import Value
from tinynet import primitives as p
from tinynet.errors import ArgumentError, DomainError, ShapeError, TypeMismatch
from tinynet.explain.trace import nearest, read_graph, trace

BINARY = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "maximum": p.maximum,
    "minimum": p.minimum,
    "where": lambda x, y: p.where(x > 0, x, y),
}
UNARY = {
    "square": lambda x: x**2,
    "inverse": lambda x: x**-1,
    "2 - x": lambda x: 2 - x,
    "neg": lambda x: -x,
    "leaky_relu": lambda x: x.leaky_relu(0.1),
    "clip": lambda x: x.clip(-1.0, 1.0),
    **{
        name: (lambda x, name=name: getattr(x, name)())
        for name in ["abs", "exp", "log", "sqrt", "sin", "cos", "erf", "tanh", "sigmoid", "relu", "softplus"]
    },
}


@st.composite
def expressions(draw):
    """A result and its leaves; every operation may use every earlier value, so nodes are shared."""
    numbers = st.floats(-3, 3).map(lambda x: round(x, 2))
    leaves = [Value(x, label=f"leaf{i}") for i, x in enumerate(draw(st.lists(numbers, min_size=1, max_size=3)))]
    values = list(leaves)
    for name in draw(st.lists(st.sampled_from([*BINARY, *UNARY]), min_size=1, max_size=12)):
        pick = st.sampled_from(values)
        try:
            values.append(BINARY[name](draw(pick), draw(pick)) if name in BINARY else UNARY[name](draw(pick)))
        except DomainError:
            continue
    return values[-1], leaves


def snapshot(root):
    return [(node, node.data, node.grad, node.label, node.parents) for node in read_values(root)]


def read_values(root):
    from tinynet.graph import backward_order

    return backward_order(root)


@settings(max_examples=300, deadline=None)
@given(expressions())
def test_gradients_are_those_of_backward_to_the_last_bit(expression):
    root, leaves = expression
    try:
        root.backward()
    except DomainError:
        with pytest.raises(DomainError):
            trace(root)
        return
    before = snapshot(root)
    walk = trace(root)
    after = snapshot(root)
    assert [repr(row[1:4]) for row in before] == [repr(row[1:4]) for row in after], "explain changed a Value"
    engine = {node.label: node.grad for node in leaves if any(node is row[0] for row in before)}
    told = {leaf.name: leaf.gradient for leaf in walk.leaves if leaf.name in engine}
    assert {name: repr(x) for name, x in told.items()} == {name: repr(x) for name, x in engine.items()}
    assert [repr(x.grad) for x in reversed(read_values(root))] == [repr(x.gradient) for x in walk.nodes]


@settings(max_examples=200, deadline=None)
@given(expressions())
def test_contributions_are_upstream_times_local_and_add_up(expression):
    try:
        walk = trace(expression[0])
    except DomainError:
        return
    sums = {walk.root.id: 1.0}
    for step in walk.steps:
        product = step.upstream * step.local
        if math.isfinite(product) and math.isfinite(step.contribution):
            assert step.contribution == pytest.approx(product, rel=1e-12, abs=1e-300)  # one rounding, another order
        assert step.upstream == step.node.gradient or math.isnan(step.upstream)
        sums[step.parent.id] = sums.get(step.parent.id, 0.0) + step.contribution
        assert repr(step.total) == repr(sums[step.parent.id])
    assert {i: repr(x) for i, x in sums.items()} == {node.id: repr(node.gradient) for node in walk.nodes}


def test_micrograd_readme_graph():
    a, b = Value(-4.0, label="a"), Value(2.0, label="b")
    g = published_graph(a, b)
    gradients = {leaf.name: leaf.gradient for leaf in trace(g).leaves}
    assert trace(g).root.value == pytest.approx(24.7041, abs=5e-5)  # the published digits
    assert gradients["a"] == pytest.approx(138.8338, abs=5e-5)
    assert gradients["b"] == pytest.approx(645.5773, abs=5e-5)


@pytest.mark.tiny
def test_names():
    a, again, odd = Value(1.5, label="a"), Value(2.5, label="a"), Value(3.5, label="v1")
    root = (a * again + odd) * 7 + Value(9.0) * Value(9.0)
    names = [node.name for node in trace(root).nodes]
    assert names == ["a", "a_2", "v2", "v1", "v3", "7", "v4", "x1", "x2", "v5", "out"]
    assert [node.nameless for node in trace(root).nodes].index(True) == 5


@pytest.mark.parametrize("label", ["", "  \n ", None])
def test_a_label_that_shows_nothing_is_no_label(label):
    if label is not None:
        assert read_graph(Value(4.0, label=label) * 2)[0].name == "4"


def test_many_equal_labels_are_told_apart_quickly():
    values = [Value(float(i), label="w") for i in range(20_000)]
    total = values[0]
    for value in values[1:]:
        total = total + value
    names = [node.name for node in read_graph(total)]
    assert len(set(names)) == len(names)


def test_a_long_chain():
    x = Value(0.1, label="x")
    y = x
    for _ in range(20_000):
        y = y + 1
    walk = trace(y)
    assert len(walk.steps) == 40_000
    assert walk.leaves[0].gradient == 1.0


def test_an_operation_without_a_gradient_hands_nothing_on():
    x = Value(2.0, label="x")
    (step,) = trace(p.sign(x)).steps
    assert (step.local, step.contribution, str(step.formula)) == (0.0, 0.0, "0")


def test_a_leaf_is_its_own_result():
    walk = trace(Value(3.0))
    assert (walk.root.name, walk.root.gradient, walk.steps) == ("out", 1.0, [])


def test_an_infinite_slope_is_the_engines_error():
    with pytest.raises(DomainError, match="out = sqrt\\(0\\): its slope there is not finite"):
        trace(Value(0.0, label="x").sqrt())


def test_changed_inputs_are_noticed():
    x = Value(2.0, label="x")
    y = x * 3
    assert not trace(y).root.stale
    x.data = 5.0
    assert trace(y).root.stale


def test_scalar_tensors():
    w = tn.Tensor([[1.0, 2.0]], backend="scalar", requires_grad=True)
    loss = (w * w).sum()
    walk = trace(loss)
    loss.backward()
    assert [leaf.gradient for leaf in walk.leaves] == w.grad.reshape(2).tolist()


def test_what_cannot_be_explained():
    with pytest.raises(ArgumentError, match=r'model\.to\("scalar"\)'):
        trace(tn.Tensor([1.0], backend="numpy"))
    with pytest.raises(ShapeError, match="Reduce it"):
        trace(tn.Tensor([1.0, 2.0], backend="scalar"))
    with pytest.raises(ArgumentError, match="int64"):
        trace(tn.Tensor([1], backend="scalar"))
    for wrong in (2.0, "loss", None):
        with pytest.raises(TypeMismatch, match="Only a Value"):
            trace(wrong)


def test_nearest_keeps_the_result_and_the_order():
    x = Value(1.0, label="x")
    for i in range(50):
        x = x * 1.5
        x.label = f"y{i}"
    nodes = read_graph(x)
    chosen = nearest(nodes, 5)
    assert len(chosen) == 5
    assert chosen[-1].name == "y49"
    assert [node.id for node in chosen] == sorted(node.id for node in chosen)
    assert nearest(nodes, None) == nodes
