"""RNN, LSTM, GRU and Embedding on the test cases that the onnx package ships for RNN, LSTM, GRU and Gather.

ONNX stacks the directions first, (directions, gates · H, …), keeps both biases in one array, orders the gates of an
LSTM i, o, f, c and those of a GRU z, r, h, and gives outputs as (steps, directions, batch, H). Its GRU scales h by r
before the product with R unless ``linear_before_reset`` says after, which is how PyTorch and tinynet do it: a case is
left out where that makes a difference. So is the one with peepholes, which tinynet's LSTM does not have.
"""

import importlib
from unittest import mock

import numpy as np
import pytest
from support import on_every_backend, same

from tinynet import nn

pytestmark = pytest.mark.onnx

ORDER = {"RNN": [0], "LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2]}  # where each of our gates stands there
RECURRENT = [
    ("RNN", "defaults initial_bias seq_length batchwise reverse bidirectional"),
    ("LSTM", "defaults initial_bias batchwise reverse bidirectional"),
    ("GRU", "defaults initial_bias batchwise reverse bidirectional"),
]


def case(kind, name):
    """A case as onnx exports it: the node's attributes, its inputs and its outputs by name."""
    module = importlib.import_module(f"onnx.backend.test.case.node.{kind.lower()}")
    with mock.patch.object(module, "expect") as expect:
        getattr(getattr(module, kind), f"export_{name}")()
    node, given = expect.call_args.args[0], expect.call_args.kwargs
    attributes = {a.name: a.s.decode() or a.i for a in node.attribute}
    inputs = dict(zip(node.input, given["inputs"]))
    outputs = dict(zip([name for name in node.output if name], given["outputs"]))
    return attributes, inputs, outputs


def in_our_order(kind, array):
    """(gates · H, …) with the gates in PyTorch's order."""
    gates = ORDER[kind]
    return np.concatenate([np.split(array, len(gates))[k] for k in gates])


@on_every_backend
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in RECURRENT for name in names.split()])
def test_recurrent_layers_give_what_onnx_gives(kind, name, backend):
    attributes, inputs, expected = case(kind, name)
    (directions, _, features), hidden = inputs["W"].shape, attributes["hidden_size"]
    only_backwards = attributes.get("direction") == "reverse"
    biases = inputs.get("B", np.zeros((directions, 2 * len(ORDER[kind]) * hidden)))
    both_ways = directions == 2 or only_backwards  # the backward half of a layer of two directions
    layer = getattr(nn, kind)(features, hidden, bidirectional=both_ways, batch_first=bool(attributes.get("layout")))
    state = {}
    for k, suffix in enumerate(("", "_reverse") if both_ways else ("",)):
        k = min(k, directions - 1)
        arrays = (inputs["W"][k], inputs["R"][k], *np.split(biases[k], 2))
        for part, array in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), arrays):
            state[f"{part}_l0{suffix}"] = in_our_order(kind, array)
    layer.to(backend).load_state_dict(state)
    out, last = layer(inputs["X"])
    found = dict(zip(("Y_h", "Y_c"), last if isinstance(last, tuple) else (last,)))
    found = {key: part.numpy()[-directions:] for key, part in found.items()}
    y = out.numpy().reshape(*out.shape[:2], -1, hidden)[:, :, -directions:]  # (steps, batch, directions, H)
    found["Y"] = np.swapaxes(y, 1, 2)
    if layer.batch_first:  # there the batch is first in all of them
        found = {key: np.swapaxes(part, 0, 1) for key, part in found.items()} | {"Y": y}
    assert expected, name
    for key, array in expected.items():
        same(found[key], array, f"{kind} {name}: {key}", 1e-5, 1e-7)  # float32 there


@on_every_backend
def test_embedding_gives_what_gather_gives(backend):
    _, inputs, expected = case("Gather", "gather_0")
    table = inputs["data"]
    layer = nn.Embedding.from_pretrained(table.reshape(len(table), -1)).to(backend)
    found = layer(inputs["indices"]).numpy().reshape(-1, *table.shape[1:])
    same(found, expected["y"], "Gather", 0)
