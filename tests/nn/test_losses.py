"""Losses: values and gradients against PyTorch, the scalar backend and formulas written out; targets of every kind;
how they hold at the far ends; what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import BACKENDS, engine, on_every_backend, same

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, BackendMismatch, ShapeError, TypeMismatch

sizes, seeds = st.integers(1, 4), st.integers(0, 2**32 - 1)
reductions = st.sampled_from(["mean", "sum", "none"])  # those that PyTorch has too

# Against PyTorch: exp, log and sums of at most 16 terms in float64. 1e-10 is ten thousand times their rounding, and far
# below what a wrong formula would show. Against the scalar backend, which does the same operations, a hundredth of it.
TORCH, SCALAR = 1e-10, 1e-12


def loss_and_gradient(loss, prediction, target, backend="numpy"):
    x = Tensor(prediction, backend=engine(backend), requires_grad=True)
    out = loss(x, target)
    out.backward(Tensor(np.linspace(1, 2, out.size).reshape(out.shape), backend=engine(backend)))
    return out.numpy(), x.grad.numpy()


def torchs(loss, prediction, target):
    import torch

    x = torch.tensor(prediction, requires_grad=True)
    out = loss(x, torch.tensor(target))
    out.backward(torch.linspace(1, 2, out.numel(), dtype=torch.float64).reshape(out.shape))
    return out.detach().numpy(), x.grad.numpy()


def agree(found, expected, what, rtol):
    same(found[0], expected[0], f"{what}, value", rtol, 1e-14)
    same(found[1], expected[1], f"{what}, gradient", rtol, 1e-14)


def probabilities(random, shape):
    p = random.uniform(0.01, 1, shape)
    return p / p.sum(-1, keepdims=True)


# name -> (ours, PyTorch's name, prediction, target), the last two drawn as (random, batch, outputs)
CASES = {
    "mse": (nn.MSELoss, "MSELoss", lambda r, n, k: r.normal(size=(n, k)), lambda r, n, k: r.normal(size=(n, k))),
    "bce with logits": (
        nn.BCEWithLogitsLoss, "BCEWithLogitsLoss",
        lambda r, n, k: r.normal(size=(n, k)), lambda r, n, k: r.uniform(size=(n, k)),
    ),
    "bce": (
        nn.BCELoss, "BCELoss", lambda r, n, k: r.uniform(0.01, 0.99, (n, k)), lambda r, n, k: r.uniform(size=(n, k)),
    ),
    "cross-entropy, classes": (
        nn.CrossEntropyLoss, "CrossEntropyLoss",
        lambda r, n, k: r.normal(size=(n, k)), lambda r, n, k: r.integers(0, k, n),
    ),
    "cross-entropy, probabilities": (
        nn.CrossEntropyLoss, "CrossEntropyLoss",
        lambda r, n, k: r.normal(size=(n, k)), lambda r, n, k: probabilities(r, (n, k)),
    ),
}  # fmt: skip
each_case = pytest.mark.parametrize("case", CASES)


@each_case
@pytest.mark.torch
def test_it_is_pytorchs(case):
    @settings(max_examples=40)
    @given(sizes, sizes, reductions, seeds)
    def check(n, k, reduction, seed):
        import torch

        ours, theirs, prediction, target = CASES[case]
        random = np.random.default_rng(seed)
        x, y = prediction(random, n, k), target(random, n, k)
        expected = torchs(getattr(torch.nn, theirs)(reduction=reduction), x, y)
        agree(loss_and_gradient(ours(reduction), x, y), expected, f"{case}, {reduction}", TORCH)

    check()


@each_case
def test_every_number_agrees_with_the_scalar_backend(case):
    @settings(max_examples=15)
    @given(sizes, sizes, st.sampled_from(["mean", "sum", "batchmean", "none"]), seeds)
    def check(n, k, reduction, seed):
        ours, _, prediction, target = CASES[case]
        random = np.random.default_rng(seed)
        x, y = prediction(random, n, k), target(random, n, k)
        expected = loss_and_gradient(ours(reduction), x, y, "scalar")
        agree(loss_and_gradient(ours(reduction), x, y), expected, f"{case}, {reduction}", SCALAR)

    check()


@pytest.mark.torch
@settings(max_examples=40)
@given(sizes, sizes, reductions, st.sampled_from([0.0, 0.1, 1.0]), st.booleans(), seeds)
def test_label_smoothing_is_pytorchs(n, k, reduction, smoothing, classes, seed):
    import torch

    random = np.random.default_rng(seed)
    x = random.normal(size=(n, k))
    y = random.integers(0, k, n) if classes else probabilities(random, (n, k))
    expected = torchs(torch.nn.CrossEntropyLoss(reduction=reduction, label_smoothing=smoothing), x, y)
    found = loss_and_gradient(nn.CrossEntropyLoss(reduction, label_smoothing=smoothing), x, y)
    agree(found, expected, f"label smoothing {smoothing}", TORCH)


# --- against formulas written out -------------------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
def test_the_quadratic_cost_is_half_the_mean_squared_length(backend):
    """C = 1/(2n) Σ ‖y - a‖²; dC/da = (a - y) / n."""
    a, y = np.random.default_rng(0).uniform(size=(2, 5, 3))
    cost = sum(sum((y[i, j] - a[i, j]) ** 2 for j in range(3)) for i in range(5)) / (2 * 5)
    agree(loss_and_gradient(nn.QuadraticCost(), a, y, backend), (cost, (a - y) / 5), "C", 1e-14)


@pytest.mark.tiny
@on_every_backend
def test_the_cross_entropy_cost_of_nielsens_third_chapter(backend):
    """C = -1/n ΣΣ [y ln a + (1 - y) ln(1 - a)] with a = σ(z); dC/dz = (a - y) / n."""
    random = np.random.default_rng(0)
    z, y = random.normal(size=(4, 3)), random.integers(0, 2, (4, 3)).astype(float)
    a = 1 / (1 + np.exp(-z))
    terms = [y[i, j] * math.log(a[i, j]) + (1 - y[i, j]) * math.log(1 - a[i, j]) for i in range(4) for j in range(3)]
    found = loss_and_gradient(nn.BCEWithLogitsLoss("batchmean"), z, y, backend)
    agree(found, (-sum(terms) / 4, (a - y) / 4), "C", 1e-13)


@on_every_backend
@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_hinge_by_hand(backend, shape):
    """max(0, 1 - y s): beyond the margin nothing, else slope -y; mean over five."""
    scores = np.array([2.0, 0.5, -0.5, -3.0, 0.25]).reshape(shape)
    sides = [1, 1, 1, -1, -1]
    value = (0 + 0.5 + 1.5 + 0 + 1.25) / 5
    slope = np.array([0, -1, -1, 0, 1]).reshape(shape) / 5
    for y in (sides, np.maximum(sides, 0), np.array(sides, float), np.array(sides) > 0, np.reshape(sides, shape)):
        agree(loss_and_gradient(nn.HingeLoss(), scores, y, backend), (value, slope), f"hinge, {y!r}", 1e-15)


@pytest.mark.tiny
@on_every_backend
def test_squared_residuals_add_up(backend):
    x, y = np.array([0.5, 2.0, 3.0]), np.array([1.4, 1.9, 3.2])
    value = 0.9**2 + 0.1**2 + 0.2**2
    agree(loss_and_gradient(nn.SumSquaredResiduals(), x, y, backend), (value, 2 * (x - y)), "residuals", 1e-14)


def test_the_four_reductions():
    x, y = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]]), np.zeros((3, 2))
    found = {r: nn.MSELoss(r)(Tensor(x), y).tolist() for r in ("none", "sum", "mean", "batchmean")}
    assert found == {"none": [[1, 4], [9, 25], [0, 1]], "sum": 40, "mean": 40 / 6, "batchmean": 40 / 3}


def test_l2_penalty_leaves_biases_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).to(dtype="float64")
    penalty = nn.l2_penalty(model, 0.3)
    squares = sum((layer.weight.numpy() ** 2).sum() for layer in model)
    same(penalty.item(), 0.15 * squares, "λ/2 Σ w²", 1e-14)
    penalty.backward()
    same(model[0].weight.grad.numpy(), 0.3 * model[0].weight.numpy(), "λ w", 1e-14)
    assert model[0].bias.grad is None


# --- targets ----------------------------------------------------------------------------------------------------------

CLASSES = [2, 0, 1, 1]
ROWS = np.eye(3)[CLASSES]
AS = {
    "list": lambda: CLASSES, "tuple": lambda: tuple(CLASSES), "array": lambda: np.array(CLASSES),
    "int32": lambda: np.array(CLASSES, np.int32), "uint8": lambda: np.array(CLASSES, np.uint8),
    "tensor": lambda: Tensor(CLASSES), "uint8 tensor": lambda: Tensor(CLASSES, "uint8"),
    "one-hot list": lambda: ROWS.tolist(), "one-hot integers": lambda: ROWS.astype(int),
    "one-hot tensor": lambda: Tensor(ROWS),
}  # fmt: skip


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("kind", AS)
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.QuadraticCost(), nn.BCEWithLogitsLoss(), nn.MSELoss()])
def test_classes_come_in_many_forms(loss, kind, backend):
    x = np.random.default_rng(0).normal(size=(4, 3))
    y = AS[kind]()
    y = y.to(engine(backend)) if isinstance(y, Tensor) else y
    agree(loss_and_gradient(loss, x, y, backend), loss_and_gradient(loss, x, ROWS, backend), kind, 1e-14)


@on_every_backend
@pytest.mark.parametrize("y", [[True, False], np.array([True, False])])
def test_booleans_are_classes_0_and_1(y, backend):
    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    for loss in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1), nn.QuadraticCost()):
        agree(loss_and_gradient(loss, x, y, backend), loss_and_gradient(loss, x, [1, 0], backend), repr(loss), 1e-15)


@pytest.mark.parametrize("y", [[0, 1, 1], np.array([0, 1, 1]), [[0], [1], [1]], [0.0, 1.0, 1.0], [False, True, True]])
@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCEWithLogitsLoss(), nn.BCELoss(), nn.HingeLoss()])
def test_a_single_output_takes_a_vector_of_targets(loss, y):
    x = np.array([[0.2], [0.6], [0.9]])
    agree(loss_and_gradient(loss, x, y), loss_and_gradient(loss, x, np.array([[0.0], [1.0], [1.0]])), repr(loss), 1e-15)


def test_python_floats_keep_their_digits_beside_a_float64_prediction():
    assert nn.MSELoss()(Tensor([0.1], "float64"), [0.1]).item() == 0.0


def test_predictions_may_be_plain_numbers_or_one_number():
    assert nn.MSELoss()([1.0, 2.0], [0.0, 0.0]).item() == 2.5
    assert [nn.MSELoss(r)(Tensor(3.0), Tensor(1.0)).item() for r in ("mean", "sum", "batchmean")] == [4.0] * 3


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1), nn.QuadraticCost()])
@pytest.mark.parametrize("y", [[0, 3], [-1, 2]])
def test_a_class_out_of_range_is_named(loss, y, backend):
    x = tn.zeros((2, 3), backend=engine(backend))
    looked_at = [Tensor(y, backend=engine(backend))] if engine(backend).is_host else []  # a device would have to wait
    for target in (y, np.array(y), *looked_at):
        with pytest.raises(ArgumentError, match=f"got classes {y[0]} … {y[1]}; a model with 3 outputs knows .* 0 … 2"):
            loss(x, target)


@pytest.mark.parametrize(
    ("loss", "x", "y"),
    [
        (nn.MSELoss(), (3, 2), np.zeros((2, 3))),
        (nn.MSELoss(), (3,), np.zeros((3, 1))),  # would broadcast to (3, 3)
        (nn.BCELoss(), (3, 1), np.zeros(2)),
        (nn.CrossEntropyLoss(), (3, 2), [0, 1]),
        (nn.CrossEntropyLoss(), (3, 2), [0.5, 1.0, 0.0]),
        (nn.CrossEntropyLoss(), (3, 2), np.zeros((3, 3))),
        (nn.CrossEntropyLoss(), (3,), [0]),
        (nn.HingeLoss(), (3, 1), [1, 1]),
        (nn.QuadraticCost(), (2, 3), 0.0),
    ],
)
def test_shapes_that_do_not_fit_are_refused(loss, x, y):
    with pytest.raises(ShapeError, match=type(loss).__name__):
        loss(tn.zeros(x), y)


def test_hinge_takes_sides():
    for target in ([1, 2], Tensor([1, 2])):
        with pytest.raises(TypeMismatch, match="HingeLoss needs targets of -1 and 1, or of 0 and 1; got 2"):
            nn.HingeLoss()(tn.zeros(2), target)


def test_settings_that_are_none():
    with pytest.raises(ArgumentError, match=r"MSELoss.*choose one of mean, sum, batchmean, none"):
        nn.MSELoss("average")
    with pytest.raises(ArgumentError, match=r"label_smoothing=2.*between 0 and 1"):
        nn.CrossEntropyLoss(label_smoothing=2)


def test_a_target_tensor_stays_where_it_is():
    with pytest.raises(BackendMismatch):
        nn.MSELoss()(tn.zeros(2), tn.zeros(2, backend="scalar"))


def test_a_recorded_step_takes_targets_as_they_come():
    loss = nn.CrossEntropyLoss()
    step = tn.capture(lambda x, y: loss(x, y))
    x, y = np.random.default_rng(0).normal(size=(2, 3)), np.array([[0, 2], [1, 1], [2, 0]])
    for row in y:
        same(step(x, row).numpy(), loss(Tensor(x), row).numpy(), "loss", 0)


# --- the far ends -----------------------------------------------------------------------------------------------------

WIDTHS = [
    pytest.param(backend.values[0], dtype, marks=backend.marks, id=f"{backend.id}-{dtype}")
    for backend in BACKENDS
    for dtype in ("float32", "float64")
    if (backend.id, dtype) != ("scalar", "float32")  # a Value is a double
]


def far(loss, x, y, backend, dtype):
    x = Tensor(x, dtype, backend=engine(backend), requires_grad=True)
    out = loss(x, y)
    out.sum().backward()
    return out.numpy(), x.grad.numpy()


@pytest.mark.tiny
@pytest.mark.parametrize(("backend", "dtype"), WIDTHS)
def test_cross_entropy_far_out(backend, dtype):
    """At ±10⁴: right is 0, wrong is the distance, a tie is ln 2; the gradient is softmax - one-hot."""
    x = [[1e4, -1e4], [1e4, -1e4], [1e4, 1e4]]
    for y in ([0, 1, 0], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]):
        value, gradient = far(nn.CrossEntropyLoss("none"), x, y, backend, dtype)
        same(value, [0.0, 2e4, math.log(2)], "value", 1e-6)  # the precision of a float32
        same(gradient, [[0, 0], [1, -1], [-0.5, 0.5]], "gradient", 1e-6)


@pytest.mark.tiny
@pytest.mark.parametrize(("backend", "dtype"), WIDTHS)
def test_bce_with_logits_far_out(backend, dtype):
    value, gradient = far(nn.BCEWithLogitsLoss("none"), [1e4, 1e4, -1e4, -1e4], [1, 0, 0, 1], backend, dtype)
    same(value, [0, 1e4, 0, 1e4], "value", 1e-6)
    same(gradient, [0, 1, 0, -1], "gradient", 1e-6, 1e-30)


@pytest.mark.parametrize(("backend", "dtype"), WIDTHS)
def test_bce_at_certainty(backend, dtype):
    """At a = 0 and 1 the logarithm stops: at -100, as PyTorch's, or at that of the smallest float32, -87.3."""
    value, gradient = far(nn.BCELoss("none"), [0.0, 1.0, 0.0, 1.0], [0, 1, 1, 0], backend, dtype)
    most = 100.0 if dtype == "float64" else -math.log(1.2e-38)
    same(value, [0, 0, most, most], "value", 1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.torch
def test_bce_at_certainty_is_pytorchs():
    import torch

    a, y = np.array([0.0, 1.0, 1e-60, 0.5]), np.array([1.0, 0.0, 1.0, 1.0])
    expected = torch.nn.BCELoss(reduction="none")(torch.tensor(a), torch.tensor(y)).numpy()
    same(nn.BCELoss("none")(Tensor(a), y).numpy(), expected, "value", 1e-12)


@on_every_backend
@pytest.mark.parametrize("loss", [nn.MSELoss, nn.BCEWithLogitsLoss, nn.BCELoss, nn.HingeLoss, nn.CrossEntropyLoss])
def test_an_empty_batch_has_no_mean_and_a_sum_of_0(loss, backend):
    x, y = np.zeros((0, 1)), np.zeros(0, int)
    value, gradient = loss_and_gradient(loss("sum"), x, y, backend)
    assert (value.item(), gradient.shape) == (0.0, (0, 1))
    assert loss("batchmean")(Tensor(x, backend=engine(backend)), y).item() == 0.0
    assert loss("none")(Tensor(x, backend=engine(backend)), y).size == 0
    assert math.isnan(loss()(Tensor(x, backend=engine(backend)), y).item())
