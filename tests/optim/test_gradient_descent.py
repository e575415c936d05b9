"""Gradient descent on a whole function: a line fitted by squared residuals, and the rules by which it stops."""

import math

import numpy as np
import pytest
from support import engine, on_every_backend, same

from tinynet import Tensor, Value, nn, optim
from tinynet.errors import ArgumentError, GradientError

X, Y = [0.5, 2.3, 2.9], [1.4, 1.9, 3.2]
SLOPE, INTERCEPT = (float(c) for c in np.polyfit(X, Y, 1))  # least squares, solved


def with_values():
    intercept, slope = Value(0.0), Value(1.0)
    return (lambda: sum((y - (intercept + slope * x)) ** 2 for x, y in zip(X, Y, strict=True))), [intercept, slope]


def with_tensors(backend="numpy"):
    intercept, slope = (Tensor(start, "float64", backend=engine(backend), requires_grad=True) for start in (0.0, 1.0))
    x, y = (Tensor(z, "float64", backend=engine(backend)) for z in (X, Y))
    return (lambda: nn.SumSquaredResiduals()(intercept + slope * x, y)), [intercept, slope]


def by_hand(lr, steps):
    """The slopes of the sum of squared residuals, written out: -2 Σ r and -2 Σ r x."""
    intercept, slope, losses = 0.0, 1.0, []
    for _ in range(steps + 1):
        residuals = [y - (intercept + slope * x) for x, y in zip(X, Y, strict=True)]
        losses.append(sum(r * r for r in residuals))
        last = (intercept, slope)
        intercept += 2 * lr * sum(residuals)
        slope += 2 * lr * sum(r * x for r, x in zip(residuals, X, strict=True))
    return losses, last


@pytest.mark.tiny
def test_a_line_is_found_by_values():
    loss, parameters = with_values()
    found = optim.gradient_descent(loss, parameters, lr=0.01)
    assert found.stopped_by == "tolerance"
    assert found.largest_step <= 0.001
    # in the flattest direction (curvature 2 · 0.57) a step is 1.14 % of the way that is left, which so is 0.088 at most
    assert [p.data for p in parameters] == pytest.approx([INTERCEPT, SLOPE], abs=0.09)


@pytest.mark.tiny
@on_every_backend
def test_values_and_tensors_go_the_same_way(backend):
    loss, parameters = with_values()
    expected = optim.gradient_descent(loss, parameters, lr=0.02, max_steps=50)
    other_loss, tensors = with_tensors(backend)
    found = optim.gradient_descent(other_loss, tensors, lr=0.02, max_steps=50)
    assert (found.steps, found.stopped_by) == (expected.steps, expected.stopped_by)
    same(found.losses, expected.losses, "losses", 1e-12)  # the same numbers, added in another order
    same([t.item() for t in tensors], [p.data for p in parameters], "parameters", 1e-12)


@pytest.mark.parametrize("make", [with_values, with_tensors])
def test_each_step_is_slope_times_rate(make):
    loss, parameters = make()
    found = optim.gradient_descent(loss, parameters, lr=0.01, tolerance=0.0, max_steps=7)
    losses, last = by_hand(0.01, 7)
    assert (found.steps, found.stopped_by, len(found.losses)) == (7, "max_steps", 8)
    same(found.losses, losses, "losses", 1e-12)
    same([float(p) for p in parameters], last, "parameters", 1e-12)


def test_it_stops_at_the_first_step_that_is_small_enough():
    for tolerance in (0.005, 0.002, 0.001):
        found = optim.gradient_descent(*with_values(), lr=0.01, tolerance=tolerance)
        assert found.largest_step <= tolerance
        one_less = optim.gradient_descent(*with_values(), lr=0.01, tolerance=0.0, max_steps=found.steps - 1)
        assert one_less.largest_step > tolerance
        assert found.losses[:-1] == one_less.losses


def test_a_small_tolerance_reaches_the_solved_line():
    loss, parameters = with_values()
    found = optim.gradient_descent(loss, parameters, lr=0.03, tolerance=1e-12, max_steps=5000)
    assert found.stopped_by == "tolerance"
    assert [p.data for p in parameters] == pytest.approx([INTERCEPT, SLOPE], abs=1e-9)
    # it falls at every step; near the end it stands still but for the last digit
    assert all(b <= a + 1e-15 for a, b in zip(found.losses, found.losses[1:]))


@pytest.mark.parametrize("tolerance", [0.001, 0.0])
def test_at_the_bottom_it_takes_one_step_of_nothing(tolerance):
    w = Value(0.0)
    found = optim.gradient_descent(lambda: w * w, [w], tolerance=tolerance)
    assert (found.steps, found.stopped_by, found.losses, found.largest_step) == (1, "tolerance", (0.0, 0.0), 0.0)


@pytest.mark.tiny
def test_too_large_a_rate_diverges_and_ends():
    loss, parameters = with_values()
    found = optim.gradient_descent(loss, parameters, lr=10.0, max_steps=500)
    assert found.stopped_by == "diverged" and found.steps < 500
    assert found.losses[3] > found.losses[2] > found.losses[1] > found.losses[0]
    assert not math.isfinite(found.losses[-1])


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")  # NumPy says so too
def test_too_large_a_rate_diverges_with_tensors_too():
    loss, parameters = with_tensors()
    found = optim.gradient_descent(loss, parameters, lr=10.0, max_steps=500)
    assert found.stopped_by == "diverged" and found.steps < 500
    assert not math.isfinite(found.losses[-1])


def test_a_step_that_is_no_number_is_not_a_small_one():
    still, lost = Value(0.0), Value(1.0)
    found = optim.gradient_descent(lambda: still * 0.0 + lost * float("nan"), [still, lost], max_steps=3)
    assert (found.steps, found.stopped_by) == (1, "diverged")


def test_a_models_parameters_will_do():
    model = nn.Linear(1, 1)
    x, y = np.array(X, np.float32)[:, None], np.array(Y, np.float32)
    loss = nn.SumSquaredResiduals()
    found = optim.gradient_descent(lambda: loss(model(x), y), model.parameters(), lr=0.03, tolerance=1e-5)
    assert found.stopped_by == "tolerance"
    # float32; the steps shrink by a factor near 1 each, so that what is left is some hundred of them
    assert [model.bias.item(), model.weight.item()] == pytest.approx([INTERCEPT, SLOPE], abs=2e-3)


@pytest.mark.parametrize(
    "options", [{"lr": 0.0}, {"lr": -1.0}, {"lr": float("nan")}, {"tolerance": -1e-3}, {"max_steps": 0}]
)
def test_settings_outside_their_range_are_refused(options):
    loss, parameters = with_values()
    with pytest.raises(ArgumentError, match=r"gradient_descent\(.*it needs a positive rate, a tolerance of at least 0"):
        optim.gradient_descent(loss, parameters, **options)
    assert [p.data for p in parameters] == [0.0, 1.0]


def test_parameters_are_needed_and_gradients_too():
    loss, _ = with_values()
    with pytest.raises(ArgumentError, match="on 0 parameters"):
        optim.gradient_descent(loss, [])
    w = Tensor([1.0])
    with pytest.raises(GradientError, match="found nothing to differentiate"):
        optim.gradient_descent(lambda: (w * w).sum(), [w])
