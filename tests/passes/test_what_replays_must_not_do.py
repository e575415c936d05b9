"""Programs that the passes once spoilt, or could: a replay on other numbers is what running gives, bit for bit."""

import numpy as np
import pytest

import tinynet as tn
from tinynet import Tensor, capture, no_grad

random = np.random.default_rng(4)


def numbers(*shape: int, dtype: str = "float32") -> Tensor:
    return Tensor(random.normal(size=shape).astype(dtype))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: (x @ y).tanh(),
        lambda x, y: ((x * 2) @ (y * 2)) @ (x * 3),
        lambda x, y: (x @ y + x * 2).tanh() * y,
        lambda x, y: ((x * 1.0) > 0.1).to(dtype="float32") * y,
        lambda x, y: ((x.to(dtype="uint8") * 2) + 1).to(dtype="float32") + y,
    ],
    ids=["product", "products", "product and sum", "comparison", "small integers"],
)
def test_long_arrays(function):
    x, y, other = numbers(300, 300), numbers(300, 300), numbers(300, 300)
    step = capture(function)
    step(x, y)
    for a, b in ((other, y), (x, other), (y, x)):
        np.testing.assert_array_equal(step(a, b).numpy(), function(a, b).numpy())


@pytest.mark.parametrize(
    "change",
    [
        lambda w, z, x: (w.add_(w[0]), z.add_(x)),
        lambda w, z, x: (w[1:].add_(w[:-1]), z.mul_(x)),
        lambda w, z, x: (z.mul_(x), w.copy_(z), z.add_(x)),
    ],
    ids=["first row", "shifted", "copied between"],
)
def test_arrays_that_overlap_inside_a_call(change):
    start, start_z, x = numbers(400, 300), numbers(400, 300), numbers(400, 300)
    found = []
    for recorded in (True, False):
        w, z = Tensor(start.numpy().copy()), Tensor(start_z.numpy().copy())

        def step(x, w=w, z=z):
            with no_grad():
                change(w, z, x)
            return x * 1

        taken = capture(step) if recorded else step
        for _ in range(3):
            taken(x)
        found.append((w.numpy(), z.numpy()))
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


def test_an_array_that_is_changed_and_copied_keeps_its_change():
    m, w = Tensor(np.ones(4, np.float32)), tn.zeros(4)

    def step(x):
        with no_grad():
            m.mul_(x)
            w.copy_(m)
        return x * 1

    taken = capture(step)
    for i, factor in enumerate((2.0, 3.0, 5.0)):
        taken(Tensor(np.full(4, factor, np.float32)))
        expected = np.full(4, [2.0, 6.0, 30.0][i], np.float32)
        np.testing.assert_array_equal(m.numpy(), expected)
        np.testing.assert_array_equal(w.numpy(), expected)


def test_what_somebody_outside_holds_follows_the_replays():
    kept, w, view = [], tn.zeros(2, 2), []

    def step(x):
        with no_grad():
            y = x * 2
            kept.append(y)
            view.append((x * 3).reshape(4))
            w.copy_(y)
        return x * 1

    taken = capture(step)
    taken(Tensor(np.ones((2, 2), np.float32)))
    taken(Tensor(np.full((2, 2), 5, np.float32)))
    np.testing.assert_array_equal(kept[0].numpy(), np.full((2, 2), 10, np.float32))
    np.testing.assert_array_equal(w.numpy(), kept[0].numpy())
    np.testing.assert_array_equal(view[0].numpy(), np.full(4, 15, np.float32))


def test_a_gradient_that_is_retained_follows_the_replays():
    w = tn.Parameter(np.ones(3, np.float32))
    kept = []

    def step(x):
        w.zero_grad()
        y = w + x
        y.retain_grad()
        kept.append(y)
        (y * y).sum().backward()
        return x * 1

    taken = capture(step)
    taken(Tensor(np.ones(3, np.float32)))
    taken(Tensor(np.full(3, 9, np.float32)))
    np.testing.assert_array_equal(kept[0].grad.numpy(), np.full(3, 20, np.float32))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32"])
def test_classes_in_small_types(dtype):
    from tinynet import nn

    x, y = numbers(200, 3), random.integers(0, 3, 200)
    loss = nn.CrossEntropyLoss()
    expected = loss(x, y).item()
    assert loss(x @ Tensor(np.eye(3, dtype=np.float32)), y.astype(dtype)).item() == pytest.approx(expected, rel=1e-6)
    linear = nn.Linear(3, 3)
    expected = loss(linear(x), y).item()  # which lies feature by feature
    assert loss(linear(x), y.astype(dtype)).item() == pytest.approx(expected, rel=1e-6)
    assert capture(loss)(linear(x).detach(), Tensor(y.astype(dtype))).item() == pytest.approx(expected, rel=1e-6)


def test_an_index_of_true_is_no_first_row():
    x = Tensor(random.normal(size=(2, 3)), requires_grad=True)
    (x[True].sum() + (2 * x[0]).sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[3.0] * 3, [1.0] * 3])
