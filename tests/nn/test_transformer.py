"""Transformer layers and stacks: every number against PyTorch and Values, recorded as run, and what does not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_twins import agree_with_values, are_pytorchs
from support import engine, on_every_backend, seeds, smooth
from twins import replays_as_it_runs

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch


@st.composite
def cases(draw, most=4):
    """Sizes, settings, the two sequences, and masks that leave the first key of each query."""
    random, sizes = np.random.default_rng(draw(seeds)), st.integers(1, most)
    heads = draw(st.integers(1, 2))
    width, batch, lengths = heads * draw(st.integers(1, 2)) * 2, draw(sizes), (draw(sizes), draw(sizes))
    made = {
        "dim_feedforward": draw(sizes),
        "activation": draw(st.sampled_from(["relu", "gelu"])),
        "layer_norm_eps": draw(st.sampled_from([1e-5, 0.1])),
        "batch_first": draw(st.booleans()),
        "norm_first": draw(st.booleans()),
        "bias": draw(st.booleans()),
    }
    arrays = [smooth(random, (batch, n, width) if made["batch_first"] else (n, batch, width)) for n in lengths]

    def mask(*shape):
        out = random.random(shape) < 0.4
        out[..., 0] = False
        return out if draw(st.booleans()) else None

    target, memory = lengths
    found = {
        "tgt_mask": mask(target, target), "memory_mask": mask(target, memory),
        "tgt_key_padding_mask": mask(batch, target), "memory_key_padding_mask": mask(batch, memory),
    }  # fmt: skip
    return (width, heads), made, arrays, found


def encoding(case):
    """The part of a case that an encoder takes."""
    sizes, made, arrays, masks = case
    return sizes, made, arrays[:1], {"mask": masks["tgt_mask"], "src_key_padding_mask": masks["tgt_key_padding_mask"]}


def encoder(library, sizes, made, norm=True, dropout=0.0):
    layer = library.TransformerEncoderLayer(*sizes, dropout=dropout, **made)
    return library.TransformerEncoder(layer, 2, library.LayerNorm(sizes[0]) if norm else None)


def decoder(library, sizes, made, norm=True, dropout=0.0):
    layer = library.TransformerDecoderLayer(*sizes, dropout=dropout, **made)
    return library.TransformerDecoder(layer, 2, library.LayerNorm(sizes[0]) if norm else None)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
@pytest.mark.parametrize("stack", [encoder, decoder])
def test_stacks_are_pytorchs(stack):
    import torch

    @settings(max_examples=30)
    @given(cases(), st.booleans())
    def check(case, norm):
        sizes, made, arrays, masks = encoding(case) if stack is encoder else case
        are_pytorchs(stack(nn, sizes, made, norm), stack(torch.nn, sizes, made, norm), arrays, **masks)

    check()


@pytest.mark.torch
@pytest.mark.parametrize(("tgt", "memory"), [(True, False), (False, True), (True, True)])
def test_causal_decoders_are_pytorchs_with_the_masks_written_out(tgt, memory):
    import torch

    class Masked(torch.nn.TransformerDecoder):
        def forward(self, x, y, tgt_is_causal, memory_is_causal):
            later = torch.ones(5, 5, dtype=torch.bool).triu(1)
            return super().forward(x, y, later if tgt_is_causal else None, later[:, :4] if memory_is_causal else None)

    theirs = Masked(torch.nn.TransformerDecoderLayer(4, 2, 5, dropout=0.0), 2)
    arrays = [smooth(np.random.default_rng(2), (n, 2, 4)) for n in (5, 4)]
    ours = decoder(nn, (4, 2), {"dim_feedforward": 5}, norm=False)
    are_pytorchs(ours, theirs, arrays, tgt_is_causal=tgt, memory_is_causal=memory)


@pytest.mark.parametrize("stack", [encoder, decoder])
def test_every_number_agrees_with_the_scalar_backend(stack):
    @settings(max_examples=5)
    @given(cases(most=2))
    def check(case):
        sizes, made, arrays, masks = encoding(case) if stack is encoder else case
        agree_with_values(stack(nn, sizes, made, dropout=0.2), arrays, **masks)

    check()


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_it_records_and_replays(activation, norm_first):
    layer = nn.TransformerEncoderLayer(6, 2, 5, 0.3, activation, norm_first=norm_first)
    replays_as_it_runs(nn.TransformerEncoder(layer, 2), np.random.default_rng(0).normal(size=(5, 3, 6)))


@on_every_backend
def test_causal_looks_back_only(backend):
    made = {"dim_feedforward": 5, "batch_first": True}
    x, memory = np.random.default_rng(1).normal(size=(2, 1, 4, 4))
    changed = x.copy()
    changed[:, 2] += 1
    for stack, inputs, causal in ((encoder, [], "is_causal"), (decoder, [memory], "tgt_is_causal")):
        model = stack(nn, (4, 2), made).to(engine(backend), "float64")
        a, b = (
            model(*[Tensor(v, backend=engine(backend)) for v in (y, *inputs)], **{causal: True}).numpy()
            for y in (x, changed)
        )
        assert (a[:, :2] == b[:, :2]).all() and (a[:, 2:] != b[:, 2:]).any(-1).all()


@pytest.mark.parametrize("attention", ["self_attn", "multihead_attn"])
def test_dropout_leaves_out_attention_weights(attention):
    """With all of them left out, one element does not see another, nor the memory."""
    layer = nn.TransformerDecoderLayer(4, 2, 5, dropout=1.0).eval()
    inputs = np.random.default_rng(3).normal(size=(2, 3, 1, 4)).astype("float32")
    changed = inputs.copy()
    changed[0 if attention == "self_attn" else 1, 0] += 1
    for dropping in (False, True):
        getattr(layer, attention).train(dropping)
        before, after = (layer(*pair).numpy()[1:] for pair in (inputs, changed))
        assert (before == after).all() == dropping


def test_a_stack_starts_with_copies_of_its_own():
    layer = nn.TransformerEncoderLayer(4, 2, 5)
    stack = nn.TransformerEncoder(layer, 2)
    first, second = stack.layers
    assert [name for name, _ in first.named_parameters()] == [name for name, _ in layer.named_parameters()]
    for p, q, r in zip(layer.parameters(), first.parameters(), second.parameters()):
        assert p is not q is not r and (p.numpy() == q.numpy()).all() and (p.numpy() == r.numpy()).all()


@pytest.mark.tiny
@on_every_backend
def test_inputs_that_do_not_fit_are_refused(backend):
    model = decoder(nn, (4, 2), {"dim_feedforward": 5}).to(engine(backend))
    x, memory = np.zeros((3, 2, 4)), np.zeros((5, 2, 4))
    assert model(x, memory).shape == (3, 2, 4)
    with pytest.raises(ShapeError, match=r'MultiheadAttention\(4, 2\) "self_attn" needs query'):
        model(np.zeros((3, 2, 5)), memory)
    with pytest.raises(ShapeError, match=r'"multihead_attn" needs one batch size'):
        model(x, np.zeros((5, 3, 4)))
    with pytest.raises(ShapeError, match=r'"multihead_attn" needs attn_mask \(3, 5\) or \(4, 3, 5\)'):
        model(x, memory, memory_mask=np.zeros((3, 3)))


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.TransformerEncoderLayer(6, 4), ArgumentError, "num_heads that divides 6"),
        (lambda: nn.TransformerDecoderLayer(4, 2, activation="tanh"), ArgumentError, "choose one of relu, gelu"),
        (lambda: nn.TransformerEncoderLayer(4, 2, dropout=2), ArgumentError, "from 0 to 1"),
        (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 4), 0), ArgumentError, "at least 1; got 0"),
        (lambda: nn.TransformerDecoder(nn.Linear(1, 1), 1), TypeMismatch, "copies of a TransformerDecoderLayer"),
    ],
)
def test_bad_settings_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_activation_may_be_a_function():
    x = np.random.default_rng(0).normal(size=(3, 2, 4))
    named, given = (nn.TransformerEncoderLayer(4, 2, 8, 0.0, activation) for activation in ("gelu", nn.functional.gelu))
    given.load_state_dict(named.state_dict())
    np.testing.assert_array_equal(given(x).numpy(), named(x).numpy())
    assert "\n  activation=gelu\n" in repr(given) and "\n  activation='gelu'\n" in repr(named)
    assert "\n  norm_first=True\n" in repr(nn.TransformerDecoderLayer(4, 2, norm_first=True))


def test_arrays_may_be_named():
    x = np.random.default_rng(0).normal(size=(3, 2, 4))
    encoder, decoder = nn.TransformerEncoderLayer(4, 2, 8, 0.0), nn.TransformerDecoderLayer(4, 2, 8, 0.0)
    for inside, outside, named in (
        (encoder, nn.TransformerEncoder(encoder, 1), {"src": x}),
        (decoder, nn.TransformerDecoder(decoder, 1), {"tgt": x, "memory": x}),
    ):
        for model in (inside, outside):
            np.testing.assert_array_equal(model(**named).numpy(), model(*named.values()).numpy())
