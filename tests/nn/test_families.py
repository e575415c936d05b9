"""One definition of a CNN, of recurrent networks and of a transformer: on every backend the same numbers, and recorded
the same numbers as run, on NumPy bit for bit, dropout included."""

import numpy as np
import pytest
from families import MODELS, batch, make
from support import on_array_backends

import tinynet as tn
from tinynet import data, nn, optim, random

every_family = pytest.mark.parametrize("family", MODELS)


@every_family
def test_one_definition_agrees_on_every_backend(family):
    x, y = batch(family)
    found = tn.parity(make(family), x, y, nn.CrossEntropyLoss(), ["scalar", "numpy", "strict"])
    assert found.ok, f"\n{found}"
    named = {row.name for row in found.rows if row.backend == "strict"}
    assert named >= {f"d loss/d {name}" for name, _ in make(family).named_parameters()}
    assert "agree: worst" in str(found) and "d loss/d " in str(found)


def train(family, capture, backend="numpy", steps=2):
    model = make(family, dropout=0.3).to(backend)
    # Chains of calls round by themselves on a device, and where a slope should be 0 Adam follows the sign of that.
    rule = optim.Adam(lr=0.01) if backend == "numpy" else optim.SGD(lr=0.1, momentum=0.9)
    settings = {"metrics": ["accuracy"], "capture": capture, "threads": 1}  # shares would draw for themselves
    trainer = tn.Trainer(model, nn.CrossEntropyLoss(), rule, **settings)
    history = trainer.fit(data.Dataset(*batch(family, 8)), epochs=steps, batch_size=4, progress=False)
    assert bool(trainer.program) == capture, history.notes
    return trainer, history


@on_array_backends
@every_family
def test_captured_training_is_eager_training(family, backend):
    (captured, replayed), (eager, run) = (train(family, capture, backend) for capture in (True, False))
    digits = (
        {"rtol": 0, "atol": 0} if backend == "numpy" else {"rtol": 1e-4, "atol": 1e-5}
    )  # Adam's first steps are signs
    for (name, a), b in zip(captured.model.state_dict().items(), eager.model.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), **digits, strict=True, err_msg=name)
    np.testing.assert_allclose([row["loss"] for row in replayed.epochs], [row["loss"] for row in run.epochs], **digits)


@every_family
def test_dropout_drops_in_training_alone(family):
    x, _ = batch(family)
    model = make(family, dropout=0.5)
    tn.manual_seed(1)
    drawn = [model(x).numpy() for _ in range(2)]
    assert not np.array_equal(*drawn)
    model.eval()
    calls = random.get_state()["streams"]["numpy"]
    assert np.array_equal(model(x).numpy(), model(x).numpy())
    assert random.get_state()["streams"]["numpy"] == calls


@every_family
def test_a_run_is_resumed_bit_for_bit(family, tmp_path):
    """Dropout goes on where it was."""
    path = tmp_path / "run.safetensors"

    def fit(model, epochs, **options):
        trainer = tn.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
        trainer.fit(data.Dataset(*batch(family, 8)), epochs=epochs, batch_size=4, progress=False, **options)
        return {name: part.numpy() for name, part in model.state_dict().items()}

    whole = fit(make(family, 0.3), 3)
    fit(make(family, 0.3), 2, checkpoint=path)
    resumed = fit(make(family, 0.3, seed=9), 3, checkpoint=path, resume=True)
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)
