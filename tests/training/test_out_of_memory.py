"""A device without room for a step: nothing has changed, and the error names a batch that fits.

The stand-in counts the memory of every array and keeps the limit that is set, as CuPy's pool does.
"""

import gc
import re
from contextlib import nullcontext

import numpy as np
import pytest
from strict_backend import strict_cupy_in_charge
from training_runs import memory, mlp, moons_trainer, same_bits, same_run, weights

import tinynet as tn
from tinynet import Trainer, data, nn, optim, random
from tinynet.errors import DeviceMemoryError
from tinynet.program import Program
from tinynet.training.out_of_memory import Guard
from tinynet.training.steps import Steps

MOONS = data.moons(512, seed=3)


@pytest.fixture
def device():
    with strict_cupy_in_charge() as backend:
        yield backend
        backend.set_memory_limit(None)


def network() -> nn.Sequential:
    """With everything that a step can change: weights, buffers, random numbers."""
    tn.manual_seed(1)
    return nn.Sequential(
        nn.Linear(2, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Dropout(0.2), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
    )


def trainer_of(model=None, place=False, **options) -> Trainer:
    model = (model or network()).to("cupy")
    return moons_trainer(options.pop("optimizer", optim.Adam(lr=0.02)), model=model, data_on_device=place, **options)


def limit(device, extra: int) -> None:
    gc.collect()
    device.tidy()
    device.set_memory_limit(device.memory().used + extra)


def needed(device, deed) -> int:
    """How many bytes more than before a deed uses at its height."""
    pool = device.xp.get_default_memory_pool()
    gc.collect()
    before = pool.most = pool.used
    deed()
    return pool.most - before


def state(trainer) -> dict:
    drawn = random.get_state()["streams"].get("cupy", 0)
    return {**weights(trainer.model), **memory(trainer), "random numbers drawn": np.array(drawn)}


def fails(deed, what: str) -> int:
    """The error of a deed names what does not fit and what does."""
    with pytest.raises(DeviceMemoryError) as caught:
        deed()
    found = re.search(rf"in {what}, batch_size=(\d+) does not fit on 'cupy'; (\d+) does\.", str(caught.value))
    assert found, str(caught.value)
    assert "Everything stands as it did before" in str(caught.value) and "Out of memory allocating" in str(caught.value)
    assert caught.value.fits == int(found[2])
    return caught.value.fits


# --- what would fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", [True, False])
@pytest.mark.parametrize("place", [True, False])
def test_a_run_whose_batches_do_not_fit(device, place, capture) -> None:
    trainer = trainer_of(place=place, capture=capture)
    limit(device, 300_000)
    before, used = state(trainer), device.memory().used
    fits = fails(lambda: trainer.fit(MOONS, epochs=2, batch_size=512, progress=False), "training")
    assert 1 <= fits <= 256 and fits & (fits - 1) == 0
    same_bits(state(trainer), before)
    assert all(p.grad is None or not p.grad.numpy().any() for p in trainer.model.parameters())
    gc.collect()
    assert device.memory().used <= used + 2 * MOONS.x.nbytes + 10_000, "data and totals stay, no results of the trials"

    trainer.fit(MOONS, epochs=2, batch_size=fits, progress=False)
    assert trainer.history.stopped == "epochs"
    found = weights(trainer.model)
    del trainer
    device.set_memory_limit(None)
    twin = trainer_of(place=place, capture=capture)
    twin.fit(MOONS, epochs=2, batch_size=fits, progress=False)
    same_bits(found, weights(twin.model))
    del twin
    trainer = trainer_of(place=place, capture=capture)
    limit(device, 300_000)
    with pytest.raises(DeviceMemoryError):
        trainer.fit(MOONS, epochs=1, batch_size=2 * fits, progress=False)


def test_a_single_step_that_does_not_fit(device) -> None:
    trainer = trainer_of()
    limit(device, 200_000)
    before = state(trainer)
    fits = fails(lambda: trainer.train_on_batch(MOONS.x, MOONS.y), "training")
    same_bits(state(trainer), before)
    trainer.train_on_batch(MOONS.x[:fits], MOONS.y[:fits])
    x, y = (tn.Tensor(a, backend="cupy") for a in (MOONS.x, MOONS.y))
    assert fails(lambda: trainer.train_on_batch(x, y), "training") == fits


def test_an_evaluation_that_does_not_fit(device) -> None:
    trainer = trainer_of(metrics=["accuracy"])
    expected = trainer.evaluate(MOONS, batch_size=100)
    trainer = trainer_of(metrics=["accuracy"])
    limit(device, 100_000)
    fits = fails(lambda: trainer.evaluate(MOONS, batch_size=512), "evaluation")
    assert trainer.evaluate(MOONS, batch_size=fits) == pytest.approx(expected, rel=1e-5)


def test_validation_goes_on_in_smaller_batches(device) -> None:
    twin = trainer_of(metrics=["accuracy"], capture=False)
    twin.fit(MOONS.take(64), MOONS, epochs=3, batch_size=32, progress=False)
    trainer = trainer_of(metrics=["accuracy"], capture=False)
    limit(device, 150_000)
    trainer.fit(MOONS.take(64), MOONS, epochs=3, batch_size=32, progress=False)
    assert re.fullmatch(r"validation goes in batches of (256|128|64): 512 do not fit", trainer.history.notes[0])
    assert len(trainer.history.notes) == 1, "found out once"
    same_bits(weights(trainer.model), weights(twin.model))
    assert trainer.history["val_loss"] == pytest.approx(twin.history["val_loss"], rel=1e-5)


def test_no_batch_fits(device) -> None:
    trainer = trainer_of(mlp(2, 32, 32, 2))
    limit(device, 12_000)  # for an example, not for its gradients
    with pytest.raises(DeviceMemoryError, match=r"batch_size=8 does not fit on 'cupy', nor does any half") as caught:
        trainer.fit(MOONS, epochs=1, batch_size=8, progress=False)
    assert caught.value.fits == 0
    with pytest.raises(DeviceMemoryError, match=r"not even one example fits on 'cupy'"):
        trainer.fit(MOONS, epochs=1, batch_size=1, progress=False)


def test_as_many_tries_as_there_are_halves(device, monkeypatch) -> None:
    tries, works = [], Guard._works

    def counted(self, batch, noted):
        tries.append(len(batch[0]))
        return works(self, batch, noted)

    monkeypatch.setattr(Guard, "_works", counted)
    trainer = trainer_of()
    limit(device, 12_000)  # for an example, not for its gradients
    with pytest.raises(DeviceMemoryError):
        trainer.fit(MOONS, epochs=1, batch_size=100, progress=False)
    assert tries == [50, 25, 12, 6, 3, 1]


def test_data_on_the_device_are_named_as_what_could_leave(device) -> None:
    trainer = trainer_of(place=True)
    limit(device, 150_000)
    with pytest.raises(DeviceMemoryError, match=r"256 does not fit.*data_on_device=False\) leaves more room"):
        trainer.fit(MOONS, epochs=1, batch_size=256, progress=False)


@pytest.mark.parametrize("where", ["stand-in", pytest.param("GPU", marks=pytest.mark.gpu)])
def test_a_network_and_a_batch_of_a_cards_size(where) -> None:
    """In megabytes, where a pool that hands out its memory in pieces cannot hide what a batch takes."""
    with strict_cupy_in_charge() if where == "stand-in" else nullcontext(tn.get_backend("cupy")) as backend:
        tn.manual_seed(1)
        trainer = trainer_of(nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 2)))
        x, y = np.random.default_rng(0).normal(size=(32768, 64)).astype("float32"), np.arange(32768) % 2
        trainer.train_on_batch(x[:64], y[:64])  # what libraries take once, they have now
        before = state(trainer)
        try:
            limit(backend, 64_000_000)
            fits = fails(lambda: trainer.train_on_batch(x, y), "training")
            same_bits(state(trainer), before)
            trainer.train_on_batch(x[:fits], y[:fits])
        finally:
            backend.set_memory_limit(None)
        assert 64 < fits < 32768


# --- room that can be made --------------------------------------------------------------------------------------------


def test_recordings_of_other_batches_make_room(device) -> None:
    twin = trainer_of()
    twin.fit(MOONS, epochs=1, batch_size=240, progress=False)
    twin.fit(MOONS, epochs=1, batch_size=256, progress=False)
    room = needed(device, lambda: trainer_of().fit(MOONS, epochs=1, batch_size=256, progress=False))
    trainer = trainer_of()
    limit(device, room + 10_000)
    trainer.fit(MOONS, epochs=1, batch_size=240, progress=False)
    program = trainer.program
    trainer.fit(MOONS, epochs=1, batch_size=256, progress=False)  # for which there is no room beside the other
    assert trainer.program is not None and trainer.program is not program
    same_bits(weights(trainer.model), weights(twin.model))
    assert not trainer.history.notes


def test_data_leave_the_device_where_they_leave_no_room(device) -> None:
    def fit(place, examples):
        trainer = trainer_of(mlp(2, 32, 2), place=place, capture=False)
        trainer.fit(data.moons(examples, seed=1), epochs=1, batch_size=500, progress=False)
        return trainer

    room = needed(device, lambda: fit(False, 500))
    examples = room // 56  # which take 16 bytes each, and 8 for its number, which stays
    limit(device, room + 12 * examples)
    trainer = fit("auto", examples)
    device.set_memory_limit(None)
    same_run(trainer, fit(False, examples))
    placed, left = trainer.history.notes
    assert placed.endswith(" lie on cupy")
    assert left == "data leave the device, where they leave no room: batches go there one by one"


# --- memory that runs out at an awkward moment ------------------------------------------------------------------------


class Greedy(optim.Adam):
    """Finds no room once it has changed the weights, in the steps of so many examples, and so often."""

    def update(self, w, g, state, lr):
        super().update(w, g, state, lr)
        if self._examples in self._sizes and self._times:
            self._times -= 1
            raise MemoryError("Out of memory allocating 1 bytes")


def greedy(monkeypatch, sizes, times=100) -> Greedy:
    optimizer = Greedy(lr=0.02)
    optimizer._sizes, optimizer._times, optimizer._examples = sizes, times, 0
    forward = Steps._forward

    def counted(self, totals, x, y):
        optimizer._examples = len(x)
        return forward(self, totals, x, y)

    monkeypatch.setattr(Steps, "_forward", counted)
    return optimizer


@pytest.mark.parametrize("capture", [True, False])
def test_a_step_that_fails_when_everything_has_changed_is_undone(device, monkeypatch, capture) -> None:
    trainer = trainer_of(optimizer=greedy(monkeypatch, range(100, 500)), capture=capture)
    trainer.fit(MOONS, epochs=1, batch_size=50, progress=False)
    before = state(trainer)
    assert fails(lambda: trainer.train_on_batch(MOONS.x[:400], MOONS.y[:400]), "training") == 50
    same_bits(state(trainer), before)
    trainer.train_on_batch(MOONS.x[:50], MOONS.y[:50])
    twin = trainer_of(capture=capture)
    twin.fit(MOONS, epochs=1, batch_size=50, progress=False)
    twin.train_on_batch(MOONS.x[:50], MOONS.y[:50])
    same_bits(weights(trainer.model), weights(twin.model))


def test_without_putting_back_the_failed_steps_would_count(device, monkeypatch) -> None:
    """The comparison above can fail: here nothing is put back."""
    monkeypatch.setattr("tinynet.training.step.put_back", lambda trainer, state: None)
    with pytest.raises(AssertionError):
        test_a_step_that_fails_when_everything_has_changed_is_undone(device, monkeypatch, False)


def failing_replay(monkeypatch, number: int) -> None:
    """The replay of that number finds no room when it has changed half of everything."""
    replay, seen = Program.replay, []

    def half(self):
        seen.append(self)
        if len(seen) == number:
            for run in self._run[: len(self._run) // 2 + 1]:
                run()
            raise MemoryError("Out of memory allocating 1 bytes")
        replay(self)

    monkeypatch.setattr(Program, "replay", half)


def test_the_first_replay_is_guarded_too(device, monkeypatch) -> None:
    failing_replay(monkeypatch, 1)
    states = []
    for _ in range(2):  # in the first the step is recorded anew, and taken
        trainer = trainer_of(optimizer=optim.SGD(lr=0.1, momentum=0.9))
        trainer.train_on_batch(MOONS.x, MOONS.y)
        trainer.train_on_batch(MOONS.x, MOONS.y)
        states.append(state(trainer))
    for name, w in states[1].items():
        # A step that is being recorded and its replay round in different orders: float32, two steps.
        np.testing.assert_allclose(states[0][name], w, rtol=1e-4, atol=1e-6, err_msg=name)


def test_where_there_was_room_before_it_is_said_that_the_step_may_be_half_taken(device, monkeypatch) -> None:
    failing_replay(monkeypatch, 2)
    trainer = trainer_of()
    for _ in range(2):
        trainer.train_on_batch(MOONS.x, MOONS.y)
    words = r"no room any longer for a batch that it has had room for.*may be half taken; go on from a checkpoint"
    with pytest.raises(DeviceMemoryError, match=words):
        trainer.train_on_batch(MOONS.x, MOONS.y)


def test_a_smaller_batch_that_is_recorded_later_is_undone_too(device, monkeypatch) -> None:
    """The last, odd batch of an epoch: totals and weights are those before it, and it is taken once there is room."""
    trainer = trainer_of(mlp(2, 6, 2), optimizer=greedy(monkeypatch, [8], times=1))
    twin = trainer_of(mlp(2, 6, 2))
    for t in (trainer, twin):
        t.fit(MOONS.take(44), epochs=1, batch_size=12, progress=False)
    same_run(trainer, twin)
    assert trainer.optimizer._times == 0
