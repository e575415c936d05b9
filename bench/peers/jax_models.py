"""The networks of every family as plain functions of parameters and inputs, as one writes them in JAX.

Parameters are a dictionary of arrays by PyTorch's names and in its layouts. Separate from ``jax_jit.py`` because one
is mathematics and the other how it is run.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tinynet.bench.workload import Workload

Forward = Callable[[Any, Any], Any]


def mlp(workload: Any) -> Forward:
    """Dense layers with ReLU between them."""
    last = 2 * (len(workload.layers) - 2)

    def forward(p: Any, x: Any) -> Any:
        for i in range(0, last, 2):
            x = jax.nn.relu(_dense(p, str(i), x))
        return _dense(p, str(last), x)

    return forward


def cnn(workload: Workload) -> Forward:
    """Two convolutions, each with ReLU and pooling, and two dense layers.

    Channels are last and pooling is a maximum over a reshaped array, which is the fastest form on a CPU.
    """

    def block(p: Any, name: str, x: Any) -> Any:
        layout = ("NHWC", "OIHW", "NHWC")
        x = lax.conv_general_dilated(x, p[f"{name}.weight"], (1, 1), "VALID", dimension_numbers=layout)
        x = jax.nn.relu(x + p[f"{name}.bias"])
        batch, height, width, channels = x.shape
        x = x[:, : height // 2 * 2, : width // 2 * 2]  # a row or a column left over is not pooled
        return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))

    def forward(p: Any, x: Any) -> Any:
        x = block(p, "3", block(p, "0", x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
        return _dense(p, "9", jax.nn.relu(_dense(p, "7", x.reshape(x.shape[0], -1))))

    return forward


def rnn(workload: Workload, unroll: int = 4) -> Forward:
    """An embedding, a plain recurrent layer, logits at every step; four steps a turn of the loop are the fastest on a
    CPU."""

    def forward(p: Any, x: Any) -> Any:
        recurrent = p["layer.weight_hh_l0"].T
        driven = _driven(p, x)

        def one(h: Any, now: Any) -> Any:
            h = jnp.tanh(now + h @ recurrent)
            return h, h

        _, states = lax.scan(one, jnp.zeros((x.shape[0], recurrent.shape[0])), driven, unroll=unroll)
        return _dense(p, "head", states.swapaxes(0, 1))

    return forward


def lstm(workload: Workload, unroll: int = 1) -> Forward:
    """The same with long short-term memory: gates input, forget, cell, output."""

    def forward(p: Any, x: Any) -> Any:
        recurrent = p["layer.weight_hh_l0"].T
        driven = _driven(p, x)

        def one(state: Any, now: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(now + h @ recurrent, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((x.shape[0], recurrent.shape[0]))
        _, states = lax.scan(one, (start, start), driven, unroll=unroll)
        return _dense(p, "head", states.swapaxes(0, 1))

    return forward


def gpt(workload: Workload) -> Forward:
    """Pre-norm blocks of causal attention and a network four times as wide inside."""
    _, width, heads, layers = workload.sizes

    def block(p: Any, name: str, x: Any) -> Any:
        batch, length, _ = x.shape
        parts = _dense(p, f"{name}.inward", _norm(p, f"{name}.before", x))
        q, k, v = parts.reshape(batch, length, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / jnp.sqrt(width // heads)
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf)
        seen = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)
        x = x + _dense(p, f"{name}.outward", seen)
        inner = jax.nn.gelu(_dense(p, f"{name}.network.0", _norm(p, f"{name}.between", x)), approximate=False)
        return x + _dense(p, f"{name}.network.2", inner)

    def forward(p: Any, x: Any) -> Any:
        x = p["0.weight"][x]
        for i in range(1, layers + 1):
            x = block(p, str(i), x)
        return _dense(p, str(layers + 2), _norm(p, str(layers + 1), x))

    return forward


def names(workload: Workload) -> Forward:
    """An embedding a character, one layer of tanh, logits."""

    def forward(p: Any, x: Any) -> Any:
        embedded = p["0.weight"][x].reshape(x.shape[0], -1)
        return _dense(p, "4", jnp.tanh(_dense(p, "2", embedded)))

    return forward


MODELS: dict[str, Callable[..., Forward]] = {
    "mlp": mlp, "moons": mlp, "cnn": cnn, "rnn": rnn, "lstm": lstm, "gpt": gpt, "names": names,
}  # fmt: skip


def _dense(p: Any, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _norm(p: Any, name: str, x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def _driven(p: Any, x: Any) -> Any:
    """What the inputs contribute to a recurrent layer, for all steps at once, time first."""
    driven = p["embedding.weight"][x] @ p["layer.weight_ih_l0"].T + p["layer.bias_ih_l0"] + p["layer.bias_hh_l0"]
    return driven.swapaxes(0, 1)
