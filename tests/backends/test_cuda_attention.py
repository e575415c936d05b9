"""Attention on CUDA gives what the NumPy kernels give, in one launch and by products of matrices."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import strict_cuda
import strict_cupy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import seeds

import tinynet as tn
from tinynet import nn
from tinynet.backends.cuda.kernels import attention as theme
from tinynet.backends.cuda.module import Module
from tinynet.backends.kernels import table

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

NUMPY = table(np)
# Sums of up to 150 terms, and one rounding of the weights and of the result, which the gradient then reads.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-2, "bfloat16": 0.15}


@pytest.fixture(params=["one launch", "products"])
def way(request, monkeypatch):
    """Both ways, whatever the sizes."""
    if request.param == "products":
        monkeypatch.setattr(theme, "ROOM", 0)
    return request.param


@dataclass
class Case:
    """What goes in; g is the gradient of the result."""

    q: Any
    k: Any
    v: Any
    g: Any
    mask: Any = None
    keep: Any = None
    causal: bool = False
    scale: float = 0.5

    def by(self, kernels, change=lambda x: x, scores=True):
        """Result, weights, and the gradients of q, k, v and the scores; the last only where it is asked for."""
        q, k, v, g, mask, keep = (
            x if x is None else change(x) for x in (self.q, self.k, self.v, self.g, self.mask, self.keep)
        )
        result, weights = kernels["attention"](q, k, v, mask, keep, causal=self.causal, scale=self.scale)
        causal = self.causal and mask is None
        grads = kernels["attention_grad"](
            g, result, q, k, v, keep, weights, causal=causal, scale=self.scale, scores=scores
        )
        return result, weights, *grads[: 3 + scores]


def case(seed, batch, sizes, mask="none", dropout=False, **params):
    """Numbers for (length, keys, d, e); a mask of booleans or floats that spreads, whole rows hidden among them."""
    random = np.random.default_rng(seed)
    length, keys, d, e = sizes
    arrays = [random.normal(size=(*batch, *s)) for s in ((length, d), (keys, d), (keys, e), (length, e))]
    spread = [1 if random.random() < 0.4 else n for n in (*batch, length, keys)][random.integers(len(batch) + 1) :]
    shown = random.random(spread) < 0.6
    masks = {"none": None, "bool": shown, "float": random.normal(size=spread), "hiding": np.where(shown, 0.5, -np.inf)}
    keep = random.random((*batch, length, keys)) < 0.7 if dropout else None
    return Case(*arrays, masks[mask], keep, **params)


cases = st.builds(
    case,
    seeds,
    st.lists(st.integers(1, 3), max_size=3).map(tuple),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["none", "bool", "float", "hiding"]),
    st.booleans(),
    causal=st.booleans(),
)


def ours(backend):
    return {**backend.kernels, **theme.kernels(backend.module, backend.kernels)}


def same(backend, found, expected, dtype="float64"):
    names = "result", "weights", "dq", "dk", "dv", "scores"
    for name, x, y in zip(names, found, expected):
        assert x.shape == y.shape, name
        assert x.dtype.name == dtype, name
        x = backend.numpy(x).astype("float64")
        np.testing.assert_allclose(x, y, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], err_msg=name)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cases)
def test_it_is_numpys(cupy, way, drawn):
    same(cupy, drawn.by(ours(cupy), cupy.array), drawn.by(NUMPY))


def test_a_size_that_takes_less_room_takes_none_from_others(cupy):
    """The first and the last case of a kernel take more shared memory than the one between them."""
    for sizes in (1, 1, 1, 33), (1, 1, 33, 1), (1, 1, 1, 33):
        drawn = case(12, (), sizes)
        same(cupy, drawn.by(ours(cupy), cupy.array), drawn.by(NUMPY))


SIZES = [(1, 1, 1, 1), (31, 33, 3, 31), (16, 64, 32, 32), (34, 130, 33, 128), (3, 257, 8, 1), (1, 5, 128, 64)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_float_accumulates_wide(cupy, way, dtype, sizes):
    pytest.importorskip("ml_dtypes")
    drawn = case(1, (2,), sizes, "hiding", dropout=True, causal=sizes[0] > 32)
    rounded = lambda x: x if x.dtype == bool else x.astype(dtype)
    expected = drawn.by(NUMPY, lambda x: x if x.dtype == bool else rounded(x).astype("float64"))
    same(cupy, drawn.by(ours(cupy), lambda x: cupy.array(rounded(x))), expected, dtype)


def turned(cupy, x):
    """The same numbers column by column."""
    return (
        cupy.xp.swapaxes(cupy.array(np.ascontiguousarray(np.swapaxes(x, -1, -2))), -1, -2)
        if x.ndim > 1
        else cupy.array(x)
    )


def backwards(cupy, x):
    return cupy.array(np.ascontiguousarray(x[..., ::-1, :]))[..., ::-1, :] if x.ndim > 1 else cupy.array(x)


def with_gaps(cupy, x):
    return cupy.array(np.repeat(x, 2, 0))[::2]


@pytest.mark.parametrize("lie", [turned, backwards, with_gaps])
@pytest.mark.parametrize("batch", [(2, 3), (3, 1, 2)])
def test_inputs_may_lie_anyhow(cupy, way, lie, batch):
    drawn = case(2, batch, (9, 21, 5, 7), "bool", dropout=True, causal=True)
    same(cupy, drawn.by(ours(cupy), lambda x: lie(cupy, x)), drawn.by(NUMPY))


def test_batches_spread(cupy, way):
    random = np.random.default_rng(0)
    drawn = Case(*(random.normal(size=s) for s in ((2, 1, 4, 3), (5, 6, 3), (5, 6, 2), (2, 5, 4, 2))))
    drawn.k, drawn.v = (np.broadcast_to(x, (2, *x.shape)) for x in (drawn.k, drawn.v))
    drawn.q = np.broadcast_to(drawn.q, (2, 5, 4, 3))
    spread = lambda x: cupy.xp.broadcast_to(cupy.array(x[:, :1]), x.shape) if x is drawn.q else cupy.array(x)
    same(cupy, drawn.by(ours(cupy), spread), drawn.by(NUMPY))


@pytest.mark.parametrize(
    "batch, sizes", [((0,), (3, 3, 2, 2)), ((2,), (0, 3, 2, 2)), ((2,), (3, 3, 0, 2)), ((2,), (3, 3, 2, 0))]
)
def test_what_is_empty(cupy, way, batch, sizes):
    drawn = case(3, batch, sizes)
    same(cupy, drawn.by(ours(cupy), cupy.array), drawn.by(NUMPY))


def test_a_row_that_is_hidden_is_zeros_and_large_scores_are_no_trouble(cupy, way):
    drawn = case(4, (2,), (7, 40, 4, 4), causal=False)
    drawn.q, drawn.k = drawn.q * 100, drawn.k * 100  # scores of about 1e4
    drawn.mask = np.ones((7, 40), bool)
    drawn.mask[3] = False
    found = drawn.by(ours(cupy), lambda x: cupy.array(x, None if x.dtype == bool else "float32"))
    expected = drawn.by(NUMPY)
    for x, y in zip(found[:2], expected):
        x = cupy.numpy(x)
        assert not x[:, 3].any()
        np.testing.assert_allclose(x, y, 0, 1e-2)  # a score of 1e4 is known to 1e-3 in single precision
    assert all(np.isfinite(cupy.numpy(x)).all() for x in found)


def test_what_is_not_finite_spreads_as_in_numpy(cupy, way):
    drawn = case(5, (), (6, 5, 3, 3), "bool")
    drawn.q[1, 0], drawn.q[2, 1], drawn.k[4, 2], drawn.v[3, 0], drawn.g[5, 1] = np.nan, np.inf, -np.inf, np.inf, np.nan
    drawn.mask = np.ones((6, 5), bool)
    drawn.mask[0, 4] = drawn.mask[3, :] = False
    with np.errstate(invalid="ignore"):
        same(cupy, drawn.by(ours(cupy), cupy.array), drawn.by(NUMPY))


@pytest.mark.parametrize("lie", ["as asked", "dense", "turned"])
def test_results_go_where_they_are_wanted(cupy, way, lie):
    drawn = case(6, (2, 2), (5, 9, 4, 3), "float", dropout=True)
    kernels, expected = ours(cupy), drawn.by(NUMPY)
    places = []

    def place_for(x):
        shape = (*x.shape[:-2], x.shape[-1], x.shape[-2]) if lie == "turned" else x.shape
        made = cupy.full(shape, np.nan, "float64")
        places.append(cupy.xp.swapaxes(made, -1, -2) if lie == "turned" else made)
        return places[-1]

    q, k, v, g, mask, keep = map(cupy.array, (drawn.q, drawn.k, drawn.v, drawn.g, drawn.mask, drawn.keep))
    out = None if lie == "as asked" else tuple(map(place_for, expected[:2]))
    found = kernels["attention"](q, k, v, mask, keep, causal=False, scale=0.5, out=out)
    given = g, found[0], q, k, v, keep, found[1]
    out = None if lie == "as asked" else tuple(map(place_for, expected[2:]))
    grads = kernels["attention_grad"](*given, causal=False, scale=0.5, out=out)
    same(cupy, [*found, *grads], expected)
    assert all(x is y for x, y in zip([*found, *grads], places))


def test_what_causal_hides_is_written_too(cupy, way):
    """No place is left as it was found, beyond the tiles that are looked at either."""
    drawn = case(6, (2,), (18, 150, 4, 3), causal=True)
    kernels, expected = ours(cupy), drawn.by(NUMPY)
    places = [cupy.full(x.shape, np.nan, "float64") for x in expected]
    q, k, v, g = map(cupy.array, (drawn.q, drawn.k, drawn.v, drawn.g))
    result, weights = kernels["attention"](q, k, v, None, None, causal=True, scale=0.5, out=tuple(places[:2]))
    kernels["attention_grad"](g, result, q, k, v, None, weights, causal=True, scale=0.5, out=tuple(places[2:]))
    same(cupy, places, expected)


def heads(cupy, dtype="float32"):
    """Queries, keys and values as a layer makes them, three views of one array; and that array as it is seen whole."""
    joint = cupy.array(np.random.default_rng(7).normal(size=(2, 5, 3, 4, 8)), dtype)
    whole = joint.transpose(2, 0, 3, 1, 4)
    return whole, [whole[i] for i in range(3)]


def test_heads_come_together_and_gradients_come_to_lie_in_place_without_a_copy(strict, monkeypatch):
    whole, (q, k, v) = heads(strict)
    kernels, launched, kernel = ours(strict), [], Module.kernel
    monkeypatch.setattr(strict_cupy, "copyto", None)  # whoever copies fails
    monkeypatch.setattr(
        Module, "kernel", lambda self, file, name, *a, **b: launched.append(name) or kernel(self, file, name, *a, **b)
    )
    stream, pool = strict.xp.cuda.Stream(non_blocking=True), strict.xp.cuda.MemoryPool()
    with stream, strict.xp.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        result, weights = kernels["attention"](q, k, v, None, None, causal=True, scale=0.3)
        joined = result.transpose(0, 2, 1, 3)
        grads = kernels["attention_grad"](result, result, q, k, v, None, weights, causal=True, scale=0.3, scores=False)
        indices = ((2,), (1,), (0,))
        together = kernels["assemble"](whole, *grads[2::-1], indices=indices)
        again = kernels["assemble"](whole, *grads[2::-1], indices=indices, out=together)
        graph = stream.end_capture()
    assert launched == ["attention", "attention_grad"]
    assert joined.flags.c_contiguous
    assert together.strides == whole.strides
    assert again is together
    graph.launch()
    assert all((together.get()[i] == grads[i].get()).all() for i in range(3))
    drawn = Case(*(x.get() for x in (q, k, v, result)), causal=True, scale=0.3)
    for x, y in zip([result, weights, *grads[:3]], drawn.by(NUMPY)):
        np.testing.assert_allclose(x.get(), y, 1e-5, 1e-5)


def test_parts_are_copied_where_they_lie_elsewhere(cupy):
    whole, parts = heads(cupy, "float64")
    parts = [x * 1 for x in parts]
    assemble = ours(cupy)["assemble"]
    index = (slice(None),) * 3
    for indices in (
        ((0,), (1,), (2,)),
        ((-1, ...), (..., 0, slice(None), slice(None), slice(None), slice(None)), (1,)),
        ((0,), (0,), (1,)),  # two that meet, and zeros
        ((0, None, slice(None)), (1, None, slice(None)), (2, None, slice(None))),
    ):
        given = [x[None] if None in i else x for x, i in zip(parts, indices)]
        expected = NUMPY["assemble"](whole.get(), *(x.get() for x in given), indices=indices)
        for out in (None, cupy.full(whole.shape, np.nan, "float64")):
            found = assemble(whole, *given, indices=indices, out=out)
            np.testing.assert_array_equal(cupy.numpy(found), expected)
            assert out is None or found is out
    square = cupy.array(np.arange(32.0).reshape(2, 4, 4))
    for given, indices in (
        ((square[1], square[0]), ((0,), (1,))),  # parts of one array, in other places than their own
        ((square[0].T, square[1]), ((0,), (1,))),
    ):
        expected = NUMPY["assemble"](square.get(), *(x.get() for x in given), indices=indices)
        np.testing.assert_array_equal(cupy.numpy(assemble(square, *given, indices=indices)), expected)
    halves = [(*index, slice(None, 2)), (*index, slice(2, None))]
    given = [whole[i] * 2 for i in halves]
    np.testing.assert_array_equal(cupy.numpy(assemble(whole, *given, indices=tuple(halves))), 2 * cupy.numpy(whole))
    np.testing.assert_array_equal(cupy.numpy(assemble(whole, whole[0], indices=((0,),)))[1:], 0)


def test_other_types_are_brought_together(cupy, way):
    drawn = case(8, (2,), (4, 6, 3, 3))
    change = lambda x: cupy.array(x, "float32" if x is drawn.k or x is drawn.g else "float64")
    found = drawn.by(ours(cupy), change)
    assert [x.dtype.name for x in found] == ["float64"] * 3 + ["float32"] + ["float64"] * 2
    for x, y in zip(found, drawn.by(NUMPY, lambda x: cupy.numpy(change(x)).astype("float64"))):
        np.testing.assert_allclose(cupy.numpy(x), y, 1e-6, 1e-6)  # one gradient is rounded to single precision


def test_dropout_by_factors_goes_to_the_plain_kernels(cupy):
    drawn = case(8, (2,), (4, 6, 3, 3))
    drawn.keep = np.random.default_rng(0).random((2, 4, 6))
    same(cupy, drawn.by(ours(cupy), cupy.array), drawn.by(NUMPY))


def test_bfloat16_goes_in_as_it_lies(cupy, monkeypatch):
    pytest.importorskip("ml_dtypes")
    launched, kernel = [], Module.kernel
    monkeypatch.setattr(
        Module, "kernel", lambda self, *a, **b: launched.append((a[1], b.get("T"))) or kernel(self, *a, **b)
    )
    found = []
    for backend in (cupy, "numpy"):
        x = tn.Tensor(np.random.default_rng(11).normal(size=(2, 5, 8)), "float32", backend=backend, requires_grad=True)
        with tn.autocast("bfloat16"):
            out = nn.functional.scaled_dot_product_attention(x[..., :4], x[..., 2:6], x[..., 4:], is_causal=True)
        (out * out).sum().backward()
        assert out.dtype == "bfloat16"
        found.append((out.numpy().astype("float32"), x.grad.numpy()))
    assert {("attention", "bfloat16"), ("attention_grad", "bfloat16")} <= set(launched)
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, 3e-2, 3e-2)  # 8 bits, rounded three times


def test_the_way_is_chosen_by_size():
    def small(dtype, d, e, length, keys):
        size = 8 if dtype == "float64" else 4
        shared = max(theme.room(d, e, keys, size), theme.room_of_grad(d, e, size))
        return theme.is_small(dtype, d, e, 48 * length * keys, shared)

    assert small("float32", 32, 32, 64, 64)
    assert small("bfloat16", 32, 32, 64, 64)
    assert small("float32", 128, 128, 1024, 64)
    assert not small("float32", 129, 8, 64, 64)
    assert not small("float32", 64, 64, 1024, 1024)
    assert not small("float16", 64, 64, 256, 256)
    tn.set_float32_matmul_precision("high")
    try:
        assert not small("float32", 64, 64, 256, 256)
    finally:
        tn.set_float32_matmul_precision("highest")


class Looking(nn.Module):
    """Self-attention with everything that its kernels take; the bias is learned."""

    def __init__(self, masked):
        self.heads = nn.MultiheadAttention(8, 2, 0.3, batch_first=True)
        self.bias = nn.Parameter(tn.Tensor(np.random.default_rng(9).normal(size=(5, 5)))) if masked else None

    def forward(self, x):
        return self.heads(x, x, x, need_weights=False, attn_mask=self.bias, is_causal=self.bias is None)[0]


@pytest.mark.parametrize("masked", [False, True])
def test_a_layer_learns_as_on_numpy(cupy, masked):
    x, target = np.random.default_rng(10).normal(size=(2, 3, 5, 8))
    learned = []
    for backend in (cupy, "numpy"):
        tn.manual_seed(1)
        model = Looking(masked).to("numpy", dtype="float64").to(backend)
        optimiser = tn.optim.SGD(model.parameters(), lr=0.5)

        def train_step(x, y, model=model, optimiser=optimiser):
            optimiser.zero_grad()
            loss = nn.MSELoss()(model(x), y)
            loss.backward()
            optimiser.step()
            return loss

        step = tn.capture(train_step)
        for _ in range(4):
            step(*(tn.Tensor(a, "float64", backend=backend) for a in (x, target)))
        learned.append([p.numpy() for p in model.parameters()])
    for ours, theirs in zip(*learned):
        np.testing.assert_allclose(ours, theirs, 1e-11, 1e-11)
