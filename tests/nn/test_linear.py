"""Linear: values and every gradient against PyTorch, the scalar backend and a formula written out; its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import CUBE, Y, check_out
from support import engine, on_array_backends, on_every_backend, same

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)
batches = st.lists(st.integers(0, 4), max_size=3).map(tuple)  # (), (n,), (n, m): one example, a batch, a stack of them


def drawn(layer, batch, seed, backend):
    """The layer on float64 with drawn weights, an input that fits, and the gradient that arrives at the output."""
    random = np.random.default_rng(seed)
    layer.to(engine(backend), "float64")
    layer.load_state_dict({name: random.normal(size=p.shape) for name, p in layer.named_parameters()})
    return random.normal(size=(*batch, layer.in_features)), random.normal(size=(*batch, layer.out_features))


def value_and_gradients(layer, x, g):
    x = Tensor(x, backend=layer.weight.backend, requires_grad=True)
    out = layer(x)
    out.backward(Tensor(g, backend=x.backend))
    return {"output": out.numpy(), "x": x.grad.numpy()} | {n: p.grad.numpy() for n, p in layer.named_parameters()}


@pytest.mark.torch
@settings(max_examples=60)
@given(batches, sizes, sizes, st.booleans(), seeds)
def test_linear_is_pytorchs(batch, i, o, bias, seed):
    import torch

    layer = nn.Linear(i, o, bias)
    x, g = drawn(layer, batch, seed, "numpy")
    found = value_and_gradients(layer, x, g)
    theirs = torch.nn.Linear(i, o, bias, dtype=torch.float64)
    theirs.load_state_dict({name: torch.tensor(p.numpy()) for name, p in layer.state_dict().items()})
    tx = torch.tensor(x, requires_grad=True)
    out = theirs(tx)
    out.backward(torch.tensor(g))
    expected = {"output": out.detach(), "x": tx.grad} | {name: p.grad for name, p in theirs.named_parameters()}
    for name, array in found.items():  # sums of at most 16 products of size 1: 1e-14; 1e-10 leaves room, hides nothing
        same(array, expected[name].numpy(), name, 1e-10, 1e-12)


@settings(max_examples=20)
@given(batches, st.integers(1, 3), st.integers(1, 3), st.booleans(), seeds)
def test_every_number_agrees_with_the_scalar_backend(batch, i, o, bias, seed):
    found = []
    for backend in ("numpy", "scalar"):
        layer = nn.Linear(i, o, bias)
        found.append(value_and_gradients(layer, *drawn(layer, batch, seed, backend)))
    for name, array in found[0].items():
        same(array, found[1][name], name, 1e-12, 1e-13)  # the same sums in another order


@pytest.mark.tiny
@on_every_backend
def test_a_weighted_sum_by_hand(backend):
    """x = (1, 2), W = ((3, 4), (5, 6)), b = (7, 8): a = (1·3 + 2·4 + 7, 1·5 + 2·6 + 8); loss a₁ + 10 a₂."""
    layer = nn.Linear(2, 2).to(engine(backend))
    layer.load_state_dict({"weight": np.array([[3.0, 4.0], [5.0, 6.0]]), "bias": np.array([7.0, 8.0])})
    found = value_and_gradients(layer, np.array([[1.0, 2.0]], np.float32), np.array([[1.0, 10.0]], np.float32))
    assert found["output"].tolist() == [[18.0, 25.0]]
    assert found["x"].tolist() == [[53.0, 64.0]]
    assert found["weight"].tolist() == [[1.0, 2.0], [10.0, 20.0]]
    assert found["bias"].tolist() == [1.0, 10.0]


def test_its_attributes_and_its_repr():
    layer = nn.Linear(np.int64(3), 2, bias=False)
    assert (layer.in_features, layer.out_features, layer.bias) == (3, 2, None)
    assert (layer.weight.shape, repr(layer)) == ((2, 3), "Linear(3, 2, bias=False)")


@pytest.mark.parametrize(
    ("sizes", "what"),
    [((0, 2), "in_features"), ((2, -1), "out_features"), ((2.0, 3), "in_features"), ((2, "3"), "out_features")],
)
def test_sizes_are_whole_numbers(sizes, what):
    with pytest.raises(ArgumentError, match=f"Linear needs {what}.*whole number of at least 1"):
        nn.Linear(*sizes)


@pytest.mark.tiny
def test_errors_name_the_layer_by_its_place():
    class Net(nn.Module):
        def __init__(self):
            self.body, self.classifier = nn.Linear(784, 64), nn.Linear(128, 10)

        def forward(self, x):
            return self.classifier(self.body(x))

    with pytest.raises(ShapeError) as caught:
        Net()(np.zeros((32, 784)))
    assert str(caught.value) == (
        'Linear(128, 10) "classifier" needs (batch, 128); got (32, 64). Does it follow a layer with 64 outputs?'
    )
    with pytest.raises(TypeMismatch, match="needs a tensor, an array or a list of numbers; got str"):
        nn.Linear(2, 2)("ab")


@pytest.mark.tiny
@on_array_backends
def test_a_stack_of_rows_fills_out_wherever_that_lies(backend):
    for bias in (None, Y[:, 0]):
        for transposed in (False, True):
            check_out(engine(backend), "linear", (CUBE, Y, bias), {}, transposed)
