"""The cupy backend's kernels give NumPy's numbers, into `out` too, and what it does differently is right.

Without a GPU the strict stand-in is CuPy: it fails where CuPy would. On a GPU the same tests run on CuPy itself.
"""

import numpy as np
import pytest
import strict_cupy
from kernel_cases import CASES, CUBE, ROWS, X, Y, calls, check, check_out, same

import tinynet as tn
from tinynet import Tensor
from tinynet.backend import REQUIRED
from tinynet.dtypes import DTYPES
from tinynet.errors import ArgumentError, BackendMismatch, TypeMismatch


def test_every_required_kernel_is_tried():
    assert set(CASES) >= REQUIRED


@pytest.mark.parametrize("name, inputs, params", calls())
def test_a_kernel_gives_numpys_numbers(cupy, name, inputs, params):
    check(cupy, name, inputs, params)


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "transposed"])
@pytest.mark.parametrize("name, inputs, params", calls())
def test_a_kernel_fills_out(cupy, name, inputs, params, transposed):
    check_out(cupy, name, inputs, params, transposed)


def test_matmul_fills_an_out_of_another_type(cupy):
    out = cupy.full((4, 4), 1.0, "float32")
    cupy.launch("matmul", cupy.array(X), cupy.array(Y.T), out=out)
    same(cupy, out, (X @ Y.T).astype("float32"), "matmul")


# --- indices that lie outside -----------------------------------------------------------------------------------------


def embedded(rows):
    return Tensor(X, backend="cupy")[Tensor(np.array(rows), backend="cupy")]


@pytest.mark.parametrize(
    "deed",
    [
        lambda: embedded([0, 4]),
        lambda: embedded([-5, 0]),
        lambda: Tensor(CUBE, backend="cupy")[..., None, Tensor(np.array([3], "uint8"), backend="cupy")],
        lambda: tn.nn.CrossEntropyLoss()(Tensor(X, backend="cupy"), Tensor([0, 1, 3, 2], backend="cupy")),
    ],
    ids=["too large", "too small", "the last dimension", "a class"],
)
def test_no_number_leaves_after_an_index_outside(cupy, deed):
    healthy = Tensor(X, backend="cupy")
    wrong = deed()
    for tensor in (wrong, healthy):  # whichever is read first
        with pytest.raises(ArgumentError, match=r"1 of the indices or classes.*too large"):
            tensor.numpy()
        deed()
    with pytest.raises(ArgumentError):
        wrong.numpy()
    np.testing.assert_array_equal(healthy.numpy(), X)  # said once for each time it happened


def test_indices_at_the_edges_are_inside(cupy):
    np.testing.assert_array_equal(embedded([3, -4, 0]).numpy(), X[[3, 0, 0]])
    behind_a_new_dimension = Tensor(CUBE, backend="cupy")[:, None, Tensor([3, -4], backend="cupy")]
    np.testing.assert_array_equal(behind_a_new_dimension.numpy(), CUBE[:, None, [3, 0]])


def test_a_replayed_step_counts_too_and_waits_for_nothing(strict):
    step = tn.capture(lambda x, rows: x[rows].sum(), backend="cupy")
    table, good, bad = (Tensor(a, backend="cupy") for a in (X, ROWS, ROWS + 7))
    step(table, good)
    with strict_cupy.no_synchronisation():
        result = step(table, bad)
    assert len(step.program) == 2
    with pytest.raises(ArgumentError, match="of the indices"):
        result.item()
    assert step(table, good).item() == pytest.approx(X[ROWS].sum())


# --- in and out, and what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back_as_they_went(cupy, dtype):
    data = (np.abs(CUBE) * 9).astype(dtype)
    for host in (data, data.T, data[:, ::2], data[0, 0, 0], data[:0]):
        array = cupy.array(np.asarray(host))
        assert cupy.dtype(array) == dtype
        np.testing.assert_array_equal(cupy.numpy(array), host, strict=True)


def test_an_array_is_a_copy_converted(cupy):
    host = X.copy()
    array = cupy.array(host, "float32")
    host[:] = 0
    np.testing.assert_array_equal(cupy.numpy(array), X.astype("float32"), strict=True)
    with pytest.raises(TypeMismatch, match="scalar"):
        cupy.array(np.array([None]))


@pytest.mark.parametrize(
    "place", [lambda a: a, lambda a: a.T, lambda a: a[1:3], lambda a: a[:, ::2], lambda a: a[0, 0, ...]]
)
def test_load_converts_and_broadcasts_into_any_array(cupy, place):
    whole, host = cupy.full((4, 4), 7.0, "float32"), np.full((4, 4), 7.0, "float32")
    data = np.sin(np.arange(place(host).size)).reshape(place(host).shape)
    np.copyto(place(host), data, casting="same_kind")
    cupy.load(data, place(whole))
    np.testing.assert_array_equal(cupy.numpy(whole), host, strict=True)
    cupy.load(np.broadcast_to(np.float64(2.0), (4, 4)), whole)
    assert (cupy.numpy(whole) == 2).all()


def test_views_share_memory(cupy):
    a = cupy.array(X)
    assert cupy.shares_memory(a[1:], a)
    assert cupy.shares_memory(cupy.launch("reshape", a, shape=(12,)), a)
    assert not cupy.shares_memory(a[:2], a[2:])
    assert not cupy.shares_memory(cupy.launch("copy", a), a)


@pytest.mark.parametrize(
    "meet",
    [
        lambda x: x @ Y.T,
        lambda x: Y * x,
        lambda x: x + Tensor(Y),
        lambda x: tn.cat([x, Tensor(Y)]),
        lambda x: x[ROWS],
        lambda x: x.detach().add_(Y),
        lambda x: tn.where(x > 0, x, Tensor(0.0)),
    ],
)
def test_host_arrays_and_device_tensors_do_not_mix(cupy, meet):
    with pytest.raises(BackendMismatch, match="cupy"):
        meet(Tensor(X, backend="cupy"))
