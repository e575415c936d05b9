"""Gradient clipping against PyTorch and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_every_backend, same

from tinynet import Tensor, nn, optim
from tinynet.errors import ArgumentError
from tinynet.nn import Parameter

numbers = st.floats(-10, 10, width=32)
gradients = st.lists(st.lists(numbers, min_size=1, max_size=4), min_size=1, max_size=3)


def with_gradients(arrays, backend="numpy"):
    found = []
    for array in arrays:
        p = Parameter(np.zeros(len(array)), backend=engine(backend))
        (p * Tensor(np.array(array), backend=engine(backend))).sum().backward()
        found.append(p)
    return found


@pytest.mark.torch
@settings(max_examples=60)
@given(gradients, st.floats(0.01, 20))
def test_both_are_pytorchs(arrays, limit):
    import torch

    for name in ("clip_grad_norm_", "clip_grad_value_"):
        ours, theirs = with_gradients(arrays), [torch.zeros(len(a), dtype=torch.float64) for a in arrays]
        for t, array in zip(theirs, arrays, strict=True):
            t.grad = torch.tensor(array, dtype=torch.float64)
        norm = getattr(optim, name)(ours, limit)
        expected = getattr(torch.nn.utils, name)(theirs, limit)
        if expected is not None:
            same(norm.numpy(), expected.numpy(), "norm", 1e-10)  # a dozen squares in another order: 1e-15
        for i, (p, t) in enumerate(zip(ours, theirs, strict=True)):
            same(p.grad.numpy(), t.grad.numpy(), f"{name}, gradient {i}", 1e-10)


@pytest.mark.tiny
@on_every_backend
def test_the_norm_of_3_and_4_is_5(backend):
    p, q = with_gradients([[3.0], [0.0, 4.0]], backend)
    assert optim.clip_grad_norm_([p, q], 10.0).item() == 5.0
    assert (p.grad.tolist(), q.grad.tolist()) == ([3.0], [0.0, 4.0])
    assert optim.clip_grad_norm_([p, q], 1.0).item() == 5.0
    same(np.concatenate([p.grad.numpy(), q.grad.numpy()]), [0.6, 0.0, 0.8], "gradients", 1e-6)  # 1e-6 beside the norm


@pytest.mark.tiny
@on_every_backend
def test_values_are_held_between_their_bounds(backend):
    (p,) = with_gradients([[-7.0, -0.5, 0.0, 2.0]], backend)
    optim.clip_grad_value_([p], 1.0)
    assert p.grad.tolist() == [-1.0, -0.5, 0.0, 1.0]


def test_a_gradient_of_zeros_and_one_that_is_missing():
    (p,) = with_gradients([[0.0, 0.0]])
    assert optim.clip_grad_norm_([p, Parameter([1.0])], 1.0).item() == 0.0
    assert p.grad.tolist() == [0.0, 0.0]


def test_one_parameter_alone_and_one_given_twice():
    (p,) = with_gradients([[3.0, 4.0]])
    assert optim.clip_grad_norm_(p, 1.0).item() == 5.0
    (p,) = with_gradients([[3.0, 4.0]])
    assert optim.clip_grad_norm_([p, p], 1.0).item() == 5.0
    same(p.grad.numpy(), [0.6, 0.8], "gradient", 1e-6)


def test_the_optimisers_own_gradient_is_clipped():
    model = nn.Linear(2, 1, bias=False).to(dtype="float64")
    optimiser, before = optim.SGD(model.parameters(), lr=1.0), model.weight.numpy()
    model([[3.0, 4.0]]).sum().backward()
    optim.clip_grad_norm_(model.parameters(), 0.5)
    optimiser.step()
    same(before - model.weight.numpy(), [[0.3, 0.4]], "step", 1e-6)


@pytest.mark.parametrize("clip", [optim.clip_grad_norm_, optim.clip_grad_value_])
def test_what_is_refused(clip):
    (p,) = with_gradients([[3.0]])
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(ArgumentError, match="gradients are clipped to a positive"):
            clip([p], limit)
    with pytest.raises(ArgumentError, match=r"no gradients to clip\. Call loss\.backward\(\) first"):
        clip([Parameter([1.0])], 1.0)
    assert p.grad.tolist() == [3.0]
