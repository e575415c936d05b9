"""Schedules and callbacks through the Trainer: rates, early stopping, the warning of overfitting."""

import math

import numpy as np
import pytest
from training_runs import MOONS, REST, mlp, moons_trainer, same_bits, weights

from tinynet import Trainer, nn, optim
from tinynet.errors import ArgumentError
from tinynet.training import Callback, EarlyStopping, OverfittingWarning

SCHEDULES = {
    "step": (lambda: optim.StepLR(step_size=2, gamma=0.5), [0.4, 0.4, 0.2, 0.2, 0.1]),
    "exponential": (lambda: optim.ExponentialLR(gamma=0.5), [0.4, 0.2, 0.1, 0.05, 0.025]),
    "cosine": (
        lambda: optim.CosineAnnealingLR(T_max=4),
        [0.2 * (1 + math.cos(math.pi * t / 4)) for t in range(5)],
    ),
    "warm-up": (lambda: optim.WarmupLR(warmup_steps=2, start_factor=0.5), [0.2, 0.3, 0.4, 0.4, 0.4]),
}


@pytest.mark.parametrize("capture", [True, False])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_sets_the_rate_of_each_epoch(name: str, capture: bool) -> None:
    make, rates = SCHEDULES[name]
    trainer = moons_trainer(optim.SGD(lr=0.4), schedule=make(), capture=capture)
    by_hand = moons_trainer(optim.SGD(lr=0.4), capture=False)
    history = trainer.fit(MOONS, epochs=5, batch_size=50, shuffle=False, progress=False)
    assert history["lr"] == pytest.approx(rates, rel=1e-12)
    for rate in rates:
        by_hand.optimizer.lr = rate
        by_hand.fit(MOONS, epochs=1, batch_size=50, shuffle=False, progress=False)
    for key, w in weights(by_hand.model).items():  # a rate of another last bit, in float32 steps
        np.testing.assert_allclose(weights(trainer.model)[key], w, rtol=1e-5, err_msg=key)


class Script(Callback):
    """Puts numbers into the rows, as if a run had gone so. It stands before what looks at them."""

    def __init__(self, **numbers: list[float]) -> None:
        self.numbers = numbers

    def on_epoch_end(self, trainer, row):
        row |= {name: values[int(row["epoch"]) - 1] for name, values in self.numbers.items()}
        self.now = weights(trainer.model)


def test_the_rate_falls_on_a_plateau_of_the_validation_loss(monkeypatch) -> None:
    losses = iter([1.0, 0.9, 0.95, 0.95, 0.8, 0.85, 0.85, 0.85])
    monkeypatch.setattr(Trainer, "_evaluate", lambda self, dataset: {"loss": next(losses)})
    trainer = moons_trainer(
        optim.SGD(lr=0.1), schedule=optim.ReduceLROnPlateau(factor=0.5, patience=1, min_lr=0.03), metrics=()
    )
    history = trainer.fit(MOONS, REST, epochs=8, progress=False)
    # Borne once, reduced at the second epoch in a row without improvement (4), again (7), and held at min_lr.
    assert history["lr"] == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.03])


def test_without_validation_the_plateau_is_of_the_training_loss() -> None:
    trainer = moons_trainer(
        optim.SGD(lr=0.0001), schedule=optim.ReduceLROnPlateau(factor=0.5, patience=1, threshold=0.5)
    )
    history = trainer.fit(MOONS, epochs=4, progress=False)
    assert history["lr"] == pytest.approx([1e-4, 1e-4, 1e-4, 5e-5])


# --- early stopping ---------------------------------------------------------------------------------------------------


@pytest.mark.tiny
@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_ends_with_the_best_weights(restore: bool) -> None:
    seen = []
    script = Script(loss=[5.0, 3.0, 4.0, 2.0, 2.5, 2.5, 1.0])

    class Watch(Callback):
        def on_epoch_end(self, trainer, row):
            seen.append(weights(trainer.model))

    stopping = EarlyStopping(patience=2, monitor="loss", restore_best=restore)
    trainer = moons_trainer(callbacks=[script, Watch(), stopping])
    history = trainer.fit(MOONS, epochs=7, progress=False)
    assert len(history) == 6 and history.stopped == "early stopping"
    assert history.notes == ["early stopping: loss was best in epoch 4, 2 epochs ago"]
    same_bits(weights(trainer.model), seen[3 if restore else 5])
    assert (seen[3]["0.weight"] != seen[5]["0.weight"]).any()


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "numbers", "epochs"),
    [
        ({"patience": 1}, [1.0, 0.9, 0.9, 0.1], 3),
        ({"patience": 3}, [1.0, 1.1, 1.2, 0.9, 1.0], 5),
        ({"patience": 1, "min_delta": 0.2}, [1.0, 0.9, 0.8, 0.7, 0.6], 2),
        ({"patience": 1, "largest": True}, [0.1, 0.2, 0.3, 0.3, 0.4], 4),
        ({"patience": 1, "monitor": "accuracy"}, [0.1, 0.2, 0.3, 0.3, 0.4], 4),
        ({"patience": 2}, [1.0, math.nan, math.nan, 0.5, 0.5], 3),
    ],
)
def test_when_early_stopping_stops(options: dict, numbers: list[float], epochs: int) -> None:
    options = {"monitor": "lr"} | options
    trainer = moons_trainer(callbacks=[Script(**{options["monitor"]: numbers}), EarlyStopping(**options)])
    assert len(trainer.fit(MOONS, epochs=5, progress=False)) == epochs


def test_early_stopping_starts_afresh_with_each_fit() -> None:
    trainer = moons_trainer(callbacks=[Script(loss=[1.0, 2.0, 3.0]), EarlyStopping(patience=2, monitor="loss")])
    for _ in range(2):
        assert len(trainer.fit(MOONS, epochs=3, progress=False)) == 3


@pytest.mark.tiny
@pytest.mark.parametrize("make", [lambda: EarlyStopping(patience=0), lambda: OverfittingWarning(epochs=0)])
def test_no_patience_at_all_is_refused(make) -> None:
    with pytest.raises(ArgumentError, match="at least one"):
        make()


def test_early_stopping_on_a_run_that_overfits() -> None:
    random = np.random.default_rng(0)
    noise = (random.normal(size=(30, 5)), random.integers(0, 2, 30))
    held = (random.normal(size=(60, 5)), random.integers(0, 2, 60))
    trainer = moons_trainer(optim.Adam(lr=0.05), model=mlp(5, 40, 2), callbacks=[EarlyStopping(patience=5)])
    history = trainer.fit(noise, held, epochs=200, batch_size=10, progress=False)
    assert history.stopped == "early stopping" and len(history) < 200
    assert trainer.evaluate(held)["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-6)


# --- overfitting ------------------------------------------------------------------------------------------------------


def overfitting_notes(loss: list[float], val_loss: list[float]) -> list[str]:
    trainer = moons_trainer()
    trainer.callbacks.insert(0, Script(loss=loss, val_loss=val_loss))
    return trainer.fit(MOONS, REST, epochs=len(loss), progress=False).notes


@pytest.mark.tiny
def test_overfitting_is_noted_once() -> None:
    falling = [1 / e for e in range(1, 11)]
    notes = overfitting_notes(falling, [1.0, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 0.8, 0.9, 1.0])
    assert len(notes) == 1 and "for 3 epochs (to epoch 5)" in notes[0]
    assert not overfitting_notes(falling, [1.0, 0.9, 1.0, 1.1, 1.0, 1.1, 1.2, 1.1, 1.2, 1.3])
    assert not overfitting_notes([1.0] * 10, [float(e) for e in range(10)])


def test_a_network_that_learns_noise_by_heart_is_noted() -> None:
    random = np.random.default_rng(0)
    noise = (random.normal(size=(30, 5)), random.integers(0, 2, 30))
    held = (random.normal(size=(60, 5)), random.integers(0, 2, 60))
    history = moons_trainer(optim.Adam(lr=0.02), model=mlp(5, 40, 2)).fit(noise, held, epochs=60, progress=False)
    assert [note.partition(":")[0] for note in history.notes] == ["overfitting"]


# --- callbacks of one's own -------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_a_callback_stops_and_is_told_of_start_and_end() -> None:
    calls = []

    class Mine(Callback):
        def on_fit_start(self, trainer, numbers):
            calls.append(numbers)

        def on_epoch_end(self, trainer, row):
            calls.append(row["epoch"])
            return "enough: it is late" if row["epoch"] == 2 else None

        def on_fit_end(self, trainer):
            calls.append("end")

    trainer = moons_trainer()
    history = trainer.fit(MOONS, REST, epochs=9, callbacks=[Mine()], progress=False)
    assert calls == [tuple(history.epochs[0]), 1, 2, "end"]
    assert history.stopped == "enough" and history.notes == ["enough: it is late"]
    assert len(trainer.fit(MOONS, epochs=3, progress=False)) == 3  # it belonged to that fit alone


@pytest.mark.tiny
def test_the_first_reason_to_stop_counts_and_all_are_noted() -> None:
    class Stop(Callback):
        def __init__(self, why: str) -> None:
            self.why = why

        def on_epoch_end(self, trainer, row):
            return self.why

    history = moons_trainer().fit(MOONS, epochs=1, callbacks=[Stop("tired: late"), Stop("hungry")], progress=False)
    assert history.stopped == "tired" and history.notes == ["tired: late", "hungry"]


@pytest.mark.tiny
def test_a_callback_may_evaluate_and_change_the_rate() -> None:
    class Probe(Callback):
        def on_epoch_end(self, trainer, row):
            found.append(trainer.evaluate(REST)["accuracy"])
            trainer.optimizer.lr /= 2

    found: list[float] = []
    trainer = moons_trainer(optim.SGD(lr=0.4), callbacks=[Probe()])
    history = trainer.fit(MOONS, REST, epochs=3, progress=False)
    assert found == history["val_accuracy"] and history["lr"] == [0.4, 0.2, 0.1]


def test_an_error_in_a_callback_reaches_the_caller() -> None:
    class Broken(Callback):
        def on_epoch_end(self, trainer, row):
            raise ZeroDivisionError

    trainer = Trainer(mlp(2, 2), nn.CrossEntropyLoss(), optim.SGD(lr=0.1), callbacks=[Broken()])
    with pytest.raises(ZeroDivisionError):
        trainer.fit(MOONS, epochs=2, progress=False)
    assert len(trainer.history) == 1
