"""TF32 on request, and autocast, compared with casts by hand, with float32 on rounded numbers, and with PyTorch."""

import numpy as np
import pytest
from support import engine, on_array_backends, on_every_backend, same, same_gradients

import tinynet as tn
from tinynet import Tensor, autocast, nn
from tinynet.dtypes import HALVES
from tinynet.errors import ArgumentError
from tinynet.modes import mode, switched
from tinynet.nn import attention as attention_file
from tinynet.nn.activations import log_softmax, softmax
from tinynet.nn.conv import conv2d, conv_transpose2d
from tinynet.nn.linear import linear, rows_product, rows_times
from tinynet.nn.losses import softmax_cross_entropy
from tinynet.nn.norm import normalise
from tinynet.nn.recurrent import gru, lstm, rnn
from tinynet.precision import NARROW, WIDE, matmul_precision
from tinynet.staleness import recordings

on_both = pytest.mark.parametrize("dtype", HALVES)
EPS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}  # how far rounding moves a number, relatively


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype(np.float32)


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    return x.astype(np.dtype(dtype)).astype(np.float32)


# --- how float32 is multiplied ----------------------------------------------------------------------------------------


@pytest.fixture
def precision_put_back():
    yield
    tn.set_float32_matmul_precision("highest")


@pytest.mark.tiny
def test_the_precision_of_products(precision_put_back):
    assert tn.get_float32_matmul_precision() == matmul_precision() == "highest"
    for word in ("high", "medium", "highest"):
        version = recordings.version
        tn.set_float32_matmul_precision(word)
        assert tn.get_float32_matmul_precision() == matmul_precision() == word
        assert recordings.version > version  # a recorded step has the old setting in it
    version = recordings.version
    tn.set_float32_matmul_precision("highest")
    assert recordings.version == version
    with pytest.raises(ArgumentError, match=r"'higher'.*'highest', 'high', 'medium'"):
        tn.set_float32_matmul_precision("higher")
    with switched(products="high"):  # as a trainer asks for it
        assert (matmul_precision(), tn.get_float32_matmul_precision()) == ("high", "highest")
    assert matmul_precision() == "highest"


@on_array_backends
def test_it_changes_nothing_where_there_is_no_such_unit(backend, precision_put_back):
    x, w = (Tensor(numbers(8, 8, seed=i), backend=engine(backend)) for i in range(2))
    before = (x @ w).numpy()
    tn.set_float32_matmul_precision("medium")
    if backend != "cupy":
        same((x @ w).numpy(), before, "product", 0)


# --- which operations take what ---------------------------------------------------------------------------------------

X, W, B = (4, 6), (5, 6), (5,)
STATE = ((3, 4, 6), (4, 5))  # steps, batch and inputs; batch and units
IMAGE = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
NARROW_CASES = {
    "matmul": (lambda x, y: x @ y, [(4, 6), (6, 5)]),
    "matmul, stacks": (lambda x, y: x @ y, [(2, 4, 6), (2, 6, 5)]),
    "linear": (linear, [X, W, B]),
    "linear, stacks": (linear, [(2, *X), W, B]),
    "rows_product": (rows_product, [(4, 6), (4, 5)]),
    "rows_times": (rows_times, [(4, 6), (6, 5)]),
    "conv2d": (lambda x, w, b: conv2d(x, w, b, **IMAGE), [(2, 3, 6, 6), (4, 3, 3, 3), (4,)]),
    "conv_transpose2d": (
        lambda x, w, b: conv_transpose2d(x, w, b, size=(6, 6), **IMAGE),
        [(2, 3, 6, 6), (3, 4, 3, 3), (4,)],
    ),
    "attention": (
        lambda q, k, v, m: attention_file.attention(q, k, v, m, None, causal=False, scale=0.5),
        [(2, 4, 6), (2, 5, 6), (2, 5, 3), (4, 5)],
    ),
    "rnn": (lambda x, h, *w: rnn(x, h, *w, None, nonlinearity="tanh"), [*STATE, (5, 6), (5, 5), (5,)]),
    "lstm": (
        lambda x, h, c, *w: lstm(x, h, c, *w, None),
        [*STATE, (4, 5), (20, 6), (20, 5), (20,)],
    ),
    "gru": (lambda x, h, *w: gru(x, h, *w, None), [*STATE, (15, 6), (15, 5), (15,), (15,)]),
}
WIDE_CASES = {
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "pow": lambda x: x**3,
    "sum": lambda x: x.sum(0),
    "softplus": lambda x: x.softplus(),
    "softmax": lambda x: softmax(x, dim=-1),
    "log_softmax": lambda x: log_softmax(x, dim=-1),
    "softmax_cross_entropy": lambda x: softmax_cross_entropy(x, Tensor([0, 1, 2, 0], backend=x.backend), mean=True),
    "normalise": lambda x: normalise(x, None, None, axes=(1,), eps=1e-5),
}


@pytest.mark.tiny
def test_every_operation_that_is_cast_is_tried():
    assert {name.partition(",")[0] for name in NARROW_CASES} == NARROW
    assert set(WIDE_CASES) == WIDE


def leaves(shapes, backend: str) -> list[Tensor]:
    return [Tensor(numbers(*s, seed=i), backend=engine(backend), requires_grad=True) for i, s in enumerate(shapes)]


def backward(out: Tensor) -> None:
    """Back from a result, weighted, in float32."""
    out = out.to(dtype="float32")
    (out * Tensor(numbers(*out.shape, seed=99), backend=out.backend)).sum().backward()


@on_array_backends
@on_both
@pytest.mark.parametrize("name", NARROW_CASES)
def test_products_are_those_of_casts_by_hand(name, dtype, backend):
    """Bit for bit: autocast adds nothing to the casts."""
    function, shapes = NARROW_CASES[name]
    given, by_hand = leaves(shapes, backend), leaves(shapes, backend)
    with autocast(dtype):
        out = function(*given)
    expected = function(*[x.to(dtype=dtype) for x in by_hand])
    assert out.dtype == expected.dtype == dtype
    same(out.numpy(), expected.numpy(), name, 0)
    backward(out), backward(expected)
    for i, (x, y) in enumerate(zip(given, by_hand)):
        assert x.dtype == x.grad.dtype == "float32"
        same(x.grad.numpy(), y.grad.numpy(), f"{name}, gradient {i}", 0)


@on_both
@pytest.mark.parametrize("name", NARROW_CASES)
def test_products_are_those_of_float32_on_rounded_numbers(name, dtype):
    """The results are off by one rounding, of the value and of each number on the way back; those of a recurrence by
    one a step."""
    function, shapes = NARROW_CASES[name]
    given = leaves(shapes, "numpy")
    exact = [Tensor(rounded(x.numpy(), dtype), requires_grad=True) for x in given]
    with autocast(dtype):
        out = function(*given)
    expected = function(*exact)
    largest = float(expected.abs().amax())
    same(out.numpy(), expected.numpy(), name, EPS[dtype], 4 * EPS[dtype] * largest)
    backward(out), backward(expected)
    found, wanted = ([x.grad.numpy() for x in given], [x.grad.numpy() for x in exact])
    same_gradients(found, wanted, name, 8 * EPS[dtype], 8 * EPS[dtype] * max(abs(g).max() for g in wanted))


@on_array_backends
@on_both
@pytest.mark.parametrize("name", WIDE_CASES)
def test_what_needs_the_range_takes_float32(name, dtype, backend):
    host = abs(rounded(numbers(4, 6), dtype)) + 1
    x = Tensor(host, dtype, backend=engine(backend), requires_grad=True)
    y = Tensor(x.numpy().astype(np.float32), backend=engine(backend), requires_grad=True)
    with autocast(dtype):
        out = WIDE_CASES[name](x)
    expected = WIDE_CASES[name](y)
    assert out.dtype == expected.dtype == "float32"
    same(out.numpy(), expected.numpy(), name, 0)
    backward(out), backward(expected)
    assert x.grad.dtype == dtype
    same(x.grad.numpy(), y.grad.numpy(), f"{name}, gradient", EPS[dtype], 1e-6)


@on_array_backends
def test_other_operations_take_what_comes(backend):
    half, single = (Tensor(numbers(3), dtype, backend=engine(backend)) for dtype in ("bfloat16", "float32"))
    with autocast("bfloat16"):
        assert half.relu().dtype == half.tanh().dtype == (half * half + 0.5).dtype == half.mean().dtype == "bfloat16"
        assert single.relu().dtype == (half + single).dtype == "float32"
        assert (half > 0).dtype == "bool" and half.argmax().dtype == "int64"


@on_every_backend
def test_float64_and_values_are_left_alone(backend):
    """What was asked for in double precision stays there, as in PyTorch; a Value computes in Python's floats."""
    x, w = (Tensor(numbers(3, 3, seed=i).astype(np.float64), backend=engine(backend)) for i in range(2))
    expected = (x @ w).numpy()
    with autocast("bfloat16"):
        out = x @ w
        assert out.dtype == "float64" and out.exp().dtype == "float64"
    same(out.numpy(), expected, "product", 0)


def test_integers_are_left_alone():
    with autocast("bfloat16"):
        counts = Tensor([[1, 2], [3, 4]])
        assert (counts @ counts).dtype == counts.sum().dtype == "int64"


# --- the context ------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_inside_outside_and_around_a_function():
    x, w = Tensor(numbers(2, 3)), Tensor(numbers(3, 2))
    product = lambda: (x @ w).dtype
    with autocast("float16"):
        assert product() == "float16"
        with autocast("bfloat16"):
            assert product() == "bfloat16"
        with autocast(enabled=False):
            assert product() == "float32"
        assert product() == "float16"
    assert product() == "float32" and mode.autocast is None
    assert autocast("bfloat16")(product)() == autocast()(product)() == "bfloat16"
    with pytest.raises(ZeroDivisionError), autocast():
        raise ZeroDivisionError
    assert product() == "float32"
    for wrong in ("float32", "half", None):
        with pytest.raises(ArgumentError, match="'bfloat16' or 'float16'"):
            autocast(wrong)


@on_array_backends
@pytest.mark.parametrize("forward", [True, False], ids=["forward inside", "forward outside"])
def test_backward_takes_the_types_of_forward_wherever_it_stands(backend, forward):
    def gradients(inside: bool):
        x, w = leaves([(4, 6), (6, 3)], backend)
        with autocast("bfloat16", enabled=forward):
            loss = ((x @ w).tanh() ** 2).sum()
        with autocast("bfloat16", enabled=inside):
            loss.backward()
        return [x.grad.numpy(), w.grad.numpy()]

    for found, expected in zip(gradients(True), gradients(False)):
        same(found, expected, "gradient", 0)


@on_array_backends
def test_a_gradient_has_the_type_of_its_tensor(backend):
    """A half float that meets a float32 gets a gradient in float32, which is rounded before it goes on."""
    half = Tensor(numbers(3, 4), "float16", backend=engine(backend), requires_grad=True)
    middle = half * 2
    middle.retain_grad()
    single = Tensor(numbers(4), backend=engine(backend), requires_grad=True)
    (middle + single).sum().backward()
    assert (half.grad.dtype, middle.grad.dtype, single.grad.dtype) == ("float16", "float16", "float32")
    assert single.grad.tolist() == [3.0] * 4 and half.grad.tolist() == [[2.0] * 4] * 3


# --- layers and losses ------------------------------------------------------------------------------------------------


def mixed_model() -> nn.Module:
    tn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(36, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 5),
    )  # fmt: skip


@on_array_backends
@on_both
def test_a_models_weights_and_gradients_stay_in_float32(backend, dtype):
    model = mixed_model().to(engine(backend))
    x, y = Tensor(numbers(6, 1, 8, 8), backend=engine(backend)), Tensor([0, 1, 2, 3, 4, 0], backend=engine(backend))

    def gradients():
        model.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        return loss, {name: w.grad for name, w in model.named_parameters()}

    single, expected = gradients()
    loss, found = autocast(dtype)(gradients)()
    assert loss.dtype == "float32" and loss.item() == pytest.approx(single.item(), rel=10 * EPS[dtype])
    assert {w.dtype for w in model.parameters()} == {g.dtype for g in found.values()} == {"float32"}
    assert {b.dtype for _, b in model.named_buffers()} == {"float32", "int64"}
    for name, g in expected.items():
        if name != "0.bias":  # which a batch norm takes away again: its gradient is nothing but rounding
            largest = abs(g.numpy()).max()
            same(found[name].numpy(), g.numpy(), name, 0, 60 * EPS[dtype] * largest)


@on_array_backends
def test_the_types_along_a_model(backend):
    """As PyTorch has them: half floats from product to product, float32 out of a normalisation and a softmax."""
    x = Tensor(numbers(2, 1, 8, 8), backend=engine(backend))
    seen = []
    with autocast("bfloat16"):
        for layer in mixed_model().to(engine(backend)).children():
            x = layer(x)
            seen.append(x.dtype)
    half, single = "bfloat16", "float32"
    assert seen == [half, single, single, single, single, half, single, single, half]


LOSSES = [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.BCEWithLogitsLoss(), nn.QuadraticCost()]


@on_array_backends
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_losses_compute_in_float32(backend, loss):
    """Beside a target that is not rounded."""
    out = Tensor(rounded(numbers(4, 3), "float16"), "float16", backend=engine(backend))
    target = Tensor(abs(numbers(4, 3, seed=1)), backend=engine(backend))
    with autocast("float16"):
        found = loss(out, target)
    expected = loss(out.to(dtype="float32"), target)
    assert found.dtype == "float32" and found.item() == expected.item()


def test_sequences_and_attention():
    tn.manual_seed(0)
    text = Tensor(np.arange(12).reshape(2, 6) % 5)
    gpt = nn.GPT(vocab_size=5, block_size=6, n_layer=1, n_head=2, n_embd=8)
    single = gpt(text).numpy()
    states, (h, _) = nn.LSTM(8, 4, bidirectional=True)(Tensor(numbers(6, 2, 8)), lengths=[6, 3])
    tn.manual_seed(0)
    with autocast("bfloat16"):
        tn.manual_seed(0)
        half = gpt(text)
        out, (end, _) = nn.LSTM(8, 4, bidirectional=True)(Tensor(numbers(6, 2, 8)), lengths=[6, 3])
        cell = nn.LSTMCell(8, 4)(Tensor(numbers(2, 8)))[0]
    assert {half.dtype, out.dtype, end.dtype} == {"bfloat16"} and cell.shape == (2, 4)
    same(half.numpy(), single, "GPT", 0, 0.05 * abs(single).max())
    assert states.shape == out.shape and h.shape == end.shape


# --- recorded ---------------------------------------------------------------------------------------------------------


@on_array_backends
@on_both
def test_a_recorded_step_does_what_an_eager_one_does(backend, dtype):
    """Bit for bit, over a few steps of descent."""
    y = Tensor([0, 1, 2, 3, 4, 0], backend=engine(backend))

    def trained(record: bool):
        model = mixed_model().to(engine(backend))
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

        def step(x, y):
            optimizer.zero_grad()
            with autocast(dtype):
                loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        run = tn.capture(step) if record else step
        losses = [run(Tensor(numbers(6, 1, 8, 8, seed=i), backend=engine(backend)), y).item() for i in range(4)]
        return losses, [w.numpy() for w in model.parameters()]

    (eager, expected), (recorded, found) = trained(False), trained(True)
    # On a device operations of single elements are joined in one kernel, whose tanh or exp is another library's.
    rtol = 0 if backend == "numpy" else 20 * EPS[dtype]
    same(recorded, eager, "losses", rtol)
    for a, b in zip(found, expected):
        same(a, b, "weights", rtol, rtol)


def test_it_is_part_of_a_recordings_signature():
    w = Tensor(numbers(3, 2))
    calls = []

    def product(x):
        calls.append(mode.autocast)
        return x @ w

    step, x = tn.capture(product), Tensor(numbers(4, 3))
    for _ in range(2):
        assert step(x).dtype == "float32"
        for dtype in HALVES:
            with autocast(dtype):
                assert step(x).dtype == dtype
    assert calls == [None, *HALVES]


def test_second_derivatives_inside_autocast():
    """d²/dx² Σ (x @ w)³ by the rules, beside the same with casts by hand."""
    found = []
    for by_hand in (False, True):
        x, w = leaves([(2, 3), (3, 2)], "numpy")
        with autocast("bfloat16", enabled=not by_hand):
            product = x.to(dtype="bfloat16") @ w.to(dtype="bfloat16") if by_hand else x @ w
            (product.to(dtype="float32") ** 3).sum().backward(create_graph=True)
        g = x.grad
        x.grad = None
        (g * g).sum().backward()
        found.append(x.grad.numpy())
    same(found[0], found[1], "second derivative", 0)


# --- PyTorch ----------------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_the_same_operations_are_cast_as_in_pytorch():
    """Types of results on PyTorch's CPU, whose list is as CUDA's for these operations."""
    import torch
    from torch.nn import functional as f

    x, w, t = torch.ones(4, 6), torch.ones(5, 6), torch.tensor([0, 1, 2, 0])
    half = x.to(torch.bfloat16)
    theirs = {
        "matmul": lambda: x @ w.T,
        "linear": lambda: f.linear(x, w),
        "conv2d": lambda: f.conv2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3)),
        "conv_transpose2d": lambda: f.conv_transpose2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3)),
        "attention": lambda: f.scaled_dot_product_attention(*[torch.ones(1, 1, 4, 6)] * 3),
        "rnn": lambda: torch.nn.RNN(6, 5)(x)[0],
        "softmax_cross_entropy": lambda: f.cross_entropy(half, t),
        "mse": lambda: f.mse_loss(half, x),
        "relu": lambda: half.relu(),
        "tanh": lambda: half.tanh(),
        "promoted": lambda: half + x,
        "double": lambda: x.double() @ w.double().T,
    }
    a, b, s = Tensor(np.ones((4, 6), "f4")), Tensor(np.ones((5, 6), "f4")), Tensor(np.ones((4, 6)), "bfloat16")
    image, window = Tensor(np.ones((1, 1, 5, 5), "f4")), Tensor(np.ones((1, 1, 3, 3), "f4"))
    ours = {
        "matmul": lambda: a @ b.T,
        "linear": lambda: nn.functional.linear(a, b),
        "conv2d": lambda: nn.functional.conv2d(image, window),
        "conv_transpose2d": lambda: nn.functional.conv_transpose2d(image, window),
        "attention": lambda: nn.functional.scaled_dot_product_attention(*[Tensor(np.ones((1, 1, 4, 6), "f4"))] * 3),
        "rnn": lambda: nn.RNN(6, 5)(a)[0],
        "softmax_cross_entropy": lambda: nn.functional.cross_entropy(s, Tensor([0, 1, 2, 0])),
        "mse": lambda: nn.functional.mse_loss(s, a),
        "relu": lambda: s.relu(),
        "tanh": lambda: s.tanh(),
        "promoted": lambda: s + a,
        "double": lambda: a.to("float64") @ b.to("float64").T,
    }
    with torch.autocast("cpu", torch.bfloat16):
        expected = {name: str(make().dtype).removeprefix("torch.") for name, make in theirs.items()}
    with autocast("bfloat16"):
        found = {name: make().dtype for name, make in ours.items()}
    assert found == expected


@pytest.mark.torch
def test_values_and_gradients_are_pytorchs():
    """Both compute in float32 and round once; sums go in another order, and a rounding may fall the other way."""
    import torch

    x, w, b, y = numbers(16, 12), numbers(8, 12, seed=1), numbers(8, seed=2), np.arange(16) % 8
    theirs = [torch.tensor(a, requires_grad=True) for a in (w, b)]
    with torch.autocast("cpu", torch.bfloat16):
        out = torch.nn.functional.linear(torch.tensor(x), *theirs).relu()
        loss = torch.nn.functional.cross_entropy(out, torch.tensor(y))
    loss.backward()
    ours = [Tensor(a, requires_grad=True) for a in (w, b)]
    with autocast("bfloat16"):
        mine = nn.CrossEntropyLoss()(nn.functional.linear(Tensor(x), *ours).relu(), Tensor(y))
    mine.backward()
    assert mine.item() == pytest.approx(loss.item(), rel=EPS["bfloat16"])
    for i, (a, c) in enumerate(zip(ours, theirs)):
        largest = float(c.grad.abs().max())
        same(a.grad.numpy(), c.grad.numpy(), f"gradient {i}", 2 * EPS["bfloat16"], EPS["bfloat16"] * largest)
