"""Data that lie on the device give the batches that the host would, and between redraws nobody waits for either.

The cupy backend runs on its strict stand-in here, which fails at every read inside ``no_synchronisation``.
"""

import gc
import re
from contextlib import nullcontext

import numpy as np
import pytest
import strict_cupy
from strict_backend import strict_cupy_in_charge
from training_runs import MOONS, REST, mlp, moons_trainer, same_run, weights

import tinynet as tn
from tinynet import Tensor, Trainer, data, nn, optim
from tinynet.data import DataLoader, Dataset
from tinynet.errors import ArgumentError, DeviceMemoryError
from tinynet.training import Callback
from tinynet.training.feeding import Feed, Placed
from tinynet.training.progress import Progress
from tinynet.training.step import Step


@pytest.fixture
def device():
    with strict_cupy_in_charge() as backend:
        yield backend
        backend.set_memory_limit(None)


def device_trainer(place, model=None, **options) -> Trainer:
    options = {"optimizer": optim.Adam(lr=0.02), "metrics": ["accuracy", "error"]} | options
    model = (model or mlp(2, 6, 2)).to("cupy")
    return moons_trainer(model=model, data_on_device=place, **options)


# --- the batches ------------------------------------------------------------------------------------------------------

LOADERS = {
    "shuffled": lambda d: DataLoader(d, 8, seed=5),
    "in order": lambda d: DataLoader(d, 8, shuffle=False),
    "the last one dropped": lambda d: DataLoader(d, 8, drop_last=True),
    "one batch": lambda d: DataLoader(d, 1000),
    "one by one": lambda d: DataLoader(d, 1),
}


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_rows_on_the_device_are_the_batches_of_the_host(device, make) -> None:
    d = Dataset(np.random.default_rng(0).normal(size=(50, 3, 2)).astype("float32"), np.arange(50, dtype="uint8"))
    loader, twin = make(d), make(d)
    placed = Placed(d, device)
    feed = Feed(loader, placed)
    for _ in range(3):  # epochs
        batches = list(zip(feed, twin, strict=True))
        assert len(batches) == len(loader)
        for (rows,), (x, y) in batches:
            found = placed.rows(rows)
            np.testing.assert_array_equal(found[0].numpy(), x, strict=True)
            np.testing.assert_array_equal(found[1].numpy(), y, strict=True)
        assert loader.state_dict() == twin.state_dict()


def test_an_epoch_is_taken_up_in_the_middle(device) -> None:
    loader, twin = (DataLoader(MOONS, 8, seed=2) for _ in range(2))
    placed = Placed(MOONS, device)
    for given in (Feed(loader, placed), twin):
        next(iter(given))
        next(iter(given))
    resumed = DataLoader(MOONS, 8, seed=2)
    resumed.load_state_dict(loader.state_dict())
    for (rows,), (x, _) in zip(Feed(resumed, placed), twin, strict=True):
        np.testing.assert_array_equal(placed.rows(rows)[0].numpy(), x)


def test_once_the_data_have_left_batches_come_from_the_host(device) -> None:
    placed, twin = Placed(MOONS, device), DataLoader(MOONS, 8)
    for i, (batch, (x, y)) in enumerate(zip(Feed(DataLoader(MOONS, 8), placed), twin, strict=True)):
        if i < 3:
            batch = placed.on_host(*batch)
        np.testing.assert_array_equal(batch[0], x)
        np.testing.assert_array_equal(batch[1], y)
        if i == 2:
            placed.leave()
    assert isinstance(next(iter(Feed(DataLoader(MOONS, 8), placed)))[0], np.ndarray)


def test_picking_rows_is_one_kernel_that_looks_at_nothing(device) -> None:
    placed = Placed(MOONS, device)
    step = tn.capture(lambda rows: placed.rows(rows)[0] * 1.0, backend="cupy")
    step(Tensor([3, 1], backend="cupy"))
    assert [call.name for call in step.program.calls].count("take") == 2
    assert not any(call.name == "gather" for call in step.program.calls)


# --- runs -------------------------------------------------------------------------------------------------------------

RUNS = {
    "adam": lambda: {},
    "everything": lambda: {
        "optimizer": optim.SGD(lr=0.1, momentum=0.9),
        "l2": 0.1,
        "clip_norm": 0.5,
        "schedule": optim.CosineAnnealingLR(T_max=4),
    },
    "eager": lambda: {"capture": False},
    "dropout": lambda: {"model": nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 2))},
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_run_is_the_same_bit_for_bit_wherever_its_data_are(device, run) -> None:
    run_both_ways(run)


@pytest.mark.gpu
def test_a_run_on_a_card_is_the_same_bit_for_bit_wherever_its_data_are() -> None:
    run_both_ways(RUNS["everything"])


def run_both_ways(run) -> None:
    trainers = []
    for place in (True, False):
        tn.manual_seed(1)
        trainer = device_trainer(place, **run())
        trainer.fit(MOONS, REST, epochs=3, batch_size=8, progress=False)
        trainers.append(trainer)
    same_run(*trainers)
    assert [[note.partition(" lie ")[1] for note in t.history.notes] for t in trainers] == [[" lie "] * 2, []]


def test_runs_of_images_words_and_targets_of_floats(device) -> None:
    rng = np.random.default_rng(0)
    kinds = [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 2)), rng.normal(size=(20, 1, 5, 5)), None),
        (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2)), rng.integers(0, 9, (20, 3)), None),
        (nn.Linear(3, 2), rng.normal(size=(20, 3)), rng.normal(size=(20, 2))),
    ]
    for model, x, y in kinds:
        loss = nn.CrossEntropyLoss() if y is None else nn.MSELoss()
        y = rng.integers(0, 2, 20) if y is None else y
        state, found = weights(model), []
        for place in (True, False):
            model.load_state_dict(state)
            trainer = device_trainer(place, model=model.to("numpy"), loss=loss, metrics=[])
            trainer.fit((x, y), epochs=2, batch_size=6, progress=False)
            found.append(weights(trainer.model))
        for name in state:
            assert found[0][name].tobytes() == found[1][name].tobytes() != state[name].tobytes(), name


class StopAfter(Callback):
    """Behaves as if Ctrl-C had been pressed in the epoch after this one."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, trainer, row):
        trainer._ctrl_c.asked = row["epoch"] == self.epoch

    def state_dict(self):
        return {}


@pytest.mark.parametrize("first, second", [(True, True), (True, False), (False, True)])
def test_a_run_is_resumed_in_the_middle_of_an_epoch_whichever_way_it_is_fed(device, tmp_path, first, second) -> None:
    whole = device_trainer(True, capture=False)  # eagerly: a step rounds as it does when it is recorded
    whole.fit(MOONS, REST, epochs=3, batch_size=8, progress=False, callbacks=[StopAfter(9)])
    one, two = (device_trainer(place, capture=False) for place in (first, second))
    steps = []
    step = Step.__call__

    def pressed(self, *batch):
        steps.append(batch)
        one._ctrl_c.asked = len(steps) == 10  # the third batch of the second epoch
        return step(self, *batch)

    file = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Step, "__call__", pressed)
        one.fit(MOONS, epochs=3, batch_size=8, progress=False, checkpoint=file, callbacks=[StopAfter(9)])
    assert one.history.stopped == "interrupted" and len(one.history) == 1
    two.fit(MOONS, epochs=3, batch_size=8, progress=False, checkpoint=file, resume=True, callbacks=[StopAfter(9)])
    for name, w in weights(whole.model).items():
        assert weights(two.model)[name].tobytes() == w.tobytes(), name
    assert len([note for note in two.history.notes if "training data" in note]) == 1, "said once in a run"


# --- who waits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", [True, False])
@pytest.mark.parametrize("place", [True, False])
def test_no_step_of_a_run_makes_the_host_wait(device, monkeypatch, place, capture) -> None:
    """But for the first two with batches as large as these, which are noted before they are taken."""
    step, counts = Step.__call__, {}

    def waiting_for_nothing(self, *batch):
        kind = id(self), len(batch[0])
        counts[kind] = counts.get(kind, 0) + 1
        with strict_cupy.no_synchronisation() if counts[kind] > 2 else nullcontext():
            return step(self, *batch)

    monkeypatch.setattr(Step, "__call__", waiting_for_nothing)
    trainer = device_trainer(
        place, capture=capture, l2=0.1, clip_norm=0.5, schedule=optim.ExponentialLR(gamma=0.9),
        optimizer=optim.AdamW(lr=0.02),
    )  # fmt: skip
    before = strict_cupy.synchronisations
    monkeypatch.setattr("tinynet.training.trainer.LOOKED_AT", 10)
    trainer.fit(MOONS, REST, epochs=3, batch_size=8, progress=False)
    assert sorted(counts.values()) == [3, 9, 18], "of training 18 batches of 8 and 3 of 2, of evaluation 9 of 10"
    assert (trainer.program is not None) == capture
    in_all = strict_cupy.synchronisations - before
    trainer.fit(MOONS, REST, epochs=3, batch_size=8, progress=False)
    again = strict_cupy.synchronisations - before - in_all
    if capture:
        assert again <= 3 * (3 + 3) + 20, "an epoch reads three totals twice; a run begins by looking at its data"


def test_an_epoch_makes_no_wait_between_redraws(device, monkeypatch) -> None:
    """Not the loop around the steps either: the fourth to the sixth batch of an epoch, of which the third is drawn."""
    due, now = [], strict_cupy._forbidden

    class Drawn(Progress):
        def due(self):
            due.append(None)
            strict_cupy._forbidden = now + (len(due) % 7 not in (2, 6, 0) and len(due) > 14)
            return len(due) % 7 == 3

        def batch(self, epoch, batch, text):
            strict_cupy._forbidden = now + (len(due) > 14)

    def shown(wanted, epochs, batches):
        return Drawn(epochs, batches)

    monkeypatch.setattr("tinynet.training.trainer.make_progress", shown)
    trainer = device_trainer("auto")
    try:
        with pytest.raises(AssertionError, match="makes the host wait"):
            trainer.fit(MOONS, epochs=3, batch_size=8)  # the redraw itself reads
    finally:
        strict_cupy._forbidden = now
    assert len(due) == 17


# --- where the data are put -------------------------------------------------------------------------------------------


class Doubled(Dataset):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x * 2, y


class Backwards(DataLoader):
    def __iter__(self):
        for x, y in super().__iter__():
            yield x[::-1], y[::-1]


@pytest.mark.parametrize("make", [lambda: Doubled(MOONS.x, MOONS.y), lambda: Backwards(MOONS, 8)])
def test_data_that_make_their_own_batches_stay_on_the_host(device, make) -> None:
    trainer, here = device_trainer("auto"), moons_trainer(optim.Adam(lr=0.02), model=mlp(2, 6, 2))
    for t in (trainer, here):
        t.fit(make(), epochs=2, batch_size=8, progress=False)
    assert trainer.history.notes == [
        f"training data (800 bytes) go to cupy batch by batch: {type(make()).__name__} makes its batches in its own way"
    ]
    for name, w in weights(here.model).items():
        np.testing.assert_allclose(weights(trainer.model)[name], w, rtol=1e-4, atol=1e-6, err_msg=name)
    with pytest.raises(ArgumentError, match=r"data_on_device=True\): (Doubled|Backwards) of the training data"):
        device_trainer(True).fit(make(), epochs=1, progress=False)


def test_data_are_put_on_the_device_where_a_quarter_of_what_is_free_holds_them(device) -> None:
    trainer = device_trainer("auto")
    trainer.fit(MOONS, epochs=1, progress=False)
    assert trainer.history.notes == ["training data (800 bytes) lie on cupy"]
    large = data.moons(4000, seed=1)  # 64 kB
    first, second = [], []
    for limit, notes in ((225_000, first), (350_000, second)):
        gc.collect()
        device.set_memory_limit(device.memory().used + limit)
        notes += trainer.fit(large, REST, epochs=1, batch_size=400, progress=False).notes
    words = (
        r"training data \(64 kB\) go to cupy batch by batch: they are more than a quarter of the 2\d\d kB that are free"
    )
    assert re.fullmatch(words, first[0])
    assert first[1] == second[1] == "validation data (480 bytes) lie on cupy"
    assert second[0] == "training data (64 kB) lie on cupy"


def test_data_that_must_lie_on_the_device_and_cannot_are_an_error(device) -> None:
    trainer = device_trainer(True)
    before = weights(trainer.model)
    device.set_memory_limit(device.memory().used + 100_000)
    with pytest.raises(DeviceMemoryError, match=r"no room for an array of shape \(20000"):
        trainer.fit(data.moons(20_000), epochs=1, progress=False)
    for name, w in before.items():
        assert (weights(trainer.model)[name] == w).all()


def test_the_next_run_goes_on_in_the_same_memory_with_the_same_recordings(device) -> None:
    trainer = device_trainer("auto")
    trainer.fit(MOONS, REST, epochs=1, batch_size=8, progress=False)
    program, used = trainer.program, device.memory().used
    other = data.moons(50, seed=9)
    trainer.fit(other, REST, epochs=1, batch_size=8, progress=False)
    assert trainer.program is program and device.memory().used == used
    twin = device_trainer(False)
    twin.fit(MOONS, REST, epochs=1, batch_size=8, progress=False)
    twin.fit(other, REST, epochs=1, batch_size=8, progress=False)
    same_run(trainer, twin)


def test_data_of_another_kind_take_the_place_of_the_last_ones(device) -> None:
    trainer = device_trainer("auto")
    trainer.fit(data.moons(4000), epochs=1, batch_size=1000, progress=False)
    with_large = device.memory().used
    trainer.fit(MOONS, epochs=1, batch_size=1000, progress=False)
    assert device.memory().used < with_large - 64_000, "neither the data nor their steps are kept"
    trainer.data_on_device = False
    trainer.fit(MOONS, epochs=1, batch_size=1000, progress=False)
    assert trainer.history.notes == []
    trainer.data_on_device = "always"
    with pytest.raises(ArgumentError, match=r"data_on_device='always'\): it is True, False or 'auto'"):
        trainer.fit(MOONS, epochs=1, progress=False)


def test_data_are_those_of_the_beginning_of_the_run(device) -> None:
    """An array that is changed in place before the next run is seen by it."""
    x = MOONS.x.copy()
    trainer, twin = device_trainer("auto"), device_trainer(False)
    for t in (trainer, twin):
        x[:] = MOONS.x
        t.fit((x, MOONS.y), epochs=1, batch_size=8, progress=False)
        x *= 2
        t.fit((x, MOONS.y), epochs=1, batch_size=8, progress=False)
    same_run(trainer, twin)


def test_on_the_host_nothing_is_placed() -> None:
    for place in (True, False, "auto"):
        trainer = moons_trainer(data_on_device=place)
        trainer.fit(MOONS, REST, epochs=1, progress=False)
        assert trainer.history.notes == [] and not trainer.feeding._placed
    with pytest.raises(ArgumentError, match=r"data_on_device=2\)"):
        moons_trainer(data_on_device=2)
