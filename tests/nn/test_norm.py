"""Normalisation: values, gradients and running statistics against PyTorch and the scalar backend; its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_array_backends, on_every_backend, run, same, same_again, seeds, smooth
from twins import found, is_its_own_on_scalars, is_pytorchs, replays_as_it_runs

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError
from tinynet.nn import functional as F

some = st.integers(1, 4)


@st.composite
def numbers(draw, shape):
    """Numbers of that shape, off centre."""
    return smooth(np.random.default_rng(draw(seeds)), shape) * 3 + draw(st.sampled_from([0, 5]))


@st.composite
def batches(draw, dims):
    features, rest = draw(some), [draw(some) for _ in range(draw(st.sampled_from(dims)) - 2)]
    named = {
        "eps": draw(st.sampled_from([1e-5, 0.1])),
        "momentum": draw(st.sampled_from([0.1, 0.7, None])),
        "affine": draw(st.booleans()),
        "track_running_stats": draw(st.booleans()),
    }
    return features, named, draw(numbers((draw(st.integers(2, 4)), features, *rest)))


@st.composite
def last(draw, **more):
    shape = tuple(draw(st.lists(some, min_size=1, max_size=2)))
    batch = tuple(draw(st.lists(some, max_size=2)))
    given = shape[0] if len(shape) == 1 and draw(st.booleans()) else shape
    return given, {name: draw(strategy) for name, strategy in more.items()}, draw(numbers((*batch, *shape)))


flags = st.booleans()
LAYERS = {
    "BatchNorm1d": batches((2, 3)),
    "BatchNorm2d": batches((4,)),
    "LayerNorm": last(eps=st.sampled_from([1e-5, 0.1]), elementwise_affine=flags, bias=flags),
    "RMSNorm": last(eps=st.sampled_from([None, 1e-5, 0.1]), elementwise_affine=flags),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def shuffled(layer, seed=0):
    """The layer with weights that are not all 0 and 1."""
    random = np.random.default_rng(seed)
    with tn.no_grad():
        for parameter in layer.parameters():
            parameter.load_(smooth(random, parameter.shape))
    return layer


@every_layer
@pytest.mark.torch
def test_it_is_pytorchs(name):
    """Two batches one after the other, so that the running statistics move twice; then evaluation."""
    import torch

    @settings(max_examples=25)
    @given(LAYERS[name])
    def check(drawn):
        argument, named, x = drawn
        layer, theirs = getattr(nn, name)(argument, **named), getattr(torch.nn, name)(argument, **named)
        with torch.no_grad():
            for parameter in theirs.parameters():
                parameter.copy_(torch.tensor(smooth(np.random.default_rng(1), tuple(parameter.shape))))
        is_pytorchs(layer, theirs, x, passes=2)
        is_pytorchs(layer.eval(), theirs.eval(), x)

    check()


@every_layer
def test_every_number_agrees_with_the_scalar_backend(name):
    @settings(max_examples=12)
    @given(LAYERS[name])
    def check(drawn):
        argument, named, x = drawn
        layer = shuffled(getattr(nn, name)(argument, **named))
        is_its_own_on_scalars(layer, x, passes=2)
        is_its_own_on_scalars(layer.eval(), x)

    check()


@pytest.mark.tiny
@on_every_backend
def test_by_hand(backend):
    """1 and 3 have mean 2 and variance 1; their unbiased variance is 2. A card's root may be off by a digit."""
    x = np.array([[1.0], [3.0]])
    layer = nn.BatchNorm1d(1, eps=0.0)
    same_again(backend, found(layer, x, backend)["output"], [[-1.0], [1.0]])
    assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([0.2], [pytest.approx(1.1)])
    assert layer.num_batches_tracked.item() == 1
    layer.load_state_dict({**layer.state_dict(), "running_mean": np.array([1.0]), "running_var": np.array([4.0])})
    same_again(backend, layer.eval()(x).numpy(), [[0.0], [1.0]])
    assert layer.num_batches_tracked.item() == 1, "evaluation leaves the statistics alone"
    same_again(backend, found(nn.LayerNorm(2, eps=0.0), x.T, backend)["output"], [[-1.0, 1.0]])
    same_again(backend, found(nn.RMSNorm(2, eps=0.0), np.array([[1.0, 7.0]]), backend)["output"], [[0.2, 1.4]])


@on_every_backend
def test_momentum_none_averages_over_all_batches(backend):
    layer = nn.BatchNorm2d(2, momentum=None).to(engine(backend), "float64")
    random = np.random.default_rng(0)
    seen = [random.normal(size=(3, 2, 2, 2)) for _ in range(3)]
    for x in seen:
        layer(x)
    same(layer.running_mean.numpy(), np.mean([x.mean((0, 2, 3)) for x in seen], 0), "mean", 1e-12, 1e-13)
    same(layer.running_var.numpy(), np.mean([x.var((0, 2, 3), ddof=1) for x in seen], 0), "variance", 1e-12)


@pytest.mark.parametrize("remembered", [True, False])
def test_the_statistics_move_whether_or_not_gradients_are_wanted(remembered):
    layer = nn.BatchNorm2d(2)
    with tn.no_grad() if not remembered else tn.modes.switched():
        layer(np.random.default_rng(0).normal(2, 3, size=(8, 2, 4, 4)).astype("float32"))
    same(layer.running_mean.numpy(), [0.2, 0.2], "mean", 0.3)
    same(layer.running_var.numpy(), [1.8, 1.8], "variance", 0.2)


@on_array_backends
@pytest.mark.parametrize("make", [lambda: nn.LayerNorm(64), lambda: nn.RMSNorm(64), lambda: nn.BatchNorm1d(64)])
def test_it_is_stable_far_out(make, backend):
    """Around 1e4, in float32 and in float16, where squares would overflow."""
    random = np.random.default_rng(0)
    x = 1e4 + 100 * random.normal(size=(64, 64))
    for dtype, rtol in (("float32", 1e-3), ("float16", 0.2)):
        narrow = x.astype(dtype)
        layer = make().to(engine(backend), dtype)
        out, (gradient,) = run(layer, [narrow], backend)
        assert out.dtype == gradient.dtype == dtype and np.isfinite(gradient).all()
        exact, (expected,) = run(make().to(engine(backend), "float64"), [narrow.astype("float64")], backend)
        same(out, exact, f"{layer} in {dtype}", rtol, rtol)
        same(gradient, expected, f"gradient of {layer} in {dtype}", rtol, rtol * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_eps_is_the_element_types_own_where_not_given(dtype):
    """Inputs of its root: mean x² = eps, so that each becomes 1/√2."""
    eps = float(np.finfo(dtype).eps)
    out = nn.RMSNorm(2).to(dtype=dtype)(np.array([[1.0, -1.0]], dtype) * np.sqrt(eps, dtype=dtype))
    assert out.dtype == dtype
    same(out.numpy(), [[0.5**0.5, -(0.5**0.5)]], dtype, 2 * eps)


@on_every_backend
@pytest.mark.parametrize("make", [lambda: nn.LayerNorm(4), lambda: nn.BatchNorm1d(4), lambda: nn.RMSNorm(4)])
def test_inputs_that_are_all_alike_become_finite(make, backend):
    results = found(make(), np.full((3, 4), 7.0), backend)
    assert all(np.isfinite(array).all() for array in results.values())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (4, 3)), (nn.BatchNorm1d(3, momentum=None), (4, 3, 2)), (nn.BatchNorm2d(2), (3, 2, 4, 5)),
        (nn.BatchNorm2d(2).eval(), (3, 2, 4, 5)), (nn.LayerNorm((2, 3)), (4, 2, 3)), (nn.RMSNorm(3), (4, 2, 3)),
    ],
)  # fmt: skip
def test_it_records_and_replays(layer, shape):
    replays_as_it_runs(shuffled(layer), np.random.default_rng(1).normal(size=shape))


@pytest.mark.torch
def test_the_functions_are_pytorchs():
    import torch

    random = np.random.default_rng(2)
    x, w, b = random.normal(size=(4, 3, 5)), random.normal(size=5), random.normal(size=5)
    same(
        F.layer_norm(Tensor(x), (5,), Tensor(w), Tensor(b)).numpy(),
        torch.nn.functional.layer_norm(torch.tensor(x), (5,), torch.tensor(w), torch.tensor(b)).numpy(),
        "layer_norm", 1e-10,
    )  # fmt: skip
    same(
        F.rms_norm(Tensor(x), (3, 5)).numpy(),
        torch.nn.functional.rms_norm(torch.tensor(x), (3, 5)).numpy(),
        "rms_norm", 1e-10,
    )  # fmt: skip
    for training in (True, False):
        mean, var = np.ones(3), np.full(3, 2.0)
        ours, theirs = [Tensor(a) for a in (x, mean, var)], [torch.tensor(a) for a in (x, mean, var)]
        same(
            F.batch_norm(*ours, training=training).numpy(),
            torch.nn.functional.batch_norm(*theirs, training=training).numpy(),
            "batch_norm", 1e-10, 1e-14,
        )  # fmt: skip
        for a, c in zip(ours[1:], theirs[1:]):
            same(a.numpy(), c.numpy(), "running statistics", 1e-10)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4), nn.BatchNorm1d(4).eval(), nn.LayerNorm(4), nn.RMSNorm(4)])
@on_every_backend
def test_integers_become_floats(layer, backend):
    x = np.arange(12).reshape(3, 4)
    layer.to(engine(backend))
    state = {name: t.numpy() for name, t in layer.state_dict().items()}
    expected = layer(x.astype("float32")).numpy()
    layer.load_state_dict(state)
    same(layer(x).numpy(), expected, str(layer), 1e-6)


def test_repr_says_what_differs_from_the_defaults():
    assert repr(nn.BatchNorm2d(20)) == "BatchNorm2d(20)"
    assert repr(nn.BatchNorm1d(3, momentum=None, affine=False)) == "BatchNorm1d(3, momentum=None, affine=False)"
    assert repr(nn.LayerNorm((2, 3), eps=0.1)) == "LayerNorm((2, 3), eps=0.1)"
    assert repr(nn.RMSNorm(5)) == "RMSNorm(5)"


@pytest.mark.tiny
@pytest.mark.parametrize(
    "make",
    [lambda: nn.BatchNorm2d(True), lambda: nn.LayerNorm(()), lambda: nn.RMSNorm((2, -1)), lambda: nn.RMSNorm("a")],
)
def test_sizes_that_make_no_sense_are_refused_when_made(make):
    with pytest.raises(ArgumentError, match=r"Norm\w* needs n\w+, a whole number of at least 1.*; got"):
        make()


@pytest.mark.tiny
@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.RMSNorm])
@pytest.mark.parametrize("eps", [-1, "x", float("nan"), True])
def test_an_eps_is_a_number(layer, eps):
    with pytest.raises(ArgumentError, match=rf"{layer.__name__}\(eps={eps!r}\): it is a number of at least 0"):
        layer(3, eps=eps)


@pytest.mark.tiny
@pytest.mark.parametrize("momentum", ["a", -0.1, 2])
def test_a_momentum_is_a_share(momentum):
    with pytest.raises(ArgumentError, match=rf"BatchNorm2d\(momentum={momentum!r}\): it is a number from 0 to 1"):
        nn.BatchNorm2d(3, momentum=momentum)


@pytest.mark.tiny
@on_every_backend
def test_inputs_that_do_not_fit_are_refused(backend):
    def call(layer, shape):
        layer.to(engine(backend))(np.zeros(shape, np.float32))

    with pytest.raises(ShapeError, match=r"BatchNorm2d\(3\) needs \(batch, 3, height, width\); got \(2, 3\)"):
        call(nn.BatchNorm2d(3), (2, 3))
    with pytest.raises(ShapeError, match=r"needs \(batch, 3\) or \(batch, 3, length\); got \(2, 4\)"):
        call(nn.BatchNorm1d(3), (2, 4))
    with pytest.raises(ShapeError, match=r"LayerNorm\(\(2, 3\)\) needs \(…, 2, 3\); got \(3, 2\)"):
        call(nn.LayerNorm((2, 3)), (3, 2))
    alone = nn.BatchNorm1d(3)
    with pytest.raises(ShapeError, match=r"needs more than one number a channel to train on; got \(1, 3\)"):
        call(alone, (1, 3))
    assert alone.num_batches_tracked.item() == 0, "refused before anything is changed"
    call(alone.eval(), (1, 3))
