"""A drawing made like those of MNIST, beside Pillow and MNIST's own digits."""

import numpy as np
import pytest
from PIL import Image

from tinynet import data
from tinynet.data.centring import centred, resampling


def middle(image):
    ys, xs = np.mgrid[:28, :28]
    return (image * ys).sum() / image.sum(), (image * xs).sum() / image.sum()


def extent(image, axis):
    at = np.flatnonzero((image > 0.1 * image.max()).any(axis=axis))
    return at[-1] - at[0] + 1


@pytest.mark.parametrize("place", [(0, 0), (3, 11), (15, 1), (16, 22)])
@pytest.mark.parametrize("size", [(12, 6), (5, 4), (1, 1)])
def test_a_drawing_is_as_long_and_as_central_as_those_of_mnist(place, size):
    drawing = np.zeros((28, 28))
    drawing[place[0] : place[0] + size[0], place[1] : place[1] + size[1]] = 0.8
    image = centred(drawing, 28)
    assert extent(image, 1) == 20
    assert abs(extent(image, 0) - 20 * size[1] / size[0]) <= 0.5
    assert middle(image) == pytest.approx((14, 14), abs=0.51)
    assert image.min() >= 0 and image.max() == pytest.approx(0.8)
    elsewhere = np.zeros((28, 28))
    elsewhere[2 : 2 + size[0], 5 : 5 + size[1]] = 0.8
    assert (centred(elsewhere, 28) == image).all()


def test_mnists_own_digits_stay_nearly_what_they_are():
    digits = data.digits()[1].x[:50].astype(float).reshape(-1, 28, 28)
    likeness = []
    for digit in digits:
        again = centred(digit, 28)
        assert extent(again, 0) <= 20 and extent(again, 1) <= 20
        assert np.abs(np.array(middle(again)) - middle(digit)).max() < 0.1
        likeness.append(np.corrcoef(again.ravel(), digit.ravel())[0, 1])
    assert min(likeness) > 0.95  # a pixel to the side is another picture of a thin stroke


def test_a_blank_sheet_stays_blank_and_a_drawing_stays_as_it_was():
    assert (centred(np.zeros((28, 28)), 28) == 0).all()
    drawing = np.eye(28)
    centred(drawing, 28)
    assert (drawing == np.eye(28)).all()


@pytest.mark.parametrize(("before", "after"), [(10, 20), (20, 20), (28, 20), (7, 5), (1, 20), (27, 1)])
def test_pixels_are_resampled_as_pillow_does(before, after):
    line = np.random.default_rng(0).random(before)
    image = Image.fromarray(line[None].astype(np.float32))
    expected = np.asarray(image.resize((after, 1), Image.Resampling.BILINEAR))[0]
    assert resampling(before, after) @ line == pytest.approx(expected, abs=1e-5)  # Pillow's is float32
