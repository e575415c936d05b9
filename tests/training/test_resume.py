"""A run that was interrupted and taken up again ends bit for bit as if nothing had happened."""

import signal
import threading

import numpy as np
import pytest
from training_runs import MOONS, REST, memory, mlp, moons_trainer, rows, same_bits, same_run, weights

import tinynet as tn
from tinynet import Trainer, data, nn, optim, random
from tinynet.errors import ArgumentError, CheckpointError, TinynetError
from tinynet.training import Callback, EarlyStopping
from tinynet.training.step import Step

EPOCHS, BATCH = 6, 8
STEPS = EPOCHS * 7  # 50 examples in batches of 8


class Noise(nn.Module):
    """Draws from tinynet's random numbers in training."""

    def forward(self, x):
        return x * float(random.generator().uniform(0.8, 1.2)) if self.training else x


def noisy() -> nn.Sequential:
    layers = mlp(2, 6, 2)
    return nn.Sequential(layers[0], Noise(), layers[1], layers[2])


class Momentary(Callback):
    """A callback of one's own with arrays, numbers, None and nests of them."""

    def __init__(self) -> None:
        self.mean = np.zeros((6, 2), np.float64)
        self.trail: list[float] = []
        self.nest = {"a": [np.int64(3), None], "b": {"c": np.arange(3)}}

    def on_epoch_end(self, trainer, row):
        self.mean = self.mean * 0.5 + trainer.model[0].weight.numpy() * 0.5
        self.trail = [*self.trail, float(self.mean.sum())]


RUNS = {
    "sgd": lambda: {"optimizer": optim.SGD(lr=0.3)},
    "momentum, step": lambda: {
        "optimizer": optim.SGD(lr=0.1, momentum=0.9),
        "schedule": optim.StepLR(step_size=2, gamma=0.5),
    },
    "adam, cosine, l2, clip": lambda: {
        "optimizer": optim.Adam(lr=0.05),
        "schedule": optim.CosineAnnealingLR(T_max=EPOCHS),
        "l2": 0.3,
        "clip_norm": 0.2,
    },
    "adamw, plateau": lambda: {
        "optimizer": optim.AdamW(lr=0.1),
        "schedule": optim.ReduceLROnPlateau(factor=0.3, patience=0, threshold=0.2),
    },
    "rmsprop, warm-up": lambda: {
        "optimizer": optim.RMSprop(lr=0.02, momentum=0.5),
        "schedule": optim.WarmupLR(warmup_steps=3),
    },
    "early stopping": lambda: {"optimizer": optim.SGD(lr=0.5), "callbacks": [EarlyStopping(2, min_delta=0.05)]},
    "own callback": lambda: {"optimizer": optim.Adagrad(lr=0.1), "callbacks": [Momentary()]},
    "random numbers": lambda: {"optimizer": optim.SGD(lr=0.3, momentum=0.5), "model": noisy(), "capture": False},
    "eager": lambda: {"optimizer": optim.Adam(lr=0.05), "capture": False},
    "float16": lambda: {"optimizer": optim.Adam(lr=0.05), "precision": "float16", "clip_norm": 0.5},
    "float64": lambda: {"optimizer": optim.Adam(lr=0.05), "model": mlp(2, 6, 2, dtype="float64")},
}


def fit(run: str, epochs: int = EPOCHS, **options) -> Trainer:
    trainer = moons_trainer(**RUNS[run]())
    tn.manual_seed(3)
    trainer.fit(MOONS, REST, epochs=epochs, batch_size=BATCH, seed=2, progress=False, **options)
    return trainer


@pytest.fixture
def stop_at(monkeypatch):
    """Calls a function in the middle of the run's n-th training step, counted over all runs."""
    step = Step.__call__

    def arrange(n: int, happens) -> None:
        left = [n]

        def taken(self, x, y):
            step(self, x, y)
            if self.trainer.model.training:
                left[0] -= 1
                if left[0] == 0:
                    happens()

        monkeypatch.setattr(Step, "__call__", taken)

    yield arrange
    monkeypatch.setattr(Step, "__call__", step)


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


class PowerCutError(Exception):
    pass


def power_cut() -> None:
    raise PowerCutError


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("at", [1, 7, 10, 23, 35])
def test_ctrl_c_and_on_again(run: str, at: int, tmp_path, stop_at) -> None:
    whole, file = fit(run), tmp_path / "run"
    stop_at(at, ctrl_c)
    first = fit(run, checkpoint=file)
    if first.history.stopped == "interrupted":
        assert first.history.notes[-1].startswith(f"interrupted in epoch {(at - 1) // 7 + 1}; the run is saved in")
        assert len(first.history) == (at - 1) // 7
    stop_at(10**9, ctrl_c)
    tn.manual_seed(99)
    second = fit(run, checkpoint=file, resume=True)
    same_run(second, whole)
    assert second.history.notes == whole.history.notes and second.history.stopped == whole.history.stopped
    third = fit(run, checkpoint=file, resume=True)  # a finished run has nothing left to do
    same_run(third, whole)
    if run == "own callback":
        for a, b in ((first.callbacks[0].nest, {"a": [3, None], "b": {"c": [0, 1, 2]}}),):
            assert a["a"] == b["a"] and a["b"]["c"].tolist() == b["b"]["c"]
        assert second.callbacks[0].trail == whole.callbacks[0].trail
        np.testing.assert_array_equal(second.callbacks[0].mean, whole.callbacks[0].mean)


@pytest.mark.parametrize("run", ["adam, cosine, l2, clip", "early stopping", "random numbers"])
@pytest.mark.parametrize("every", [1, 3, 7, None])
def test_cut_off_again_and_again(run: str, every: int | None, tmp_path, stop_at) -> None:
    """Whatever was done after the last checkpoint is lost, and done again alike."""
    whole, file = fit(run), tmp_path / "run"
    for at in (9, 8, 12, 9, 8, 8, 8, 8, 8):
        stop_at(at, power_cut)
        try:
            last = fit(run, checkpoint=file, checkpoint_every=every, resume=True)
            break
        except PowerCutError:
            continue
    same_run(last, whole)
    assert last.history.stopped == whole.history.stopped


@pytest.mark.tiny
def test_a_longer_run_from_a_finished_one(tmp_path) -> None:
    whole = fit("sgd")
    fit("sgd", epochs=2, checkpoint=tmp_path / "run")
    longer = fit("sgd", checkpoint=tmp_path / "new", resume=tmp_path / "run")
    same_run(longer, whole)
    assert tn.training.checkpoint.read(tmp_path / "run")[1]["trainer"]["loader"]["epoch"] == 2


@pytest.mark.tiny
def test_resume_true_without_a_file_starts(tmp_path) -> None:
    same_run(fit("sgd", checkpoint=tmp_path / "run", resume=True), fit("sgd"))
    with pytest.raises(CheckpointError, match="no such file"):
        fit("sgd", resume=tmp_path / "other")


def test_the_second_ctrl_c_does_not_wait(stop_at) -> None:
    before = signal.getsignal(signal.SIGINT)
    stop_at(3, lambda: (ctrl_c(), ctrl_c()))
    with pytest.raises(KeyboardInterrupt):
        fit("sgd")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.tiny
def test_ctrl_c_without_a_checkpoint_says_so(stop_at) -> None:
    stop_at(3, ctrl_c)
    history = fit("sgd").history
    assert history.stopped == "interrupted" and history.notes == ["interrupted in epoch 1; nothing is saved."]
    assert len(history) == 0


def test_ctrl_c_during_evaluation_ends_the_epoch_first(tmp_path, monkeypatch) -> None:
    whole, evaluate = fit("momentum, step"), Trainer._evaluate

    def interrupted(self, *args):
        if len(self.history) == 2:
            ctrl_c()
        return evaluate(self, *args)

    monkeypatch.setattr(Trainer, "_evaluate", interrupted)
    first = fit("momentum, step", checkpoint=tmp_path / "run")
    assert len(first.history) == 3 and first.history.notes[-1].startswith("interrupted after epoch 3; the run is saved")
    monkeypatch.setattr(Trainer, "_evaluate", evaluate)
    same_run(fit("momentum, step", checkpoint=tmp_path / "run", resume=True), whole)


def test_a_thread_trains_without_touching_signals() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(fit("sgd")))
    thread.start()
    thread.join()
    same_run(found[0], fit("sgd"))


# --- a run that was made otherwise ------------------------------------------------------------------------------------

OTHERWISE = {
    "batch size": (lambda: {}, {"batch_size": 9}, "batch_size 8 there, 9 here"),
    "seed": (lambda: {}, {"seed": 3}, "seed 2 there, 3 here"),
    "fewer examples": (lambda: {}, {"train": MOONS.take(40)}, r"data: \(50, 2\).* there, \(40, 2\)"),
    "other examples": (lambda: {}, {"train": data.moons(50, seed=77)}, "data: .*sample"),
    "other labels": (lambda: {}, {"train": (MOONS.x, 1 - MOONS.y)}, "data: .*sample"),
    "order": (lambda: {}, {"shuffle": False}, "shuffle True there, False here"),
    "optimizer": (lambda: {"optimizer": optim.Adam(lr=0.1)}, {}, "optimizer: SGD .* there, Adam"),
    "momentum": (lambda: {"optimizer": optim.SGD(lr=0.1, momentum=0.8)}, {}, "optimizer: .*0.9.* there, .*0.8.* here"),
    "no momentum": (lambda: {"optimizer": optim.SGD(lr=0.1)}, {}, "optimizer: "),
    "schedule": (lambda: {"schedule": None}, {}, "schedule: StepLR .* there, none here"),
    "loss": (lambda: {"loss": nn.QuadraticCost()}, {}, "loss: CrossEntropyLoss.* there, QuadraticCost"),
    "reduction": (lambda: {"loss": nn.CrossEntropyLoss("sum")}, {}, "loss: "),
    "metrics": (lambda: {"metrics": "error"}, {}, "metrics: accuracy there, error here"),
    "l2": (lambda: {"l2": 0.1}, {}, "l2: 0.0 there, 0.1 here"),
    "clipping": (lambda: {"clip_norm": 1.0}, {}, "clip_norm: None there, 1.0 here"),
    "callbacks": (lambda: {"callbacks": [Momentary()]}, {}, "callbacks: OverfittingWarning there, Momentary"),
    "wider model": (lambda: {"model": mlp(2, 7, 2)}, {}, r"model: .*Linear\(2, 6\).* there, .*Linear\(2, 7\).* here"),
    "deeper model": (lambda: {"model": mlp(2, 6, 2, 2)}, {}, r"model: .* there, .*\(4\): Linear.* here"),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_a_run_made_otherwise_is_refused_and_nothing_changes(case: str, tmp_path) -> None:
    parts, options, words = OTHERWISE[case]
    file = tmp_path / "run"
    fit("momentum, step", epochs=2, checkpoint=file)
    content = file.read_bytes()
    trainer = moons_trainer(**RUNS["momentum, step"]() | parts())
    trainer.fit(MOONS, epochs=1, progress=False)
    before, remembered, lr, history = weights(trainer.model), memory(trainer), trainer.optimizer.lr, trainer.history
    chance = random.get_state()
    options = {"train": MOONS, "batch_size": BATCH, "seed": 2, "shuffle": True} | options
    with pytest.raises(TinynetError, match=words):
        trainer.fit(**options, epochs=4, checkpoint=file, resume=True, progress=False)
    same_bits(weights(trainer.model), before)
    same_bits(memory(trainer), remembered)
    assert (trainer.optimizer.lr, trainer.history, random.get_state()) == (lr, history, chance)
    assert file.read_bytes() == content


@pytest.mark.tiny
def test_an_optimizer_that_holds_other_memory_is_refused_and_nothing_changes(tmp_path) -> None:
    """The weights fit, the memory does not: the weights must be put back."""
    file = tmp_path / "run"
    fit("momentum, step", epochs=1, checkpoint=file)
    arrays, about = tn.training.checkpoint.read(file)
    name = next(n for n in arrays if n.endswith("0.momentum"))
    arrays[name] = arrays[name][:3]
    tn.training.checkpoint.write(file, arrays, about)
    trainer = moons_trainer(**RUNS["momentum, step"]())
    before, remembered, chance = weights(trainer.model), memory(trainer), random.get_state()
    with pytest.raises(ArgumentError, match="SGD"):
        trainer.fit(MOONS, epochs=4, batch_size=BATCH, seed=2, resume=file, progress=False)
    same_bits(weights(trainer.model), before)
    same_bits(memory(trainer), remembered)
    assert random.get_state() == chance


@pytest.mark.tiny
def test_weights_alone_are_no_run(tmp_path) -> None:
    tn.save(mlp(2, 6, 2), tmp_path / "m")
    with pytest.raises(CheckpointError, match=r"tn\.load"):
        fit("sgd", resume=tmp_path / "m")


@pytest.mark.tiny
def test_the_runs_compared_here_do_differ_where_they_should() -> None:
    a, b = fit("momentum, step"), fit("momentum, step", epochs=5)
    with pytest.raises(AssertionError):
        same_run(a, b)
    assert rows(a.history)[:5] == rows(b.history)
