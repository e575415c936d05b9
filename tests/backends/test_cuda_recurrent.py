"""Recurrences on CUDA give what the NumPy kernels give, in one launch and step by step."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import strict_cuda
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from on_cuda import HALVES, in_type
from support import seeds

import tinynet as tn
from tinynet import nn
from tinynet.backends.cuda.kernels import recurrent as theme
from tinynet.backends.cuda.kernels.recurrent_plan import GRU, LSTM, RNN, planned
from tinynet.backends.cuda.module import Module
from tinynet.backends.kernels import table

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

NUMPY = table(np)
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
# Sums of up to 200 terms in another order, carried through some steps.
TOLERANCE = {"float64": 1e-12, "float32": 3e-5}


@pytest.fixture(params=["one launch", "by steps"])
def way(request, monkeypatch):
    """Both ways, whatever the sizes."""
    if request.param == "by steps":
        monkeypatch.setattr(theme.Recurrences, "_plan", lambda *given: None)
    return request.param


@dataclass
class Case:
    """What goes in; g is the gradient of the states."""

    kind: str
    x: Any
    state: list[Any]
    w_ih: Any
    w_hh: Any
    biases: list[Any]
    mask: Any
    g: Any
    nonlinearity: str = "tanh"

    def by(self, kernels, change=lambda x: x, out=None, grads=None):
        """The states, what is saved, and all gradients, as one list."""
        move = lambda x: x if x is None else change(x)
        x, w_ih, w_hh, mask, g = map(move, (self.x, self.w_ih, self.w_hh, self.mask, self.g))
        state, biases = list(map(move, self.state)), list(map(move, self.biases))
        params = {"nonlinearity": self.nonlinearity} if self.kind == "rnn" else {}
        states, saved = kernels[self.kind](x, *state, w_ih, w_hh, *biases, mask, out=out, **params)
        back = kernels[f"{self.kind}_grad"](g, states, x, state[0], w_ih, w_hh, mask, saved, out=grads)
        return [states, saved, *back]


def drawn(kind, steps, batch, inputs, hidden, dtype="float64", masked=False, biased=True, seed=0, **params):
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.uniform(-1, 1, shape).astype(dtype)
    parts, biases = 1 + (kind == "lstm"), 1 + (kind == "gru")
    rows = GATES[kind] * hidden
    ends = random.integers(0, steps + 1, batch)
    return Case(
        kind, draw(steps, batch, inputs), [draw(batch, hidden) for _ in range(parts)],
        draw(rows, inputs) / draw(1).dtype.type(inputs**0.5), draw(rows, hidden) / draw(1).dtype.type(hidden**0.5),
        [draw(rows) if biased else None for _ in range(biases)],
        (np.arange(steps)[:, None] < ends)[..., None] if masked else None,
        draw(*([2] if parts == 2 else []), steps, batch, hidden), **params,
    )  # fmt: skip


def ours(backend):
    """The kernels of this file's theme, over the backend's others."""
    return backend.kernels | theme.kernels(backend.module, backend.kernels)


def compare(backend, found, expected, dtype):
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"result {i}"
        assert a.flags.c_contiguous, f"result {i}"
        bound, b = TOLERANCE[dtype], b.astype("float64")
        a = backend.numpy(a).astype("float64")
        np.testing.assert_allclose(a, b, bound, bound * max(1, np.abs(b).max()), err_msg=f"result {i}")


SIZES = [  # steps, batch, inputs, hidden; the stand-in's card has 4 multiprocessors, so a batch of 5 goes in twos
    (1, 1, 1, 1), (3, 2, 2, 3), (4, 5, 3, 4), (2, 9, 5, 33)
]  # fmt: skip


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(cupy, way, kind, sizes):
    for i, (masked, biased) in enumerate(((False, True), (True, False))):
        case = drawn(kind, *sizes, masked=masked, biased=biased, seed=i)
        compare(cupy, case.by(ours(cupy), cupy.array), case.by(NUMPY), "float64")


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("dtype", ["float32", *HALVES])
def test_types(cupy, way, kind, dtype):
    """Halves are computed with as float32; what is saved, h of a step by steps, and results have 11 or 8 bits."""
    case = drawn(kind, 3, 3, 4, 20, masked=True)
    lists = {name: [in_type(cupy, x, dtype) for x in getattr(case, name)] for name in ("state", "biases")}
    there = {name: in_type(cupy, getattr(case, name), dtype) for name in ("x", "w_ih", "w_hh", "g")}
    picked = lambda i: {name: v[i] for name, v in there.items()} | {n: [x[i] for x in v] for n, v in lists.items()}
    found = replace(case, mask=cupy.array(case.mask), **picked(0)).by(ours(cupy))
    bound = {"float32": 3e-5, "float16": 4e-3, "bfloat16": 4e-2}[dtype]
    for i, (a, b) in enumerate(zip(found, replace(case, **picked(1)).by(NUMPY), strict=True)):
        assert (a.shape, a.dtype.name) == (b.shape, dtype)
        a = cupy.numpy(a).astype("float64")
        np.testing.assert_allclose(a, b, bound, bound * max(1, np.abs(b).max()), err_msg=f"result {i}")


@pytest.mark.parametrize("kind", GATES)
def test_weights_in_registers_and_in_shared_memory(cupy, kind):
    hidden = {"rnn": 250, "lstm": 128, "gru": 122}[kind]
    case = drawn(kind, 2, 2, 2, hidden, "float32")
    compare(cupy, case.by(ours(cupy), cupy.array), case.by(NUMPY), "float32")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(list(GATES)), st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4),
    st.booleans(), st.booleans(), seeds, st.sampled_from(["tanh", "relu"]),
)  # fmt: skip
def test_drawn(strict, kind, steps, batch, inputs, hidden, masked, biased, seed, nonlinearity):
    case = drawn(kind, steps, batch, inputs, hidden, masked=masked, biased=biased, seed=seed, nonlinearity=nonlinearity)
    compare(strict, case.by(ours(strict), strict.array), case.by(NUMPY), "float64")


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_nonlinearities(cupy, way, nonlinearity):
    case = drawn("rnn", 4, 3, 2, 4, masked=True, nonlinearity=nonlinearity)
    compare(cupy, case.by(ours(cupy), cupy.array), case.by(NUMPY), "float64")


@pytest.mark.parametrize("kind", GATES)
def test_results_go_where_they_are_asked_for(cupy, way, kind):
    case = drawn(kind, 3, 2, 2, 3, masked=True)
    expected = case.by(NUMPY)
    for gaps in (False, True):
        places = [cupy.full((*b.shape[:-1], 2 * b.shape[-1]), 7.0, "float64")[..., ::2] for b in expected]
        if not gaps:
            places = [cupy.full(b.shape, 7.0, "float64") for b in expected]
        found = case.by(ours(cupy), cupy.array, tuple(places[:2]), tuple(places[2:]))
        assert all(a is b for a, b in zip(found, places, strict=True))
        for a, b in zip(found, expected):
            np.testing.assert_allclose(cupy.numpy(a), b, 1e-12, 1e-12)


@pytest.mark.parametrize("kind", GATES)
def test_arrays_that_lie_otherwise(cupy, way, kind):
    """Turned round, as the backward direction does; the batch first; columns of something; one number for all."""
    case = drawn(kind, 4, 3, 2, 4, masked=True)
    turned, across = (lambda x: x[::-1]), (lambda x: x.T)
    lying = {
        "x": lambda x: turned(cupy.array(np.ascontiguousarray(x[::-1].swapaxes(0, 1))).swapaxes(0, 1)),
        "mask": lambda x: turned(cupy.array(np.ascontiguousarray(x[::-1]))),
        "g": lambda x: cupy.array(x[..., ::-1, :, :].swapaxes(-1, -3).copy()).swapaxes(-1, -3)[..., ::-1, :, :],
        "w_ih": lambda x: across(cupy.array(np.ascontiguousarray(x.T))),
        "w_hh": lambda x: across(cupy.array(np.ascontiguousarray(x.T))),
    }  # fmt: skip
    moved = Case(
        kind, lying["x"](case.x), [cupy.array(np.repeat(s, 2, 0))[::2] for s in case.state], lying["w_ih"](case.w_ih),
        lying["w_hh"](case.w_hh), [cupy.array(np.repeat(b, 2))[::2] for b in case.biases], lying["mask"](case.mask),
        lying["g"](case.g),
    )  # fmt: skip
    compare(cupy, moved.by(ours(cupy)), case.by(NUMPY), "float64")
    case.g = np.broadcast_to(np.float64(0.5), case.g.shape)
    moved.g = cupy.xp.broadcast_to(cupy.array(np.float64(0.5)), case.g.shape)
    compare(cupy, moved.by(ours(cupy)), case.by(NUMPY), "float64")


def test_cublas_sees_no_sequence_that_is_turned_round(strict):
    """Its manual promises nothing of negative steps between the matrices of a stack."""
    steps = []

    def matmul(x, y, out=None):
        steps.append(min(x.strides))
        return strict.kernels["matmul"](x, y, out=out)

    case = drawn("rnn", 4, 3, 2, 4)
    kernels = theme.kernels(strict.module, strict.kernels | {"matmul": matmul})
    turned = lambda x: strict.array(x[::-1].copy())[::-1]
    compare(strict, case.by(kernels, turned), case.by(NUMPY), "float64")
    assert min(steps) > 0


@pytest.mark.parametrize("kind", GATES)
def test_other_types_are_brought_together(cupy, way, kind):
    case = drawn(kind, 2, 2, 3, 4, "float32")
    case.x, case.w_hh = case.x.astype("float64"), case.w_hh.astype("float16")
    expected = drawn(kind, 2, 2, 3, 4, "float32").by(NUMPY)
    for a, b in zip(case.by(ours(cupy), cupy.array), expected, strict=True):
        assert a.dtype == "float64"
        np.testing.assert_allclose(cupy.numpy(a), b, 5e-3, 5e-3)  # w_hh has three digits


@pytest.mark.parametrize("kind", GATES)
def test_empty_batches_are_left_to_cupy(cupy, kind):
    empty = drawn(kind, 2, 0, 3, 4)
    states, _, *grads = empty.by(ours(cupy), cupy.array)
    assert not states.size
    assert not cupy.numpy(grads[-1]).any()


@pytest.mark.parametrize("kind", GATES)
def test_sizes_that_do_not_fit_are_refused(cupy, kind):
    case = drawn(kind, 2, 2, 3, 4)
    case.w_ih = case.w_ih[:, :2]
    with pytest.raises(ValueError):
        case.by(ours(cupy), cupy.array)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_nan_infinities_and_large_numbers(cupy, way, kind, nonlinearity):
    case = drawn(kind, 4, 4, 3, 3, "float32", nonlinearity=nonlinearity)
    case.x[:, 3] *= 1e4
    case.x[1, 0, 0], case.x[2, 1, 1], case.x[1, 2, 0] = np.nan, np.inf, -np.inf
    with np.errstate(all="ignore"):
        expected = case.by(NUMPY)
    for a, b in zip(case.by(ours(cupy), cupy.array)[:2], expected):
        a = cupy.numpy(a)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        # The last bit of a number of 1e4 is 1e-3, which only relu lets through.
        np.testing.assert_allclose(a, b, 1e-5, 2e-3 if nonlinearity == "relu" else 1e-4)


@pytest.mark.parametrize("kind", GATES)
def test_the_same_bits_every_time(cupy, way, kind):
    case, kernels = drawn(kind, 5, 3, 4, 20, "float32", masked=True), ours(cupy)
    first, second = ([cupy.numpy(a) for a in case.by(kernels, cupy.array)] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second))


@pytest.mark.parametrize("kind", GATES)
def test_a_longer_sequence_takes_no_more_launches(strict, monkeypatch, kind):
    launched, kernel = [], Module.kernel
    monkeypatch.setattr(
        Module, "kernel", lambda self, file, name, *a, **b: launched.append(name) or kernel(self, file, name, *a, **b)
    )
    for steps in (2, 7):
        drawn(kind, steps, 2, 3, 4, "float32").by(ours(strict), strict.array)
        assert [name for name in launched if "ward" in name] == ["forward", "backward"]
        launched.clear()


# --- what runs in one launch ------------------------------------------------------------------------------------------

CARDS = {"H100": (132, 227 << 10), "RTX 4090": (128, 99 << 10), "T4": (40, 64 << 10)}


@pytest.mark.parametrize("card", CARDS)
def test_a_hundred_and_twenty_eight_units_stay_on_every_card(card):
    for cell in (RNN, LSTM, GRU):
        assert planned(cell, 128, 32, 4, *CARDS[card]) is not None
    assert planned(RNN, 256, 32, 4, *CARDS[card]) is not None
    for cell, hidden in ((RNN, 512), (LSTM, 256), (GRU, 256)):
        assert planned(cell, hidden, 32, 4, *CARDS[card]) is None


@given(
    st.sampled_from([RNN, LSTM, GRU]), st.integers(1, 600), st.integers(1, 600), st.sampled_from([4, 8]),
    st.sampled_from(list(CARDS)),
)  # fmt: skip
def test_a_plan_keeps_within_the_card(cell, hidden, batch, itemsize, card):
    processors, room = CARDS[card]
    plan = planned(cell, hidden, batch, itemsize, processors, room)
    if plan is None:
        assert cell.gates * hidden**2 * itemsize > 200 << 10  # so much fits on the smallest card
        return
    assert plan.width >= hidden
    assert plan.lanes in (1, 2, 4, 8, 16)
    assert plan.lanes >= cell.lanes
    assert plan.threads % 32 == 0
    assert plan.lanes * plan.width <= plan.threads <= 1024
    assert plan.rows == (1 if batch <= processors else 2)
    for kept, shared in zip(plan.kept, plan.shared):
        assert shared <= room
        held = kept * 4 * itemsize * plan.threads + shared
        assert held >= cell.gates * hidden**2 * itemsize  # nothing is left out


# --- layers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layers_in_both_directions_eager_and_replayed(cupy, kind):
    random = np.random.default_rng(3)
    x = random.normal(size=(5, 3, 2)).astype("float32")
    lengths = np.array([5, 2, 4])
    tn.manual_seed(1)
    model = getattr(nn, kind)(2, 4, num_layers=2, bidirectional=True)
    expected = gradients(model.to("numpy"), x, lengths)
    model.to("cupy")
    step = tn.capture(lambda x, lengths: whole(model, x, lengths), names=[*model.named_parameters()])
    for call in (whole, *[lambda model, x, lengths: step(x, lengths)] * 3):
        for p in model.parameters():
            p.grad = None
        found = gradients(model, x, lengths, call)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, 1e-4, 1e-5)


def whole(model, x, lengths):
    out, _ = model(x, lengths=lengths)
    loss = (out * out).sum()
    loss.backward()
    return loss


def gradients(model, x, lengths, call=whole):
    backend = next(iter(model.parameters())).backend
    loss = call(model, tn.Tensor(x, backend=backend), tn.Tensor(lengths, backend=backend))
    return [loss.numpy(), *[p.grad.numpy() for p in model.parameters()]]
