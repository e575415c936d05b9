"""GPT: a transformer that says which token comes next, and so writes on by itself.

The architecture, the names of its parameters and how they start are those of A. Karpathy's nanoGPT (2022), after A.
Radford et al., *Language models are unsupervised multitask learners*, 2019 (GPT-2).
"""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

from tinynet import random
from tinynet.errors import ArgumentError, ShapeError
from tinynet.functions import arange, cat
from tinynet.modes import no_grad
from tinynet.nn import init
from tinynet.nn.activations import GELU
from tinynet.nn.attention import scaled_dot_product_attention
from tinynet.nn.containers import ModuleList
from tinynet.nn.dropout import Dropout
from tinynet.nn.embedding import Embedding
from tinynet.nn.linear import Linear
from tinynet.nn.module import Module
from tinynet.nn.norm import LayerNorm
from tinynet.nn.positions import LearnedPositions, RotaryPositions
from tinynet.nn.sampling import drawn
from tinynet.nn.settings import number, unusual, whole
from tinynet.tensor import Tensor

Memory = list[list[Tensor]]  # for each block the keys and values of the tokens so far; empty lists to begin with


def _seen(memory: list[Tensor] | None) -> int:
    """How many tokens a block's memory holds."""
    return memory[0].shape[2] if memory else 0


class CausalSelfAttention(Module):
    """Each token looks at itself and those before it."""

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool, rotary: bool) -> None:
        self.n_head, self.dropout = n_head, dropout
        self.c_attn = Linear(n_embd, 3 * n_embd, bias)
        self.c_proj = Linear(n_embd, n_embd, bias)
        self.resid_dropout = Dropout(dropout)
        self.rotary = RotaryPositions(n_embd // n_head) if rotary else None

    def forward(self, x: Tensor, memory: list[Tensor] | None = None) -> Tensor:
        """(batch, length, n_embd) -> the same; x goes on from what the memory holds, and is added to it."""
        batch, length, width = x.shape
        q, k, v = self.c_attn(x).reshape(batch, length, 3, self.n_head, width // self.n_head).permute(2, 0, 3, 1, 4)
        seen = _seen(memory)
        if self.rotary is not None:
            q, k = self.rotary(q, offset=seen), self.rotary(k, offset=seen)
        if memory is not None:
            k, v = (cat([old, new], dim=2) for old, new in zip(memory, (k, v))) if memory else (k, v)
            memory[:] = k, v
        mask = None
        if seen and length > 1:
            mask = arange(seen + length, backend=x.backend) <= arange(seen, seen + length, backend=x.backend).unsqueeze(
                1
            )
        dropout = self.dropout if self.training else 0.0
        heads = scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=not seen and length > 1)
        return self.resid_dropout(self.c_proj(heads.permute(0, 2, 1, 3).reshape(batch, length, width)))

    def extra_repr(self) -> str:
        """The number of heads."""
        return f"n_head={self.n_head}"


class MLP(Module):
    """Two linear layers with a GELU between them, four times as wide inside."""

    def __init__(self, n_embd: int, dropout: float, bias: bool) -> None:
        self.c_fc = Linear(n_embd, 4 * n_embd, bias)
        self.gelu = GELU()
        self.c_proj = Linear(4 * n_embd, n_embd, bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(…, n_embd) -> the same."""
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class Block(Module):
    """x + attention(norm(x)), then x + network(norm(x))."""

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool, rotary: bool) -> None:
        self.ln_1 = LayerNorm(n_embd, bias=bias)
        self.attn = CausalSelfAttention(n_embd, n_head, dropout, bias, rotary)
        self.ln_2 = LayerNorm(n_embd, bias=bias)
        self.mlp = MLP(n_embd, dropout, bias)

    def forward(self, x: Tensor, memory: list[Tensor] | None = None) -> Tensor:
        """(batch, length, n_embd) -> the same."""
        x = x + self.attn(self.ln_1(x), memory=memory)
        return x + self.mlp(self.ln_2(x))


class Trunk(Module):
    """Everything but the last layer: tokens become vectors, which the blocks refine."""

    def __init__(
        self, vocab_size: int, block_size: int, n_layer: int, n_head: int, n_embd: int, dropout: float, bias: bool,
        rotary: bool,
    ) -> None:  # fmt: skip
        self.wte = Embedding(vocab_size, n_embd)
        self.wpe = None if rotary else LearnedPositions(block_size, n_embd, batch_first=True)
        self.drop = Dropout(dropout)
        self.h = ModuleList([Block(n_embd, n_head, dropout, bias, rotary) for _ in range(n_layer)])
        self.ln_f = LayerNorm(n_embd, bias=bias)

    def forward(self, tokens: Tensor, memory: Memory | None = None) -> Tensor:
        """(batch, length) -> (batch, length, n_embd)."""
        x = self.wte(tokens)
        if self.wpe is not None:
            x = self.wpe(x, offset=_seen(memory[0] if memory else None))
        x = self.drop(x)
        for i, block in enumerate(self.h):
            x = block(x, memory=None if memory is None else memory[i])
        return self.ln_f(x)


class GPT(Module):
    """A language model: from the tokens so far, the logits of the next one, at every place at once.

    Shapes: (batch, length) of integers below vocab_size -> (batch, length, vocab_size), for lengths up to block_size.

    Args:
        vocab_size: the number of different tokens.
        block_size: how many tokens it sees at once.
        n_layer, n_head, n_embd: the number of blocks, the heads of each, the width.
        dropout: how likely a number is left out in training.
        bias: whether linear layers and norms have one.
        positions: ``"learned"``, a row for each, or ``"rotary"``.
        tie_weights: whether the last layer has the embedding's weights.

    Weights start normal with std 0.02, those whose results are added to what flows past with 0.02 / √(2 n_layer);
    biases at 0.

    Raises:
        ArgumentError: the heads do not divide the width, or there are no such positions.
        ShapeError: more tokens than block_size.
    """

    def __init__(
        self,
        vocab_size: int,
        block_size: int,
        n_layer: int,
        n_head: int,
        n_embd: int,
        dropout: float = 0.0,
        bias: bool = True,
        positions: str = "learned",
        tie_weights: bool = True,
    ) -> None:
        vocab_size, block_size = whole("GPT", vocab_size=vocab_size, block_size=block_size)
        n_layer, n_head, n_embd = whole("GPT", n_layer=n_layer, n_head=n_head, n_embd=n_embd)
        if n_embd % n_head:
            raise ArgumentError(
                f"GPT(n_head={n_head}, n_embd={n_embd}): the heads share the width evenly. Choose an n_head that "
                f"divides {n_embd}."
            )
        if positions not in ("learned", "rotary"):
            raise ArgumentError(f"GPT({positions=}): choose 'learned' or 'rotary'.")
        if positions == "rotary" and n_embd // n_head % 2:
            raise ArgumentError(
                f"GPT(n_head={n_head}, n_embd={n_embd}, {positions=}): these take the numbers of each head in pairs. "
                f"Choose an n_embd that {2 * n_head} divides."
            )
        self.vocab_size, self.block_size, self.positions = vocab_size, block_size, positions
        self.transformer = Trunk(
            vocab_size, block_size, n_layer, n_head, n_embd, dropout, bias, rotary=positions == "rotary"
        )
        self.lm_head = Linear(n_embd, vocab_size, bias=False)
        if tie_weights:
            self.lm_head.weight = self.transformer.wte.weight
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                init.normal_(parameter, std=0.02 / (math.sqrt(2 * n_layer) if name.endswith("c_proj.weight") else 1))
            elif name.endswith("bias"):
                init.zeros_(parameter)

    def forward(self, tokens: Tensor, memory: Memory | None = None) -> Tensor:
        """(batch, length) -> (batch, length, vocab_size).

        Args:
            memory: what an earlier call kept of the tokens before these; this call adds to it. An empty list for each
                block to begin with.
        """
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or not tokens.shape[1]:
            got = getattr(tokens, "shape", tokens)
            raise ShapeError(f"{self.described()} needs tokens (batch, length), one at least; got {got!r:.60}.")
        blocks = len(self.transformer.h)
        if memory is not None and not (isinstance(memory, list) and len(memory) == blocks):
            raise ArgumentError(
                f"{self.described()} needs memory, a list for each of its {blocks} blocks, empty ones to begin with; "
                f"got {memory!r:.60}."
            )
        seen = _seen(memory[0] if memory else None)
        if seen + tokens.shape[1] > self.block_size:
            after = f" after {seen} in memory" if seen else ""
            raise ShapeError(
                f"{self.described()} sees {self.block_size} tokens at once; got {tokens.shape}{after}. Shorten the "
                "text, or make block_size larger."
            )
        return self.lm_head(self.transformer(tokens, memory=memory))

    def generate(
        self,
        tokens: Any,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """The tokens, and as many new ones, each drawn from what the model makes of those before it.

        The model sees the last block_size tokens. It is in evaluation mode meanwhile.

        Args:
            tokens: (batch, length) integers to begin with, at least one.
            temperature: below 1 the likely tokens become likelier; 0 always takes the likeliest.
            top_k: draw from the k likeliest alone.
            seed: for the same text again; where not given it follows from ``tn.manual_seed``.

        Returns:
            (batch, length + max_new_tokens).

        Raises:
            ArgumentError: no token to begin with, one that is not in the vocabulary, or a setting out of range.
        """
        tokens = self._prompt(tokens)
        return cat([tokens, *self.stream(tokens, max_new_tokens, temperature, top_k, seed)], dim=1)

    def stream(
        self,
        tokens: Any,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> Iterator[Tensor]:
        """As ``generate``, but each new token (batch, 1) as soon as it is drawn, to be shown while the model writes."""
        tokens = self._prompt(tokens)
        max_new_tokens = whole("GPT.generate", 0, max_new_tokens=max_new_tokens)
        temperature = number("GPT.generate", temperature=temperature)
        top_k = None if top_k is None else whole("GPT.generate", top_k=top_k)
        chance = Random(int(random.generator().integers(2**32)) if seed is None else seed)
        return self._written(tokens, max_new_tokens, temperature, top_k, chance)

    def _prompt(self, tokens: Any) -> Tensor:
        """Tokens to begin with, where the parameters are, if the model knows them all."""
        tokens = self._admit(tokens)
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or not tokens.size or tokens.is_floating_point():
            got = f"{tokens.shape} {tokens.dtype}" if isinstance(tokens, Tensor) else repr(tokens)[:60]
            raise ArgumentError(f"{self.described()} goes on from integers (batch, length), one at least; got {got}.")
        numbers = tokens.numpy()
        if not 0 <= numbers.min() <= numbers.max() < self.vocab_size:
            raise ArgumentError(
                f"{self.described()} knows tokens 0 … {self.vocab_size - 1}; got {numbers.min()} … {numbers.max()}."
            )
        return tokens.to(dtype="int64")

    def _written(
        self, tokens: Tensor, count: int, temperature: float, top_k: int | None, chance: Random
    ) -> Iterator[Tensor]:
        text = unseen = tokens[:, -self.block_size :]
        memory = self._empty()
        for _ in range(count):
            with self.evaluating(), no_grad():
                logits = self(unseen, memory=memory)[:, -1].numpy()
            new = Tensor([[token] for token in drawn(logits, temperature, top_k, chance)], backend=tokens.backend)
            yield new
            text, unseen = cat([text, new], dim=1), new
            if text.shape[1] > self.block_size:  # every position changes, and with it all that was kept
                text = unseen = text[:, 1:]
                memory = self._empty()

    def _empty(self) -> Memory:
        return [[] for _ in self.transformer.h]

    def extra_repr(self) -> str:
        """The sizes of its input, and what differs from the default."""
        return ", ".join((str(self.vocab_size), str(self.block_size), *unusual(self, positions="learned")))
