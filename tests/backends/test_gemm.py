"""The kernels for small products give NumPy's products for every layout, with a bias.

Without a GPU they run on the CPU, thread after thread; on a GPU the same tests run there.
"""

import numpy as np
import pytest
import strict_cuda
import strict_cupy
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import AROUND, TOLERANCE, TYPES, layouts, numbers

from tinynet import get_backend
from tinynet.backends.cuda import gemm
from tinynet.backends.cuda.layout import stacked
from tinynet.backends.cuda.module import Module

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

BOTH = pytest.mark.parametrize("warps", [True, False], ids=["warps", "tiles"])


@pytest.fixture(params=["stand-in", pytest.param("GPU", marks=pytest.mark.gpu)], scope="module")
def module(request):
    return get_backend("cupy").module if request.param == "GPU" else Module(strict_cupy)


def multiply(module, x, y, out, b=None, warps=None):
    return gemm.small_product(module, stacked(x, y, out), x, y, out, b, warps)


def wide(xp, a):
    return xp.asnumpy(a).astype("float64")


@st.composite
def layouts_of_a_product(draw, warps):
    """Layouts for x, y and the result. On the CPU a warp takes its time, so that it is given few results."""
    m, n = (draw(st.sampled_from([1, 2, 3] if warps else [1, 5, 32, 33])) for _ in "mn")
    k = draw(st.sampled_from([1, 5, 31, 32, 33, 40]))
    before, after = draw(st.sampled_from([((), ()), ((3,), (3,)), ((3,), ()), ((), (3,))]))
    shapes = (*before, m, k), (*after, k, n), (*np.broadcast_shapes(before, after), m, n)
    return [draw(layouts(shape)) for shape in shapes]


@BOTH
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=30)
@given(data=st.data(), biased=st.booleans())
def test_small_products_in_every_layout(module, dtype, warps, data, biased):
    lies = data.draw(layouts_of_a_product(warps))
    xp, n = module.xp, lies[2].shape[-1]
    (_, x), (_, y), (whole, out) = (a.place(xp, numbers(*a.shape).astype(dtype)) for a in lies)
    expected, b = wide(xp, x) @ wide(xp, y), None
    if biased and stacked(x, y, out).n == n:  # columns of a whole stack that run together have no bias each
        b = xp.asarray(numbers(n).astype(dtype))
        expected += wide(xp, b)
    multiply(module, x, y, out, b, warps)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(wide(xp, out), expected, rtol=2 * tolerance, atol=40 * tolerance)  # 40 terms
    out[...] = AROUND
    assert (xp.asnumpy(whole) == AROUND).all()


@pytest.mark.parametrize("warps, shape", [(True, (3, 300, 5)), (False, (33, 70, 65))], ids=["warps", "tiles"])
def test_products_of_several_blocks(module, warps, shape):
    (m, k, n), xp = shape, module.xp
    x, y, out = xp.asarray(numbers(m, k)), xp.asarray(numbers(n, k)).T, xp.empty((m, n), "float32")
    multiply(module, x, y, out, warps=warps)
    np.testing.assert_allclose(wide(xp, out), wide(xp, x) @ wide(xp, y), rtol=1e-5, atol=1e-4)  # 300 terms of float32


@BOTH
def test_nothing_is_hidden(module, warps):
    xp = module.xp
    x = xp.asarray(np.array([[np.nan], [np.inf], [-np.inf], [1e4], [-1e4]]))
    out = multiply(module, x, xp.ones((1, 1)), xp.empty((5, 1)), warps=warps)
    np.testing.assert_array_equal(wide(xp, out), wide(xp, x))


def test_sizes_choose_the_kernel():
    x, y = strict_cupy.zeros((4, gemm.LONG)), strict_cupy.zeros((gemm.LONG, 4))
    long_sums = stacked(x, y, strict_cupy.zeros((4, 4)))
    assert gemm.by_warps(long_sums, 1)
    assert not gemm.by_warps(long_sums, gemm.FEW)
    assert not gemm.by_warps(stacked(x[:, 1:], y[1:], strict_cupy.zeros((4, 4))), 1)


def test_what_one_launch_cannot_do():
    stack = stacked(*[strict_cupy.zeros(shape) for shape in ((4, 3), (3, 5), (4, 5))])
    b = strict_cupy.zeros(10)
    assert gemm.fits(stack, None, b.dtype)
    assert gemm.fits(stack, b[:5], b.dtype)
    for wrong in (b[::2], b, b[:5].astype("float32"), strict_cupy.zeros((1, 5))):
        assert not gemm.fits(stack, wrong, b.dtype)
    heads = strict_cupy.zeros((2, 4, 3, 5))
    q, k = heads.transpose(0, 2, 1, 3), heads.transpose(0, 2, 3, 1)
    assert not gemm.fits(stacked(q, k, strict_cupy.zeros((2, 3, 4, 4))), None, b.dtype)
