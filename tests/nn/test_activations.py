"""Activations: values and gradients against PyTorch and the scalar backend, and how they hold at the far ends."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import BACKENDS, engine, on_every_backend, run, same, same_gradients

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError
from tinynet.nn import functional as F

ACTIVATIONS = {
    "Sigmoid": nn.Sigmoid(), "Tanh": nn.Tanh(), "ReLU": nn.ReLU(), "Softplus": nn.Softplus(),
    "LeakyReLU": nn.LeakyReLU(), "LeakyReLU(0.3)": nn.LeakyReLU(0.3),
    "GELU": nn.GELU(), "GELU(tanh)": nn.GELU(approximate="tanh"),
    "SiLU": nn.SiLU(), "Softmax": nn.Softmax(), "Softmax(0)": nn.Softmax(dim=0),
    "log_softmax": lambda x: F.log_softmax(x, dim=-1), "log_softmax(0)": lambda x: F.log_softmax(x, dim=0),
}  # fmt: skip

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)
each = pytest.mark.parametrize("name", ACTIVATIONS)


def pytorchs(name):
    import torch
    from torch import nn as tnn

    return {
        "Sigmoid": tnn.Sigmoid(), "Tanh": tnn.Tanh(), "ReLU": tnn.ReLU(), "Softplus": tnn.Softplus(threshold=1e9),
        "LeakyReLU": tnn.LeakyReLU(), "LeakyReLU(0.3)": tnn.LeakyReLU(0.3),
        "GELU": tnn.GELU(), "GELU(tanh)": tnn.GELU(approximate="tanh"),
        "SiLU": tnn.SiLU(), "Softmax": tnn.Softmax(dim=-1), "Softmax(0)": tnn.Softmax(dim=0),
        "log_softmax": lambda x: torch.log_softmax(x, -1), "log_softmax(0)": lambda x: torch.log_softmax(x, 0),
    }[name]  # fmt: skip


def off_zero(shape, seed, largest=6.0):
    """Numbers of either sign, away from the kink of ReLU."""
    random = np.random.default_rng(seed)
    return random.choice([-1, 1], shape) * random.uniform(0.01, largest, shape)


@each
@pytest.mark.torch
def test_it_is_pytorchs(name):
    @settings(max_examples=25)
    @given(shapes, seeds)
    def check(shape, seed):
        import torch
        from support import weights

        x = off_zero(shape, seed)
        value, gradients = run(ACTIVATIONS[name], [x], "numpy")
        tx = torch.tensor(x, requires_grad=True)
        out = pytorchs(name)(tx)
        out.backward(torch.tensor(weights(out.shape)))
        # Two libraries' exp and erf differ by a few units in the last place; GELU's left end cancels five digits more.
        same(value, out.detach().numpy(), f"{name} value", 1e-10, 1e-14)
        same(gradients[0], tx.grad.numpy(), f"{name} gradient", 1e-10, 1e-14)

    check()


@each
def test_every_number_agrees_with_the_scalar_backend(name):
    @settings(max_examples=15)
    @given(shapes, seeds)
    def check(shape, seed):
        x = off_zero(shape, seed, largest=3.0)
        value, gradients = run(ACTIVATIONS[name], [x], "numpy")
        expected, wanted = run(ACTIVATIONS[name], [x], "scalar")
        same(value, expected, f"{name} value", 1e-12, 1e-14)  # math and NumPy: a unit in the last place an operation
        same_gradients(gradients, wanted, name, 1e-12, 1e-14)

    check()


on_every_width = pytest.mark.parametrize(
    ("backend", "dtype"),
    [
        pytest.param(backend.values[0], dtype, marks=backend.marks, id=f"{backend.id}-{dtype}")
        for backend in BACKENDS
        for dtype in ("float32", "float64")
        if (backend.id, dtype) != ("scalar", "float32")  # a Value is a double
    ],
)

# At ±10⁴ each has reached its limit: the value, and the slope, to the precision of a float32.
LIMITS = {
    "Sigmoid": ((0, 0), (1, 0)), "Tanh": ((-1, 0), (1, 0)), "ReLU": ((0, 0), (1e4, 1)), "Softplus": ((0, 0), (1e4, 1)),
    "LeakyReLU": ((-100, 0.01), (1e4, 1)), "GELU": ((0, 0), (1e4, 1)), "GELU(tanh)": ((0, 0), (1e4, 1)),
    "SiLU": ((0, 0), (1e4, 1)),
}  # fmt: skip


@pytest.mark.tiny
@on_every_width
@pytest.mark.parametrize("name", LIMITS)
def test_far_out_it_reaches_its_limits(name, dtype, backend):
    x = Tensor([-1e4, 1e4], dtype, backend=engine(backend), requires_grad=True)
    out = ACTIVATIONS[name](x)
    out.sum().backward()
    (low, low_slope), (high, high_slope) = LIMITS[name]
    same(out.numpy(), [low, high], "value", 1e-6, 1e-30)
    same(x.grad.numpy(), [low_slope, high_slope], "slope", 1e-6, 1e-30)
    assert out.dtype == dtype


@on_every_width
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_is_exact_to_the_last_digits(approximate, dtype, backend):
    """Against C's erfc and tanh: two units in the last place of 1, or of x where that is larger; eight for the slope by
    tanh, in which 1 - Φ(x) loses digits to Φ(x) before it is multiplied by up to 8. Twice as many on a card, whose erf
    and tanh may be off by two units, C's by one."""
    x = np.linspace(-12, 12, 601 if backend == "scalar" else 20_001).astype(dtype)
    given = Tensor(x, backend=engine(backend), requires_grad=True)
    out = F.gelu(given, approximate)
    out.sum().backward()
    wide, root = x.astype(float), math.sqrt(2 / math.pi)
    if approximate == "none":
        share = np.array([math.erfc(-v * math.sqrt(0.5)) / 2 for v in wide])
        density = np.exp(-wide * wide / 2) * root / 2
    else:
        share = 1 / (1 + np.exp(-2 * root * (wide + 0.044715 * wide**3)))
        density = 2 * share * (1 - share) * root * (1 + 3 * 0.044715 * wide * wide)
    unit = np.finfo(dtype).eps * np.maximum(1, np.abs(wide)) * (2 if backend == "cupy" else 1)
    same((out.numpy() - wide * share) / unit, 0 * x, "value, in units", 0, 2)
    slope = (given.grad.numpy() - share - wide * density) / unit
    same(slope, 0 * x, "slope, in units", 0, 2 if approximate == "none" else 8)
    assert out.dtype == given.grad.dtype == dtype


@on_every_backend
def test_gelu_of_half_precision(backend):
    x = Tensor(np.array([-3e4, -1.0, 0.5, 3e4], np.float16), backend=engine(backend))
    for approximate in ("none", "tanh"):
        same(F.gelu(x, approximate).numpy(), [0, -0.1587, 0.3457, 3e4], "gelu", 2e-3)


def test_gelu_knows_two_kinds():
    with pytest.raises(ArgumentError, match="choose 'none' or 'tanh'"):
        nn.GELU("sigmoid")


@pytest.mark.tiny
@on_every_width
def test_softmax_far_out(dtype, backend):
    rows = [[1e4, -1e4, 0.0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]]
    x = Tensor(rows, dtype, backend=engine(backend), requires_grad=True)
    same(F.softmax(x, dim=-1).numpy(), [[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3], "softmax", 1e-6)
    logs = F.log_softmax(x, dim=-1)
    half, third = -math.log(2), -math.log(3)
    same(logs.numpy(), [[0, -2e4, -1e4], [half, half, half - 2e4], [third] * 3], "log softmax", 1e-6)
    logs[:, 0].sum().backward()  # d log softmax₀ / dx = (1, 0, 0) - softmax(x)
    same(x.grad.numpy(), [[0, 0, 0], [0.5, -0.5, 0], [2 / 3, -1 / 3, -1 / 3]], "slope", 1e-6, 1e-7)


@on_every_backend
def test_softmax_does_not_feel_a_shift(backend):
    x = np.random.default_rng(0).normal(size=(3, 4))
    plain, _ = run(nn.Softmax(), [x], backend)
    shifted, _ = run(nn.Softmax(), [x + 100.0], backend)
    same(shifted, plain, "softmax", 1e-12)  # x + 100 rounds x at 1e-14
    same(plain.sum(1), np.ones(3), "rows", 1e-14)


@pytest.mark.tiny
@on_every_backend
def test_step_is_flat(backend):
    x = Tensor([-2.0, 0.0, 3.0], backend=engine(backend), requires_grad=True)
    out = nn.Step()(x)
    assert (out.tolist(), out.dtype, out.requires_grad) == ([0.0, 0.0, 1.0], x.dtype, False)


def test_at_a_kink_the_slope_is_the_left_one():
    for module, left in ((nn.ReLU(), 0.0), (nn.LeakyReLU(0.2), 0.2)):
        x = Tensor([0.0, 0.0], requires_grad=True)
        module(x).sum().backward()
        same(x.grad.numpy(), [left, left], repr(module), 1e-6)  # 0.2 as a float32


def test_their_arguments_are_shown():
    assert [repr(m) for m in (nn.GELU(), nn.GELU("tanh"), nn.LeakyReLU(), nn.Softmax(0))] == [
        "GELU()", "GELU(approximate='tanh')", "LeakyReLU(0.01)", "Softmax(dim=0)",
    ]  # fmt: skip
