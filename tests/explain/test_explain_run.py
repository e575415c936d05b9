"""A run as data: it keeps to its schema, says every number exactly, and can be walked with nothing else at hand."""

import json
import math
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import published_graph

import tinynet as tn
from tinynet import Value, nn, optim
from tinynet import primitives as p

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads(files("tinynet.explain").joinpath("trace.schema.json").read_text("utf-8"))
DOCUMENT = Path(__file__).parents[2] / "docs" / "trace.md"


def data(explained):
    """The run, read from its JSON and held against the schema."""
    run = json.loads(explained.json())
    jsonschema.Draft202012Validator(SCHEMA).validate(run)
    return run


def simple():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    return tn.explain((a * b + 10).tanh())


def every_operation():
    x, y = Value(0.5, label="x"), Value(0.75, label="y")
    total = p.maximum(x, y) - p.where(x > 0, y, x) + p.minimum(x, y) / x**3
    for name in ("exp", "log", "sqrt", "sin", "cos", "abs", "erf", "tanh", "sigmoid", "relu", "softplus"):
        total = total * getattr(x, name)()
    return tn.explain(-total + y.clip(0.0, 0.5) + x.leaky_relu(0.1))


def classifier(**more):
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return tn.explain(model, np.eye(3)[:2], np.array([0, 1]), nn.CrossEntropyLoss(), **more)


def regression():
    tn.manual_seed(0)
    return tn.explain(
        nn.Linear(3, 2), np.eye(3)[:2], np.ones((2, 2)), nn.MSELoss(), optimizer=optim.SGD(lr=0.1), steps=3
    )


def convolution():
    tn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 2))
    return tn.explain(model, np.ones((1, 1, 4, 4)), np.array([1]), nn.CrossEntropyLoss())


def large():
    total = x = Value(1.0, label="x")
    for _ in range(1500):
        total = total * 0.5 + x
    return tn.explain(total)


RUNS = {
    "simple": simple, "published": lambda: tn.explain(published_graph(Value(-4.0), Value(2.0))),
    "every operation": every_operation, "one leaf": lambda: tn.explain(Value(3.0)), "classifier": classifier,
    "regression": regression, "convolution": convolution, "large": large,
}  # fmt: skip


def walk(graph, frame):
    """Gradients, and how many links there are, as docs/trace.md has it."""
    gradients, link = [0.0] * len(graph["names"]), 0
    gradients[-1] = 1.0
    for node in reversed(range(len(gradients))):
        operation = graph["operation"][node]
        if operation < 0 or not graph["operations"][operation]["derivatives"]:
            continue
        for parent in graph["parents"][node]:
            assert frame["contributions"][link] == pytest.approx(
                gradients[node] * frame["locals"][link], rel=1e-12
            )  # one product more or less in the rule
            gradients[parent] += frame["contributions"][link]
            link += 1
    return gradients, link


@pytest.mark.parametrize("name", RUNS)
def test_real_runs_keep_to_the_schema_and_can_be_walked(name):
    explained = RUNS[name]()
    run = data(explained)
    assert run["title"] == explained.story.title
    for frame in run["frames"]:
        graph = run["graphs"][frame["graph"]]
        size = len(graph["names"])
        for per_node in ("operation", "parents", "group"):
            assert len(graph[per_node]) == size
        assert len(frame["values"]) == len(frame["gradients"]) == size
        assert all(parent < node for node, parents in enumerate(graph["parents"]) for parent in parents)
        assert all((at < 0) == (not parents) for at, parents in zip(graph["operation"], graph["parents"]))
        assert all(group["parent"] < i for i, group in enumerate(graph["groups"]))
        assert all(-1 <= at < len(graph["groups"]) for at in graph["group"])
        gradients, links = walk(graph, frame)
        assert gradients == frame["gradients"]
        assert links == len(frame["locals"]) == len(frame["contributions"])
        assert ("wrong" in frame) == (size <= 2000)
        if "wrong" in frame:
            assert sorted(frame["wrong"]["links"]) == list(range(links))


def test_the_numbers_are_the_engines():
    a, b = Value(0.1, label="a"), Value(1 / 3, label="b")
    root = (a * b).exp() + a
    root.backward()
    run = data(tn.explain(root))
    told = dict(zip(run["graphs"][0]["names"], zip(run["frames"][0]["values"], run["frames"][0]["gradients"])))
    assert told["a"] == (a.data, a.grad) and told["b"] == (b.data, b.grad) and told["out"] == (root.data, 1)


@settings(max_examples=200)
@given(st.floats(), st.floats(-10, 10))
def test_every_number_comes_back_bit_for_bit(x, y):
    run = data(tn.explain(Value(x, label="x") + Value(y, label="y")))

    def read(number):
        return float(number.replace("Infinity", "inf") if isinstance(number, str) else number)

    found = [read(number) for number in run["frames"][0]["values"]]
    for number, wanted in zip(found, (x, y, x + y), strict=True):
        assert number == wanted or (math.isnan(number) and math.isnan(wanted))


def test_what_is_no_number_is_text():
    infinity = Value(math.inf, label="i")
    frame = data(tn.explain(infinity - Value(math.inf, label="j")))["frames"][0]
    assert frame["values"] == ["Infinity", "Infinity", "NaN"]
    frame = data(tn.explain(Value(-math.inf, label="i") * Value(0.0, label="z")))["frames"][0]
    assert frame["values"] == ["-Infinity", 0, "NaN"] and frame["gradients"] == [0, "-Infinity", 1]
    assert json.loads(tn.explain(infinity * 2).json(), parse_constant=pytest.fail)


def test_a_frame_of_a_changed_graph_brings_its_graph():
    w = Value(3.0, label="w")
    explained = tn.explain(w * w)
    for root in (w * w, (w * w).relu(), w * w, w + w):
        explained.add(root)
    run = data(explained)
    assert [frame["graph"] for frame in run["frames"]] == [0, 0, 1, 0, 2]
    assert [len(graph["names"]) for graph in run["graphs"]] == [2, 3, 2]


def test_numbers_alone_make_no_new_graph():
    w = Value(3.0, label="w")
    explained = tn.explain(w * w)
    w.data = 2.5
    assert len(data(explained.add(w * w))["graphs"]) == 1


def test_a_training_run_has_a_frame_before_each_step_and_after_the_last():
    run = data(classifier(optimizer=optim.SGD(lr=0.1), steps=5))
    assert len(run["graphs"]) <= 6 and len(run["frames"]) == 6
    for frame in run["frames"]:
        outputs = frame["outputs"]
        assert outputs["targets"] == [0, 1]
        for values, probabilities in zip(outputs["values"], outputs["probabilities"], strict=True):
            powers = [math.exp(x) for x in values]
            assert probabilities == pytest.approx([x / sum(powers) for x in powers], rel=1e-12)
    losses = [frame["values"][-1] for frame in run["frames"]]
    assert losses == sorted(losses, reverse=True)


def test_layers_are_described():
    groups = data(classifier())["graphs"][0]["groups"]
    described = {group["name"]: group.get("description") for group in groups if group["kind"] == "layer"}
    assert described == {"0": "Linear(3, 4)", "2": "Linear(4, 2)"}


def test_changed_inputs_are_told():
    a = Value(2.0, label="a")
    root = a * 3
    a.data = 5.0
    assert data(tn.explain(root))["frames"][0]["stale"] == [2]


def test_the_example_of_the_document_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
    exec(compile(code, "docs/trace.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[3] == "v1 hands -0.00402285 on to a"


def test_the_document_and_the_schema_name_the_same_fields():
    text = DOCUMENT.read_text("utf-8")
    named = set(re.findall(r"`([a-z]+)`", text))
    for kind in ("graph", "frame", "group", "operation", "wrong"):
        assert set(SCHEMA["$defs"][kind]["properties"]) <= named, kind
    assert set(SCHEMA["properties"]) <= named


def test_the_schema_is_one_and_refuses_what_is_broken():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    run = data(simple())

    def refused(change):
        broken = json.loads(json.dumps(run))
        change(broken)
        return not jsonschema.Draft202012Validator(SCHEMA).is_valid(broken)

    assert not refused(lambda run: None)
    assert refused(lambda run: run.update(version=2))
    assert refused(lambda run: run["frames"][0].pop("locals"))
    assert refused(lambda run: run["frames"][0]["values"].append("nan"))
    assert refused(lambda run: run["graphs"][0]["parents"][2].append(-1))
    assert refused(lambda run: run["graphs"][0].update(more=1))
    assert refused(lambda run: run["graphs"][0]["operations"][0]["formula"].append({"input": -2}))


def test_a_weight_without_a_label_is_one_weight_in_all_frames():
    w = Value(3.0)
    film = tn.explain((w * w - 2.0).relu())
    for _ in range(3):
        loss = (w * w - 2.0).relu()
        loss.backward()
        w.data, w.grad = w.data - 0.1 * w.grad, 0.0
        film.add((w * w - 2.0).relu())
    run = film.run.data()
    assert len(run["graphs"]) == 1 and [frame["graph"] for frame in run["frames"]] == [0] * 4
    graph = run["graphs"][0]
    leaf = graph["names"].index("x1")
    assert leaf not in graph["nameless"] and run["frames"][0]["values"][leaf] == 3
    assert graph["names"][graph["nameless"][0]] == "2"  # the constant stays one
    jsonschema.validate(run, SCHEMA)


def test_what_the_shown_digits_give_is_told_where_it_is_something_else():
    a = Value(2.5, label="a")
    explained = tn.explain((a * 4).tanh() * 3)  # 1 − tanh² 10 is 8e-9, and tanh 10 is shown as 1
    frame = explained.run.data()["frames"][0]
    steps = explained.steps
    flat = next(k for k, step in enumerate(steps) if step.node.operation == "tanh")
    assert frame["rounded"] == {str(flat): 0} and steps[flat].contribution > 0


def test_an_image_is_told_row_by_row():
    image = np.random.default_rng(0).random((2, 1, 9, 8))
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(4, 2))
    run = tn.explain(model, image, np.array([0, 1]), nn.CrossEntropyLoss()).run.data()
    assert run["frames"][0]["input"] == pytest.approx(image[0, 0])
    assert next(group for group in run["graphs"][0]["groups"] if group["kind"] == "input")["shape"] == [9, 8]
    flat = nn.Sequential(nn.Linear(3, 2))
    run = tn.explain(flat, np.ones((1, 3)), np.array([1]), nn.CrossEntropyLoss()).run.data()
    assert "input" not in run["frames"][0]
