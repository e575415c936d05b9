"""Small mistakes are refused, in words that say what to do; small cases come out as NumPy has them."""

import numpy as np
import pytest

import tinynet as tn
from tinynet import Parameter, Tensor, Value, capture, nn, optim, parity, random
from tinynet.errors import ArgumentError, CaptureError, DomainError, GradientError, ShapeError, TypeMismatch
from tinynet.modes import mode

pytestmark = pytest.mark.tiny

X = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)


# --- making and joining -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "number"), [(tn.zeros, 0.0), (tn.ones, 1.0)])
def test_shapes_of_zeros_and_ones(make, number):
    for given, shape in [((2, 3), (2, 3)), (((2, 3),), (2, 3)), (([2, 3],), (2, 3)), ((4,), (4,)), (((),), ())]:
        np.testing.assert_array_equal(make(*given).numpy(), np.full(shape, number, np.float32), strict=True)
    assert make(np.int64(2), 0, dtype="int8").dtype == "int8" and make(np.int64(2), 0).shape == (2, 0)
    for wrong in [(2, -3), (2.5,), ("float32",), (2, "float32"), ((2, 3), 4), (None,), ((2.0, 3.0),)]:
        with pytest.raises(ShapeError, match=r"whole numbers of at least 0.*dtype="):
            make(*wrong)
    with pytest.raises(TypeMismatch, match=r"no dtype 'complex64'.*float32"):
        make(2, dtype="complex64")


@pytest.mark.parametrize(
    ("mistake", "error", "words"),
    [
        (lambda: tn.cat(Tensor(X)), TypeMismatch, "cat takes a list of tensors; got Tensor"),
        (lambda: tn.cat([Tensor(X), X]), TypeMismatch, "cat takes a list of tensors"),
        (lambda: tn.cat([]), ArgumentError, "at least one tensor"),
        (lambda: tn.where(X > 0, X, X), TypeMismatch, r"where works on tensors; got ndarray.*Tensor\(data\)"),
        (lambda: nn.functional.softmax("X", dim=1), TypeMismatch, "softmax needs a tensor, an array or lists.*got 'X'"),
        (lambda: nn.CrossEntropyLoss(Tensor(X), [0, 1, 2, 0]), TypeMismatch, r"CrossEntropyLoss\(\)\(prediction, targ"),
        (lambda: nn.CrossEntropyLoss()(Tensor(X), np.zeros(4)), ShapeError, r"integers: y\.astype\(int\)"),
        (lambda: nn.MSELoss()(Tensor(X), np.zeros(4)), ShapeError, r"prediction's shape \(4, 3\)"),
        (lambda: parity(nn.Linear(3, 1), X, X[:, :1], nn.MSELoss(), backends="numpy"), ArgumentError, "Name two"),
        (lambda: parity(nn.Linear(3, 1), X, X[:, :1], nn.MSELoss(), backends=["numpy"]), ArgumentError, "Name two"),
        (lambda: capture(3), TypeMismatch, "capture takes a function; got 3"),
        (lambda: nn.LeakyReLU("a"), TypeMismatch, "negative_slope=.*got 'a'"),
        (lambda: nn.Perceptron(3).learn(X, [0, 1, 5, 0]), ArgumentError, "targets of 0 and 1; got .*5"),
        (lambda: nn.Perceptron(3).learn(X, [0, 1, 0.5, 0]), ArgumentError, r"targets of 0 and 1; got .*0\.5"),
    ],
)
def test_a_mistake_is_named(mistake, error, words):
    with pytest.raises(error, match=words):
        mistake()


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (lambda a: a.log(), r"log\(a = 0\).*needs an input above 0"),
        (lambda a: (a - 1).sqrt(), r"sqrt\(-1\).*needs an input of at least 0"),
        (lambda a: Value(1.0) / a, r"div\(1, a = 0\).*needs a divisor other than 0"),
        (lambda a: 1 / a, r"div\(1, a = 0\).*needs a divisor other than 0"),
        (lambda a: a**-1, r"pow\(a = 0, -1\).*needs a base above 0, or a whole exponent, not negative at 0"),
        (lambda a: a ** Value(-1.0, label="b"), r"pow\(a = 0, b = -1\).*needs a base above 0"),
        (lambda a: a.sqrt().backward(), r"sqrt\(a = 0\): its slope there is not finite"),
    ],
)
def test_outside_its_domain_an_operation_names_the_number_and_what_it_needs(compute, words):
    with pytest.raises(DomainError, match=words):
        compute(Value(0.0, label="a"))


@pytest.mark.parametrize("bad", [np.array(["a", "b"]), "hello", None, [None, None], np.array([1j, 2j])])
def test_a_state_without_numbers_changes_nothing(bad):
    layer = nn.Linear(3, 2)
    before = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
    for state in ({"weight": before["weight"] + 1, "bias": bad}, {"bias": bad, "weight": before["weight"] + 1}):
        with pytest.raises((TypeMismatch, ArgumentError)):
            layer.load_state_dict(state)
    for name, tensor in layer.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


# --- what cannot be recorded ------------------------------------------------------------------------------------------


def test_an_argument_that_requires_a_gradient_is_refused():
    with pytest.raises(CaptureError, match="closure"):
        capture(lambda x: x * 2)(Tensor([1.0], requires_grad=True))
    with pytest.raises(CaptureError, match="closure"):
        capture(lambda x: x * 2)(Parameter([1.0]))


@pytest.mark.parametrize("change", [lambda x: x.add_(1), lambda x: x.zero_(), lambda x: x[1:].mul_(2.0)])
def test_an_argument_changed_in_place_is_refused(change):
    def step(x):
        change(x)
        return x * 2

    x = Tensor([1.0, 2.0])
    with pytest.raises(CaptureError, match="in place"):
        capture(step)(x)
    assert x.tolist() == [1.0, 2.0] and mode.recorder is None


def test_two_backends_and_scalar_models_are_refused():
    here, there = Tensor([1.0]), Tensor([1.0], backend="scalar")
    with pytest.raises(CaptureError, match="scalar"):
        capture(lambda x: (x * 2, there * 2))(here)
    model = nn.Linear(3, 2).to("scalar")
    inputs = Tensor(X, backend="scalar")
    with pytest.raises(CaptureError, match="scalar"):
        capture(lambda: model(inputs))()
    with pytest.raises(CaptureError, match="scalar"):
        capture(lambda x: model(x))(X)
    assert mode.recorder is None


@pytest.mark.parametrize("draw", [lambda: random.generator().normal(), lambda: nn.Linear(1, 1)])
def test_random_numbers_and_layers_made_inside_are_refused(draw):
    with pytest.raises(CaptureError, match="cannot be recorded"):
        capture(lambda x: (draw(), x * 2)[1])(Tensor([1.0]))
    assert mode.recorder is None


def test_setting_an_attribute_inside_is_refused():
    bend = nn.LeakyReLU(0.5)

    def changes(x):
        bend.negative_slope = 0.1
        return bend(x)

    with pytest.raises(CaptureError, match=r"LeakyReLU\.negative_slope"):
        capture(changes)(Tensor([-1.0]))
    assert bend.negative_slope == 0.5


# --- half precision, and integers -------------------------------------------------------------------------------------


def test_the_mean_of_many_half_floats():
    ones = Tensor(np.ones((100_000, 2), np.float16), requires_grad=True)
    mean = ones.mean()
    assert (mean.item(), mean.dtype, ones.mean(0).tolist()) == (1.0, "float16", [1.0, 1.0])
    mean.backward()
    assert ones.grad.dtype == "float16"
    np.testing.assert_allclose(ones.grad.numpy(), 1 / 200_000, rtol=0.02)  # a subnormal: multiples of 6e-8


def test_adam_in_half_precision_stays_near_single_precision():
    """Its memory, of squares of gradients, is kept in single precision."""

    def trained(dtype):
        tn.manual_seed(6)
        layer = nn.Linear(3, 2).to(dtype=dtype)
        optimizer = optim.Adam(layer.parameters(), lr=0.05)
        for _ in range(5):
            layer.zero_grad()
            nn.CrossEntropyLoss()(layer((X / 5).astype(dtype)), np.array([0, 1, 1, 0])).backward()
            optimizer.step()
        assert layer.weight.dtype == dtype
        return np.concatenate([p.numpy().astype(np.float64).ravel() for p in layer.parameters()])

    half, single = trained("float16"), trained("float32")
    assert np.isfinite(half).all()
    np.testing.assert_allclose(half, single, atol=5e-3)


def test_bce_in_half_precision_is_finite():
    a, y = np.array([0.0, 1.0, 0.5, 0.25], np.float16), np.array([1.0, 0.0, 1.0, 0.0], np.float16)
    probabilities = Tensor(a, requires_grad=True)
    loss = nn.BCELoss("none")(probabilities, y)
    loss.sum().backward()
    assert np.isfinite(loss.numpy()).all() and np.isfinite(probabilities.grad.numpy()).all()
    np.testing.assert_allclose(loss.numpy()[2:], [np.log(2), -np.log(0.75)], rtol=2e-3)
    assert (loss.numpy()[:2] > 9).all(), "as wrong as half precision can say"


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
@pytest.mark.parametrize("power", [2, 3, 0, 2.0, 3.0, 0.5, -1.0])
def test_powers_of_integers_are_numpys(power, dtype):
    x = np.array([1, 2, 3], dtype)
    found, expected = (Tensor(x) ** power).numpy(), x**power
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == expected.dtype


# --- the scalar backend -----------------------------------------------------------------------------------------------


def test_the_gradients_inside_values_add_up_and_are_forgotten():
    w = Parameter([2.0, 3.0], backend="scalar")
    inside = lambda: [value.grad for value in w.data.flat]
    x = Tensor([5.0, 7.0], backend="scalar")
    for times in (1, 2, 3):
        (w * x).sum().backward()
        assert inside() == w.grad.tolist() == [5.0 * times, 7.0 * times]
    w.zero_grad()
    assert inside() == [0.0, 0.0] and w.grad is None
    (w * x).sum().backward()
    assert inside() == w.grad.tolist() == [5.0, 7.0]


@pytest.mark.parametrize("view", [lambda x: x.reshape(4), lambda x: x.T, lambda x: x[0], lambda x: x.flatten()])
def test_watching_a_view_of_values_is_refused(view):
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], backend="scalar", requires_grad=True)
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [[4.0, 8.0], [12.0, 16.0]], "what is no view can be watched"
    part = view(x)
    part.retain_grad()
    with pytest.raises(GradientError, match="Watch the gradient of what comes before"):
        part.sum().backward()


def test_the_inputs_of_a_scalar_model_are_labelled():
    layer = nn.Linear(2, 1).to("scalar")
    found, left = {}, list(layer([[1.5, 2.5], [3.5, 4.5]]).data.flat)
    while left:
        value = left.pop()
        found |= {value.label: value.data} if value.label else {}
        left += value.parents
    inputs = {label: number for label, number in found.items() if label.startswith("x")}
    assert inputs == {"x[0,0]": 1.5, "x[0,1]": 2.5, "x[1,0]": 3.5, "x[1,1]": 4.5}
    assert found.keys() - inputs.keys() == {"weight[0,0]", "weight[0,1]", "bias[0]"}


@pytest.mark.tiny
@pytest.mark.parametrize("rule", [optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
def test_half_precision_takes_the_steps_that_single_precision_takes(rule):
    moved = []
    for dtype in ("float16", "float32"):
        parameter = nn.Parameter(np.ones(1, dtype))
        optimizer = rule([parameter], lr=0.01)
        for _ in range(5):
            parameter.grad = Tensor(np.full(1, 1e-3, dtype))
            optimizer.step()
        moved.append(parameter.item())
    assert moved[0] == pytest.approx(moved[1], rel=3e-3)  # a float16 has eleven bits


@pytest.mark.tiny
def test_a_variance_of_many_halves_is_finite():
    x = np.random.default_rng(0).normal(size=100_000).astype("float16")
    assert Tensor(x).var().item() == pytest.approx(x.astype("float64").var(ddof=1), rel=2e-3)


@pytest.mark.tiny
def test_what_was_changed_in_place_after_its_use_cannot_go_backward():
    w, c = Tensor([3.0], requires_grad=True), Tensor([3.0])
    product = w * c
    c.add_(100)
    with pytest.raises(GradientError, match=r"an input of mul, \(1,\), was changed in place after it was used"):
        product.backward()
    (w * c).backward()
    assert w.grad.item() == 103


@pytest.mark.tiny
def test_a_second_backward_after_an_update_is_refused():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss = (model(Tensor([[1.0, 2.0]])) ** 2).sum()
    loss.backward()
    loss.backward()  # nothing has changed: the gradients add up
    optimizer.step()
    with pytest.raises(GradientError, match="changed in place"):
        loss.backward()
