"""Small problems made from a formula: two-dimensional classes to separate, one-dimensional functions to fit.

Every function returns a ``Dataset`` with ``x`` float32 of shape (n, 2) or (n, 1), and ``y`` either int64 classes (n,)
or float32 targets (n, 1). ``noise`` is the standard deviation of normal noise, ε ~ N(0, 1) drawn afresh for each
number; the same arguments give the same data set. All raise ``ArgumentError`` when n < 1 or noise < 0. Must not read
any file.
"""

import numpy as np
from numpy.typing import NDArray

from tinynet.data.dataset import Dataset
from tinynet.errors import ArgumentError


def moons(n: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two interleaved half circles, the same points as scikit-learn's ``make_moons``, in shuffled order.

    Class 0: (cos t, sin t). Class 1: (1 − cos t, 0.5 − sin t). t runs evenly over [0, π], ends included; noise·ε is
    added to each coordinate. Class 0 has n // 2 points and class 1 the rest. ``x``: (n, 2), ``y``: (n,).
    """
    random = seeded("moons", n, noise, seed)
    first, second = (np.linspace(0, np.pi, size) for size in (n // 2, n - n // 2))
    points = [(np.cos(first), np.sin(first)), (1 - np.cos(second), 0.5 - np.sin(second))]
    return _classes("moons", points, noise, random)


def circles(n: int = 100, noise: float = 0.1, factor: float = 0.5, seed: int = 0) -> Dataset:
    """A circle around a smaller one, the same points as scikit-learn's ``make_circles``, in shuffled order.

    Class 0: (cos t, sin t). Class 1: factor·(cos t, sin t). t runs evenly over [0, 2π), the end left out; noise·ε is
    added to each coordinate. Class 0 has n // 2 points and class 1 the rest. ``x``: (n, 2), ``y``: (n,). Raises
    ``ArgumentError`` unless 0 ≤ factor < 1.
    """
    random = seeded("circles", n, noise, seed)
    if not 0 <= factor < 1:
        raise ArgumentError(f"circles: factor is the inner radius, 0 ≤ factor < 1; got {factor}.")
    first, second = (np.linspace(0, 2 * np.pi, size, endpoint=False) for size in (n // 2, n - n // 2))
    points = [(np.cos(first), np.sin(first)), (factor * np.cos(second), factor * np.sin(second))]
    return _classes("circles", points, noise, random)


def spirals(n: int = 300, classes: int = 3, noise: float = 0.2, seed: int = 0) -> Dataset:
    """Arms of a spiral, one a class, in shuffled order.

    Class k of K: r·(sin a, cos a), a = 4r + 2πk/K + noise·ε radians, r evenly over [0, 1]. The first n mod K classes
    have one point more than the others. ``x``: (n, 2), ``y``: (n,). Raises ``ArgumentError`` when classes < 1.

    Source: the spiral of Stanford's CS231n, "Putting it together: minimal neural network case study", with its arms
    spaced evenly.
    """
    random = seeded("spirals", n, noise, seed)
    if classes < 1:
        raise ArgumentError(f"spirals: there is at least 1 class; got classes={classes}.")
    points = []
    for k in range(classes):
        r = np.linspace(0, 1, n // classes + (k < n % classes))
        a = 4 * r + 2 * np.pi * k / classes + noise * random.standard_normal(len(r))
        points.append((r * np.sin(a), r * np.cos(a)))
    return _classes("spirals", points, 0.0, random)


def xor(n: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Exclusive or, the smallest problem that no straight line solves: ``xor(4, noise=0)`` is its truth table.

    Example i is the corner (a, b) = (0, 0), (0, 1), (1, 0), (1, 1) in turn, with noise·ε added to each coordinate; its
    class is a ⊕ b. ``x``: (n, 2), ``y``: (n,).
    """
    random = seeded("xor", n, noise, seed)
    a, b = np.arange(n) // 2 % 2, np.arange(n) % 2
    x = np.stack([a, b], axis=1) + noise * random.standard_normal((n, 2))
    return Dataset(x.astype(np.float32), (a ^ b).astype(np.int64), classes=("0", "1"), name="xor")


def noisy_line(n: int = 100, slope: float = 2.0, intercept: float = 1.0, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Points about a straight line: y = slope·x + intercept + noise·ε, x uniform on [−1, 1).

    ``x``: (n, 1), ``y``: (n, 1).
    """
    random = seeded("noisy_line", n, noise, seed)
    x = random.uniform(-1, 1, (n, 1))
    return _function("noisy line", x, slope * x + intercept, noise, random)


def sine(n: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Points about a sine: y = sin x + noise·ε, x uniform on [−π, π) radians. ``x``: (n, 1), ``y``: (n, 1)."""
    random = seeded("sine", n, noise, seed)
    x = random.uniform(-np.pi, np.pi, (n, 1))
    return _function("sine", x, np.sin(x), noise, random)


def seeded(what: str, n: int, noise: float, seed: int) -> np.random.Generator:
    """The source of every random number of one data set, once its arguments are known to be good."""
    if n < 1:
        raise ArgumentError(f"{what}: n is the number of examples, at least 1; got {n}.")
    if not 0 <= noise < np.inf:
        raise ArgumentError(f"{what}: noise is a standard deviation, 0 or more; got {noise}.")
    if seed < 0:
        raise ArgumentError(f"{what}: seed must be 0 or more; got {seed}.")
    return np.random.default_rng(seed)


def _classes(
    name: str, points: list[tuple[NDArray[np.float64], NDArray[np.float64]]], noise: float, random: np.random.Generator
) -> Dataset:
    """Coordinates listed by class as one shuffled data set, with noise."""
    x = np.concatenate([np.stack(pair, axis=1) for pair in points])
    y = np.repeat(np.arange(len(points)), [len(pair[0]) for pair in points])
    order = random.permutation(len(x))
    x = x[order] + noise * random.standard_normal(x.shape)
    return Dataset(x.astype(np.float32), y[order].astype(np.int64), classes=[*map(str, range(len(points)))], name=name)


def _function(
    name: str, x: NDArray[np.float64], y: NDArray[np.float64], noise: float, random: np.random.Generator
) -> Dataset:
    y = y + noise * random.standard_normal(y.shape)
    return Dataset(x.astype(np.float32), y.astype(np.float32), name=name)
