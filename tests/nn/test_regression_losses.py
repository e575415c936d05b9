"""Losses of regression against PyTorch and the scalar backend, over drawn shapes and settings."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_every_backend, same, seeds

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError

reductions = st.sampled_from(["mean", "sum", "none"])
CASES = {
    "l1": (lambda reduction, _: nn.L1Loss(reduction), lambda torch, reduction, _: torch.nn.L1Loss(reduction=reduction)),
    "smooth l1": (
        nn.SmoothL1Loss,
        lambda torch, reduction, beta: torch.nn.SmoothL1Loss(reduction=reduction, beta=beta),
    ),
}


def run(loss, prediction, target, backend="numpy"):
    x = Tensor(prediction, backend=engine(backend), requires_grad=True)
    out = loss(x, target)
    out.backward(Tensor(np.linspace(1, 2, out.size).reshape(out.shape), backend=engine(backend)))
    return out.numpy(), x.grad.numpy()


def agree(found, expected, rtol):
    for what, a, b in zip(("value", "gradient"), found, expected, strict=True):
        same(a, b, what, rtol, 1e-14)


def drawn(seed, n, k):
    random = np.random.default_rng(seed)
    return 2 * random.normal(size=(n, k)), random.normal(size=(n, k))


def backward_of(out):
    import torch

    out.backward(torch.linspace(1, 2, out.numel(), dtype=torch.float64).reshape(out.shape))


@pytest.mark.torch
@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40)
@given(seeds, st.integers(1, 4), st.integers(1, 3), reductions, st.sampled_from([0.3, 1.0, 2.0]))
def test_against_pytorch(name, seed, n, k, reduction, beta):
    import torch

    ours, theirs = CASES[name]
    prediction, target = drawn(seed, n, k)
    x = torch.tensor(prediction, requires_grad=True)
    out = theirs(torch, reduction, beta)(x, torch.tensor(target))
    backward_of(out)
    agree(run(ours(reduction, beta), prediction, target), (out.detach().numpy(), x.grad.numpy()), 1e-10)


@pytest.mark.torch
@settings(max_examples=40)
@given(seeds, st.integers(1, 4), st.integers(1, 3), reductions, st.booleans())
def test_mean_and_log_variance_against_pytorch(seed, n, k, reduction, full):
    import torch

    mean, target = drawn(seed, n, k)
    log_variance = np.random.default_rng(seed + 1).normal(size=(n, k))
    m, v = (torch.tensor(a, requires_grad=True) for a in (mean, log_variance))
    out = torch.nn.GaussianNLLLoss(full=full, eps=1e-300, reduction=reduction)(m, torch.tensor(target), v.exp())
    backward_of(out)
    loss = nn.MeanLogVarianceLoss(reduction, full)
    found = run(loss, np.concatenate([mean, log_variance], 1), target)
    agree(found, (out.detach().numpy(), np.concatenate([m.grad.numpy(), v.grad.numpy()], 1)), 1e-10)


@on_every_backend
@pytest.mark.parametrize("loss", [nn.L1Loss(), nn.SmoothL1Loss(beta=0.5), nn.MeanLogVarianceLoss("none")], ids=repr)
def test_against_the_scalar_backend(loss, backend):
    prediction, target = drawn(3, 3, 4)
    target = target[:, :2] if isinstance(loss, nn.MeanLogVarianceLoss) else target
    agree(run(loss, prediction, target, backend), run(loss, prediction, target, "scalar"), 1e-12)


@pytest.mark.tiny
def test_maximum_likelihood_is_found_at_the_mean_and_the_variance():
    y = np.random.default_rng(0).normal(3, 2, (500, 1))
    best = [y.mean(), math.log(y.var())]
    _, gradient = run(nn.MeanLogVarianceLoss(), np.tile(best, (500, 1)), y)
    np.testing.assert_allclose(gradient.sum(0), 0, atol=1e-12)


@pytest.mark.tiny
def test_they_refuse():
    with pytest.raises(ArgumentError, match="beta"):
        nn.SmoothL1Loss(beta=0)
    with pytest.raises(ShapeError, match=r"\(batch, 2k\); got \(3, 3\)"):
        nn.MeanLogVarianceLoss()(np.zeros((3, 3)), np.zeros((3, 1)))
