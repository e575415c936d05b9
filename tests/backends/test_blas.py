"""cuBLAS by ctypes gives NumPy's products for every layout, without copies where none is needed, and can be captured.

Without a GPU a strict stand-in is cuBLAS: it reads and writes the memory that it is pointed to, and refuses what the
header does not declare. On a GPU the same tests compare the numbers of cuBLAS itself.
"""

import sys
import types

import numpy as np
import pytest
import strict_cupy
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import AROUND, TOLERANCE, TYPES, layouts, numbers
from strict_cublas import StrictCublas

from tinynet import get_backend, set_float32_matmul_precision
from tinynet.backends.cuda import blas as blas_file
from tinynet.backends.cuda.blas import Blas, CublasError, load
from tinynet.errors import ArgumentError, BackendError


@pytest.fixture(params=["stand-in", pytest.param("GPU", marks=pytest.mark.gpu)], scope="module")
def door(request):
    return get_backend("cupy").products.blas if request.param == "GPU" else Blas(strict_cupy, StrictCublas())


@pytest.fixture
def strict_door():
    return Blas(strict_cupy, StrictCublas())


def calls(blas):
    """How often the library has multiplied: single products, and stacks."""
    return blas.library.cublasGemmEx.calls, blas.library.cublasGemmStridedBatchedEx.calls


def check(blas, placed, tolerance):
    """The product of two placed arrays, in a third: the numbers are NumPy's, and what lies between them stays."""
    (_, x), (_, y), (whole, out) = placed
    on_host = blas.xp.asnumpy
    expected = on_host(x).astype("float64") @ on_host(y).astype("float64")
    assert blas.gemm(x, y, out) is out
    np.testing.assert_allclose(on_host(out).astype("float64"), expected, rtol=tolerance, atol=10 * tolerance)
    out[...] = AROUND
    assert (on_host(whole) == AROUND).all()


sizes = st.integers(0, 6)
stacks = [((), ()), ((3,), (3,)), ((2, 3), (2, 3)), ((3,), ()), ((), (3,)), ((2, 1), (3,)), ((2, 1, 2), (2, 3, 1))]


@st.composite
def layouts_of_a_product(draw, plain):
    """Layouts for x, y and the result."""
    m, n, k = draw(sizes), draw(sizes), draw(sizes)
    before, after = draw(st.sampled_from(stacks))
    shapes = (*before, m, k), (*after, k, n), (*np.broadcast_shapes(before, after), m, n)
    return [draw(layouts(shape, plain)) for shape in shapes]


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "any"])
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=50)
@given(data=st.data())
def test_products_in_every_layout(door, dtype, plain, data):
    lies = data.draw(layouts_of_a_product(plain))
    check(door, [a.place(door.xp, numbers(*a.shape).astype(dtype)) for a in lies], TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float16", TYPES[-1]])
def test_products_of_half_floats_in_float32(door, dtype):
    x, y, out = (door.xp.asarray(numbers(3, 3).astype(kind)) for kind in (dtype, dtype, "float32"))
    expected = door.xp.asnumpy(x).astype("float64") @ door.xp.asnumpy(y).astype("float64")
    np.testing.assert_allclose(door.xp.asnumpy(door.gemm(x, y, out)), expected, rtol=1e-6, atol=1e-6)


# --- without a copy, in as few calls as can be ------------------------------------------------------------------------

HEADS = (2, 4, 3, 5)  # (batch, length, heads, width): attention sees (batch, heads, length, width)
# how x, y and out are made; single products, products of stacks
CALLS = {
    "rows": (lambda z: (z(4, 3), z(3, 5), z(4, 5)), (1, 0)),
    "columns": (lambda z: (z(3, 4).T, z(5, 3).T, z(5, 4).T), (1, 0)),
    "rows apart": (lambda z: (z(4, 9)[:, 2:5], z(6, 5)[::2], z(4, 7)[:, :5]), (1, 0)),
    "columns apart": (lambda z: (z(6, 4)[::2].T, z(3, 5), z(10, 4)[::2].T), (1, 0)),
    "a row": (lambda z: (z(1, 3), z(3, 5), z(1, 5)), (1, 0)),
    "a column": (lambda z: (z(4, 3), z(3, 1), z(4, 1)), (1, 0)),
    "a row with gaps": (lambda z: (z(1, 6)[:, ::2], z(3, 5), z(1, 10)[:, ::2]), (1, 0)),
    "a column of a matrix with gaps": (lambda z: (z(4, 3), z(3, 6)[:, ::2][:, 1:2], z(4, 6)[:, ::2][:, :1]), (1, 0)),
    "a column of a matrix": (lambda z: (z(4, 3), z(3, 5)[:, 2:3], z(4, 7)[:, 1:2]), (1, 0)),
    "stack and matrix": (lambda z: (z(2, 6, 4, 3), z(5, 3).T, z(2, 6, 4, 5)), (1, 0)),
    "stack of rows and matrix": (lambda z: (z(6, 1, 3), z(3, 5), z(6, 1, 5)), (1, 0)),
    "matrix and stack of columns": (lambda z: (z(4, 3), z(6, 3, 1), z(6, 4, 1)), (1, 0)),
    "matrix and stack": (lambda z: (z(4, 3), z(6, 3, 5), z(6, 4, 5)), (0, 1)),
    "stacks": (lambda z: (z(2, 6, 4, 3), z(2, 6, 3, 5), z(2, 6, 4, 5)), (0, 1)),
    "stack of transposes": (lambda z: (z(6, 3, 4).transpose(0, 2, 1), z(6, 3, 5), z(6, 4, 5)), (0, 1)),
    "heads, scores": (
        lambda z: (z(*HEADS).transpose(0, 2, 1, 3), z(*HEADS).transpose(0, 2, 3, 1), z(2, 3, 4, 4)), (0, 2)
    ),
    "heads, values": (
        lambda z: (z(2, 3, 4, 4), z(*HEADS).transpose(0, 2, 1, 3), z(*HEADS).transpose(0, 2, 1, 3)), (0, 2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("make, expected", CALLS.values(), ids=CALLS)
def test_no_matrix_is_copied_that_lies_well(strict_door, monkeypatch, make, expected):
    x, y, out = make(lambda *shape: strict_cupy.asarray(numbers(*shape)))
    monkeypatch.setattr(strict_cupy, "ascontiguousarray", None)
    monkeypatch.setattr(strict_cupy, "empty", None)
    strict_door.gemm(x, y, out)
    np.testing.assert_allclose(out.get(), x.get() @ y.get(), rtol=1e-5, atol=1e-5)
    assert calls(strict_door) == expected


# --- streams, workspace, capture --------------------------------------------------------------------------------------


def test_products_follow_the_current_stream_and_keep_the_workspace(strict_door):
    x = strict_cupy.asarray(numbers(3, 3))
    out = strict_cupy.empty((3, 3), "float32")
    for stream in (strict_cupy.cuda.Stream(), strict_cupy.cuda.Stream(non_blocking=True)):
        with stream:
            strict_door.gemm(x, x, out)  # the stand-in looks whose stream it is, and for the workspace
        strict_door.gemm(x, x, out)
    (handle,) = strict_door.library.handles.values()
    assert handle.workspace[1] == 32 << 20
    assert handle.math_mode == 16


def test_a_graph_holds_products(door):
    cuda, asarray = door.xp.cuda, door.xp.asarray
    x, y, heads = asarray(numbers(4, 3)), asarray(numbers(3, 5)), asarray(numbers(2, 4, 3, 5))
    out, scores = asarray(numbers(4, 5)), asarray(numbers(2, 3, 4, 4))
    spread = asarray(numbers(6, 10))[::2, ::2]  # is copied, into memory of the graph's own
    door.gemm(x, y, out)  # makes the handle
    before = door.xp.asnumpy(out)

    def work():
        door.gemm(x, y, out)
        door.gemm(heads.transpose(0, 2, 1, 3), heads.transpose(0, 2, 3, 1), scores)
        door.gemm(x, spread, spread_out)

    spread_out = asarray(numbers(4, 5))
    stream, pool = cuda.Stream(non_blocking=True), cuda.MemoryPool()
    with stream, cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        work()
        graph = stream.end_capture()
    np.testing.assert_array_equal(door.xp.asnumpy(out), before)
    for factor in (2, 3):
        for a in (x, heads, spread):
            a *= factor
        with stream:
            graph.launch()
        stream.synchronize()
        q, k = (door.xp.asnumpy(heads).transpose(axes) for axes in ((0, 2, 1, 3), (0, 2, 3, 1)))
        x_host, on_host = door.xp.asnumpy(x), door.xp.asnumpy
        for found, expected in ((out, x_host @ on_host(y)), (scores, q @ k), (spread_out, x_host @ on_host(spread))):
            np.testing.assert_allclose(on_host(found), expected, rtol=1e-5, atol=1e-4)


# --- precision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision, bits", [("highest", 23), ("high", 10), ("medium", 7)])
def test_float32_is_multiplied_as_precisely_as_was_asked(strict_door, precision, bits):
    set_float32_matmul_precision(precision)
    try:
        ones, out = np.ones((1, 1), "float32"), strict_cupy.empty((1, 1), "float32")
        for bit in (bits, bits + 1):  # 1 + 2^-bit is kept, and rounded to an even number beyond
            x = strict_cupy.asarray(ones + np.float32(2.0**-bit))
            strict_door.gemm(x, strict_cupy.asarray(ones), out)
            assert (out.get() == x.get()) == (bit == bits or precision == "highest")
    finally:
        set_float32_matmul_precision("highest")


# --- what can fail ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status, error, says",
    [
        (7, CublasError, r"product \(4, 3\) @ \(3, 5\) of float32 into float32: CUBLAS_STATUS_INVALID_VALUE.*report"),
        (13, CublasError, "CUBLAS_STATUS_EXECUTION_FAILED.*CUDA_LAUNCH_BLOCKING"),
        (15, CublasError, "CUBLAS_STATUS_NOT_SUPPORTED.*use float32"),
        (3, MemoryError, "no room for the product.*CUBLAS_STATUS_ALLOC_FAILED"),
    ],
)
def test_a_status_is_an_error_that_says_what_to_do(strict_door, status, error, says):
    x, y, out = (strict_cupy.asarray(numbers(*shape)) for shape in ((4, 3), (3, 5), (4, 5)))
    strict_door.library.cublasGemmEx.fails = status
    with pytest.raises(error, match=says):
        strict_door.gemm(x, y, out)


def test_a_handle_that_cannot_be_made(strict_door):
    x = strict_cupy.asarray(numbers(2, 2))
    strict_door.library.cublasCreate_v2.fails = 1
    with pytest.raises(BackendError, match=r"cannot make a handle: CUBLAS_STATUS_NOT_INITIALIZED.*memory left"):
        strict_door.gemm(x, x, strict_cupy.empty((2, 2), "float32"))
    strict_door.library.cublasCreate_v2.fails = 0
    strict_door.gemm(x, x, strict_cupy.empty((2, 2), "float32"))  # nothing is half made


def test_sizes_that_cublas_cannot_count(strict_door, monkeypatch):
    monkeypatch.setattr(blas_file, "LARGEST", 5)
    x, y = (strict_cupy.asarray(numbers(*shape)) for shape in ((2, 6), (6, 2)))
    with pytest.raises(ArgumentError, match=r"\(2, 6\) @ \(6, 2\).*a size is above 5"):
        strict_door.gemm(x, y, strict_cupy.empty((2, 2), "float32"))


def test_a_library_that_cannot_be_found_or_is_too_old(monkeypatch):
    class DynamicLibNotFoundError(RuntimeError):
        """As cuda-pathfinder raises it."""

    def search(name):
        raise DynamicLibNotFoundError(f'Failure finding "lib{name}.so.13"\n  listdir("/nowhere")')

    finder = types.ModuleType("cuda.pathfinder")
    finder.load_nvidia_dynamic_lib, finder.DynamicLibNotFoundError = search, DynamicLibNotFoundError
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", finder)
    with pytest.raises(ImportError, match=r'^cuBLAS was not found: Failure finding "libcublas.so.13"$'):
        load()
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
    with pytest.raises(ImportError, match=r"cuda-pathfinder.*is missing"):
        load()
    with pytest.raises(ImportError, match="this cuBLAS has no cublasCreate_v2"):
        Blas(strict_cupy, types.SimpleNamespace())
