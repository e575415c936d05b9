"""Reductions on CUDA give NumPy's numbers, whatever the dimensions, the strides and the lengths."""

import numpy as np
import pytest
import strict_cuda

from tinynet.backends.cuda.kernels.reduce import viewed
from tinynet.backends.kernels import table

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(8)
NUMPY = table(np)
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3}  # thousands of numbers in another order; halves round
CASES = [
    ((1,), (0,)), ((5,), (0,)), ((257,), (0,)), ((3, 4), (0,)), ((3, 4), (1,)), ((3, 4), (0, 1)), ((33, 31), (0,)),
    ((1000, 9), (0,)), ((9, 1000), (1,)), ((7, 1300), (1,)), ((2, 9000), (1,)), ((9000, 10), (0,)), ((40, 1), (0,)),
    ((4, 3, 5, 6), (0, 2, 3)), ((4, 3, 5, 6), (1,)), ((4, 3, 5, 6), (0, 1)), ((4, 3, 5, 6), (2, 3)),
    ((6, 2, 3), (1, 2)), ((2, 3, 4, 5, 6), (0, 2, 4)), ((3, 20, 1), (2,)),
]  # fmt: skip


@pytest.mark.parametrize("name", ["sum", "max", "min"])
@pytest.mark.parametrize("shape, axis", CASES, ids=str)
def test_reductions(cupy, name, shape, axis):
    for dtype in TOLERANCE:
        x = rng.normal(size=shape).astype(dtype)
        for turned in (False, True):
            host = x.T if turned else x
            axes = tuple(sorted(len(shape) - 1 - i for i in axis)) if turned else axis
            there = cupy.array(x)
            there = there.T if turned else there
            expected = NUMPY[name](host, axes)
            found = cupy.launch(name, there, axis=axes)
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            out = cupy.full(expected.shape, 7.0, dtype)
            assert cupy.launch(name, there, axis=axes, out=out) is out
            for made in (found, out):
                np.testing.assert_allclose(cupy.numpy(made), expected, TOLERANCE[dtype], TOLERANCE[dtype] * 30)


def test_an_out_of_another_order_or_type_is_filled(cupy):
    x = rng.normal(size=(4, 5, 6))
    out, single = cupy.full((6, 1, 4), 7.0, "float64").T, cupy.full((4, 1, 6), 7.0, "float32")
    cupy.launch("sum", cupy.array(x), axis=(1,), out=out)
    cupy.launch("sum", cupy.array(x), axis=(1,), out=single)
    np.testing.assert_allclose(cupy.numpy(out), x.sum(1, keepdims=True), 1e-12)
    np.testing.assert_allclose(cupy.numpy(single), x.sum(1, keepdims=True), 1e-5, 1e-5)


@pytest.mark.parametrize(
    "shape, to", [((6, 4), (4,)), ((6, 4), (6, 1)), ((2, 6, 4), (6, 1)), ((2, 6, 4), ()), ((3,), (3,))]
)
def test_what_was_broadcast_is_added_up(cupy, shape, to):
    x = rng.normal(size=shape)
    expected = NUMPY["sum_to"](x, to)
    out = cupy.full(to, 7.0, "float64")
    for made in (
        cupy.launch("sum_to", cupy.array(x), shape=to),
        cupy.launch("sum_to", cupy.array(x), shape=to, out=out),
    ):
        assert made.shape == to
        np.testing.assert_allclose(cupy.numpy(made), expected, 1e-13)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("shape, axis", [((40, 9), (0,)), ((9, 40), (1,)), ((2, 2000), (1,))], ids=str)
def test_nan_wins_and_infinities_count(cupy, name, shape, axis):
    x = rng.normal(size=shape)
    x[0, 0], x[1, -1], x[1, 3] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(cupy.numpy(cupy.launch(name, cupy.array(x), axis=axis)), NUMPY[name](x, axis))


def test_halves_count_beyond_two_thousand(cupy):
    x = cupy.full((5000, 8), 1.0, "float16")
    assert (cupy.numpy(cupy.launch("sum", x, axis=(0,))) == 5000).all()


def test_integers_and_empty_arrays_are_cupys(cupy):
    assert cupy.numpy(cupy.launch("sum", cupy.array(np.arange(6)), axis=(0,))) == 15
    assert (cupy.numpy(cupy.launch("sum", cupy.full((0, 3), 1.0, "float32"), axis=(0,))) == 0).all()
    assert cupy.launch("sum", cupy.full((3,), 1.0, "float32"), axis=()).shape == (3,)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("dtype", ["int64", "bool"])
@pytest.mark.parametrize("axis", [(0,), (1,), (0, 1)], ids=str)
def test_what_cupy_reduces_goes_where_it_is_wanted(cupy, name, dtype, axis):
    x = rng.integers(0, 2, (3, 4)).astype(dtype)
    for host, there in (x, cupy.array(x)), (x.T, cupy.array(x).T):
        expected = NUMPY[name](host, axis)
        out = cupy.full(expected.shape, 1, dtype)
        assert cupy.launch(name, there, axis=axis, out=out) is out
        np.testing.assert_array_equal(cupy.numpy(out), expected)


def test_the_order_of_a_sum_is_the_same_every_time(cupy):
    x = cupy.array(rng.normal(size=(9000, 40)).astype("float32"))
    first, again = (cupy.numpy(cupy.launch("sum", x, axis=(0,))) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_an_array_is_seen_in_as_few_dimensions_as_it_has():
    x = np.zeros((4, 3, 5, 6))
    assert viewed(x, (0, 2, 3)) == (((1, 0), (3, 30)), ((4, 90), (30, 1)))
    assert viewed(x, (0, 1)) == (((1, 0), (30, 1)), ((1, 0), (12, 30)))
    assert viewed(np.zeros((2, 2, 2, 2, 2)), (0, 2, 4)) is None
