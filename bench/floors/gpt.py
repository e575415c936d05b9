"""A small GPT by hand: blocks of layer norm, causal attention and a network four times as wide with GELU.

Numbers lie as (features, tokens): the means of a layer norm are products with a vector from the left, and a head's
queries, keys and values are matrices as they lie, which BLAS takes without a copy. Scores lie as (keys, queries).
"""

import math
from typing import Any

import numpy as np

from tinynet.bench.floors.floor import Run
from tinynet.bench.floors.parts import constant, cross_entropy, room
from tinynet.bench.floors.tokens import look_up, put_back

EPSILON = constant(1e-5)
CALM = 20.0  # scores between -20 and 20: e may be raised to them as they are
ONE, HALF, MINUS_HALF = constant(1), constant(0.5), constant(-0.5)
DENSITY = constant(1 / math.sqrt(2 * math.pi))
# erf(x/√2) = tanh(x · Σ cᵢ x²ⁱ) to 6e-8; lowest power first, as in tinynet's kernel
AS_TANH = [
    constant(c)
    for c in (7.97884941e-01, 3.63330846e-02, -3.25949699e-05, -5.53061963e-05, 3.96474494e-06, -1.32263386e-07,
              1.75617213e-09)
]  # fmt: skip


class Norm:
    """Layer norm of (features, tokens)."""

    def __init__(self, w: Any, b: Any, g_w: Any, g_b: Any, tokens: int) -> None:
        width = len(w)
        self.w, self.b, self.g_w, self.g_b = w[:, None], b[:, None], g_w, g_b
        self.normal, self.out, self.scratch = (room(width, tokens) for _ in range(3))
        self.mean, self.scale, self.ones = room(tokens), room(tokens), np.ones(tokens, np.float32)
        self.share, self.weighted = np.full(width, 1 / width, np.float32), room(width)

    def forward(self, x: Any) -> Any:
        """(x - mean) / √(var + ε) · w + b."""
        normal, out, mean, scale = self.normal, self.out, self.mean, self.scale
        self.share.dot(x, mean)
        np.subtract(x, mean, normal)
        np.multiply(normal, normal, out)
        self.share.dot(out, scale)
        np.add(scale, EPSILON, scale)
        np.sqrt(scale, scale)
        np.divide(ONE, scale, scale)
        np.multiply(normal, scale, normal)
        np.multiply(normal, self.w, out)
        return np.add(out, self.b, out)

    def back(self, g: Any) -> Any:
        """(gw - mean(gw) - x̂ mean(gw x̂)) / √(var + ε), in place of g."""
        normal, product, mean = self.normal, self.scratch, self.mean
        g.dot(self.ones, self.g_b)
        np.multiply(g, normal, product)
        product.dot(self.ones, self.g_w)
        np.multiply(self.w[:, 0], self.share, self.weighted)
        self.weighted.dot(g, mean)
        np.multiply(g, self.w, g)
        np.subtract(g, mean, g)
        self.weighted.dot(product, mean)
        np.multiply(normal, mean, normal)
        np.subtract(g, normal, g)
        return np.multiply(g, self.scale, g)


class Linear:
    """W x + b of (features, tokens)."""

    def __init__(self, w: Any, b: Any, g_w: Any, g_b: Any, tokens: int) -> None:
        self.w, self.b, self.g_w, self.g_b = w, b[:, None], g_w, g_b
        self.ones, self.x = np.ones(tokens, np.float32), None

    def forward(self, x: Any, out: Any) -> Any:
        """W x + b, into ``out``."""
        self.x = x
        self.w.dot(x, out)
        return np.add(out, self.b, out)

    def back(self, g: Any, out: Any) -> Any:
        """The slopes of weights and bias, and that of x into ``out``."""
        g.dot(self.x.T, self.g_w)  # type: ignore[attr-defined]
        g.dot(self.ones, self.g_b)
        return self.w.T.dot(g, out)


class Attention:
    """Causal attention of ``qkv`` (3 · width, tokens), into ``seen`` (width, tokens)."""

    def __init__(self, width: int, heads: int, rows: int, length: int) -> None:
        tokens, each = rows * length, width // heads
        self.qkv, self.d_qkv, self.seen, self.product = (
            *(room(3 * width, tokens) for _ in range(2)),
            *(room(width, tokens) for _ in range(2)),
        )
        self.q_all, self.d_q_all, self.scale = self.qkv[:width], self.d_qkv[:width], constant(1 / math.sqrt(each))
        self.by_head = heads, each, rows, length
        self.q, self.k, self.v = self.qkv.reshape(3, *self.by_head).swapaxes(2, 3)
        self.d_q, self.d_k, self.d_v = self.d_qkv.reshape(3, *self.by_head).swapaxes(2, 3)
        self.out = self.seen.reshape(self.by_head).swapaxes(1, 2)
        self.weights, self.slopes = room(heads, rows, length, length), room(heads, rows, length, length)
        self.total, self.across = room(heads, rows, 1, length), np.ones((1, length), np.float32)
        self.along, self.sums = np.ones((1, each), np.float32), room(heads, 1, tokens)
        self.by_query = self.sums.reshape(heads, 1, rows, length).swapaxes(1, 2)
        self.visible = np.triu(np.ones((length, length), np.float32))

    def forward(self) -> Any:
        """softmax(k q / √d), a column for each query, then v times it."""
        weights = self.weights
        np.multiply(self.q_all, self.scale, self.q_all)
        np.matmul(self.k.swapaxes(-1, -2), self.q, weights)
        if not (weights.max() < CALM and weights.min() > -CALM):
            np.copyto(weights, -math.inf, where=self.visible == 0)
            np.subtract(weights, weights.max(-2, keepdims=True), weights)
        np.exp(weights, weights)
        np.multiply(weights, self.visible, weights)
        np.matmul(self.across, weights, self.total)
        np.divide(weights, self.total, weights)
        np.matmul(self.v, weights, self.out)
        return self.seen

    def back(self, g: Any) -> Any:
        """The slopes of queries, keys and values: ds = softmax · (v g - Σ g seen), the sum over a head's features."""
        by_head, slopes = g.reshape(self.by_head).swapaxes(1, 2), self.slopes
        np.multiply(g, self.seen, self.product)
        np.matmul(self.along, self.product.reshape(*self.by_head[:2], -1), self.sums)
        np.matmul(by_head, self.weights.swapaxes(-1, -2), self.d_v)
        np.matmul(self.v.swapaxes(-1, -2), by_head, slopes)
        np.subtract(slopes, self.by_query, slopes)
        np.multiply(slopes, self.weights, slopes)
        np.matmul(self.k, slopes, self.d_q)
        np.matmul(self.q, slopes.swapaxes(-1, -2), self.d_k)
        np.multiply(self.d_q_all, self.scale, self.d_q_all)
        return self.d_qkv


def gelu(x: Any, cdf: Any, slope: Any) -> Any:
    """x Φ(x) in place of x; its slope, Φ(x) + x φ(x), into ``slope``; Φ(x) on the way into ``cdf``."""
    np.multiply(x, x, slope)
    np.multiply(slope, AS_TANH[-1], cdf)
    for c in AS_TANH[-2:0:-1]:
        np.add(cdf, c, cdf)
        np.multiply(cdf, slope, cdf)
    np.add(cdf, AS_TANH[0], cdf)
    np.multiply(cdf, x, cdf)
    np.tanh(cdf, cdf)
    np.add(cdf, ONE, cdf)
    np.multiply(cdf, HALF, cdf)
    np.multiply(slope, MINUS_HALF, slope)
    np.exp(slope, slope)
    np.multiply(slope, DENSITY, slope)
    np.multiply(slope, x, slope)
    np.add(slope, cdf, slope)
    return np.multiply(x, cdf, x)


def share(workload: Any, w: dict[str, Any], g: dict[str, Any], rows: int, count: int) -> Run:
    """Forward and backward for so many sequences, x: (rows, length)."""
    (_, width, heads, layers), length = workload.sizes, workload.length
    tokens = rows * length

    def layer(kind: Any, name: str) -> Any:
        return kind(*(arrays[f"{name}.{part}"] for arrays in (w, g) for part in ("weight", "bias")), tokens)

    blocks = [
        (layer(Norm, f"{i}.before"), layer(Linear, f"{i}.inward"), Attention(width, heads, rows, length),
         layer(Linear, f"{i}.outward"), layer(Norm, f"{i}.between"), layer(Linear, f"{i}.network.0"),
         layer(Linear, f"{i}.network.2"), room(4 * width, tokens), room(4 * width, tokens))
        for i in range(1, layers + 1)
    ]  # fmt: skip
    last, head = layer(Norm, f"{layers + 1}"), layer(Linear, f"{layers + 2}")
    x, d, part, in_rows = *(room(width, tokens) for _ in range(3)), room(tokens, width)
    wide, scores = room(4 * width, tokens), room(len(head.w), tokens)
    find, add_up = look_up(w["0.weight"], in_rows), put_back(g["0.weight"], in_rows)
    entropy = cross_entropy(scores, length * count)

    def run(given: Any, y: Any) -> Any:
        find(given)
        np.copyto(x, in_rows.T)
        for before, inward, attention, outward, between, widen, narrow, hidden, slope in blocks:
            inward.forward(before.forward(x), attention.qkv)
            np.add(x, outward.forward(attention.forward(), part), x)
            widen.forward(between.forward(x), hidden)
            gelu(hidden, wide, slope)
            np.add(x, narrow.forward(hidden, part), x)
        head.forward(last.forward(x), scores)
        loss = entropy(y.reshape(-1))
        last.back(head.back(scores, d))
        for before, inward, attention, outward, between, widen, narrow, _, slope in blocks[::-1]:
            np.multiply(narrow.back(d, wide), slope, wide)
            np.add(d, between.back(widen.back(wide, part)), d)
            np.add(d, before.back(inward.back(attention.back(outward.back(d, part)), part)), d)
        np.copyto(in_rows, d.T)
        add_up(given)
        return loss

    return run
