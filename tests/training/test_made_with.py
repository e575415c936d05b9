"""A saved run goes on only as it was made, only if no bit has changed; and what a Trainer takes and leaves alone."""

import os

import numpy as np
import pytest
from training_runs import MOONS, REST, mlp, moons_trainer, same_bits, weights

import tinynet as tn
from tinynet import Trainer, nn, optim
from tinynet.errors import ArgumentError, CheckpointError, TypeMismatch
from tinynet.training import Callback, EarlyStopping

pytestmark = pytest.mark.tiny


def model(bend=nn.Tanh, *arguments) -> nn.Sequential:
    tn.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 6), bend(*arguments), nn.Linear(6, 2))


def trainer(schedule=None, **parts) -> Trainer:
    schedule = schedule or optim.StepLR(step_size=2, gamma=0.5)
    return moons_trainer(optim.SGD(lr=0.1, momentum=0.9), schedule=schedule, **parts)


def fit(run: Trainer, epochs: int, **options) -> Trainer:
    run.fit(MOONS, epochs=epochs, batch_size=8, seed=2, progress=False, **options)
    return run


@pytest.fixture
def saved(tmp_path):
    """A run of two epochs with LeakyReLU(0.1)."""
    fit(trainer(model=model(nn.LeakyReLU, 0.1)), 2, checkpoint=tmp_path / "run")
    return tmp_path / "run"


ALIKE = lambda: {"model": model(nn.LeakyReLU, 0.1)}


def test_the_same_run_is_accepted_and_ends_alike(saved):
    whole = fit(trainer(**ALIKE()), 4)
    resumed = fit(trainer(**ALIKE()), 4, resume=saved)
    same_bits(weights(resumed.model), weights(whole.model))
    assert resumed.optimizer.lr == whole.optimizer.lr == pytest.approx(0.1 * 0.5**2)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (lambda: {"model": model(nn.Tanh)}, r"model: .*LeakyReLU\(0\.1\).* there, .*Tanh\(\).* here"),
        (lambda: {"model": model(nn.LeakyReLU, 0.2)}, r"model: .*LeakyReLU\(0\.1\).* there, .*LeakyReLU\(0\.2\)"),
        (lambda: ALIKE() | {"schedule": optim.StepLR(step_size=3, gamma=0.5)}, "'step_size': 2.* there, .*: 3.* here"),
        (lambda: ALIKE() | {"schedule": optim.StepLR(step_size=2, gamma=0.1)}, "'gamma': 0.5.* there, .*: 0.1.* here"),
        (lambda: ALIKE() | {"schedule": optim.ExponentialLR(gamma=0.5)}, "StepLR .* there, ExponentialLR .* here"),
    ],
    ids=["activation", "slope", "step size", "gamma", "kind"],
)
def test_a_run_made_otherwise_is_refused(parts, words, saved):
    other = trainer(**parts())
    before, lr = weights(other.model), other.optimizer.lr
    with pytest.raises(CheckpointError, match=words):
        fit(other, 4, resume=saved)
    same_bits(weights(other.model), before)
    assert other.optimizer.lr == lr and len(other.history) == 0


def test_where_the_schedule_stands_is_no_setting(tmp_path):
    """A plateau schedule remembers the best loss; a fresh one that has seen nothing takes that run up."""
    plateau = lambda: optim.ReduceLROnPlateau(factor=0.3, patience=0, threshold=0.2)
    whole = fit(trainer(plateau()), 5)
    fit(trainer(plateau()), 3, checkpoint=tmp_path / "run")
    resumed = fit(trainer(plateau()), 5, resume=tmp_path / "run")
    same_bits(weights(resumed.model), weights(whole.model))
    assert resumed.optimizer.lr == whole.optimizer.lr
    with pytest.raises(CheckpointError, match="patience"):
        fit(trainer(optim.ReduceLROnPlateau(factor=0.3, patience=1, threshold=0.2)), 5, resume=tmp_path / "run")


def flipped(path, position: int, bit: int = 0):
    """A copy with one bit changed."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    copy = path.with_name("flipped")
    copy.write_bytes(content)
    return copy


def numbers_begin(path) -> int:
    """Where the arrays begin in a safetensors file: after 8 bytes of length, and a header so long."""
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


@pytest.mark.parametrize("where", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_refused_by_load_and_by_resume(where, bit, saved, tmp_path):
    weights_file = tn.save(ALIKE()["model"], tmp_path / "weights")
    for path in (weights_file, saved):
        first, last = numbers_begin(path), path.stat().st_size - 1
        bad = flipped(path, first + round(where * (last - first)), bit)
        fresh = ALIKE()["model"]
        before = weights(fresh)
        with pytest.raises(CheckpointError, match="not those that were written"):
            tn.load(fresh, bad)
        same_bits(weights(fresh), before)
    run = trainer(**ALIKE())
    with pytest.raises(CheckpointError, match="not those that were written"):
        fit(run, 4, resume=bad)
    same_bits(weights(run.model), before)
    same_bits(weights(tn.load(model(nn.LeakyReLU, 0.1), weights_file)), before)


def test_arrays_that_changed_places_are_refused(tmp_path):
    """Two arrays of one shape: the checksum knows which is which."""
    path = tn.save(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), tmp_path / "m")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"0.weight"', b'"2.weight"').replace(b'"1.weight"', b'"0.weight"').replace(
        b'"2.weight"', b'"1.weight"'))  # fmt: skip
    with pytest.raises(CheckpointError, match="not those that were written"):
        tn.load(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), path)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.npz", "m.onnx"])
def test_an_ending_that_promises_another_format_is_refused(name, tmp_path):
    with pytest.raises(ArgumentError, match=r"safetensors.*\.safetensors"):
        tn.save(model(), tmp_path / name)
    assert os.listdir(tmp_path) == []
    for good in ("m.safetensors", "m", "m.tinynet"):
        assert tn.save(model(), tmp_path / good).is_file()


# --- what a Trainer takes, and leaves alone ---------------------------------------------------------------------------


class Twofold(nn.Module):
    """Differs between training and evaluation."""

    def forward(self, x):
        return x * 2 if self.training else x * 1


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_predict_is_the_models_own(size):
    layers = mlp(2, 6, 2)
    run = moons_trainer(model=nn.Sequential(layers[0], Twofold(), layers[1], layers[2]))
    found = run.predict(REST.x, size)
    np.testing.assert_array_equal(found.numpy(), run.model.predict(REST.x, size).numpy(), strict=True)
    w = weights(run.model)
    by_hand = np.tanh(REST.x @ w["0.weight"].T + w["0.bias"]) @ w["3.weight"].T + w["3.bias"]
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-4, atol=1e-5)
    assert not found.requires_grad and run.model.training and run.model[1].training


@pytest.mark.parametrize("callback", [EarlyStopping, lambda trainer, row: None, "stop", Callback])
def test_what_is_no_callback_is_refused(callback):
    with pytest.raises(TypeMismatch, match=r"callbacks=\).*parentheses"):
        moons_trainer(callbacks=[callback])
    moons_trainer(callbacks=[EarlyStopping(3), Callback()])


@pytest.mark.parametrize("raises", [False, True])
def test_evaluate_leaves_the_modes_as_they_were(raises):
    layers = mlp(2, 6, 2)
    run = moons_trainer(model=nn.Sequential(layers[0], Twofold(), layers[1], Twofold(), layers[2]))
    run.model[1].eval()
    run.model[2].train()
    before = [m.training for m in run.model.modules()]
    assert before == [True, True, False, True, True, True]
    in_training = run.evaluate(REST)
    assert [m.training for m in run.model.modules()] == before
    if raises:
        with pytest.raises(TypeMismatch):
            run.evaluate("nothing")
    run.predict(REST.x)
    assert [m.training for m in run.model.modules()] == before
    run.model.eval()
    assert run.evaluate(REST) == in_training, "it looked in evaluation mode"
    assert not any(m.training for m in run.model.modules())
