"""Cross-entropy with a class for each pixel or step, with weights, and with classes that do not count: against PyTorch
over drawn settings, against the scalar backend, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_array_backends, on_every_backend, same, seeds

from tinynet import Tensor, capture, nn
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.staleness import recordings
from tinynet.training import accuracy, error

TORCH, SCALAR = 1e-10, 1e-12  # as in test_losses.py
IGNORED = 1


@st.composite
def cases(draw):
    """(settings, logits (n, classes, …), target): class numbers, some of them ignored, or probabilities."""
    random = np.random.default_rng(draw(seeds))
    n, k = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    rest = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    options = {
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1])),
        "weight": random.uniform(0.5, 2, k).tolist() if draw(st.booleans()) else None,
    }
    logits = 3 * random.normal(size=(n, k, *rest))
    if draw(st.booleans()):
        target = random.integers(0, k, (n, *rest))
        target.flat[0] = 0  # so that something counts
        if draw(st.booleans()):
            options["ignore_index"] = IGNORED
    else:
        target = random.uniform(0.1, 1, logits.shape)
        target /= target.sum(1, keepdims=True)
    return options, logits, target


def loss_and_gradient(loss, logits, target, backend):
    x = Tensor(logits, backend=engine(backend), requires_grad=True)
    out = loss(x, Tensor(target, backend=engine(backend)))
    out.backward(Tensor(np.linspace(1, 2, out.size).reshape(out.shape), backend=engine(backend)))
    return out.numpy(), x.grad.numpy()


def agree(found, expected, rtol):
    for what, a, b in zip(("value", "gradient"), found, expected, strict=True):
        same(a, b, what, rtol, 1e-14)


@pytest.mark.torch
@settings(max_examples=150)
@given(cases())
def test_against_pytorch(case):
    import torch

    options, logits, target = case
    ours = loss_and_gradient(nn.CrossEntropyLoss(**options), logits, target, "numpy")
    weight = None if options["weight"] is None else torch.tensor(options["weight"], dtype=torch.float64)
    x = torch.tensor(logits, requires_grad=True)
    out = torch.nn.CrossEntropyLoss(**{**options, "weight": weight})(x, torch.tensor(target))
    out.backward(torch.linspace(1, 2, out.numel(), dtype=torch.float64).reshape(out.shape))
    agree(ours, (out.detach().numpy(), x.grad.numpy()), TORCH)


@on_every_backend
def test_against_the_scalar_backend(backend):
    @settings(max_examples=25)
    @given(cases())
    def check(case):
        options, logits, target = case
        loss = nn.CrossEntropyLoss(**options)
        agree(*(loss_and_gradient(loss, logits, target, b) for b in (backend, "scalar")), SCALAR)

    check()


@on_every_backend
def test_classes_in_the_last_dimension(backend):
    """(batch, steps, classes) with dim=-1 is (batch, classes, steps) with dim=1, gradient and all."""
    random = np.random.default_rng(0)
    logits, target = random.normal(size=(2, 3, 4)), random.integers(0, 4, (2, 3))
    last, grad = loss_and_gradient(nn.CrossEntropyLoss(dim=-1), logits, target, backend)
    first, moved = loss_and_gradient(nn.CrossEntropyLoss(), logits.transpose(0, 2, 1), target, backend)
    agree((last, grad), (first, moved.transpose(0, 2, 1)), 1e-15)


@pytest.mark.tiny
def test_accuracy_counts_pixels_and_steps_that_count():
    logits = np.zeros((2, 3, 4))
    logits[:, 2] = 1  # class 2 everywhere
    target = Tensor(np.array([[2, 2, 0, 0], [2, 1, 1, 1]]))
    loss = nn.CrossEntropyLoss()
    assert accuracy(loss, Tensor(logits), target).item() == pytest.approx(2 / 4 + 1 / 4)
    assert error(loss, Tensor(logits), target).item() == pytest.approx(2 / 4 + 3 / 4)
    without = nn.CrossEntropyLoss(ignore_index=1)
    assert accuracy(without, Tensor(logits), target).item() == pytest.approx(2 * 3 / 5)  # 3 of the 5 that count
    assert error(without, Tensor(logits), target).item() == pytest.approx(2 * 2 / 5)


@pytest.mark.tiny
def test_it_records():
    loss = nn.CrossEntropyLoss(weight=[1, 2, 3], ignore_index=1, dim=-1)
    step = capture(lambda x, y: loss(x, y))
    random = np.random.default_rng(1)
    for _ in range(3):
        x, y = random.normal(size=(2, 4, 3)), random.integers(0, 3, (2, 4))
        assert step(x, y).item() == loss(Tensor(x), y).item()


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "kind", "told"),
    [
        (lambda: nn.CrossEntropyLoss(weight=[1, 2])(np.zeros((2, 3)), [0, 1]), ShapeError, "2 numbers for 3 classes"),
        (lambda: nn.CrossEntropyLoss()(np.zeros((2, 3, 4)), np.zeros((2, 3), int)), ShapeError, "(2, 4)"),
        (lambda: nn.CrossEntropyLoss()(np.zeros((2, 3, 4)), np.full((2, 4), 3)), ArgumentError, "classes 3 … 3"),
        (lambda: nn.CrossEntropyLoss(dim=0), ArgumentError, "dimension 1 or -1"),
        (lambda: nn.CrossEntropyLoss()(np.zeros(3), 1), ShapeError, "(batch, classes)"),
        (lambda: nn.CrossEntropyLoss()(np.zeros((2, 4, 3)), np.zeros((2, 4), int)), ShapeError, "dim=-1"),
        (lambda: nn.CrossEntropyLoss(label_smoothing="a"), ArgumentError, "number between 0 and 1"),
        (lambda: nn.CrossEntropyLoss(weight="abc"), TypeMismatch, "number for each class"),
        (lambda: nn.CrossEntropyLoss(ignore_index=1.5), ArgumentError, "class number"),
    ],
)
def test_it_refuses(make, kind, told):
    with pytest.raises(kind, match=told.replace("(", r"\(").replace(")", r"\)")):
        make()


@on_array_backends
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weight": [1, 2, 3]}], ids=repr)
@pytest.mark.parametrize("wrong", [7, -1])
def test_a_class_that_does_not_exist_is_noticed_in_replays_too(options, wrong, backend):
    loss = nn.CrossEntropyLoss(**options)
    step = capture(lambda x, y: loss(x, y))
    x, right, stray = (
        Tensor(a, backend=engine(backend)) for a in (np.zeros((2, 3)), np.array([0, 1]), np.array([0, wrong]))
    )
    step(x, right)
    with pytest.raises((ArgumentError, IndexError)):
        step(x, stray).item()


@pytest.mark.tiny
def test_half_floats_do_not_overflow_in_means():
    x, y = np.zeros((20_000, 65), np.float16), np.zeros(20_000, int)
    for options in ({}, {"weight": [1.0] * 65}, {"ignore_index": 1}):
        assert nn.CrossEntropyLoss(**options)(x, y).item() == pytest.approx(np.log(65), rel=2e-3)
    assert Tensor(np.ones(5000, np.float16)).sum().item() == pytest.approx(5000, rel=1e-3)


@pytest.mark.tiny
def test_an_ignored_class_may_be_any_number():
    x = np.zeros((3, 2))
    assert nn.CrossEntropyLoss(ignore_index=-100)(x, [0, -100, 1]).item() == pytest.approx(np.log(2))


@pytest.mark.tiny
def test_making_a_loss_leaves_recorded_steps_as_they_are():
    before = recordings.version
    nn.CrossEntropyLoss(weight=[1.0, 2.0], ignore_index=3)
    nn.functional.cross_entropy(np.zeros((2, 3)), [0, 1])
    assert recordings.version == before
