"""Crossovers: where two curves cross, and what is said where they do not."""

import pytest

from tinynet.bench import crossover
from tinynet.bench.crossover import overtake

ALL = ("scalar", "numpy", "cupy")


def points(**curves):
    rows = zip(*curves.values())
    return [{"x": 2**i, "seconds": dict.fromkeys(ALL) | dict(zip(curves, row))} for i, row in enumerate(rows)]


@pytest.mark.tiny
def test_curves_that_cross_at_a_power():
    """Seconds 1e-6·x and a constant 3.2e-5 cross at x = 32; between 16 and 64 on logarithmic axes all is straight."""
    found = points(scalar=[1e-6 * 2**i for i in range(8)], numpy=[3.2e-5] * 8)
    answer = overtake(found, "numpy", "scalar", "batch", ALL)
    assert answer["at"] == pytest.approx(32) and answer["words"] == "numpy overtakes scalar at a batch of about 32"
    found = points(scalar=[1e-6 * 4**i for i in range(8)], numpy=[1e-5] * 8)
    assert overtake(found, "numpy", "scalar", "width", ALL)["at"] == pytest.approx(10**0.5)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("scalar", "numpy", "words"),
    [
        ([2.0, 4.0], [1.0, 1.0], "not within the range: numpy is faster from a batch of 1 on"),
        ([1.0, 1.5], [2.0, 2.0], "not within the range: scalar is faster up to a batch of 2"),
        ([3.0, 1.0], [2.0, 2.0], "scalar is faster at a batch of 2, the largest; the curves cross more than once"),
        ([None, None], [2.0, 2.0], "not measured: there is no batch at which both have a time"),
        ([2.0, 4.0, None], [1.0, 1.0, 1.0], "not within the range: numpy is faster from a batch of 1 on"),
    ],
)
def test_where_they_do_not(scalar, numpy, words):
    found = overtake(points(scalar=scalar, numpy=numpy), "numpy", "scalar", "batch", ALL)
    assert (found["at"], found["words"]) == (None, words)


@pytest.mark.tiny
def test_a_backend_that_cannot_run_is_said():
    found = overtake(points(numpy=[1.0]), "cupy", "numpy", "width", ("scalar", "numpy"))
    assert found["at"] is None and found["words"].startswith("not measured: cupy cannot run here")


def test_measured_curves():
    said = []
    found = crossover.crossovers(20.0, ("scalar", "numpy"), said.append, most=2)
    assert [sweep["of"] for sweep in found] == ["batch", "width"]
    for sweep in found:
        assert [p["x"] for p in sweep["points"]] == [1, 2]
        for point in sweep["points"]:
            assert point["seconds"]["cupy"] is None
            assert 0 < point["seconds"]["numpy"] < 1 and 0 < point["seconds"]["scalar"] < 10
        assert [(o["who"], o["whom"]) for o in sweep["overtakes"]] == [("numpy", "scalar"), ("cupy", "numpy")]
    assert said


def test_out_of_time_leaves_one_point():
    found = crossover.crossovers(0.0, ("numpy",), lambda text: None)
    assert [len(sweep["points"]) for sweep in found] == [1, 1]
