"""``tinynet explain``: the numbers, the names, and everything that must not be let in."""

import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet import data, nn
from tinynet.cli.expressions import Expression
from tinynet.cli.parser import UsageError
from tinynet.errors import DomainError


def value(text, **variables):
    return Expression(text, variables).value()


def gradients(text, **variables):
    """The value of an expression, and its slope for each variable."""
    expression = Expression(text, variables)
    result = expression.value()
    result.backward()
    return result.data, {name: expression.names[name].grad for name in variables}


SOFTPLUS, SIGMOID = math.log1p(math.exp(0.5)), 1 / (1 + math.exp(-0.5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 2*b - -3", 0.5 + 4.0 + 3),
        ("(a - b) / b ** 2", -1.5 / 4),
        ("2 ** b", 4.0),
        ("-a ** 2", -0.25),
        ("+a", 0.5),
        ("b ** -1", 0.5),
        ("b ** 0.5", math.sqrt(2)),
        ("b ** a", 2**0.5),
        ("1e-3 * b", 0.002),
        ("tanh(a)", math.tanh(0.5)),
        ("a.tanh()", math.tanh(0.5)),
        ("exp(a)", math.exp(0.5)),
        ("log(b)", math.log(2)),
        ("sqrt(b)", math.sqrt(2)),
        ("sin(a) + cos(a)", math.sin(0.5) + math.cos(0.5)),
        ("sigmoid(a)", SIGMOID),
        ("softplus(a)", SOFTPLUS),
        ("erf(a)", math.erf(0.5)),
        ("relu(-a) + relu(a)", 0.5),
        ("leaky_relu(-a)", -0.005),
        ("leaky_relu(-a, 0.1)", -0.05),
        ("(-a).leaky_relu(0.2)", -0.1),
        ("abs(-a)", 0.5),
        ("max(a, b) - min(a, b)", 1.5),
        ("c = a*b; d = c + 10; d.tanh()", math.tanh(11)),
        ("c = a*b\n  d = c + 1\nd / c", 2.0),
        ("c = a; c = c + 1; c", 1.5),
    ],
)
def test_it_computes_what_python_would(text, expected):
    assert value(text, a=0.5, b=2.0).data == pytest.approx(expected, rel=1e-14)


def test_the_gradients_are_those_of_the_formula():
    out, slopes = gradients("c = a*b; (c + 10).tanh() + a**2", a=2.0, b=-3.0)
    inner = 1 - math.tanh(4) ** 2
    assert out == pytest.approx(math.tanh(4) + 4)
    assert slopes == pytest.approx({"a": -3 * inner + 4, "b": 2 * inner})


def test_steps_keep_their_names_and_variables_theirs():
    result = value("c = a*b; alias = a; d = c + alias; d", a=2.0, b=3.0)
    assert result.label == "d"
    assert [x.label for x in result.parents] == ["c", "a"]


@pytest.mark.parametrize(
    ("text", "told", "place"),
    [
        ("a*bb", "there is no number for bb. Did you mean b?", "  ^^"),
        ("a + x9", "Give it after the expression: x9=2", "    ^^"),
        ("a^2", "powers are written with **", "^^^"),
        ("a // 2", "write /", "^^^^^^"),
        ("2a", "multiplication is written with *", "^"),
        ("(a + b", "was never closed", "^"),
        ("a b", "invalid syntax", "  ^"),
        ("a +", "invalid syntax", "   ^"),
        ("tan(a)", "there is no function tan. Did you mean tanh?", "^^^"),
        ("tanh", "tanh is a function: write tanh(x)", "^^^^"),
        ("tanh(a, b)", "tanh takes 1 argument; got 2", "^^^^^^^^^^"),
        ("max(a)", "max takes 2 arguments; got 1", "^^^^^^"),
        ("tanh(x=a)", "no named arguments", "     ^^^"),
        ("a; b", "this result goes nowhere", "^"),
        ("a = 3; a*b", "a has a number already", "^"),
        ("é*a", "there is no number for é", "^"),
        ("a if b else 2", "this is no arithmetic", "^^^^^^^^^^^^^"),
        ("a < b", "this is no arithmetic", "^^^^^"),
        ("'a' * 2", "numbers are real and finite; str", "^^^"),
        ("True + a", "bool", "^^^^"),
        ("2j * a", "complex", "^^"),
        ("1e999 * a", "too large", "^^^^^"),
        ("import os", "expressions and assignments", "^^^^^^^^^"),
        ("def f(): pass", "expressions and assignments", "^^^^^^^^^^^^^"),
        ("a += 1", "expressions and assignments", "^^^^^^"),
        ("c, d = a, b", "one name", "^^^^"),
        ("leaky_relu(a, b)", "a plain number", "              ^"),
    ],
)
def test_a_mistake_is_shown_at_its_place(text, told, place):
    with pytest.raises(UsageError) as raised:
        value(text, a=1.0, b=2.0)
    message, _, line, marks = str(raised.value).split("\n")
    assert told in message
    assert line == f"  {text}"
    assert marks == f"  {place}"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "a.__class__",
        "a.__class__.__mro__()",
        "a.data",
        "a.backward()",
        "().__class__.__bases__",
        "[x for x in a]",
        "(lambda: a)()",
        "open('secrets')",
        "eval('a')",
        "exec('a')",
        "f'{a}'",
        "a[0]",
        "a.tanh.__self__",
        "print(a)",
        "(c := a)",
        "max(*a)",
        "globals()",
        "a.tanh().__init__()",
    ],
)
def test_nothing_but_arithmetic_is_let_in(text):
    with pytest.raises(UsageError):
        value(text, a=1.0)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "a" + ")" * 5000,
        "a" + "+a" * 5000,
        "-" * 5000 + "a",
        "tanh(" * 90 + "a" + ")" * 200,
        "a" * 30000,
        "a" + "+a" * 200,
        "\0",
    ],
    ids=["parentheses", "terms", "signs", "calls", "long", "sum", "null"],
)
def test_what_is_too_deep_or_too_long_is_refused(text):
    with pytest.raises(UsageError):
        value(text, a=1.0)


def test_the_depth_that_is_allowed_works():
    assert value("+".join(["a"] * 90), a=1.0).data == 90
    assert value("tanh(" * 90 + "a" + ")" * 90, a=0.0).data == 0


@pytest.mark.parametrize("text", ["log(a - 3)", "1 / (a - 1)", "sqrt(-a)", "(-8) ** 0.5", "exp(exp(exp(a + 9)))"])
def test_a_value_that_is_not_there_is_shown_at_its_place(text):
    try:
        assert value(text, a=1.0).data == math.inf
    except DomainError as error:
        assert "^" in str(error)


def test_huge_powers_end_at_once(tinynet):
    assert tinynet(["explain", "9**9**9**9"]).code == 1
    assert tinynet(["explain", "a**999999999999"], "a=1").code == 0


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_every_step_and_saves_pictures(tinynet):
    words = ["explain", "c = a*b; d = c + 10; d.tanh()", "a=2", "b=-3", "--save", "out.svg", "--save", "page.html"]
    ran = tinynet(words)
    assert ran.code == 0
    for part in (
        "c = a × b = 2 × −3 = −6",
        "d = c + 10 = −6 + 10 = 4",
        "tanh(4) = 0.999329",
        "−0.00402285",
        "0.0026819",
    ):
        assert part in ran.out
    assert ElementTree.fromstring(Path("out.svg").read_text()).tag.endswith("svg")
    assert Path("page.html").read_text().lower().startswith("<!doctype html>")


def test_an_expression_may_begin_with_a_minus(tinynet):
    assert "−6" in tinynet(["explain", "-a*b", "a=2", "b=3"]).out


def test_an_unused_variable_is_noted(tinynet):
    ran = tinynet(["explain", "a*a", "a=2", "spare=3"])
    assert ran.code == 0
    assert "spare is given" in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a*b", "a=2"], "there is no number for b"),
        (["a", "a"], "such as a=2; got 'a'"),
        (["a", "a=two"], "a= takes a number"),
        (["a", "a=inf"], "finite"),
        (["a", "a=nan"], "finite"),
        (["a", "a=1", "a=2"], "given twice"),
        (["a", "2=1"], "got '2=1'"),
        ([""], "there is no expression"),
        (["a", "a=1", "--limit", "0"], "at least 1"),
    ],
)
def test_wrong_usage_exits_with_2(tinynet, words, told):
    ran = tinynet(["explain", *words])
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


def test_a_name_without_a_format_exits_with_1(tinynet):
    assert tinynet(["explain", "a*a", "a=1", "--save", "out.docx"]).code == 1


# --- a network --------------------------------------------------------------------------------------------------------


def test_a_network_is_explained_as_parity_has_it(tinynet, tmp_path):
    """The loss and every gradient are those of the array rules on NumPy, for the same weights and example."""
    told = tinynet("explain --model 2-3-1 --example 5 --limit 3 --save run.json")
    assert told.code == 0, told
    run = json.loads((tmp_path / "run.json").read_text("utf-8"))
    graph, frame = run["graphs"][0], run["frames"][0]
    values, gradients = (dict(zip(graph["names"], frame[what])) for what in ("values", "gradients"))
    model = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1)).to("numpy", dtype="float64")
    with tn.no_grad():
        for name, parameter in model.named_parameters():
            indices = np.ndindex(parameter.shape)
            parameter.load_(
                np.array([values[f"{name}[{','.join(map(str, i))}]"] for i in indices]).reshape(parameter.shape)
            )
    train, _ = data.load("xor")
    x, y = train.x[5:6].astype(np.float64), train.y[5:6].reshape(1, 1).astype(np.float64)
    loss = nn.BCEWithLogitsLoss("batchmean")(model(x), y)
    loss.backward()
    assert values["loss"] == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in model.named_parameters():
        for i, g in np.ndenumerate(parameter.grad.numpy()):
            assert gradients[f"{name}[{','.join(map(str, i))}]"] == pytest.approx(g, rel=1e-9, abs=1e-15)
    assert run["title"] == "2-3-1 on example 5 of xor"


def test_training_steps_are_frames(tinynet, tmp_path):
    told = tinynet("explain --model 2-3-1 --train-steps 4 --lr 1 --examples 8 --save r.json")
    assert told.code == 0, told
    run = json.loads((tmp_path / "r.json").read_text("utf-8"))
    losses = [frame["values"][-1] for frame in run["frames"]]
    assert len(losses) == 5 and len(run["graphs"]) == 1
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]
    weight = run["graphs"][0]["names"].index("0.weight[0,0]")
    before, after = run["frames"][:2]
    assert after["values"][weight] == pytest.approx(before["values"][weight] - before["gradients"][weight], rel=1e-12)


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "what is to be explained?"),
        (["a*b", "a=1", "b=2", "--model", "2-1"], "one thing to explain at a time"),
        (["a*b", "a=1", "b=2", "--lr", "1"], "--lr is for a network"),
        (["--model", "5-1"], "which data"),
        (["--model", "784-3"], "784 inputs and 10 classes"),
        (["--model", "2-1", "--example", "100000"], "examples, from 0"),
        (["--model", "2-1", "--activation", "tahn"], "Did you mean tanh?"),
        (["--model", "2-1", "--dataset", "moon"], "Did you mean moons?"),
        (["--model", "two"], "there is no such file"),
        (["--model", "2-1", "--train-steps", "3", "--step"], "keys walk through one run"),
        (["a*b", "a=1", "b=2", "--save", "x.pdf"], ".pdf is no format here"),
        (["--model", "2"], "or a file that `tinynet train` saved"),
    ],
)
def test_what_cannot_be_explained(tinynet, words, says):
    told = tinynet(["explain", *words])
    assert told.code in (1, 2) and says in told.err, told


def test_a_wrong_ending_is_told_before_anything_is_computed(tinynet, monkeypatch):
    monkeypatch.setattr("tinynet.cli.explain._expression", lambda args: pytest.fail("computed"))
    assert ".pdf is no format here" in tinynet("explain a*b a=2 b=3 --save x.pdf").err


def test_open_saves_a_page_and_says_where(tinynet, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    told = tinynet("explain a*b a=2 b=3 --open")
    assert told.code == 0 and opened and f"Opened {opened[0]}" in told.out
    assert "<!DOCTYPE html>" in Path(opened[0].removeprefix("file://")).read_text("utf-8")
    assert opened[0] == (tmp_path / "backprop.html").as_uri()
    tinynet("explain a+b a=2 b=3 --open")
    assert opened[1] == (tmp_path / "backprop-2.html").as_uri()  # nothing is written over
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    told = tinynet("explain a*b a=2 b=3 --open --save mine.html")
    assert "No browser was found here" in told.out and (tmp_path / "mine.html").as_uri() in told.out
