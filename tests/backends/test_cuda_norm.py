"""Normalisation on CUDA and its gradients give NumPy's numbers: rows, channels, any layout and type."""

import numpy as np
import on_cuda
import pytest
import strict_cuda
from on_cuda import HALVES, LAYOUTS, TYPES, in_type, launches, there

from tinynet.backends.cuda.kernels import norm
from tinynet.backends.kernels import table
from tinynet.dtypes import check_dtype

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(12)
NUMPY = table(np)
# Roundings of the mean, which comes back divided by the deviation: in the shapes below, by a few hundredths at least.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "bfloat16": 0.1, "float16": 2e-2}
EPS = 1e-3
CASES = [  # the shape of x, the dimensions that are averaged, the shape of w and b
    ((1, 1), (1,), (1,)), ((5, 31), (1,), (31,)), ((300, 3), (1,), (3,)), ((3, 4, 33), (1, 2), (4, 33)),
    ((2, 3, 700), (2,), (700,)), ((40, 33), (1,), None), ((4, 4), (1,), (4,)), ((4, 4), (1,), (4, 1)),
    ((2, 3, 4, 5), (0, 2, 3), (3, 1, 1)), ((7, 3, 10, 9), (0, 2, 3), (1, 3, 1, 1)), ((6, 31), (0,), (31,)),
    ((6, 5, 7), (0, 2), None), ((4, 4), (0,), (4,)),
]  # fmt: skip
IMAGES = LAYOUTS | {"height first": lambda x: x if x.ndim < 4 else x.transpose(2, 1, 3, 0).copy().transpose(3, 1, 0, 2)}


def same(backend, found, expected, dtype, what=""):
    on_cuda.same(backend, found, expected, dtype, TOLERANCE[dtype] * max(1, np.abs(expected).max(initial=0)), what)


def drawn(backend, shape, dtype):
    return (None, None) if shape is None else in_type(backend, 2 + rng.normal(size=shape), dtype)


@pytest.mark.parametrize("shape, axes, extra", CASES, ids=str)
def test_normalise(cupy, shape, axes, extra):
    for dtype in TYPES:
        (x, host), (w, w_host), (b, b_host) = (drawn(cupy, s, dtype) for s in (shape, extra, extra))
        expected = NUMPY["normalise"](host, w_host, b_host, axes, EPS)
        for lay in IMAGES.values() if dtype == "float32" else [np.asfortranarray]:
            given = there(cupy, lay(cupy.numpy(x)))
            outs = tuple(there(cupy, lay(np.zeros(e.shape, cupy.numpy(x).dtype))) for e in expected)
            assert cupy.kernels["normalise"](given, w, b, axes, EPS, out=outs) == outs
            for made in (outs, cupy.kernels["normalise"](given, w, b, axes, EPS)):
                for found, wanted, what in zip(made, expected, ("result", "mean", "variance"), strict=True):
                    same(cupy, found, wanted, dtype, what)


@pytest.mark.parametrize("shape, axes, extra", CASES, ids=str)
def test_normalise_grad(cupy, shape, axes, extra):
    for dtype in TYPES:
        (x, host), (w, w_host), (g, g_host) = (drawn(cupy, s, dtype) for s in (shape, extra, shape))
        mean, mean_host = in_type(cupy, host.mean(axes, keepdims=True), dtype)
        var, var_host = in_type(cupy, host.var(axes, keepdims=True), dtype)
        expected = NUMPY["normalise_grad"](g_host, host, w_host, mean_host, var_host, axes, EPS)
        for lay in IMAGES.values() if dtype == "float32" else [np.asfortranarray]:
            given = there(cupy, lay(cupy.numpy(x)))
            outs = tuple(there(cupy, lay(np.zeros(e.shape, cupy.numpy(x).dtype))) for e in expected)
            arguments = (g, given, w, mean, var, axes, EPS)
            assert cupy.kernels["normalise_grad"](*arguments, out=outs) == outs
            for made in (outs, cupy.kernels["normalise_grad"](*arguments)):
                for found, wanted, what in zip(made, expected, ("towards x", "towards w"), strict=False):
                    same(cupy, found, wanted, dtype, what)
                assert len(made) == (2 if extra else 1)


def test_a_gradient_that_was_spread(cupy):
    """The gradient of a sum: one number, seen as many."""
    x = rng.normal(size=(6, 5))
    g = cupy.launch("broadcast_to", cupy.array(np.array([[1.5]])), shape=(6, 5))
    mean, var, w = x.mean(1, keepdims=True), x.var(1, keepdims=True), np.arange(5.0)
    expected = NUMPY["normalise_grad"](np.full((6, 5), 1.5), x, w, mean, var, (1,), EPS)
    found = cupy.kernels["normalise_grad"](g, *map(cupy.array, (x, w, mean, var)), (1,), EPS)
    for made, wanted in zip(found, expected, strict=True):
        same(cupy, made, wanted, "float64")


def test_more_rows_than_blocks_take_at_once(cupy, monkeypatch):
    """Every block goes round several times, and w's gradient is the same bits every time."""
    monkeypatch.setattr(norm, "MANY", 100)
    x, g, w = (rng.normal(size=s).astype("float32") for s in ((9000, 2), (9000, 2), (2,)))
    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    given = [cupy.array(a) for a in (g, x, w, mean, var)]
    found, again = (cupy.launch("normalise_grad", *given, axes=(1,), eps=EPS) for _ in range(2))
    wide = [a.astype("float64") for a in (g, x, w, mean, var)]
    for a, b, wanted in zip(found, again, NUMPY["normalise_grad"](*wide, (1,), EPS), strict=True):
        np.testing.assert_array_equal(cupy.numpy(a), cupy.numpy(b))
        same(cupy, a, wanted, "float32")


def test_large_offsets_keep_their_variance(cupy):
    """Around 1e4 a float32 has steps of 1e-3; E x² - (E x)² would be off by 10."""
    x = 1e4 + rng.integers(-3, 4, (5, 200)).astype("float32")
    _, mean, var = cupy.launch("normalise", cupy.array(x), None, None, axes=(1,), eps=EPS)
    np.testing.assert_allclose(cupy.numpy(mean), x.astype("float64").mean(1, keepdims=True), 1e-6)
    np.testing.assert_allclose(cupy.numpy(var), x.astype("float64").var(1, keepdims=True), 1e-3)


@pytest.mark.parametrize("shape, axes, extra", [((9, 4, 33), (2,), (33,)), ((4, 3, 5, 6), (0, 2, 3), (3, 1, 1))])
def test_few_launches(strict, shape, axes, extra):
    x, w = strict.array(rng.normal(size=shape)), strict.array(rng.normal(size=extra))
    _, mean, var = strict.launch("normalise", x, w, w, axes=axes, eps=EPS)
    assert launches(lambda: strict.launch("normalise", x, w, w, axes=axes, eps=EPS)) == 1
    back = lambda w: strict.launch("normalise_grad", x, x, w, mean, var, axes=axes, eps=EPS)
    assert launches(lambda: back(w)) == (2 if extra == (33,) else 1)
    assert launches(lambda: back(None)) == 1


def test_channels_stay_as_they_lie(cupy):
    """So that what comes next finds them in that order, and nothing is copied."""
    x = there(cupy, IMAGES["height first"](rng.normal(size=(2, 3, 4, 5))))
    made, mean, var = cupy.launch("normalise", x, None, None, axes=(0, 2, 3), eps=EPS)
    (back,) = cupy.launch("normalise_grad", x, x, None, mean, var, axes=(0, 2, 3), eps=EPS)
    assert made.strides == back.strides == x.strides


@pytest.mark.parametrize(
    "shape, axes, extra",
    [((2, 3, 4), (1,), None), ((3, 4), (1,), (1,)), ((2, 0), (0,), None), ((3, 13000), (1,), (13000,))],
    ids=["the middle", "one weight for all", "empty", "long rows"],
)
def test_what_the_kernels_do_not_take_is_cupys(cupy, shape, axes, extra):
    x, w = rng.normal(size=shape), None if extra is None else rng.normal(size=extra)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    arrays = [None if a is None else cupy.array(a) for a in (x, w, mean, var)]
    found = cupy.launch("normalise", *arrays[:2], None, axes=axes, eps=EPS)
    for made, wanted in zip(found, NUMPY["normalise"](x, w, None, axes, EPS), strict=True):
        same(cupy, made, wanted, "float64")
    found = cupy.launch("normalise_grad", arrays[0], *arrays, axes=axes, eps=EPS)
    for made, wanted in zip(found, NUMPY["normalise_grad"](x, x, w, mean, var, axes, EPS), strict=True):
        same(cupy, made, wanted, "float64")


@pytest.mark.parametrize("dtype", HALVES)
def test_half_floats_go_in_as_they_lie(strict, dtype):
    """And in float32 where the plain kernels take over."""
    x = strict.array(rng.normal(size=(3, 4, 5)), check_dtype(dtype))
    assert launches(lambda: strict.launch("normalise", x, None, None, axes=(2,), eps=EPS)) == 1
    found = strict.launch("normalise", x, None, None, axes=(1,), eps=EPS)
    expected = NUMPY["normalise"](strict.numpy(x).astype("float64"), None, None, (1,), EPS)
    for made, wanted in zip(found, expected, strict=True):
        same(strict, made, wanted, dtype)
