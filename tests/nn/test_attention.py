"""Attention: values and gradients against PyTorch and Values, what masks mean, and what does not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_twins import agree_with_values, are_pytorchs
from support import engine, on_every_backend, run, same, same_gradients, seeds, smooth

import tinynet as tn
from tinynet import Tensor, get_backend, nn
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.nn import functional as F
from tinynet.nn.attention import attention

few = st.integers(1, 4)


def masks(random, shape, kind):
    """True, or -inf, where a key is left out; never the first one, since PyTorch then gives nan."""
    out = random.random(shape) < 0.4
    out[..., 0] = False
    return {"none": None, "bool": out, "float": smooth(random, shape), "hiding": np.where(out, -np.inf, 0.5)}[kind]


kinds = st.sampled_from(["none", "bool", "float", "hiding"])

# --- the operation ----------------------------------------------------------------------------------------------------


@st.composite
def operations(draw):
    random, batch = np.random.default_rng(draw(seeds)), draw(st.lists(few, max_size=2).map(tuple))
    length, keys, width, values = draw(few), draw(few), draw(few), draw(few)
    arrays = [smooth(random, (*batch, *s)) for s in ((length, width), (keys, width), (keys, values))]
    spread = (*(1 if draw(st.booleans()) else n for n in batch), length, keys)
    mask = masks(random, spread, draw(kinds))
    mask = ~mask if mask is not None and mask.dtype == bool else mask
    return arrays, {
        "attn_mask": mask,
        "is_causal": mask is None and draw(st.booleans()),
        "scale": draw(st.sampled_from([None, 0.7])),
    }


@pytest.mark.torch
def test_the_operation_is_pytorchs():
    import torch

    @settings(max_examples=60)
    @given(operations())
    def check(case):
        arrays, options = case
        are_pytorchs(
            F.scaled_dot_product_attention, torch.nn.functional.scaled_dot_product_attention, arrays, **options
        )

    check()


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("masking", ["bool", "float", "both"])
def test_a_query_from_which_all_is_hidden_gets_zeros_and_gives_no_gradient(masking, backend):
    q, k, v = np.random.default_rng(0).normal(size=(3, 2, 3, 4))
    shown = np.array([[True, False, True], [False, False, False], [True, True, True]])
    mask = {"bool": shown, "float": np.where(shown, 0.0, -np.inf), "both": shown & [False, True, True]}[masking]
    masked = Tensor(mask, backend=engine(backend))

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, masked, is_causal=masking == "both")

    out, gradients = run(attend, [q, k, v], backend)
    hidden = [0, 1] if masking == "both" else [1]  # the first query may look at the first key alone, which is hidden
    assert not out[:, hidden].any() and out[:, 2].all()
    assert not gradients[0][:, hidden].any()
    assert all(np.isfinite(g).all() for g in gradients)


@on_every_backend
def test_a_gradient_reaches_a_mask_of_floats_that_spreads(backend):
    random = np.random.default_rng(1)
    arrays = [random.normal(size=s) for s in ((2, 3, 4), (2, 5, 4), (2, 5, 4), (3, 5), (2, 1, 5), (1, 1))]
    for mask in arrays[3:]:
        found = run(F.scaled_dot_product_attention, [*arrays[:3], mask], backend)[1]
        with tn.reference():
            expected = run(F.scaled_dot_product_attention, [*arrays[:3], mask], backend)[1]
        assert found[3].shape == mask.shape and (mask.size == 1 or np.abs(found[3]).max() > 1e-3)
        same_gradients(found, expected, "attention", 1e-12, 1e-14)


@pytest.mark.tiny
@on_every_backend
def test_causal_is_the_lower_triangle(backend):
    q, k, v = np.random.default_rng(2).normal(size=(3, 4, 4))
    triangle = Tensor(np.tri(4, dtype=bool), backend=engine(backend))
    causal, _ = run(lambda *x: F.scaled_dot_product_attention(*x, is_causal=True), [q, k, v], backend)
    masked, _ = run(lambda *x: F.scaled_dot_product_attention(*x, triangle), [q, k, v], backend)
    same(causal, masked, "causal", 1e-14)
    same(causal[0], v[0], "the first query", 1e-14)


@on_every_backend
def test_scores_far_out_overflow_nowhere(backend):
    for keys in range(2, 8):  # each of them the nearest once, the middle one too
        q = 1e4 * np.eye(keys)
        out, gradients = run(lambda *x: F.scaled_dot_product_attention(*x, scale=1.0), [q, q, q], backend)
        same(out, q, "the nearest key's value", 1e-12)
        assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("shift", [-1000.0, -25.0, -15.0, 15.0, 25.0, 1000.0])
def test_what_all_scores_have_in_common_changes_nothing(shift):
    """Near 0, where the largest need not be taken away first, or far from it; with gradients."""
    random = np.random.default_rng(11)
    q, k, v = (random.normal(size=(3, 5, 4)) for _ in range(3))
    q[..., 0], k[..., 0] = 2.0, 0.0  # at scale ½, k's first column is added to every score of its example
    moved = k.copy()
    moved[..., 0] = shift
    for mask in (None, np.tri(5, dtype=bool)):
        near, ours = run(lambda *xs, m=mask: F.scaled_dot_product_attention(*xs, m), [q, k, v], "numpy")
        far, theirs = run(lambda *xs, m=mask: F.scaled_dot_product_attention(*xs, m), [q, moved, v], "numpy")
        same(near, far, f"scores moved by {shift}", 1e-9, 1e-11)
        for x, y in zip(ours[1:], theirs[1:]):  # that to q follows the keys themselves
            np.testing.assert_allclose(x, y, 1e-9, 1e-10)


@on_every_backend
def test_dropout_leaves_out_weights_and_keeps_the_mean(backend):
    ones = np.ones((1, 50, 1))

    def attend(p):
        tn.manual_seed(3)
        return run(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, dropout_p=p), [ones * 0, ones * 0, ones], backend
        )

    out, gradients = attend(0.3)
    kept = out * 0.7 * 50  # of 50 equal weights, each 1/50 of the mean
    same(kept, np.round(kept), "weights kept", 1e-5, 1e-5)
    assert len(np.unique(np.round(kept))) > 5 and abs(out.mean() - 1) < 0.05  # 2,500 draws: std 0.013
    assert gradients[2].sum() > 0
    assert not attend(1.0)[0].any()
    same(attend(0.0)[0], ones, "nothing left out", 1e-6)


@pytest.mark.tiny
@on_every_backend
def test_operations_that_do_not_fit_are_refused(backend):
    def tensors(*shapes):
        return [Tensor(np.zeros(s), backend=engine(backend)) for s in shapes]

    fitting = tensors((2, 3, 4), (2, 5, 4), (2, 5, 6))
    for shapes in (
        ((2, 3, 4), (2, 5, 3), (2, 5, 6)), ((2, 3, 4), (2, 5, 4), (2, 4, 6)), ((2, 3, 4), (3, 5, 4), (3, 5, 6)),
        ((4,), (5, 4), (5, 6)), ((2, 3, 4), (2, 0, 4), (2, 0, 6)),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match=r"attention needs query \(…, L, d\), key \(…, S, d\)"):
            F.scaled_dot_product_attention(*tensors(*shapes))
    with pytest.raises(ShapeError, match=r"a mask that spreads to \(2, 3, 5\), .*; got \(5, 3\)"):
        F.scaled_dot_product_attention(*fitting, *tensors((5, 3)))
    with pytest.raises(ShapeError, match=r"got \(1, 2, 3, 5\)"):
        F.scaled_dot_product_attention(*fitting, *tensors((1, 2, 3, 5)))
    with pytest.raises(TypeMismatch, match="a mask of booleans, or of floats to add; got int64"):
        F.scaled_dot_product_attention(*fitting, Tensor([[1] * 5] * 3, backend=engine(backend)))
    with pytest.raises(ArgumentError, match=r"attention\(dropout_p=1\.5\): it is a number from 0 to 1"):
        F.scaled_dot_product_attention(*fitting, dropout_p=1.5)


# --- the layer --------------------------------------------------------------------------------------------------------


@st.composite
def layers(draw, most=4):
    """Settings of the layer, its inputs, and the settings of a call."""
    random, sizes = np.random.default_rng(draw(seeds)), st.integers(1, most)
    heads = draw(st.integers(1, 3))
    width, batch, length = heads * draw(st.integers(1, 2)), draw(sizes), draw(sizes)
    kind = draw(st.sampled_from(["self", "memory", "cross"]))
    made = {"bias": draw(st.booleans()), "batch_first": draw(st.booleans())}
    if kind == "cross":
        made |= {"kdim": draw(st.none() | sizes), "vdim": draw(st.none() | sizes)}
    keys = length if kind == "self" else draw(sizes)
    unbatched = draw(st.integers(0, 4)) == 0
    batch = 1 if unbatched else batch

    def array(length, width):
        shape = (batch, length, width) if made["batch_first"] else (length, batch, width)
        return smooth(random, (length, width) if unbatched else shape)

    query = array(length, width)
    key = query if kind == "self" else array(keys, made.get("kdim") or width)
    value = key if kind in ("self", "memory") else array(keys, made.get("vdim") or width)
    pairs = (length, keys) if draw(st.booleans()) else (batch * heads, length, keys)
    attn, padding = draw(kinds), draw(kinds)
    if "bool" in (attn, padding) and attn != padding:
        padding = "none"  # PyTorch warns of two kinds
    call = {
        "attn_mask": masks(random, pairs, attn),
        "key_padding_mask": masks(random, (keys,) if unbatched else (batch, keys), padding),
        "need_weights": draw(st.booleans()),
        "average_attn_weights": draw(st.booleans()),
    }
    return (width, heads), made, [query, key, value], call


@pytest.mark.torch
def test_the_layer_is_pytorchs():
    import torch

    @settings(max_examples=80)
    @given(layers())
    def check(case):
        sizes, made, arrays, call = case
        are_pytorchs(nn.MultiheadAttention(*sizes, **made), torch.nn.MultiheadAttention(*sizes, **made), arrays, **call)

    check()


def test_every_number_agrees_with_the_scalar_backend():
    @settings(max_examples=10)
    @given(layers(most=2))
    def check(case):
        sizes, made, arrays, call = case
        agree_with_values(nn.MultiheadAttention(*sizes, dropout=0.3, **made), arrays, **call)

    check()


@on_every_backend
def test_weights_are_needed_or_not_the_output_is_the_same(backend):
    layer = nn.MultiheadAttention(4, 2, dropout=0.5).to(engine(backend), "float64")
    x = Tensor(np.random.default_rng(3).normal(size=(3, 2, 4)), backend=engine(backend))
    outs = []
    for needed in (True, False):
        tn.manual_seed(4)
        out, weights = layer(x, x, x, need_weights=needed, is_causal=True)
        outs.append(out.numpy())
        assert (weights is not None) == needed
        if needed:
            assert weights.shape == (2, 3, 3) and not np.triu(weights.numpy(), 1).any()
            same(weights.numpy().sum(-1), np.ones((2, 3)), "weights of a query, before dropout", 1e-12)
    same(outs[1], outs[0], "output", 1e-12, 1e-14)
    still = layer.eval()(x, x, x)[0].numpy()
    same(layer(x, x, x, need_weights=False)[0].numpy(), still, "output in evaluation", 1e-12, 1e-14)
    assert np.abs(still - outs[0]).max() > 1e-3


@pytest.mark.torch
def test_it_starts_as_pytorchs_does():
    import torch

    for options in ({}, {"kdim": 30, "vdim": 20}):
        ours, theirs = nn.MultiheadAttention(64, 4, **options), torch.nn.MultiheadAttention(64, 4, **options)
        expected = theirs.state_dict()
        assert {name: t.shape for name, t in ours.state_dict().items()} == {
            name: tuple(t.shape) for name, t in expected.items()
        }
        for name, found in ours.state_dict().items():
            numbers, wanted = found.numpy(), expected[name].numpy()
            assert np.isclose(numbers.std(), wanted.std(), rtol=0.08), name  # 1,280 numbers: 2 % a standard deviation
            assert np.abs(numbers).max() <= np.abs(wanted).max() * 1.05, name


@pytest.mark.tiny
@on_every_backend
def test_layers_that_do_not_fit_are_refused(backend):
    layer = nn.Sequential(nn.MultiheadAttention(4, 2, kdim=3)).to(engine(backend))[0]

    def call(*shapes, **masks):
        return layer(*[np.zeros(s) for s in shapes], **masks)

    fitting = (3, 2, 4), (5, 2, 3), (5, 2, 4)
    assert call(*fitting)[0].shape == (3, 2, 4)
    for name, shapes in (
        ("query", ((3, 2, 5), *fitting[1:])), ("key", (fitting[0], (5, 2, 4), fitting[2])),
        ("value", (*fitting[:2], (5, 2, 3))), ("query", ((4,), *fitting[1:])),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match=rf'MultiheadAttention\(4, 2, kdim=3\) "0" needs {name} \(length, batch, '):
            call(*shapes)
    empty = fitting[0], (0, 2, 3), (0, 2, 4)
    for shapes in (((3, 1, 4), *fitting[1:]), (*fitting[:2], (4, 2, 4)), ((3, 4), *fitting[1:]), empty):
        with pytest.raises(ShapeError, match="one batch size, and a value for each key"):
            call(*shapes)
    for masks in ({"attn_mask": np.zeros((5, 3))}, {"key_padding_mask": np.zeros((5, 2), bool)}):
        with pytest.raises(ShapeError, match=rf"needs {next(iter(masks))} \(.*; got \(5, "):
            call(*fitting, **masks)
    with pytest.raises(TypeMismatch, match="needs attn_mask of booleans or floats; got int64"):
        call(*fitting, attn_mask=np.zeros((3, 5), int))
    with pytest.raises(ShapeError, match=r"needs key .* got NoneType"):
        layer(np.zeros((3, 2, 4)), None, None)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((6, 4), "a num_heads that divides 6"),
        ((0, 1), "needs embed_dim, a whole number of at least 1; got 0"),
        (("a", 2), "needs embed_dim, .*; got 'a'"),
        ((4, 0), "needs num_heads, .*; got 0"),
        ((8, 2.0), "needs num_heads, .*; got 2.0"),
        ((8, True), "needs num_heads, .*; got True"),
        ((4, 2, 1.5), r"MultiheadAttention\(dropout=1.5\): it is a number from 0 to 1"),
    ],
)
def test_bad_settings_are_refused(sizes, message):
    with pytest.raises(ArgumentError, match=message):
        nn.MultiheadAttention(*sizes)


def test_its_other_spelling_and_lists_for_masks():
    layer = nn.MultiHeadAttention(2, 1, batch_first=True)
    assert repr(layer).startswith("MultiheadAttention(")
    _, weights = layer(
        [[[1.0, 2.0]] * 3], [[[1.0, 2.0]] * 3], [[[1.0, 2.0]] * 3], key_padding_mask=[[False, True, False]]
    )
    assert weights.numpy()[0, :, 1].tolist() == [0, 0, 0]


@pytest.mark.torch
@on_every_backend
def test_batches_broadcast_as_pytorchs(backend):
    import torch

    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape) for shape in ((2, 3, 4, 5), (1, 3, 6, 5), (3, 6, 2))]
    ours = [Tensor(a, "float64", backend=engine(backend), requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = F.scaled_dot_product_attention(*ours)
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs)
    same(out.numpy(), expected.detach().numpy(), "out", 1e-10, 1e-12)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    for x, y in zip(ours, theirs):
        same(x.grad.numpy(), y.grad.numpy(), "gradient", 1e-10, 1e-12)


def test_arrays_may_be_named_and_come_in_other_types():
    layer, x = nn.MultiheadAttention(4, 2), np.arange(24).reshape(3, 2, 4) % 5
    wanted = layer(*[x.astype("float32")] * 3)[0].numpy()
    for dtype in ("int64", "float64", "float32"):
        for need_weights in (True, False):
            given = x.astype(dtype)
            out, _ = layer(Tensor(given), key=given, value=given, need_weights=need_weights)
            assert out.dtype == "float32"
            same(out.numpy(), wanted, dtype, 1e-6, 1e-6)


def test_repr_shows_settings_and_parts():
    assert repr(nn.MultiheadAttention(8, 2, 0.5, bias=False, batch_first=True)) == (
        "MultiheadAttention(\n  8, 2, bias=False, dropout=0.5, batch_first=True\n"
        "  (out_proj): Linear(8, 8, bias=False)\n)"
    )


@pytest.mark.parametrize("length, width", [(65, 4), (150, 4), (192, 2)])
@pytest.mark.parametrize("dropped", [False, True])
def test_long_causal_sequences_are_as_masked_ones(length, width, dropped):
    """The causal kernel takes queries in blocks; a mask of the same meaning takes all of them at once."""
    random = np.random.default_rng(length)
    arrays = [random.normal(size=(2, length, width)) * 3 for _ in range(3)]
    keep = random.random((2, length, length)) < 0.7 if dropped else None
    triangle = np.tri(length, dtype=bool)

    def ours(mask, causal):
        return run(lambda *xs: attention(*xs, mask, keep, causal=causal, scale=0.7), arrays, "numpy")

    (blocks, by_blocks), (whole, at_once) = ours(None, True), ours(triangle, False)
    same(blocks, whole, "causal", 1e-12)
    same_gradients(by_blocks, at_once, "causal", 1e-9, 1e-12)


def test_what_the_causal_kernel_keeps_is_whole():
    """No place is left as it was found: the weights and the scores' gradient are 0 where a key comes later."""
    q, k, v, g = np.random.default_rng(4).normal(size=(4, 100, 3))
    params = {"causal": True, "scale": 1.0}
    places = (np.full((100, 3), np.nan), np.full((100, 100), np.nan))
    out, weights = get_backend("numpy").launch("attention", q, k, v, None, None, out=places, **params)
    np.testing.assert_allclose(weights.sum(1), 1, 1e-14)
    assert not np.triu(weights, 1).any()
    places = (*(np.full((100, 3), np.nan) for _ in range(3)), np.full((100, 100), np.nan))
    *_, scores = get_backend("numpy").launch("attention_grad", g, out, q, k, v, None, weights, out=places, **params)
    np.testing.assert_allclose(scores.sum(1), 0, 0, 1e-12)
    assert not np.triu(scores, 1).any()
