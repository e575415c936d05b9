"""Attention, rotary positions and SiLU on the test cases that the onnx package ships for their operators.

What ONNX says with settings (how long each sequence is, a window, how many keys came before) is said here with a mask,
which the adapter below writes. A case is left out, with the reason, where it asks for what the operation, like
PyTorch's, cannot say.
"""

import importlib
import math
from functools import cache
from unittest import mock

import numpy as np
import pytest
from support import engine, on_every_backend, same

from tinynet import Tensor, nn
from tinynet.functions import cat
from tinynet.nn import functional as F
from tinynet.nn.positions import rotate

pytestmark = pytest.mark.onnx

# --- what each operator is here ---------------------------------------------------------------------------------------


def attention(attributes, Q, K, V, attn_mask=None, past_key=None, past_value=None, nonpad_kv_seqlen=None):
    def heads(x, who):  # (batch, length, heads · width) -> (batch, heads, length, width)
        return x.reshape(*x.shape[:2], attributes[f"{who}_num_heads"], -1).permute(0, 2, 1, 3) if flat else x

    flat = Q.ndim == 3
    q, k, v = heads(Q, "q"), heads(K, "kv"), heads(V, "kv")
    k, v = (x if past is None else cat([past, x], dim=2) for x, past in ((k, past_key), (v, past_value)))
    group = [i * k.shape[1] // q.shape[1] for i in range(q.shape[1])]  # heads of queries may share one of keys
    mask = shown(attributes, q.shape[2], k.shape[2], past_key, nonpad_kv_seqlen)
    if attn_mask is not None:
        given = attn_mask.numpy()
        hidden = False if given.dtype == bool else -math.inf
        narrow = k.shape[2] - given.shape[-1] if given.shape[-1] > 1 else 0  # keys that it does not reach are padding
        given = np.pad(given, [(0, 0)] * (given.ndim - 1) + [(0, narrow)], constant_values=hidden)
        mask = mask & given if given.dtype == bool else np.where(mask, given, hidden).astype(given.dtype)
    mask = Tensor(mask, backend=q.backend)
    out = F.scaled_dot_product_attention(q, k[:, group], v[:, group], mask, scale=attributes.get("scale"))
    return (out.permute(0, 2, 1, 3).flatten(2) if flat else out), k, v


def shown(attributes, queries, keys, past, lengths):
    """Which key each query may look at: queries stand after the past, or at the end of what is not padding."""
    key, first = np.arange(keys), np.zeros(1, int) if past is None else np.array([past.shape[2]])
    mask = np.ones((1, 1, 1, keys), bool)
    if lengths is not None:
        ends = lengths.numpy()
        first, mask = ends - queries, (key < ends[:, None])[:, None, None]
    query = (first[:, None] + np.arange(queries))[:, None, :, None]
    left, right = (attributes.get(f"{side}_window_size", -1) for side in ("left", "right"))
    mask = mask & (key >= query - left) if left >= 0 else mask
    mask = mask & (key <= query + right) if right >= 0 else mask
    return np.asarray(mask & (key <= query) if attributes.get("is_causal") else mask)


def rotary(attributes, input, cos_cache, sin_cache, position_ids=None):
    flat, x = input.ndim == 3, input
    x = x.reshape(*x.shape[:2], attributes["num_heads"], -1).permute(0, 2, 1, 3) if flat else x
    cos, sin = (t if position_ids is None else t[position_ids] for t in (cos_cache, sin_cache))
    width = attributes.get("rotary_embedding_dim") or x.shape[-1]
    turned = rotate(x[..., :width], cos.unsqueeze(1), sin.unsqueeze(1))
    out = cat([turned, x[..., width:]], dim=-1)
    return (out.permute(0, 2, 1, 3).flatten(2) if flat else out,)


OPERATORS = {"Attention": attention, "RotaryEmbedding": rotary, "Swish": lambda attributes, x: (nn.SiLU()(x),)}
LEFT_OUT = {
    "softcap": "scores are not capped",
    "interleaved": "pairs lie half the width apart",
    "bf16": "there is no bfloat16",
}
RAN = {"Attention": (77, 93), "RotaryEmbedding": (5, 8), "Swish": (1, 1)}  # of how many

# --- the cases --------------------------------------------------------------------------------------------------------


@cache
def cases(operator):
    """Name -> the call that holds a case."""
    module = importlib.import_module(f"onnx.backend.test.case.node.{operator.lower()}")
    with mock.patch.object(module, "expect") as expect:
        holder = getattr(module, operator)
        for name in dir(holder):
            if name.startswith("export"):
                getattr(holder, name)()
    return {call.kwargs["name"]: call for call in expect.call_args_list}


def attributes_of(node):
    return {a.name: a.s.decode() or (a.f if a.type == a.FLOAT else a.i) for a in node.attribute}


@on_every_backend
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_operation_gives_what_onnx_gives(operator, backend):
    ran = 0
    for name, call in cases(operator).items():
        node, attributes = call.args[0], attributes_of(call.args[0])
        if any(word in name or attributes.get(word) for word in LEFT_OUT):
            continue
        arrays = dict(zip(filter(None, node.input), call.kwargs["inputs"], strict=True))
        given = {key: Tensor(np.asarray(x), backend=engine(backend)) for key, x in arrays.items()}
        found = OPERATORS[operator](attributes, **given)
        outputs = dict(zip(filter(None, node.output), call.kwargs["outputs"], strict=True))
        outputs.pop("qk_matmul_output", None)  # scores: ours are not handed out
        tolerance = 2e-3 if next(iter(outputs.values())).dtype == np.float16 else 1e-5
        for array, (output, expected) in zip(found, outputs.items()):
            same(array.numpy(), expected, f"{name}: {output}", tolerance, tolerance / 10)
        ran += 1
    assert (ran, len(cases(operator))) == RAN[operator]
