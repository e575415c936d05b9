"""GPT: every number against the same network written in PyTorch; generation with and without its memory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masked_twins import agree_with_values
from support import engine, on_array_backends, on_every_backend, same, same_again, seeds

import tinynet as tn
from tinynet import Tensor, nn, optim
from tinynet.errors import ArgumentError, CaptureError, ShapeError

POSITIONS = ("learned", "rotary")


def small(seed=0, **options):
    tn.manual_seed(seed)
    return nn.GPT(7, 6, **{"n_layer": 2, "n_head": 2, "n_embd": 8} | options)


def lively(**options):
    """A model with something to say: large weights, and a last layer that does not just repeat the token."""
    model = small(tie_weights=False, **options)
    random = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.load_(random.uniform(-1, 1, parameter.shape))
    return model


def in_pytorch(state, n_layer, n_head):
    """nanoGPT's forward pass, written out on a state dict: logits as a function of the tokens."""
    import torch
    from torch.nn import functional as TF

    def linear(x, name):
        return TF.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def norm(x, name):
        return TF.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state.get(f"{name}.bias"))

    def forward(tokens):
        batch, length = tokens.shape
        x = state["transformer.wte.weight"][tokens] + state["transformer.wpe.weight"][:length]
        for i in range(n_layer):
            block = f"transformer.h.{i}"
            q, k, v = (
                part.reshape(batch, length, n_head, -1).transpose(1, 2)
                for part in linear(norm(x, f"{block}.ln_1"), f"{block}.attn.c_attn").chunk(3, dim=-1)
            )
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            later = torch.ones(length, length, dtype=torch.bool).triu(1)
            heads = scores.masked_fill(later, -math.inf).softmax(-1) @ v
            x = x + linear(heads.transpose(1, 2).reshape(x.shape), f"{block}.attn.c_proj")
            inside = TF.gelu(linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc"))
            x = x + linear(inside, f"{block}.mlp.c_proj")
        return linear(norm(x, "transformer.ln_f"), "lm_head")

    return forward


@pytest.mark.torch
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_logits_and_every_gradient_are_those_of_the_network_in_pytorch(bias, tied):
    @settings(max_examples=8)
    @given(st.integers(1, 3), st.sampled_from([1, 2]), st.integers(1, 6), seeds)
    def check(layers, heads, length, seed):
        import torch

        model = small(n_layer=layers, n_head=heads, bias=bias, tie_weights=tied).to("float64")
        random = np.random.default_rng(seed)
        for parameter in model.parameters():
            parameter.load_(random.uniform(-1, 1, parameter.shape))
        state = {name: torch.tensor(p.numpy(), requires_grad=True) for name, p in model.named_parameters()}
        theirs = state | ({"lm_head.weight": state["transformer.wte.weight"]} if tied else {})
        tokens, targets = random.integers(0, 7, (2, 3, length))
        logits = model(tokens)
        loss = nn.CrossEntropyLoss()(logits.reshape(-1, 7), targets.reshape(-1))
        loss.backward()
        expected = in_pytorch(theirs, layers, heads)(torch.tensor(tokens))
        torch.nn.functional.cross_entropy(expected.reshape(-1, 7), torch.tensor(targets.reshape(-1))).backward()
        same(logits.numpy(), expected.detach().numpy(), "logits", 1e-10, 1e-12)
        for name, parameter in model.named_parameters():
            same(parameter.grad.numpy(), state[name].grad.numpy(), name, 1e-10, 1e-12)

    check()


@pytest.mark.parametrize("positions", POSITIONS)
def test_every_number_agrees_with_the_scalar_backend(positions):
    model = lively(n_layer=1, n_head=1, n_embd=4, positions=positions, dropout=0.2)
    agree_with_values(model, [np.random.default_rng(0).integers(0, 7, (2, 3))])


def test_it_has_nanogpts_names_and_starts_as_nanogpt_does():
    model = nn.GPT(65, 64, n_layer=4, n_head=4, n_embd=128)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    block = "transformer.h.3"
    wanted = {
        "transformer.wte.weight": 0.02, "transformer.wpe.weight": 0.02, f"{block}.attn.c_attn.weight": 0.02,
        f"{block}.attn.c_proj.weight": 0.02 / math.sqrt(8), f"{block}.mlp.c_fc.weight": 0.02,
        f"{block}.mlp.c_proj.weight": 0.02 / math.sqrt(8),
    }  # fmt: skip
    for name, std in wanted.items():
        assert np.isclose(state[name].std(), std, rtol=0.05), name  # 8,192 numbers at least: 0.8 % a standard deviation
    assert state["lm_head.weight"] is not None and model.lm_head.weight is model.transformer.wte.weight
    assert not state[f"{block}.attn.c_attn.bias"].any() and (state[f"{block}.ln_1.weight"] == 1).all()
    assert sum(p.size for p in model.parameters()) == 65 * 128 + 64 * 128 + 4 * (12 * 128**2 + 13 * 128) + 2 * 128
    assert set(small(bias=False, tie_weights=False).state_dict()) == {
        "transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.weight", "lm_head.weight",
        *(f"transformer.h.{i}.{name}.weight" for i in range(2) for name in (
            "ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")),
    }  # fmt: skip


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("parts", [(1, 1, 1, 1, 1, 1), (4, 1, 1), (2, 3, 1), (6,)])
def test_a_memory_changes_no_logit(parts, positions):
    model = lively(positions=positions).to("float64")
    tokens = Tensor(np.random.default_rng(1).integers(0, 7, (3, 6)))
    memory, start, found = [[], []], 0, []
    for length in parts:
        found.append(model(tokens[:, start : start + length], memory=memory).numpy())
        start += length
    same(np.concatenate(found, 1), model(tokens).numpy(), "logits", 1e-12, 1e-13)


@pytest.mark.parametrize("positions", POSITIONS)
@on_array_backends
def test_what_it_writes_follows_from_the_last_block_of_tokens(positions, backend):
    """Greedily, far beyond the block: each token is the likeliest after the block_size tokens before it."""
    model = lively(positions=positions).to(engine(backend))
    text = model.generate([[1, 2, 3], [4, 0, 0]], 12, temperature=0).numpy()
    assert text.shape == (2, 15) and len(np.unique(text[:, 3:])) > 2
    for end in range(3, 15):
        logits = model(text[:, max(end - 6, 0) : end])[:, -1].numpy()
        assert (logits.argmax(1) == text[:, end]).all()


def test_one_seed_writes_one_text_on_every_backend():
    def write(backend, **options):
        return lively(n_layer=1, n_embd=4).to(engine(backend)).generate([[1, 2]], 9, **options).tolist()

    expected = write("numpy", seed=5)
    assert write("scalar", seed=5) == write("strict", seed=5) == write("numpy", seed=5) == expected
    assert write("numpy", seed=6) != expected
    assert write("numpy") == write("strict")  # without a seed: as tn.manual_seed says, here inside lively


@pytest.mark.parametrize("top_k", [None, 3, 100])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_chances_are_the_softmax(temperature, top_k):
    """χ² of 20,000 draws, with 6 degrees of freedom at most: above 27.9 once in 10,000 times."""
    logits = np.array([0.3, 2.0, -0.5, 1.2, 0.0, 0.9, 1.6])

    class Fixed(nn.GPT):
        def forward(self, tokens, memory=None):
            return Tensor(np.broadcast_to(logits, (*tokens.shape, 7)))

    drawn = Fixed(7, 6, 1, 1, 2).generate([[3]] * 20_000, 1, temperature, top_k, seed=1).numpy()[:, 1]
    powers = np.exp(logits / temperature)
    likeliest = np.argsort(-logits)[:top_k]
    expected = 20_000 * powers[likeliest] / powers[likeliest].sum()
    counts = np.bincount(drawn, minlength=7)[likeliest]
    assert counts.sum() == 20_000 and ((counts - expected) ** 2 / expected).sum() < 27.9


def test_the_likeliest_of_one_is_always_the_same():
    assert len(np.unique(lively().generate([[3]] * 50, 1, top_k=1).numpy()[:, 1])) == 1


def test_a_stream_gives_tokens_as_they_come():
    model = lively()
    stream = model.stream([[1]], 4, seed=2)
    first = next(stream)
    assert first.shape == (1, 1) and model.training
    with pytest.raises(StopIteration):
        [next(stream) for _ in range(9)]
    assert [int(t) for t in model.stream([[1]], 4, seed=2)] == model.generate([[1]], 4, seed=2).tolist()[0][1:]
    (model([[1]]).sum()).backward()  # no mode of the stream stays behind


@pytest.mark.parametrize("training", [True, False])
def test_it_writes_without_dropout_and_leaves_the_mode_as_it_was(training):
    model = lively(dropout=0.5).train(training)
    assert model.generate([[1]], 9, temperature=0).tolist() == model.generate([[1]], 9, temperature=0).tolist()
    assert all(module.training == training for module in model.modules())
    assert model.generate([[1, 2]], 0).tolist() == [[1, 2]]


@pytest.mark.tiny
@on_every_backend
def test_bad_calls_are_refused(backend):
    model = small(n_layer=1).to(engine(backend))
    for tokens, message in (
        ([[]], "one at least; got"), ([1, 2], r"integers \(batch, length\), one at least; got \(2,\)"),
        ([[0.5]], "goes on from integers"), ([[1, 7]], r"GPT\(7, 6\) knows tokens 0 … 6; got 1 … 7"),
        ([[-1, 2]], "knows tokens 0 … 6; got -1 … 2"), (None, "got None"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=message):
            model.generate(tokens, 1)
    for options, message in (
        ({"temperature": -1.0}, r"\(temperature=-1.0\): it is a number of at least 0"),
        ({"temperature": "a"}, r"\(temperature='a'\)"), ({"temperature": math.nan}, r"\(temperature=nan\)"),
        ({"top_k": 0}, " needs top_k, a whole number of at least 1; got 0"), ({"top_k": 1.5}, " needs top_k.*got 1.5"),
        ({"max_new_tokens": -1}, " needs max_new_tokens, a whole number of at least 0; got -1"),
        ({"max_new_tokens": 2.5}, " needs max_new_tokens.*got 2.5"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=f"GPT.generate{message}"):
            model.stream([[1]], **{"max_new_tokens": 1} | options)
    with pytest.raises(ShapeError, match=r"GPT\(7, 6\) sees 6 tokens at once; got \(1, 8\)"):
        model([[0] * 8])
    with pytest.raises(ShapeError, match=r"needs tokens \(batch, length\), one at least; got \(2,\)"):
        model([1, 2])
    with pytest.raises(ShapeError, match=r"needs tokens \(batch, length\), one at least; got \(1, 0\)"):
        model(np.zeros((1, 0), int))
    memory = [[]]
    rotary = small(n_layer=1, positions="rotary").to(engine(backend))
    for tokens in ([[1, 2, 3, 4]], [[5, 6]]):
        rotary(tokens, memory=memory)
    with pytest.raises(ShapeError, match=r"sees 6 tokens at once; got \(1, 1\) after 6 in memory"):
        rotary([[1]], memory=memory)
    for memory in ([], "a"):
        with pytest.raises(ArgumentError, match=r"needs memory, a list for each of its 1 blocks.*; got "):
            model([[1, 2]], memory=memory)
    with pytest.raises(ArgumentError, match='"wte" has rows 0 … 6; got index 9'):
        model([[9]])


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_head": 3}, r"n_head=3, n_embd=8\): the heads share"), ({"n_layer": 0}, "n_layer, a whole number"),
        ({"positions": "none"}, "'learned' or 'rotary'"), ({"dropout": 1.5}, "from 0 to 1"),
        ({"n_head": 8, "positions": "rotary"}, r"GPT\(n_head=8, n_embd=8, .*in pairs.*an n_embd that 16 divides"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        small(**options)


def test_writing_cannot_be_recorded():
    model = small()
    with pytest.raises(CaptureError):
        tn.capture(lambda x: model.generate(x, 1))(np.array([[1]]))


@on_array_backends
@pytest.mark.parametrize("positions", POSITIONS)
def test_captured_training_is_eager_training(positions, backend):
    def train(captured):
        model = small(dropout=0.2, positions=positions).to(engine(backend))
        on_card = backend == "cupy"  # AdamW would make whole steps of the rounding in gradients that are 0
        optimizer = (optim.SGD if on_card else optim.AdamW)(model.parameters(), lr=0.01)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x).reshape(-1, 7), y.reshape(-1))
            loss.backward()
            optimizer.step()
            return loss

        run = tn.capture(step, backend=engine(backend)) if captured else step
        random = np.random.default_rng(3)
        losses = [
            float(run(*(Tensor(random.integers(0, 7, (2, 5)), backend=engine(backend)) for _ in "xy")))
            for _ in range(4)
        ]
        return [np.array(losses, "float32"), *(p.numpy() for p in model.parameters())]

    for eager, replayed in zip(train(False), train(True), strict=True):
        same_again(backend, replayed, eager)


def test_it_learns_to_count():
    """0 1 2 … 6 0 1 …: after 60 steps it goes on without a mistake."""
    model = small(n_layer=1)
    optimizer = optim.AdamW(model.parameters(), lr=0.03)
    text = np.arange(40) % 7
    x, y = np.array([text[i : i + 6] for i in range(7)]), np.array([text[i + 1 : i + 7] for i in range(7)])
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x).reshape(-1, 7), y.reshape(-1))
        loss.backward()
        optimizer.step()
    assert model.generate([[2, 3]], 20, temperature=0).tolist() == [[(2 + i) % 7 for i in range(22)]]
