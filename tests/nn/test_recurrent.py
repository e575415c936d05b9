"""RNN, LSTM, GRU: against PyTorch (packed sequences for lengths) and the scalar backend; chunks, replays, refusals."""

import kernel_cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_array_backends, on_every_backend, same, same_again, seeds

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.backends.kernels import recurrent
from tinynet.errors import ArgumentError, GradientError, ShapeError, TypeMismatch

LAYERS = {"tanh": (nn.RNN, {}), "relu": (nn.RNN, {"nonlinearity": "relu"}), "LSTM": (nn.LSTM, {}), "GRU": (nn.GRU, {})}
every_layer = pytest.mark.parametrize("kind", LAYERS)


@st.composite
def cases(draw, most=4):
    """The settings of a layer, and the arrays that go in: x, perhaps a state, perhaps lengths."""
    sizes = st.integers(1, most)
    inputs, hidden, steps = draw(sizes), draw(sizes), draw(st.integers(1, most + 1))
    batch = draw(st.none() | sizes)
    options = {
        "num_layers": draw(st.integers(1, max(most - 1, 2))),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
    }
    random = np.random.default_rng(draw(seeds))
    rows = [] if batch is None else [batch]
    shape = (*rows, steps, inputs) if options["batch_first"] else (steps, *rows, inputs)
    arrays = {"x": random.normal(size=shape)}
    if draw(st.booleans()):
        depth = options["num_layers"] * (1 + options["bidirectional"])
        arrays |= {part: random.normal(size=(depth, *rows, hidden)) for part in ("h_0", "c_0")}
    lengths = random.integers(1, steps + 1, batch) if batch and draw(st.booleans()) else None
    return inputs, hidden, options, arrays, lengths, random.integers(2**32)


def drawn(kind, case, backend="numpy"):
    """The layer with drawn weights, in float64."""
    inputs, hidden, options, *_, seed = case
    cls, own = LAYERS[kind]
    layer = cls(inputs, hidden, **options, **own).to(engine(backend), "float64")
    random = np.random.default_rng(seed)
    layer.load_state_dict({name: random.normal(scale=0.8, size=p.shape) for name, p in layer.named_parameters()})
    return layer


def used(layer, arrays):
    """The arrays without a part of the state that the layer does not have."""
    return {name: array for name, array in arrays.items() if name in ("x", *layer.parts)}


def state_of(layer, given):
    if len(given) == 1:
        return None
    parts = tuple(given[part] for part in layer.parts)
    return parts if len(parts) > 1 else parts[0]


def loss_of(out, last):
    """A number that every output has a different say in; and the outputs by name."""
    parts = {"output": out} | dict(zip(("h_n", "c_n"), last if isinstance(last, tuple) else (last,)))
    return sum(((k + 0.5) * part * part).sum() for k, part in enumerate(parts.values())), parts


def run(layer, arrays, lengths=None):
    """Every output and every gradient."""
    given = {name: Tensor(a, backend=layer.weight_hh_l0.backend, requires_grad=True) for name, a in arrays.items()}
    loss, parts = loss_of(*layer(given["x"], hx=state_of(layer, given), lengths=lengths))
    loss.backward()
    found = {name: part.numpy() for name, part in parts.items()}
    found |= {f"gradient of {name}": t.grad.numpy() for name, t in given.items()}
    return found | {f"gradient of {name}": p.grad.numpy() for name, p in layer.named_parameters()}


def in_torch(layer, dtype="float64"):
    """PyTorch's layer with the same weights."""
    import torch

    options = {key: getattr(layer, key) for key in ("num_layers", "bias", "batch_first", "bidirectional")}
    options |= {"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}
    theirs = getattr(torch.nn, type(layer).__name__)(
        layer.input_size, layer.hidden_size, dtype=getattr(torch, dtype), **options
    )
    theirs.load_state_dict({name: torch.tensor(p.numpy()) for name, p in layer.state_dict().items()})
    return theirs


def run_torch(layer, arrays, lengths):
    import torch

    theirs, rnn = in_torch(layer), torch.nn.utils.rnn
    given = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
    x, steps = given["x"], arrays["x"].shape[-2 if layer.batch_first or arrays["x"].ndim == 2 else 0]
    if lengths is not None:
        x = rnn.pack_padded_sequence(x, torch.tensor(lengths), layer.batch_first, enforce_sorted=False)
    out, last = theirs(x, state_of(layer, given))
    if lengths is not None:
        out, _ = rnn.pad_packed_sequence(out, layer.batch_first, total_length=steps)
    loss, parts = loss_of(out, last)
    loss.backward()
    found = {name: part.detach() for name, part in parts.items()} | {
        f"gradient of {n}": t.grad for n, t in given.items()
    }
    found |= {f"gradient of {name}": p.grad for name, p in theirs.named_parameters()}
    return {name: part.numpy() for name, part in found.items()}


def agree(found, expected, what, rtol):
    """Sums that cancel keep the rounding of their terms: up to 1e-14 of the largest number."""
    assert set(found) == set(expected)
    for name, array in expected.items():
        same(found[name], array, f"{what}: {name}", rtol, 1e-14 * (1 + np.abs(array).max(initial=0)))


@pytest.mark.torch
@every_layer
def test_layers_are_pytorchs(kind):
    @settings(max_examples=60)
    @given(cases())
    def check(case):
        layer, arrays, lengths = drawn(kind, case), case[3], case[4]
        arrays = used(layer, arrays)
        agree(run(layer, arrays, lengths), run_torch(layer, arrays, lengths), f"{kind} {case[2]}", 1e-10)

    check()


@on_array_backends
@every_layer
def test_every_number_agrees_with_the_scalar_backend(kind, backend):
    @settings(max_examples=6)
    @given(cases(most=2))
    def check(case):
        layers = [drawn(kind, case, name) for name in (backend, "scalar")]
        agree(*[run(layer, used(layer, case[3]), case[4]) for layer in layers], f"{kind} {case[2]}", 1e-11)

    check()


@on_array_backends
@every_layer
@pytest.mark.parametrize("lengths", [None, [2, 4, 1]], ids=["whole", "padded"])
def test_long_sequences_are_worked_out_in_pieces_that_make_one(kind, lengths, backend, monkeypatch):
    found = []
    for nearby in (recurrent.NEARBY, 60, 1):  # one piece, two unequal ones or more, one for each step
        monkeypatch.setattr(recurrent, "NEARBY", nearby)
        layer, x, _ = padded(kind, backend)
        found.append(run(layer, {"x": x}, lengths))
    for pieces in found[1:]:
        agree(pieces, found[0], kind, 1e-12)


# --- sequences of many lengths ----------------------------------------------------------------------------------------


def padded(kind, backend="numpy", **options):
    """A layer in both directions, sequences of lengths 2, 4, 1 in a batch of 4 steps, and the lengths."""
    case = (3, 2, {"bidirectional": True, "num_layers": 2} | options, None, None, 5)
    x = np.random.default_rng(1).normal(size=(4, 3, 3))
    return drawn(kind, case, backend), x, [2, 4, 1]


@on_every_backend
@every_layer
def test_a_padded_sequence_gives_what_it_gives_alone(kind, backend):
    layer, x, lengths = padded(kind, backend)
    out, last = layer(x, lengths=lengths)
    for k, length in enumerate(lengths):
        alone, alone_last = layer(x[:length, k : k + 1])
        same(out.numpy()[:length, k], alone.numpy()[:, 0], f"{kind}: sequence {k}", 1e-12, 1e-14)
        assert not out.numpy()[length:, k].any(), "zeros beyond the end"
        _, parts = loss_of(out, last)
        _, alone_parts = loss_of(alone, alone_last)
        for name in list(parts)[1:]:
            same(parts[name].numpy()[:, k], alone_parts[name].numpy()[:, 0], f"{kind}: {name} of {k}", 1e-12, 1e-14)


@every_layer
def test_padding_says_nothing_and_learns_nothing(kind):
    layer, x, lengths = padded(kind)
    found = run(layer, {"x": x}, lengths)
    beyond = np.arange(4)[:, None] >= lengths
    assert not found["gradient of x"][beyond].any()
    x[beyond] = 1e3
    layer.zero_grad()
    agree(run(layer, {"x": x}, lengths), found, kind, 1e-14)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_lengths_of_every_integer_type(dtype):
    layer, x, lengths = padded("GRU")
    expected = layer(x, lengths=lengths)[0].numpy()
    for given_lengths in (np.array(lengths, dtype), Tensor(np.array(lengths, dtype))):
        np.testing.assert_array_equal(layer(x, lengths=given_lengths)[0].numpy(), expected)


@on_every_backend
@pytest.mark.parametrize("lengths", [[0, 4, 1], [5, 4, 1], [-1, 2, 2]])
def test_lengths_lie_between_one_and_the_steps(lengths, backend):
    layer, x, _ = padded("LSTM", backend)
    wanted = rf"LSTM\(3, 2, .*got lengths {min(lengths)} … {max(lengths)}; with 4 steps they lie in 1 … 4"
    with pytest.raises(ArgumentError, match=wanted):
        layer(x, lengths=lengths)


@pytest.mark.parametrize("lengths", [[1, 2], [1.0, 2.0, 2.0], [[1, 2, 3]], 3, [True, True, True]])
def test_lengths_are_a_whole_number_for_each_sequence(lengths):
    layer, x, _ = padded("LSTM")
    with pytest.raises(ShapeError, match="needs lengths, a whole number for each of 3 sequences; got"):
        layer(x, lengths=lengths)


# --- recorded steps ---------------------------------------------------------------------------------------------------


def gradients(layer):
    return [p.grad.numpy() for p in layer.parameters()]


@on_array_backends
@every_layer
def test_a_replay_is_eager_bit_for_bit_whatever_the_lengths(kind, backend):
    layer, _, _ = padded(kind, backend)
    random = np.random.default_rng(3)

    def step(x, lengths):
        layer.zero_grad()
        loss, parts = loss_of(*layer(x, lengths=lengths))
        loss.backward()
        return tuple(parts.values())

    captured = tn.capture(step, backend=engine(backend))
    for lengths in ([2, 4, 1], [1, 1, 4], [3, 4, 4]):
        x, lengths = random.normal(size=(4, 3, 3)), np.array(lengths)
        found = [part.numpy() for part in captured(x, lengths)] + gradients(layer)
        given = [Tensor(a, backend=engine(backend)) for a in (x, lengths)]
        expected = [part.numpy() for part in step(*given)] + gradients(layer)
        for a, b in zip(found, expected, strict=True):
            same_again(backend, a, b)
    assert sum(call.name == LAYERS[kind][0].__name__.lower() for call in captured.program.calls) == 4


# --- a long sequence in chunks: truncated back-propagation through time -----------------------------------------------


def chunks(layer, x, state, detach):
    """The losses of three chunks, each from the state that the one before left, with the way back cut or not."""
    total = 0.0
    for k in range(0, len(x), 2):
        out, state = layer(x[k : k + 2], state)
        total = total + (out * out).sum()
        if detach:
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
    return total


@pytest.mark.torch
@every_layer
@pytest.mark.parametrize("detach", [True, False])
def test_chunks_with_and_without_a_cut_are_pytorchs(kind, detach):
    import torch

    layer = drawn(kind, (3, 2, {"num_layers": 2}, None, None, 4))
    x = np.random.default_rng(2).normal(size=(6, 2, 3))
    theirs = in_torch(layer)
    for model, sequence in ((layer, Tensor(x)), (theirs, torch.tensor(x))):
        chunks(model, sequence, None, detach).backward()
    for (name, p), q in zip(layer.named_parameters(), theirs.parameters(), strict=True):
        same(p.grad.numpy(), q.grad.numpy(), f"{kind}: {name}", 1e-10, 1e-13)


def test_the_state_goes_in_and_out_of_a_recorded_step():
    layer = drawn("LSTM", (3, 2, {}, None, None, 4))
    x = np.random.default_rng(2).normal(size=(6, 2, 3))

    def step(x, h, c):
        layer.zero_grad()
        out, state = layer(x, (h, c))
        (out * out).sum().backward()
        return state

    found = []
    for function in (step, tn.capture(step)):
        h = c = Tensor(np.zeros((1, 2, 2)))
        for k in range(0, 6, 2):
            h, c = (part.detach() for part in function(Tensor(x[k : k + 2]), h, c))
            found.append([h.numpy(), c.numpy(), *gradients(layer)])
    for a, b in zip(found[:3], found[3:]):
        for part, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(part, other, strict=True)


# --- settings, names, refusals ----------------------------------------------------------------------------------------


@pytest.mark.torch
@every_layer
def test_a_state_dict_from_pytorch_fits_as_it_is(kind):
    layer = drawn(kind, (3, 2, {"num_layers": 2, "bidirectional": True}, None, None, 4))
    theirs = in_torch(layer)
    assert list(theirs.state_dict()) == list(layer.state_dict())
    fresh = LAYERS[kind][0](3, 2, num_layers=2, bidirectional=True, **LAYERS[kind][1])
    assert all(np.abs(p.numpy()).max() <= 2**-0.5 for p in fresh.parameters())
    fresh.load_state_dict({name: p.numpy() for name, p in theirs.state_dict().items()})
    for p, q in zip(fresh.parameters(), layer.parameters(), strict=True):
        same(p.numpy(), q.numpy(), kind, 1e-7)


@every_layer
def test_dropout_lies_between_the_layers(kind):
    cls, options = LAYERS[kind]
    layer = cls(3, 2, num_layers=2, dropout=1.0, **options)
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    alone = cls(2, 2, **options)
    alone.load_state_dict({n.replace("l1", "l0"): p.numpy() for n, p in layer.state_dict().items() if "l1" in n})
    same(layer(x)[0].numpy(), alone(np.zeros((4, 2, 2)))[0].numpy(), "all dropped", 1e-6)
    layer.eval()
    assert np.abs(layer(x)[0].numpy() - alone(np.zeros((4, 2, 2)))[0].numpy()).max() > 1e-3
    single = cls(3, 2, dropout=1.0, **options)
    np.testing.assert_array_equal(single(x)[0].numpy(), single.eval()(x)[0].numpy())


@on_array_backends
@every_layer
def test_float32_stays_float32_and_integers_become_it(kind, backend):
    cls, options = LAYERS[kind]
    layer = cls(3, 2, bidirectional=True, **options).to(engine(backend))
    for x in (np.ones((4, 2, 3), np.float32), np.ones((4, 2, 3)), np.ones((4, 2, 3), np.int64)):
        loss, parts = loss_of(*layer(x))
        assert {part.dtype for part in parts.values()} == {"float32"}
        loss.backward()
        assert {p.grad.dtype for p in layer.parameters()} == {"float32"}


@on_array_backends
@pytest.mark.parametrize(("name", "inputs", "params"), kernel_cases.calls(vars(recurrent)))
def test_the_kernels_keep_float32(name, inputs, params, backend):
    given = [x.astype("float32") if isinstance(x, np.ndarray) and x.dtype == float else x for x in inputs]
    found = kernel_cases.launch(engine(backend), name, given, params)
    assert {x.dtype.name for x in (found if isinstance(found, tuple) else (found,))} == {"float32"}


@on_array_backends
@every_layer
def test_sums_far_out_overflow_nowhere(kind, backend):
    layer = LAYERS[kind][0](1, 2).to(engine(backend))
    for x in (1e4, -1e4):
        x = Tensor(np.full((3, 1, 1), x, np.float32), backend=engine(backend), requires_grad=True)
        out, _ = layer(x)
        out.sum().backward()
        assert np.isfinite(out.numpy()).all() and np.isfinite(x.grad.numpy()).all()


@on_array_backends
def test_an_empty_batch(backend):
    layer = nn.LSTM(3, 2, bidirectional=True).to(engine(backend))
    out, (h, c) = layer(np.zeros((4, 0, 3)), lengths=np.zeros(0, int))
    out.sum().backward()
    assert (out.shape, h.shape, c.shape) == ((4, 0, 4), (2, 0, 2), (2, 0, 2))
    assert not any(p.grad.numpy().any() for p in layer.parameters())


def test_second_derivatives_need_the_reference():
    x = Tensor(np.ones((2, 1, 1)), requires_grad=True)
    layer = nn.RNN(1, 1).to("float64")
    with pytest.raises(GradientError, match="the fused rnn can be differentiated once"):
        layer(x)[0].sum().backward(create_graph=True)
    with tn.reference():
        layer(x)[0].sum().backward(create_graph=True)
    assert x.grad.requires_grad


@pytest.mark.tiny
@on_every_backend
def test_what_does_not_fit_is_refused(backend):
    layer = nn.LSTM(3, 2, batch_first=True).to(engine(backend))
    with pytest.raises(
        ShapeError, match=r"LSTM\(3, 2, batch_first=True\) needs \(batch, steps, 3\) or \(steps, 3\); got"
    ):
        layer(np.zeros((4, 2, 5)))
    with pytest.raises(
        ShapeError, match=r"h_0 of shape \(layers · directions, batch, hidden_size\) = \(1, 4, 2\); got"
    ):
        layer(np.zeros((4, 5, 3)), hx=(np.zeros((4, 2)), np.zeros((4, 2))))
    with pytest.raises(TypeMismatch, match=r"needs the state \(h_0, c_0\); got"):
        layer(np.zeros((4, 5, 3)), hx=np.zeros((1, 4, 2)))
    with pytest.raises(ShapeError, match="one step at least"):
        layer(np.zeros((4, 0, 3)))
    with pytest.raises(TypeMismatch, match="needs a tensor, an array or a list of numbers; got str"):
        layer("ab")


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "LSTM needs hidden_size, a whole number of at least 1; got 0"),
        ({"input_size": 2.0}, "LSTM needs input_size"),
        ({"num_layers": 0}, "LSTM needs num_layers"),
        ({"dropout": 1.5}, r"LSTM\(dropout=1.5\): it is a number from 0 to 1"),
        ({"dropout": "no"}, "it is a number from 0 to 1"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        nn.LSTM(**({"input_size": 3, "hidden_size": 2} | options))


def test_a_nonlinearity_is_one_of_two():
    with pytest.raises(ArgumentError, match=r"RNN\(nonlinearity='sin'\): choose 'tanh' or 'relu'"):
        nn.RNN(3, 2, nonlinearity="sin")


def test_repr_says_what_differs_from_the_defaults():
    assert repr(nn.LSTM(3, 2)) == "LSTM(3, 2)"
    assert repr(nn.RNN(3, 2, 2, "relu", bias=False, bidirectional=True)) == (
        "RNN(3, 2, num_layers=2, nonlinearity='relu', bias=False, bidirectional=True)"
    )


def test_the_error_for_an_unknown_name_shows_a_public_one():
    with pytest.raises(TypeError, match=r"RNNBase\.forward\(\) got an unexpected keyword argument 'state'"):
        nn.LSTM(3, 2)(np.zeros((4, 5, 3)), state=None)
