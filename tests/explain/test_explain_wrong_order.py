"""The impatient walk, against one written here as the naive recursion that it is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import published_graph

from tinynet import Value
from tinynet.explain.trace import trace
from tinynet.explain.wrong_order import walk_impatiently


def impatient(root):
    """Each Value hands on what it holds the first time that anything reaches it: (gradients, steps), by id."""
    grads, steps, reached = {id(root): 1.0}, [], {id(root)}

    def hand_on(value):
        held, numbers = grads[id(value)], [parent.data for parent in value.parents]
        for i, parent in enumerate(value.parents):
            rule = value.primitive.rule(i)
            share = float(rule(held, value.data, *numbers)) if rule else 0.0
            grads[id(parent)] = grads.get(id(parent), 0.0) + share
            steps.append((id(value), id(parent), i, held, share, grads[id(parent)]))
            if parent.parents and id(parent) not in reached:
                reached.add(id(parent))
                hand_on(parent)

    hand_on(root)
    return grads, steps


def values_of(root):
    found, seen = [], set()

    def visit(value):
        if id(value) not in seen:
            seen.add(id(value))
            for parent in value.parents:
                visit(parent)
            found.append(value)

    visit(root)
    return found


@st.composite
def graphs(draw):
    values = [Value(draw(st.floats(0.5, 2.0))) for _ in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(1, 12))):
        x, y = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        values.append(
            draw(st.sampled_from([lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - y, lambda x, y: x.tanh()]))(
                x, y
            )
        )
    return values[-1]


def check(root):
    walk = trace(root)
    before = [(node.value, node.gradient) for node in walk.nodes], list(walk.steps)
    wrong = walk_impatiently(walk)
    assert ([(node.value, node.gradient) for node in walk.nodes], walk.steps) == before, "the walk was changed"
    values = values_of(root)
    assert [value.data for value in values] == [node.value for node in walk.nodes]
    place = {id(value): k for k, value in enumerate(values)}
    grads, steps = impatient(root)
    assert [
        (step.node.id, step.parent.id, step.i, step.upstream, step.contribution, step.total) for step in wrong.steps
    ] == [(place[giver], place[taker], i, *numbers) for giver, taker, i, *numbers in steps]
    assert wrong.gradients == [grads[id(value)] for value in values]
    for node, gradient in zip(walk.nodes, wrong.gradients):
        assert (node.id in wrong.spoilt) == (not math.isclose(node.gradient, gradient, rel_tol=1e-9))
    return wrong


@given(graphs())
def test_it_is_the_naive_recursion(root):
    check(root)


@pytest.mark.tiny
def test_where_a_result_is_used_twice_it_goes_wrong():
    a = Value(3.0, label="a")
    b = a + a
    wrong = check(b * b)
    assert wrong.gradients == [12.0, 12.0, 1.0] and wrong.spoilt == [0]  # a: 12 of 24; b is right, but too late
    assert check(published_graph(Value(-4.0), Value(2.0))).spoilt


@pytest.mark.tiny
def test_where_only_leaves_are_used_twice_nothing_does():
    a = Value(3.0, label="a")
    assert check((a * a).tanh() + a).spoilt == []
    assert check((a + 1) * 2).spoilt == []


def test_a_lone_leaf_has_no_steps():
    wrong = check(Value(3.0))
    assert (wrong.steps, wrong.gradients, wrong.spoilt) == ([], [1.0], [])


def test_what_is_no_number_is_not_called_wrong():
    a = Value(math.inf)
    b = a - a
    walk = trace(b * b)
    assert walk_impatiently(walk).spoilt == []


def test_a_deep_graph_is_walked_too():
    total = x = Value(1.0)
    for _ in range(5000):
        total = total * 0.5 + x
    assert len(walk_impatiently(trace(total)).steps) == 20_000
