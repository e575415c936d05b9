"""Synthetic sets against their formulas, evaluated here point by point."""

import math

import numpy as np
import pytest

from tinynet.data import circles, moons, noisy_line, sine, spirals, xor
from tinynet.errors import ArgumentError

ALL = [moons, circles, spirals, xor, noisy_line, sine]


def points_by_class(dataset, k: int) -> np.ndarray:
    points = dataset.x[dataset.y == k]
    return points[np.lexsort(points.T)]


def assert_same_points(actual: np.ndarray, expected: list[tuple[float, float]]) -> None:
    assert len(actual) == len(expected)
    # Each expected point has a point within float32 rounding of it (coordinates up to 2).
    for point in expected:
        assert np.abs(actual - point).max(axis=1).min() < 1e-6, point


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_moons_are_the_half_circles_of_make_moons(n: int) -> None:
    dataset = moons(n, noise=0)
    half = n // 2
    first = [i * math.pi / max(half - 1, 1) for i in range(half)]
    second = [i * math.pi / max(n - half - 1, 1) for i in range(n - half)]
    assert_same_points(points_by_class(dataset, 0), [(math.cos(t), math.sin(t)) for t in first])
    assert_same_points(points_by_class(dataset, 1), [(1 - math.cos(t), 1 - math.sin(t) - 0.5) for t in second])


@pytest.mark.parametrize("n", [1, 5, 40])
def test_circles(n: int) -> None:
    dataset = circles(n, noise=0, factor=0.3)
    half = n // 2
    first = [2 * math.pi * i / half for i in range(half)]
    second = [2 * math.pi * i / (n - half) for i in range(n - half)]
    assert_same_points(points_by_class(dataset, 0), [(math.cos(t), math.sin(t)) for t in first])
    assert_same_points(points_by_class(dataset, 1), [(0.3 * math.cos(t), 0.3 * math.sin(t)) for t in second])


@pytest.mark.parametrize(("n", "classes"), [(1, 3), (10, 3), (50, 5)])
def test_spirals(n: int, classes: int) -> None:
    dataset = spirals(n, classes, noise=0)
    assert dataset.classes == tuple(map(str, range(classes)))
    for k in range(classes):
        size = n // classes + (1 if k < n % classes else 0)
        arm = [(r, 4 * r + 2 * math.pi * k / classes) for r in (i / max(size - 1, 1) for i in range(size))]
        assert_same_points(points_by_class(dataset, k), [(r * math.sin(a), r * math.cos(a)) for r, a in arm])


@pytest.mark.tiny
def test_xor_without_noise_is_its_truth_table() -> None:
    table = xor(4, noise=0)
    assert table.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] and table.y.tolist() == [0, 1, 1, 0]
    assert xor(6, noise=0).y.tolist() == [0, 1, 1, 0, 0, 1]


def test_line_and_sine_without_noise() -> None:
    line = noisy_line(50, slope=-3.0, intercept=0.5, noise=0)
    # float32 rounding of x and of y: at most 2e-7 · 4
    assert all(abs(y - (-3.0 * x + 0.5)) < 1e-6 for x, y in zip(line.x[:, 0].tolist(), line.y[:, 0].tolist()))
    assert np.abs(line.x).max() <= 1
    wave = sine(50, noise=0)
    assert all(abs(y - math.sin(x)) < 1e-6 for x, y in zip(wave.x[:, 0].tolist(), wave.y[:, 0].tolist()))
    assert 3 > np.abs(wave.x).max() > 2 or np.abs(wave.x).max() <= math.pi + 1e-6


# The standard deviation of m normal numbers is known to about 1 / sqrt(2 m): 2 % at m = 2,000 takes 3 of those to 0.05.
@pytest.mark.parametrize("make", [moons, circles, xor])
def test_noise_is_a_standard_deviation_of_each_coordinate(make) -> None:
    noisy, exact = make(1000, noise=0.25, seed=3), make(1000, noise=0, seed=3)
    assert (noisy.y == exact.y).all()
    difference = noisy.x - exact.x
    assert abs(difference.std() / 0.25 - 1) < 0.06 and abs(difference.mean()) < 0.02
    assert abs(np.corrcoef(difference.T)[0, 1]) < 0.1


@pytest.mark.parametrize("make", [noisy_line, sine])
def test_noise_of_a_function_is_in_y(make) -> None:
    noisy, exact = make(2000, noise=0.25, seed=3), make(2000, noise=0, seed=3)
    assert (noisy.x == exact.x).all()
    assert abs((noisy.y - exact.y).std() / 0.25 - 1) < 0.06


@pytest.mark.parametrize("make", ALL)
def test_types_shapes_and_seeds(make) -> None:
    first, again, other = make(31, seed=1), make(31, seed=1), make(31, seed=2)
    classified = make not in (noisy_line, sine)
    assert first.x.dtype == np.float32 and first.x.shape == (31, 2 if classified else 1)
    assert (first.y.dtype, first.y.shape) == ((np.int64, (31,)) if classified else (np.float32, (31, 1)))
    assert (first.x == again.x).all() and (first.y == again.y).all()
    assert (first.x != other.x).any()
    if classified and make is not xor:
        assert len(set(first.y[:12].tolist())) > 1, "shuffled: the first examples are not all of one class"


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "at least 1; got 0"),
        ({"n": -2}, "at least 1; got -2"),
        ({"noise": -0.1}, "0 or more; got -0.1"),
        ({"noise": math.nan}, "got nan"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_refused(make, wrong: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{make.__name__}: .*{message}"):
        make(**wrong)


def test_refused_by_one() -> None:
    with pytest.raises(ArgumentError, match="classes=0"):
        spirals(10, classes=0)
    with pytest.raises(ArgumentError, match="factor"):
        circles(10, factor=1.0)
