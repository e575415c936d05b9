"""Training on a device: the cupy backend on its strict stand-in, which refuses every mixture of its arrays and ours."""

import pytest
from strict_backend import strict_cupy_in_charge
from training_runs import MOONS, REST, mlp, moons_trainer, rows, same_bits, same_run, weights

import tinynet as tn
from tinynet import Trainer, optim
from tinynet.training import Callback, EarlyStopping

# The stand-in computes with NumPy, where float32 sums may be taken in another order.
CLOSE = {"rel": 1e-4, "abs": 1e-6}


@pytest.fixture
def device():
    with strict_cupy_in_charge() as backend:
        yield backend.name


def trained(backend: str, capture: bool, **options) -> Trainer:
    trainer = moons_trainer(
        optim.Adam(lr=0.02), model=mlp(2, 6, 2).to(backend), metrics=["accuracy", "error"], capture=capture, l2=0.1,
        clip_norm=0.5, schedule=optim.ExponentialLR(gamma=0.9), callbacks=[EarlyStopping(patience=9)],
    )  # fmt: skip
    trainer.fit(MOONS, REST, epochs=4, batch_size=8, progress=False, **options)
    return trainer


@pytest.mark.parametrize("capture", [True, False])
def test_a_device_trains_as_the_host_does(device: str, capture: bool) -> None:
    here, there = trained("numpy", capture), trained(device, capture)
    assert there.backend.name == device and (there.program is not None) == capture
    assert there.history.notes == ["training data (800 bytes) lie on cupy", "validation data (480 bytes) lie on cupy"]
    for found, expected in zip(rows(there.history), rows(here.history), strict=True):
        assert found == pytest.approx(expected, **CLOSE)
    for name, w in weights(here.model).items():
        assert weights(there.model)[name] == pytest.approx(w, **CLOSE)


class CutError(Exception):
    pass


class Cut(Callback):
    """Ends everything after the third epoch, before it is saved."""

    def __init__(self, armed: bool) -> None:
        self.armed = armed

    def on_epoch_end(self, trainer, row):
        if self.armed and row["epoch"] == 3:
            raise CutError

    def state_dict(self):
        return {}


@pytest.mark.parametrize("capture", [True, False])
def test_a_run_is_saved_and_taken_up_on_a_device(device: str, tmp_path, capture: bool) -> None:
    whole, file = trained(device, capture), tmp_path / "run"
    with pytest.raises(CutError):
        trained(device, capture, checkpoint=file, checkpoint_every=2, callbacks=[Cut(True)])
    resumed = trained(device, capture, checkpoint=file, resume=True, callbacks=[Cut(False)])
    if capture:  # a step that is being recorded rounds otherwise than its replays, which are chains of kernels
        for name, w in weights(whole.model).items():
            assert weights(resumed.model)[name] == pytest.approx(w, **CLOSE)
    else:
        same_run(resumed, whole)
    same_bits(weights(tn.load(mlp(2, 6, 2), file)), weights(resumed.model))
