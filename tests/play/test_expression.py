"""An expression that is played with, beside its derivatives written out by hand."""

import json
import math
import random

import pytest

import tinynet as tn
from tinynet import Value
from tinynet.cli.play import read
from tinynet.errors import ArgumentError, DomainError, TinynetError
from tinynet.play.expression import ExpressionSession
from tinynet.play.session import REMEMBERED, OutOfDate

CLOSE = {"rel": 1e-12, "abs": 1e-15}  # a handful of operations in float64, in another order


def by_hand(a, b, c):
    """out = tanh(a b + c) + a², and its derivatives."""
    t = math.tanh(a * b + c)
    return t + a * a, ((1 - t * t) * b + 2 * a, (1 - t * t) * a, 1 - t * t)


@pytest.fixture
def session():
    return ExpressionSession("(a*b + c).tanh() + a**2", {"a": 0.5, "b": -0.75, "c": 0.25}, read, lr=0.1)


def leaf(state, name):
    return next(one for one in state["leaves"] if one["name"] == name)


def holds(state, a, b, c):
    """Whether the state is that of these numbers: loss, every leaf, every gradient."""
    out, gradients = by_hand(a, b, c)
    run = state["run"]
    assert len(run["graphs"]) == len(run["frames"]) == 1
    names, frame = run["graphs"][0]["names"], run["frames"][0]
    assert state["loss"] == pytest.approx(out, **CLOSE)
    assert frame["values"][-1] == pytest.approx(out, **CLOSE)
    for name, number, gradient in zip("abc", (a, b, c), gradients):
        node = leaf(state, name)["node"]
        assert names[node] == name
        assert leaf(state, name)["value"] == number == frame["values"][node]
        assert frame["gradients"][node] == pytest.approx(gradient, **CLOSE)
    assert frame["stale"] == []
    json.dumps(state, allow_nan=False)


def refused(session, act, error=ArgumentError, match=None):
    before = json.dumps(session.state())
    with pytest.raises(error, match=match):
        session.act(act)
    assert json.dumps(session.state()) == before
    again = session.act({"act": "lr", "value": session.state()["lr"]})  # what is worked out afresh is the same, too
    assert json.dumps(again | {"revision": again["revision"] - 1, "note": ""}) == json.dumps(
        json.loads(before) | {"note": ""}
    )


def test_the_first_state(session):
    state = session.state()
    holds(state, 0.5, -0.75, 0.25)
    assert {key: state[key] for key in ("kind", "revision", "lr", "steps", "history", "note", "expression")} == {
        "kind": "expression", "revision": 0, "lr": 0.1, "steps": 0, "history": [], "note": "",
        "expression": "(a*b + c).tanh() + a**2",
    }  # fmt: skip
    assert [(one["name"], one["variable"], one["trained"]) for one in state["leaves"]] == [
        ("a", "a", True), ("b", "b", True), ("c", "c", True),
    ]  # fmt: skip


def test_a_leaf_is_set(session):
    state = session.act({"act": "value", "node": leaf(session.state(), "b")["node"], "value": 2})
    holds(state, 0.5, 2, 0.25)
    assert state["revision"] == 1


def test_a_constant_is_set_and_not_trained():
    session = ExpressionSession("3*w", {"w": 2.0}, read, lr=0.5)
    three = leaf(session.state(), "3")
    assert not three["trained"]
    state = session.act({"act": "value", "node": three["node"], "value": -4})
    assert state["loss"] == -8
    state = session.act({"act": "step"})
    assert leaf(state, "w")["value"] == 2 - 0.5 * -4
    assert leaf(state, "-4".replace("-", "−"))["value"] == -4


def test_a_step_goes_downhill(session):
    a, b, c = 0.5, -0.75, 0.25
    losses = []
    for taken in range(1, 4):
        loss, (da, db, dc) = by_hand(a, b, c)
        losses.append(loss)
        a, b, c = a - 0.1 * da, b - 0.1 * db, c - 0.1 * dc
        state = session.act({"act": "step"})
        assert [leaf(state, name)["value"] for name in "abc"] == pytest.approx([a, b, c], **CLOSE)
        a, b, c = (leaf(state, name)["value"] for name in "abc")
        holds(state, a, b, c)
        assert state["steps"] == taken
        assert state["history"] == pytest.approx(losses, **CLOSE)


def test_a_shared_leaf_gets_all_its_gradient():
    session = ExpressionSession("w*w*w", {"w": 2.0}, read, lr=0.01)
    assert leaf(session.act({"act": "step"}), "w")["value"] == pytest.approx(2 - 0.01 * 12, **CLOSE)


def test_a_run_is_so_many_steps(session):
    other = ExpressionSession("(a*b + c).tanh() + a**2", {"a": 0.5, "b": -0.75, "c": 0.25}, read, lr=0.1)
    ran = session.act({"act": "run", "steps": 510})
    for _ in range(510):
        stepped = other.act({"act": "step"})
    assert ran["run"] == stepped["run"]
    assert ran["history"] == stepped["history"]
    assert len(ran["history"]) == REMEMBERED == 500
    assert (ran["steps"], ran["revision"], ran["note"]) == (510, 1, "")


def test_the_learning_rate_is_set(session):
    state = session.act({"act": "lr", "value": 0.5})
    assert state["lr"] == 0.5
    _, (_, _, dc) = by_hand(0.5, -0.75, 0.25)
    assert leaf(session.act({"act": "step"}), "c")["value"] == pytest.approx(0.25 - 0.5 * dc, **CLOSE)
    session.act({"act": "lr", "value": 0})
    assert session.act({"act": "step"})["leaves"] == session.act({"act": "step"})["leaves"]


def test_a_label_is_any_text(session):
    node = leaf(session.state(), "b")["node"]
    for label in ("weight", "w → 重み", "<b>", "", "x" * 300, "\ud800", "a"):
        state = session.act({"act": "label", "node": node, "label": label})
        json.dumps(state, allow_nan=False, ensure_ascii=False).encode()  # as a page and a file hold it
        assert len(session.position.labels[node].encode()) == min(len(label.encode("utf-8", "replace")), 200)
        state_of_b = next(one for one in state["leaves"] if one["node"] == node)
        assert (state_of_b["variable"], state_of_b["value"], state_of_b["trained"]) == ("b", -0.75, True)
        assert state["loss"] == pytest.approx(by_hand(0.5, -0.75, 0.25)[0], **CLOSE)
        if label in ("weight", "<b>"):
            assert state["run"]["graphs"][0]["names"][node] == state_of_b["name"] == label
    root = len(state["run"]["graphs"][0]["names"]) - 1
    named = session.act({"act": "label", "node": root, "label": "loss"})
    assert named["run"]["title"] == "Backpropagation through loss"
    before = leaf(named, "c")["value"]
    assert leaf(session.act({"act": "step"}), "c")["value"] != before


def test_another_expression(session):
    session.act({"act": "lr", "value": 0.25})
    session.act({"act": "step"})
    state = session.act({"act": "expression", "text": "u * v + 3", "values": {"u": 4, "a": 9, "3": 3}})
    assert state["expression"] == "u * v + 3"
    assert (leaf(state, "u")["value"], leaf(state, "v")["value"], state["loss"]) == (4, 1, 7)
    assert (state["steps"], state["history"], state["lr"]) == (0, [], 0.25)
    assert {one["name"] for one in state["leaves"]} == {"u", "v", "3"}
    assert leaf(session.act({"act": "step"}), "u")["value"] == 4 - 0.25 * 1


def test_steps_with_names_of_their_own():
    session = ExpressionSession("c = a*b; d = c + 10; d.tanh()", {}, read)
    state = session.state()
    assert {one["name"] for one in state["leaves"]} == {"a", "b", "10"}
    assert {"c", "d"} < set(state["run"]["graphs"][0]["names"])
    assert state["loss"] == pytest.approx(math.tanh(11), **CLOSE)


def test_starting_afresh(session):
    session.act({"act": "value", "node": 0, "value": 3})
    session.act({"act": "run", "steps": 3})
    state = session.act({"act": "reset"})
    holds(state, 0.5, -0.75, 0.25)
    assert (state["steps"], state["history"], state["revision"]) == (0, [], 3)


def test_the_run_is_what_explain_tells(session):
    session.act({"act": "run", "steps": 5})
    numbers = {name: leaf(session.state(), name)["value"] for name in "abc"}
    a, b, c = (Value(x, label=name) for name, x in numbers.items())
    assert session.state()["run"] == tn.explain((a * b + c).tanh() + a**2).run.data()
    root = (a * b + c).tanh() + a**2
    root.backward()
    frame = session.state()["run"]["frames"][0]
    assert [frame["gradients"][leaf(session.state(), name)["node"]] for name in "abc"] == [a.grad, b.grad, c.grad]


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "match"),
    [
        ({}, "there is no act None"),
        ({"act": "stp"}, "Did you mean step"),
        ({"act": ["step"]}, "there is no act"),
        ({"act": "value", "node": 0}, '"value" takes a finite number; got None'),
        ({"act": "value", "node": 0, "value": "2"}, "got '2'"),
        ({"act": "value", "node": 0, "value": True}, "got True"),
        ({"act": "value", "node": 0, "value": math.inf}, "got inf"),
        ({"act": "value", "node": 0, "value": math.nan}, "got nan"),
        ({"act": "value", "node": 0, "value": 10**400}, "takes a finite number"),
        ({"act": "value", "node": -1, "value": 2}, "from 0 to"),
        ({"act": "value", "node": 99, "value": 2}, "from 0 to"),
        ({"act": "value", "node": 0.0, "value": 2}, "whole number"),
        ({"act": "value", "node": False, "value": 2}, "whole number"),
        ({"act": "value", "node": 2, "value": 2}, "v1 is computed from others"),
        ({"act": "label", "node": 0}, '"label" takes text; it is missing'),
        ({"act": "label", "node": 99, "label": "a"}, "from 0 to"),
        ({"act": "lr", "value": -0.1}, "from 0 to"),
        ({"act": "lr", "value": 1e7}, "from 0 to"),
        ({"act": "run"}, "from 1 to 1000; got None"),
        ({"act": "run", "steps": 0}, "from 1 to 1000"),
        ({"act": "run", "steps": 1001}, "from 1 to 1000"),
        ({"act": "run", "steps": 2.5}, "whole number"),
        ({"act": "expression", "text": "a *"}, "invalid syntax"),
        ({"act": "expression", "text": ""}, "there is no expression"),
        ({"act": "expression", "text": 3}, "takes text"),
        ({"act": "expression", "text": "a", "values": [1]}, "an object of numbers"),
        ({"act": "expression", "text": "a", "values": {"a": None}}, "finite number"),
        ({"act": "expression", "text": "__import__('os')"}, "there is no function"),
        ({"act": "expression", "text": "a.real"}, "this is no arithmetic"),
        ({"act": "expression", "text": "c = c + 1; c"}, "there is no number for c"),
        ({"act": "expression", "text": "(" * 5000}, "nested"),
        ({"act": "expression", "text": "+".join("a" * 20_000)}, "at most 20,000"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(session, act, match):
    session.act({"act": "step"})
    refused(session, act, match=match)


def test_an_act_for_another_revision_is_refused(session):
    session.act({"act": "step", "revision": 0})
    refused(session, {"act": "step", "revision": 0}, OutOfDate, "in the meantime")
    assert session.act({"act": "step", "revision": 2})["revision"] == 3


def test_a_value_where_a_function_has_none_is_refused():
    session = ExpressionSession("log(a) + b", {"a": 2.0}, read)
    refused(session, {"act": "value", "node": 0, "value": -1}, DomainError, "log.*a = -1.*above 0")
    refused(session, {"act": "expression", "text": "1/a", "values": {"a": 0}}, DomainError)
    assert session.act({"act": "value", "node": 0, "value": 1})["loss"] == 1


def test_a_number_that_overflows_is_told_as_text():
    session = ExpressionSession("a*b", {"a": 1e200, "b": 1e100}, read)
    state = session.act({"act": "value", "node": 1, "value": 1e300})
    assert state["loss"] == "Infinity"
    assert state["run"]["frames"][0]["values"][-1] == "Infinity"
    json.dumps(state, allow_nan=False)
    refused(session, {"act": "step"}, match="the steps are too long")


def test_a_run_ends_before_it_leads_nowhere():
    session = ExpressionSession("w**4", {"w": 3.0}, read, lr=1.0)
    w, losses = 3.0, []
    while math.isfinite(w) and abs(w) < 1e77:  # beyond, w⁴ is no number of float64
        losses.append(w**4)
        w -= 4 * w**3
    losses.pop()
    state = session.act({"act": "run", "steps": 50})
    assert state["steps"] == len(losses) < 50
    assert state["history"] == pytest.approx(losses, rel=1e-9)  # w is cubed at each step, and its rounding with it
    assert state["note"].startswith(f"The run ended after {len(losses)} of 50 steps")
    refused(session, {"act": "run", "steps": 1}, TinynetError)
    assert session.act({"act": "lr", "value": 0.1})["note"] == ""


def test_nothing_to_train_is_told():
    refused(ExpressionSession("2*3", {}, read), {"act": "step"}, match="no named number")


# --- a thousand acts --------------------------------------------------------------------------------------------------


def test_a_thousand_acts_leave_the_numbers_of_a_fresh_start(session):
    random_ = random.Random(0)
    numbers = {"a": 0.5, "b": -0.75, "c": 0.25}
    lr, done = 0.1, 0
    for _ in range(1000):
        kind = random_.choice(["value", "value", "label", "lr", "step", "run", "reset", "bad", "log"])
        node = {one["variable"]: one["node"] for one in session.state()["leaves"]}
        name, x = random_.choice("abc"), random_.uniform(-2, 2)
        act = {
            "value": {"act": "value", "node": node[name], "value": x},
            "label": {"act": "label", "node": node[name], "label": random_.choice(["u", "w", name, "☺"])},
            "lr": {"act": "lr", "value": abs(x) / 10},
            "step": {"act": "step"},
            "run": {"act": "run", "steps": random_.randint(1, 5)},
            "reset": {"act": "reset"},
            "bad": {"act": "value", "node": node[name], "value": None},
            "log": {"act": "expression", "text": "log(0*a)"},
        }[kind]
        try:
            session.act(act)
            done += 1
            assert kind not in ("bad", "log")
        except TinynetError:
            assert kind in ("bad", "log")
        if kind == "value":
            numbers[name] = x
        elif kind == "lr":
            lr = abs(x) / 10
        elif kind in ("step", "run"):
            for _ in range(act.get("steps", 1)):
                _, gradients = by_hand(**numbers)
                numbers = {k: v - lr * g for (k, v), g in zip(numbers.items(), gradients)}
        elif kind == "reset":
            numbers = {"a": 0.5, "b": -0.75, "c": 0.25}
        found = {one["variable"]: one["value"] for one in session.state()["leaves"]}
        assert found == pytest.approx(numbers, **CLOSE)
        numbers = found  # so that rounding does not add up over all acts
    state = session.state()
    assert state["revision"] == done
    fresh = ExpressionSession("(a*b + c).tanh() + a**2", numbers, read).state()
    for part in ("values", "gradients", "locals", "contributions"):
        assert state["run"]["frames"][0][part] == fresh["run"]["frames"][0][part]
