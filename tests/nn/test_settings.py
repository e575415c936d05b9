"""The settings of layers, and one rule for the element types of all of them."""

import math

import numpy as np
import pytest

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError
from tinynet.nn.settings import number, shown, sizes, unusual, whole

WEIGHTED = {
    "Linear": (lambda: nn.Linear(4, 2), (3, 4)),
    "Conv1d": (lambda: nn.Conv1d(2, 1, 3), (3, 2, 4)),
    "Conv2d": (lambda: nn.Conv2d(2, 1, 3), (3, 2, 4, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 1, 3), (3, 2, 4, 4)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (3, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (3, 4)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (3, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2), (3, 2, 4, 4)),
    "LSTM": (lambda: nn.LSTM(4, 2), (5, 3, 4)),
    "GRUCell": (lambda: nn.GRUCell(4, 2), (3, 4)),
    "LearnedPositions": (lambda: nn.LearnedPositions(6, 4), (5, 3, 4)),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.0), (5, 3, 4)),
}


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("training", [True, False])
def test_a_layer_computes_in_its_weights_type(name, training):
    make, shape = WEIGHTED[name]
    x = np.random.default_rng(0).integers(-3, 4, shape)
    for own in ("float32", "float64"):
        layer = make().to(own).train(training)
        outs = [layer(Tensor(x.astype(dtype))) for dtype in (own, "float64", "float32", "float16", "int64")]
        outs = [out[0] if isinstance(out, tuple) else out for out in outs]
        assert {out.dtype for out in outs} == {own}
        for out in outs:
            np.testing.assert_allclose(out.numpy(), outs[0].numpy(), 1e-5, 1e-6)


@pytest.mark.tiny
@pytest.mark.parametrize("value", [0, -1, 2.0, "a", None, True, math.nan, [2]])
def test_what_is_no_size(value):
    with pytest.raises(ArgumentError, match=r"^Layer needs n, a whole number of at least 1; got "):
        whole("Layer", m=2, n=value)


@pytest.mark.tiny
@pytest.mark.parametrize("value", [-0.1, 1.5, "a", None, True, math.nan, math.inf, 1j])
def test_what_is_no_share(value):
    with pytest.raises(ArgumentError, match=r"^Layer\(p=.*\): it is a number from 0 to 1\."):
        number("Layer", most=1, p=value)


@pytest.mark.tiny
def test_numbers_of_numpy_are_numbers():
    assert whole("Layer", n=np.int32(3)) == 3 and whole("Layer", 0, n=np.uint8(0), m=2) == (0, 2)
    assert number("Layer", p=np.float32(0.5)) == 0.5 and sizes("Layer", "n", [np.int64(2), 3], 1) == (2, 3)
    assert all(type(n) is int for n in sizes("Layer", "n", np.int64(2), 1))


@pytest.mark.tiny
def test_settings_are_shown_as_one_gives_them():
    assert [shown(x) for x in (2, (2, 2), (2, 3), "a", len)] == ["2", "2", "(2, 3)", "'a'", "len"]
    assert unusual(nn.LayerNorm(3, eps=0.5), eps=1e-5, elementwise_affine=True, missing=None) == ["eps=0.5"]
