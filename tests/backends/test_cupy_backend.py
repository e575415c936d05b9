"""The cupy backend's kernels give NumPy's numbers, into `out` too, and what it does differently is right.

Without a GPU the strict stand-in is CuPy: it fails where CuPy would. On a GPU the same tests run on CuPy itself.
"""

import numpy as np
import pytest

import tinynet as tn
from tinynet import Tensor, get_backend
from tinynet.backend import DTYPES, REQUIRED
from tinynet.backends import cupy_backend
from tinynet.errors import ArgumentError, BackendError, BackendMismatch, TypeMismatch
from tinynet.primitives import ARRAY

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
P = np.abs(X) + 0.1
CUBE = rng.normal(size=(2, 4, 3))
MASK = X > 0
ROWS, COLUMNS = np.array([3, 0, 3, -1]), np.array([0, 2, 0, 1], "uint8")
TARGET = np.array([2, 0, 1, 1])

# kernel -> the ways to call it: (inputs, parameters)
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum")
UNARY = ("neg", "exp", "sin", "cos", "abs", "erf", "sign", "tanh", "sigmoid", "relu", "softplus")
ORDER = ("greater", "greater_equal", "less", "less_equal")
CASES = {
    **{key: [((X, Y), {}), ((X, 2.0), {}), ((X, Y[0]), {})] for key in BINARY},
    **{key: [((np.round(X), np.round(Y)), {}), ((X, 0), {})] for key in ORDER},
    **{key: [((np.round(X), np.round(Y)), {}), ((ROWS, COLUMNS), {})] for key in ("equal", "not_equal")},
    **{key: [((X,), {})] for key in UNARY},
    **{key: [((P,), {})] for key in ("log", "sqrt")},
    **{key: [((CUBE,), {"axis": (0, 2)}), ((X,), {"axis": (1,)})] for key in ("sum", "max", "min")},
    **{key: [((CUBE,), {"axis": 1})] for key in ("argmax", "argmin")},
    "pow": [((P, Y), {}), ((X, 2), {}), ((X, 1), {}), ((P, 0.5), {}), ((0.9, P), {})],
    "leaky_relu": [((X,), {"slope": 0.1})],
    "clip": [((X,), {"low": -0.5, "high": 0.5})],
    "where": [((MASK, X, Y), {}), ((MASK, X, 0.0), {}), ((MASK, 1.0, Y), {})],
    "matmul": [
        ((X, Y.T), {}),
        ((X.T, Y), {}),
        ((CUBE, Y.T), {}),
        ((CUBE, np.swapaxes(CUBE, 1, 2)), {}),
        ((X, np.swapaxes(CUBE, 1, 2)), {}),
        ((CUBE[:, :0], Y.T), {}),
        ((CUBE.astype("float32"), Y.T), {}),
    ],
    "cast": [((X * 5,), {"dtype": "int32"}), ((MASK,), {"dtype": "float32"})],
    "copy": [((X,), {}), ((X,), {"dtype": "float32"})],
    "reshape": [((CUBE,), {"shape": (4, 6)})],
    "transpose": [((CUBE,), {"axes": (2, 0, 1)})],
    "broadcast_to": [((X[:, :1],), {"shape": (2, 4, 3)})],
    "concatenate": [((X, Y), {"axis": 1})],
    "gather": [
        ((X,), {"index": (slice(1, None, 2), 0)}),
        ((CUBE,), {"index": (Ellipsis, None, 2)}),
        ((X, ROWS), {"index": (ARRAY,)}),
        ((X, ROWS, COLUMNS), {"index": (ARRAY, ARRAY)}),
        ((CUBE, COLUMNS), {"index": (1, None, Ellipsis, ARRAY)}),
    ],
    "scatter_add": [
        ((X[:2],), {"index": (slice(1, 3),), "shape": (5, 3)}),
        ((X, ROWS), {"index": (ARRAY,), "shape": (4, 3)}),
        ((X[:, 0], ROWS, COLUMNS), {"index": (ARRAY, ARRAY), "shape": (4, 3)}),
    ],
    "linear": [((X, Y, Y[:, 0]), {}), ((CUBE, Y, Y[:, 0]), {}), ((X, Y, None), {})],
    "softmax": [((X,), {"dim": -1}), ((CUBE,), {"dim": 1})],
    "log_softmax": [((X,), {"dim": -1})],
    "softmax_cross_entropy": [((X, TARGET), {}), ((X, TARGET.astype("uint8")), {})],
    "softmax_cross_entropy_grad": [((P[:, 0], TARGET, np.abs(Y)), {})],
}
CALLS = [
    pytest.param(name, inputs, params, id=f"{name}-{i}")
    for name in CASES
    for i, (inputs, params) in enumerate(CASES[name])
]


def launch(backend, name, inputs, params, **out):
    """The kernel's result, on arrays that lie on the backend."""
    return backend.launch(
        name, *[backend.array(x) if isinstance(x, np.ndarray) else x for x in inputs], **out, **params
    )


def same(backend, found, expected, what):
    """One array, or several, as NumPy has them: values to rounding, shape and dtype exactly."""
    for a, b in zip(
        found if isinstance(found, tuple) else (found,), expected if isinstance(expected, tuple) else (expected,)
    ):
        assert isinstance(a, backend.array_type), f"{what} returned {type(a)}"
        a = backend.numpy(a)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{what}: {a.shape} {a.dtype}, NumPy {b.shape} {b.dtype}"
        tolerance = 1e-12 if b.dtype == np.float64 else 1e-6  # rounding: a few units in the last place
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


def test_every_required_kernel_is_tried():
    assert set(CASES) >= REQUIRED


@pytest.mark.parametrize("name, inputs, params", CALLS)
def test_a_kernel_gives_numpys_numbers(cupy, name, inputs, params):
    same(cupy, launch(cupy, name, inputs, params), launch(get_backend("numpy"), name, inputs, params), name)


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "transposed"])
@pytest.mark.parametrize("name, inputs, params", CALLS)
def test_a_kernel_fills_out(cupy, name, inputs, params, transposed):
    expected = launch(get_backend("numpy"), name, inputs, params)
    several = isinstance(expected, tuple)
    room = [
        cupy.array(np.ones(e.shape[::-1] if transposed else e.shape, e.dtype))
        for e in (expected if several else [expected])
    ]
    room = [r.T for r in room] if transposed else room
    out = tuple(room) if several else room[0]
    found = launch(cupy, name, inputs, params, out=out)
    assert found is out or (several and all(f is o for f, o in zip(found, out)))
    same(cupy, found, expected, name)


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
    ids=["too large", "too small", "a later dimension", "a class"],
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


def test_a_replayed_step_counts_too_and_waits_for_nothing(strict):
    import strict_cupy

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
    data = rng.normal(size=place(host).shape)
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


def test_out_of_memory_says_what_for_and_what_to_do(strict, monkeypatch):
    class OutOfMemoryError(MemoryError):
        """As CuPy raises it."""

    def full(*_, **__):
        raise OutOfMemoryError("Out of memory allocating 4,096 bytes (allocated so far: 0 bytes).")

    x = Tensor(X, backend="cupy")
    monkeypatch.setattr(strict, "kernels", {**strict.kernels, "exp": full})
    monkeypatch.setitem(strict.xp._NAMES, "full", full)
    monkeypatch.setattr(strict.xp, "array", full)
    for deed, wanted in (
        (lambda: x.exp(), r"exp\(\(4, 3\)\)"),
        (lambda: tn.zeros((4, 256), backend="cupy"), r"\(4, 256\)"),
        (lambda: Tensor(X, backend="cupy"), r"\(4, 3\)"),
    ):
        with pytest.raises(cupy_backend.DeviceMemoryError, match=rf"{wanted}.*4,096 bytes.*smaller batches") as caught:
            deed()
        assert isinstance(caught.value, BackendError)
        assert isinstance(caught.value, MemoryError)
