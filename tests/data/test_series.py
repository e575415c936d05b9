"""Series against their formulas."""

import numpy as np
import pytest

from tinynet.data import adding_problem, seasonal, windows
from tinynet.errors import ArgumentError, ShapeError


def test_without_noise_the_series_repeats_itself_but_for_its_trend() -> None:
    y = seasonal(1000, periods=(24, 168), trend=0.01, noise=0)
    # float32 rounding of numbers up to 12: 1e-6 each
    np.testing.assert_allclose(y[168:] - y[:-168], 168 * 0.01, atol=5e-6)
    assert np.abs(y[24:] - y[:-24] - 0.24).max() > 0.3, "the week is in it too"


def test_an_amplitude_is_that_of_a_wave_and_half_of_its_octave() -> None:
    y = seasonal(2400, periods=(24,), amplitudes=(3.0,), trend=0, noise=0, seed=5)
    size = np.abs(np.fft.rfft(y)) * 2 / 2400
    assert abs(size[100] - 3.0) < 1e-5 and abs(size[200] - 1.5) < 1e-5
    assert np.delete(size, [100, 200]).max() < 1e-5


def test_noise_is_a_standard_deviation() -> None:
    difference = seasonal(5000, noise=0.5, seed=1) - seasonal(5000, noise=0, seed=1)
    assert abs(difference.std() / 0.5 - 1) < 0.03  # known to 1 / sqrt(10,000), three of those


def test_seeds_of_the_series() -> None:
    assert (seasonal(50, seed=1) == seasonal(50, seed=1)).all()
    assert (seasonal(50, seed=1) != seasonal(50, seed=2)).any()
    assert seasonal(50).dtype == np.float32


@pytest.mark.tiny
def test_windows_are_every_piece_of_the_series() -> None:
    series = np.arange(10.0)
    made = windows(series, past=4, ahead=3)
    assert len(made) == 4
    for i in range(4):
        assert made.x[i, :, 0].tolist() == series[i : i + 4].tolist()
        assert made.y[i].tolist() == series[i + 4 : i + 7].tolist()
    assert np.shares_memory(made.x, series)


def test_the_adding_problem_is_the_sum_of_the_marked_numbers() -> None:
    made = adding_problem(2000, lag=31, seed=4)
    assert made.x.shape == (2000, 31, 2) and made.x.dtype == made.y.dtype == np.float32
    numbers, marks = made.x[..., 0], made.x[..., 1]
    assert set(np.unique(marks)) == {0, 1} and numbers.min() >= 0 and numbers.max() < 1
    assert (marks[:, :15].sum(1) == 1).all() and (marks[:, 15:].sum(1) == 1).all()
    np.testing.assert_allclose(made.y[:, 0], (numbers * marks).sum(1), rtol=1e-6)
    assert (marks.sum(0)[1:] > 0).all(), "every place is marked at some time"
    # (y - 1)² has mean 1/6 and deviation 0.2: three of its deviations over 2,000 examples
    assert abs(np.mean((made.y - 1) ** 2) - 1 / 6) < 0.014
    assert (made.x == adding_problem(2000, lag=31, seed=4).x).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seasonal(0), "at least 1; got 0"),
        (lambda: seasonal(10, noise=-1), "0 or more"),
        (lambda: seasonal(10, periods=(24,)), "an amplitude goes with each period"),
        (lambda: seasonal(10, periods=(24, 1)), "2 steps or more"),
        (lambda: windows(range(5), 0, 1), "at least 1"),
        (lambda: windows(range(5), 1, 0), "at least 1"),
        (lambda: windows(range(5), 3, 3), "at most the series' 5; got 3 and 3"),
        (lambda: adding_problem(0), "at least 1"),
        (lambda: adding_problem(3, lag=1), "at least 2; got 1"),
    ],
)
def test_refused(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_refused_series() -> None:
    with pytest.raises(ShapeError, match=r"one row of numbers, \(n,\); got \(2, 3\)"):
        windows(np.zeros((2, 3)), 1, 1)
