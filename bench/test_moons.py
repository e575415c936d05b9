"""``pytest bench``: each contender's step of the moons demo. ``python -m tinynet.bench.moons`` gives the ratios."""

import pytest

from tinynet.bench import moons

STEPS = moons.contenders()


@pytest.mark.parametrize("name", STEPS)
def test_moons_step(benchmark, name):
    loss = benchmark(STEPS[name])
    assert loss >= 0
