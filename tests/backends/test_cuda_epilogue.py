"""Small products with a chain behind them give what product and chain give one by one; so do large ones, bias apart."""

import numpy as np
import pytest
import strict_cuda

from tinynet.backends.cuda.chains.chain import Place
from tinynet.backends.cuda.chains.epilogue import as_matrix
from tinynet.backends.cuda.chains.fusion import in_chains
from tinynet.modes import switched
from tinynet.program import Program

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(12)
TOLERANCE = {"float64": 1e-13, "float32": 1e-5, "float16": 4e-3}  # a sum of some dozen terms; halves round once more
EVERY = 1 << 20


def host(shape, dtype):
    return rng.normal(size=shape).astype(dtype)


def names(calls):
    return [call.name for call in calls if not call.is_view]


def check(cupy, work, given, expected, small=EVERY):
    """Record the work, replay it joined, and compare every result with that of the calls one by one."""
    program = Program(cupy)
    arrays = [cupy.array(x) for x in given]
    with switched(recorder=program):
        made = work(cupy.launch, *arrays)
    wanted = [cupy.numpy(x).copy() for x in made]
    for x in made:
        x.fill(7)
    calls = in_chains(program, cupy.module, small)
    for call in calls:
        if not call.is_view:
            call.kernel(*call.inputs, out=call.out, **call.params)
    assert names(calls) == expected
    for found, x in zip(made, wanted, strict=True):
        tolerance = TOLERANCE[x.dtype.name]
        np.testing.assert_allclose(cupy.numpy(found), x, tolerance, tolerance * 10)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("m, k, n", [(3, 5, 4), (40, 33, 70), (2, 300, 3)])  # a tile, several, a warp for each result
def test_a_layer_its_activation_and_the_slope_of_that(cupy, m, k, n, dtype):
    def work(launch, x, w, b):
        out = launch("tanh", launch("linear", x, w, b))
        return out, launch("sub", 1, launch("mul", out, out))

    given = [host(shape, dtype) for shape in ((m, k), (n, k), (n,))]
    check(cupy, work, given, ["chain of linear, tanh, mul, sub"])
    check(cupy, work, given, ["linear", "chain of add, tanh, mul, sub"], small=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradients_of_a_layer(cupy, dtype):
    def work(launch, g, x, w, made):
        towards_x = launch("relu_gradient", launch("rows_times", g, w), made)
        return towards_x, launch("rows_product", g, x), launch("sum_to", g, shape=(4,))

    given = [host((9, 4), dtype), host((9, 7), dtype), host((4, 7), dtype), np.maximum(host((9, 7), dtype), 0)]
    check(cupy, work, given, ["chain of rows_times, relu_gradient", "chain of rows_product, sum_to"])
    check(cupy, work, given, ["rows_times", "relu_gradient", "rows_product", "sum_to"], small=0)


@pytest.mark.parametrize("rows", [5, 300])
def test_rows_added_on_the_way_in_every_kernel(cupy, rows):
    def work(launch, g, x):
        return launch("rows_product", g, x), launch("sum_to", g, shape=(g.shape[-1],))

    for shape in ((rows, 40), (3, rows, 2)):
        given = [host(shape, "float64"), host((*shape[:-1], 35), "float64")]
        check(cupy, work, given, ["chain of rows_product, sum_to"])


def test_sequences_of_rows_and_what_is_repeated_along_them(cupy):
    def work(launch, x, w, b, residual, row, column):
        made = launch("add", launch("linear", x, w, b), residual)
        return launch("mul", launch("add", made, row), column), made

    given = [host(shape, "float64") for shape in ((2, 3, 5), (4, 5), (4,), (2, 3, 4), (4,), (2, 3, 1))]
    check(cupy, work, given, ["chain of linear, add, add, mul"])


def test_what_does_not_run_along_the_rows_stays_behind(cupy):
    def work(launch, x, w, once):
        made = launch("linear", x, w, None)
        return (launch("mul", made, once),)

    given = [host(shape, "float64") for shape in ((2, 3, 5), (4, 5), (1, 3, 4))]
    check(cupy, work, given, ["linear", "mul"])


def test_a_product_does_not_overwrite_what_it_reads(cupy):
    def work(launch, x, w):
        made = launch("matmul", x, w)
        launch("add", made, 1.0, out=x)
        return x, made

    x, w = host((4, 4), "float64"), host((4, 4), "float64")
    program = Program(cupy)
    a, b = cupy.array(x), cupy.array(w)
    with switched(recorder=program):
        work(cupy.launch, a, b)
    assert names(in_chains(program, cupy.module, EVERY)) == ["matmul", "add"]


def test_the_result_of_the_product_is_kept_where_somebody_reads_it(cupy):
    def work(launch, x, w, b):
        made = launch("linear", x, w, b)
        return launch("relu", made), launch("sum", made, axis=(0,)), made

    given = [host(shape, "float32") for shape in ((6, 5), (4, 5), (4,))]
    check(cupy, work, given, ["chain of linear, relu", "sum"])


def test_a_single_number_behind_a_product_is_stored_once(cupy):
    def work(launch, x, w, one):
        share = launch("div", one, 3)
        return launch("mul", launch("matmul", x, w), share), share

    given = [host((4, 5), "float64"), host((5, 6), "float64"), np.ones((), "float64")]
    check(cupy, work, given, ["div", "chain of matmul, mul"])


def test_products_that_no_kernel_of_ours_does_are_left_alone(cupy):
    def work(launch, stack, other, x, row):
        return launch("matmul", stack, other), launch("matmul", x, row), launch("relu", launch("matmul", stack, other))

    given = [host(shape, "float64") for shape in ((2, 3, 4), (2, 4, 3), (3, 4), (4,))]
    check(cupy, work, given, ["matmul", "matmul", "matmul", "relu"])


def test_a_space_as_a_matrix():
    def lies(shape, *strides):
        return as_matrix(shape, [Place(0, "float32", step) for step in strides])

    assert lies((2, 3, 4), (12, 4, 1), (0, 0, 1), (0, 0, 0)) == [(4, 1), (0, 1), (0, 0)]
    assert lies((2, 1, 4), (4, 0, 1)) == [(4, 1)]
    assert lies((2, 3, 4), (0, 4, 1)) is None
    assert lies((3, 4), (1, 3)) == [(1, 3)]
