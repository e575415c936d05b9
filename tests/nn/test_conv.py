"""Convolution and its transpose: values and every gradient against PyTorch and the scalar backend; their refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_every_backend, same, seeds, smooth
from twins import is_its_own_on_scalars, is_pytorchs, replays_as_it_runs

import tinynet as tn
from tinynet import Tensor, check_gradients, nn
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.nn import functional as F

few = st.integers(1, 2)


@st.composite
def setting(draw, largest, least=1):
    """A number, or one each for rows and columns."""
    number = st.integers(least, largest)
    return draw(number | st.tuples(number, number))


def both(value):
    return value if isinstance(value, tuple) else (value, value)


@st.composite
def convolutions(draw, directions=2):
    """Arguments of a Conv layer, and an input that fits."""
    pair = directions == 2
    kernel, dilation = (draw(setting(n) if pair else st.integers(1, n)) for n in (3, 2))
    padding = draw(st.sampled_from(["same", "valid"]) | (setting(2, 0) if pair else st.integers(0, 2)))
    stride = 1 if padding == "same" else draw(setting(3) if pair else st.integers(1, 3))
    groups, random = draw(few), np.random.default_rng(draw(seeds))
    inputs = groups * draw(few)
    arguments = (inputs, groups * draw(few), kernel, stride, padding, dilation, groups, draw(st.booleans()))
    reach = [d * (k - 1) + 1 for k, d in zip(both(kernel), both(dilation))]
    around = (0, 0) if padding == "valid" else reach if padding == "same" else [2 * n for n in both(padding)]
    size = [max(r - p, 1) + draw(st.integers(0, 4)) for r, p in zip(reach, around)][:directions]
    batch = draw(st.sampled_from([(), (1,), (2,)]))
    return arguments, smooth(random, (*batch, inputs, *size))


@st.composite
def transposed(draw):
    kernel, stride, padding, dilation = draw(setting(3)), draw(setting(3)), draw(setting(1, 0)), draw(setting(2))
    room = [max(s, d) - 1 for s, d in zip(both(stride), both(dilation))]
    more = tuple(draw(st.integers(0, n)) for n in room)
    groups, random = draw(few), np.random.default_rng(draw(seeds))
    inputs = groups * draw(few)
    arguments = (inputs, groups * draw(few), kernel, stride, padding, more, groups, draw(st.booleans()), dilation)
    size = [draw(st.integers(3, 5)) for _ in range(2)]  # 3 - 2 · 1 pixels at least remain
    return arguments, smooth(random, (*draw(st.sampled_from([(), (2,)])), inputs, *size))


LAYERS = {
    "Conv1d": (nn.Conv1d, convolutions(1)),
    "Conv2d": (nn.Conv2d, convolutions(2)),
    "ConvTranspose2d": (nn.ConvTranspose2d, transposed()),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_it_is_pytorchs(name):
    import torch

    layer, sampler = LAYERS[name]

    @settings(max_examples=30)
    @given(sampler)
    def check(drawn):
        arguments, x = drawn
        is_pytorchs(layer(*arguments), getattr(torch.nn, name)(*arguments), x)

    check()


@every_layer
def test_every_number_agrees_with_the_scalar_backend(name):
    layer, sampler = LAYERS[name]

    @settings(max_examples=10)
    @given(sampler)
    def check(drawn):
        is_its_own_on_scalars(layer(*drawn[0]), drawn[1])

    check()


@every_layer
def test_a_batch_may_be_empty(name):
    is_its_own_on_scalars(LAYERS[name][0](2, 3, 2), np.zeros((0, 2, 4, 5)[: 3 + (name != "Conv1d")]))


@pytest.mark.tiny
@on_every_backend
def test_a_filter_by_hand(backend):
    """The slope from left to right of 1 2 4 / 8 16 32, with 1 added."""
    layer = nn.Conv2d(1, 1, (1, 2)).to(engine(backend))
    layer.load_state_dict({"weight": np.array([[[[-1.0, 1.0]]]]), "bias": np.array([1.0])})
    assert layer(np.array([[[[1.0, 2, 4], [8, 16, 32]]]])).tolist() == [[[[2, 3], [9, 17]]]]


@pytest.mark.tiny
@on_every_backend
def test_a_transposed_filter_by_hand(backend):
    """Pixels 1 and 2 each become themselves and ten times themselves, one column on: they meet in the middle."""
    layer = nn.ConvTranspose2d(1, 1, (1, 2), bias=False).to(engine(backend))
    layer.load_state_dict({"weight": np.array([[[[1.0, 10.0]]]])})
    assert layer(np.array([[[[1.0, 2.0]]]])).tolist() == [[[[1, 12, 20]]]]


def test_the_same_filter_finds_the_same_thing_elsewhere():
    """What a convolution is for: move the image and the answer moves."""
    layer, random = nn.Conv2d(1, 3, 3, padding=1), np.random.default_rng(0)
    image = np.zeros((1, 1, 12, 12), np.float32)
    image[..., 2:6, 3:7] = random.normal(size=(4, 4))
    moved = np.roll(image, (3, 2), (2, 3))
    np.testing.assert_array_equal(layer(image).numpy()[..., 1:9, 1:9], layer(moved).numpy()[..., 4:12, 3:11])


def test_second_derivatives_go_through_the_kernels():
    """A convolution's gradients are convolutions, so that they have gradients in their turn."""
    random = np.random.default_rng(1)
    x, w = (Tensor(random.normal(size=s), requires_grad=True) for s in ((2, 2, 5, 4), (4, 1, 3, 2)))
    settings = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}

    def gradient_size(x, w):
        loss = (F.conv2d(x, w, **settings) ** 3).sum()
        x.zero_grad(), w.zero_grad()
        loss.backward(create_graph=True)
        return (x.grad**2).sum() + (w.grad**2).sum()

    gradient_size(x, w).backward(create_graph=False)
    kernels = [t.grad.numpy() for t in (x, w)]
    with tn.reference():
        gradient_size(x, w).backward()
    for ours, plain in zip(kernels, (x.grad.numpy(), w.grad.numpy()), strict=True):
        same(ours, plain, "second derivative", 1e-10, 1e-10)


def test_finite_differences():
    random = np.random.default_rng(2)
    x, w, b = (Tensor(random.normal(size=s)) for s in ((1, 2, 4, 3), (2, 2, 2, 3), (2,)))
    assert check_gradients(lambda x, w, b: F.conv2d(x, w, b, 2, 1), x, w, b).ok


@pytest.mark.torch
@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose2d"])
def test_the_functions_are_pytorchs(name):
    import torch

    random, deep = np.random.default_rng(3), name != "conv1d"
    x, w = random.normal(size=(2, 4, 7, 6)[: 3 + deep]), random.normal(size=(4, 2, 3, 2)[: 3 + deep])
    b = random.normal(size=4)
    for more in ({}, {"stride": 2, "padding": 1, "groups": 2}):
        w_now = w if more else np.concatenate([w, -w], 1)
        ours = getattr(F, name)(Tensor(x), Tensor(w_now), Tensor(b), **more).numpy()
        theirs = getattr(torch.nn.functional, name)(*map(torch.tensor, (x, w_now, b)), **more)
        same(ours, theirs.numpy(), name, 1e-10, 1e-12)


@every_layer
def test_it_records_and_replays(name):
    layer, x = {
        "Conv1d": (nn.Conv1d(2, 3, 3, padding="same"), (2, 2, 7)),
        "Conv2d": (nn.Conv2d(2, 4, (3, 2), 2, 1, groups=2), (2, 2, 7, 5)),
        "ConvTranspose2d": (nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, groups=2), (2, 2, 3, 4)),
    }[name]
    replays_as_it_runs(layer, np.random.default_rng(4).normal(size=x))


@pytest.mark.torch
@every_layer
def test_weights_start_as_pytorchs(name):
    """Uniform between the same bounds."""
    import torch

    arguments = (40, 400, 3)
    tn.manual_seed(0)
    torch.manual_seed(0)
    layer, theirs = LAYERS[name][0](*arguments, groups=4), getattr(torch.nn, name)(*arguments, groups=4)
    for parameter, other in zip(layer.parameters(), theirs.parameters(), strict=True):
        ours, other = parameter.numpy(), other.detach().numpy()
        assert ours.shape == other.shape
        for share in (0, 0.25, 0.5, 0.75, 1):  # of 400 numbers and more
            assert abs(np.quantile(ours, share) - np.quantile(other, share)) < 0.2 * np.abs(other).max()


def test_the_same_seed_gives_the_same_filters_on_every_backend():
    filters = []
    for backend in ("numpy", "strict", "scalar"):
        tn.manual_seed(1)
        filters.append(nn.Conv2d(1, 2, 3).to(engine(backend)).weight.numpy())
    assert np.array_equal(filters[0], filters[1]) and np.array_equal(filters[0], filters[2])


def test_repr_says_what_differs_from_the_defaults():
    assert repr(nn.Conv2d(1, 20, 5)) == "Conv2d(1, 20, 5)"
    assert repr(nn.Conv2d(2, 4, (3, 1), stride=2, padding="valid", groups=2, bias=False)) == (
        "Conv2d(2, 4, (3, 1), stride=2, padding='valid', groups=2, bias=False)"
    )
    assert repr(nn.ConvTranspose2d(2, 4, 3, 2, 1, 1)) == (
        "ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1)"
    )


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.Conv2d(0, 1, 3), "Conv2d needs in_channels, a whole number of at least 1; got 0"),
        (lambda: nn.Conv2d(1, 1, 0), r"needs kernel_size, a whole number of at least 1, or \(rows, columns\); got 0"),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), r"needs kernel_size.*got \(3, 3, 3\)"),
        (lambda: nn.Conv2d(1, 1, 2.5), "needs kernel_size.*got 2.5"),
        (lambda: nn.Conv2d(1, 1, 3, stride=0), "needs stride.*got 0"),
        (lambda: nn.Conv2d(1, 1, 3, padding=-1), "needs padding.*at least 0.*got -1"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), "padding is a number.*'valid', or, with stride 1, 'same'"),
        (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), r"Conv2d\(padding='same', stride=2\)"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), r"Conv2d\(3, 4, groups=2\): groups must divide both"),
        (lambda: nn.Conv1d(1, 1, (3, 3)), "Conv1d needs kernel_size, a whole number of at least 1; got"),
        (lambda: nn.ConvTranspose2d(1, 1, 3, padding="same"), "ConvTranspose2d needs padding.*got 'same'"),
        (lambda: nn.ConvTranspose2d(1, 1, 3, 2, output_padding=2), r"output_padding=2\): it must be smaller"),
    ],
)
def test_settings_that_make_no_sense_are_refused_when_made(make, says):
    with pytest.raises(ArgumentError, match=says):
        make()


@pytest.mark.tiny
@on_every_backend
def test_inputs_that_do_not_fit_are_refused(backend):
    model = nn.Sequential(nn.Conv2d(1, 20, 5)).to(engine(backend))
    with pytest.raises(ShapeError) as caught:
        model(np.zeros((32, 784)))
    assert str(caught.value) == (
        'Conv2d(1, 20, 5) "0" needs (batch, 1, height, width); got (32, 784). Give each example its shape '
        "first: x.reshape(-1, 1, height, width)."
    )
    with pytest.raises(ShapeError, match=r"\(batch, 1, height, width\); got \(2, 3, 8, 8\)\. It has 3 channels\."):
        model(np.zeros((2, 3, 8, 8)))
    with pytest.raises(ShapeError, match=r"got \(2, 1, 0, 8\)\. It is empty\."):
        model(np.zeros((2, 1, 0, 8)))
    for layer, shape, order in (
        (nn.Conv2d(3, 2, 3), (4, 28, 28, 3), (0, 3, 1, 2)), (nn.Conv2d(3, 2, 3), (28, 28, 3), (2, 0, 1)),
        (nn.Conv1d(3, 2, 3), (4, 10, 3), (0, 2, 1)),
    ):  # fmt: skip
        with pytest.raises(ShapeError) as caught:
            layer.to(engine(backend))(np.zeros(shape))
        assert str(caught.value).endswith(f"got {shape}. Put the channels first: x.permute{order}.")
    with pytest.raises(ShapeError, match=r'"0" has a window of 5 × 5, larger than its input of 4 × 9\. Use a smaller'):
        model(np.zeros((2, 1, 4, 9)))
    with pytest.raises(ShapeError, match=r"a window of 9, larger than its input of 6 \(8 with its padding\)"):
        nn.Conv1d(1, 1, 5, padding=1, dilation=2).to(engine(backend))(np.zeros((1, 1, 6)))
    with pytest.raises(ShapeError, match="makes 1 × 4 pixels into -1 × 2: its padding cuts everything off"):
        nn.ConvTranspose2d(1, 1, 1, padding=1).to(engine(backend))(np.zeros((1, 1, 1, 4)))
    with pytest.raises(TypeMismatch, match="needs a tensor, an array or lists of numbers; got 'digits'"):
        model("digits")
