"""Tensor: indexing, reductions, shapes, memory and manners. The formula sheet's rows have test_primitives.py."""

import gc
import operator
import weakref
from typing import Any

import numpy as np
import pytest
from support import BACKENDS, engine, on_array_backends, on_every_backend, run, same, same_gradients, weights

import tinynet as tn
from tinynet import Parameter, Tensor, Value, check_gradients, no_grad
from tinynet.errors import (
    ArgumentError,
    BackendMismatch,
    GradientError,
    ShapeError,
    TinynetError,
    TypeMismatch,
)

X = np.random.default_rng(3).normal(size=(3, 4, 5))
EXACT = 1e-15  # the same elements, moved or added once
SUMS = 1e-12  # a few dozen terms, added in another order


# --- indexing: NumPy and the scalar backend's own gradients are the witnesses -----------------------------------------

INDICES = {
    "an integer": 1,
    "a negative integer": -1,
    "a NumPy integer": np.int64(2),
    "two integers": (1, 2),
    "all integers": (1, 2, 3),
    "a slice": slice(1, 3),
    "an open slice": slice(None),
    "a slice with a step": (slice(None), slice(None, None, 2)),
    "a slice backwards": (slice(None), slice(None, None, -1)),
    "a negative slice": (slice(None), slice(-2, None)),
    "an empty slice": slice(2, 2),
    "a slice past the end": slice(1, 99),
    "a new dimension": None,
    "new dimensions": (None, 1, None),
    "an ellipsis": (..., 1),
    "an ellipsis alone": ...,
    "an ellipsis between": (0, ..., slice(1, 3)),
    "a list": [2, 0],
    "a list that repeats": [1, 1, 1],
    "an empty list": [],
    "a range": range(2),
    "negative indices": [-1, -3],
    "an integer array": np.array([[0, 1], [2, 2]]),
    "small integers": np.array([1, 2], np.uint8),
    "a 0-d array": np.array(1),
    "two arrays": ([0, 1, 1], [3, 3, 3]),
    "two arrays that broadcast": (np.array([[0], [1]]), np.array([1, 2, 2])),
    "arrays apart": ([0, 1], slice(None), [4, 4]),
    "an array and an integer": ([0, 2, 2], 1),
    "an array and a slice": (slice(1, None), [0, 0]),
    "an array and a new dimension": (None, [0, 0]),
    "a mask of all": X > 0.5,
    "a mask of the first dimension": np.array([True, False, True]),
    "a list of truths": [True, False, True],
    "a mask behind": (slice(None), X[0, :, 0] > 0),
    "a mask of two dimensions": X[:, :, 0] > 0,
    "a mask that holds nowhere": X > 99,
}


def _as_tensors(index: Any, backend: str) -> Any:
    if isinstance(index, tuple):
        return tuple(_as_tensors(part, backend) for part in index)
    return Tensor(index, backend=engine(backend)) if isinstance(index, np.ndarray) else index


@on_every_backend
@pytest.mark.parametrize("name", INDICES)
def test_indexing_is_that_of_numpy_and_repeated_indices_accumulate(name, backend):
    index = INDICES[name]
    keys = [index] if engine(backend).is_host else []  # a host array does not meet a device array
    for key in (*keys, _as_tensors(index, backend)):
        out, (slope,) = run(lambda x, key=key: x[key], [X], backend)
        expected = np.zeros_like(X)
        np.add.at(expected, index, weights(X[index].shape))
        same(out, X[index], name, EXACT)
        same(slope, expected, f"gradient of {name}", SUMS)


@pytest.mark.tiny
@on_every_backend
def test_a_parameter_is_indexed_and_multiplied_like_any_tensor(backend):
    w = Parameter(X[0], backend=engine(backend))
    (w[[1, 1]].sum() + w[w > 99].sum()).backward()
    assert w.grad.numpy().tolist() == [[0.0] * 5, [2.0] * 5, [0.0] * 5, [0.0] * 5]
    assert (w @ ([[1.0]] * 5)).parents == (w,) and (w + [1.0] * 5).parents == (w,)


@pytest.mark.tiny
@on_every_backend
def test_iteration_and_length(backend):
    x = Tensor(X, backend=engine(backend), requires_grad=True)
    assert len(x) == 3
    for row, expected in zip(x, X, strict=True):
        same(row.numpy(), expected, "a row", EXACT)
    sum(row.sum() * i for i, row in enumerate(x)).backward()
    same(x.grad.numpy(), np.broadcast_to(np.arange(3.0)[:, None, None], X.shape), "gradient", EXACT)
    with pytest.raises(TypeMismatch, match="0-d"):
        len(Tensor(1.0, backend=engine(backend)))
    with pytest.raises(TypeError):
        iter(Tensor(1.0, backend=engine(backend)))


# --- reductions -------------------------------------------------------------------------------------------------------

DIMS = [None, 0, 1, -1, -3, (0, 2), (-1, 0), (0, 1, 2), ()]
REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "amax": np.max,
    "amin": np.min,
    "var": lambda x, axis, keepdims: np.var(x, axis=axis, keepdims=keepdims, ddof=1),
    "std": lambda x, axis, keepdims: np.std(x, axis=axis, keepdims=keepdims, ddof=1),
}


@on_every_backend
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize(
    ("name", "dim"), [(n, d) for n in REDUCTIONS for d in DIMS if d != () or n not in ("var", "std")]
)
def test_reductions(name, dim, keepdim, backend):
    out, (slope,) = run(lambda x: getattr(x, name)(dim=dim, keepdim=keepdim), [X], backend)
    same(out, REDUCTIONS[name](X, axis=dim, keepdims=keepdim), name, SUMS)
    _, (oracle,) = run(lambda x: getattr(x, name)(dim=dim, keepdim=keepdim), [X], "scalar")
    same(slope, oracle, f"gradient of {name}", SUMS)


@pytest.mark.torch
@pytest.mark.parametrize("dim", [0, -1, (0, 2)], ids=str)
@pytest.mark.parametrize("correction", [0, 1])
@pytest.mark.parametrize("name", ["mean", "var", "std"])
def test_gradients_of_statistics_are_those_of_pytorch(name, correction, dim):
    import torch

    options = {} if name == "mean" else {"correction": correction}
    theirs = torch.tensor(X, requires_grad=True)
    getattr(theirs, name)(dim=dim, **options).sum().backward()
    ours = Tensor(X, requires_grad=True)
    getattr(ours, name)(dim=dim, **options).sum().backward()
    same(ours.grad.numpy(), theirs.grad.numpy(), name, SUMS, 1e-15)


@on_every_backend
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["max", "min"])
def test_max_and_min_with_dim_are_values_and_indices(name, dim, keepdim, backend):
    x = Tensor(X, backend=engine(backend), requires_grad=True)
    values, indices = getattr(x, name)(dim, keepdim)
    place = getattr(np, f"arg{name}")(X, axis=dim, keepdims=True)
    same(values.numpy(), getattr(np, name)(X, axis=dim, keepdims=keepdim), name, EXACT)
    same(indices.numpy(), place if keepdim else place.squeeze(dim), f"arg{name}", 0)
    assert indices.dtype == "int64" and not indices.requires_grad
    values.sum().backward()
    expected = np.zeros_like(X)
    np.put_along_axis(expected, place, 1.0, dim)
    same(x.grad.numpy(), expected, "gradient", EXACT)


@pytest.mark.tiny
@on_every_backend
def test_extremes_without_dim(backend):
    x = Tensor(X, backend=engine(backend))
    assert (x.max().item(), x.min().item()) == (X.max(), X.min())
    assert (x.argmax().item(), x.argmin().item()) == (X.argmax(), X.argmin())
    assert x.argmax(keepdim=True).shape == (1, 1, 1) and x.argmax(-1, keepdim=True).shape == (3, 4, 1)
    assert x.max(0).indices.tolist() == x.argmax(0).tolist()
    assert Tensor([1.0, 3.0, 3.0], backend=engine(backend)).argmax().item() == 1, "the first of several"


@pytest.mark.tiny
@on_every_backend
def test_reductions_of_nothing(backend):
    x = Tensor(np.zeros((0, 3)), backend=engine(backend))
    assert x.sum().item() == 0 and x.sum(0).tolist() == [0, 0, 0] and x.sum(1).shape == (0,)
    assert np.isnan(x.mean().item()) and np.isnan(x.mean(0).numpy()).all() and x.mean(1).shape == (0,)
    for name in ("amax", "amin", "argmax"):
        with pytest.raises(ShapeError, match=r"\(0, "):
            getattr(x, name)(0)


# --- products ---------------------------------------------------------------------------------------------------------

PRODUCTS = [
    ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((3, 4), (4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
    ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((1, 3, 4), (2, 4, 1)),
    ((0, 4), (4, 2)), ((3, 0), (0, 2)), ((1,), (1,)), ((1, 1), (1,)), ((2, 0, 3), (3, 2)),
]  # fmt: skip


@on_every_backend
@pytest.mark.parametrize(("left", "right"), PRODUCTS, ids=str)
def test_matmul(left, right, backend):
    random = np.random.default_rng(0)
    arrays = [random.normal(size=left), random.normal(size=right)]
    out, gradients = run(operator.matmul, arrays, backend)
    same(out, arrays[0] @ arrays[1], "product", SUMS, 1e-14)
    _, oracle = run(operator.matmul, arrays, "scalar")
    same_gradients(gradients, oracle, "product", SUMS, 1e-14)
    check_gradients(operator.matmul, *[Tensor(x, backend=engine(backend)) for x in arrays])


# --- shape ------------------------------------------------------------------------------------------------------------

SHAPES = {
    "reshape": (lambda x: x.reshape(4, 15), lambda x: x.reshape(4, 15)),
    "reshape with -1": (lambda x: x.reshape(-1, 10), lambda x: x.reshape(-1, 10)),
    "reshape to a tuple": (lambda x: x.reshape((5, 12)), lambda x: x.reshape(5, 12)),
    "flatten": (lambda x: x.flatten(), lambda x: x.reshape(60)),
    "flatten from 1": (lambda x: x.flatten(1), lambda x: x.reshape(3, 20)),
    "flatten 0 to 1": (lambda x: x.flatten(0, -2), lambda x: x.reshape(12, 5)),
    "T": (lambda x: x.T, lambda x: x.T),
    "mT": (lambda x: x.mT, lambda x: np.swapaxes(x, -1, -2)),
    "transpose": (lambda x: x.transpose(0, -1), lambda x: np.swapaxes(x, 0, -1)),
    "permute": (lambda x: x.permute(2, 0, -2), lambda x: np.transpose(x, (2, 0, 1))),
    "unsqueeze 0": (lambda x: x.unsqueeze(0), lambda x: x[None]),
    "unsqueeze 2": (lambda x: x.unsqueeze(2), lambda x: x[:, :, None]),
    "unsqueeze -1": (lambda x: x.unsqueeze(-1), lambda x: x[..., None]),
    "unsqueeze -4": (lambda x: x.unsqueeze(-4), lambda x: x[None]),
    "squeeze": (lambda x: x.reshape(1, 3, 1, 20).squeeze(), lambda x: x.reshape(3, 20)),
    "squeeze 0": (lambda x: x.reshape(1, 3, 1, 20).squeeze(0), lambda x: x.reshape(3, 1, 20)),
    "squeeze -2, 0": (lambda x: x.reshape(1, 3, 1, 20).squeeze((-2, 0)), lambda x: x.reshape(3, 20)),
    "broadcast_to": (lambda x: x.broadcast_to((2, 3, 4, 5)), lambda x: np.broadcast_to(x, (2, 3, 4, 5))),
    "narrow": (lambda x: x.narrow(1, 1, 2), lambda x: x[:, 1:3]),
    "narrow to nothing": (lambda x: x.narrow(-1, 5, 0), lambda x: x[:, :, 5:]),
    "cat": (lambda x: tn.cat([x, x * 2, x], 1), lambda x: np.concatenate([x, 2 * x, x], 1)),
    "cat -1": (lambda x: tn.cat([x, x[..., :2]], -1), lambda x: np.concatenate([x, x[..., :2]], -1)),
    "stack": (lambda x: tn.stack([x, x * 2]), lambda x: np.stack([x, 2 * x])),
    "stack -1": (lambda x: tn.stack([x, x * 2], -1), lambda x: np.stack([x, 2 * x], -1)),
    "stack 1": (lambda x: tn.stack([x, x * 2], 1), lambda x: np.stack([x, 2 * x], 1)),
    "where": (lambda x: tn.where(x > 0, x, x * x), lambda x: np.where(x > 0, x, x * x)),
    "where with a number": (lambda x: tn.where(x > 0, x, 0.0), lambda x: np.where(x > 0, x, 0.0)),
    "where, then a function": (lambda x: tn.where(x > 0, x, 0).exp(), lambda x: np.exp(np.where(x > 0, x, 0))),
    "maximum": (lambda x: tn.maximum(x, 0.3), lambda x: np.maximum(x, 0.3)),
    "minimum": (lambda x: tn.minimum(0.3, x), lambda x: np.minimum(0.3, x)),
}


@on_every_backend
@pytest.mark.parametrize("name", SHAPES)
def test_shape_methods_and_joining(name, backend):
    ours, expected = SHAPES[name]
    out, (slope,) = run(ours, [X], backend)
    same(out, expected(X), name, EXACT)
    _, (oracle,) = run(ours, [X], "scalar")
    same(slope, oracle, f"gradient of {name}", SUMS)


@pytest.mark.tiny
@on_every_backend
def test_shapes_of_nothing_and_of_one_number(backend):
    nothing, one = Tensor(np.zeros((0, 2, 3)), backend=engine(backend)), Tensor(2.0, backend=engine(backend))
    assert (
        nothing.flatten().shape == (0,) and nothing.flatten(1).shape == (0, 6) and nothing.flatten(0, 1).shape == (0, 3)
    )
    assert one.flatten().shape == (1,) and one.unsqueeze(0).shape == (1,) and one.squeeze().shape == ()
    assert one.T.shape == () and (one.ndim, one.size, nothing.size) == (0, 1, 0)
    assert [t.shape for t in (tn.zeros(3), tn.ones((2, 3)), tn.full((), 7.0))] == [(3,), (2, 3), ()]
    assert tn.arange(3).tolist() == [0, 1, 2] and tn.arange(1, 7, 2).tolist() == [1, 3, 5]


# --- operators with numbers and arrays on either side -----------------------------------------------------------------


@on_every_backend
@pytest.mark.parametrize(
    "other", [2, 2.5, np.float32(2.5), np.array([[0.5], [2.0], [1.5]])], ids=lambda x: type(x).__name__
)
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_numbers_and_arrays_on_either_side(op, other, backend):
    if isinstance(other, np.ndarray) and not engine(backend).is_host:
        pytest.skip("host arrays do not meet device arrays")
    x = np.array([[0.5, 1.5, 2.0]])
    for ours, expected in ((lambda t: op(t, other), op(x, other)), (lambda t: op(other, t), op(other, x))):
        out, (slope,) = run(ours, [x], backend)
        same(out, expected, "value", 1e-14)
        check_gradients(ours, Tensor(x, backend=engine(backend)))
        _, (oracle,) = run(ours, [x], "scalar")
        same(slope, oracle, "gradient", SUMS)


@pytest.mark.tiny
@on_every_backend
def test_comparisons_are_elementwise_and_a_tensor_is_its_own_key(backend):
    x = Tensor([1.0, 2.0, 3.0], backend=engine(backend))
    expected = [[True, False, False], [True, True, False], [False, False, True], [False, True, True]]
    assert [t.tolist() for t in (x < 2, x <= 2, x > 2, operator.le(2, x))] == expected
    assert (x == 2).tolist() == [False, True, False] and (x != 2).tolist() == [True, False, True]
    assert len({x, x, Tensor([1.0, 2.0, 3.0], backend=engine(backend))}) == 2
    assert bool(x.sum() == 6) and float(x[0]) == 1.0 and int(x[1]) == 2
    with pytest.raises(ShapeError, match=r"one element.*\(3,\)"):
        bool(x)


# --- second derivatives -----------------------------------------------------------------------------------------------

CURVES = {
    "x * x * x": lambda x: x * x * x,
    "1 / x": lambda x: 1 / x,
    "x ** 3": lambda x: x**3,
    "x ** 0.5": lambda x: x**0.5,
    "x ** x": lambda x: x**x,
    "2 ** x": lambda x: 2**x,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "erf": lambda x: x.erf(),
    "relu": lambda x: (x - 1).relu() ** 2,
    "abs": lambda x: (x - 1).abs() ** 3,
    "softplus": lambda x: x.softplus() if isinstance(x, Tensor) else _functional().softplus(x),
    "clip": lambda x: (x.clip(0.5, 2.0) if isinstance(x, Tensor) else x.clamp(0.5, 2.0)) ** 3,
    "sum": lambda x: x.sum(0) ** 3,
    "amax": lambda x: x.amax(1) ** 3,
    "matmul": lambda x: (x @ x) @ x,
    "index": lambda x: x[[0, 0, 1]] ** 3,
    "slice": lambda x: x[:, 1:] ** 3 * x[:, :2],
    "reshape": lambda x: x.reshape(9) ** 3,
    "transpose": lambda x: (x.T * x) ** 2,
    "broadcast": lambda x: (x[0] * x) ** 2,
    "var": lambda x: x.var(0) ** 2,
}


def _functional() -> Any:
    import torch

    return torch.nn.functional


@pytest.mark.torch
@on_array_backends
@pytest.mark.parametrize("name", CURVES)
def test_second_derivatives_are_those_of_pytorch(name, backend):
    import torch

    data = np.random.default_rng(5).uniform(0.6, 1.9, (3, 3))
    theirs = torch.tensor(data, requires_grad=True)
    (first,) = torch.autograd.grad(CURVES[name](theirs).sum(), theirs, create_graph=True)
    (second,) = torch.autograd.grad((first * first).sum(), theirs)
    ours = Tensor(data, backend=engine(backend), requires_grad=True)
    CURVES[name](ours).sum().backward(create_graph=True)
    slope, ours.grad = ours.grad, None
    same(slope.numpy(), first.detach().numpy(), f"first derivative of {name}", SUMS, 1e-14)
    (slope * slope).sum().backward()
    same(ours.grad.numpy(), second.numpy(), f"second derivative of {name}", 1e-11, 1e-13)


@pytest.mark.tiny
@on_array_backends
def test_third_derivative(backend):
    x = Tensor([2.0], "float64", backend=engine(backend), requires_grad=True)
    y = (x**4).sum()
    for expected in (32.0, 48.0, 48.0):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad.sum()
        assert y.item() == pytest.approx(expected, rel=1e-14)


# --- memory: what is remembered, and what is not ----------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
def test_no_grad_nested_decorating_and_after_an_exception(backend):
    x = Tensor([1.0], backend=engine(backend), requires_grad=True)

    @no_grad()
    def silent():
        return x * 2

    assert not silent().requires_grad and not silent().requires_grad, "also the second time"
    with no_grad():
        with no_grad():
            assert not (x * 2).requires_grad
        assert not (x * 2).requires_grad, "still, after the inner one ended"
        assert not (x * 2).parents
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (x * 2).requires_grad
    quietly = no_grad()
    with quietly, quietly:
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad, "also after the same one twice"


@pytest.mark.tiny
@on_every_backend
def test_detach_shares_the_numbers_and_forgets_the_rest(backend):
    x = Tensor([3.0], backend=engine(backend), requires_grad=True)
    y = x * 2
    assert y.requires_grad and not y.detach().requires_grad and y.detach().data is y.data


def _without_memory(backend: str) -> list[list[float]]:
    """Gradients of c · x where c = 2x is held fixed, by detach and by no_grad: 6 at x = 3, not 12."""
    found = []
    for held in (lambda x: (x * 2).detach(), no_grad()(lambda x: x * 2)):
        x = Tensor([3.0], backend=engine(backend), requires_grad=True)
        (held(x) * x).sum().backward()
        found.append(x.grad.tolist())
    return found


@pytest.mark.tiny
@on_array_backends
def test_no_gradient_flows_through_what_is_held_fixed(backend):
    assert _without_memory(backend) == [[6.0], [6.0]]


@pytest.mark.tiny
def test_no_gradient_flows_through_what_is_held_fixed_on_scalar():
    assert _without_memory("scalar") == [[6.0], [6.0]]


@pytest.mark.tiny
@on_every_backend
def test_out_of_tinynet(backend):
    x = Tensor([[1.0, 2.5]], backend=engine(backend))
    copy = x.numpy()
    copy[:] = 7
    assert x.tolist() == [[1.0, 2.5]], "numpy() is a copy"
    assert type(x[0, 1].item()) is float and type(Tensor([3], backend=engine(backend)).item()) is int
    assert type((x > 2)[0, 1].item()) is bool
    same(np.asarray(x), [[1.0, 2.5]], "np.asarray", EXACT)
    with pytest.raises(ShapeError, match=r"one element.*\(1, 2\)"):
        x.item()
    assert "2.5" in repr(x) and x.backend.name in repr(x)
    source = np.array([1.0, 2.0])
    y = Tensor(source, backend=engine(backend))
    source[0] = 9.0
    assert y.tolist() == [1.0, 2.0], "data is copied in"


@pytest.mark.tiny
@on_every_backend
def test_gradients_accumulate_once_a_call_and_start_afresh_inside(backend):
    x = Tensor([1.0, 2.0], backend=engine(backend), requires_grad=True)
    inner = x * x
    inner.retain_grad()
    out = (inner * 3).sum()
    for times in (1, 2):
        out.backward()
        assert x.grad.tolist() == [6.0 * times, 12.0 * times]
        assert inner.grad.tolist() == [3.0, 3.0]
        assert not inner.grad.requires_grad and not x.grad.requires_grad, "gradients remember nothing, unless asked to"
    x.zero_grad()
    assert x.grad is None


@pytest.mark.tiny
@on_every_backend
def test_shared_nodes(backend):
    x = Tensor([3.0], backend=engine(backend), requires_grad=True)
    y = x + x
    (y * y + x * y).sum().backward()  # 4x² + 2x²
    assert x.grad.tolist() == [36.0]


@pytest.mark.tiny
@on_every_backend
def test_two_leaves_do_not_share_one_gradient_array(backend):
    x, y = (Tensor([1.0], backend=engine(backend), requires_grad=True) for _ in "xy")
    (x + y).sum().backward()
    with no_grad():
        x.grad.mul_(5.0)
    assert (x.grad.tolist(), y.grad.tolist()) == ([5.0], [1.0])


@pytest.mark.tiny
@on_every_backend
def test_a_given_gradient(backend):
    x = Tensor([1.0, 2.0], backend=engine(backend), requires_grad=True)
    (x * x).backward(Tensor([1.0, 10.0], backend=engine(backend)))
    assert x.grad.tolist() == [2.0, 40.0]


@pytest.mark.tiny
@on_every_backend
def test_hooks_look_at_and_replace_gradients(backend):
    seen = []
    x = Tensor([1.0, 2.0], backend=engine(backend), requires_grad=True)
    remove = x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    (x * 3).sum().backward()
    assert (seen, x.grad.tolist()) == ([[3.0, 3.0]], [31.0, 31.0])
    remove()
    (x * 3).sum().backward()
    assert len(seen) == 1


@pytest.mark.tiny
@on_every_backend
def test_a_hook_may_replace_a_gradient_by_zero(backend):
    x = Tensor([2.0], backend=engine(backend), requires_grad=True)
    x.register_hook(lambda g: g * 0)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [0.0]


@pytest.mark.tiny
@on_array_backends
def test_hooks_inside_the_graph(backend):
    seen = []
    x = Tensor([1.0, 2.0], backend=engine(backend), requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    (y * 3).sum().backward()
    assert (seen, x.grad.tolist()) == ([[3.0, 3.0]], [60.0, 60.0])


@pytest.mark.tiny
def test_hooks_inside_a_scalar_graph_look_but_do_not_replace():
    x = Tensor([1.0], backend="scalar", requires_grad=True)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3).sum().backward()
    assert (seen, x.grad.tolist()) == ([[3.0]], [6.0])
    y.register_hook(lambda g: g * 10)
    with pytest.raises(GradientError, match="replace"):
        (y * 3).sum().backward()


def test_a_chain_of_50_000_additions_is_differentiated_and_freed():
    x = Tensor([1.0], requires_grad=True)
    out = x
    for _ in range(50_000):
        out = out + x
    out.backward()
    assert x.grad.tolist() == [50_001.0]
    last = weakref.ref(out)
    del out
    assert last() is None


@on_every_backend
def test_backward_leaves_no_cycles_and_frees_the_graph(backend):
    def step():
        w = Tensor(X[0], backend=engine(backend), requires_grad=True)
        hidden = tn.cat([(w @ w.T).tanh(), w[[0, 0]][:, :4]], 0)
        loss = (hidden.amax(1) + w.sum(1).mean() ** 2 + tn.where(w > 0, w, 0).sum()).sum()
        loss.backward()
        return weakref.ref(loss), weakref.ref(hidden), weakref.ref(w)

    step()  # what is imported and cached on first use is no leak
    gc.collect()
    gc.disable()
    try:
        refs = step()
        assert [ref() for ref in refs] == [None, None, None], "freed at once, not by the collector"
    finally:
        gc.enable()

    def alive():
        gc.collect()
        return sum(issubclass(type(x), Tensor | Value) for x in gc.get_objects())

    before = alive()
    step()
    assert alive() == before


# --- in place ---------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
def test_in_place_changes_the_array_that_is_there(backend):
    x = Tensor([1.0, 2.0], backend=engine(backend))
    place = x.data
    assert x.add_(1).sub_(Tensor([0.5, 0.5], backend=engine(backend))).mul_(2) is x and x.data is place
    assert x.tolist() == [3.0, 5.0]
    assert (
        x.copy_([7.0, 8.0]).tolist() == [7.0, 8.0]
        and x.copy_(1).tolist() == [1.0, 1.0]
        and x.zero_().tolist() == [0, 0]
    )
    assert x.data is place


@pytest.mark.tiny
@on_every_backend
def test_in_place_is_refused_where_a_gradient_needs_the_old_numbers(backend):
    x = Tensor([1.0], backend=engine(backend), requires_grad=True)
    y = x * x
    for target in (x, y):
        with pytest.raises(GradientError, match="no_grad"):
            target.add_(1)
    with no_grad():
        x.add_(1)
        with pytest.raises(GradientError):
            y.zero_()
    assert (x.tolist(), y.tolist()) == ([2.0], [1.0])


# --- element types ----------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_python_floats_become_float32_and_numpy_arrays_keep_their_own():
    assert Tensor([1.0, 2]).dtype == Tensor(1.5).dtype == tn.zeros(2).dtype == tn.ones((1,)).dtype == "float32"
    assert Tensor([1, 2]).dtype == tn.arange(3).dtype == "int64" and Tensor([True]).dtype == "bool"
    for dtype in ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"):
        assert Tensor(np.ones(2, dtype)).dtype == dtype and Tensor([1.0], dtype).dtype == dtype
    assert Tensor(np.float64(1)).dtype == "float64" and Tensor(Tensor([1.0])).dtype == "float32"
    assert Tensor([1.0], backend="scalar").dtype == "float64"
    x = Tensor([1.0, 2.0])
    assert ([1.0, 2.0] * x).dtype == (x * 2.5).dtype == (2**x).dtype == "float32"
    assert (x + np.ones(2)).dtype == "float64", "a NumPy array brings its precision"
    assert x.to("float64").dtype == "float64" and x.to("float32") is x and x.to(dtype="int64").dtype == "int64"


# --- errors: what was tried, what arrived, what to do -----------------------------------------------------------------

A = Tensor(np.ones((2, 3)))
GRAD = Tensor(np.ones(2), requires_grad=True)
ERRORS = {
    "rows of unequal length": (lambda: Tensor([[1.0], [1.0, 2.0]]), ShapeError, "equal length"),
    "words": (lambda: Tensor(["a"]), TypeMismatch, "'a'"),
    "complex numbers": (lambda: Tensor([1j]), TypeMismatch, "complex128"),
    "objects": (lambda: Tensor([Value(1.0)]), TypeMismatch, "scalar"),
    "no such dtype": (lambda: Tensor([1.0], "float31"), TypeMismatch, "float31.*float32"),
    "no such backend": (lambda: Tensor([1.0], backend="abacus"), ArgumentError, "abacus.*numpy"),
    "shapes that do not broadcast": (lambda: A + Tensor(np.ones((4,))), ShapeError, r"add.*\(2, 3\).*\(4,\)"),
    "matmul": (lambda: A @ A, ShapeError, r"\(2, 3\) @ \(2, 3\)"),
    "matmul of a number": (lambda: A @ Tensor(2.0), ShapeError, r"\(2, 3\) @ \(\)"),
    "reshape": (lambda: A.reshape(4), ShapeError, r"reshape.*\(2, 3\).*4"),
    "no such dimension": (lambda: A.sum(2), ShapeError, r"dimension 2.*\(2, 3\)"),
    "no such dimension, permute": (lambda: A.permute(0, 5), ShapeError, "dimension 5"),
    "permute a dimension twice": (lambda: A.permute(0, 0), ShapeError, "transpose"),
    "mT of a vector": (lambda: A[0].mT, ShapeError, r"\(3,\)"),
    "unsqueeze too far": (lambda: A.unsqueeze(4), ShapeError, r"unsqueeze.*\(2, 3\).*4"),
    "narrow past the end": (lambda: A.narrow(1, 2, 2), ShapeError, r"narrow.*\(2, 3\)"),
    "narrow in no dimension": (lambda: A.narrow(2, 0, 1), ShapeError, "dimension 2"),
    "broadcast_to": (lambda: A.broadcast_to((3, 3)), ShapeError, r"broadcast_to.*\(2, 3\)"),
    "index out of range": (lambda: A[5], ShapeError, r"\(2, 3\).*5"),
    "index array out of range": (lambda: A[[0, 7]], ShapeError, "7"),
    "too many indices": (lambda: A[0, 0, 0], ShapeError, "2"),
    "index by floats": (lambda: A[Tensor([0.0])], ShapeError, "integer"),
    "mask of another shape": (lambda: A[Tensor([True, False, True])], ShapeError, "index"),
    "cat of nothing": (lambda: tn.cat([]), ArgumentError, "none"),
    "cat": (lambda: tn.cat([A, Tensor(np.ones((3, 4)))]), ShapeError, r"concatenate.*\(2, 3\).*\(3, 4\)"),
    "stack": (lambda: tn.stack([A, A[0]]), ShapeError, r"\(2, 3\).*\(3,\)"),
    "backward of many numbers": (lambda: (GRAD * 2).backward(), GradientError, r"\(2,\).*sum"),
    "backward of nothing": (lambda: A.sum().backward(), GradientError, "requires_grad"),
    "backward with a gradient of another shape": (lambda: (GRAD * 2).backward(A), ShapeError, r"\(2,\).*\(2, 3\)"),
    "gradients of integers": (lambda: Tensor([1], requires_grad=True), TypeMismatch, "int64.*float32"),
    "moving what has a gradient": (lambda: GRAD.to("scalar"), GradientError, "detach"),
    "in place, of another shape": (lambda: tn.zeros(2).add_(tn.zeros(3)), ShapeError, r"add_.*\(2,\).*\(3,\)"),
    "copy_, of another shape": (lambda: tn.zeros(2).copy_(tn.zeros(3)), ShapeError, r"copy_.*\(2,\).*\(3,\)"),
    "two backends": (lambda: A + Tensor(np.ones(3), backend="scalar"), BackendMismatch, r"numpy.*scalar.*\.to\("),
    "two backends, in place": (lambda: tn.zeros(1).add_(Tensor([1.0], backend="scalar")), BackendMismatch, "scalar"),
    "two backends, as an index": (lambda: A[Tensor([0], backend="scalar")], BackendMismatch, "scalar"),
}  # fmt: skip


@pytest.mark.tiny
@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_was_tried_what_arrived_and_what_to_do(name):
    attempt, kind, words = ERRORS[name]
    with pytest.raises(kind, match=words) as caught:
        attempt()
    assert isinstance(caught.value, TinynetError)


@pytest.mark.tiny
@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda: A + None, id="adding None"),
        pytest.param(lambda: -Tensor([True]), id="minus a truth"),
        pytest.param(lambda: Tensor([1, 2]).add_(0.5), id="adding a float to integers in place"),
        pytest.param(lambda: A.to(dtype="bogus"), id="a dtype that is none"),
        pytest.param(lambda: Tensor([1], "uint8") + 300, id="a number beyond the dtype"),
        pytest.param(lambda: ((-2.0) ** Tensor([2.0], requires_grad=True)).backward(), id="slope of (-2) ** y"),
    ],
)
def test_every_error_is_one_of_ours(attempt):
    with pytest.raises(TinynetError):
        attempt()


@pytest.mark.tiny
def test_moving_between_backends():
    x = Tensor(np.array([1.5, 2.5]))
    there = x.to("scalar")
    assert there.backend.name == "scalar" and there.tolist() == [1.5, 2.5] and there.to("numpy").dtype == "float64"
    assert x.to("numpy") is x and x.to(engine("numpy")) is x
    grad = Tensor([1.0], requires_grad=True)
    with no_grad():
        assert grad.to("scalar").backend.name == "scalar"
    assert grad.detach().to("scalar").tolist() == [1.0]


@pytest.mark.tiny
def test_the_backends_under_test_are_known():
    assert {"numpy", "scalar"} <= {param.values[0] for param in BACKENDS}


@pytest.mark.tiny
def test_second_derivatives_on_values_are_refused():
    x = Tensor([1.5, -0.5], backend="scalar", requires_grad=True)
    with pytest.raises(GradientError, match="second"):
        (x**3).sum().backward(create_graph=True)
