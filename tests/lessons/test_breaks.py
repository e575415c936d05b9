"""Each lesson is about a rule of the engine: with that rule broken, a checked number is wrong, or the lesson stops."""

import pytest

from tinynet import get_backend
from tinynet import primitives as p
from tinynet.errors import TinynetError
from tinynet.lessons import find, names
from tinynet.teaching import Run


def rules(primitive, *wrong):
    """Other gradient rules for a primitive."""
    return lambda patch: patch.setattr(primitive, "rules", wrong)


def kernel(name, wrap):
    """Another kernel on NumPy: ``wrap(kernel)`` takes the true one."""

    def broken(patch):
        numpy = get_backend("numpy")
        patch.setattr(numpy, "kernels", {**numpy.kernels, name: wrap(numpy.kernels[name])})

    return broken


BREAKS = {  # in the order of the course: the rule that the lesson is about, made wrong
    "perceptron": kernel("sum", lambda true: lambda x, **how: true(abs(x), **how)),
    "vanishing-gradients": rules(p.sigmoid, lambda g, out, x: g * out),
}


def test_every_lesson_has_a_rule():
    assert set(BREAKS) == set(names())


@pytest.mark.parametrize("name", BREAKS)
def test_with_its_rule_broken_the_lesson_fails(name, monkeypatch):
    BREAKS[name](monkeypatch)
    for experiment in find(name).experiments:
        try:
            measured = Run(experiment).measure()
        except (TinynetError, ArithmeticError):
            return
        if not all(check.holds(measured[check.name]) for check in experiment.checks):
            return
    pytest.fail("every number is still where it must be")
