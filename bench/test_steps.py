"""``pytest bench``: a step of each workload on NumPy, recorded and eager. ``tinynet bench`` sets it beside others."""

import pytest

from tinynet.bench import engines
from tinynet.bench.workloads import WORKLOADS, read


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("engine", ["numpy", "numpy_eager"])
def test_step(benchmark, engine, name):
    step = getattr(engines, engine)(WORKLOADS[name])
    assert 0 < benchmark(step.run).item() < 10


def test_step_on_values(benchmark):
    step = engines.scalar(read("moons"))
    assert 0 < benchmark(step.run).item() < 10
