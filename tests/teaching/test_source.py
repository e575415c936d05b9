"""The code that is shown: it runs as it stands, uses public names alone, and the engine's lines are where it says."""

import ast
import inspect
import math
import re

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import ArgumentError
from tinynet.lessons import find, names
from tinynet.teaching.source import HOME, engine_lines, experiment_source

LESSONS = {name: find(name) for name in names()}
EXPERIMENTS = [
    pytest.param(experiment.run, id=f"{name}-{experiment.run.__name__}")
    for name, lesson in LESSONS.items()
    for experiment in lesson.experiments
]
WIDEST = 94  # columns that a page shows without scrolling


def used(run):
    """The names of its file that a function uses."""
    return {
        n.id for n in ast.walk(ast.parse(inspect.getsource(run))) if isinstance(n, ast.Name)
    } & run.__globals__.keys()


@pytest.mark.parametrize("run", EXPERIMENTS)
def test_what_is_shown_runs_as_it_stands(run):
    shown = {"__name__": "shown"}
    exec(compile(experiment_source(run), "shown", "exec"), shown)
    assert callable(shown[run.__name__])
    assert used(run) <= shown.keys()


def test_a_shown_experiment_gives_what_the_lesson_gives():
    for name in ("perceptron", "vanishing-gradients"):
        run = LESSONS[name].experiments[-1].run
        shown = {"__name__": "shown"}
        exec(experiment_source(run), shown)
        np.testing.assert_array_equal(shown[run.__name__](seed=1), run(seed=1))


@pytest.mark.parametrize("name", LESSONS)
def test_what_was_shown_above_is_named_and_not_shown_again(name):
    shown, runs = {"__name__": "shown"}, [experiment.run for experiment in LESSONS[name].experiments]
    for i, run in enumerate(runs):
        text = experiment_source(run, runs[:i])
        again = re.findall(r"\w+", text.splitlines()[0].removeprefix("# with ")) if text.startswith("# with ") else []
        assert set(again) - {"from", "above"} <= shown.keys()
        exec(text, shown)
        assert callable(shown[run.__name__])
        assert used(run) <= shown.keys()


@pytest.mark.parametrize("run", EXPERIMENTS)
def test_it_is_narrow_and_explained(run):
    lines = experiment_source(run).splitlines()
    assert max(map(len, lines)) <= WIDEST, max(lines, key=len)
    assert run.__doc__


@pytest.mark.parametrize("run", EXPERIMENTS)
def test_it_uses_public_names_alone(run):
    public = {"tinynet": {*tn.__all__, "primitives"}, "numpy": None, "math": None, "random": None, "time": None,
              "functools": None, "itertools": None, "collections": None}  # fmt: skip
    for node in ast.walk(ast.parse(experiment_source(run))):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= public.keys()
        elif isinstance(node, ast.ImportFrom):
            allowed = public.get(node.module, set())
            assert allowed is None or {alias.name for alias in node.names} <= allowed, ast.unparse(node)
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_") or node.attr in ("_prev", "_op"), node.attr  # micrograd's, public here


@pytest.mark.parametrize("name", LESSONS)
def test_the_engines_lines_are_found(name):
    assert LESSONS[name].engine
    for place in LESSONS[name].engine:
        found = engine_lines(place)
        last = found.what.rpartition(".")[2]
        assert last in found.text.splitlines()[0] or last in found.text
        assert found.line >= 1 and found.path.startswith("tinynet/")


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_short_enough_to_read(name):
    lines = (HOME / "lessons" / f"{name.replace('-', '_')}.py").read_text("utf-8").splitlines()
    assert len(lines) <= 110 * len(LESSONS[name].experiments) and lines[0].startswith('"""')


@pytest.mark.parametrize("place", ["nowhere.py: x", "value.py", "value.py: Value.nothing", "value.py: nothing"])
def test_a_place_that_is_not_there(place):
    with pytest.raises(ArgumentError, match=r"there is no such file|has no"):
        engine_lines(place)


def test_the_lines_are_those_of_the_file():
    found = engine_lines("primitives.py: sigmoid")
    assert found.text.startswith("sigmoid = Primitive") and "out * (1 - out)" in found.text
    text = (HOME / "primitives.py").read_text().splitlines()
    assert text[found.line - 1].startswith("sigmoid")
    assert math.isfinite(len(engine_lines("tensor.py: Tensor.backward").text))
