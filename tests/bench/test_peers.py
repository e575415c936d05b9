"""Every contender computes the same: from the same weights the loss of a step and the weights after it."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinynet.bench import contenders, process
from tinynet.bench.contenders import BY_NAME, CONTENDERS, DEVICES, OURS, PEER_WORDS, Contender
from tinynet.bench.workloads import QUICK, read
from tinynet.errors import ArgumentError

ON_GPU = [c.name for c in CONTENDERS if c.device == "gpu"]
OTHERS = [c.name for c in CONTENDERS if c.name not in (OURS, "floor", "torch.compile", *ON_GPU)]
CASES = [(name, workload) for name in OTHERS for workload in QUICK if BY_NAME[name].takes(read(workload).family)]


def take(step):
    """The loss of the first step, and the weights after two: the second shows that the first was kept."""
    loss = step.run()
    step.wait()
    loss = float(loss.item() if hasattr(loss, "item") else loss)
    step.run()
    step.wait()
    return loss, {key: numbers(array) for key, array in step.weights().items()}


def numbers(array):
    return np.array(array.numpy() if hasattr(array, "numpy") else array, dtype=np.float64)


def one_step(name, workload, monkeypatch):
    """A contender's, in this process."""
    if reason := BY_NAME[name].why_absent():
        pytest.skip(reason)
    for variable, value in BY_NAME[name].environment:
        monkeypatch.setenv(variable, value)
    home, _, function = BY_NAME[name].home.partition(":")
    module = importlib.import_module(home)
    module.touch()
    return take(getattr(module, function)(read(workload)))


def same(workload, found, expected):
    """Two contenders' losses, weights, and by how much these moved."""
    (theirs, updated), (loss, weights) = found, expected
    assert theirs == pytest.approx(loss, rel=1e-4)
    start = read(workload).weights()
    assert set(updated) == set(start)
    for key, array in weights.items():
        np.testing.assert_allclose(updated[key], array, rtol=1e-4, atol=1e-6, err_msg=key)
    for key in weights:  # the updates, small beside the weights: float32 leaves them two digits or three
        moved, expected = updated[key] - start[key], weights[key] - start[key]
        np.testing.assert_allclose(moved, expected, rtol=2e-2, atol=2e-6, err_msg=key)


@pytest.fixture
def agree(monkeypatch):
    """That a contender does what tinynet on NumPy does."""
    return lambda name, workload: same(
        workload, one_step(name, workload, monkeypatch), one_step(OURS, workload, monkeypatch)
    )


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_same_loss_and_same_update(agree, name, workload):
    agree(name, workload)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, among its modules
def test_the_compiled_step_too(agree):
    agree("torch.compile", "mlp-quick")


@pytest.mark.parametrize("unroll", [1, 3, 16])
@pytest.mark.parametrize("workload", ["rnn-quick", "lstm-quick"])
def test_a_recurrence_in_jax_however_it_is_unrolled(workload, unroll, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    peer = pytest.importorskip("tinynet.bench.peers.jax_jit", exc_type=ImportError)
    found = take(peer.launched(read(workload), unroll=unroll))
    same(workload, found, one_step(OURS, workload, monkeypatch))


ELSEWHERE = """
import importlib, json
import numpy as np
from test_peers import BY_NAME, read, take
name, workloads, path = json.loads(sys.argv[2])
home, _, function = BY_NAME[name].home.partition(":")
module = importlib.import_module(home)
module.use_precision("float32")
module.touch()
found = {}
for workload in workloads:
    loss, weights = take(getattr(module, function)(read(workload)))
    found |= {f"{workload} loss": loss} | {f"{workload} {key}": array for key, array in weights.items()}
np.savez(path, **found)
"""


@pytest.mark.gpu
@pytest.mark.parametrize("name", ON_GPU)
def test_on_a_gpu_too(name, tmp_path, monkeypatch):
    """Each in a process of its own: libraries do not share a card well, and JAX asks once where it is to compute."""
    if reason := BY_NAME[name].why_absent():
        pytest.skip(reason)
    compiled = "compile" in name  # which takes many seconds a workload
    workloads = ["mlp-quick"] if compiled else [*QUICK]
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    asked = process.command(ELSEWHERE, **dict(BY_NAME[name].environment))
    asked["args"].append(json.dumps([name, workloads, str(tmp_path / "found.npz")]))
    done = subprocess.run(**asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = dict(np.load(tmp_path / "found.npz"))
    for workload in workloads:
        loss = found.pop(f"{workload} loss")
        weights = {key: found[f"{workload} {key}"] for key in read(workload).weights()}
        same(workload, (float(loss), weights), one_step(OURS, workload, monkeypatch))


def test_scikit_learn_says_which_sizes_it_does_not_take():
    peer = pytest.importorskip("tinynet.bench.peers.scikit_learn", exc_type=ImportError)
    with pytest.raises(ArgumentError, match="another loss for 2 classes"):
        peer.make(read("mlp:4-3-2@5"))


def test_a_row_left_over_by_pooling_in_jax(agree):
    agree("JAX jit", "cnn:19-2-3-4-3@2")


@pytest.mark.tiny
def test_who_is_absent_says_why(monkeypatch):
    monkeypatch.setattr(contenders.importlib.util, "find_spec", lambda name: None)
    assert BY_NAME["JAX jit"].why_absent() == "jax is not installed"
    assert BY_NAME["floor"].why_absent() == "tinynet.bench.floors is not installed"
    assert BY_NAME[OURS].why_absent() is None


@pytest.mark.tiny
def test_words_on_the_command_line():
    assert {"torch", "jax", "micrograd", "scikit-learn"} <= set(PEER_WORDS)
    asked = {device: [c.name for c in CONTENDERS if "torch" in c.words and c.device == device] for device in DEVICES}
    assert asked["cpu"] == ["PyTorch eager", "torch.compile"]
    assert asked["gpu"] == ["PyTorch eager (CUDA)", "torch.compile (CUDA)", "PyTorch CUDA graph"]


# --- a library that finds no card -------------------------------------------------------------------------------------

BLIND = {  # what its module does -> the reason
    "says so": ("def why_absent(): return 'built without CUDA'", "built without CUDA"),
    "talks": ("print('hello')\ndef why_absent(): print('there'); return 'no device'", "no device"),
    "raises": ("raise OSError('libcuda.so is not there')", "OSError: libcuda.so is not there"),
    "dies": ("import os\nos._exit(7)", "its process ended (exit code 7)"),
    "sees one": ("print('hello')\ndef why_absent(): print('there')", None),
}


@pytest.mark.parametrize(("source", "reason"), BLIND.values(), ids=BLIND)
def test_a_library_without_a_card_says_why_in_a_process_of_its_own(tmp_path, monkeypatch, source, reason):
    (tmp_path / "blind_library.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    contenders._without_card.cache_clear()
    peers = [Contender(f"{i}", "peer", "", f"blind_library:{i}", (), "json", device="gpu") for i in range(2)]
    missing = Contender("missing", "peer", "", "blind_library:make", (), "no_such_package", device="gpu")
    found = contenders.present_or_not([*peers, missing])
    assert [why for _, why in found] == [reason, reason, "no_such_package is not installed"]
    assert "blind_library" not in sys.modules
    assert contenders._without_card.cache_info().misses == 1  # asked once for both


def test_the_libraries_that_are_installed_find_no_card_or_one():
    for name in ("PyTorch eager (CUDA)", "JAX jit (CUDA)"):
        why = BY_NAME[name].why_absent()
        assert why is None or "not installed" in why or "CUDA" in why


def test_the_list_of_contenders_imports_nothing_heavy():
    """Every contender's process reads it before it measures an import."""
    code = "import tinynet.bench.child, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "jax", "sklearn", "rich"} & {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.tiny
def test_values_take_no_step_that_lasts():
    from tinynet.bench import engines

    with pytest.raises(ArgumentError, match=r"on Values a step of mlp-512 would take about 2\d\d s"):
        engines.scalar(read("mlp-512"))
