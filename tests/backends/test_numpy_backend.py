"""NumPy's kernels where the size or the layout decides how they compute: the numbers are the same either way."""

import ctypes
import math
import os

import numpy as np
import pytest

from tinynet import get_backend
from tinynet.bench import memory
from tinynet.errors import ArgumentError

NUMPY = get_backend("numpy")
RANDOM = np.random.default_rng(8)


def close(ours, exact, tolerance=3e-6):
    """Within a few roundings of a float32, beside the largest number."""
    np.testing.assert_allclose(ours, exact, 0, tolerance * max(1.0, np.abs(exact).max()))


@pytest.mark.parametrize("shape", [(700, 60), (30, 20, 60), (4, 60), (60_000, 2), (40_000,)])
@pytest.mark.parametrize("transposed", [False, True])
def test_rows_add_up_whatever_their_number(shape, transposed):
    x = RANDOM.random(shape, np.float32)
    x = x.T.copy().T if transposed else x
    for leading in range(1, len(shape) + 1):
        axis = tuple(range(leading))
        exact = x.astype("float64").sum(axis, keepdims=True)
        fresh = NUMPY.launch("sum", x, axis=axis)
        assert fresh.shape == exact.shape and fresh.dtype == np.float32
        np.testing.assert_allclose(fresh, exact, 3e-5)
        place = np.full_like(fresh, 77)
        np.testing.assert_array_equal(NUMPY.launch("sum", x, axis=axis, out=place), fresh)
    whole = (x * 9).astype("int64")
    np.testing.assert_array_equal(NUMPY.launch("sum", whole, axis=(0,)), whole.sum(0, keepdims=True))


@pytest.mark.parametrize("size", [7, 70_000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_relu_whatever_the_size(size, dtype):
    x = (RANDOM.normal(size=size) * 50).astype(dtype)
    if x.dtype.kind == "f":
        x[:4] = math.inf, -math.inf, math.nan, -0.0
    ours = NUMPY.launch("relu", x)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, np.where(x <= 0, 0, x))
    np.testing.assert_array_equal(NUMPY.launch("relu", x, out=np.empty_like(x)), ours)


@pytest.mark.parametrize(
    "shape, axes", [((6, 5, 24), (2,)), ((6, 4, 30), (1, 2)), ((3, 9000), (1,)), ((6, 5, 24), (0, 2))]
)
@pytest.mark.parametrize("far", [0.0, 30.0])
def test_normalising_rows_short_and_long(shape, axes, far):
    """Against the formulas in float64, also where the mean is many times the spread."""
    x, g = (RANDOM.normal(size=shape).astype("float32") for _ in range(2))
    x += np.float32(far)
    few = tuple(1 if i not in axes else n for i, n in enumerate(shape))[min(axes) :]
    w, b = RANDOM.normal(size=(2, *few)).astype("float32")
    out, mean, var = NUMPY.launch("normalise", x, w, b, axes=axes, eps=1e-5)
    wide, arriving = x.astype("float64"), g.astype("float64")
    scale = 1 / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
    normal = (wide - wide.mean(axes, keepdims=True)) * scale
    close(out, normal * w + b, 3e-6 + 1e-6 * far)
    close(mean, wide.mean(axes, keepdims=True))
    towards_x, towards_w = NUMPY.launch("normalise_grad", g, x, w, mean, var, axes=axes, eps=1e-5)
    gw = arriving * w
    inner = gw - gw.mean(axes, keepdims=True) - normal * (gw * normal).mean(axes, keepdims=True)
    close(towards_x, scale * inner, 3e-6 + 1e-6 * far)
    new = len(shape) - len(few)
    repeated = tuple(i for i in range(len(shape)) if i < new or few[i - new] == 1)
    close(towards_w, (arriving * normal).sum(repeated, keepdims=True).reshape(few), 1e-5 + 1e-6 * far)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_rows_that_do_not_exist_are_refused_and_named(dtype):
    weight = RANDOM.normal(size=(5, 3)).astype("float32")

    def rows(index, out=None):
        return NUMPY.launch("embedding", weight, index, padding_idx=None, layer="Embedding(5, 3)", out=out)

    index = np.array([[0, 4], [2, 2]], dtype).T
    np.testing.assert_array_equal(rows(index), weight[index])
    place = np.empty((3, 2, 2), "float32").transpose(1, 2, 0)
    np.testing.assert_array_equal(rows(index, place), weight[index])
    assert rows(index[:0]).shape == (0, 2, 3)
    for stray in (5, 100) if dtype == "uint8" else (5, 100, -1, -5):
        with pytest.raises(ArgumentError, match=rf"rows 0 … 4; got index {stray}\."):
            rows(np.array([1, stray, 2], dtype))


def test_memory_that_arrays_left_behind_goes_back_to_the_system():
    """An array above many freed ones keeps the C library from giving them back by itself."""
    if not hasattr(ctypes.CDLL(None) if os.name == "posix" else None, "malloc_trim") or memory.resident() is None:
        pytest.skip("needs glibc, and a system that says how much memory a process holds")
    arrays = [np.ones(15_000) for _ in range(400)]  # below what is mapped by itself: 48 MB in all
    last = arrays.pop()
    held = memory.resident()
    arrays.clear()
    NUMPY.tidy()
    assert memory.resident() < held - 30
    assert last.all()
