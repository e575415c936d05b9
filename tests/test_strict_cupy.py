"""The stand-in for CuPy bites where CuPy does: a row per bite, so that a green cupy backend means something."""

import copy

import numpy as np
import pytest
import strict_cupy as xp

pytestmark = pytest.mark.tiny

HOST = np.arange(6.0, dtype=np.float32).reshape(2, 3)
INDEX = np.array([0, 1])
BFLOAT16 = np.dtype(__import__("ml_dtypes").bfloat16)


@pytest.fixture
def a():
    return xp.asarray(HOST)


def same(array, expected):
    """Equal values, shape and dtype, and a device array."""
    assert isinstance(array, xp.ndarray)
    np.testing.assert_array_equal(xp.asnumpy(array), expected, strict=True)


def test_a_product_of_bfloat16_is_bfloat16(a):
    """Where NumPy gives float32, CuPy keeps the type."""
    x = a.astype(BFLOAT16)
    product = xp.matmul(x, x.T)
    assert product.dtype == BFLOAT16
    assert xp.matmul(x, x.T, out=xp.empty((2, 2), BFLOAT16)).dtype == BFLOAT16
    np.testing.assert_array_equal(xp.asnumpy(product).astype(float), [[5, 14], [14, 50]])


# Each row does what CuPy refuses, or what it leaves undefined: (the error, words in its message, the deed).
BITES = {
    "ufunc meets a host array": (TypeError, "Unsupported type <class 'numpy.ndarray'>", lambda a: xp.add(a, HOST)),
    "ufunc meets a list": (TypeError, "Unsupported type <class 'list'>", lambda a: xp.add(a, [1.0, 2.0, 3.0])),
    "operator meets a host array": (TypeError, "Unsupported type", lambda a: a + HOST),
    "reflected operator meets one": (TypeError, "Unsupported type", lambda a: HOST * a),
    "in-place operator meets one": (TypeError, "Unsupported type", lambda a: a.__iadd__(HOST)),
    "comparison meets one": (TypeError, "Unsupported type", lambda a: a == HOST),
    "operator meets a list": (TypeError, "NotImplemented", lambda a: a - [1.0, 2.0, 3.0]),
    "matmul meets one": (TypeError, "Unsupported type", lambda a: a @ HOST.T),
    "NumPy ufunc on a mixture": (TypeError, "Unsupported type", lambda a: np.add(a, HOST)),
    "NumPy ufunc into a host array": (TypeError, "Unsupported type", lambda a: np.exp(a, out=HOST.copy())),
    "reduction of a host array": (TypeError, "Unsupported type", lambda a: xp.sum(HOST)),
    "shape function on a host array": (TypeError, "Unsupported type", lambda a: xp.reshape(HOST, (3, 2))),
    "where on a host condition": (TypeError, "Unsupported type", lambda a: xp.where(HOST > 1, a, 0.0)),
    "concatenate a mixture": (TypeError, "Unsupported type", lambda a: xp.concatenate([a, HOST])),
    "einsum of a mixture": (TypeError, "Unsupported type", lambda a: xp.einsum("ij,ij", a, HOST)),
    "index by a host array": (TypeError, "as an index", lambda a: a[INDEX]),
    "take by a host array": (TypeError, "as an index", lambda a: xp.take(a, INDEX, axis=0)),
    "assign a host array": (TypeError, "Unsupported type", lambda a: a.__setitem__(..., HOST)),
    "copy from a host array": (TypeError, "Unsupported type", lambda a: xp.copyto(a, HOST)),
    "set another dtype": (TypeError, "float32", lambda a: a.set(HOST.astype(np.float64))),
    "implicit conversion": (TypeError, "Implicit conversion", np.asarray),
    "implicit conversion in a list": (TypeError, "Implicit conversion", lambda a: np.array([a, a])),
    "into a host array": (TypeError, "Implicit conversion", lambda a: HOST.copy().__setitem__(..., a)),
    "hash": (TypeError, "unhashable", hash),
    "stack of products of bfloat16": (TypeError, "integers", lambda a: xp.matmul(*[a[None].astype(BFLOAT16)] * 2)),
    "ufunc where=": (TypeError, "where", lambda a: xp.exp(a, where=a > 1)),
    "NumPy ufunc where=": (TypeError, "where", lambda a: np.exp(a, where=a > 1)),
    "sum where=": (TypeError, "where", lambda a: xp.sum(a, where=a > 1)),
    "method where=": (TypeError, "where", lambda a: a.sum(where=a > 1)),
    "max initial=": (TypeError, "initial", lambda a: xp.max(a, initial=0.0)),
    "einsum out=": (TypeError, "out", lambda a: xp.einsum("ij->i", a, out=xp.empty(2))),
    "take mode=": (TypeError, "mode", lambda a: xp.take(a, 0, mode="clip")),
    "astype casting=": (TypeError, "casting", lambda a: a.astype("int32", casting="safe")),
    "out on the host": (TypeError, "Unsupported type", lambda a: xp.exp(a, out=np.empty_like(HOST))),
    "out of another shape": (ValueError, "broadcast", lambda a: xp.exp(a, out=xp.empty(3, "float32"))),
    "out of another kind": (TypeError, "same_kind", lambda a: xp.exp(a, out=xp.empty((2, 3), "int32"))),
    "matmul out transposed": (ValueError, "C-contiguous", lambda a: xp.matmul(a, a.T, out=xp.empty((2, 2), "f4").T)),
    "matmul out of another dtype": (ValueError, "dtype", lambda a: xp.matmul(a, a.T, out=xp.empty((2, 2)))),
    "dot out of another dtype": (ValueError, "dtype", lambda a: xp.dot(a, a.T, out=xp.empty((2, 2)))),
    "take out of another dtype": (TypeError, "mismatch", lambda a: xp.take(a, 0, axis=0, out=xp.empty(3))),
    "take out of another shape": (ValueError, "mismatch", lambda a: xp.take(a, 0, axis=0, out=xp.empty(2, "f4"))),
    "min into an array": (TypeError, "as a dtype", lambda a: xp.min(a, axis=0, out=xp.empty(3, "f4"))),
    "method min into an array": (TypeError, "as a dtype", lambda a: a.T.min(out=xp.empty((), "f4"))),
    "plain index out of range": (IndexError, "out of bounds", lambda a: a[2]),
    "two masks": (IndexError, "at most one", lambda a: a[a[:, 0] > 0, a[0] > 0]),
    "mask of another shape": (IndexError, "boolean", lambda a: a[a[0] > 0]),
    "nonzero of 0-d": (ValueError, "0d", lambda a: xp.nonzero(a[0, 0])),
    "duplicate assignment": (AssertionError, "undefined", lambda a: a.__setitem__([0, 0], a)),
    "duplicates once wrapped": (AssertionError, "undefined", lambda a: a.__setitem__(xp.asarray([0, 2]), a)),
    "duplicate cells": (AssertionError, "undefined", lambda a: a.__setitem__(([0, 0], [1, 1]), a[0, :2])),
    "put_along_axis duplicates": (
        AssertionError,
        "undefined",
        lambda a: xp.put_along_axis(a, xp.zeros((2, 2), "int64"), a[:, :2], 1),
    ),
    "overlapping assignment": (AssertionError, "overlapping", lambda a: a.ravel()[1:].__setitem__(..., a.ravel()[:-1])),
    "overlapping copyto": (AssertionError, "overlapping", lambda a: xp.copyto(a.ravel()[1:], a.ravel()[:-1])),
    "write to a broadcast view": (ValueError, "read-only", lambda a: xp.broadcast_to(a, (2, 2, 3)).fill(0)),
    "fill with an array": (ValueError, "fill", lambda a: a.fill(a[0])),
    "object dtype": (ValueError, "Unsupported dtype object", lambda a: xp.asarray([None, 1])),
    "string dtype": (ValueError, "Unsupported dtype", lambda a: xp.asarray(["a"])),
    "zeros of objects": (ValueError, "Unsupported dtype", lambda a: xp.zeros(3, dtype=object)),
    "astype object": (ValueError, "Unsupported dtype", lambda a: a.astype(object)),
    "scatter without atomics": (TypeError, "add.at", lambda a: xp.add.at(a.astype("int16"), [0], 1)),
    "scatter that CuPy lacks": (NotImplementedError, "exp.at", lambda a: xp.exp.at(a, [0])),
    "compare with what the dtype cannot hold": (OverflowError, "out of bounds", lambda a: a.astype("uint8") < -1),
    "truth of many": (ValueError, "ambiguous", bool),
    "elementwise kernel": (NotImplementedError, "GPU", lambda a: xp.ElementwiseKernel("T x", "T y", "y = x")(a)),
    "unknown name": (AttributeError, "add a row", lambda a: xp.errstate),
}


@pytest.mark.parametrize("error, words, deed", BITES.values(), ids=BITES)
def test_it_bites(a, error, words, deed):
    with pytest.raises(error, match=words):
        deed(a)


READS = {
    "item": lambda a: a[0, 0].item(),
    "get": lambda a: a.get(),
    "asnumpy": lambda a: xp.asnumpy(a),
    "tolist": lambda a: a.tolist(),
    "float": lambda a: float(a[0, 0]),
    "int": lambda a: int(a[0, 0]),
    "bool": lambda a: bool(a[0, 0] > 0),
    "if": lambda a: 1 if a.sum() > 0 else 0,
    "repr": repr,
    "format": lambda a: f"{a.mean():.3f}",
    "mask": lambda a: a[a > 1],
    "mask assignment": lambda a: a.__setitem__(a > 1, 0.0),
    "nonzero": lambda a: xp.nonzero(a),
    "where of one argument": lambda a: xp.where(a > 1),
    "stream": lambda a: xp.cuda.Stream.null.synchronize(),
    "device": lambda a: xp.cuda.Device().synchronize(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_each_read_is_counted_and_can_be_forbidden(a, read):
    before = xp.synchronisations
    read(a)
    assert xp.synchronisations == before + 1
    with xp.no_synchronisation(), pytest.raises(AssertionError, match="no_synchronisation"):
        read(a)
    read(a)
    assert xp.synchronisations == before + 2


def test_a_step_on_the_device_reads_nothing(a):
    with xp.no_synchronisation():
        w, target = xp.ones((3, 3), "float32"), xp.zeros((2, 3), "float32")
        loss = xp.mean(xp.square(xp.tanh(a @ w) - target))
        w -= 0.1 * (a.T @ (a @ w))
        w[xp.asarray([0, 2])] += 1
        clone = copy.deepcopy(w)
        for row in clone:
            row.fill(loss)
    assert loss.shape == ()


# Each row gives the same values and dtype as NumPy, as a device array (0-d instead of a scalar).
AGREES = {
    "0-d ufunc": lambda m, a: m.exp(a[0, 1]),
    "0-d reduction": lambda m, a: m.sum(a),
    "method": lambda m, a: a.max(axis=1, keepdims=True),
    "argmax": lambda m, a: m.argmax(a, axis=1),
    "any": lambda m, a: m.any(a > 3),
    "count": lambda m, a: m.count_nonzero(a),
    "weak Python scalar": lambda m, a: 2 - a * 0.5 + True,
    "NumPy scalar": lambda m, a: np.float32(2) * a,
    "strong NumPy scalar": lambda m, a: np.float64(2) * a,
    "integers divide": lambda m, a: a.astype("int32") / 2,
    "half mean": lambda m, a: a.astype("float16").mean(),
    "power": lambda m, a: a**2,
    "no warning": lambda m, a: (a - a) / (a - a) if m is xp else np.full_like(a, np.nan),
    "comparison": lambda m, a: (a >= 2) & ~(a == 3),
    "where": lambda m, a: m.where(a > 1, a, 0.0),
    "clip": lambda m, a: m.clip(a, 1, None),
    "list index": lambda m, a: a[:, [2, 0]],
    "negative list index": lambda m, a: a[:, [-1]],
    "empty list index": lambda m, a: a[[]],
    "mask": lambda m, a: a[a > 2],
    "mask on the second axis": lambda m, a: a[:, a[0] > 0],
    "0-d": lambda m, a: a[1, 2],
    "new axis": lambda m, a: a[None, ..., 1:, m.newaxis],
    "take": lambda m, a: m.take(a, [1, 1], axis=0),
    "take_along_axis": lambda m, a: m.take_along_axis(a, m.argmax(a, axis=1)[:, None], 1),
    "stack": lambda m, a: m.stack([a, a + 1], axis=1),
    "concatenate": lambda m, a: m.concatenate((a, a.T.reshape(2, 3)), axis=-1),
    "split": lambda m, a: m.split(a, 3, axis=1)[1],
    "pad": lambda m, a: m.pad(a, ((0, 1), (1, 0)), constant_values=7),
    "einsum": lambda m, a: m.einsum("ij,kj->ik", a, a),
    "tensordot": lambda m, a: m.tensordot(a, a, axes=((0, 1), (0, 1))),
    "batched matmul": lambda m, a: m.matmul(a[None], m.swapaxes(a[None], 1, 2)),
    "windows": lambda m, a: m.lib.stride_tricks.sliding_window_view(a, 2, axis=1).sum(axis=-1),
    "as_strided": lambda m, a: m.lib.stride_tricks.as_strided(a, (2, 2), (12, 8)),
    "norm": lambda m, a: m.linalg.norm(a),
    "NumPy function": lambda m, a: np.sum(a, axis=0),
    "NumPy norm": lambda m, a: np.linalg.norm(a, axis=1),
    "NumPy ufunc": lambda m, a: np.add(a, a),
    "arange": lambda m, a: m.arange(3, dtype="float32"),
    "eye": lambda m, a: m.eye(3, k=1),
    "full_like": lambda m, a: m.full_like(a, 3, dtype="int64"),
    "ascontiguousarray": lambda m, a: m.ascontiguousarray(a.T),
    "var": lambda m, a: m.var(a, axis=0, ddof=1),
    "cumsum": lambda m, a: a.cumsum(axis=1),
    "argsort": lambda m, a: m.argsort(-a, axis=1),
    "roll": lambda m, a: m.roll(a, 1, axis=1),
    "tril": lambda m, a: m.tril(a),
    "repeat": lambda m, a: m.repeat(a, 2, axis=0),
    "tile": lambda m, a: m.tile(a, (2, 1)),
}


@pytest.mark.parametrize("work", AGREES.values(), ids=AGREES)
def test_it_agrees_with_numpy(a, work):
    same(work(xp, a), np.asarray(work(np, HOST)))


VIEWS = {
    "slice": lambda a: a[1:, ::2],
    "one cell": lambda a: a[1, 2],
    "row": lambda a: a[0],
    "reshape": lambda a: a.reshape(3, 2),
    "function reshape": lambda a: xp.reshape(a, (6,)),
    "T": lambda a: a.T,
    "transpose": lambda a: xp.transpose(a, (1, 0)),
    "swapaxes": lambda a: xp.swapaxes(a, 0, 1),
    "ravel": lambda a: a.ravel(),
    "expand_dims": lambda a: xp.expand_dims(a, 0),
    "squeeze": lambda a: xp.squeeze(a[None]),
    "broadcast_to": lambda a: xp.broadcast_to(a, (4, 2, 3)),
    "split": lambda a: xp.split(a, 3, axis=1)[2],
    "view": lambda a: a.view("int32"),
    "windows": lambda a: xp.lib.stride_tricks.sliding_window_view(a, 2, axis=1),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_share_memory_and_know_their_base(a, view):
    b = view(a)
    assert b.base is a
    assert xp.shares_memory(a, b)
    assert not b.flags.owndata
    before = b.get()
    a += 1
    assert not np.array_equal(b.get(), before)


# What lies how where `a` lies column by column; NumPy would keep that order in most of them.
ORDERS = {
    "ufunc": ("C", lambda a: xp.exp(a)),
    "ufunc of two": ("C", lambda a: a + a),
    "operator and a number": ("C", lambda a: 2 * a),
    "comparison": ("C", lambda a: a > 1),
    "where": ("C", lambda a: xp.where(a > 1, a, 0.0)),
    "clip": ("C", lambda a: a.clip(1, 2)),
    "concatenate": ("C", lambda a: xp.concatenate([a, a])),
    "index": ("C", lambda a: a[[1, 0]]),
    "index of columns": ("C", lambda a: a[:, [1, 0]]),
    "take": ("C", lambda a: xp.take(a, [1, 0], axis=0)),
    "matmul": ("C", lambda a: a @ a.T),
    "tril": ("C", lambda a: xp.tril(a)),
    "cumsum": ("C", lambda a: xp.cumsum(a, axis=0)),
    "sort": ("C", lambda a: xp.sort(a, axis=0)),
    "reshape": ("C", lambda a: a.reshape(3, 2)),
    "method copy": ("C", lambda a: a.copy()),
    "function copy": ("F", lambda a: xp.copy(a)),
    "astype": ("F", lambda a: a.astype("float64")),
    "empty_like": ("F", lambda a: xp.empty_like(a)),
    "zeros_like": ("F", lambda a: xp.zeros_like(a)),
    "zeros": ("F", lambda a: xp.zeros((2, 3), order="F")),
    "pad": ("F", lambda a: xp.pad(a, 1)),
    "roll": ("F", lambda a: xp.roll(a, 1, axis=0)),
    "sum by CUB": ("F", lambda a: xp.asarray(np.asfortranarray(np.ones((2, 3, 4)))).sum(axis=0)),
    "max by CUB": ("F", lambda a: xp.asarray(np.asfortranarray(np.ones((2, 3, 4)))).max(axis=0)),
    "sum that CUB has no type for": ("C", lambda a: xp.asarray(np.asfortranarray(np.ones((2, 3, 4), "?"))).sum(axis=0)),
    "sum that CUB has no order for": ("C", lambda a: xp.asarray(np.asfortranarray(np.ones((2, 3, 4)))).sum(axis=1)),
    "any": ("C", lambda a: xp.asarray(np.asfortranarray(np.ones((2, 3, 4)))).any(axis=0)),
}


@pytest.mark.parametrize("order, deed", ORDERS.values(), ids=ORDERS)
def test_results_lie_as_cupys_do(a, order, deed):
    flags = deed(a.reshape(3, 2).T).flags
    assert (flags.c_contiguous, flags.f_contiguous) == (order == "C", order == "F")


@pytest.mark.parametrize("fresh", [lambda a: a.copy(), lambda a: a[[0]], lambda a: a + 1, lambda a: a.astype("f4")])
def test_results_own_their_memory(a, fresh):
    b = fresh(a)
    assert b.base is None
    assert not xp.may_share_memory(a, b)


def test_indices_out_of_range_wrap_in_silence(a):
    same(a[xp.asarray([2, -3])], HOST[[0, 1]])
    same(a[:, [3]], HOST[:, [0]])
    same(a[..., xp.asarray(4)], HOST[:, 1])
    same(xp.take(a, xp.asarray([5]), axis=0), HOST[[1]])
    same(xp.take_along_axis(a, xp.asarray([[3], [4]]), 1), np.array([[0], [4]], np.float32))
    same(xp.arange(300)[xp.asarray([255], dtype="uint8")], np.array([255]))
    a[xp.asarray([2])] = 9
    assert a[0, 0].item() == 9


def test_scatter_accumulates_duplicates(a):
    xp.add.at(a, xp.asarray([1, 1, 3]), xp.ones((3, 3), "float32"))
    same(a, HOST + np.array([[0], [3]], np.float32))


def test_one_scalar_for_duplicates_is_defined(a):
    a[[0, 0]] = 7
    assert a[0, 0].item() == 7


def test_out_is_returned_and_filled(a):
    for call, expected in [
        (lambda out: xp.exp(a, out=out), np.exp(HOST)),
        (lambda out: xp.add(a, a, out), HOST + HOST),
        (lambda out: xp.concatenate([a[:1], a[1:]], out=out), HOST),
        (lambda out: xp.take(a, [1, 0], axis=0, out=out), HOST[[1, 0]]),
        (lambda out: xp.matmul(a, xp.eye(3, dtype="f4"), out=out), HOST),
        (lambda out: xp.clip(a, 1, 2, out=out), np.clip(HOST, 1, 2)),
        (lambda out: xp.cumsum(a, axis=0, out=out), np.cumsum(HOST, axis=0)),
    ]:
        out = xp.empty_like(a)
        assert call(out) is out
        same(out, expected)


def test_copyto_takes_a_device_mask(a):
    xp.copyto(a, 0.0, where=a > 2)
    same(a, np.where(HOST > 2, np.float32(0), HOST))
    with pytest.raises(TypeError):
        xp.copyto(a, 0.0, where=HOST > 2)


def test_uninitialised_memory_is_never_a_plausible_result():
    assert xp.isnan(xp.empty(3, "float32")).all()
    assert (xp.empty_like(xp.zeros(3, "int32")) == xp.iinfo("int32").max).all()


def test_transfers_are_explicit_and_copy():
    host = HOST.copy()
    a = xp.asarray(host)
    host[:] = 0
    same(a, HOST)
    assert xp.asarray(a) is a
    assert xp.asarray(a, dtype="float64") is not a
    b = xp.empty_like(a)
    b.set(HOST)
    same(b, HOST)
    assert (type(a.get()), type(xp.asnumpy(a))) == (np.ndarray, np.ndarray)
    assert (xp.get_array_module(a), xp.get_array_module(HOST)) == (xp, np)


def test_an_object_that_asks_for_it_takes_over_the_operator(a):
    class Tensor:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "mine"

    assert a + Tensor() == "mine"
    with pytest.raises(TypeError):
        a + object()


def test_random_streams_never_equal_numpys():
    draws = xp.random.default_rng(0).random((2, 3), dtype="float32")
    assert (draws.shape, draws.dtype) == ((2, 3), "float32")
    assert not np.array_equal(draws.get(), np.random.default_rng(0).random((2, 3), dtype="float32"))
    same(xp.random.default_rng(0).random((2, 3), dtype="float32"), draws.get())
    out = xp.empty(4)
    assert xp.random.default_rng(1).standard_normal(4, out=out) is out
    assert xp.random.default_rng(1).standard_normal().shape == ()


def test_attributes_and_the_probe(a):
    assert (a.shape, a.ndim, a.size, a.itemsize, a.nbytes, a.strides) == ((2, 3), 2, 6, 4, 24, (12, 4))
    assert a.T.flags.f_contiguous
    assert a[1:].data.ptr == a.data.ptr + 12
    assert xp.issubdtype(xp.result_type(a, 1.0), xp.floating)
    assert xp.cuda.is_available()
    assert xp.cuda.runtime.getDeviceProperties(0)["name"]
