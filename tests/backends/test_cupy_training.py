"""A model on the cupy backend trains as it does on NumPy, moves there and back whole, and never makes the host wait."""

import numpy as np
import pytest
import strict_cupy

import tinynet as tn
from tinynet import Tensor, nn, optim

rng = np.random.default_rng(5)
INPUTS, CLASSES = rng.normal(size=(6, 4)), np.array([0, 2, 1, 1, 0, 2])
TARGETS = rng.uniform(0.1, 0.9, size=(6, 3))
CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # rounding of float64, a few thousand operations long

ACTIVATIONS = [nn.Step(), nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.LeakyReLU(0.2), nn.Softplus(), nn.GELU()]
ACTIVATIONS += [nn.GELU("tanh"), nn.Softmax(), nn.Softmax(0)]
LOSSES = {
    "mse": (nn.MSELoss(), TARGETS),
    "residuals": (nn.SumSquaredResiduals(), TARGETS),
    "quadratic": (nn.QuadraticCost(), CLASSES),
    "cross-entropy": (nn.CrossEntropyLoss(), CLASSES),
    "cross-entropy, each": (nn.CrossEntropyLoss("none"), CLASSES),
    "cross-entropy, smooth": (nn.CrossEntropyLoss(label_smoothing=0.1), CLASSES),
    "cross-entropy, probabilities": (nn.CrossEntropyLoss(), TARGETS / TARGETS.sum(1, keepdims=True)),
    "bce": (nn.BCELoss(), TARGETS),
    "bce with logits": (nn.BCEWithLogitsLoss("batchmean"), CLASSES),
    "hinge": (nn.HingeLoss(), np.array([1, 0, 1, 1, 0, 1])),
}
OPTIMISERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD, momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.05),
    "AdamW": lambda p: optim.AdamW(p, lr=0.05),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05),
}


def mlp():
    tn.manual_seed(11)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to("numpy", dtype="float64")


def train_step(model, optimiser, loss=None):
    loss = loss or nn.CrossEntropyLoss()

    def step(x, y):
        optimiser.zero_grad()
        result = loss(model(x), y)
        result.backward()
        optimiser.step()
        return result

    return step


def value_and_gradient(function, x, backend):
    x = Tensor(x, backend=backend, requires_grad=True)
    out = function(x)
    if out.requires_grad:
        (out * out).sum().backward()
    return out.numpy(), None if x.grad is None else x.grad.numpy()


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, **CLOSE)


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_activations(cupy, layer):
    same(value_and_gradient(layer, INPUTS, "cupy"), value_and_gradient(layer, INPUTS, "numpy"))


@pytest.mark.parametrize("loss, target", LOSSES.values(), ids=LOSSES)
def test_losses(cupy, loss, target):
    x = TARGETS.T.ravel()[:6] if isinstance(loss, nn.HingeLoss) else TARGETS
    same(*[value_and_gradient(lambda x: loss(x, target), x, backend) for backend in ("cupy", "numpy")])


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_training_equals_numpys(cupy, make):
    models = {"numpy": mlp(), "cupy": mlp().to("cupy")}
    for backend, model in models.items():
        step = train_step(model, make(model.parameters()))
        x, y = Tensor(INPUTS, backend=backend), Tensor(CLASSES, backend=backend)
        losses = [step(x, y) for _ in range(5)]
        assert losses[-1].item() < losses[0].item()
    for a, b in zip(models["cupy"].parameters(), models["numpy"].parameters(), strict=True):
        same([a.numpy(), a.grad.numpy()], [b.numpy(), b.grad.numpy()])


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_a_replayed_step_is_the_eager_one(cupy, make):
    eager, replayed = mlp().to("cupy"), mlp().to("cupy")
    plain, captured = (train_step(m, make(m.parameters())) for m in (eager, replayed))
    captured = tn.capture(captured, backend="cupy")
    for i in range(5):
        batch = INPUTS * (i + 1), np.roll(CLASSES, i)
        a, b = plain(*[Tensor(x, backend="cupy") for x in batch]), captured(*batch)
        assert a.item() == pytest.approx(b.item(), rel=1e-12)  # chains of calls are kernels of their own
    assert captured.program is not None
    for a, b in zip(eager.parameters(), replayed.parameters(), strict=True):
        same([a.numpy()], [b.numpy()])


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_the_host_never_waits_within_a_step(strict, make):
    model = mlp().to("cupy")
    optimiser = make(model.parameters())
    plain = train_step(model, optimiser)
    captured = tn.capture(train_step(model, optimiser))
    x, y = Tensor(INPUTS, backend="cupy"), Tensor(CLASSES, backend="cupy")
    with strict_cupy.no_synchronisation():
        plain(x, y)
        loss = captured(x, y)
        loss = captured(x, y)
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.lr = 0.01
        loss = captured(x, y)
    assert np.isfinite(loss.item())


def test_model_inputs_come_from_the_host(cupy):
    model = mlp().to("cupy")
    for given in (INPUTS, INPUTS.tolist(), INPUTS.astype("float32")):
        out = model(given)
        assert (out.backend, out.dtype) == (cupy, "float64")
    np.testing.assert_allclose(model(INPUTS).numpy(), mlp()(INPUTS).numpy(), **CLOSE)


# --- moving -----------------------------------------------------------------------------------------------------------


class Tied(nn.Module):
    """Two layers with one weight, a buffer of floats and one of integers."""

    def __init__(self):
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("mean", Tensor([0.5, 1.5]))
        self.register_buffer("seen", Tensor([3]))

    def forward(self, x):
        return self.second(self.first(x).tanh())


def everything(model, optimiser):
    """All the arrays that a training run consists of, by name."""
    held = {f"weight {name}": p for name, p in model.named_parameters()}
    held |= {f"gradient {name}": p.grad for name, p in model.named_parameters()}
    held |= {f"buffer {name}": b for name, b in model.named_buffers()}
    return held | {f"memory {name}": m for name, m in optimiser.state_dict()["memory"].items()}


def run(moves):
    """Train a step on each of these backends in turn; the numbers at the end, and the run itself."""
    tn.manual_seed(2)
    model = Tied().to("numpy", dtype="float64")
    optimiser = optim.Adam(model.parameters(), lr=0.01)
    for backend in moves:
        model.to(backend)
        train_step(model, optimiser, nn.MSELoss())(Tensor(INPUTS, backend=backend), Tensor(INPUTS, backend=backend))
        assert all(t.backend.name == backend for t in everything(model, optimiser).values())
        assert model.first.weight is model.second.weight
        assert len(list(model.parameters())) == 3
    return everything(model, optimiser)


def test_a_run_that_moves_between_steps_is_the_run_that_stays(cupy):
    moved, stayed = run(["numpy", "cupy", "cupy", "numpy", "cupy"]), run(["numpy"] * 5)
    assert moved.keys() == stayed.keys()
    for name in stayed:
        np.testing.assert_allclose(moved[name].numpy(), stayed[name].numpy(), err_msg=name, **CLOSE)


def test_moving_carries_gradients_and_leaves_nothing_on_the_host(cupy):
    model = mlp()
    nn.CrossEntropyLoss()(model(INPUTS), CLASSES).backward()
    gradients = [p.grad.numpy() for p in model.parameters()]
    model.to("cupy")
    for p, g in zip(model.parameters(), gradients, strict=True):
        assert isinstance(p.data, cupy.array_type)
        assert isinstance(p.grad.data, cupy.array_type)
        np.testing.assert_array_equal(p.grad.numpy(), g)


def test_no_numpy_array_is_ever_handed_to_a_kernel_or_returned(strict, monkeypatch):
    met = []

    def launch(name, *inputs, out=None, **params):
        result = type(strict).launch(strict, name, *inputs, out=out, **params)
        met.extend((name, x) for x in (*inputs, *(result if isinstance(result, tuple) else (result,)), out))
        return result

    monkeypatch.setattr(strict, "launch", launch)
    model = mlp().to("cupy")
    train_step(model, optim.Adam(model.parameters()))(Tensor(INPUTS, backend="cupy"), Tensor(CLASSES, backend="cupy"))
    assert len(met) > 100
    assert [name for name, x in met if isinstance(x, (np.ndarray, np.generic))] == []


def test_synchronize_waits_once(strict):
    before = strict_cupy.synchronisations
    strict.synchronize()
    assert strict_cupy.synchronisations == before + 1
    with strict_cupy.no_synchronisation(), pytest.raises(AssertionError):
        strict.synchronize()
    tn.get_backend("numpy").synchronize()
