"""The workloads: their notation, and what each says of itself, held against the networks that the layers make."""

import math
import re

import numpy as np
import pytest

from tinynet.bench import engines
from tinynet.bench.workloads import FAMILIES, NAMED, QUICK, WORKLOADS, read
from tinynet.errors import ArgumentError

ALL = [*NAMED, *QUICK]


@pytest.mark.tiny
@pytest.mark.parametrize("name", ALL)
def test_its_parameters_are_those_of_the_network(name):
    workload = read(name)
    found = {key: array.shape for key, array in workload.model(engines.LIBRARY).state_dict().items()}
    assert found == workload.shapes()
    assert workload.parameters == sum(map(math.prod, found.values()))
    assert {key: array.shape for key, array in workload.weights().items()} == found


@pytest.mark.tiny
@pytest.mark.parametrize("name", ALL)
def test_the_batch(name):
    workload = read(name)
    (x, y), again = workload.given(), workload.given()
    assert len(x) == len(y) == workload.batch
    assert x.dtype in (np.float32, np.int64)
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(y, again[1])


@pytest.mark.tiny
def test_what_is_known_of_the_networks():
    assert WORKLOADS["mlp-3b1b"].parameters == 13_002  # 3Blue1Brown's
    assert WORKLOADS["moons"].parameters == 337  # micrograd's
    assert WORKLOADS["names-mlp"].parameters == 11_897  # makemore's, part 3: 27 × 10, 30 × 200 and 200 × 27 with biases
    assert {workload.family for workload in map(read, QUICK)} == set(FAMILIES)
    assert WORKLOADS["gpt-nano"].what.endswith("without positions")


@pytest.mark.torch
@pytest.mark.parametrize("name", ["mlp-3b1b", "cnn-nielsen", "cnn-quick", "names-mlp", "gpt-quick"])
def test_operations_are_those_that_pytorch_counts(name):
    """PyTorch's counter sees the products that are really made, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    from tinynet.bench.peers import torch_eager

    workload = read(name)
    step = torch_eager.make(workload)
    with FlopCounterMode(display=False) as counter:
        step.run()
    assert workload.flop == pytest.approx(counter.get_total_flops(), rel=0.01 if workload.family != "gpt" else 0.1)


@pytest.mark.tiny
def test_operations_of_a_recurrent_step_by_hand():
    # 2 examples × 3 steps; one gate: 3 → 4 and 4 → 4; 7 logits of 4 units; each product thrice
    assert read("rnn:7-3-4x3@2").flop == 2 * 3 * 6 * (4 * 3 + 4 * 4 + 7 * 4)
    assert read("lstm:7-3-4x3@2").flop == 2 * 3 * 6 * (16 * 3 + 16 * 4 + 7 * 4)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("text", "family", "sizes", "length", "batch"),
    [
        ("mlp:784-256-10@128", "mlp", (784, 256, 10), 0, 128),
        ("mlp:4-2", "mlp", (4, 2), 0, 32),
        ("mlp-512@64", "mlp", (784, 512, 512, 10), 0, 64),
        ("lstm:65-32-256x16", "lstm", (65, 32, 256), 16, 32),
        ("gpt-nano@3", "gpt", (65, 128, 4, 4), 64, 3),
        ("names:27-10-50x8@1", "names", (27, 10, 50), 8, 1),
        ("moons:3@5", "moons", (3,), 0, 5),
    ],
)
def test_the_notation(text, family, sizes, length, batch):
    found = read(text)
    assert (found.name, found.family, found.sizes, found.length, found.batch) == (text, family, sizes, length, batch)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("mlp-3b1bb", "Did you mean mlp-3b1b?"),
        ("", "there is no workload ''"),
        ("mlp-512@", "there is no workload"),
        ("mlp-512@0", "at least 1"),
        ("mlp:784-0-10", "at least 1"),
        ("mlp:784", "takes the units of each layer, two or more; got one"),
        ("mlp:784-10x3", "mlp has no sequences; leave x3 out"),
        ("rnn:65-32-128x0", "at least 1"),
        ("mpl:784-10", "there is no family 'mpl'. Did you mean mlp?"),
        ("cnn:28-20-40@64", "cnn takes 5 sizes (the image's side"),
        ("cnn:12-20-40-100-10", "a side of at least 16"),
        ("gpt:65-130-4-4", "130, is no multiple of 4 heads"),
        ("mlp:784-99999999-10", "at most 1,000,000,000"),
    ],
)
def test_nonsense_is_refused(text, meant):
    with pytest.raises(ArgumentError, match=re.escape(meant)):
        read(text)
