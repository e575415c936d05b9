"""How many launches a training step is, counted on the stand-in: on small networks a GPU's time goes into them."""

import pytest
import strict_cuda
from strict_backend import strict_cupy_in_charge

import tinynet as tn
from tinynet import Tensor
from tinynet.bench.engines import LIBRARY
from tinynet.bench.workloads import read

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

# A network of each family, small enough for a CPU that plays a GPU, and the launches of a step; fewer are welcome.
STEPS = {
    "mlp:8-4-4-3@4": 10,
    "names:7-3-4x3@2": 10,
    "cnn:16-2-3-4-3@2": 24,
    "rnn:7-3-4x3@2": 24,
    "rnn:7-3-4x9@2": 24,
    "lstm:7-3-4x3@2": 26,
    "lstm:7-3-4x9@2": 26,
    "gpt:7-8-2-1x4@2": 43,
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_one_graph_of_few_launches(name, monkeypatch):
    with strict_cupy_in_charge() as cupy:
        monkeypatch.setattr(cupy.products, "small", 1 << 20)  # as on a card
        workload = read(name)
        model = workload.model(LIBRARY)
        model.load_state_dict(workload.weights())
        model.to("cupy")
        step = tn.capture(workload.step(LIBRARY, model))
        step(*[Tensor(part, backend="cupy") for part in workload.given()])
        assert step.program.way == "replayed as 1 CUDA graph"
        (launch,) = step.program._run
        assert len(launch.args[0].work) <= STEPS[name], step.program
