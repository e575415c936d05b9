"""Pooling on CUDA gives NumPy's numbers, in one launch each way, the same ones every time.

Without a GPU the strict stand-in runs the kernels; on a GPU the same tests run there.
"""

import numpy as np
import pytest
from cuda_images import ENGINES, NUMPY, TYPES, Images
from fused_image import SAMPLERS
from hypothesis import given, settings

from tinynet.backends.cuda.module import defined, divisor, source

rng = np.random.default_rng(4)
WINDOW = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}
OVERLAPPING = {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((1, 0), (0, 1))}
DILATED = {"kernel_size": (3, 3), "stride": (1, 2), "padding": ((1, 1), (1, 1)), "dilation": (2, 3)}
UNDILATED = {"dilation": (1, 1)}


@pytest.fixture(params=ENGINES, scope="module")
def images(request):
    return Images(request.param)


def numbers(*shape, dtype="float64"):
    """Few different numbers, so that windows find ties."""
    return rng.integers(-3, 4, shape).astype(dtype)


# --- numbers ----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(SAMPLERS["max_pool2d"])
def test_max_pool2d_and_its_slope(images, drawn):
    (x,) = drawn.arrays
    largest = images.check("max_pool2d", (x,), drawn.params)
    g = rng.normal(size=largest.shape)
    images.check("max_pool2d_grad", (g, x, largest), drawn.params)


@settings(max_examples=60)
@given(SAMPLERS["sum_pool2d"])
def test_sum_pool2d_and_its_slope(images, drawn):
    (x,) = drawn.arrays
    g = rng.normal(size=images.check("sum_pool2d", (x,), drawn.params).shape)
    images.check("sum_pool2d_grad", (g,), {"size": x.shape[2:], **drawn.params})


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("window", [WINDOW | UNDILATED, OVERLAPPING | UNDILATED, DILATED])
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 5, 31, 17), (2, 33, 12, 12)])
def test_types_and_odd_sizes(images, shape, window, dtype):
    x = numbers(*shape, dtype=dtype)
    largest = images.check("max_pool2d", (x,), window).astype(dtype)
    g = numbers(*largest.shape, dtype=dtype)
    images.check("max_pool2d_grad", (g, x, largest), window)
    if window is not DILATED:
        window = {key: value for key, value in window.items() if key != "dilation"}
        images.check("sum_pool2d", (x,), window)
        images.check("sum_pool2d_grad", (g,), {"size": shape[2:], **window})


def test_arrays_that_lie_anyhow(images):
    x = numbers(7, 6, 3, 2).transpose(3, 2, 0, 1)
    g = np.broadcast_to(rng.normal(size=(1, 3, 1, 1)), (2, 3, 3, 3))
    largest = images.check("max_pool2d", (x,), WINDOW | UNDILATED)
    images.check("max_pool2d_grad", (g, x, np.asfortranarray(largest)), WINDOW | UNDILATED)
    images.check("sum_pool2d_grad", (g,), {"size": (7, 6), **WINDOW})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0)])
def test_out_is_filled(images, order, dtype):
    x = numbers(2, 3, 6, 4)
    shape = [(2, 3, 3, 2)[i] for i in order]
    out = images.xp.full(shape, 9, dtype).transpose(*np.argsort(order))
    images.check("max_pool2d", (x,), WINDOW | UNDILATED, out=out)


# --- one pixel of a window --------------------------------------------------------------------------------------------


def test_the_first_of_the_largest_gets_it_all(images):
    x, g = np.ones((1, 1, 4, 5)), rng.normal(size=(1, 1, 2, 4))
    window = {"kernel_size": (2, 2), "stride": (2, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    found = images.run("max_pool2d_grad", (g, x, np.ones(g.shape)), window)
    expected = np.zeros(x.shape)
    expected[:, :, ::2, :4] = g
    np.testing.assert_array_equal(found, expected)


def test_nan_wins_and_has_no_slope(images):
    x = numbers(1, 2, 4, 4)
    x[0, 0, 0, 0], x[0, 0, 3, 3], x[0, 1, 2, 2], x[0, 1, 0, 3] = np.nan, np.nan, -np.inf, np.inf
    largest = images.check("max_pool2d", (x,), WINDOW | UNDILATED)
    assert np.isnan(largest[0, 0]).tolist() == [[True, False], [False, True]]
    images.check("max_pool2d_grad", (np.ones(largest.shape), x, largest), WINDOW | UNDILATED)


def test_what_a_border_wins_goes_to_nobody(images):
    x = np.full((1, 1, 3, 3), -np.inf)
    window = {"kernel_size": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
    largest = images.check("max_pool2d", (x,), window)
    images.check("max_pool2d_grad", (np.ones((1, 1, 3, 3)), x, largest), window)


def test_slopes_that_are_not_finite_stay_with_their_pixel(images):
    x, g = np.arange(16.0).reshape(1, 1, 4, 4), np.full((1, 1, 2, 2), np.inf)
    found = images.run("max_pool2d_grad", (g, x, x[..., 1::2, 1::2]), WINDOW | UNDILATED)
    assert np.isinf(found[..., 1::2, 1::2]).all()
    assert np.isinf(found).sum() == 4
    assert not np.isnan(found).any()


# --- launches, and what is not taken ----------------------------------------------------------------------------------


def test_one_launch_each_way(images):
    x = numbers(2, 3, 8, 8)
    largest = images.run("max_pool2d", (x,), OVERLAPPING | UNDILATED)
    assert images.module.launched == ["max_pool2d"]
    images.run("max_pool2d_grad", (largest, x, largest), OVERLAPPING | UNDILATED)
    assert images.module.launched == ["max_pool2d_grad"]
    images.run("sum_pool2d_grad", (largest,), {"size": (8, 8), **OVERLAPPING})
    assert images.module.launched == ["sum_pool2d_grad"]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_go_to_the_plain_kernels(images, dtype):
    x = numbers(2, 3, 4, 4, dtype=dtype)
    images.module.launched.clear()
    found = images.kernels["sum_pool2d"](images.array(x), **WINDOW)
    assert not images.module.launched
    np.testing.assert_array_equal(images.xp.asnumpy(found), NUMPY["sum_pool2d"](x, **WINDOW), strict=True)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_nothing_to_pool(images, shape):
    x = np.zeros(shape)
    for name, arrays in (("max_pool2d", (x,)), ("max_pool2d_grad", (x[..., :2, :2], x, x[..., :2, :2]))):
        result = images.kernels[name](*map(images.array, arrays), **WINDOW, **UNDILATED)
        assert result.shape == NUMPY[name](*arrays, **WINDOW, **UNDILATED).shape


def test_a_graph_holds_them(images):
    xp, x = images.xp, images.array(numbers(2, 3, 8, 8))
    place = xp.zeros((2, 3, 4, 4))
    kernel = images.kernels["max_pool2d"]
    kernel(x, **WINDOW, **UNDILATED)  # compiled
    stream, pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
    with stream, xp.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        kernel(x, out=place, **WINDOW, **UNDILATED)
        graph = stream.end_capture()
    x *= 2
    graph.launch()
    stream.synchronize()
    np.testing.assert_array_equal(xp.asnumpy(place), NUMPY["max_pool2d"](xp.asnumpy(x), **WINDOW, **UNDILATED))


# --- dividing without a division --------------------------------------------------------------------------------------

DIVISION = """
extern "C" __global__ void divide(const I* x, I* out, I* also, int count, unsigned long long packed, int d) {
    Divisor given(packed), found = Divisor::of(d);
    for (int i = threadIdx.x; i < count; i += blockDim.x) { out[i] = given.over(x[i]); also[i] = found.over(x[i]); }
}
"""


@pytest.mark.parametrize("d", [1, 2, 3, 5, 7, 24, 576, 641, 2**16, 2**16 + 1, 2**30 - 1, 2**30 + 1, 2**31 - 1])
def test_a_divisor_is_exact_up_to_its_limit(images, d):
    near = np.array([k * d + i for k in (0, 1, 2, 3, 1000, 2**31 // d - 1, 2**31 // d) for i in (-1, 0, 1)])
    x = np.unique(np.clip([*near, *rng.integers(0, 2**31, 200), 2**31 - 1], 0, 2**31 - 1)).astype("int32")
    code = defined({"I": "int32"}) + source("common.cuh").split("// What the 32 lanes")[0]
    code += "struct Divisor" + source("common.cuh").partition("struct Divisor")[2].partition("};")[0] + "};" + DIVISION
    out, also = images.xp.empty(len(x), "int32"), images.xp.empty(len(x), "int32")
    launch = images.module.compiled(code, "divide")
    launch(1, 64, images.array(x), out, also, np.int32(len(x)), divisor(d), np.int32(d))
    np.testing.assert_array_equal(images.xp.asnumpy(out), x // d)
    np.testing.assert_array_equal(images.xp.asnumpy(also), x // d)
