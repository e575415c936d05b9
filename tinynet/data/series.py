"""Series: numbers in the order of time, to be forecast or to be remembered.

Must not read any file.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinynet.data.dataset import Dataset
from tinynet.data.synthetic import seeded
from tinynet.errors import ArgumentError, ShapeError


def seasonal(
    n: int,
    periods: tuple[int, ...] = (24, 168),
    amplitudes: tuple[float, ...] = (1.0, 0.5),
    trend: float = 0.002,
    noise: float = 0.2,
    seed: int = 0,
) -> NDArray[np.float32]:
    """``n`` hourly measurements with a day, a week, a trend and noise: float32 (n,).

    y(t) = trend · t + Σ aₖ s(t / periodₖ + φₖ) + noise · ε(t) with s(u) = (sin 2πu + ½ sin 4πu), the phases φₖ
    uniform in [0, 1) and ε normal. The same arguments give the same series.

    Raises:
        ArgumentError: a number is out of its range, or there are not as many periods as amplitudes.
    """
    random = seeded("seasonal", n, noise, seed)
    if len(periods) != len(amplitudes) or any(period < 2 for period in periods):
        raise ArgumentError(
            f"seasonal: an amplitude goes with each period, and a period is 2 steps or more; got {periods} and "
            f"{amplitudes}."
        )
    t = np.arange(n)
    y = trend * t + noise * random.standard_normal(n)
    for period, amplitude, phase in zip(periods, amplitudes, random.uniform(size=len(periods))):
        angle = 2 * np.pi * (t / period + phase)
        y += amplitude * (np.sin(angle) + 0.5 * np.sin(2 * angle))
    return y.astype(np.float32)


def windows(series: ArrayLike, past: int, ahead: int) -> Dataset:
    """Examples "this much of the past, then this": every window of a series.

    ``x[i]`` is series[i … i + past - 1] as (past, 1), a sequence of one feature; ``y[i]`` the ``ahead`` numbers that
    follow, (ahead,). There are len(series) - past - ahead + 1 examples, which share memory. Divide the series before,
    not the examples after: neighbours overlap.

    Raises:
        ArgumentError: past or ahead is less than 1, or the series is too short.
        ShapeError: the series is not one row of numbers.
    """
    numbers = np.asarray(series)
    if numbers.ndim != 1:
        raise ShapeError(f"windows: a series is one row of numbers, (n,); got {numbers.shape}.")
    if past < 1 or ahead < 1 or len(numbers) < past + ahead:
        raise ArgumentError(
            f"windows: past and ahead are at least 1 and together at most the series' {len(numbers)}; got {past} and "
            f"{ahead}."
        )
    rows = np.lib.stride_tricks.sliding_window_view(numbers, past + ahead)
    return Dataset(rows[:, :past, None], rows[:, past:], name="windows")


def adding_problem(n: int, lag: int = 100, seed: int = 0) -> Dataset:
    """The adding problem: the sum of the two marked numbers of a long row, the first of which came long ago.

    ``x``: float32 (n, lag, 2), numbers uniform in [0, 1) and, beside them, marks: 1 at one place in each half of the
    row, 0 elsewhere. ``y``: float32 (n, 1), the sum of the two marked numbers. Whoever always says 1 has a mean squared
    error of 1/6.

    Source: Hochreiter and Schmidhuber, *Long short-term memory*, 1997, experiment 4, in the form of Le, Jaitly and
    Hinton, 2015.

    Raises:
        ArgumentError: n is less than 1 or lag less than 2.
    """
    random = seeded("adding_problem", n, 0.0, seed)
    if lag < 2:
        raise ArgumentError(f"adding_problem: two numbers need a lag of at least 2; got {lag}.")
    x = np.zeros((n, lag, 2), np.float32)
    x[:, :, 0] = random.random((n, lag), np.float32)
    rows = np.arange(n)
    marked = random.integers(0, lag // 2, n), random.integers(lag // 2, lag, n)
    for place in marked:
        x[rows, place, 1] = 1
    y = sum(x[rows, place, 0] for place in marked)
    return Dataset(x, np.reshape(y, (n, 1)), name="adding problem")
