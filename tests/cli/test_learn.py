"""``tinynet learn``: the list, one lesson with its questions and settings, the site, and what it refuses."""

import io
import re
import sys
from pathlib import Path

import pytest

from tinynet.cli import learn, main

LESSON = '''"""Twice a number."""
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number


def twice(x=3, loud=False, seed=0):
    """2x."""
    return 2 * x + seed


def draw(figure, result, x, loud):
    figure.subplots().bar(["2x"], [result])
    return f"Twice {x} is {result}{'!' * loud}."


def halve(x=8.0, seed=0):
    """x / 2."""
    return x / 2


LESSON = Lesson(
    title="Twice", question="How much is twice?", idea="Add it to itself.",
    experiments=[
        Experiment(twice, draw, Number("2 · 3?", lambda run: run(), 0.5, "It is {six}."),
                   [Check("six", "twice three", lambda run: run(), 6, 6)]),
        Experiment(halve, lambda figure, result, x: f"Half of {x:g} is {result:g}.",
                   Choice("8 / 2?", ("more than 4", "4"), lambda run: int(run() == 4), "Half of eight: {half}."),
                   [Check("half", "half of eight", lambda run: run(), 4, 4)], title="And back"),
    ],
    change=["another x"], engine=["primitives.py: mul"], sources=["nobody"],
)  # fmt: skip
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "twice.py").write_text(LESSON)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def answered(monkeypatch, capsys, *answers):
    """What the terminal shows to somebody who types these answers."""
    monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{answer}\n" for answer in answers)))
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    code = main(["learn", "twice.py"])
    return code, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue())


def test_the_list_names_every_lesson_with_its_question(capsys):
    assert main(["learn"]) == 0
    shown = capsys.readouterr().out
    assert "  1  perceptron" in shown and "How can weights and a threshold decide" in shown


def test_a_lesson_through_a_pipe_asks_nothing_and_tells_all(capsys):
    assert main(["learn", "twice.py"]) == 0
    shown = capsys.readouterr().out
    for words in ("Twice", "Add it to itself.", "def twice(x=3, loud=False, seed=0):", "Predict: 2 · 3?", "It is: 6",
                  "Twice 3 is 6.", "It is 6.", "exactly 6", "And back", "2  4", "It is: 4", "· another x",
                  "tinynet/primitives.py:", "nobody", "Saved twice.html."):  # fmt: skip
        assert words in shown, words


def test_predictions_are_asked_for_and_marked(monkeypatch, capsys):
    code, shown = answered(monkeypatch, capsys, "many", "−6", "3", "2")
    assert code == 0 and "many is not a number." in shown and "Not so. It is: 6" in shown
    assert "3 is not a number from 1 to 2." in shown and "Right. It is: 4" in shown
    code, shown = answered(monkeypatch, capsys, "", "More")
    assert "Right." not in shown and "Not so. It is: 4" in shown, "the words of an option are an answer"
    code, shown = answered(monkeypatch, capsys, "6.4", "")
    assert "Right. It is: 6" in shown and "Right. It is: 4" not in shown and "It is: 4" in shown
    code, shown = answered(monkeypatch, capsys)
    assert code == 0 and "Saved twice.html." in shown, "the end of the input is no answer"


def test_settings_change_what_is_run(capsys):
    assert main(["learn", "twice.py", "--set", "x=5", "loud=true", "--save", "out/t.html"]) == 0
    shown = capsys.readouterr().out
    assert "Twice 5 is 10!." in shown and "Half of 5 is 2.5." in shown and "exactly 6" in shown
    assert "Twice 5 is 10!." in Path("out/t.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["twice.py", "--set", "y=5"], "nothing called 'y' to set. It has x, loud"),
        (["twice.py", "--set", "x"], "NAME=VALUE, such as depth=20; got 'x'"),
        (["twice.py", "--set", "x=2.5"], "takes a whole number, such as 3; got '2.5'"),
        (["twice.py", "--set", "loud=yes"], "takes true or false; got 'yes'"),
        (["perceptron", "--set", "gate=NOR"], "takes AND, OR, NAND, XOR; got 'NOR'"),
        (["perceptron", "--copy", "my-own.py"], "--copy takes a name such as mine.py"),
        (["perceptron", "--copy", "twice.py"], "twice.py is there already"),
        (["twice.py", "--save", "a.pdf"], "ends in .html; got a.pdf"),
        (["--open"], "which lesson?"),
        (["twice.py", "--site", "x"], "--site builds every lesson as it is"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(words, told, capsys, tmp_path):
    assert main(["learn", *words]) == 2
    assert told in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["twice.py"]


def test_a_setting_with_which_it_cannot_run_is_named(capsys, tmp_path):
    (tmp_path / "twice.py").write_text(LESSON.replace("return 2 * x + seed", "return [2 * x + seed][x - 3]"))
    assert main(["learn", "twice.py", "--set", "x=9"]) == 1
    assert "it cannot run with x=9: IndexError" in capsys.readouterr().err
    assert not (tmp_path / "twice.html").exists()


def test_a_place_that_cannot_be_written_to_is_said_before_the_run(capsys, tmp_path):
    assert main(["learn", "twice.py", "--save", "twice.py/page.html"]) == 1
    said = capsys.readouterr()
    assert "twice.py" in said.err and "Predict" not in said.out


def test_a_lessons_code_can_be_had_and_changed(capsys, tmp_path):
    assert main(["learn", "perceptron", "--copy", "mine.py"]) == 0
    text = (tmp_path / "mine.py").read_text("utf-8")
    (tmp_path / "mine.py").write_text(text.replace('title="The perceptron"', 'title="My own"'), "utf-8")
    assert main(["learn", "mine.py"]) == 0
    shown = capsys.readouterr().out
    assert "My own" in shown and "Saved mine.html" in shown and "open mine.html, or say --open" in shown


def test_a_number_out_of_bounds_is_exit_code_3_and_the_page_is_written(capsys, tmp_path):
    assert main(["learn", "twice.py", "--seed", "1"]) == 3
    said = capsys.readouterr()
    assert "✗" in said.out and "a checked number is not where it must be" in said.err
    assert (tmp_path / "twice.html").is_file()


def test_the_site_says_what_it_does_and_what_does_not_hold(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(learn, "course", lambda: [learn.find("twice.py")])
    opened = []
    monkeypatch.setattr(learn.webbrowser, "open", opened.append)
    assert main(["learn", "--site", "site", "--open"]) == 0
    assert "1 lessons in" in capsys.readouterr().out and opened == [(tmp_path / "site" / "index.html").as_uri()]
    assert main(["learn", "--site", "site", "--seed", "2"]) == 3
    said = capsys.readouterr()
    assert "twice" in said.err and "not where it must be" in said.out
