"""A drawn digit, beside its network written out in NumPy."""

import json

import numpy as np
import pytest

from tinynet import data, nn
from tinynet.data import Dataset
from tinynet.data.centring import centred
from tinynet.errors import ArgumentError
from tinynet.play.digits import DigitsSession

CLOSE = {"rel": 1e-9, "abs": 1e-12}  # sums of 784 products in float64, in another order


@pytest.fixture(scope="module")
def examples():
    return data.digits()[1].take(20)


@pytest.fixture
def session(examples):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(784, 3), nn.Sigmoid(), nn.Linear(3, 10))
    model.load_state_dict(
        {name: rng.normal(size=p.shape) / 4 for name, p in model.named_parameters()}
    )  # fmt: skip
    return DigitsSession(model, nn.CrossEntropyLoss(), tuple("0123456789"), examples)


def layers_of(session, image):
    w = {name: p.numpy() for name, p in session.model.named_parameters()}
    first = w["0.weight"] @ image + w["0.bias"]
    second = 1 / (1 + np.exp(-first))
    return [first, second, w["2.weight"] @ second + w["2.bias"]]


def holds(session):
    """Whether layers, probabilities and loss are those of what the network sees."""
    state = session.state()
    json.dumps(state, allow_nan=False)
    layers = layers_of(session, np.array(state["seen"]))
    assert [layer["name"] for layer in state["layers"]] == ["0", "1", "2"]
    for layer, values in zip(state["layers"], layers):
        assert layer["values"] == pytest.approx(values.tolist(), **CLOSE)
    p = np.exp(layers[-1]) / np.exp(layers[-1]).sum()
    assert state["probabilities"] == pytest.approx(p.tolist(), **CLOSE)
    assert state["loss"] == pytest.approx(-np.log(p[state["label"]]), **CLOSE)
    assert (state["steps"], state["history"], state["note"]) == (0, [], "")
    return state


def refused(session, act, match):
    before = json.dumps(session.state())
    with pytest.raises(ArgumentError, match=match):
        session.act(act)
    assert json.dumps(session.state()) == before


def test_the_first_state_is_an_example(session, examples):
    state = holds(session)
    assert (state["kind"], state["revision"], state["run"]) == ("digits", 0, None)
    assert state["image"] == state["seen"] == examples.x[0].astype(float).tolist()
    assert (state["label"], state["classes"], state["examples"]) == (int(examples.y[0]), [*"0123456789"], 20)
    assert state["measure"] == "probability"
    assert state["layers"][0]["description"] == "Linear(784, 3)"


def test_an_example_a_label_and_a_clean_sheet(session, examples):
    session.act({"act": "example", "index": 7})
    state = holds(session)
    assert state["seen"] == examples.x[7].astype(float).tolist()
    assert state["label"] == int(examples.y[7])
    session.act({"act": "label", "value": 3})
    assert holds(session)["label"] == 3
    session.act({"act": "clear"})
    state = holds(session)
    assert state["image"] == state["seen"] == [0.0] * 784
    assert (state["label"], state["revision"]) == (3, 3)


def test_a_drawing_is_seen_centred_unless_it_is_asked_not_to_be(session):
    drawing = np.zeros((28, 28))
    drawing[2:12, 3:6] = 1
    session.act({"act": "image", "pixels": drawing.ravel().tolist()})
    state = holds(session)
    assert state["image"] == drawing.ravel().tolist()
    assert state["seen"] == centred(drawing, 28).ravel().tolist() != state["image"]
    session.act({"act": "image", "pixels": drawing.ravel().tolist(), "centre": False})
    state = holds(session)
    assert state["seen"] == state["image"] == drawing.ravel().tolist()


def test_the_run_is_made_when_it_is_asked_for(session):
    session.act({"act": "example", "index": 2})
    state = session.act({"act": "explain"})
    holds(session)
    frame, names = state["run"]["frames"][0], state["run"]["graphs"][0]["names"]
    assert frame["values"][-1] == pytest.approx(state["loss"], **CLOSE)
    image = np.array(state["seen"])
    _, second, third = layers_of(session, image)
    g = np.exp(third) / np.exp(third).sum() - np.eye(10)[state["label"]]
    gradients = {name: g for name, g in zip(names, frame["gradients"])}
    assert [gradients[f"2.bias[{k}]"] for k in range(10)] == pytest.approx(g.tolist(), **CLOSE)
    g = (session.model[2].weight.numpy().T @ g) * second * (1 - second)
    assert [gradients[f"0.weight[1,{k}]"] for k in range(784)] == pytest.approx((g[1] * image).tolist(), **CLOSE)
    assert session.act({"act": "label", "value": 0})["run"] is None


def test_the_page_has_the_run_of_the_present_drawing(session):
    first = session.page()
    assert session.page() is first
    assert session.state()["run"] is None
    session.act({"act": "example", "index": 3})
    run = json.loads(session.page().partition('id="trace">')[2].partition("</script>")[0])
    assert run["frames"][0]["values"][-1] == pytest.approx(session.state()["loss"], **CLOSE)


@pytest.mark.parametrize(
    ("act", "match"),
    [
        ({"act": "image"}, "a list of 784 numbers"),
        ({"act": "image", "pixels": [0] * 783}, "a list of 784 numbers"),
        ({"act": "image", "pixels": [0] * 783 + [1.5]}, '"pixels".783. takes a finite number from 0 to 1'),
        ({"act": "image", "pixels": [0] * 783 + [None]}, "got None"),
        ({"act": "image", "pixels": [0] * 784, "centre": "no"}, "true or false"),
        ({"act": "label", "value": 10}, "from 0 to 9"),
        ({"act": "example", "index": 20}, "from 0 to 19"),
        ({"act": "step"}, "there is no act 'step'"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(session, act, match):
    session.act({"act": "example", "index": 1})
    refused(session, act, match)


def test_random_acts_leave_what_a_fresh_computation_gives(session):
    rng = np.random.default_rng(1)
    for _ in range(60):
        kind = rng.choice(["image", "label", "example", "clear"])
        pixels = (rng.random((28, 28)) * (rng.random((28, 28)) < 0.1)).ravel().tolist()
        session.act(
            {"act": str(kind), "pixels": pixels, "value": int(rng.integers(10)), "index": int(rng.integers(20))}
        )
        holds(session)


def test_a_network_for_something_else_is_refused(examples):
    with pytest.raises(ArgumentError, match="a number for each class, 10; this one gives"):
        DigitsSession(nn.Linear(784, 3), nn.CrossEntropyLoss(), tuple("0123456789"), examples)


def test_other_losses_tell_activations(examples):
    model = nn.Sequential(nn.Linear(784, 10), nn.Sigmoid())
    state = DigitsSession(model, nn.QuadraticCost(), tuple("0123456789"), examples).state()
    assert state["measure"] == "activation"
    out = np.array(state["layers"][-1]["values"])
    assert state["probabilities"] == pytest.approx(out.tolist(), **CLOSE)
    assert state["loss"] == pytest.approx(((out - np.eye(10)[state["label"]]) ** 2).sum() / 2, **CLOSE)


def test_a_dataset_of_one_kind_of_shape_is_enough(session):
    flat = Dataset(np.zeros((2, 1, 28, 28), np.float32), np.array([0, 1]))
    assert DigitsSession(session.model, nn.CrossEntropyLoss(), session.classes, flat).state()["image"] == [0.0] * 784
