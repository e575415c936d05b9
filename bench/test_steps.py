"""``pytest bench``: a recorded step of each workload. ``python bench/steps.py`` sets it beside PyTorch's."""

import numpy as np
import pytest

from tinynet.bench import steps
from tinynet.bench.workloads import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_step(benchmark, name):
    assert 0 < steps.make("tinynet eager", name)().item() < 10
    assert 0 < benchmark(steps.make("tinynet replayed", name)).item() < 10


@pytest.mark.parametrize("name", WORKLOADS)
def test_both_libraries_compute_the_same(name):
    """With PyTorch's weights, the same logits: what is timed is the same work. Float32: sums of up to 800 terms."""
    pytest.importorskip("torch")
    workload, library = WORKLOADS[name], steps.torch_library()
    x, _ = workload.batch(np.random.default_rng(0))
    theirs, ours = workload.model(library), workload.model(steps.tinynet_library())
    ours.load_state_dict(theirs.state_dict())
    expected = theirs(library.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(x).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_contenders_take_turns():
    found = steps.medians("mlp-nielsen", seconds=0.001, rounds=2)
    assert set(found) >= {"tinynet eager", "tinynet replayed"} and all(0 < seconds < 1 for seconds in found.values())
