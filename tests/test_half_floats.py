"""Half floats: computed in float32 and rounded once, on every array backend; and bfloat16 as an element type."""

import importlib

import ml_dtypes
import numpy as np
import pytest
from support import engine, on_array_backends, same

import tinynet as tn
from tinynet import Tensor, autocast, nn
from tinynet.backend import Backend
from tinynet.dtypes import HALVES, check_dtype
from tinynet.errors import TypeMismatch
from tinynet.nn.activations import softmax
from tinynet.nn.linear import linear

on_both = pytest.mark.parametrize("dtype", HALVES)
EPS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}  # how far rounding moves a number, relatively


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).uniform(-1, 1, shape).astype(np.float32)


def test_a_product_is_rounded_once():
    """2,049 ones: each partial sum rounded to float16 would stop at 2,048, to bfloat16 at 256."""
    for dtype, total in (("float16", 2050.0), ("bfloat16", 2048.0)):
        x = tn.ones(1, 2050, dtype=dtype)
        assert (x @ x.T).item() == x.sum().item() == total
        assert linear(x, x, None).item() == total


@pytest.mark.parametrize("dtype", HALVES)
def test_a_replay_in_float32_is_the_same_after_half_floats_were_met(dtype):
    """Kernels look at the types of their inputs from then on, and leave others to what they were."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8), nn.LayerNorm(8))
    x = Tensor(numbers(6, 1, 8, 8))
    before = model(x).numpy()
    check_dtype(dtype)
    step = tn.capture(model)
    for _ in range(2):
        same(step(x).numpy(), before, "prediction", 0)


@on_array_backends
def test_bfloat16_is_an_element_type(backend):
    x = Tensor([[1.0, 1.00390625], [-3.0, 1e30]], "bfloat16", backend=engine(backend))
    assert (x.dtype, x.is_floating_point(), x.tolist()[0]) == ("bfloat16", True, [1.0, 1.0])
    assert x.numpy().dtype == ml_dtypes.bfloat16
    assert x.to(dtype="float32").numpy()[1, 1] == np.float32(ml_dtypes.bfloat16(1e30))
    assert tn.full((2,), 0.1, "bfloat16", engine(backend)).to("numpy").tolist() == [0.10009765625] * 2
    assert Tensor(numbers(3).astype(ml_dtypes.bfloat16)).dtype == "bfloat16"
    assert (x * 2 + 1.5).dtype == (1 / x).dtype == (x > 0).to(dtype="bfloat16").dtype == x[0].dtype == "bfloat16"
    assert "bfloat16" in repr(x)


@on_array_backends
@on_both
def test_a_whole_model_in_half_floats(backend, dtype):
    """Trained, it follows one of float32 as far as its digits reach."""

    def trained(dtype: str) -> list[float]:
        tn.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 3))
        model.to(engine(backend), dtype=dtype)
        optimizer = tn.optim.Adam(model.parameters(), lr=0.05)
        x, y = numbers(32, 4), np.arange(32) % 3
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert {w.dtype for w in model.parameters()} == {dtype}
        return losses

    same(trained(dtype), trained("float32"), "losses", 16 * EPS[dtype])


KERNELS = {
    "relu": lambda x: x.relu(), "sigmoid": lambda x: x.sigmoid(), "softplus": lambda x: x.softplus(),
    "erf": lambda x: x.erf(), "leaky_relu": lambda x: x.leaky_relu(0.1), "clip": lambda x: x.clip(-0.5, 0.5),
    "sqrt": lambda x: x.abs().sqrt(), "power": lambda x: x**3, "inverse": lambda x: 1 / (x + 2),
    "where": lambda x: tn.where(x > 0, x, 0.25), "sum": lambda x: x.sum(1), "mean": lambda x: x.mean(0),
    "var": lambda x: x.var(), "max": lambda x: x.amax(1), "cat": lambda x: tn.cat([x, x], 1),
    "index": lambda x: x[:, 1:3], "rows": lambda x: x[Tensor([2, 0, 2], backend=x.backend)],
    "turned": lambda x: x.T.reshape(-1), "spread": lambda x: x.unsqueeze(0).broadcast_to((2, *x.shape)),
    "softmax": lambda x: softmax(x, dim=1), "gelu": lambda x: nn.GELU()(x),
    "layer norm": lambda x: nn.functional.layer_norm(x, (x.shape[1],)),
    "pool": lambda x: nn.AvgPool2d(2)(x.reshape(1, 1, 4, 6)),
    "max pool": lambda x: nn.MaxPool2d(2)(x.reshape(1, 1, 4, 6)),
}  # fmt: skip


@on_array_backends
@on_both
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_compute_half_floats_in_float32(name, dtype, backend):
    """A value is that of float32, rounded as often as it passes from kernel to kernel, four times at most."""
    function, host = KERNELS[name], numbers(4, 6).astype(np.dtype(dtype)).astype(np.float32)
    half = Tensor(host, dtype, backend=engine(backend), requires_grad=True)
    single = Tensor(host, backend=engine(backend), requires_grad=True)
    out, expected = function(half), function(single)
    assert out.dtype == dtype
    same(out.numpy(), expected.numpy(), name, 4 * EPS[dtype], 4 * EPS[dtype])
    for result in (out, expected):
        (result.to(dtype="float32") * Tensor(numbers(*result.shape), backend=out.backend)).sum().backward()
    assert half.grad.dtype == dtype
    same(half.grad.numpy(), single.grad.numpy(), f"{name}, gradient", 8 * EPS[dtype], 8 * EPS[dtype])


def test_beyond_the_range_is_infinity_and_nothing_is_said():
    """Warnings are errors here; a loss that is scaled too far runs into this on purpose."""
    x = Tensor([6e4, -6e4, 1.0], "float16")
    assert (x * 2).tolist() == (x + x).tolist() == [np.inf, -np.inf, 2.0]
    assert Tensor([1e6]).to(dtype="float16").item() == np.inf
    assert np.isnan((x * 2 - x * 2).tolist()[0])
    assert (x.unsqueeze(0) @ x.unsqueeze(1)).item() == np.inf


def test_without_the_package_a_message_says_what_to_install(monkeypatch):
    imported = importlib.import_module

    def missing(name, *rest):
        if name == "ml_dtypes":
            raise ModuleNotFoundError("No module named 'ml_dtypes'")
        return imported(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    model = nn.Linear(2, 2)
    for deed in (
        lambda: autocast("bfloat16"),
        lambda: Tensor([1.0], "bfloat16"),
        lambda: Tensor([1.0]).to(dtype="bfloat16"),
        lambda: tn.zeros(2, dtype="bfloat16"),
        lambda: tn.rand(2, dtype="bfloat16"),
        lambda: model.to(dtype="bfloat16"),
        lambda: tn.Trainer(model, nn.MSELoss(), tn.optim.SGD(), precision="bfloat16"),
    ):
        with pytest.raises(TypeMismatch, match=r"ml_dtypes.*tinynet-engine\[bfloat16\].*float16"):
            deed()
    assert model.weight.dtype == "float32"
    autocast("float16")  # which NumPy has


def test_a_backend_of_ones_own_takes_half_floats_as_they_come():
    """``halves`` is for libraries that cannot: by default a backend's kernels get what they are given."""
    assert Backend.halves is None and engine("scalar").halves is None
