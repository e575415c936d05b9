"""``Trainer(precision=)``: products in half floats or TF32, weights in float32, float16 with a loss that is scaled."""

import numpy as np
import pytest
from strict_backend import strict_cupy_in_charge
from training_runs import MOONS, REST, mlp, moons_trainer, rows, same_run, weights

import tinynet as tn
from tinynet import GradScaler, Tensor, Trainer, autocast, nn, optim
from tinynet.errors import ArgumentError, CheckpointError
from tinynet.modes import mode
from tinynet.precision import matmul_precision
from tinynet.training.precision import PRECISIONS

HALVES = ("bfloat16", "float16")
EPS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


class Watching(nn.Module):
    """Notes what the layers around it compute in, whenever Python comes by."""

    def __init__(self) -> None:
        self.seen: set[object] = set()

    def forward(self, x):
        self.seen.add((mode.autocast, matmul_precision(), x.dtype))
        return x


def watched() -> nn.Sequential:
    layers = mlp(2, 6, 2)
    return nn.Sequential(layers[0], Watching(), layers[1], layers[2])


def fit(trainer: Trainer, epochs: int = 3, **options) -> Trainer:
    tn.manual_seed(3)
    trainer.fit(MOONS, REST, epochs=epochs, batch_size=8, seed=2, progress=False, **options)
    return trainer


@pytest.mark.parametrize("capture", [True, False], ids=["recorded", "eager"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_training_evaluation_and_prediction_compute_in(precision, capture):
    model = watched()
    trainer = fit(moons_trainer(model=model, precision=precision, capture=capture))
    half = precision if precision in HALVES else None
    expected = {(half, "high" if precision == "tf32" else "highest", half or "float32")}
    assert model[1].seen == expected
    for deed in (lambda: trainer.evaluate(REST), lambda: trainer.predict(REST.x[:3])):
        model[1].seen.clear()
        deed()
        assert model[1].seen <= expected  # a recorded evaluation asks no Python
    assert mode.autocast is None and matmul_precision() == "highest"
    assert trainer.predict(REST.x[:3]).dtype == (half or "float32")
    assert {w.dtype for w in model.parameters()} == {"float32"}
    assert all(w.grad.dtype == "float32" for w in model.parameters())
    assert (trainer.scaler is not None) == (precision == "float16")


def test_tf32_changes_nothing_on_numpy():
    same_run(fit(moons_trainer(precision="tf32")), fit(moons_trainer()))


@pytest.mark.parametrize("rule", [lambda: optim.SGD(lr=0.3, momentum=0.5), lambda: optim.Adam(lr=0.05)])
@pytest.mark.parametrize("precision", HALVES)
def test_recorded_and_eager_runs_end_alike(precision, rule):
    recorded, eager = (
        fit(moons_trainer(rule(), precision=precision, capture=capture, l2=0.1, clip_norm=0.5))
        for capture in (True, False)
    )
    same_run(recorded, eager)
    assert recorded.program is not None and eager.program is None
    if precision == "float16":
        assert recorded.scaler.state_dict() == eager.scaler.state_dict()


@pytest.mark.parametrize("precision", HALVES)
def test_it_learns_what_float32_learns(precision):
    """Losses follow those of float32 as far as the digits reach, over a few epochs of plain descent."""
    found, expected = (fit(moons_trainer(precision=p)).history["loss"] for p in (precision, "float32"))
    assert found == pytest.approx(expected, rel=4 * EPS[precision])


@pytest.mark.parametrize("precision", HALVES)
def test_it_is_a_loop_of_ones_own(precision):
    """The trainer's steps are those that its parts make, bit for bit."""
    trainer, model = moons_trainer(precision=precision), mlp(2, 6, 2)
    optimizer, scaler = optim.SGD(model.parameters(), lr=0.3), GradScaler(enabled=precision == "float16")
    x, y = MOONS.x[:8].astype(np.float32), MOONS.y[:8]
    for _ in range(4):
        loss = trainer.train_on_batch(x, y).item()
        optimizer.zero_grad()
        with autocast(precision):
            own = nn.CrossEntropyLoss()(model(Tensor(x)), Tensor(y))
        scaler.scale(own).backward()
        scaler.step(optimizer)
        scaler.update()
        assert loss == own.item()
    for name, array in weights(model).items():
        np.testing.assert_array_equal(weights(trainer.model)[name], array)


@pytest.mark.parametrize("precision", HALVES)
def test_threads_share_a_batch(precision):
    """Two shares: each computes in half floats, the gradients are added up in float32, the update is one."""
    shared, whole = (fit(moons_trainer(precision=precision, threads=n)) for n in (2, 1))
    assert shared.steps.shares == 2
    assert shared.history["loss"] == pytest.approx(whole.history["loss"], rel=4 * EPS[precision])
    same_run(fit(moons_trainer(precision=precision, threads=2)), shared)


@pytest.mark.parametrize("precision", HALVES)
def test_on_a_device(precision):
    """The stand-in for a GPU: within a few roundings of NumPy."""
    with strict_cupy_in_charge():
        device = fit(moons_trainer(model=mlp(2, 6, 2).to("cupy"), precision=precision), epochs=2)
        assert {w.dtype for w in device.model.parameters()} == {"float32"}
        assert not any("eagerly" in note for note in device.history.notes)
        host = fit(moons_trainer(precision=precision), epochs=2)
        assert device.history["loss"] == pytest.approx(host.history["loss"], rel=4 * EPS[precision])


# --- the scale as a part of the run -----------------------------------------------------------------------------------


def scaled(**options) -> Trainer:
    """A run whose scale moves all the time: it begins too high, and grows every fourth step."""
    trainer = moons_trainer(optim.Adam(lr=0.05), precision="float16", **options)
    trainer.scaler = GradScaler(2.0**24, growth_interval=4)
    return trainer


@pytest.mark.parametrize("every", [1, 5, None])
def test_a_run_goes_on_with_its_scale(tmp_path, every):
    whole, file = fit(scaled(), epochs=4), tmp_path / "run"
    fit(scaled(), epochs=2, checkpoint=file, checkpoint_every=every)
    again = fit(scaled(), epochs=4, checkpoint=file, resume=True)
    same_run(again, whole)
    assert again.scaler.state_dict() == whole.scaler.state_dict()
    assert again.scaler.get_scale() != 2.0**24


def test_steps_that_overflow_are_left_out():
    trainer = scaled()
    before = weights(trainer.model)
    trainer.scaler = GradScaler(2.0**100)
    x, y = MOONS.x[:8], MOONS.y[:8]
    for i in range(3):
        loss = trainer.train_on_batch(x, y).item()
        assert np.isfinite(loss) and trainer.scaler.get_scale() == 2.0 ** (99 - i)
    for name, array in weights(trainer.model).items():
        np.testing.assert_array_equal(array, before[name])
    assert trainer.optimizer.state_dict()["memory"]["0.step"].item() == 0


def test_a_step_that_cannot_be_recorded_leaves_the_scale_as_it_was():
    class Reading(nn.Module):
        def forward(self, x):
            return x * (1.0 if float(x.sum()) < np.inf else 0.0)

    layers = mlp(2, 6, 2)
    trainer = scaled(model=nn.Sequential(layers, Reading()))
    trainer.scaler = GradScaler(1024.0)
    trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8])
    assert trainer.history.notes[0].startswith("running eagerly")
    assert trainer.scaler.state_dict()["_growth_tracker"] == 1


def test_trying_threads_leaves_the_scale_as_it_was():
    from tinynet.training import threads

    trainer = scaled(threads="auto")
    trainer.scaler = GradScaler(1024.0)
    x, y = MOONS.x[:8].astype(np.float32), MOONS.y[:8]
    threads.choose(trainer, lambda shares: trainer.steps.training_in(shares, 8), x, y)
    assert trainer.scaler.state_dict()["_growth_tracker"] == 0


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_what_is_no_precision():
    with pytest.raises(ArgumentError, match="'float32', 'tf32', 'bfloat16', 'float16'"):
        moons_trainer(precision="half")
    for model, words in (
        (mlp(2, 6, 2, dtype="float64"), "float64 on numpy"),
        (mlp(2, 6, 2, dtype="float16"), "float16 on numpy"),
        (mlp(2, 6, 2).to("scalar"), "float64 on scalar"),
    ):
        with pytest.raises(ArgumentError, match=words):
            moons_trainer(model=model, precision="bfloat16")
    trainer = moons_trainer(precision="bfloat16")
    trainer.model.to(dtype="float64")
    with pytest.raises(ArgumentError, match="float64 on numpy"):
        fit(trainer)


def test_a_run_in_another_precision_is_not_taken_up(tmp_path):
    fit(moons_trainer(), epochs=1, checkpoint=tmp_path / "run")
    trainer = moons_trainer(precision="bfloat16")
    with pytest.raises(CheckpointError, match="precision: float32 there, bfloat16 here"):
        fit(trainer, checkpoint=tmp_path / "run", resume=True)
    assert rows(trainer.history) == []
