"""The sentences, word for word."""

import pytest

import tinynet as tn
from tinynet import Value
from tinynet.errors import ArgumentError

TWO_LINES = """\
Backpropagation through out
6 values, 3 operations, 5 steps of the chain rule.

Forward: each value from the values before it
  a = 2
  b = −3
  v1 = a × b = 2 × −3 = −6
  v2 = v1 + 10 = −6 + 10 = 4
  out = tanh(v2) = tanh(4) = 0.999329

Backward: each gradient from the gradients after it
  out = tanh(v2)
    d out/d v2 = 1 − out × out = 1 − 0.999329 × 0.999329 = 0.00134095
    d out/d v2 = d out/d out × d out/d v2 = 1 × 0.00134095 = 0.00134095, so far 0.00134095
  v2 = v1 + 10
    d v2/d v1 = 1
    d out/d v1 = d out/d v2 × d v2/d v1 = 0.00134095 × 1 = 0.00134095, so far 0.00134095
    d v2/d 10 = 1
    d out/d 10 = d out/d v2 × d v2/d 10 = 0.00134095 × 1 = 0.00134095, so far 0.00134095
  v1 = a × b
    d v1/d a = b = −3
    d out/d a = d out/d v1 × d v1/d a = 0.00134095 × −3 = −0.00402285, so far −0.00402285
    d v1/d b = a = 2
    d out/d b = d out/d v1 × d v1/d b = 0.00134095 × 2 = 0.0026819, so far 0.0026819

The gradients of the leaves
  leaf  value  d out/d leaf
  a     2      −0.00402285
  b     −3     0.0026819
  10    10     0.00134095"""


@pytest.mark.tiny
def test_the_two_line_example():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    loss = (a * b + 10).tanh()
    assert str(tn.explain(loss)) == TWO_LINES
    assert repr(tn.explain(loss)) == TWO_LINES


def test_the_sentence_of_a_step():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c = a * b
    c.label = "c"
    loss = c * 0.5
    loss.label = "loss"
    assert "d loss/d a = d loss/d c × d c/d a = 0.5 × −3 = −1.5, so far −1.5\n" in str(tn.explain(loss))


def test_contributions_are_seen_adding_up():
    a = Value(3.0, label="a")
    text = str(tn.explain(a * 4 + a * -5))
    assert "= 1 × −5 = −5, so far −5\n" in text
    assert "= 1 × 4 = 4, so far −5 + 4 = −1\n" in text


def test_a_value_used_twice_by_one_operation_says_which_input_is_meant():
    text = str(tn.explain(Value(3.0, label="a") * 1 + 0)).splitlines()
    assert not any("(input" in line for line in text)
    a = Value(3.0, label="a")
    text = str(tn.explain(a * a))
    assert "d out/d a (input 1) = a = 3\n" in text
    assert "d out/d a (input 2) = 1 × 3 = 3, so far 3 + 3 = 6\n" in text


def test_names_that_read_like_formulas_stand_in_brackets():
    x, w = Value(2.0, label="x"), Value(5.0, label="w")
    xw = x * w
    xw.label = "x*w"
    assert "out = (x*w) + 1 = 10 + 1 = 11\n" in str(tn.explain(xw + 1))


def test_changed_inputs_are_said():
    x = Value(2.0, label="x")
    y = x * 3
    x.data = 5.0
    assert "out = x × 3 = 5 × 3 = 6, from inputs that were changed since" in str(tn.explain(y))


def test_a_right_to_left_label_does_not_turn_the_numbers_around():
    assert "\u2068مرحبا\u2069 = 2\n" in str(tn.explain(Value(2.0, label="مرحبا") * 3))


@pytest.mark.parametrize("limit", [1, 3])
def test_the_limit_says_how_many_steps_were_left_out(limit):
    x = Value(1.0, label="x")
    for _ in range(10):
        x = (x * x).sin()
    explained = tn.explain(x, limit=limit)
    assert f"… {len(explained.steps) - limit} further steps left out" in str(explained)
    assert f"… {21 - limit} earlier values left out" in str(explained)
    assert str(explained).count("so far") == limit
    assert "left out" not in str(tn.explain(x, limit=None))


@pytest.mark.parametrize("limit", [0, -1, 2.5, "all"])
def test_a_limit_that_is_none(limit):
    with pytest.raises(ArgumentError, match="limit="):
        tn.explain(Value(1.0) * 2, limit=limit)
    with pytest.raises(ArgumentError, match="limit="):
        tn.draw(Value(1.0) * 2, limit=limit)
