"""``tinynet explain --step`` and ``--predict``: the walk, the lines at every size, the answers, and a pipe."""

import io
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynet import Value
from tinynet.cli.expressions import Expression
from tinynet.cli.keys import Line
from tinynet.cli.stepping import Stepper, _window
from tinynet.cli.walk import Quiz, Walk
from tinynet.explain.notation import columns, number
from tinynet.explain.trace import trace

TANH = "(a*b + 10).tanh()", {"a": 2.0, "b": -3.0}
EXPRESSIONS = [
    TANH,
    ("c = a*b; d = c + a; d*c*a", {"a": 0.3, "b": 1.7}),
    ("a*a + exp(-a) / sqrt(b)", {"a": 1.1, "b": 2.0}),
    ("max(0, 1 - y*(w*x + b))", {"y": 1.0, "w": 0.5, "x": 2.0, "b": -1.0}),
    ("a", {"a": 4.0}),
]
SIZES = [(80, 24), (40, 10), (40, 15), (300, 60), (100, 8), (20, 5), (7, 3), (1, 1), (2, 40)]
ODD = [
    "",
    "a" * 10_000,
    "שלום עולם",
    "سلام",
    "😀👩‍👩‍👧 x",
    "<script>alert(1)</script>",
    "\x1b[2J\n\r\t",
    "w w",
    "变量",
    "é̂̂",
]


def graph(text, names):
    return Expression(text, names).value()


def odd_graph():
    """Labels of every kind, on leaves and on results."""
    total = Value(1.0)
    for i, label in enumerate(ODD):
        total = total * Value(0.5 + i, label=label) + total
        total.label = label
    return total


def long_graph():
    x = first = Value(1.0, label="x")
    for _ in range(300):
        x = x * 0.99 + first
    return x


def walked(stepper):
    """The stepper at every position."""
    for position in range(1, stepper.walk.last + 1):
        stepper.walk.go(position)
        yield stepper


def text(lines):
    return "\n".join(line.text for line in lines)


# --- the walk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expression", "names"), EXPRESSIONS)
def test_the_numbers_are_those_of_the_engine_to_the_last_digit(expression, names):
    result, expected = graph(expression, names), Expression(expression, names)
    expected.value().backward()
    stepper = Stepper(trace(result))
    stepper.walk.go(10**9)
    by_name = {node.name: node for node in stepper.walk.trace.nodes}
    assert result.grad == 0.0
    lines = [line.text[2:].split() for line in stepper.screen(200, 100)]
    for name in names:
        value = expected.names[name]
        assert stepper.walk.gradients()[by_name[name].id] == value.grad
        assert [name, "(given)", number(value.data), number(value.grad)] in [line[:4] for line in lines]


def test_it_goes_forward_then_begins_with_one_then_goes_back():
    walk = Walk(trace(graph(*TANH)))
    seen = []
    for position in range(1, walk.last + 1):
        walk.go(position)
        known = [node.name for node in walk.trace.nodes if walk.value(node) is not None]
        seen.append((walk.at_hand[-1].name, len(known), len(walk.gradients())))
    assert seen == [
        ("a", 2, 0),  # the constant 10 is known from the start
        ("b", 3, 0),
        ("v1", 4, 0),
        ("v2", 5, 0),
        ("out", 6, 0),
        ("out", 6, 1),
        ("v2", 6, 2),
        ("v1", 6, 3),
        ("10", 6, 4),
        ("a", 6, 5),
        ("b", 6, 6),
    ]


def test_a_gradient_grows_step_by_step_where_a_value_is_used_twice():
    walk = Walk(trace(graph("a*a + a", {"a": 3.0})))
    a = walk.trace.nodes[0]
    totals = []
    for position in range(walk.seed, walk.last + 1):
        walk.go(position)
        totals.append(walk.gradients().get(a.id))
    assert totals == [None, None, 1.0, 4.0, 7.0]


def test_what_is_not_known_yet_is_a_dot_and_what_is_at_hand_is_marked():
    stepper = Stepper(trace(graph(*TANH)))
    rows = {line.text[2:].split()[0]: line.text for line in stepper.screen(80, 24)[4:10]}
    assert rows["a"].split() == [">", "a", "(given)", "2", "·"]
    assert rows["v1"].split() == ["v1", "a", "×", "b", "·", "·"]
    stepper.walk.go(10)
    rows = {line.text[2:].split()[0]: line.text for line in stepper.screen(80, 24)[4:10]}
    assert rows["a"].split() == [">", "a", "(given)", "2", "−0.00402285", "receives"]
    assert rows["v1"].split() == [">", "v1", "a", "×", "b", "−6", "0.00134095", "hands", "on"]
    assert rows["b"].split() == ["b", "(given)", "−3", "·"]


def test_keys_move():
    stepper = Stepper(trace(graph(*TANH)))
    for key, position in [
        *[(key, 2 + i) for i, key in enumerate(["right", " ", "n", "enter"])],
        *[(key, 4 - i) for i, key in enumerate(["left", "b", "p", "backspace"])],
        *[("left", 1), ("end", 11), ("home", 1), ("G", 11), ("right", 11), ("g", 1), ("x", 1), ("", 1), ("up", 1)],
    ]:
        assert stepper.press(key)
        assert stepper.walk.position == position, key
    assert not any(stepper.press(key) for key in ("q", "escape", "closed"))


# --- the screen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("predict", [False, True])
@pytest.mark.parametrize("make", [lambda: graph(*TANH), odd_graph, long_graph], ids=["short", "odd", "long"])
def test_no_line_is_wider_or_taller_than_the_terminal(make, predict):
    stepper = Stepper(trace(make()), predict)
    stepper.typed = "1" * 100
    for at in walked(stepper):
        if at.walk.last > 100 and at.walk.position % 97 > 1:
            continue
        at.help = at.walk.position == 1
        at.message = Line("word " * 30 if at.walk.position % 2 else "")
        for width, height in SIZES:
            lines = at.screen(width, height)
            assert len(lines) == height
            assert height == 1 or lines[-1].text == at._keys(min(width, 110)) or width < 10
            assert max(columns(line.text) for line in lines) <= width
            assert all(c.isprintable() or c in "\u2068\u2069\u200d\u200c" for line in lines for c in line.text)
            assert all(line.text.count("\u2068") == line.text.count("\u2069") for line in lines)


def test_what_is_at_hand_is_always_in_sight():
    for at in walked(Stepper(trace(long_graph()))):
        if at.walk.position % 31:
            continue
        for size in [(80, 24), (40, 10), (40, 15), (300, 60)]:
            marked = [line.text for line in at.screen(*size) if line.text.startswith("> ")]
            assert [line.split()[1] for line in marked] == [
                node.name for node in sorted(at.walk.at_hand, key=lambda node: node.id)
            ]
            assert "far" in text(at.screen(*size)) or at.walk.step is None


@given(st.integers(1, 60), st.data(), st.integers(-2, 70))
def test_a_window_fits_keeps_its_order_and_holds_what_is_at_hand(n, data, room):
    hand = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=2, unique=True))
    rows = _window(n, hand, room)
    assert len(rows) == min(n, max(room, 0))
    shown = [row for row in rows if row is not None]
    assert shown == sorted(set(shown)) and set(shown) <= set(range(n))
    assert set(hand) <= set(shown) or room < len(hand)


# --- the answers ------------------------------------------------------------------------------------------------------


def quiz_at(expression, names, position):
    walk = Walk(trace(graph(expression, names)))
    walk.go(walk.seed + position)
    return Quiz(walk)


PRODUCT = "a*b", {"a": 2.0, "b": -0.75}  # its first step hands −0.75 on to a


@pytest.mark.parametrize(
    "answer", ["-0.75", "−0.75", "-3/4", "-3 / 4", "0.25*-3", "−0.25×3", "-.7501", "-0.7426", "sin(0)-3/4"]
)
def test_a_right_answer(answer):
    quiz = quiz_at(*PRODUCT, 1)
    assert quiz.answer(answer) == ("Right.", True)
    assert quiz.at_first == {quiz.walk.position: True}


@pytest.mark.parametrize("answer", ["-0.74", "-0.76", "2", "0", "1e9", "9**9**2"])
def test_a_wrong_answer_is_told_the_rule_and_at_last_the_solution(answer):
    quiz = quiz_at(*PRODUCT, 1)
    first = quiz.answer(answer)
    assert "Type a number" in quiz.answer("").text
    second = quiz.answer(answer)
    assert not first.right and not second.right
    assert "The product rule: d out/d a = b; times what arrives, 1." in first.text
    assert "Enter shows it" not in first.text and "Enter shows it" in second.text
    assert quiz.answer("").right is None
    assert quiz.at_first == {quiz.walk.position: False}


@pytest.mark.parametrize(
    "answer",
    ["", "b", "--", "0,5", "1;2", "__import__('os').system('touch hacked')", "().__class__", "1e999", "log(0)", "1/0",
     "9**9**9**9", "(" * 200, "\0", "open('x')", "nan", "inf", "[1]", "9" * 30_000],
)  # fmt: skip
def test_what_is_no_number_is_neither_right_nor_wrong(answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quiz = quiz_at(*PRODUCT, 1)
    assert "Type a number" in quiz.answer(answer).text
    assert (quiz.wrong, quiz.at_first) == ({}, {})
    assert not list(tmp_path.iterdir())


def test_the_running_total_is_told_from_what_is_handed_on():
    quiz = quiz_at("a*a", {"a": 3.0}, 2)
    assert quiz.answer("6").text.startswith("That is the new running total.")
    assert quiz.answer("3").right
    assert quiz.score == "Right at first try: 0 of 2, 1 not answered."


def test_a_wrong_sign_is_told():
    assert quiz_at(*PRODUCT, 1).answer("0.75").text.startswith("Right but for its sign. The product rule")


def test_the_digits_on_the_screen_are_enough():
    """1 − tanh² of 6 is 2.4577e-05; from the six digits on the screen, 0.999988, it is 2.4e-05, 2.3 % less."""
    assert quiz_at("tanh(a)", {"a": 6.0}, 1).answer("1 - 0.999988**2").right
    assert not quiz_at("tanh(a)", {"a": 6.0}, 1).answer("2.3e-5").right


def test_what_is_not_finite_is_not_asked():
    quiz = quiz_at("exp(a) * b", {"a": 800.0, "b": 1.0}, 1)
    assert [quiz.is_question(quiz.walk.seed + i) for i in range(4)] == [False, True, False, False]


def test_nan_is_shown_and_not_asked():
    stepper = Stepper(trace(Value(math.inf, label="a") - Value(math.inf, label="b")), predict=True)
    stepper.press("end")
    assert "nan" in text(stepper.screen(80, 24))


def test_a_step_is_hidden_until_it_is_answered():
    stepper = Stepper(trace(graph(*PRODUCT)), predict=True)
    stepper.press("end")
    asked = text(stepper.screen(80, 24))
    assert stepper.asking and asked.count("−0.75") == 1 and "× d out/d a = ?" in asked  # once: the value of b
    for key in ("right", "n", " ", "end", "enter"):
        assert stepper.press(key) and stepper.asking
    for key in (*"-0.5", "backspace", *"75", "enter"):
        assert stepper.press(key)
    assert not stepper.asking and "so far −0.75" in text(stepper.screen(80, 24))
    assert "Right." in text(stepper.screen(80, 24))
    for key in ("right", "9", "left", "right", "2", "enter"):
        stepper.press(key)
    assert "Right at first try: 2 of 2." in text(stepper.screen(80, 24))
    stepper.press("home"), stepper.press("end")
    assert stepper.walk.position == stepper.walk.last


def test_letters_are_part_of_an_answer_only_where_one_has_begun():
    stepper = Stepper(trace(graph(*PRODUCT)), predict=True)
    stepper.press("end")
    for key in "exp(0)*b q?":
        assert stepper.press(key)
    assert stepper.typed == "exp(0)*b q" and stepper.help
    stepper.press("x")
    assert not stepper.help and stepper.press("left") and stepper.typed == ""
    stepper.press("right")
    assert not stepper.press("q")


# --- without a terminal -----------------------------------------------------------------------------------------------


@pytest.fixture
def piped(tinynet, monkeypatch):
    """Run ``explain`` with these lines on its standard input."""

    def run(lines, *words):
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines) if lines is not None else None)
        return tinynet(["explain", "(a*b + 10).tanh()", "a=2", "b=-3", *words])

    return run


def test_lines_lead_through_it(piped):
    ran = piped("\n" * 9 + "b\nn\n\n\nq\n", "--step")
    assert (ran.code, ran.err) == (0, "")
    places = [line.split()[1] for line in ran.out.splitlines() if line.startswith("step ")]
    assert places == [*map(str, range(1, 11)), "9", "10", "11"]
    assert "d out/d v1 × d v1/d a = 0.00134095 × −3 = −0.00402285, so far −0.00402285" in ran.out
    assert ran.out.endswith("  a     2      −0.00402285\n  b     −3     0.0026819\n  10    10     0.00134095\n")


@pytest.mark.parametrize("lines", ["", None, "q\n", "b\nwhat\n?\n"])
def test_it_ends_where_the_lines_end(piped, lines):
    ran = piped(lines, "--step")
    assert ran.code == 0 and "step 1 of 11" in ran.out and "step 2 of" not in ran.out
    assert "The gradients of the leaves" in ran.out


def test_endless_lines_end_with_the_last_step(piped):
    out = piped("\n" * 10_000, "--step").out
    assert out.count("step 11 of 11") == 1 and "That was the last step" not in out


def test_predictions_by_lines(piped):
    ran = piped("G\n1-0.999329**2\n\n0.00134\n\n5\n5\n\nG\n-0.00402\nn\n-2*0.00134\n2*0.00134\n", "--predict")
    assert ran.out.count("Right.") == 4 and "Right but for its sign." in ran.out
    assert "The sum rule: d v2/d 10 = 1; times what arrives, 0.00134095. Enter shows it." in ran.out
    assert "\nRight at first try: 3 of 5.\nThe gradients of the leaves\n" in ran.out


def test_files_are_saved_after_stepping(piped, tmp_path):
    assert "Saved out.svg." in piped("q\n", "--step", "--save", "out.svg").out
    assert (tmp_path / "out.svg").exists()


def test_through_a_real_pipe_in_ascii():
    words = [sys.executable, "-m", "tinynet", "explain", "a*b", "a=2", "b=-3", "--step"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, input=b"G\n\xff\n", capture_output=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    for line in (b"step 6 of 6 . backward\n", b" = d out/d out * d out/d b = 1 * 2 = 2", b"  a     2      -3\n"):
        assert line in done.stdout
    assert b"?" not in done.stdout
