"""Pooling, Upsample and Flatten: values and gradients against PyTorch and the scalar backend; their refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_array_backends, on_every_backend, run, same, seeds, smooth
from twins import is_its_own_on_scalars, is_pytorchs, replays_as_it_runs

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.nn import functional as F


def both(value):
    return value if isinstance(value, tuple) else (value, value)


def one_or_two(number):
    return number | st.tuples(number, number)


@st.composite
def images(draw, least=(1, 1), ties=True):
    """(batch, channels, height, width), or without the batch; some of few different numbers, so that maxima tie."""
    random = np.random.default_rng(draw(seeds))
    size = [max(n, 1) + draw(st.integers(0, 5)) for n in least]
    x = smooth(random, (*draw(st.sampled_from([(), (1,), (2,)])), draw(st.integers(1, 2)), *size))
    return np.round(x) if ties and draw(st.booleans()) else x


@st.composite
def pools(draw, dilated):
    kernel = draw(one_or_two(st.integers(1, 3)))
    named = {"stride": draw(st.none() | one_or_two(st.integers(1, 3))), "ceil_mode": draw(st.booleans())}
    named["padding"] = tuple(draw(st.integers(0, k // 2)) for k in both(kernel))
    reach = both(kernel)
    if dilated:
        named["dilation"] = draw(one_or_two(st.integers(1, 2)))
        reach = tuple(d * (k - 1) + 1 for k, d in zip(both(kernel), both(named["dilation"])))
    else:
        named["count_include_pad"] = draw(st.booleans())
    # Where gaps let a window see nothing but padding, PyTorch's backward writes outside its arrays.
    least = [max(r - 2 * p, 2) for r, p in zip(reach, named["padding"])]
    return (kernel,), named, draw(images(least))


@st.composite
def adaptive(draw):
    size = st.integers(1, 4)
    return (draw(size | st.tuples(size | st.none(), size | st.none())),), {}, draw(images())


@st.composite
def larger(draw):
    named = {"mode": draw(st.sampled_from(["nearest", "bilinear"]))}
    named["align_corners"] = draw(st.booleans()) if named["mode"] == "bilinear" else None
    if draw(st.booleans()):
        named["size"] = draw(one_or_two(st.integers(1, 7)))
    else:  # PyTorch takes a tuple of floats and no others
        factors = st.sampled_from([1.0, 2.0, 3.0, 1.5, 2.2, 0.5, 1.25])
        named["scale_factor"] = draw(factors | st.tuples(factors, factors))
    return (), named, draw(images((2, 2), ties=False))


LAYERS = {
    "MaxPool2d": (nn.MaxPool2d, pools(True)),
    "AvgPool2d": (nn.AvgPool2d, pools(False)),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d, adaptive()),
    "Upsample": (nn.Upsample, larger()),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
@pytest.mark.torch
def test_it_is_pytorchs(name):
    import torch

    layer, sampler = LAYERS[name]

    @settings(max_examples=40)
    @given(sampler)
    def check(drawn):
        arguments, named, x = drawn
        theirs = getattr(torch.nn, name)(*arguments, **named)
        if name == "Upsample" and x.ndim == 3:  # which PyTorch takes for a batch of sequences
            x = x[None]
        is_pytorchs(layer(*arguments, **named), theirs, x)

    check()


@every_layer
def test_every_number_agrees_with_the_scalar_backend(name):
    layer, sampler = LAYERS[name]

    @settings(max_examples=12)
    @given(sampler)
    def check(drawn):
        arguments, named, x = drawn
        is_its_own_on_scalars(layer(*arguments, **named), x)

    check()


IMAGE = np.array([[[[1.0, 5.0, 2.0, 2.0], [3.0, 5.0, 2.0, 0.0]]]])


@pytest.mark.tiny
@on_every_backend
def test_pooling_by_hand(backend):
    """At a tie the first pixel, row by row, gets the gradient; weights 1 and 10 arrive."""

    def pooled(layer):
        x = Tensor(IMAGE, backend=engine(backend), requires_grad=True)
        out = layer(x)
        (out * Tensor([[1.0, 10.0]], "float64", backend=x.backend)).sum().backward()
        return out.tolist(), x.grad.tolist()

    assert pooled(nn.MaxPool2d(2)) == ([[[[5.0, 2.0]]]], [[[[0, 1, 10, 0], [0, 0, 0, 0]]]])
    assert pooled(nn.AvgPool2d(2)) == ([[[[3.5, 1.5]]]], [[[[0.25, 0.25, 2.5, 2.5], [0.25, 0.25, 2.5, 2.5]]]])


@on_every_backend
def test_padding_is_never_the_largest(backend):
    out = nn.MaxPool2d(3, 1, 1)(Tensor(-1 - np.abs(IMAGE), backend=engine(backend)))
    assert out.shape == (1, 1, 2, 4) and out.amax().item() <= -1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@on_array_backends
def test_the_element_type_stays(dtype, backend):
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 5)).astype(dtype)
    layers = [nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, ceil_mode=True, padding=1), nn.AdaptiveAvgPool2d(2)]
    for layer in [*layers, nn.Upsample(7), nn.Upsample(scale_factor=2, mode="bilinear")]:
        out, (gradient,) = run(layer, [x], backend)
        assert out.dtype == gradient.dtype == dtype, layer
        wide, (expected,) = run(layer, [x.astype("float64")], backend)
        again = 1e-14 if backend == "cupy" else 0  # a card adds what meets in any order
        rtol = {"float16": 2e-2, "float32": 1e-5, "float64": again}[dtype]
        same(out, wide, f"{layer} of {dtype}", rtol, rtol)
        same(gradient, expected, f"gradient of {layer} of {dtype}", rtol, rtol)


@on_every_backend
def test_integer_pixels_become_floats_and_labels_stay(backend):
    x = np.arange(60, dtype="uint8").reshape(1, 3, 4, 5)
    pools = [nn.MaxPool2d(3, padding=1), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Upsample(3, mode="bilinear")]
    for layer in pools:
        out = layer(Tensor(x, backend=engine(backend)))
        assert out.is_floating_point()
        same(out.numpy(), layer(Tensor(x.astype("float64"), backend=engine(backend))).numpy(), str(layer), 1e-6)
    assert nn.Upsample(8)(Tensor(x, backend=engine(backend))).dtype == "uint8"


@every_layer
def test_a_batch_may_be_empty(name):
    layer = {"MaxPool2d": (2,), "AvgPool2d": (2,), "AdaptiveAvgPool2d": (2,), "Upsample": (7,)}[name]
    is_its_own_on_scalars(LAYERS[name][0](*layer), np.zeros((0, 2, 4, 5)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, 1, 1, count_include_pad=False),
        nn.AdaptiveAvgPool2d((2, None)), nn.Upsample(scale_factor=2), nn.Upsample((3, 7)),
        nn.Upsample(scale_factor=1.5, mode="bilinear"), nn.Flatten(),
    ],
    ids=repr,
)  # fmt: skip
def test_it_records_and_replays(layer):
    class Squared(nn.Module):
        def __init__(self):
            self.layer, self.scale = layer, nn.Parameter([2.0])

        def forward(self, x):
            return self.layer(x * self.scale)

    replays_as_it_runs(Squared(), np.random.default_rng(1).normal(size=(2, 2, 5, 4)))


@pytest.mark.torch
def test_the_functions_are_pytorchs():
    import torch

    x = np.random.default_rng(2).normal(size=(2, 3, 7, 6))
    for name, arguments, named in (
        ("max_pool2d", (3, 2), {"padding": 1}),
        ("avg_pool2d", (2,), {"ceil_mode": True}),
        ("adaptive_avg_pool2d", ((2, 3),), {}),
        ("interpolate", (), {"scale_factor": 2.0, "mode": "bilinear"}),
    ):
        theirs = getattr(torch.nn.functional, name)(torch.tensor(x), *arguments, **named).numpy()
        same(getattr(F, name)(Tensor(x), *arguments, **named).numpy(), theirs, name, 1e-12)


def test_flatten():
    x = Tensor(np.zeros((2, 3, 4, 5)))
    assert nn.Flatten()(x).shape == (2, 60) and nn.Flatten(2, 3)(x).shape == (2, 3, 20)
    assert (repr(nn.Flatten()), repr(nn.Flatten(0, 2))) == ("Flatten()", "Flatten(0, 2)")


def test_repr_says_what_differs_from_the_defaults():
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(2)"
    assert repr(nn.MaxPool2d((3, 2), 2, 1, ceil_mode=True)) == "MaxPool2d((3, 2), stride=2, padding=1, ceil_mode=True)"
    with pytest.raises(TypeError, match="positional"):
        nn.MaxPool2d(2, 2, 0, 1, True)  # which is return_indices to PyTorch
    assert repr(nn.AvgPool2d(2, count_include_pad=False)) == "AvgPool2d(2, count_include_pad=False)"
    assert repr(nn.AdaptiveAvgPool2d((1, None))) == "AdaptiveAvgPool2d((1, None))"
    assert repr(nn.Upsample(scale_factor=2, mode="bilinear")) == "Upsample(scale_factor=2.0, mode='bilinear')"


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.MaxPool2d(0), "MaxPool2d needs kernel_size, a whole number of at least 1"),
        (lambda: nn.MaxPool2d(2, stride=0), "MaxPool2d needs stride.*got 0"),
        (lambda: nn.MaxPool2d(2, dilation=(1, 0)), r"MaxPool2d needs dilation.*got \(1, 0\)"),
        (lambda: nn.MaxPool2d(3, padding=2), r"kernel_size=3, padding=2\): padding is at most half the window"),
        (lambda: nn.AvgPool2d(2, padding=-1), "AvgPool2d needs padding.*got -1"),
        (lambda: nn.AdaptiveAvgPool2d((2, 0)), "AdaptiveAvgPool2d needs output_size"),
        (lambda: nn.Flatten("a"), "Flatten needs start_dim, a whole number; got 'a'"),
        (lambda: nn.Upsample(), "Upsample takes either size or scale_factor; got size=None, scale_factor=None"),
        (lambda: nn.Upsample(4, 2), "takes either size or scale_factor; got size=4, scale_factor=2"),
        (lambda: nn.Upsample(0), "Upsample needs size.*got 0"),
        (lambda: nn.Upsample(scale_factor=-1), "scale_factor, a number above 0 or two; got -1"),
        (lambda: nn.Upsample(2, mode="bicubic"), "mode='bicubic'.*'nearest' or 'bilinear'"),
        (lambda: nn.Upsample(2, align_corners=True), "align_corners is for the second alone"),
    ],
)
def test_settings_that_make_no_sense_are_refused_when_made(make, says):
    with pytest.raises(ArgumentError, match=says):
        make()


@pytest.mark.tiny
@on_every_backend
def test_inputs_that_do_not_fit_are_refused(backend):
    def image(*shape):
        return Tensor(np.zeros(shape), backend=engine(backend))

    with pytest.raises(ShapeError, match=r"MaxPool2d\(2\) needs \(batch, channels, height, width\); got \(32, 784\)"):
        nn.MaxPool2d(2)(image(32, 784))
    with pytest.raises(ShapeError, match=r"AvgPool2d\(4\) has a window of 4 × 4, larger than its input of 3 × 5"):
        nn.AvgPool2d(4)(image(1, 1, 3, 5))
    with pytest.raises(ShapeError, match=r"Upsample\(scale_factor=0.25\) leaves nothing of 3 × 8 pixels"):
        nn.Upsample(scale_factor=0.25)(image(1, 1, 3, 8))
    for layer in (nn.MaxPool2d(2, 2, 1), nn.AdaptiveAvgPool2d(2), nn.Upsample(2), nn.Upsample(2, mode="bilinear")):
        with pytest.raises(ShapeError, match=r"got \(1, 1, 0, 8\)\. It is empty\."):
            layer(image(1, 1, 0, 8))
    with pytest.raises(TypeMismatch, match=r"MaxPool2d\(2\) needs a tensor"):
        nn.MaxPool2d(2)(3)


@pytest.mark.tiny
def test_half_floats_are_averaged_in_float32():
    for size, value in ((64, 1.0), (8, 2000.0)):
        x = np.full((1, 1, size, size), value, np.float16)
        assert nn.AvgPool2d(size)(x).tolist() == [[[[value]]]]


@pytest.mark.torch
def test_the_nearest_pixel_is_the_one_that_pytorch_takes():
    """Where a place falls on the border between two pixels, the rounding of float32 decides, there and here."""
    import torch

    random = np.random.default_rng(0)
    settings = [(2, {"size": (1, 82)}), (50, {"scale_factor": (1.0, 2.7)})]
    for _ in range(300):
        settings.append((int(random.integers(1, 60)), {"size": (1, int(random.integers(1, 120)))}))
        settings.append(
            (int(random.integers(4, 60)), {"scale_factor": (1.0, float(np.round(random.uniform(0.3, 5), 2)))})
        )
    for width, named in settings:
        x = np.arange(width, dtype=np.float32).reshape(1, 1, 1, width)
        theirs = torch.nn.Upsample(**named)(torch.tensor(x)).numpy()
        np.testing.assert_array_equal(nn.Upsample(**named)(x).numpy(), theirs, err_msg=f"{width}, {named}")


@pytest.mark.tiny
@pytest.mark.parametrize("scale", [0, -1.0, np.inf, np.nan, True, "2", (1, 2, 3)])
def test_a_scale_is_a_number_above_zero(scale):
    with pytest.raises(ArgumentError, match="a number above 0"):
        nn.Upsample(scale_factor=scale)
