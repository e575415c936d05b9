"""check_gradients: finds a wrong gradient wherever it hides, says where, and leaves everything as it was."""

import numpy as np
import pytest
from support import engine, on_every_backend

from tinynet import Parameter, Tensor, Value, check_gradients
from tinynet.errors import ArgumentError, GradientError, TypeMismatch
from tinynet.parameter import flatten
from tinynet.primitives import Primitive

pytestmark = pytest.mark.tiny

X = np.random.default_rng(1).uniform(0.5, 2.0, (2, 3))
half_wrong = Primitive("half_wrong", lambda x: x * x, lambda g, out, x: g * x)  # the slope of x² is 2x
square = Primitive("mul", None, lambda g, out, x, y: g * y * (x < 1.9), lambda g, out, x, y: g * x)


def wrong(x):
    """x², with a slope that misses the half of it where x is 1.9 or more."""
    return square(x, x)


@on_every_backend
def test_right_gradients_pass(backend):
    x, w = Tensor(X, backend=engine(backend)), Tensor(X.T, backend=engine(backend))
    report = check_gradients(lambda x, w: (x @ w).tanh(), x, w)
    assert report and report.ok and report.compared == 12 and report.difference <= report.allowed
    assert "12 gradients agree" in str(report)


def test_a_wrong_gradient_is_named_with_its_place_and_both_numbers():
    data = np.array([[0.5, 1.0], [1.0, 2.0]])
    with pytest.raises(GradientError) as caught:
        check_gradients(lambda x, y: wrong(y) * x, Tensor(np.ones((2, 2))), Tensor(data, label="y"))
    for word in ("<lambda>", "input y", "index (1, 1)", "analytic", "numeric"):
        assert word in str(caught.value)
    report = check_gradients(wrong, Tensor(data), raises=False)
    assert not report and (report.function, report.input, report.index) == ("wrong", "0", (1, 1))
    weight = report.analytic / 2.0  # what the element counts in L
    assert report.numeric == pytest.approx(4.0 * weight, rel=1e-8) and report.difference == pytest.approx(2.0 * weight)


def test_a_wrong_gradient_of_a_value():
    with pytest.raises(GradientError, match=r"a at index \(\): analytic 3, numeric [56]"):
        check_gradients(lambda a: half_wrong(a), Value(3.0, label="a"))


def test_a_gradient_that_is_missing_or_not_a_number():
    assert check_gradients(lambda x: Tensor(x.numpy()) * 2, Tensor(X), raises=False).analytic == 0.0
    assert not check_gradients(lambda x: Tensor(x.numpy()) * 2, Tensor(X), raises=False)
    nan = Primitive("neg", None, lambda g, out, x: g * float("nan"))
    assert not check_gradients(lambda x: nan(x), Tensor(X), raises=False)


def test_everything_is_as_it_was():
    x, y = Tensor(X, requires_grad=True), Tensor(X)
    beside = Tensor(X, requires_grad=True)
    (x * x).sum().backward()
    before = x.grad
    check_gradients(lambda x, y: x * y * beside, x, y)
    assert x.grad is before and x.grad.tolist() == (2 * X).tolist() and x.tolist() == y.tolist() == X.tolist()
    assert (y.grad, beside.grad, x.requires_grad, y.requires_grad) == (None, None, True, False)
    a, b = Value(2.0), Value(3.0)
    b.grad = 7.0
    check_gradients(lambda a: a * a * b, a)
    assert (a.data, a.grad, b.grad) == (2.0, 0.0, 7.0)


def test_everything_is_as_it_was_after_an_error():
    x = Tensor(X)

    def fails(x):
        if x.numpy()[0, 0] != X[0, 0]:
            raise ZeroDivisionError
        return x * 2

    with pytest.raises(ZeroDivisionError):
        check_gradients(fails, x)
    assert x.tolist() == X.tolist() and not x.requires_grad


def test_parameters_in_a_flat_array_keep_their_gradients():
    w, b = Parameter(X), Parameter(X[0])
    (flat,) = flatten([w, b])
    (w * b).sum().backward()
    before, place = flat.grad.numpy(), w.grad
    check_gradients(lambda w, b: (w * b).tanh(), w, b)
    assert w.grad is place and flat.grad.numpy().tolist() == before.tolist()
    assert flat.data.numpy().tolist() == [*X.flat, *X[0]]


def test_many_outputs_and_other_inputs():
    rows = Tensor([1, 0])
    check_gradients(lambda x, rows, scale: [x[rows] * scale, (x.sum(), x.max(1))], Tensor(X), rows, 2.0)
    check_gradients(lambda a, b: [a * b, (a - b, 3.0)], Value(2.0), Value(0.5))


def test_second_derivatives_can_be_checked_too():
    def slope(x):
        x.grad = None
        (x**3).sum().backward(create_graph=True)
        return x.grad

    assert check_gradients(slope, Tensor(X))


def test_what_does_not_depend_on_its_inputs_has_no_slope():
    assert check_gradients(lambda x: x > 0, Tensor(X)).analytic == 0.0
    assert check_gradients(lambda a: Value(3.0), Value(1.0))
    assert "nothing to compare" in str(check_gradients(lambda x: x * 2, Tensor(np.zeros((0, 3)))))


def test_large_and_small_numbers():
    for number in (1e6, -1e6, 1e-6, 0.0):
        check_gradients(lambda x: x * x, Tensor(np.array([number])))


def test_bad_arguments():
    with pytest.raises(TypeMismatch, match=r"float64.*float32"):
        check_gradients(lambda x: x, Tensor([1.0]))
    with pytest.raises(ArgumentError, match="got none"):
        check_gradients(lambda x: x, 3.0)
    with pytest.raises(GradientError):
        check_gradients(lambda x: x, Tensor(X, requires_grad=True) * 2)  # not a leaf: nothing to vary


def test_the_tolerance_can_be_chosen():
    assert check_gradients(wrong, Tensor(np.array([1.9])), rtol=0.6)
    assert not check_gradients(lambda x: x.exp(), Tensor(X), rtol=1e-14, atol=0.0, raises=False)
    assert not check_gradients(lambda x: x.exp(), Tensor(X), step=0.5, raises=False)
