"""``pytest bench``: a recorded step of each workload. ``python bench/steps.py`` sets it beside PyTorch's."""

import numpy as np
import pytest
import steps
from workloads import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_step(benchmark, name):
    found = steps.contenders(name)
    eager = found["tinynet eager"]().item()
    assert 0 < eager < 10
    assert 0 < benchmark(found["tinynet replayed"]).item() < 10


@pytest.mark.parametrize("name", WORKLOADS)
def test_both_libraries_compute_the_same(name):
    """With PyTorch's weights, the same logits: what is timed is the same work. Float32: sums of up to 800 terms."""
    pytest.importorskip("torch")
    workload, library = WORKLOADS[name], steps.torch_library()
    x, _ = workload.batch(np.random.default_rng(0))
    theirs, ours = workload.model(library), workload.model(steps.TINYNET)
    ours.load_state_dict(theirs.state_dict())
    expected = theirs(library.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(x).numpy(), expected, rtol=1e-4, atol=1e-5)
