"""Every contender computes the same: from the same weights the loss of a step and the weights after it."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

from tinynet.bench import contenders
from tinynet.bench.contenders import BY_NAME, CONTENDERS, OURS, PEER_WORDS
from tinynet.bench.workloads import QUICK, read
from tinynet.errors import ArgumentError

OTHERS = [c.name for c in CONTENDERS if c.name not in (OURS, "tinynet cupy", "floor", "torch.compile")]
CASES = [(name, workload) for name in OTHERS for workload in QUICK if BY_NAME[name].takes(read(workload).family)]


def one_step(name, workload):
    """The loss of a contender's first step, and the weights after two: the second shows that the first was kept."""
    if reason := BY_NAME[name].why_absent():
        pytest.skip(reason)
    home, _, function = BY_NAME[name].home.partition(":")
    module = importlib.import_module(home)
    module.touch()
    step = getattr(module, function)(read(workload))
    loss = step.run()
    loss = float(loss.item() if hasattr(loss, "item") else loss)
    step.run()
    return loss, {key: np.array(array, dtype=np.float64) for key, array in step.weights().items()}


def agree(name, workload):
    loss, weights = one_step(OURS, workload)
    theirs, updated = one_step(name, workload)
    assert theirs == pytest.approx(loss, rel=1e-4)
    start = read(workload).weights()
    assert set(updated) == set(start)
    for key, array in weights.items():
        np.testing.assert_allclose(updated[key], array, rtol=1e-4, atol=1e-6, err_msg=key)
    for key in weights:  # the updates, small beside the weights: float32 leaves them two digits or three
        moved, expected = updated[key] - start[key], weights[key] - start[key]
        np.testing.assert_allclose(moved, expected, rtol=2e-2, atol=2e-6, err_msg=key)


@pytest.mark.parametrize(("name", "workload"), CASES)
def test_same_loss_and_same_update(name, workload):
    agree(name, workload)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, among its modules
def test_the_compiled_step_too():
    agree("torch.compile", "mlp-quick")


def test_scikit_learn_says_which_sizes_it_does_not_take():
    peer = pytest.importorskip("tinynet.bench.peers.scikit_learn", exc_type=ImportError)
    with pytest.raises(ArgumentError, match="another loss for 2 classes"):
        peer.make(read("mlp:4-3-2@5"))


def test_a_row_left_over_by_pooling_in_jax():
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
    assert [c.name for c in CONTENDERS if "torch" in c.words] == ["PyTorch eager", "torch.compile"]


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
