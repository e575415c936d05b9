"""fit: what it does to a model, what it reports, what it takes and what it refuses."""

import math

import numpy as np
import pytest
from training_runs import MOONS, REST, memory, mlp, moons_trainer, rows, same_bits, same_run, weights

import tinynet as tn
from tinynet import Tensor, Trainer, data, nn, optim
from tinynet.errors import ArgumentError, ShapeError, TinynetError, TypeMismatch

QUIET = {"progress": False}


def hand_cross_entropy(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]


# --- it learns --------------------------------------------------------------------------------------------------------


def test_digits_are_learnt() -> None:
    train, test = data.digits()
    trainer = moons_trainer(optim.SGD(lr=0.3), model=mlp(784, 30, 10))
    history = trainer.fit(train.take(3000), test, epochs=6, batch_size=20, **QUIET)
    assert history["accuracy"][0] < history["accuracy"][-1] > 0.95
    assert history["val_accuracy"][-1] > 0.88
    assert history["loss"][-1] < history["loss"][0] / 3


@pytest.mark.tiny
def test_moons_are_learnt() -> None:
    trainer = moons_trainer(optim.Adam(lr=0.05))
    history = trainer.fit(MOONS, REST, epochs=30, batch_size=10, **QUIET)
    assert history["accuracy"][-1] >= 0.95 and history["val_accuracy"][-1] >= 0.9


@pytest.mark.tiny
def test_a_line_is_fitted_as_least_squares_fits_it() -> None:
    points = data.noisy_line(60, slope=2.0, intercept=1.0, seed=1)
    model = mlp(1, 1, dtype="float64")
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(lr=0.2))
    history = trainer.fit(points, epochs=600, batch_size=60, shuffle=False, **QUIET)
    assert history.epochs[0].keys() == {"epoch", "loss", "lr", "seconds", "samples_per_second"}
    # The closed form in float64; 600 steps of a convex problem end within 1e-6 of it.
    slope, intercept = np.polyfit(points.x[:, 0].astype(float), points.y.reshape(-1).astype(float), 1)
    assert model[0].weight.numpy().item() == pytest.approx(slope, abs=1e-6)
    assert model[0].bias.numpy().item() == pytest.approx(intercept, abs=1e-6)


# --- what it reports --------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_a_row_has_every_number() -> None:
    history = moons_trainer(metrics=["accuracy", "error"]).fit(MOONS, REST, epochs=3, batch_size=8, **QUIET)
    names = ["epoch", "loss", "accuracy", "error", "val_loss", "val_accuracy", "val_error"]
    assert [list(row) for row in history.epochs] == [[*names, "lr", "seconds", "samples_per_second"]] * 3
    assert history["epoch"] == [1, 2, 3] and history["lr"] == [0.3] * 3 and history.stopped == "epochs"
    for row in history.epochs:
        assert row["seconds"] > 0
        assert row["samples_per_second"] == pytest.approx(len(MOONS) / row["seconds"])
        assert row["error"] == pytest.approx(1 - row["accuracy"], abs=1e-12)
    assert all(type(value) is float for row in history.epochs for value in row.values())


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
@pytest.mark.parametrize("capture", [True, False])
def test_the_loss_of_an_epoch_is_the_mean_over_its_examples(batch_size: int, capture: bool) -> None:
    # lr = 0 holds the weights still, so one forward pass in NumPy gives the whole epoch: an odd last batch must count
    # by its examples.
    model = mlp(2, 6, 2, dtype="float64")
    trainer = moons_trainer(optim.SGD(lr=0.0), model=model, capture=capture)
    history = trainer.fit(MOONS, REST, epochs=2, batch_size=batch_size, **QUIET)
    w1, b1, w2, b2 = weights(model).values()
    for data_set, prefix in ((MOONS, ""), (REST, "val_")):
        logits = np.tanh(data_set.x.astype(float) @ w1.T + b1) @ w2.T + b2
        loss, right = hand_cross_entropy(logits, data_set.y).mean(), (logits.argmax(1) == data_set.y).mean()
        assert history[prefix + "loss"] == pytest.approx([loss] * 2, rel=1e-12)
        assert history[prefix + "accuracy"] == pytest.approx([right] * 2, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "per_example"),
    [
        (nn.MSELoss(), lambda d: (d**2).mean(1)),
        (nn.QuadraticCost(), lambda d: (d**2).sum(1) / 2),
        (nn.SumSquaredResiduals(), lambda d: (d**2).sum(1)),
    ],
    ids=["mean", "batchmean", "sum"],
)
def test_every_reduction_is_reported_per_example(loss: nn.MSELoss, per_example) -> None:
    x = np.random.default_rng(0).normal(size=(23, 3))
    y = np.random.default_rng(1).normal(size=(23, 2))
    model = mlp(3, 2, dtype="float64")
    history = Trainer(model, loss, optim.SGD(lr=0.0)).fit((x, y), epochs=1, batch_size=5, **QUIET)
    w, b = weights(model).values()
    assert history["loss"][0] == pytest.approx(per_example(x @ w.T + b - y).mean(), rel=1e-12)


@pytest.mark.tiny
def test_no_epochs_change_nothing() -> None:
    trainer = moons_trainer(optim.Adam())
    before = weights(trainer.model)
    history = trainer.fit(MOONS, epochs=0, **QUIET)
    assert len(history) == 0 and history.stopped == "epochs"
    same_bits(weights(trainer.model), before)


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    x = np.full((20, 2), 1e30, np.float32)
    trainer = Trainer(mlp(2, 1), nn.MSELoss(), optim.SGD(lr=1.0))
    with np.errstate(all="ignore"):
        history = trainer.fit((x, np.zeros((20, 1), np.float32)), epochs=5, batch_size=5, **QUIET)
    assert len(history) == 1 and not math.isfinite(history["loss"][0])
    assert history.stopped == "the loss is not finite"
    assert len(history.notes) == 1 and "epoch 1" in history.notes[0] and "lr" in history.notes[0]


def test_a_run_that_went_wrong_does_not_overwrite_its_checkpoint(tmp_path) -> None:
    class Explode(tn.training.Callback):
        def on_epoch_end(self, trainer, row):
            trainer.optimizer.lr = 1e30 if row["epoch"] == 2 else trainer.optimizer.lr

    trainer = Trainer(mlp(2, 1), nn.MSELoss(), optim.SGD(lr=0.01), callbacks=[Explode()])
    file = tmp_path / "run.safetensors"
    with np.errstate(all="ignore"):
        history = trainer.fit((MOONS.x, MOONS.y), epochs=5, batch_size=5, checkpoint=file, checkpoint_every=3, **QUIET)
    assert history.stopped == "the loss is not finite" and len(history) == 3
    assert all(np.isfinite(w).all() for w in weights(tn.load(mlp(2, 1), file)).values())


# --- what it takes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", [True, False])
def test_data_comes_in_many_forms(capture: bool) -> None:
    x, y = MOONS.x, MOONS.y
    loader = data.DataLoader(MOONS, batch_size=8, seed=5)
    next(iter(loader))  # wherever it stands, training begins at its first epoch, and leaves it there
    forms = {
        "Dataset": MOONS,
        "pair": (x, y),
        "list": [x, y],
        "lists": (x.tolist(), y.tolist()),
        "float64": (x.astype("float64"), y),
        "Tensors": (Tensor(x), Tensor(y)),
        "DataLoader": loader,
        "float64 DataLoader": data.DataLoader((x.astype("float64"), y), batch_size=8, seed=5),
    }
    found = {}
    for name, form in forms.items():
        trainer = moons_trainer(capture=capture)
        trainer.fit(form, form, epochs=2, batch_size=8, seed=5, **QUIET)
        found[name] = trainer
        same_run(trainer, found["Dataset"])
    assert (loader.epoch, loader.position) == (0, 1)


@pytest.mark.tiny
def test_a_loader_trains_again() -> None:
    loader = data.DataLoader(MOONS, batch_size=8)
    trainer = moons_trainer()
    assert len(trainer.fit(loader, epochs=2, **QUIET)) == len(trainer.fit(loader, epochs=2, **QUIET)) == 2


def test_a_loader_may_drop_the_last_batch() -> None:
    trainer = moons_trainer(optim.SGD(lr=0.0), model=mlp(2, 6, 2, dtype="float64"))
    loader = data.DataLoader(MOONS, batch_size=8, shuffle=False, drop_last=True)
    history = trainer.fit(loader, epochs=1, **QUIET)
    w1, b1, w2, b2 = weights(trainer.model).values()
    logits = np.tanh(MOONS.x[:48].astype(float) @ w1.T + b1) @ w2.T + b2
    assert history["loss"] == pytest.approx([hand_cross_entropy(logits, MOONS.y[:48]).mean()], rel=1e-12)


# --- what it refuses, before anything changes -------------------------------------------------------------------------

X, Y = MOONS.x, MOONS.y
REFUSED = {
    "not data": (X, {}, TypeMismatch, "pair"),
    "three arrays": ((X, Y, Y), {}, TypeMismatch, "pair"),
    "lengths": ((X, Y[:-1]), {}, ShapeError, "49"),
    "features": ((X[:, :1], Y), {}, ShapeError, r"\(batch, 2\)"),
    "class too large": ((X, Y + 1), {}, ArgumentError, "0 … 1"),
    "class below 0": ((X, Y - 1), {}, ArgumentError, "0 … 1"),
    "targets of floats": ((X, Y.astype("float32")), {}, ShapeError, "float32"),
    "text": ((X, ["a"] * 50), {}, TypeMismatch, "numbers"),
    "empty": ((X[:0], Y[:0]), {}, ArgumentError, "empty"),
    "validation features": (MOONS, {"validation": (X[:, :1], Y)}, ShapeError, r"\(batch, 2\)"),
    "validation classes": (MOONS, {"validation": (X, Y + 5)}, ArgumentError, "0 … 1"),
    "validation shape": (MOONS, {"validation": (X, np.zeros((50, 3), "float32"))}, ShapeError, r"\(1, 3\)"),
    "validation empty": (MOONS, {"validation": (X[:0], Y[:0])}, ArgumentError, "empty"),
    "epochs": (MOONS, {"epochs": -1}, ArgumentError, "-1"),
    "half an epoch": (MOONS, {"epochs": 0.5}, ArgumentError, "0.5"),
    "batch size": (MOONS, {"batch_size": 0}, ArgumentError, "batch_size=0"),
    "resume from where": (MOONS, {"resume": True}, ArgumentError, "checkpoint"),
    "checkpoint_every alone": (MOONS, {"checkpoint_every": 5}, ArgumentError, "checkpoint="),
    "checkpoint_every 0": (MOONS, {"checkpoint_every": 0, "checkpoint": "x"}, ArgumentError, "at least 1"),
    "progress": (MOONS, {"progress": "bar"}, ArgumentError, "'log'"),
    "monitor": (MOONS, {"callbacks": [tn.training.EarlyStopping()]}, ArgumentError, "val_loss.*validation="),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("capture", [True, False])
def test_what_does_not_fit_is_refused_before_anything_changes(case: str, capture: bool) -> None:
    given, options, error, words = REFUSED[case]
    trainer = moons_trainer(optim.Adam(lr=0.1), capture=capture)
    trainer.fit(MOONS, epochs=1, **QUIET)
    before, remembered, history = weights(trainer.model), memory(trainer), trainer.history
    with pytest.raises(error, match=words):
        trainer.fit(given, **(QUIET | options))
    same_bits(weights(trainer.model), before)
    same_bits(memory(trainer), remembered)
    assert trainer.history is history and trainer.model.training


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"loss": nn.CrossEntropyLoss}, TypeMismatch, "parentheses"),
        ({"optimizer": optim.SGD}, TypeMismatch, "parentheses"),
        ({"model": None}, TypeMismatch, "Module"),
        ({"l2": -1.0}, ArgumentError, "l2"),
        ({"l2": math.nan}, ArgumentError, "l2"),
        ({"clip_norm": 0.0}, ArgumentError, "clip_norm"),
        ({"metrics": ["acuracy"]}, ArgumentError, "acuracy.*accuracy, error"),
        ({"model": nn.Sequential(nn.Tanh())}, ArgumentError, "no parameters"),
    ],
)
def test_a_trainer_of_what_cannot_be_trained(change: dict, error: type, words: str) -> None:
    parts = {"model": mlp(2, 2), "loss": nn.CrossEntropyLoss(), "optimizer": optim.SGD(lr=0.1)}
    with pytest.raises(error, match=words):
        Trainer(**(parts | change))


@pytest.mark.tiny
def test_a_loss_for_each_example_is_refused() -> None:
    with pytest.raises(ShapeError, match="one number"):
        moons_trainer(loss=nn.CrossEntropyLoss("none")).fit(MOONS, **QUIET)


# --- again, and together ----------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_same_seed_same_run_and_another_seed_another() -> None:
    a, b, c = (moons_trainer() for _ in range(3))
    for trainer, seed in ((a, 1), (b, 1), (c, 2)):
        trainer.fit(MOONS, epochs=3, batch_size=8, seed=seed, **QUIET)
    same_run(a, b)
    assert rows(a.history) != rows(c.history)


@pytest.mark.tiny
def test_two_fits_go_on_from_each_other() -> None:
    # In order, with an optimiser that remembers: 2 + 3 epochs are 5 epochs.
    parts, whole = (moons_trainer(optim.SGD(lr=0.1, momentum=0.9)) for _ in range(2))
    whole.fit(MOONS, epochs=5, batch_size=8, shuffle=False, **QUIET)
    first = parts.fit(MOONS, epochs=2, batch_size=8, shuffle=False, **QUIET)
    second = parts.fit(MOONS, epochs=3, batch_size=8, shuffle=False, **QUIET)
    same_bits(weights(parts.model), weights(whole.model))
    assert first["loss"] + second["loss"] == whole.history["loss"]
    assert second["epoch"] == [1, 2, 3]


def test_what_was_recorded_is_used_by_the_next_fit() -> None:
    trainer = moons_trainer()
    trainer.fit(MOONS, epochs=1, batch_size=10, **QUIET)
    program = trainer.program
    assert program is not None and "softmax_cross_entropy" in str(program)
    trainer.fit(MOONS, epochs=1, batch_size=10, **QUIET)
    assert len(trainer.program) == len(program)


@pytest.mark.parametrize("change", ["lr", "l2", "clip_norm", "momentum", "loss", "metrics"])
def test_a_changed_setting_reaches_a_recorded_step(change: str) -> None:
    def run(capture: bool) -> Trainer:
        trainer = moons_trainer(optim.SGD(lr=0.1, momentum=0.5), capture=capture, l2=0.1, clip_norm=1.0)
        trainer.fit(MOONS, epochs=1, batch_size=8, **QUIET)
        if change in ("lr", "momentum"):
            setattr(trainer.optimizer, change, 0.01)
        elif change == "loss":
            trainer.loss = nn.MSELoss()
        elif change == "metrics":
            trainer.metrics = {"error": tn.training.error}
        else:
            setattr(trainer, change, 0.01)
        trainer.fit(MOONS, REST, epochs=2, batch_size=8, **QUIET)
        return trainer

    same_run(run(True), run(False))


def test_a_model_goes_to_scalars_and_back() -> None:
    stayed, moved = (moons_trainer(optim.Adam(lr=0.01), model=mlp(2, 3, 2, dtype="float64")) for _ in range(2))
    for trainer in (stayed, moved):
        trainer.fit(MOONS.take(12), epochs=2, batch_size=5, **QUIET)
        if trainer is moved:
            trainer.model.to("scalar")
        trainer.fit(MOONS.take(12), epochs=1, batch_size=5, **QUIET)
        trainer.model.to("numpy", dtype="float64")
        trainer.fit(MOONS.take(12), epochs=2, batch_size=5, **QUIET)
        assert not trainer.history.notes  # it is recorded again
    for name, w in weights(stayed.model).items():
        # Adam divides by √v, which enlarges the last bits; both compute in float64.
        np.testing.assert_allclose(weights(moved.model)[name], w, rtol=1e-10, err_msg=name)


def test_two_trainers_share_a_model() -> None:
    def run(capture: bool) -> Trainer:
        model = mlp(2, 6, 2)
        a = moons_trainer(optim.SGD(lr=0.1, momentum=0.9), model=model, capture=capture)
        b = moons_trainer(optim.Adam(lr=0.01), model=model, capture=capture)
        for trainer in (a, b, a, b, a):
            trainer.fit(MOONS, epochs=1, batch_size=8, **QUIET)
            assert not trainer.history.notes
        return a

    same_run(run(True), run(False))


@pytest.mark.tiny
def test_an_optimizer_may_be_bound_already() -> None:
    model = mlp(2, 6, 2)
    bound = moons_trainer(optim.Adam(model.parameters(), lr=0.01), model=model)
    free = moons_trainer(optim.Adam(lr=0.01))
    for trainer in (bound, free):
        trainer.fit(MOONS, epochs=2, batch_size=8, **QUIET)
    same_run(bound, free)


@pytest.mark.parametrize("capture", [True, False])
def test_an_optimizer_of_one_layer_trains_that_layer(capture: bool) -> None:
    def run(freeze: bool) -> nn.Sequential:
        model = mlp(2, 6, 2)
        if freeze:
            model[0].requires_grad_(False)
        optimizer = optim.SGD(model[2].parameters(), lr=0.3, momentum=0.9)
        moons_trainer(optimizer, model=model, l2=0.5, capture=capture).fit(MOONS, epochs=2, batch_size=8, **QUIET)
        return model

    # The other layer's gradients must neither add up nor be counted; holding it still says the same in other words.
    same_bits(weights(run(False)), weights(run(True)))


@pytest.mark.tiny
@pytest.mark.parametrize("capture", [True, False])
def test_gradients_of_layers_that_nobody_updates_do_not_add_up(capture: bool) -> None:
    def gradient(epochs: int) -> np.ndarray:
        model = mlp(2, 6, 2)
        optimizer = optim.SGD(model[2].parameters(), lr=0.0)
        trainer = moons_trainer(optimizer, model=model, capture=capture)
        trainer.fit(MOONS, epochs=epochs, batch_size=50, shuffle=False, **QUIET)
        return model[0].weight.grad.numpy()

    np.testing.assert_array_equal(gradient(3), gradient(1))


@pytest.mark.parametrize("capture", [True, False])
def test_frozen_layers_stay_and_freed_ones_train(capture: bool) -> None:
    model = mlp(2, 6, 2)
    model[0].requires_grad_(False)
    trainer = moons_trainer(optim.AdamW(lr=0.05), model=model, l2=0.1, clip_norm=1.0, capture=capture)
    before = weights(model)
    trainer.fit(MOONS, epochs=2, batch_size=8, **QUIET)
    after = weights(model)
    assert (after["0.weight"] == before["0.weight"]).all() and (after["2.weight"] != before["2.weight"]).any()
    model.requires_grad_(True)
    trainer.fit(MOONS, epochs=1, batch_size=8, **QUIET)
    assert (weights(model)["0.weight"] != before["0.weight"]).any()
    assert not trainer.history.notes


def test_an_optimizer_of_another_model_is_refused() -> None:
    with pytest.raises(TinynetError, match="another model"):
        moons_trainer(optim.SGD(mlp(2, 6, 2).parameters(), lr=0.1))


def test_a_schedule_of_another_optimizer_is_refused() -> None:
    schedule = optim.StepLR(optim.SGD(mlp(2, 2).parameters(), lr=0.1))
    with pytest.raises(ArgumentError, match="another optimiser"):
        moons_trainer(schedule=schedule)
