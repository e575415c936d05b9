"""A simulated road, the view from a car on it, and drivers who show how to steer.

The drivers' choices are drawn from a distribution that is known: what a policy learns from them can be measured against
it. Lengths are in metres, angles of steering in degrees, left is positive. Must not know any model.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinynet.data.synthetic import seeded
from tinynet.errors import ArgumentError

Array = NDArray[np.float64]

HALF_WIDTH = 4.0  # of the road
ROCK, CAR = 0.8, 0.8  # radius of a rock, half the width of a car
WHEELBASE = 2.5
REACTS, LOOKS = 14.0, 6.0  # how far off a rock is evaded, how far off the point is that a driver aims at
CLEAR = 2.4  # from the middle of a rock, where a driver wants to pass
AHEAD, ASIDE = np.arange(-3.5, 20.5), np.linspace(-9.2, 9.2, 24)[::-1]  # what a view shows, from its pixels' middles


class Steering(NamedTuple):
    """A distribution of steering angles for each of n cars: two normal ones, with weights.

    Attributes:
        weights, means, deviations: (n, 2), to pass a rock on the left and on the right. Without a rock the two are
            alike. Degrees.
    """

    weights: Array
    means: Array
    deviations: Array

    def sample(self, seed: int = 0) -> Array:
        """An angle for each car, (n,)."""
        random = _random("Steering.sample", seed)
        side = (random.random(len(self.weights)) > self.weights[:, 0]).astype(int)[:, None]
        mean, deviation = (np.take_along_axis(a, side, 1)[:, 0] for a in (self.means, self.deviations))
        return mean + deviation * random.standard_normal(len(mean))

    def log_density(self, angles: Array) -> Array:
        """log p(angle) for an angle of each car, (n,) or (n, m): the logarithm of a density over degrees."""
        shape = (len(self.weights), 2, *(1,) * (np.ndim(angles) - 1))
        weights, means, deviations = (a.reshape(shape) for a in self)
        z = (np.expand_dims(angles, 1) - means) / deviations
        logs = np.log(weights) - np.log(deviations) - 0.5 * (z * z + np.log(2 * np.pi))
        return np.asarray(np.logaddexp(logs[:, 0], logs[:, 1]))

    def mean(self) -> Array:
        """The expected angle of each car, (n,): between the ways round a rock."""
        return np.asarray((self.weights * self.means).sum(1))

    def variance(self) -> Array:
        """The variance of each car's angle, (n,)."""
        return np.asarray((self.weights * (self.means**2 + self.deviations**2)).sum(1) - self.mean() ** 2)


class Road:
    """An endless winding road, with a rock near its middle every 40 metres or so.

    Its middle is y = Σ aₖ sin(2πx / λₖ + φₖ), with random phases. A state is x, y and heading of a car (in radians, 0
    along x); states are (n, 3).

    Args:
        rocks: how many there are, from x = 40 on.
        seed: of the phases and of the rocks' places.

    Raises:
        ArgumentError: rocks or seed is negative.
    """

    def __init__(self, rocks: int = 50, seed: int = 0) -> None:
        random = _random("Road", seed)
        if rocks < 0:
            raise ArgumentError(f"Road: there are 0 rocks or more; got {rocks}.")
        self.amplitudes, self.lengths = np.array([6.0, 2.0, 4.0]), np.array([97.0, 61.0, 173.0])
        self.phases = random.uniform(0, 2 * np.pi, 3)
        x = 40.0 * np.arange(1, rocks + 1) + random.uniform(-5, 5, rocks)
        self.rocks: Array = np.stack([x, self.middle(x) + random.uniform(-0.3, 0.3, rocks)], axis=1)

    def middle(self, x: Array) -> Array:
        """The y of the middle of the road."""
        angles = 2 * np.pi * np.asarray(x)[..., None] / self.lengths + self.phases
        return np.asarray((self.amplitudes * np.sin(angles)).sum(-1))

    def direction(self, x: Array) -> Array:
        """The heading of the road, in radians."""
        turns = 2 * np.pi / self.lengths
        angles = np.asarray(x)[..., None] * turns + self.phases
        return np.asarray(np.arctan((self.amplitudes * turns * np.cos(angles)).sum(-1)))

    def states(self, n: int, x: tuple[float, float] = (0.0, 2000.0), seed: int = 0) -> Array:
        """``n`` cars anywhere on the road between two x, more or less in its middle and along it, (n, 3)."""
        random = _random("Road.states", seed, n)
        along = random.uniform(*x, n)
        return np.stack(
            [
                along,
                self.middle(along) + np.clip(1.2 * random.standard_normal(n), -3, 3),
                self.direction(along) + 0.15 * random.standard_normal(n),
            ],
            axis=1,
        )

    def view(self, states: Array, noise: float = 0.05, seed: int = 0) -> NDArray[np.float32]:
        """What each car sees from above, float32 (n, 1, 24, 24): 0 beside the road, ½ on it, 1 for a rock, and noise.

        A row is a metre, the first one 19.5 m before the car and the last one 3.5 m behind its axle; left is left.
        """
        random = _random("Road.view", seed, 1, noise)
        x, y, heading = (part[:, None, None] for part in np.asarray(states, float).T)
        ahead, left = AHEAD[::-1, None], ASIDE[None]
        px, py = (
            x + ahead * np.cos(heading) - left * np.sin(heading),
            y + ahead * np.sin(heading) + left * np.cos(heading),
        )
        seen = 0.5 * np.clip(HALF_WIDTH - np.abs(py - self.middle(px)) + 0.5, 0, 1)
        if len(self.rocks):  # they are so far apart that no view shows two
            rock = self.rocks[self._nearest_rock(px[:, 12, 12])][:, None, None]
            stone = np.clip(ROCK - np.hypot(px - rock[..., 0], py - rock[..., 1]) + 0.5, 0, 1)
            seen += stone * (1 - seen)
        seen += noise * random.standard_normal(seen.shape)
        return seen[:, None].astype(np.float32)

    def _nearest_rock(self, x: Array) -> NDArray[np.int64]:
        """The number of the rock that is nearest along the road."""
        return np.abs(np.asarray(x)[..., None] - self.rocks[:, 0]).argmin(-1)

    def drivers(self, states: Array) -> Steering:
        """How drivers steer: a crowd; each aims at a point 6 m ahead and passes a rock on one side or the other.

        The side is the nearer one for most: left with probability σ(car - rock), their places across the road in
        metres. A hand is the less steady the more it turns: the deviation is ½° + ¼ of the angle.
        """
        x, y, heading = np.asarray(states, float).T
        aim, evade = np.zeros((len(x), 2)), np.full((len(x), 2), 0.5)
        if len(self.rocks):
            rock_x, rock_y = self.rocks[self._nearest_rock(x + (REACTS - 3) / 2)].T
            aside = rock_y - self.middle(rock_x)
            near = (rock_x - x > -3) & (rock_x - x < REACTS)
            aim = np.where(near[:, None], aside[:, None] + [CLEAR, -CLEAR], aim)
            left = 1 / (1 + np.exp(aside - (y - self.middle(x))))
            evade = np.where(near[:, None], np.stack([left, 1 - left], 1), evade)
        dy = self.middle(x + LOOKS)[:, None] + aim - y[:, None]
        turn = np.arctan2(dy, LOOKS) - heading[:, None]
        means = np.degrees(np.arctan(2 * WHEELBASE * np.sin(turn) / np.hypot(dy, LOOKS)))
        return Steering(evade, means, 0.5 + 0.25 * np.abs(means))

    def move(self, states: Array, angles: Array, metres: float = 1.0) -> Array:
        """Where the cars are after driving on with these steering angles, which stop at ±35°."""
        x, y, heading = np.asarray(states, float).T
        turned = heading + metres * np.tan(np.radians(np.clip(angles, -35, 35))) / WHEELBASE
        along = (heading + turned) / 2
        return np.stack([x + metres * np.cos(along), y + metres * np.sin(along), turned], axis=1)

    def crashed(self, states: Array) -> NDArray[np.bool_]:
        """Which cars touch a rock or have a wheel off the road, (n,)."""
        x, y, _ = np.asarray(states, float).T
        off = np.abs(y - self.middle(x)) > HALF_WIDTH - CAR
        if not len(self.rocks):
            return np.asarray(off)
        rock = self.rocks[self._nearest_rock(x)]
        return np.asarray(off | (np.hypot(x - rock[:, 0], y - rock[:, 1]) < ROCK + CAR))


def _random(what: str, seed: int, n: int = 1, noise: float = 0.0) -> np.random.Generator:
    """The random numbers of one purpose: those of another are unlike them, though the seed is the same."""
    seeded(what, n, noise, seed)
    return np.random.default_rng([seed, *what.encode()])
