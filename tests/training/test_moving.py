"""A training run moves between the host and a device, whole: in the middle, in a checkpoint, for an evaluation.

The cupy backend on its strict stand-in, which refuses every array of the host's among its own. In float64, where the
two differ by the order of sums: a few last bits, through as many steps.
"""

import copy
import gc

import numpy as np
import pytest
from strict_backend import strict_cupy_in_charge
from training_runs import MOONS, REST, memory, moons_trainer, rows, same_bits, weights

import tinynet as tn
from tinynet import Tensor, Trainer, nn, optim
from tinynet.errors import GradientError
from tinynet.optim import CosineAnnealingLR

CLOSE = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture
def device():
    with strict_cupy_in_charge() as backend:
        yield backend


class Tied(nn.Module):
    """Two layers with one weight, and a layer with buffers."""

    def __init__(self) -> None:
        self.into, self.norm = nn.Linear(2, 4, bias=False), nn.BatchNorm1d(4)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.second(self.first(self.norm(self.into(x)).tanh()).tanh()))


OPTIMIZERS = {
    "momentum": lambda: optim.SGD(lr=0.1, momentum=0.9),
    "adam": lambda: optim.Adam(lr=0.02),
    "rmsprop": lambda: optim.RMSprop(lr=0.01, momentum=0.5),
}


def trainer_on(backend: str, optimizer=None, **options) -> Trainer:
    tn.manual_seed(4)
    model = Tied().to("numpy", dtype="float64").to(backend)
    return moons_trainer(optimizer or optim.Adam(lr=0.02), model=model, **options)


def close(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, err_msg=name, **CLOSE)


def lies_on(trainer: Trainer, backend: str) -> bool:
    """Whether everything that a run consists of does, and what was tied still is."""
    model, optimizer = trainer.model, trainer.optimizer
    parts = [*model.parameters(), *(b for _, b in model.named_buffers()), *optimizer.state_dict()["memory"].values()]
    parts += [p.grad for p in model.parameters() if p.grad is not None]
    parts += [t for _, t in optimizer.named_tensors()]
    assert model.first.weight is model.second.weight
    return all(t.backend.name == backend for t in parts)


# --- in the middle of a run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["auto", False])
@pytest.mark.parametrize("capture", [True, False])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_trainer_whose_model_moves_between_runs_is_one_that_stays(device, make, capture, place) -> None:
    move(make, capture, place)


@pytest.mark.gpu
def test_a_trainer_whose_model_moves_to_a_card_is_one_that_stays() -> None:
    move(OPTIMIZERS["adam"], True, "auto")


def move(make, capture: bool, place) -> None:
    moved, stayed = (trainer_on("numpy", make(), capture=capture, data_on_device=place) for _ in range(2))
    for backend in ("numpy", "cupy", "cupy", "numpy", "cupy"):
        moved.model.to(backend)
        for trainer in (moved, stayed):
            trainer.fit(MOONS, REST, epochs=1, batch_size=8, progress=False)
        assert lies_on(moved, backend) and (moved.program is not None) == capture
        close(weights(moved.model), weights(stayed.model))
        close(memory(moved), memory(stayed))
        for found, expected in zip(rows(moved.history), rows(stayed.history), strict=True):
            assert found == pytest.approx(expected, rel=1e-9)


def test_batch_by_batch_too_gradients_and_all(device) -> None:
    moved, stayed = trainer_on("numpy"), trainer_on("numpy")
    for backend in ("cupy", "numpy", "cupy"):
        moved.model.to(backend)
        assert all(p.grad is None or p.grad.backend.name == backend for p in moved.model.parameters())
        for trainer in (moved, stayed):
            trainer.train_on_batch(MOONS.x.astype("float64"), MOONS.y)
        grads = [{n: p.grad.numpy() for n, p in t.model.named_parameters()} for t in (moved, stayed)]
        close(*grads)
    assert lies_on(moved, "cupy")


def test_a_model_that_moves_while_a_gradient_waits_takes_it_along(device) -> None:
    model = Tied().to("numpy", dtype="float64")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    twin = copy.deepcopy(model)
    for m in (model, twin):
        nn.CrossEntropyLoss()(m(MOONS.x.astype("float64")), MOONS.y).backward()
    model.to("cupy")
    optimizer.step()
    optim.SGD(twin.parameters(), lr=0.1).step()
    close(weights(model), weights(twin))


@pytest.mark.parametrize(
    "then", [lambda t: t.fit(MOONS, REST, epochs=1, progress=False), lambda t: t.train_on_batch(MOONS.x, MOONS.y)]
)
def test_a_run_that_leaves_the_device_leaves_nothing_there(device, then) -> None:
    gc.collect()
    before = device.memory().used
    trainer = trainer_on("numpy", threads="auto")
    trainer.fit(MOONS, REST, epochs=1, progress=False)
    trainer.model.to("cupy")
    trainer.fit(MOONS, REST, epochs=1, progress=False)
    trainer.evaluate(REST)
    trainer.train_on_batch(MOONS.x, MOONS.y)
    trainer.model.to("numpy")
    then(trainer)
    gc.collect()
    assert device.memory().used == before


@pytest.mark.parametrize("there", ["cupy", "numpy"])
def test_an_evaluation_elsewhere(device, there) -> None:
    here = {"cupy": "numpy", "numpy": "cupy"}[there]
    trainer = trainer_on(here)
    trainer.fit(MOONS, epochs=1, progress=False)
    found = trainer.evaluate(REST), trainer.model.predict(REST.x).numpy()
    trainer.model.to(there)
    assert trainer.evaluate(REST) == pytest.approx(found[0], rel=1e-9)
    np.testing.assert_allclose(trainer.predict(REST.x).numpy(), found[1], **CLOSE)
    trainer.model.to(here)
    trainer.fit(MOONS, epochs=1, progress=False)
    stayed = trainer_on(here)
    for _ in range(2):
        stayed.fit(MOONS, epochs=1, progress=False)
    close(weights(trainer.model), weights(stayed.model))


# --- by copies and files ----------------------------------------------------------------------------------------------


def test_a_copy_on_the_device_is_a_model_of_its_own(device) -> None:
    trainer = trainer_on("cupy")
    trainer.fit(MOONS, epochs=1, progress=False)
    model, optimizer = copy.deepcopy((trainer.model, trainer.optimizer))
    twin = moons_trainer(optimizer, model=model)
    before = weights(trainer.model), memory(trainer)
    same_bits(weights(twin.model), before[0])
    same_bits(memory(twin), before[1])
    assert lies_on(twin, "cupy") and model.first.weight is not trainer.model.first.weight
    twin.fit(MOONS, epochs=1, progress=False)
    same_bits(weights(trainer.model), before[0])
    same_bits(memory(trainer), before[1])
    trainer.fit(MOONS, epochs=1, progress=False)
    close(weights(trainer.model), weights(twin.model))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("here, there", [("numpy", "cupy"), ("cupy", "numpy")])
def test_what_an_optimiser_remembers_goes_over_by_its_state(device, make, here, there) -> None:
    one = trainer_on(here, make())
    one.fit(MOONS, epochs=1, progress=False)
    two = trainer_on(there, make())
    two.model.load_state_dict(one.model.state_dict())
    two.optimizer.load_state_dict(one.optimizer.state_dict())
    assert lies_on(two, there)
    same_bits(memory(two), memory(one))
    for trainer in (one, two):
        trainer.fit(MOONS, epochs=1, progress=False)
    close(weights(two.model), weights(one.model))


@pytest.mark.parametrize("here, there", [("numpy", "cupy"), ("cupy", "numpy"), ("cupy", "cupy")])
def test_a_run_is_saved_here_and_resumed_there(device, tmp_path, here, there) -> None:
    options = {"schedule": CosineAnnealingLR(T_max=4), "l2": 0.1, "capture": False}
    fit = {"epochs": 4, "batch_size": 8, "progress": False}
    whole = trainer_on(here, **options)
    whole.fit(MOONS, REST, **fit)
    file, first = tmp_path / "run", trainer_on(here, **options | {"schedule": CosineAnnealingLR(T_max=4)})

    class Stop(tn.training.Callback):
        def on_epoch_end(self, trainer, row):
            trainer._ctrl_c.asked = row["epoch"] == 2 and trainer is first

        def state_dict(self):
            return {}

    first.fit(MOONS, REST, checkpoint=file, callbacks=[Stop()], **fit)
    assert first.history.stopped == "interrupted" and len(first.history) == 2
    second = trainer_on(there, **options | {"schedule": CosineAnnealingLR(T_max=4)})
    second.fit(MOONS, REST, checkpoint=file, resume=True, callbacks=[Stop()], **fit)
    assert lies_on(second, there) and len(second.history) == 4
    close(weights(second.model), weights(whole.model))
    close(memory(second), memory(whole))
    for found, expected in zip(rows(second.history), rows(whole.history), strict=True):
        assert found == pytest.approx(expected, rel=1e-9)
    close(weights(tn.load(trainer_on(there).model, file)), weights(whole.model))


def test_saved_weights_fit_on_either_side(device, tmp_path) -> None:
    model = trainer_on("cupy").model
    tn.save(model, tmp_path / "m.safetensors")
    other = Tied().to("numpy", dtype="float64")
    same_bits(weights(tn.load(other, tmp_path / "m.safetensors")), weights(model))
    back = tn.load(Tied().to("cupy", dtype="float64"), tmp_path / "m.safetensors")
    same_bits(weights(back), weights(model))
    assert back.first.weight is back.second.weight and isinstance(back.out.bias.data, device.array_type)


def test_a_tensor_in_a_graph_does_not_move(device) -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(GradientError, match="detach"):
        (x * 2).to("cupy")
    assert (x * 2).detach().to("cupy").to("numpy").tolist() == [2.0, 2.0, 2.0]
