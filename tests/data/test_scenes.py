"""Scenes: what is said of them against what is in the pictures."""

import numpy as np
import pytest

from tinynet.data import Dataset, digits, scenes
from tinynet.data.scenes import INK
from tinynet.errors import ArgumentError, ShapeError

TRAIN, _ = digits(flat=False)


@pytest.mark.parametrize(("count", "size"), [(1, 28), (1, 48), (2, 48), (5, 80)])
def test_a_box_encloses_exactly_the_pixels_of_its_digit(count: int, size: int) -> None:
    made = scenes(TRAIN, 30, size=size, count=count, seed=2)
    assert made.boxes.shape == (30, count, 4) and made.labels.shape == (30, count)
    for mask, labels, boxes in zip(made.masks, made.labels, made.boxes.astype(int)):
        left_over = mask.copy()
        for label, (left, top, right, bottom) in zip(labels, boxes):
            assert 0 <= left < right <= size and 0 <= top < bottom <= size
            inside = left_over[top:bottom, left:right]
            assert set(np.unique(inside)) <= {0, 1 + label}
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.any(), "the box could be smaller"
            inside[:] = 0
        assert not left_over.any(), "a digit's pixel lies in no box"


def test_without_clutter_and_noise_the_picture_is_the_digits_and_the_mask_their_ink() -> None:
    made = scenes(TRAIN, 40, size=60, count=2, clutter=0, noise=0, seed=1)
    assert ((made.images[:, 0] >= INK) == (made.masks > 0)).all()
    left, top, right, bottom = made.boxes[0, 0].astype(int)
    cut = made.images[0, 0, top:bottom, left:right]
    of_class = TRAIN.x[TRAIN.y == made.labels[0, 0], 0]
    windows = np.lib.stride_tricks.sliding_window_view(of_class, cut.shape, axis=(1, 2))
    assert (windows == cut).all((3, 4)).any(), "no training digit looks like this"


def test_clutter_brightens_the_picture_and_leaves_what_is_known_of_the_digits() -> None:
    plain, cluttered = (scenes(TRAIN, 1, clutter=k, noise=0, seed=3) for k in (0, 6))
    assert (plain.masks == cluttered.masks).all() and (plain.boxes == cluttered.boxes).all()
    assert (cluttered.images >= plain.images).all() and (cluttered.images > plain.images).sum() > 20


def test_noise_is_a_standard_deviation_cut_off_at_0_and_1() -> None:
    quiet, noisy = (scenes(TRAIN, 30, noise=s, seed=3) for s in (0, 0.2))
    assert noisy.images.min() == 0 and noisy.images.max() == 1
    grey = (quiet.images > 0.45) & (quiet.images < 0.55)  # where hardly anything is cut off: 2.25 deviations
    assert abs((noisy.images - quiet.images)[grey].std() / 0.2 - 1) < 0.05


def test_places_and_classes_are_spread_evenly() -> None:
    made = scenes(TRAIN, 1000, clutter=0, noise=0)
    assert np.bincount(made.labels[:, 0], minlength=10).min() > 70  # 100 of each, less 3 of their deviations of 9.5
    middles = (made.boxes[:, 0, :2] + made.boxes[:, 0, 2:]) / 2
    assert np.abs(middles.mean(0) - 24).max() < 1  # a deviation of 8 over 1,000 scenes: 4 of 0.26
    assert made.boxes.min() == 0 and made.boxes.max() == 48


def test_types_and_seeds() -> None:
    first, again, other = (scenes(TRAIN, 5, seed=s) for s in (1, 1, 2))
    assert [a.dtype for a in first] == [np.float32, np.int64, np.int64, np.float32]
    assert all((a == b).all() for a, b in zip(first, again))
    assert (first.images != other.images).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "at least 1; got 0"),
        ({"noise": -1}, "0 or more"),
        ({"seed": -1}, "seed"),
        ({"count": 0}, "count is at least 1"),
        ({"clutter": -1}, "clutter at least 0"),
        ({"size": 10}, "need pictures of size"),
        ({"size": 30, "count": 4}, "4 of these digits need"),
    ],
)
def test_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^scenes: .*{message}"):
        scenes(TRAIN, **{"n": 5, **wrong})


def test_refused_digits() -> None:
    with pytest.raises(ShapeError, match="flat=False"):
        scenes(digits()[0], 5)
    with pytest.raises(ArgumentError, match="no pixel of"):
        scenes(Dataset(np.zeros((3, 1, 28, 28)), np.zeros(3, int)), 5)
