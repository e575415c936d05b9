"""Convolution on CUDA gives NumPy's numbers, by kernels of our own and by columns, the same ones every time.

Without a GPU the strict stand-in runs the kernels; on a GPU the same tests run there.
"""

import numpy as np
import pytest
from cuda_images import ENGINES, NUMPY, TYPES, Images
from fused_image import SAMPLERS
from hypothesis import given, settings

from tinynet import get_float32_matmul_precision, set_float32_matmul_precision
from tinynet.backends.cuda.kernels import conv
from tinynet.backends.cuda.kernels.conv_rule import MOST, chosen
from tinynet.backends.cuda.kernels.window import Convolution, sliding

rng = np.random.default_rng(5)
NO_PADDING = ((0, 0), (0, 0))
PLAIN = {"stride": (1, 1), "padding": NO_PADDING, "dilation": (1, 1), "groups": 1}
SAME = PLAIN | {"padding": ((1, 1), (1, 1))}
NAMES = ("conv2d", "conv_transpose2d", "conv2d_weight_grad")


@pytest.fixture(params=ENGINES, scope="module")
def either(request):
    """Both ways, by name; ``either.go`` chooses."""
    return Images(request.param)


@pytest.fixture(params=["own", "columns"])
def images(either, request):
    """One way."""
    either.go(request.param)
    return either


def numbers(*shape, dtype="float64"):
    return rng.normal(size=shape).astype(dtype)


def all_three(images, x, w, b, window):
    """The convolution, the slope of its image, and of its weights."""
    out = images.check("conv2d", (x, w, b), window)
    g = numbers(*out.shape, dtype=x.dtype)
    images.check("conv_transpose2d", (g, w, None), {"size": x.shape[2:], **window})
    images.check("conv2d_weight_grad", (g, x), {"kernel_size": w.shape[2:], **window})


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["own", "columns"])
@settings(max_examples=50)
@given(SAMPLERS["conv2d"])
def test_convolution_and_its_slopes(either, way, drawn):
    either.go(way)
    all_three(either, *drawn.arrays, drawn.params)


@pytest.mark.parametrize("way", ["own", "columns"])
@settings(max_examples=50)
@given(SAMPLERS["conv_transpose2d"])
def test_transposed_convolution(either, way, drawn):
    either.go(way)
    either.check("conv_transpose2d", drawn.arrays, drawn.params)


# (images, weights, settings): edges of tiles of 8 to 64 rows and of 32 columns, sums longer than a step of 32 terms
SHAPES = [
    ((2, 1, 13, 13), (20, 1, 5, 5), PLAIN),
    ((2, 20, 9, 9), (40, 20, 5, 5), PLAIN),
    ((1, 31, 8, 7), (33, 31, 3, 3), SAME),
    ((3, 64, 4, 4), (64, 64, 1, 1), PLAIN),
    ((2, 6, 1, 257), (4, 3, 1, 3), PLAIN | {"groups": 2, "stride": (1, 2), "padding": ((0, 0), (1, 1))}),
    ((1, 12, 10, 11), (12, 1, 3, 3), SAME | {"groups": 12}),
    ((1, 2, 15, 14), (65, 2, 3, 2), PLAIN | {"stride": (3, 2), "dilation": (2, 3), "padding": ((2, 0), (1, 3))}),
]


@pytest.mark.parametrize("x, w, window", SHAPES)
def test_odd_sizes(images, x, w, window):
    all_three(images, numbers(*x), numbers(*w), numbers(w[0]), window)


@pytest.mark.parametrize("dtype", TYPES[1:])
@pytest.mark.parametrize("x, w, window", [SHAPES[i] for i in (1, 4)])
def test_other_types(images, x, w, window, dtype):
    all_three(images, numbers(*x, dtype=dtype), numbers(*w, dtype=dtype), numbers(w[0], dtype=dtype), window)


@pytest.mark.parametrize("outputs", [3, 20, 44, 100])
@pytest.mark.parametrize("full", [1, 5])
def test_tiles_of_all_sizes(either, monkeypatch, outputs, full):
    """Cards that few blocks keep busy get broad tiles."""
    either.go("own")
    monkeypatch.setattr(conv, "FULL", full)
    x, w = numbers(2, 7, 9, 9, dtype="float32"), numbers(outputs, 7, 3, 3, dtype="float32")
    all_three(either, x, w, numbers(outputs, dtype="float32"), SAME)


def test_tiles_are_as_high_as_suits():
    assert [conv.tall(n, "float32") for n in (1, 10, 20, 32, 40, 48, 64, 96, 200)] == [1, 2, 3, 4, 5, 6, 8, 6, 5]
    assert max(conv.tall(n, "float64") for n in range(1, 200)) == 5
    assert [conv.broad(n, 1) for n in (100, 264 * 64, 264 * 128)] == [32, 64, 128]


def test_arrays_that_lie_anyhow(images):
    x = numbers(7, 6, 3, 2).transpose(3, 2, 0, 1)
    w = np.broadcast_to(numbers(1, 3, 1, 2), (4, 3, 2, 2))
    all_three(images, x, w, numbers(8)[::2], PLAIN)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0)])
def test_out_is_filled(images, order, dtype):
    out = images.xp.full([(2, 4, 5, 5)[i] for i in order], 9, dtype).transpose(*np.argsort(order))
    given = numbers(2, 3, 5, 5), numbers(4, 3, 3, 3), numbers(4)
    expected = NUMPY["conv2d"](*given, **SAME)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(images.run("conv2d", given, SAME, out=out), expected, rtol=tolerance, atol=tolerance)


def test_sums_divided_among_blocks(either):
    """The slope of few weights over many pixels: in two launches, and bit for bit the same every time."""
    either.go("own")
    g, x = numbers(3, 4, 30, 30, dtype="float32"), numbers(3, 2, 32, 32, dtype="float32")
    window = {"kernel_size": (3, 3), **PLAIN}
    either.check("conv2d_weight_grad", (g, x), window)
    assert either.module.launched == ["convolved_weights", "sum_of_parts"]
    once, again = (either.run("conv2d_weight_grad", (g, x), window) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_what_is_not_finite(images):
    x, w = numbers(1, 2, 5, 5), numbers(3, 2, 3, 3)
    x[0, 0, 2, 2], x[0, 1, 0, 4] = np.nan, np.inf
    images.check("conv2d", (x, w, None), PLAIN)
    images.check("conv2d_weight_grad", (numbers(1, 3, 3, 3), x), {"kernel_size": (3, 3), **PLAIN})
    images.check("conv_transpose2d", (x, w[:2], None), {"size": (7, 7), **PLAIN})


# --- launches ---------------------------------------------------------------------------------------------------------


def launches(images, way, name, *arrays, **window):
    images.go(way)
    images.run(name, arrays, window)
    return [kernel for kernel in images.module.launched if not kernel.startswith("gemm")]


def test_how_many_launches(either):
    x, w, b, g = numbers(2, 3, 6, 6), numbers(4, 3, 3, 3), numbers(4), numbers(2, 4, 4, 4)
    assert launches(either, "own", "conv2d", x, w, b, **PLAIN) == ["convolve"]
    assert launches(either, "own", "conv_transpose2d", g, w, None, size=(6, 6), **PLAIN) == ["convolve"]
    assert launches(either, "own", "conv2d_weight_grad", g, x, kernel_size=(3, 3), **PLAIN) == ["convolved_weights"]
    assert launches(either, "columns", "conv2d", x, w, b, **PLAIN) == ["columns_of_windows", "add_to_channels"]
    assert launches(either, "columns", "conv2d", x, w, None, **PLAIN) == ["columns_of_windows"]
    transposed = launches(either, "columns", "conv_transpose2d", g, w, None, size=(6, 6), **PLAIN)
    assert transposed == ["windows_from_columns"]


def test_a_pixel_is_a_column_already(either):
    x, w, b = numbers(2, 3, 4, 5), numbers(6, 3, 1, 1), numbers(6)
    assert launches(either, "columns", "conv2d", x, w, b, **PLAIN) == ["add_to_channels"]
    assert launches(either, "columns", "conv_transpose2d", numbers(2, 6, 4, 5), w, None, size=(4, 5), **PLAIN) == []
    either.check("conv2d", (x, w, b), PLAIN)
    either.check("conv_transpose2d", (numbers(2, 6, 4, 5), w, numbers(3)), {"size": (4, 5), **PLAIN})
    strided = PLAIN | {"stride": (2, 1)}
    assert launches(either, "columns", "conv2d", x, w, b, **strided)[0] == "columns_of_windows"


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_holds_them(images, name):
    xp, window = images.xp, dict(SAME)
    x, w, g = (images.array(numbers(*shape)) for shape in ((2, 3, 6, 6), (4, 3, 3, 3), (2, 4, 6, 6)))
    given = {"conv2d": (x, w, None), "conv_transpose2d": (g, w, None), "conv2d_weight_grad": (g, x)}[name]
    window |= {"conv_transpose2d": {"size": (6, 6)}, "conv2d_weight_grad": {"kernel_size": (3, 3)}}.get(name, {})
    kernel = images.kernels[name]
    place = kernel(*given, **window)  # compiled
    stream, pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
    with stream, xp.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        kernel(*given, out=place, **window)
        graph = stream.end_capture()
    given[0][...] *= 2
    given[1][...] += 1
    graph.launch()
    stream.synchronize()
    expected = NUMPY[name](*[a if a is None else xp.asnumpy(a) for a in given], **window)
    np.testing.assert_allclose(xp.asnumpy(place), expected, rtol=1e-12, atol=1e-12)


# --- what is not taken ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, w",
    [
        (np.arange(32).reshape(1, 2, 4, 4), np.arange(24).reshape(3, 2, 2, 2)),
        (numbers(1, 2, 4, 4, dtype="float32"), numbers(3, 2, 2, 2)),
        (numbers(0, 2, 4, 4), numbers(3, 2, 2, 2)),
    ],
    ids=["integers", "two types", "no images"],
)
def test_what_goes_to_the_plain_kernel(images, x, w):
    images.module.launched.clear()
    found = images.kernels["conv2d"](images.array(x), images.array(w), None, **PLAIN)
    assert not set(images.module.launched) & {"convolve", "columns_of_windows"}
    np.testing.assert_array_equal(images.xp.asnumpy(found), NUMPY["conv2d"](x, w, None, **PLAIN))


@pytest.mark.skipif("bfloat16" not in np.sctypeDict, reason="ml_dtypes is not installed")
def test_bfloat16_beside_float32_is_computed_in_float32(images):
    x, w = numbers(1, 2, 4, 4).astype("bfloat16"), numbers(3, 2, 2, 2, dtype="float32")
    found = images.kernels["conv2d"](images.array(x), images.array(w), None, **PLAIN)
    assert found.dtype == "float32"
    expected = NUMPY["conv2d"](x.astype("float32"), w, None, **PLAIN)
    np.testing.assert_allclose(images.xp.asnumpy(found), expected, rtol=1e-5, atol=1e-5)


def test_shapes_that_do_not_fit_are_refused(images):
    with pytest.raises(ValueError):
        images.kernels["conv2d"](images.array(numbers(1, 2, 4, 4)), images.array(numbers(3, 3, 2, 2)), None, **PLAIN)


# --- the rule ---------------------------------------------------------------------------------------------------------


def sizes(batch, inputs, outputs, size, kernel, groups=1):
    window = sliding((size, size), (kernel, kernel), (1, 1), NO_PADDING)
    return Convolution(batch, groups, inputs // groups, outputs // groups, window)


@pytest.mark.parametrize("name", NAMES)
def test_the_rule(name):
    many = sizes(32, 256, 256, 16, 3)
    assert chosen(name, many, "float16") == "columns"  # tensor cores
    assert chosen(name, sizes(64, 256, 256, 16, 1), "float32") == "columns"  # nothing to copy
    assert chosen(name, sizes(64, 3, 16, 30, 3), "float32") == "own"  # more copied than multiplied
    huge = sizes(4096, 256, 256, 40, 3)
    assert huge.columns * 2 > MOST
    assert chosen(name, huge, "float16") == "own"
    assert (
        chosen(name, sizes(1, 70_000, 70_000, 4, 3, groups=70_000), "float32") == "columns"
    )  # more groups than a grid takes


def test_tf32_favours_columns():
    before = get_float32_matmul_precision()
    many = sizes(32, 64, 64, 16, 3)
    assert chosen("conv2d", many, "float32") == "own"
    set_float32_matmul_precision("high")
    try:
        assert chosen("conv2d", many, "float32") == "columns"
    finally:
        set_float32_matmul_precision(before)
