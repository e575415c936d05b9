"""Positions: the published formulas by hand, PyTorch's gradients, and offsets that continue a sequence."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_every_backend, run, same, seeds, smooth
from twins import is_its_own_on_scalars, replays_as_it_runs

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError

few = st.integers(1, 4)


def waves(length, width):
    """The paper's formula, number by number."""
    table = np.empty((length, width))
    for position in range(length):
        for i in range(0, width, 2):
            angle = position / 10000 ** (i / width)
            table[position, i], table[position, i + 1] = math.sin(angle), math.cos(angle)
    return table


@on_every_backend
def test_waves_are_those_of_the_paper(backend):
    x = np.random.default_rng(0).normal(size=(7, 2, 6))
    for batch_first in (False, True):
        layer = nn.SinusoidalPositions(6, batch_first=batch_first)
        given = x.swapaxes(0, 1).copy() if batch_first else x
        out, _ = run(layer, [given], backend)
        same(out.swapaxes(0, 1) if batch_first else out, x + waves(7, 6)[:, None], "waves", 1e-13, 1e-13)
    alone, _ = run(layer, [x[:, 0].copy()], backend)
    same(alone, x[:, 0] + waves(7, 6), "one example", 1e-13, 1e-13)
    assert not layer.state_dict()  # nothing to save, load or move


def test_waves_of_single_precision_are_exact_far_along():
    x = Tensor(np.zeros((1, 8), np.float32))
    same(nn.SinusoidalPositions(8)(x, offset=99_999).numpy()[0], waves(100_000, 8)[-1], "waves", 0, 1e-7)


@pytest.mark.parametrize(
    "make", [lambda: nn.SinusoidalPositions(4), lambda: nn.LearnedPositions(6, 4), lambda: nn.RotaryPositions(4)]
)
@on_every_backend
def test_an_offset_continues_a_sequence(make, backend):
    layer = make().to(engine(backend))
    x = Tensor(np.random.default_rng(1).normal(size=(6, 4)), backend=engine(backend))
    parts = [layer(x[:2]).numpy(), layer(x[2:], offset=2).numpy()]
    same(np.concatenate(parts), layer(x).numpy(), "in two parts", 1e-6, 1e-6)


@settings(max_examples=10)
@given(few, few, few, st.booleans(), seeds)
def test_learned_rows_learn(length, batch, width, batch_first, seed):
    layer = nn.LearnedPositions(length + 1, width, batch_first)
    x = smooth(np.random.default_rng(seed), (batch, length, width) if batch_first else (length, batch, width))
    layer.to("float64")
    out, (slope,) = run(layer, [x], "numpy")
    rows = layer.weight.numpy()[:length]
    same(out, x + (rows if batch_first else rows[:, None]), "out", 1e-14)
    same(layer.weight.grad.numpy()[:length], slope.sum(0 if batch_first else 1), "rows", 1e-13)
    assert not layer.weight.grad.numpy()[length:].any()
    is_its_own_on_scalars(layer, x)


@settings(max_examples=15)
@given(few, few, st.integers(0, 60), st.sampled_from([10.0, 1e4]), seeds)
def test_rotary_turns_complex_numbers(length, half, offset, base, seed):
    """The paper's own notation: each pair as one complex number, times e^(iθ)."""
    x = smooth(np.random.default_rng(seed), (2, length, 2 * half))
    layer = nn.RotaryPositions(2 * half, base)
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(
        1j * (np.arange(length) + offset)[:, None] / base ** (np.arange(half) / half)
    )
    for backend in ("numpy", "scalar", "strict"):
        out, (slope,) = run(lambda x: layer(x, offset=offset), [x], backend)
        same(out, np.concatenate([turned.real, turned.imag], -1), backend, 1e-11, 1e-12)
        same(np.linalg.norm(slope), np.linalg.norm(run(lambda x: x * 1, [x], backend)[1][0]), "length", 1e-12)


def test_products_after_rotary_depend_on_the_distance_alone():
    layer = nn.RotaryPositions(8)
    q, k = (Tensor(x) for x in np.random.default_rng(2).normal(size=(2, 1, 8)))
    products = [float((layer(q, offset=start + 3) * layer(k, offset=start)).sum()) for start in (0, 5, 1000)]
    same(products, [products[0]] * 3, "products", 1e-11)
    assert abs(products[0] - float((layer(q, offset=4) * layer(k)).sum())) > 1e-4


@pytest.mark.parametrize(
    "layer",
    [nn.SinusoidalPositions(4), nn.LearnedPositions(5, 4), nn.RotaryPositions(4)],
)
def test_it_records_and_replays(layer):
    replays_as_it_runs(nn.Sequential(nn.Linear(4, 4), layer), np.random.default_rng(3).normal(size=(3, 2, 4)))


@pytest.mark.tiny
@on_every_backend
def test_inputs_that_do_not_fit_are_refused(backend):
    def tensor(*shape):
        return Tensor(np.zeros(shape), backend=engine(backend))

    with pytest.raises(ShapeError, match=r"SinusoidalPositions\(4\) needs \(length, batch, 4\); got \(2, 3, 5\)"):
        nn.SinusoidalPositions(4)(tensor(2, 3, 5))
    learned = nn.LearnedPositions(5, 4, batch_first=True).to(engine(backend))
    with pytest.raises(ShapeError, match=r"needs \(batch, length, 4\); got \(4,\)"):
        learned(tensor(4))
    with pytest.raises(ShapeError, match=r"batch_first=True\) knows positions 0 … 4; got 3 from position 3 on"):
        learned(tensor(2, 3, 4), offset=3)
    with pytest.raises(ShapeError, match=r"RotaryPositions\(4\) needs \(…, length, 4\); got \(3, 6\)"):
        nn.RotaryPositions(4)(tensor(3, 6))
    for layer in (nn.SinusoidalPositions(4), learned, nn.RotaryPositions(4)):
        with pytest.raises(ArgumentError, match="needs offset, a whole number of at least 0; got -1"):
            layer(tensor(2, 3, 4), offset=-1)


@pytest.mark.parametrize(
    "make", [lambda: nn.SinusoidalPositions(4), lambda: nn.LearnedPositions(6, 4), lambda: nn.RotaryPositions(4)]
)
@on_every_backend
def test_whole_numbers_count_as_floats(make, backend):
    layer, ones = make().to(engine(backend)), np.ones((4, 1, 4))
    found = layer(Tensor(ones.astype("int64"), backend=engine(backend)))
    same(found.numpy(), layer(Tensor(ones, backend=engine(backend))).numpy(), "of ones", 1e-6, 1e-6)
    assert found.dtype == ("float64" if backend == "scalar" else "float32")


def test_repr_says_what_differs_from_the_defaults():
    assert repr(nn.SinusoidalPositions(4, batch_first=True)) == "SinusoidalPositions(4, batch_first=True)"
    assert repr(nn.LearnedPositions(5, 4)) == "LearnedPositions(5, 4)"
    assert [repr(nn.RotaryPositions(4, *base)) for base in ((), (5,))] == [
        "RotaryPositions(4)", "RotaryPositions(4, base=5.0)",
    ]  # fmt: skip


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.SinusoidalPositions(5), r"SinusoidalPositions\(5\): it takes numbers in pairs"),
        (lambda: nn.RotaryPositions(0), "RotaryPositions needs width, a whole number of at least 2; got 0"),
        (lambda: nn.RotaryPositions(4, base=0), r"RotaryPositions\(base=0\): it is a number of at least 1"),
        (lambda: nn.RotaryPositions(4, base="a"), r"RotaryPositions\(base='a'\): it is a number"),
        (lambda: nn.LearnedPositions(0, 4), "needs max_length, a whole number of at least 1; got 0"),
        (lambda: nn.LearnedPositions("a", 3), "LearnedPositions needs max_length, a whole number.*got 'a'"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
