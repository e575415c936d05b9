"""Second derivatives of what a kernel computes at once and keeps arrays for: refused, and right by the reference."""

import numpy as np
import pytest
from support import engine, on_array_backends

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.checks import check_gradients
from tinynet.errors import GradientError
from tinynet.fused import Fused


def looking(x):
    return nn.functional.scaled_dot_product_attention(x, x, x)


LAYERS = {
    "normalise": (nn.LayerNorm(4), (2, 4)),
    "attention": (looking, (3, 2)),
    "rnn": (nn.RNN(2, 2), (3, 1, 2)),
    "lstm": (nn.LSTM(2, 2), (3, 1, 2)),
    "gru": (nn.GRU(2, 2), (3, 1, 2)),
    "max_pool2d": (nn.MaxPool2d(2), (1, 1, 4, 2)),
    "softmax_cross_entropy": (lambda x: nn.CrossEntropyLoss()(x, np.array([2, 0])), (2, 3)),
    "gelu": (nn.GELU(), (5,)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def cubed(name, backend):
    """The sum of the cubes of what the layer gives, as a function; and an input."""
    layer, shape = LAYERS[name]
    if isinstance(layer, nn.Module):
        layer.to(engine(backend), "float64").zero_grad()

    def total(x):
        out = layer(x)
        return ((out[0] if isinstance(out, tuple) else out) ** 3).sum()

    return total, Tensor(np.random.default_rng(0).normal(size=shape), backend=engine(backend), requires_grad=True)


def test_every_fused_primitive_that_can_be_differentiated_once_is_here():
    assert {name for name, primitive in Fused.registry.items() if primitive.once} == set(LAYERS)


@every_layer
@on_array_backends
def test_the_kernel_has_none(name, backend):
    total, x = cubed(name, backend)
    with pytest.raises(GradientError, match=rf"the fused {name} can be differentiated once.*`with tn\.reference\(\):`"):
        total(x).backward(create_graph=True)


@every_layer
@on_array_backends
def test_the_references_are_the_slopes_of_the_gradient(name, backend):
    total, x = cubed(name, backend)

    def slope(x):
        x.grad = None
        total(x).backward(create_graph=True)
        return x.grad

    with tn.reference():
        report = check_gradients(slope, x)
    assert report.numeric, "a slope of 0 shows nothing"
