"""The road, the car and the drivers against plane geometry and against what is drawn from their distributions."""

import math

import numpy as np
import pytest

from tinynet.data import Road, Steering
from tinynet.data.road import AHEAD, ASIDE, CAR, HALF_WIDTH, ROCK, WHEELBASE
from tinynet.errors import ArgumentError


def straight(*rocks: tuple[float, float]) -> Road:
    """A road along x, with these rocks."""
    road = Road(rocks=0)
    road.amplitudes = np.zeros(3)
    road.rocks = np.array(rocks).reshape(-1, 2)
    return road


def test_the_direction_is_the_slope_of_the_middle() -> None:
    road, x = Road(seed=3), np.linspace(0, 500, 50)
    slope = (road.middle(x + 1e-4) - road.middle(x - 1e-4)) / 2e-4
    np.testing.assert_allclose(np.tan(road.direction(x)), slope, atol=1e-6)  # of central differences


def test_rocks_lie_near_the_middle_and_far_from_each_other() -> None:
    rocks = Road(rocks=200, seed=1).rocks
    assert len(rocks) == 200 and rocks[0, 0] >= 35
    assert np.abs(rocks[:, 1] - Road(rocks=200, seed=1).middle(rocks[:, 0])).max() <= 0.3
    assert np.diff(rocks[:, 0]).min() >= AHEAD[-1] - AHEAD[0], "no view holds two"


def test_a_view_of_a_straight_road() -> None:
    seen = straight((10.5, 2.0)).view(np.array([[0.0, 0.0, 0.0]]), noise=0)[0, 0]
    on = np.abs(ASIDE) < HALF_WIDTH - 0.5
    assert (seen[:, np.abs(ASIDE) > HALF_WIDTH + 0.5] == 0).all()
    rock = (int(np.flatnonzero(AHEAD[::-1] == 10.5)[0]), int(np.abs(ASIDE - 2.0).argmin()))
    assert rock[1] < 12, "a rock on the left is seen on the left"
    assert np.unravel_index(seen.argmax(), seen.shape) == rock and seen[rock] > 0.9
    far = np.hypot(AHEAD[::-1, None] - 10.5, ASIDE - 2.0) > ROCK + 0.5
    assert (seen[far & on] == 0.5).all()


def test_a_view_turns_and_moves_with_the_car() -> None:
    road, (x, y, heading) = straight((6.0, 1.0)), (2.0, -1.0, 0.3)
    seen = road.view(np.array([[x, y, heading]]), noise=0)[0, 0]
    row, column = np.unravel_index(seen.argmax(), seen.shape)
    ahead, left = AHEAD[::-1][row], ASIDE[column]
    place = x + 1j * y + (ahead + 1j * left) * np.exp(1j * heading)  # rotation as a product of complex numbers
    assert abs(place - (6 + 1j)) < 0.71, "within half a pixel each way"


def test_noise_of_a_view() -> None:
    states = Road().states(20)
    difference = Road().view(states, noise=0.1, seed=4) - Road().view(states, noise=0)
    assert abs(difference.std() / 0.1 - 1) < 0.03 and Road().view(states).shape == (20, 1, 24, 24)


def test_a_car_drives_straight_on_or_in_a_circle() -> None:
    road, state = Road(), np.array([[1.0, 2.0, 0.5]])
    moved = road.move(state, np.array([0.0]), metres=3.0)
    np.testing.assert_allclose(moved, [[1 + 3 * math.cos(0.5), 2 + 3 * math.sin(0.5), 0.5]])
    radius = WHEELBASE / math.tan(math.radians(20))
    centre = state[0, :2] + radius * np.array([-math.sin(0.5), math.cos(0.5)])  # on its left
    for _ in range(round(2 * math.pi * radius / 0.05)):
        state = road.move(state, np.array([20.0]), metres=0.05)
        assert abs(np.hypot(*(state[0, :2] - centre)) - radius) < 1e-3
    np.testing.assert_allclose(road.move(state, np.array([80.0])), road.move(state, np.array([35.0])))


def test_what_counts_as_a_crash() -> None:
    edge, touch = HALF_WIDTH - CAR, ROCK + CAR
    states = [(0, edge - 0.01), (0, edge + 0.01), (0, -edge - 0.01), (50 - touch + 0.01, 0), (50 - touch - 0.01, 0)]
    road = straight((50.0, 0.0))
    assert road.crashed(np.array([(x, y, 0.0) for x, y in states])).tolist() == [False, True, True, True, False]
    assert straight().crashed(np.array([[50.0, 0.0, 0.0]])).tolist() == [False]


def test_a_distribution_of_angles_and_what_is_drawn_from_it() -> None:
    one = Steering(np.array([[0.3, 0.7]]), np.array([[10.0, -6.0]]), np.array([[1.0, 3.0]]))
    angles = np.linspace(-60, 60, 24_001)
    density = np.exp(one.log_density(angles[None])[0])
    assert abs(density.sum() * 0.005 - 1) < 1e-9
    assert abs((density * angles).sum() * 0.005 - one.mean()[0]) < 1e-9
    assert abs((density * (angles - one.mean()) ** 2).sum() * 0.005 - one.variance()[0]) < 1e-6
    drawn = Steering(*(np.repeat(part, 20_000, 0) for part in one)).sample(seed=1)
    assert abs((drawn > 6).mean() - density[angles > 6].sum() * 0.005) < 0.01  # three deviations of a share of 20,000
    assert abs(drawn.mean() - one.mean()[0]) < 0.17 and abs(drawn.var() / one.variance()[0] - 1) < 0.03


def test_drivers_steer_back_to_the_middle_and_pass_a_rock_on_either_side() -> None:
    road = straight((10.0, 0.0))
    free = road.drivers(np.array([[-20.0, 1.0, 0.0], [-20.0, -1.0, 0.0], [-20.0, 0.0, 0.2]]))
    assert (free.means[:, 0] == free.means[:, 1]).all()
    assert free.means[0, 0] < 0 < free.means[1, 0] and free.means[2, 0] < 0
    torn = road.drivers(np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert torn.weights[0].tolist() == [0.5, 0.5] and abs(torn.mean()[0]) < 1e-9
    assert torn.means[0, 0] > 5 and torn.means[0, 1] < -5
    assert abs(torn.weights[1, 0] - 1 / (1 + math.exp(-1))) < 1e-12, "most take the nearer side"
    np.testing.assert_allclose(torn.deviations, 0.5 + np.abs(torn.means) / 4)


def test_the_likelier_way_passes_every_rock_and_the_mean_hits_the_first() -> None:
    road = Road(seed=1)
    x = road.rocks[:20, 0] + 18
    for likelier, first, last in ((True, 300, 300), (False, 0, 40)):
        states, metres = np.stack([x, road.middle(x), road.direction(x)], 1), np.zeros(20)
        going = np.ones(20, bool)
        for _ in range(300):
            drivers = road.drivers(states)
            angles = drivers.means[range(20), drivers.weights.argmax(1)] if likelier else drivers.mean()
            states = np.where(going[:, None], road.move(states, angles), states)
            going &= ~road.crashed(states)
            metres += going
        assert first <= metres.min() and metres.max() <= last


def test_seeds_and_independence() -> None:
    road = Road(seed=2)
    assert (road.rocks == Road(seed=2).rocks).all() and (road.rocks != Road(seed=3).rocks).any()
    states = road.states(2000, seed=5)
    assert (states == road.states(2000, seed=5)).all() and (states != road.states(2000, seed=6)).any()
    side = road.drivers(states).sample(seed=5) > road.drivers(states).mean()
    assert abs(np.corrcoef(side, states[:, 0])[0, 1]) < 0.08, (
        "the same seed, but other numbers: four deviations of 0.02"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Road(rocks=-1), "0 rocks or more; got -1"),
        (lambda: Road(seed=-1), "seed"),
        (lambda: Road().states(0), "at least 1"),
        (lambda: Road().view(np.zeros((1, 3)), noise=-0.1), "0 or more"),
    ],
)
def test_refused(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
