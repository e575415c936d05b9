"""Embedding: against PyTorch and the scalar backend, its padding row, and the indices that it refuses everywhere."""

import numpy as np
import pytest
import strict_cupy
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_array_backends, on_every_backend, same, same_again, seeds

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, TypeMismatch

sizes = st.integers(1, 5)
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def run(rows, width, padding, shape, seed, backend):
    """The layer with drawn rows, the indices, what it looks up and the gradient of its table."""
    random = np.random.default_rng(seed)
    layer = nn.Embedding(rows, width, padding).to(engine(backend), "float64")
    layer.load_state_dict({"weight": random.normal(size=(rows, width))})
    index, g = random.integers(0, rows, shape), random.normal(size=(*shape, width))
    out = layer(index)
    out.backward(Tensor(g, backend=engine(backend)))
    return layer, index, g, {"output": out.numpy(), "gradient": layer.weight.grad.numpy()}


@pytest.mark.torch
@on_array_backends
def test_embedding_is_pytorchs(backend):
    import torch

    @settings(max_examples=40)
    @given(sizes, sizes, st.booleans(), shapes, seeds)
    def check(rows, width, padded, shape, seed):
        padding = -1 if padded else None
        layer, index, g, found = run(rows, width, padding, shape, seed, backend)
        theirs = torch.nn.Embedding(rows, width, padding, dtype=torch.float64)
        theirs.load_state_dict({"weight": torch.tensor(layer.weight.numpy())})
        out = theirs(torch.tensor(index))
        out.backward(torch.tensor(g))
        same(found["output"], out.detach().numpy(), "output", 0)
        same(found["gradient"], theirs.weight.grad.numpy(), "gradient", 1e-13, 1e-14)

    check()


@settings(max_examples=20)
@given(sizes, sizes, st.none() | st.just(0), shapes, seeds)
def test_every_number_agrees_with_the_scalar_backend(rows, width, padding, shape, seed):
    found, scalar = (run(rows, width, padding, shape, seed, backend)[3] for backend in ("numpy", "scalar"))
    for name, array in found.items():
        same(array, scalar[name], name, 1e-13, 1e-14)


@pytest.mark.tiny
@on_every_backend
def test_rows_by_hand(backend):
    """Where an index repeats, its row gets the sum; the padding row gets nothing and starts as zeros."""
    layer = nn.Embedding(4, 2, padding_idx=0).to(engine(backend))
    assert layer.weight.numpy()[0].tolist() == [0, 0] and layer.weight.numpy()[1:].all()
    out = layer([[1, 3], [0, 1]])
    assert out.numpy().tolist() == layer.weight.numpy()[[[1, 3], [0, 1]]].tolist()
    (out * Tensor([1.0, 10.0], backend=engine(backend))).sum().backward()
    assert layer.weight.grad.numpy().tolist() == [[0, 0], [2, 20], [0, 0], [1, 10]]


@on_array_backends
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_integers_of_every_width(dtype, backend):
    layer = nn.Embedding(100, 3).to(engine(backend))
    index = np.array([99, 0, 99], dtype)
    out = layer(index)
    assert out.dtype == "float32" and out.numpy().tolist() == layer.weight.numpy()[index].tolist()
    out.sum().backward()
    assert layer.weight.grad.numpy().sum(1)[[0, 1, 99]].tolist() == [3, 0, 6]


def test_rows_start_standard_normal():
    weight = nn.Embedding(500, 40).weight.numpy()
    assert abs(weight.mean()) < 0.03 and abs(weight.std() - 1) < 0.03  # four standard errors of 20,000 numbers


@on_every_backend
def test_from_pretrained(backend):
    rows = np.arange(6.0).reshape(3, 2)
    frozen = nn.Embedding.from_pretrained(rows).to(engine(backend))
    assert frozen([2, 0]).numpy().tolist() == [[4, 5], [0, 1]]
    assert not frozen([2]).requires_grad and (frozen.num_embeddings, frozen.embedding_dim) == (3, 2)
    free = nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=2).to(engine(backend))
    free([2, 1]).sum().backward()
    assert free.weight.grad.numpy().tolist() == [[0, 0], [1, 1], [0, 0]]
    assert free.weight.numpy().tolist() == rows.tolist()
    with pytest.raises(
        ArgumentError, match=r"from_pretrained needs \(num_embeddings, embedding_dim\) numbers; got \(3,\)"
    ):
        nn.Embedding.from_pretrained([1.0, 2.0, 3.0])


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("stray", [4, -1, 1000])
def test_an_index_that_names_no_row_is_refused_before_anything_is_computed(stray, backend):
    layer = nn.Sequential(nn.Embedding(4, 2)).to(engine(backend))
    with pytest.raises(ArgumentError, match=rf'Embedding\(4, 2\) "0" has rows 0 … 3; got index {stray}'):
        layer([[1, 2], [stray, 0]])
    assert layer([[1, 2]]).shape == (1, 2, 2)


@pytest.mark.parametrize("stray", [4, -1])
def test_a_replay_on_numpy_refuses_it_too(stray):
    layer = nn.Embedding(4, 2)
    step = tn.capture(lambda index: layer(index) * 2)
    assert step(np.array([1, 2])).numpy().tolist() == (layer.weight.numpy()[[1, 2]] * 2).tolist()
    with pytest.raises(ArgumentError, match=rf"Embedding\(4, 2\).* has rows 0 … 3; got index {stray}"):
        step(np.array([1, stray]))


@pytest.mark.parametrize("stray", [4, -1])
def test_a_replay_on_a_device_says_so_before_a_number_leaves_it(stray):
    backend = engine("strict")
    layer = nn.Embedding(4, 2).to(backend)
    step = tn.capture(lambda index: layer(index) * 2, backend=backend)
    step(np.array([1, 2])).numpy()
    with strict_cupy.no_synchronisation():
        out = step(np.array([1, stray]))
    with pytest.raises(ArgumentError, match=r"1 of the indices or classes.*looked up by .*Embedding\(4, 2\)"):
        out.numpy()
    assert step(np.array([3, 0])).numpy().tolist() == (layer.weight.numpy()[[3, 0]] * 2).tolist()


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("index", [[1.0, 2.0], np.array([1.0]), [True, False]])
def test_indices_are_integers(index, backend):
    layer = nn.Embedding(4, 2).to(engine(backend))
    with pytest.raises(TypeMismatch, match=r"Embedding\(4, 2\) looks up rows by whole numbers; got (float|bool)"):
        layer(index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((0, 2), "Embedding needs num_embeddings, a whole number of at least 1; got 0"),
        ((4, 1.5), "Embedding needs embedding_dim"),
        ((4, 2, 4), "Embedding has rows 0 … 3; got padding_idx=4"),
        ((4, 2, -5), "got padding_idx=-5"),
        ((4, 2, 1.0), "needs padding_idx, a whole number; got 1.0"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        nn.Embedding(*options)


# --- recorded, and differentiated twice -------------------------------------------------------------------------------


@on_array_backends
def test_a_replay_is_eager_bit_for_bit(backend):
    layer = nn.Embedding(5, 3, padding_idx=1).to(engine(backend))

    def step(index):
        layer.weight.zero_grad()
        out = layer(index)
        (out * out).sum().backward()
        return out

    captured = tn.capture(step, backend=engine(backend))
    for seed in range(3):
        index = np.random.default_rng(seed).integers(0, 5, (2, 4))
        found = captured(index).numpy(), layer.weight.grad.numpy()
        expected = step(Tensor(index, backend=engine(backend))).numpy(), layer.weight.grad.numpy()
        for a, b in zip(found, expected):
            same_again(backend, a, b)


@on_array_backends
@pytest.mark.parametrize("padding", [None, 1])
def test_second_derivatives(padding, backend):
    """L = Σ w³ over the rows looked up: d²L/dw² · 1 = 6 w for each time."""
    layer = nn.Embedding(3, 2, padding).to(engine(backend), "float64")
    layer.load_state_dict({"weight": np.arange(1.0, 7.0).reshape(3, 2)})
    out = layer([0, 1, 0])
    (out * out * out).sum().backward(create_graph=True)
    first, layer.weight.grad = layer.weight.grad, None
    first.sum().backward()
    times = np.array([2, 0 if padding == 1 else 1, 0])[:, None]
    same(layer.weight.grad.numpy(), 6 * layer.weight.numpy() * times, "second derivative", 1e-13)


def test_repr():
    assert repr(nn.Embedding(4, 2)) == "Embedding(4, 2)"
    assert repr(nn.Embedding(4, 2, -1)) == "Embedding(4, 2, padding_idx=3)"
