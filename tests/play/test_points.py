"""Points and their network, beside the same network written out in NumPy."""

import json
import math
import random

import numpy as np
import pytest

from tinynet import data, nn
from tinynet.errors import ArgumentError
from tinynet.play.points import MOST_POINTS, PointsSession

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
CLOSE = {"rel": 1e-9, "abs": 1e-12}  # sums of a few dozen products in float64, in another order
SLOPES = {  # σ(z), and dσ/dz from z and σ
    "tanh": (np.tanh, lambda z, a: 1 - a * a),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: (z > 0) * 1.0),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
}


class ByHand:
    """Linear layers with activations between them, and the binary cross-entropy: forward, and backward."""

    def __init__(self, parameters, activation):
        self.parameters = parameters  # by name: 0.weight, 0.bias, 2.weight …
        self.layers = sorted({int(name.partition(".")[0]) for name in parameters})
        self.activate, self.slope = SLOPES[activation]

    def forward(self, x):
        self.z, self.a = [], [x]
        for k in self.layers:
            self.z.append(self.a[-1] @ self.parameters[f"{k}.weight"].T + self.parameters[f"{k}.bias"])
            self.a.append(self.activate(self.z[-1]) if k != self.layers[-1] else self.z[-1])
        return self.z[-1][:, 0]

    def probabilities(self, x):
        return 1 / (1 + np.exp(-self.forward(x)))

    def loss(self, x, y):
        p = self.probabilities(x)
        return float(np.mean(-np.where(y == 1, np.log(p), np.log(1 - p))))

    def gradients(self, x, y):
        g = ((self.probabilities(x) - y) / len(y))[:, None]
        found = {}
        for i in reversed(range(len(self.layers))):
            k = self.layers[i]
            found[f"{k}.weight"], found[f"{k}.bias"] = g.T @ self.a[i], g.sum(axis=0)
            g = g @ self.parameters[f"{k}.weight"]
            if i:
                g = g * self.slope(self.z[i - 1], self.a[i])
        found["x"] = g
        return found

    def descend(self, x, y, lr):
        for name, g in self.gradients(x, y).items():
            if name != "x":
                self.parameters[name] = self.parameters[name] - lr * g


def parameters_of(state):
    """The arrays that the state's list of numbers writes out."""
    found = {}
    for one in state["parameters"]:
        name, _, index = one["name"].rstrip("]").partition("[")
        found.setdefault(name, {})[tuple(map(int, index.split(",")))] = one["value"]
    arrays = {}
    for name, numbers in found.items():
        arrays[name] = np.zeros(tuple(n + 1 for n in max(numbers)))
        for index, number in numbers.items():
            arrays[name][index] = number
    return arrays


def points_of(state):
    return np.array([p["x"] for p in state["points"]], float), np.array([p["label"] for p in state["points"]])


def holds(state):
    """Whether everything in the state is what follows from its points and parameters, computed by hand."""
    json.dumps(state, allow_nan=False)
    net = ByHand(parameters_of(state), state["activation"])
    x, y = points_of(state)
    assert [p["output"] for p in state["points"]] == pytest.approx(net.probabilities(x).tolist(), **CLOSE)
    assert state["loss"] == pytest.approx(net.loss(x, y), **CLOSE)
    assert state["accuracy"] == np.mean((net.forward(x) > 0) == (y == 1))
    assert [net.parameters[f"{k}.weight"].shape for k in net.layers] == [*zip(state["sizes"][1:], state["sizes"][:-1])]
    (across, down), values = state["boundary"]["size"], state["boundary"]["values"]
    low, high = (np.array(state["boundary"][end]) for end in ("low", "high"))
    assert ((x >= low) & (x <= high)).all()
    places = [
        low + (high - low) * ((column + 0.5) / across, (row + 0.5) / down)
        for row in range(down) for column in range(across)
    ]  # fmt: skip
    assert values == pytest.approx(net.probabilities(np.array(places)).tolist(), **CLOSE)
    k = state["chosen"]
    gradients = net.gradients(x[k : k + 1], y[k : k + 1])
    frame, names = state["run"]["frames"][0], state["run"]["graphs"][0]["names"]
    assert frame["values"][-1] == pytest.approx(net.loss(x[k : k + 1], y[k : k + 1]), **CLOSE)
    explained = {name: (v, g) for name, v, g in zip(names, frame["values"], frame["gradients"])}
    leaves = {one["name"]: one["value"] for one in state["parameters"]} | {
        f"x[0,{i}]": x[k, i] for i in range(2)
    }  # fmt: skip
    for name, number in leaves.items():
        array, _, index = name.rstrip("]").partition("[")
        assert explained[name][0] == number
        assert explained[name][1] == pytest.approx(gradients[array][tuple(map(int, index.split(",")))], **CLOSE)
    return net


def make(hidden=(3,), activation="tanh", n=10, **more):
    moons = data.moons(n, seed=1)
    return PointsSession(moons.x, moons.y, hidden, activation, ACTIVATIONS, **more)


@pytest.fixture
def session():
    return make()


def refused(session, act, match=None):
    before = json.dumps(session.state())
    with pytest.raises(ArgumentError, match=match):
        session.act(act)
    assert json.dumps(session.state()) == before


@pytest.mark.parametrize("hidden", [(), (4,), (3, 2), (2, 3, 2)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_first_state(hidden, activation):
    state = make(hidden, activation, seed=3).state()
    holds(state)
    assert state["sizes"] == [2, *hidden, 1]
    assert (state["kind"], state["revision"], state["steps"], state["history"]) == ("points", 0, 0, [])
    assert (state["chosen"], state["seed"], state["activations"]) == (0, 3, [*ACTIVATIONS])
    x, y = points_of(state)
    moons = data.moons(10, seed=1)
    assert (x == moons.x).all() and (y == moons.y).all()


@pytest.mark.parametrize("hidden", [(), (4,), (3, 2)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_steps_go_downhill_on_all_points(hidden, activation):
    session = make(hidden, activation, lr=0.3)
    before = session.state()
    net, (x, y), losses = ByHand(parameters_of(before), activation), points_of(before), []
    for _ in range(7):
        losses.append(net.loss(x, y))
        net.descend(x, y, 0.3)
    session.act({"act": "step"})
    state = session.act({"act": "run", "steps": 6})
    for name, array in parameters_of(state).items():
        assert array.ravel().tolist() == pytest.approx(net.parameters[name].ravel().tolist(), **CLOSE)
    assert state["history"] == pytest.approx(losses, **CLOSE)
    assert (state["steps"], state["revision"]) == (7, 2)
    holds(state)


def test_a_weight_is_set(session):
    before = parameters_of(session.state())
    state = session.act({"act": "value", "name": "0.weight[2,1]", "value": -1.5})
    holds(state)
    after = parameters_of(state)
    assert after["0.weight"][2, 1] == -1.5
    before["0.weight"][2, 1] = -1.5
    assert all((after[name] == before[name]).all() for name in before)
    assert parameters_of(session.act({"act": "value", "name": "2.bias[0]", "value": 2}))["2.bias"].tolist() == [2]


def test_an_input_is_set_which_moves_the_chosen_point(session):
    session.act({"act": "choose", "index": 4})
    old = points_of(session.state())[0]
    state = session.act({"act": "value", "name": "x[0,1]", "value": 0.125})
    holds(state)
    old[4, 1] = 0.125
    assert (points_of(state)[0] == old).all()


def test_points_are_added_moved_labelled_and_taken_away(session):
    x, y = points_of(session.state())
    state = session.act({"act": "point-add", "x": [0.5, 0.25], "label": 1})
    holds(state)
    x, y = np.vstack([x, [0.5, 0.25]]), np.append(y, 1)
    assert (points_of(state)[0] == x).all() and (points_of(state)[1] == y).all()
    state = session.act({"act": "point-move", "index": 2, "x": [-0.5, 0]})
    holds(state)
    x[2] = -0.5, 0
    assert (points_of(state)[0] == x).all()
    state = session.act({"act": "point-label", "index": 3, "label": 1 - int(y[3])})
    holds(state)
    y[3] = 1 - y[3]
    assert (points_of(state)[1] == y).all()
    state = session.act({"act": "point-remove", "index": 1})
    holds(state)
    assert (points_of(state)[0] == np.delete(x, 1, axis=0)).all()
    assert (points_of(state)[1] == np.delete(y, 1)).all()


@pytest.mark.parametrize(
    ("chosen", "removed", "then"), [(4, 2, 3), (4, 4, 4), (4, 5, 4), (9, 9, 8), (0, 0, 0), (9, 0, 8)]
)
def test_the_choice_follows_its_point(session, chosen, removed, then):
    session.act({"act": "choose", "index": chosen})
    state = session.act({"act": "point-remove", "index": removed})
    assert state["chosen"] == then
    holds(state)


def test_the_window_moves_only_where_a_point_would_be_outside(session):
    first = session.state()["boundary"]
    low, high = np.array(first["low"]), np.array(first["high"])
    x, _ = points_of(session.state())
    assert (low < x.min(axis=0)).all() and (high > x.max(axis=0)).all()
    inside = session.act({"act": "point-move", "index": 0, "x": (low + 0.01).tolist()})["boundary"]
    assert (inside["low"], inside["high"]) == (first["low"], first["high"])
    outside = session.act({"act": "point-move", "index": 0, "x": (high + 1).tolist()})
    holds(outside)
    assert outside["boundary"]["high"] > first["high"]
    assert session.act({"act": "point-remove", "index": 0})["boundary"]["high"] == outside["boundary"]["high"]


def test_another_activation_keeps_the_weights(session):
    session.act({"act": "step"})
    before = session.state()
    state = session.act({"act": "activation", "name": "relu"})
    assert state["activation"] == "relu"
    assert (state["parameters"], state["steps"]) == (before["parameters"], 1)
    holds(state)


def test_other_sizes_and_another_seed_begin_afresh(session):
    first = session.state()["parameters"]
    session.act({"act": "run", "steps": 3})
    assert session.state()["parameters"] != first
    state = session.act({"act": "reset"})
    assert (state["parameters"], state["steps"], state["history"]) == (first, 0, [])
    session.act({"act": "step"})
    state = session.act({"act": "sizes", "hidden": [2, 2]})
    holds(state)
    assert (state["sizes"], state["steps"]) == ([2, 2, 2, 1], 0)
    session.act({"act": "step"})
    state = session.act({"act": "seed", "value": 5})
    holds(state)
    assert (state["seed"], state["steps"], state["parameters"]) == (5, 0, make((2, 2), seed=5).state()["parameters"])
    assert session.act({"act": "sizes", "hidden": []})["sizes"] == [2, 1]


def test_the_learning_rate_is_set(session):
    assert session.act({"act": "lr", "value": 0})["lr"] == 0
    before = session.state()["parameters"]
    assert session.act({"act": "step"})["parameters"] == before


@pytest.mark.parametrize(
    ("act", "match"),
    [
        ({"act": "value", "name": "0.weight[3,0]", "value": 1}, "no number '0.weight"),
        ({"act": "value", "name": "0.weight[0]", "value": 1}, "no number"),
        ({"act": "value", "name": "0.weight[0,-1]", "value": 1}, "no number"),
        ({"act": "value", "name": "0.weight", "value": 1}, "no number"),
        ({"act": "value", "name": "1.weight[0,0]", "value": 1}, "no number"),
        ({"act": "value", "name": "x[1,0]", "value": 1}, "no number"),
        ({"act": "value", "name": "x[0,2]", "value": 1}, "no number"),
        ({"act": "value", "name": "0.weight[0,0]", "value": 1e7}, "from -1e.06 to 1e.06"),
        ({"act": "value", "name": "0.weight[0,0]"}, "got None"),
        ({"act": "value", "node": 1, "value": 1}, '"name" takes text'),
        ({"act": "point-add", "x": [1, 2]}, '"label" takes'),
        ({"act": "point-add", "x": [1, 2], "label": 2}, "from 0 to 1"),
        ({"act": "point-add", "x": [1], "label": 1}, "a list of 2 numbers"),
        ({"act": "point-add", "x": [1, None], "label": 1}, '"x".1. takes'),
        ({"act": "point-add", "x": "12", "label": 1}, "a list of 2 numbers"),
        ({"act": "point-add", "x": [1, 2, 3], "label": 1}, "a list of 2 numbers"),
        ({"act": "point-move", "index": 10, "x": [0, 0]}, "from 0 to 9"),
        ({"act": "point-move", "index": 0, "x": [0, 1e300]}, '"x".1. takes'),
        ({"act": "point-label", "index": 0, "label": True}, "whole number"),
        ({"act": "point-remove", "index": -1}, "from 0 to 9"),
        ({"act": "choose", "index": 10}, "from 0 to 9"),
        ({"act": "activation", "name": "tahn"}, "Did you mean tanh"),
        ({"act": "sizes", "hidden": [1, 2, 3, 4]}, "at most 3"),
        ({"act": "sizes", "hidden": [17]}, "from 1 to 16"),
        ({"act": "sizes", "hidden": [0]}, "from 1 to 16"),
        ({"act": "sizes", "hidden": 3}, "a list"),
        ({"act": "seed", "value": -1}, "from 0"),
        ({"act": "seed", "value": 2**32}, "from 0"),
        ({"act": "run", "steps": 501}, "from 1 to 500"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(session, act, match):
    session.act({"act": "step"})
    refused(session, act, match)


@pytest.mark.parametrize(
    "act",
    [{"act": "point-move", "index": 0, "x": [1, 1]}, {"act": "point-label", "index": 0, "label": 1},
     {"act": "point-label", "index": 1, "label": 1}, {"act": "value", "name": "0.weight[0,0]", "value": 1},
     {"act": "value", "name": "x[0,0]", "value": 1}, {"act": "step"}, {"act": "choose", "index": 3}],
)  # fmt: skip
def test_an_act_that_fails_at_its_very_end_changes_nothing(session, monkeypatch, act):
    def broken(position):
        raise ArgumentError("at the very end")

    before = session.act({"act": "lr", "value": 0.5})
    monkeypatch.setattr(session, "described", broken)
    refused(session, act, "at the very end")
    monkeypatch.undo()
    assert session.act({"act": "lr", "value": 0.5}) == before | {"revision": 2}


def test_one_point_stays():
    session = make(n=2)
    session.act({"act": "point-remove", "index": 0})
    holds(session.state())
    refused(session, {"act": "point-remove", "index": 0}, "last point")


def test_there_is_an_end_to_points():
    session = PointsSession(np.zeros((MOST_POINTS, 2)), [0] * MOST_POINTS, (1,), "tanh", ACTIVATIONS)
    refused(session, {"act": "point-add", "x": [0, 0], "label": 0}, "as many as there can be")


@pytest.mark.parametrize(
    "arguments", [([], []), ([[0, 0]], [2]), ([[0, 0, 0]], [1]), ([[0, 1e9]], [1]), ([[0, math.nan]], [1])]
)
def test_points_that_are_none_are_refused(arguments):
    with pytest.raises(ArgumentError):
        PointsSession(*arguments, (1,), "tanh", ACTIVATIONS)


def test_steps_that_are_too_long_end_the_run_with_a_note():
    session = make((2,), "relu", lr=1e6)
    state = session.act({"act": "run", "steps": 100})
    assert 0 < state["steps"] < 100
    assert "smaller learning rate" in state["note"]
    assert max(abs(one["value"]) for one in state["parameters"]) <= 1e6
    refused(session, {"act": "step"}, "smaller learning rate")


def test_the_largest_numbers_are_computed_without_a_warning():
    session = make((2, 2), "relu")
    for name in ("0.weight[0,0]", "2.weight[0,0]", "4.weight[0,0]", "x[0,0]"):
        state = session.act({"act": "value", "name": name, "value": 1e6})
    assert math.isfinite(state["loss"])
    json.dumps(state, allow_nan=False)


def test_random_acts_leave_what_a_fresh_computation_gives(session):
    """Beside a mirror that does the same to plain arrays; each fortieth state is looked at whole, and the last."""
    random_ = random.Random(0)
    first = session.state()
    (x, y), lr, done, chosen = points_of(first), first["lr"], 0, 0
    net = ByHand(parameters_of(first), "tanh")
    kinds = [
        "value",
        "input",
        "add",
        "move",
        "label",
        "remove",
        "choose",
        "activation",
        "lr",
        "step",
        "run",
        "reset",
        "bad",
    ]
    for i in range(200):
        kind, k, label = random_.choice(kinds), random_.randrange(len(x)), random_.randrange(2)
        to = [random_.uniform(-2, 3), random_.uniform(-2, 2)]
        if kind == "value":
            name = random_.choice([*net.parameters])
            index = tuple(random_.randrange(n) for n in net.parameters[name].shape)
            session.act({"act": "value", "name": f"{name}[{','.join(map(str, index))}]", "value": to[0]})
            net.parameters[name][index] = to[0]
        elif kind == "input":
            session.act({"act": "value", "name": f"x[0,{label}]", "value": to[0]})
            x[chosen, label] = to[0]
        elif kind == "add" and len(x) < 15:
            session.act({"act": "point-add", "x": to, "label": label})
            x, y = np.vstack([x, to]), np.append(y, label)
        elif kind == "move":
            session.act({"act": "point-move", "index": k, "x": to})
            x[k] = to
        elif kind == "label":
            session.act({"act": "point-label", "index": k, "label": label})
            y[k] = label
        elif kind == "remove" and len(x) > 5:
            session.act({"act": "point-remove", "index": k})
            x, y = np.delete(x, k, axis=0), np.delete(y, k)
            chosen = min(chosen - (k < chosen), len(x) - 1)
        elif kind == "choose":
            session.act({"act": "choose", "index": k})
            chosen = k
        elif kind == "activation":
            name = random_.choice([*ACTIVATIONS])
            session.act({"act": "activation", "name": name})
            net.activate, net.slope = SLOPES[name]
        elif kind == "lr":
            lr = random_.uniform(0, 0.5)
            session.act({"act": "lr", "value": lr})
        elif kind in ("step", "run"):
            steps = random_.randint(1, 3) if kind == "run" else 1
            session.act({"act": "run", "steps": steps} if kind == "run" else {"act": "step"})
            for _ in range(steps):
                net.descend(x, y, lr)
        elif kind == "reset":
            session.act({"act": "reset"})
            net.parameters = parameters_of(first)
        else:
            with pytest.raises(ArgumentError):
                session.act({"act": "point-move", "index": len(x), "x": to})
            continue
        done += 1
        state = session.state()
        assert (points_of(state)[0] == x).all() and (points_of(state)[1] == y).all()
        assert (state["chosen"], state["lr"], state["revision"]) == (chosen, lr, done)
        for name, array in parameters_of(state).items():
            np.testing.assert_allclose(array, net.parameters[name], **{"rtol": 1e-9, "atol": 1e-12})
        net.parameters = parameters_of(state)  # so that rounding does not add up over all acts
        if i % 40 == 0:
            holds(state)
    holds(session.state())
