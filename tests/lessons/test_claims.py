"""What every lesson claims: each checked number where it must be, with every seed, and each sentence as it came out."""

import pytest
from conftest import absent

from tinynet.lessons import find, names
from tinynet.teaching import Choice, Run

# Pages are made with the first seed, and a test that opens them looks at the numbers; without a browser it is run here.
FIRST = 0 if absent("browser") else 1
LESSONS = {name: find(name) for name in names()}
RUNS = [
    pytest.param(experiment, seed, id=f"{name}-{experiment.run.__name__}-{seed}")
    for name, lesson in LESSONS.items()
    for experiment in lesson.experiments
    for seed in (lesson.seeds if experiment.has_seed else (0,))[FIRST:]
]


@pytest.mark.parametrize(("experiment", "seed"), RUNS)
def test_the_numbers_are_where_the_lesson_says(experiment, seed):
    run = Run(experiment, seed)
    measured = run.measure()
    wrong = {c.name: (measured[c.name], c.bounds) for c in experiment.checks if not c.holds(measured[c.name])}
    assert wrong == {}
    asked = experiment.predict
    if isinstance(asked, Choice):
        assert asked.right(run) == asked.right(Run(experiment, 0)), "which answer is right hangs on chance"
        assert 0 <= asked.right(run) < len(asked.options)
    else:
        assert abs(asked.right(run) - asked.right(Run(experiment, 0))) <= asked.margin


@pytest.mark.parametrize("name", LESSONS)
def test_chance_is_tried_several_times(name):
    assert len(set(LESSONS[name].seeds)) >= 3
