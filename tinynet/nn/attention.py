"""Attention: every query looks at all keys and takes the mean of their values, weighted by how well each key fits.

Here stand the operation itself and the layer with several heads; positions, blocks and whole models have files of their
own. A query from which every key is hidden gets zeros, not nan.
"""

import math
from itertools import zip_longest
from typing import Any

from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.functions import arange, where, zeros
from tinynet.fused import Fused
from tinynet.nn import init
from tinynet.nn.dropout import kept
from tinynet.nn.linear import Linear, linear
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import number, unusual, whole
from tinynet.parameter import Parameter
from tinynet.primitives import Primitive
from tinynet.tensor import Tensor


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """softmax(scale · q kᵀ + mask): (…, L, d), (…, S, d) -> (…, L, S)."""
    scores = q @ k.mT * scale
    if mask is not None:
        scores = where(mask, scores, -math.inf) if mask.dtype == "bool" else scores + mask
    if causal:
        queries, keys = (arange(n, backend=q.backend) for n in scores.shape[-2:])
        scores = where(keys <= queries.unsqueeze(1), scores, -math.inf)
    largest = scores.detach().amax(-1, keepdim=True)
    powers = (scores - where(largest == -math.inf, 0.0, largest)).exp()
    totals = powers.sum(-1, keepdim=True)
    return powers / where(totals == 0, 1.0, totals)


def _mean(weights: Tensor, v: Tensor, keep: Tensor | None) -> Tensor:
    """The weighted mean of the values, without the weights that dropout leaves out."""
    return (weights if keep is None else where(keep, weights, 0.0)) @ v


def _gradients(
    g: Tensor, out: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Any, keep: Any, weights: Tensor, causal: bool,
    scale: float,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    causal = causal and mask is None
    learned = mask is not None and mask.requires_grad
    dq, dk, dv, scores = _attention_grad(g, out, q, k, v, keep, weights, causal=causal, scale=scale, scores=learned)
    return dq, dk, dv, scores if learned else None, None


_attention_grad = Primitive("attention_grad", None)
attention = Fused(
    "attention",
    lambda q, k, v, mask, keep, causal, scale: _mean(_weights(q, k, mask, causal, scale), v, keep),
    saves=1,
    jointly=_gradients,
)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(q kᵀ / √d + mask) v.

    Shapes: query (…, L, d), key (…, S, d), value (…, S, e) -> (…, L, e), in batches that broadcast.

    Args:
        attn_mask: spreads to (…, L, S); booleans, True where a query may look at a key, or floats, which are added.
        dropout_p: how likely a weight is left out; always applied, so pass 0 in evaluation.
        is_causal: query i looks at keys 0 … i alone.
        scale: instead of 1/√d.

    Raises:
        ShapeError: shapes that do not fit together.
        ArgumentError: dropout_p outside 0 … 1.

    Source: A. Vaswani et al., *Attention is all you need*, 2017.
    """
    query, key, value, attn_mask = _fitting(query, key, value, attn_mask)
    value, keep = _dropped(query, key, value, dropout_p)
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    return attention(query, key, value, attn_mask, keep, causal=bool(is_causal), scale=scale)


def _fitting(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """All of them in one batch, and the mask's floats in the queries' element type, if everything fits together."""
    batches = [x.shape[-3::-1] for x in (query, key, value)]  # from the last dimension to the first
    batch = [max(sizes) for sizes in zip_longest(*batches, fillvalue=1)]
    if (
        min(query.ndim, key.ndim, value.ndim) < 2
        or any(n not in (1, m) for sizes in batches for n, m in zip(sizes, batch))
        or key.shape[-1] != query.shape[-1]
        or key.shape[-2] != value.shape[-2]
        or not key.shape[-2]
    ):
        raise ShapeError(
            "attention needs query (…, L, d), key (…, S, d) and value (…, S, e), with S at least 1; got "
            f"{query.shape}, {key.shape} and {value.shape}."
        )
    query, key, value = (x.broadcast_to((*batch[::-1], *x.shape[-2:])) for x in (query, key, value))
    if mask is None:
        return query, key, value, None
    scores = (*query.shape[:-1], key.shape[-2])
    if mask.ndim > len(scores) or any(m not in (1, n) for m, n in zip(mask.shape[::-1], scores[::-1])):
        raise ShapeError(f"attention needs a mask that spreads to {scores}, (…, queries, keys); got {mask.shape}.")
    if mask.dtype != "bool" and not mask.is_floating_point():
        raise TypeMismatch(f"attention needs a mask of booleans, or of floats to add; got {mask.dtype}.")
    return query, key, value, mask if mask.dtype == "bool" else mask.to(dtype=query.dtype)


def _dropped(query: Tensor, key: Tensor, value: Tensor, p: float) -> tuple[Tensor, Tensor | None]:
    """The values, scaled up to make good for the weights that are left out, and which weights stay."""
    p = number("attention", most=1, dropout_p=p)
    if not p:
        return value, None
    return value * (1 / (1 - p) if p < 1 else 0.0), kept((*query.shape[:-1], key.shape[-2]), p, query.backend)


class MultiheadAttention(Module):
    """Several attentions side by side, each on projections of its own; their results joined and projected once more.

        headᵢ = attention(query Wqᵢᵀ, key Wkᵢᵀ, value Wvᵢᵀ),    output = (head₁ … headₕ) Wᵀ + b

    Shapes: query (L, batch, embed_dim), key (S, batch, kdim), value (S, batch, vdim) -> (L, batch, embed_dim); with
    ``batch_first`` the batch stands in front. One example may come without it.

    Args:
        embed_dim, num_heads: the width, and how many heads share it evenly.
        dropout: how likely a weight is left out in training.
        bias: whether the projections add one.
        kdim, vdim: the widths of key and value; embed_dim where not given.

    Weights start as in PyTorch: those of the inputs' projections Xavier-uniform, biases 0.

    Raises:
        ArgumentError: the heads do not divide the width.

    Source: A. Vaswani et al., *Attention is all you need*, 2017.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
    ) -> None:
        name = "MultiheadAttention"
        embed_dim, num_heads = whole(name, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ArgumentError(
                f"MultiheadAttention({embed_dim}, {num_heads}): the heads share the width evenly. Choose a num_heads "
                f"that divides {embed_dim}."
            )
        kdim, vdim = (embed_dim if width is None else width for width in (kdim, vdim))
        self.embed_dim, self.num_heads, self.batch_first = embed_dim, num_heads, batch_first
        self.kdim, self.vdim = whole(name, kdim=kdim, vdim=vdim)
        self.dropout = number(name, most=1, dropout=dropout)
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = Parameter(zeros(3 * embed_dim, embed_dim))
        else:
            self.q_proj_weight = Parameter(zeros(embed_dim, embed_dim))
            self.k_proj_weight = Parameter(zeros(embed_dim, self.kdim))
            self.v_proj_weight = Parameter(zeros(embed_dim, self.vdim))
        for weight in self.parameters():
            init.xavier_uniform_(weight)
        self.in_proj_bias = Parameter(zeros(3 * embed_dim)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output; and the weights (batch, L, S), before dropout, or None where they are not needed: that is faster.

        Masks hold booleans, True where a key is *left out* (as in PyTorch, and unlike scaled_dot_product_attention), or
        floats, which are added to the scores.

        Args:
            key_padding_mask: (batch, S).
            attn_mask: (L, S) or (batch · num_heads, L, S).
            average_attn_weights: the mean over the heads; else (batch, num_heads, L, S).
            is_causal: query i looks at keys 0 … i alone; it needs no mask.

        Raises:
            ShapeError: an input or a mask that does not fit.
            TypeMismatch: a mask of integers.
        """
        query, key, value = (self._admit(x) for x in (query, key, value))
        self._check(query, key, value)
        q, k, v = self._projected(query, key, value)
        mask = self._mask(q, k, attn_mask, key_padding_mask)
        dropout, weights = self.dropout if self.training else 0.0, None
        if need_weights:
            weights = _weights(q, k, mask, is_causal, q.shape[-1] ** -0.5)
            heads = _mean(weights, *_dropped(q, k, v, dropout))
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if query.ndim == 3 else weights.squeeze(0)
        else:
            heads = scaled_dot_product_attention(q, k, v, mask, dropout, is_causal)
        joined = heads.permute(0, 2, 1, 3) if self.batch_first else heads.permute(2, 0, 1, 3)
        return self.out_proj(joined.reshape(query.shape)), weights

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        order = "batch, length" if self.batch_first else "length, batch"
        for name, x, width in (("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)):
            if not isinstance(x, Tensor) or x.ndim not in (2, 3) or x.shape[-1] != width:
                got = x.shape if isinstance(x, Tensor) else type(x).__name__
                raise ShapeError(f"{self.described()} needs {name} ({order}, {width}) or (length, {width}); got {got}.")
        batch = 0 if self.batch_first else 1
        if (
            key.shape[:-1] != value.shape[:-1]
            or key.ndim != query.ndim
            or (query.ndim == 3 and key.shape[batch] != query.shape[batch])
            or not key.shape[1 - batch if key.ndim == 3 else 0]
        ):
            raise ShapeError(
                f"{self.described()} needs one batch size, and a value for each key, one at least; got query "
                f"{query.shape}, key {key.shape} and value {value.shape}, each ({order}, width)."
            )

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Queries, keys and values, (batch, heads, length, width of a head); self attention has one product for all."""
        width, bias = self.embed_dim, self.in_proj_bias
        thirds = [slice(i * width, (i + 1) * width) for i in range(3)]
        if self.kdim == self.vdim == width:
            if query is key is value:
                joint = linear(floating(query, self.in_proj_weight), self.in_proj_weight, bias)
                return [self._heads(joint[..., third]) for third in thirds]
            weights = [self.in_proj_weight[third] for third in thirds]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if bias is None else bias[third] for third in thirds]
        return [self._heads(linear(floating(x, w), w, b)) for x, w, b in zip((query, key, value), weights, biases)]

    def _heads(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            x = x.unsqueeze(0 if self.batch_first else 1)
        x = x.reshape(*x.shape[:2], self.num_heads, self.embed_dim // self.num_heads)
        return x.permute(0, 2, 1, 3) if self.batch_first else x.permute(1, 2, 0, 3)

    def _mask(self, q: Tensor, k: Tensor, attn_mask: Any, key_padding_mask: Any) -> Tensor | None:
        """Both masks in one, of floats to add."""
        (batch, heads, queries), keys = q.shape[:3], k.shape[2]
        padding: dict[Any, Any] = {(batch, keys): (batch, 1, 1, keys)} | ({(keys,): (keys,)} if batch == 1 else {})
        pairs: dict[Any, Any] = {
            (queries, keys): (queries, keys),
            (batch * heads, queries, keys): (batch, heads, queries, keys),
        }
        total = None
        for name, mask, shapes in (("attn_mask", attn_mask, pairs), ("key_padding_mask", key_padding_mask, padding)):
            if mask is None:
                continue
            mask = self._admit(mask)
            if mask.shape not in shapes:
                raise ShapeError(
                    f"{self.described()} needs {name} {' or '.join(map(str, shapes))}, True or -inf where a key is "
                    f"left out; got {mask.shape}."
                )
            if mask.dtype != "bool" and not mask.is_floating_point():
                raise TypeMismatch(f"{self.described()} needs {name} of booleans or floats; got {mask.dtype}.")
            mask = where(mask, -math.inf, 0.0) if mask.dtype == "bool" else mask
            mask = mask.to(dtype=q.dtype).reshape(shapes[mask.shape])
            total = mask if total is None else total + mask
        return total

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        usual = {"dropout": 0.0, "kdim": self.embed_dim, "vdim": self.embed_dim, "batch_first": False}
        bias = ["bias=False"] if self.in_proj_bias is None else []
        return ", ".join((str(self.embed_dim), str(self.num_heads), *bias, *unusual(self, **usual)))


MultiHeadAttention = MultiheadAttention  # the other spelling that is common
