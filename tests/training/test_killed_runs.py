"""Training in another process that is really killed, and taken up again until it is done."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

SCRIPT = """
import sys
import numpy as np
import tinynet as tn
from tinynet import Trainer, data, nn, optim

tn.manual_seed(1)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
trainer = Trainer(
    model, nn.CrossEntropyLoss(), optim.Adam(lr=0.02), ["accuracy"], schedule=optim.ExponentialLR(gamma=0.95), l2=0.1,
    callbacks=[tn.training.EarlyStopping(patience=50)],
)
file = sys.argv[1]
history = trainer.fit(
    data.moons(200), data.moons(50, seed=9), epochs=int(sys.argv[2]), batch_size=7, seed=4, checkpoint=file,
    checkpoint_every=3, resume=True, progress=False,
)
if history.stopped == "interrupted":
    print(history.notes[-1])
    sys.exit(130)
tn.save(model, file + ".weights")
np.save(file + ".losses.npy", np.array([history["loss"], history["val_accuracy"], history["lr"]]))
"""

EPOCHS = 12  # of 29 steps
ROOT = Path(__file__).parents[2]


def start(file: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(file), str(EPOCHS)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen, *codes: int) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode in codes, f"exit {process.returncode}: {err}"
    return out


def wait_for(file: Path, process: subprocess.Popen) -> None:
    """Until the run writes its checkpoints: what comes before is Python starting."""
    known = file.stat().st_mtime_ns if file.exists() else 0
    while process.poll() is None and (not file.exists() or file.stat().st_mtime_ns == known):
        time.sleep(0.001)


def same_ending(file: Path, expected: Path) -> None:
    for suffix in (".weights", ".losses.npy"):
        found, wanted = (Path(f"{f}{suffix}").read_bytes() for f in (file, expected))
        assert found == wanted, f"{suffix} differs"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("whole") / "run"
    finish(start(file), 0)
    assert np.load(f"{file}.losses.npy").shape == (3, EPOCHS)
    return file


@pytest.mark.parametrize("seed", range(5))
def test_killed_at_any_moment(seed: int, uninterrupted: Path, tmp_path) -> None:
    chance, file, kills = random.Random(seed), tmp_path / "run", 0
    for _ in range(3):
        process = start(file)
        wait_for(file, process)
        moment = chance.uniform(0, 0.05)
        print(f"seed {seed}: killed {moment:.4f} s after the first checkpoint")
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
        left = {path.name for path in tmp_path.iterdir()} - {"run"}
        assert all(name.startswith(".run.") for name in left), left  # at most what was being written
    assert kills
    finish(start(file), 0)
    same_ending(file, uninterrupted)


def test_ctrl_c_saves_and_exits_cleanly(uninterrupted: Path, tmp_path) -> None:
    file = tmp_path / "run"
    process = start(file)
    wait_for(file, process)
    process.send_signal(signal.SIGINT)
    said = finish(process, 130)
    assert said.startswith("interrupted ") and f"saved in {file}, to be resumed from here." in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    finish(start(file), 0)
    same_ending(file, uninterrupted)
