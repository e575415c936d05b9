"""matmul and its kin on CUDA are NumPy's, whichever way they are computed, and none goes through CuPy's cuBLAS."""

import numpy as np
import pytest
import strict_cupy
from layouts import TYPES, numbers

import tinynet as tn
from tinynet import Tensor
from tinynet.errors import DeviceMemoryError

CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of up to 60 terms


@pytest.fixture(params=["own kernels", "cuBLAS"])
def products(cupy, request, monkeypatch):
    """Products that are all computed in one of the two ways."""
    monkeypatch.setattr(cupy.products, "small", 0 if request.param == "cuBLAS" else 1 << 12)
    return cupy.products


SHAPES = [
    ((4, 3), (3, 5)), ((3,), (3, 5)), ((4, 3), (3,)), ((3,), (3,)), ((2, 4, 3), (3,)), ((3,), (2, 3, 5)),
    ((2, 4, 3), (3, 5)), ((4, 3), (2, 3, 5)), ((2, 1, 4, 3), (6, 3, 5)), ((2, 6, 4, 3), (2, 6, 3, 5)),
    ((0, 3), (3, 5)), ((4, 0), (0, 5)), ((2, 0, 3), (3, 5)), ((0, 4, 3), (0, 3, 5)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul_reads_shapes_as_numpy_does(products, shapes):
    xp, (x, y) = products.xp, (numbers(*shape) for shape in shapes)
    expected = x @ y
    place = xp.empty(expected.shape[::-1], "float32").T
    for out in (None, xp.empty(expected.shape, "float32"), place):
        found = products.matmul(xp.asarray(x), xp.asarray(y), out=out)
        assert out is None or found is out
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(xp.asnumpy(found), expected, **CLOSE)


@pytest.mark.parametrize("shapes", [((4, 3), (4, 5)), ((3,), (4,)), ((2, 4, 3), (3, 3, 5))], ids=str)
def test_shapes_that_do_not_fit(products, shapes):
    x, y = (products.xp.asarray(numbers(*shape)) for shape in shapes)
    with pytest.raises(ValueError):
        products.matmul(x, y)
    with pytest.raises(ValueError, match=r"shape \(3, 3\) does not fit an out of shape \(3, 4\)"):
        products.matmul(products.xp.ones((3, 2)), products.xp.ones((2, 3)), out=products.xp.empty((3, 4)))


@pytest.mark.parametrize("x, y", [("float32", "float64"), ("float16", "float32"), ("int32", "float32")])
def test_two_types_meet_in_the_wider_one(products, x, y):
    x, y = (numbers(4, 4) * 3).round().astype(x), (numbers(4, 4) * 3).round().astype(y)
    found = products.matmul(products.xp.asarray(x), products.xp.asarray(y))
    np.testing.assert_array_equal(products.xp.asnumpy(found), x @ y, strict=True)  # whole numbers: no rounding


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool"])
def test_whole_numbers_are_multiplied_too(products, dtype):
    xp, x, y = products.xp, (numbers(4, 3) * 3).astype(dtype), (numbers(3, 5) * 3).astype(dtype)
    np.testing.assert_array_equal(xp.asnumpy(products.matmul(xp.asarray(x), xp.asarray(y))), x @ y, strict=True)


ROUNDING = {"float64": 2**-53, "float32": 2**-24, "float16": 2**-11, "bfloat16": 2**-8}  # half a unit, relative


@pytest.mark.parametrize("dtype", TYPES)
def test_a_product_of_each_type_has_that_type(products, dtype):
    xp, x, y = products.xp, numbers(4, 3).astype(dtype), numbers(5, 3).astype(dtype)
    found = products.linear(xp.asarray(x), xp.asarray(y), xp.asarray(y[:, 0].copy()))
    assert found.dtype == np.dtype(dtype)
    wide_x, wide_y = x.astype("float64"), y.astype("float64")
    product, added = wide_x @ wide_y.T, wide_y[:, 0]
    unit, unit_inside = ROUNDING[dtype], ROUNDING["float64" if dtype == "float64" else "float32"]
    twice = unit * (abs(product) + abs(product + added))  # rounded as a product, and once more with the bias
    inside = 4 * unit_inside * (abs(wide_x) @ abs(wide_y).T)  # three terms added up
    assert (abs(xp.asnumpy(found).astype("float64") - product - added) <= 1.01 * twice + inside).all()


def test_an_out_of_another_type_and_one_that_is_read(products):
    xp, x = products.xp, numbers(4, 4)
    for dtype in ("float64", "float16"):
        out = products.matmul(xp.asarray(x), xp.asarray(x), out=xp.empty((4, 4), dtype))
        np.testing.assert_allclose(xp.asnumpy(out), x @ x, atol=2**-8)
    place = xp.asarray(x)
    assert products.matmul(place, place.T, out=place) is place
    np.testing.assert_allclose(xp.asnumpy(place), x @ x.T, **CLOSE)


def test_half_floats_add_up_in_float32(products):
    ones = products.xp.ones((1, 4095), "float16")  # added up in float16, they would stay at 2048
    assert products.xp.asnumpy(products.matmul(ones, ones.T)) == 4096  # the nearest half float
    exact = products.matmul(ones, ones.T, out=products.xp.empty((1, 1), "float32"))
    assert products.xp.asnumpy(exact) == 4095


def test_linear_and_the_products_of_its_gradient(products):
    xp, x, w, b = products.xp, numbers(2, 3, 4), numbers(5, 4), numbers(5)
    on_card = [xp.asarray(a) for a in (x, w, b)]
    for found, expected in (
        (products.linear(*on_card), x @ w.T + b),
        (products.linear(on_card[0][0, 0], *on_card[1:]), x[0, 0] @ w.T + b),
        (products.linear(*on_card[:2], None), x @ w.T),
        (products.linear(xp.asarray(x)[..., ::2], on_card[1][:, ::2], xp.asarray(np.repeat(b, 2))[::2]),
         x[..., ::2] @ w[:, ::2].T + b),
        (products.rows_product(on_card[0], xp.asarray(x[..., :2])), x.reshape(6, 4).T @ x[..., :2].reshape(6, 2)),
        (products.rows_product(xp.asarray(x.transpose(1, 0, 2)).transpose(1, 0, 2), on_card[0]),
         x.reshape(6, 4).T @ x.reshape(6, 4)),
    ):  # fmt: skip
        np.testing.assert_allclose(xp.asnumpy(found), expected, **CLOSE)


# --- which way --------------------------------------------------------------------------------------------------------


def test_sizes_alone_choose_the_way(strict):
    library, products, xp = strict.products.blas.library, strict.products, strict.xp
    products.small = 4 * 3 * 5
    x, y, b = (xp.asarray(numbers(*shape)) for shape in ((4, 3), (3, 5), (5,)))
    before = library.cublasGemmEx.calls
    products.affine(x, y, b)
    assert library.cublasGemmEx.calls == before
    products.small -= 1
    products.affine(x, y, b)
    assert library.cublasGemmEx.calls == before + 1


def test_no_product_goes_through_cupy(strict, monkeypatch):
    monkeypatch.setattr(strict_cupy, "matmul", None)
    tn.manual_seed(1)
    model = tn.nn.Sequential(tn.nn.Linear(20, 40), tn.nn.Tanh(), tn.nn.Linear(40, 2)).to("cupy")
    x = Tensor(numbers(30, 20), backend="cupy", requires_grad=True)
    (model(x) @ Tensor(numbers(3, 2, 4), backend="cupy")).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_a_card_that_is_full(strict):
    strict.products.small = 0
    strict.products.blas.library.cublasGemmEx.fails = 3
    x = Tensor(numbers(3, 3), backend="cupy")
    with pytest.raises(DeviceMemoryError, match=r"no room for matmul\(\(3, 3\), \(3, 3\)\)"):
        x @ x
