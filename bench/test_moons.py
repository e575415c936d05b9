"""``pytest bench``: each contender's step of the moons demo. ``python bench/moons.py`` gives the ratios."""

import moons
import pytest

STEPS = moons.contenders()


@pytest.mark.parametrize("name", STEPS)
def test_moons_step(benchmark, name):
    loss = benchmark(STEPS[name])
    assert loss >= 0
