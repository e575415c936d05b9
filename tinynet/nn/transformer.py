"""Transformer blocks and stacks of them, with PyTorch's arguments and names. Inputs are (length, batch, d_model), or
(batch, length, d_model) with ``batch_first``; masks mean what they mean to MultiheadAttention: True is left out.

Source: A. Vaswani et al., *Attention is all you need*, 2017; for norm_first R. Xiong et al., *On layer normalization in
the transformer architecture*, 2020.
"""

import copy
from collections.abc import Callable
from typing import Any

from tinynet.errors import ArgumentError, TypeMismatch
from tinynet.nn.activations import gelu
from tinynet.nn.attention import MultiheadAttention
from tinynet.nn.containers import ModuleList
from tinynet.nn.dropout import Dropout
from tinynet.nn.linear import Linear
from tinynet.nn.module import Module
from tinynet.nn.norm import LayerNorm
from tinynet.nn.settings import unusual, whole
from tinynet.tensor import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": Tensor.relu, "gelu": gelu}


class _Layer(Module):
    """What both layers share: their parts, and the way past each of them."""

    attentions: tuple[str, ...]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
    ) -> None:
        if not callable(activation) and activation not in ACTIVATIONS:
            raise ArgumentError(
                f"{type(self).__name__}({activation=}): choose one of {', '.join(ACTIVATIONS)}, or a function."
            )
        self.activation, self.norm_first = activation, norm_first
        for name in self.attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first))
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        for i in range(1, len(self.attentions) + 2):
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias))
            setattr(self, f"dropout{i}", Dropout(dropout))

    def _step(self, i: int, x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
        """x and what f adds to it, normalised before f or after."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        return x + dropout(f(norm(x))) if self.norm_first else norm(x + dropout(f(x)))

    def _look(self, name: str, x: Tensor, y: Tensor, mask: Any, padding: Any, causal: bool) -> Tensor:
        """What x finds in y."""
        return getattr(self, name)(
            x, y, y, attn_mask=mask, key_padding_mask=padding, is_causal=causal, need_weights=False
        )[0]

    def _feed_forward(self, x: Tensor) -> Tensor:
        activation = self.activation if callable(self.activation) else ACTIVATIONS[self.activation]
        return self.linear2(self.dropout(activation(self.linear1(x))))

    def extra_repr(self) -> str:
        """What its parts do not show."""
        return ", ".join(unusual(self, activation="relu", norm_first=False))


class TransformerEncoderLayer(_Layer):
    """Self attention, then two linear layers; each of these steps has a way past it and a norm:

        x ← norm(x + f(x)),    or with ``norm_first``    x ← x + f(norm(x))

    Shapes: (length, batch, d_model) -> the same.

    Args:
        d_model, nhead: the width, and how many heads share it evenly.
        dim_feedforward: the width between the two linear layers.
        dropout: how likely a number is left out in training: an attention weight, one between the linear layers, one of
            what a step adds.
        activation: between the linear layers, ``"relu"``, ``"gelu"`` or a function.
        layer_norm_eps: what keeps the norms' roots from 0.
        batch_first: whether the batch stands in front.
        norm_first: whether to normalise before a step and not after it; deep stacks then train more calmly.
        bias: whether linear layers and norms have one.

    Raises:
        ArgumentError: the heads do not divide the width, or there is no such activation.
    """

    attentions = ("self_attn",)

    def forward(
        self, src: Tensor, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """(length, batch, d_model) -> the same.

        Args:
            src_mask: (length, length), at what an element does not look.
            src_key_padding_mask: (batch, length), at what none looks.
            is_causal: each looks at itself and those before it alone; it needs no mask.
        """
        src = self._admit(src)
        x = self._step(1, src, lambda x: self._look("self_attn", x, x, src_mask, src_key_padding_mask, is_causal))
        return self._step(2, x, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self attention, attention to another sequence, then two linear layers. Arguments as for TransformerEncoderLayer.

    Shapes: (length, batch, d_model), (memory's length, batch, d_model) -> (length, batch, d_model).
    """

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """(length, batch, d_model), (memory's length, batch, d_model) -> (length, batch, d_model).

        Args:
            tgt_mask, tgt_key_padding_mask, tgt_is_causal: (length, length) and (batch, length), as for the encoder.
            memory_mask, memory_key_padding_mask, memory_is_causal: (length, memory's length) and (batch, memory's
                length), at what of the memory an element does not look.
        """
        tgt = self._admit(tgt)
        x = self._step(1, tgt, lambda x: self._look("self_attn", x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        x = self._step(
            2,
            x,
            lambda x: self._look("multihead_attn", x, memory, memory_mask, memory_key_padding_mask, memory_is_causal),
        )
        return self._step(3, x, self._feed_forward)


class _Stack(Module):
    """Copies of one layer behind each other, which all start with its weights, as in PyTorch."""

    kind: type[_Layer]

    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None) -> None:
        if not isinstance(layer, self.kind):
            raise TypeMismatch(f"{type(self).__name__} stacks copies of a {self.kind.__name__}; got {layer!r:.60}.")
        count = whole(type(self).__name__, num_layers=num_layers)
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(count)])
        self.norm = norm

    def _through(self, x: Tensor, *others: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *others)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """Encoder layers behind each other.

    Args:
        encoder_layer: what to copy; the copies start with its weights.
        num_layers: how many.
        norm: a last layer, which encoders with norm_first want.
    """

    kind = TransformerEncoderLayer

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self, src: Tensor, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """(length, batch, d_model) -> the same; masks as for the layer."""
        return self._through(src, mask, src_key_padding_mask, is_causal)


class TransformerDecoder(_Stack):
    """Decoder layers behind each other.

    Args:
        decoder_layer: what to copy; the copies start with its weights.
        num_layers: how many.
        norm: a last layer, which decoders with norm_first want.
    """

    kind = TransformerDecoderLayer

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """(length, batch, d_model), (memory's length, batch, d_model) -> (length, batch, d_model); masks as for the
        layer."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal, memory_is_causal)
        return self._through(tgt, memory, *masks)
