"""The form of a lesson: what it refuses, what it remembers, and how its sentences get their numbers."""

import re
from pathlib import Path

import pytest

from tinynet.cli import main
from tinynet.errors import ArgumentError
from tinynet.lessons import find
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Run, Slider
from tinynet.teaching.made import make

calls = []


def throw(sides=6, dice=2, seed=0):
    calls.append((sides, dice, seed))
    return sides * dice + seed


def bare(sides):
    return sides


def draw(figure, result, **setting):
    figure.subplots().bar(["sum"], [result])
    return f"{setting['dice']} dice: {result}"


def check(name="sum", value=lambda run: run(), low=12, high=17, **more):
    return Check(name, "the sum", value, low, high, **more)


def experiment(run=throw, checks=None, **more):
    predict = more.pop("predict", Number("how much?", lambda run: run(), 0.5, because="it is {sum}"))
    return Experiment(run, draw, predict, [check()] if checks is None else checks, **more)


def lesson(*experiments, **more):
    told = {
        "title": "Dice",
        "question": "How much?",
        "idea": "Dice.",
        "change": ["more dice"],
        "engine": [],
        "sources": [],
    }
    return Lesson(experiments=experiments or [experiment()], **(told | more))


@pytest.mark.parametrize(
    ("make_it", "words"),
    [
        (lambda: experiment(run=bare), "every parameter needs a default"),
        (lambda: experiment(checks=()), "at least one number"),
        (lambda: experiment(sliders=[Slider("colour", (1, 2))]), "no parameter of that name"),
        (lambda: experiment(sliders=[Slider("dice", (3, 4))]), "starts at 2, which is not among"),
        (lambda: experiment(sliders=[Slider("dice", range(20)), Slider("sides", range(20))]), "400 settings"),
        (lambda: Lesson("Dice", "?", "", [], [], [], []), "at least one experiment"),
        (lambda: lesson(experiment(), experiment()), "two checks are called sum"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(make_it, words):
    with pytest.raises(ArgumentError, match=words):
        make_it()


def test_a_run_is_made_once_for_each_setting():
    calls.clear()
    told = []
    run = Run(experiment(), seed=3, told=lambda: told.append(1))
    assert run() == run(sides=6) == run(dice=2) == 15 and run(sides=4) == 11
    assert calls == [(6, 2, 3), (4, 2, 3)] and len(told) == 2
    with pytest.raises(ArgumentError, match=r"no parameter 'side'.*sides"):
        run(side=4)


def test_the_bounds_of_a_check():
    assert check().holds(12) and check().holds(17) and not check().holds(11.99) and not check().holds(float("nan"))
    inf = float("inf")
    bounds = [check(low=a, high=b, shown=".2f").bounds for a, b in ((1, 1), (-2, inf), (-inf, 3), (0, 1))]
    assert bounds == ["exactly 1.00", "at least −2.00", "at most 3.00", "between 0 and 1.00"]
    assert check(low=0.978, high=0.982, shown=".2f").bounds == "between 0.978 and 0.982"
    assert check(shown=".0e").written(30.0) == "30" and check(shown=".0e").written(-3e-9) == "−3e−09"


def test_sentences_carry_what_was_measured():
    made = make(lesson(idea="The sum is {sum}.", change=["try {{this}}"]), seed=4)
    assert (made.idea, made.because, made.change) == ("The sum is 16.", ["it is 16"], ["try {this}"])
    assert made.holds() and not make(lesson(), seed=6).holds()


@pytest.mark.parametrize("idea", ["{mean}", "{", "{0}"])
def test_a_sentence_with_a_number_that_was_never_measured_is_refused(idea):
    with pytest.raises(ArgumentError, match="the checks are sum"):
        make(lesson(idea=idea))


def test_a_slider_has_a_frame_for_each_value():
    sliders = [Slider("dice", (1, 2, 3)), Slider("sides", (4, 6))]
    made = make(lesson(experiment(sliders=sliders))).experiments[0]
    says = ["1 dice: 4", "1 dice: 6", "2 dice: 8", "2 dice: 12", "3 dice: 12", "3 dice: 18"]
    assert [frame.says for frame in made.frames] == says
    assert made.places == [1, 1] and made.first.says == "2 dice: 12"


def test_what_the_reader_sets_joins_the_slider_and_leaves_the_checks_alone():
    made = make(lesson(experiment(sliders=[Slider("dice", (1, 2, 4))])), settings={"dice": 3}).experiments[0]
    assert list(made.sliders[0].values) == [1, 2, 3, 4] and made.first.says == "3 dice: 18"
    assert made.numbers == {"sum": 12} and made.answer == 12
    made = make(lesson(), settings={"sides": 20}).experiments[0]
    assert made.first.says == "2 dice: 40"
    with pytest.raises(ArgumentError, match=r"nothing called 'side'.*sides"):
        make(lesson(), settings={"side": 20})


def test_progress_is_told_of_every_run():
    told = []
    make(lesson(experiment(sliders=[Slider("dice", (1, 2, 3))])), told=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_choice_is_an_option():
    choice = Choice("which?", ("few", "many"), right=lambda run: int(run() > 5), because="{sum}")
    assert make(lesson(experiment(predict=choice))).experiments[0].answer == 1


# --- finding lessons --------------------------------------------------------------------------------------------------


def test_by_name_number_and_file(tmp_path):
    assert find("perceptron") is find("1")
    with pytest.raises(ArgumentError, match="Did you mean perceptron"):
        find("perceptrons")
    with pytest.raises(ArgumentError, match="no lesson 99; they are 1 to"):
        find("99")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("mine.py", None, "no such file"),
        ("my-own.py", "x = 1", "name it as Python names a module"),
        ("mine.py", "x = 1", "it defines no LESSON"),
        ("mine.py", "x = 1\ny = (", r"mine\.py, line 2: SyntaxError"),
        ("mine.py", "x = 1\nimport nothere", r"mine\.py, line 2: ModuleNotFoundError: No module named 'nothere'"),
    ],
)
def test_a_file_that_is_no_lesson(name, text, words, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises((ArgumentError, OSError), match=words):
        find(str(tmp_path / name))


def test_the_lesson_of_the_contributing_page_works_at_once(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(\"\"\"The mean of many dice.*?)```", text, re.S)
    (tmp_path / "dice.py").write_text(code, "utf-8")
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--set", "dice=160"], ["--seed", "5"]):
        assert main(["learn", "dice.py", *more]) == 0
    shown = capsys.readouterr().out
    assert "half as much" in shown and "Saved dice.html" in shown and (tmp_path / "dice.html").stat().st_size > 10_000
