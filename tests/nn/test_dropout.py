"""Dropout: what it drops, that it drops the same everywhere, and that evaluation is left alone."""

import numpy as np
import pytest
from support import engine, on_every_backend
from twins import is_its_own_on_scalars, replays_as_it_runs

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn import functional as F

IMAGES = np.random.default_rng(0).normal(size=(3, 4, 2, 5))
every_layer = pytest.mark.parametrize("layer", [nn.Dropout, nn.Dropout2d])


def masks(layer, backend="numpy", count=2):
    tn.manual_seed(3)
    ones = tn.ones(6, 5, 2, 3, backend=engine(backend))
    return [layer(ones).numpy() for _ in range(count)]


@every_layer
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_same_seed_drops_the_same_on_every_backend(layer, p):
    expected = masks(layer(p))
    assert not np.array_equal(*expected), "each call draws anew"
    for backend in ("scalar", "strict"):
        for mask, other in zip(expected, masks(layer(p), backend), strict=True):
            np.testing.assert_array_equal(mask > 0, other > 0)
            np.testing.assert_allclose(mask, other, rtol=1e-7)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_as_many_are_dropped_as_asked_for_and_the_mean_stays(p):
    """Of four million, so that a p of 0.1 rounded to 26/256 lies ten deviations away."""
    tn.manual_seed(0)
    out = nn.Dropout(p)(tn.ones(2**22)).numpy()
    deviation = (p * (1 - p) / out.size) ** 0.5
    assert abs((out == 0).mean() - p) < 4 * deviation
    assert abs(out.mean() - 1) < 4 * deviation / (1 - p)
    np.testing.assert_allclose(np.unique(out), [0, 1 / (1 - p)], rtol=1e-6)


def test_whole_channels_are_dropped_together():
    tn.manual_seed(1)
    out = nn.Dropout2d(0.5)(tn.ones(40, 50, 3, 2)).numpy()
    channels = out.reshape(2000, 6)
    assert (channels == channels[:, :1]).all() and 0.45 < (channels[:, 0] == 0).mean() < 0.55


@every_layer
def test_the_gradient_passes_where_the_numbers_passed(layer):
    is_its_own_on_scalars(layer(0.4), IMAGES)
    x = Tensor(IMAGES, requires_grad=True)
    out = layer(0.4)(x)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy() * IMAGES, out.numpy(), rtol=1e-12)


@every_layer
@on_every_backend
def test_evaluation_and_nothing_to_drop_hand_x_on_itself(layer, backend):
    x = Tensor(IMAGES, backend=engine(backend))
    assert layer(0.5).eval()(x) is x and layer(0.0)(x) is x
    assert F.dropout(x, 0.5, training=False) is x and F.dropout(x, 0.5) is not x
    assert not layer(1.0)(x).numpy().any()


@every_layer
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_it_records_and_replays(layer, p):
    replays_as_it_runs(nn.Sequential(nn.BatchNorm2d(4), layer(p)), IMAGES)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_element_type_stays(dtype):
    assert nn.Dropout()(Tensor(IMAGES.astype(dtype))).dtype == dtype


@every_layer
def test_whole_numbers_become_floats_in_training_and_after_it(layer):
    whole = Tensor(IMAGES.astype("int64"))
    for p in (0.0, 0.5, 1.0):
        assert layer(p)(whole).dtype == layer(p).eval()(whole).dtype == "float32"


@pytest.mark.tiny
@every_layer
def test_refusals(layer):
    for p in (-0.1, 1.5, "half", None, float("nan")):
        with pytest.raises(ArgumentError, match=r"Dropout\w*\(p=.*\): it is a number from 0 to 1"):
            layer(p)
    with pytest.raises(ArgumentError, match=r"dropout\(p=2.0\): it is a number from 0 to 1"):
        F.dropout(Tensor(IMAGES), 2.0)
    with pytest.raises(ShapeError, match=r"needs \(batch, channels, height, width\); got \(3, 4\). Rows of features"):
        nn.Dropout2d()(Tensor(np.zeros((3, 4))))
    assert repr(layer(0.25)) == f"{layer.__name__}(p=0.25)"
