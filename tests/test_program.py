"""capture: a replay is, bit for bit, what running would have been; and what cannot be replayed is refused."""

import numpy as np
import pytest
from support import engine, on_array_backends

import tinynet as tn
from tinynet import Parameter, Tensor, capture, no_grad
from tinynet.errors import CaptureError, TypeMismatch
from tinynet.modes import mode
from tinynet.parameter import flatten

DATA = np.random.default_rng(2)
BATCHES = [(DATA.normal(size=(6, 4)).astype(np.float32), DATA.integers(0, 3, 6)) for _ in range(5)]
STARTS = [DATA.normal(size=shape).astype(np.float32) * 0.5 for shape in ((5, 4), (5,), (3, 5), (3,))]


class Network:
    """A small network written in operators, its loss, and stochastic gradient descent in place."""

    def __init__(self, backend: str = "numpy", flat: bool = False) -> None:
        self.backend = engine(backend)
        self.parameters = [Parameter(start, backend=self.backend) for start in STARTS]
        self.flats = flatten(self.parameters) if flat else []

    def loss(self, x, y):
        w1, b1, w2, b2 = self.parameters
        logits = (x @ w1.T + b1).tanh() @ w2.T + b2
        shifted = logits - logits.amax(1, keepdim=True)
        losses = shifted.exp().sum(1).log() - shifted[tn.arange(6, backend=self.backend), y]
        return losses.mean(), logits

    def step(self, x, y):
        for p in self.parameters:
            p.zero_grad()
        loss, logits = self.loss(x, y)
        loss.backward()
        with no_grad():
            if self.flats:
                for flat in self.flats:
                    flat.data.sub_(flat.gather_grad() * 0.1)
            else:
                for p in self.parameters:
                    p.sub_(p.grad * 0.1)
        return loss, logits

    def numbers(self):
        return [p.numpy() for p in self.parameters]

    def gradients(self):
        return [None if p.grad is None else p.grad.numpy() for p in self.parameters]


def equal(found, expected, what, backend="numpy"):
    """Bit for bit; on a GPU, where chains of calls are other kernels, to float32's rounding over a few steps."""
    rtol = 0 if backend == "numpy" else 1e-5
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a is None) == (b is None), f"{what} {i}: {a} and {b}"
        if a is not None:
            np.testing.assert_allclose(a, b, rtol, rtol / 10, strict=True, err_msg=f"{what} {i}")


def train(network, step, batches=BATCHES):
    losses = []
    for x, y in batches:
        loss, logits = step(Tensor(x, backend=network.backend), Tensor(y, backend=network.backend))
        losses.append((loss.numpy(), logits.numpy()))
    return losses


@pytest.mark.tiny
@on_array_backends
@pytest.mark.parametrize("flat", [False, True], ids=["parameters alone", "in a flat array"])
def test_replay_is_what_eager_does(flat, backend):
    eager, captured = Network(backend, flat), Network(backend, flat)
    step = capture(captured.step)
    for i, (a, b) in enumerate(zip(train(captured, step), train(eager, eager.step))):
        equal(a, b, f"step {i}, output", backend)
    equal(captured.numbers(), eager.numbers(), "parameter", backend)
    equal(captured.gradients(), eager.gradients(), "gradient of parameter", backend)
    assert not np.array_equal(captured.numbers()[0], STARTS[0]), "something was learned"


@pytest.mark.tiny
@on_array_backends
def test_replay_makes_no_new_arrays(backend):
    """The parameters, the result and the buffers are the same arrays after any number of steps."""
    network = Network(backend, flat=True)
    step = capture(network.step)
    x, y = (Tensor(a, backend=network.backend) for a in BATCHES[0])
    first = step(x, y)
    places = [p.data for p in network.parameters] + [call.out for call in step.program.calls]
    for _ in range(3):
        again = step(x, y)
        assert all(a.data is b.data for a, b in zip(first, again))
    assert all(
        a is b for a, b in zip(places, [p.data for p in network.parameters] + [c.out for c in step.program.calls])
    )


@pytest.mark.tiny
def test_arguments_are_copied_in_and_left_alone():
    step = capture(lambda x: x * 2)
    x = np.array([1.0, 2.0])
    given = Tensor(x)
    assert step(given).tolist() == [2.0, 4.0]
    other = Tensor(x + 1)
    assert step(other).tolist() == [4.0, 6.0]
    assert (given.tolist(), other.tolist()) == ([1.0, 2.0], [2.0, 3.0])
    assert step(x).tolist() == [2.0, 4.0], "NumPy arrays too"


@pytest.mark.tiny
def test_each_signature_is_recorded_once():
    runs = []

    def step(x, power=2):
        runs.append((x.shape, x.dtype, power))
        return x**power

    captured = capture(step)
    two, three, ints = Tensor([1.0, 2.0]), Tensor([1.0, 2.0, 3.0]), Tensor([1, 2])
    for x, power in [(two, 2), (three, 2), (two, 3), (ints, 2), (two, 2), (three, 2), (two, 3), (ints, 2)]:
        assert captured(x, power).tolist() == [v**power for v in x.tolist()]
    assert runs == [((2,), "float32", 2), ((3,), "float32", 2), ((2,), "float32", 3), ((2,), "int64", 2)]


@pytest.mark.tiny
def test_nested_outputs():
    captured = capture(lambda x: {"twice": x * 2, "more": [x + 1, (x.sum(), None, "name", 3)]})
    for number in (1.0, 5.0):
        out = captured(Tensor([number]))
        assert out["twice"].tolist() == [2 * number] and out["more"][0].tolist() == [number + 1]
        assert out["more"][1][0].item() == number and out["more"][1][1:] == (None, "name", 3)
    assert not out["twice"].requires_grad
    with pytest.raises(TypeMismatch, match="set"):
        capture(lambda x: {x})(Tensor([1.0]))


@pytest.mark.tiny
def test_outputs_are_buffers():
    captured = capture(lambda x: x * 2)
    first = captured(Tensor([1.0]))
    captured(Tensor([5.0]))
    assert first.tolist() == [10.0], "the next call overwrites what the last one returned"


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.T, lambda x: x.T),
        (lambda x: x.T.reshape(-1), lambda x: x.T.reshape(-1)),
        (lambda x: x[1], lambda x: x[1]),
        (lambda x: x[:, ::-1][[1, 1, 0]], lambda x: x[:, ::-1][[1, 1, 0]]),
        (lambda x: x, lambda x: x),
        (lambda x: x.unsqueeze(0).broadcast_to((4, 2, 3)) + 0, lambda x: np.broadcast_to(x, (4, 2, 3))),
        (lambda x: (x + 0).T.flatten() * 2, lambda x: x.T.flatten() * 2),
        (lambda x: tn.where(x > 0, x, 0.0), lambda x: np.where(x > 0, x, 0)),
        (lambda x: tn.cat([x, x.amax(1, keepdim=True)], 1), lambda x: np.c_[x, x.max(1)]),
        (lambda x: x.sum(), lambda x: x.sum()),
        (lambda x: x[0, 0] * 2, lambda x: x[0, 0] * 2),
        (lambda x: x.argmax(1), lambda x: x.argmax(1)),
        (lambda x: (x > 0).sum(), lambda x: (x > 0).sum()),
        (lambda x: x.to("float64") / 3, lambda x: x.astype(np.float64) / 3),
        (lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
        (lambda x: x.clip(-0.5, 0.5) ** (0.5).__rpow__(4), lambda x: x.clip(-0.5, 0.5) ** 2.0),
    ],
)
def test_views_copies_and_kernels_replay(function, expected):
    captured = capture(function)
    for _ in range(3):
        x = DATA.normal(size=(2, 3)).astype(np.float32)
        np.testing.assert_allclose(captured(x).numpy(), expected(x), rtol=1e-6)


def _used_after(x, w):
    y = x * 2
    w.copy_(y)
    return y + 1


def _old_numbers_read_before(x, w):
    y = x * 2
    old = w * 1
    w.copy_(y)
    return old


def _returned_too(x, w):
    y = x * 2
    w.copy_(y)
    return y


def _seen_through_a_view(x, w):
    y = x * 2
    view = y.reshape(2, 1)
    w.copy_(y)
    return view


def _overwritten_again(x, w):
    y = x * 2
    w.copy_(y)
    w.mul_(3.0)
    return w + 0


def _written_in_between(x, w):
    y = x * 2
    w.add_(1.0)
    z = w + 0
    w.copy_(y)
    return z


@pytest.mark.tiny
@on_array_backends
@pytest.mark.parametrize(
    "step",
    [
        _used_after,
        _old_numbers_read_before,
        _returned_too,
        _seen_through_a_view,
        _overwritten_again,
        _written_in_between,
    ],
)
def test_a_result_that_is_copied_on_is_not_lost(step, backend):
    """A program computes a result where it is copied to, unless something else needs it, or the place's old numbers."""
    kept, seen = [Tensor([0.5, -0.5], backend=engine(backend)) for _ in "ec"], []
    for w, run in zip(kept, (step, capture(lambda x: step(x, kept[1])))):
        inputs = [Tensor([float(i), 1.0], backend=engine(backend)) for i in range(4)]
        outs = [(run(x, w) if run is step else run(x)).tolist() for x in inputs]
        seen.append((outs, w.tolist()))
    assert seen[0] == seen[1]


@pytest.mark.tiny
@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: float(x.sum()),
        lambda x: x.numpy(),
        lambda x: bool(x.sum() > 0),
        repr,
        lambda x: x[x > 0],
    ],
)
def test_reading_a_value_is_refused(read):
    def step(x):
        read(x)
        return x * 2

    with pytest.raises(CaptureError, match="read"):
        capture(step)(Tensor([1.0]))
    assert mode.recorder is None
    assert Tensor([3.0]).item() == 3.0


@pytest.mark.tiny
@pytest.mark.parametrize("make", [lambda: Tensor(np.ones(1)), lambda: Tensor(Tensor([1.0])), lambda: np.ones(1)])
def test_an_array_made_inside_is_refused(make):
    """The replay would use the array of the first run for ever."""
    with pytest.raises(CaptureError, match="argument"):
        capture(lambda x: x + make())(Tensor([1.0]))
    assert mode.recorder is None


@pytest.mark.tiny
def test_the_scalar_backend_is_refused():
    with pytest.raises(CaptureError, match="scalar"):
        capture(lambda x: x * 2)(Tensor([1.0], backend="scalar"))
    assert mode.recorder is None


@pytest.mark.tiny
def test_an_exception_inside_leaves_the_backend_not_recording():
    calls = []

    def step(x):
        calls.append(x)
        if len(calls) == 1:
            raise ZeroDivisionError
        return x * 2

    captured = capture(step)
    with pytest.raises(ZeroDivisionError):
        captured(Tensor([1.0]))
    assert mode.recorder is None and captured.program is None
    assert captured(Tensor([1.0])).tolist() == captured(Tensor([1.0])).tolist() == [2.0]
    assert len(calls) == 2


# --- gradients across replays -----------------------------------------------------------------------------------------

FLAT = pytest.param(True, id="in a flat array")
ALONE = pytest.param(False, id="parameters alone")


def _backward_only(network):
    def step(x, y):
        loss, _ = network.loss(x, y)
        loss.backward()
        return loss

    return step


def _histories(network, step, before):
    """The gradients after each step, where ``before(i)`` says whether to forget them first."""
    seen = []
    for i, (x, y) in enumerate(BATCHES):
        if before(i):
            for p in network.parameters:
                p.zero_grad()
        step(Tensor(x), Tensor(y))
        seen.append(network.gradients())
    return seen


@pytest.mark.tiny
@pytest.mark.parametrize("flat", [FLAT, pytest.param(False, id="parameters alone")])
@pytest.mark.parametrize(
    "before",
    [lambda i: True, lambda i: False, lambda i: i % 2 == 0, lambda i: i in (1, 2)],
    ids=["always", "never", "every other step", "now and then"],
)
def test_forgetting_outside_and_accumulating_inside(before, flat):
    eager, captured = Network(flat=flat), Network(flat=flat)
    expected = _histories(eager, _backward_only(eager), before)
    for i, (a, b) in enumerate(zip(_histories(captured, capture(_backward_only(captured)), before), expected)):
        equal(a, b, f"step {i}, gradient of parameter")


@pytest.mark.tiny
@pytest.mark.parametrize("flat", [FLAT, ALONE])
def test_two_backward_passes_in_one_step_accumulate(flat):
    def step_of(network):
        def step(x, y):
            for p in network.parameters:
                p.zero_grad()
            for _ in range(2):
                network.loss(x, y)[0].backward()
            return x

        return step

    eager, captured = Network(flat=flat), Network(flat=flat)
    expected = _histories(eager, step_of(eager), lambda i: False)
    for a, b in zip(_histories(captured, capture(step_of(captured)), lambda i: False), expected):
        equal(a, b, "gradient of parameter")


@pytest.mark.tiny
@pytest.mark.parametrize("forget", [True, False])
def test_a_plain_leaf_accumulates_as_it_does_eagerly(forget):
    def gradients(wrap):
        w = Tensor([1.0, 2.0], requires_grad=True)
        step, seen = wrap(lambda x: (w * x).sum().backward()), []
        for i in range(4):
            if forget:
                w.zero_grad()
            step(Tensor([1.0, float(i)]))
            seen.append(None if w.grad is None else w.grad.tolist())
        return seen

    assert gradients(capture) == gradients(lambda step: step)


@pytest.mark.tiny
def test_laying_parameters_out_anew_records_anew():
    eager, captured = Network(), Network()
    step = capture(captured.step)
    train(captured, step, BATCHES[:2])
    captured.flats = flatten(captured.parameters)
    train(captured, step, BATCHES[2:])
    train(eager, eager.step)
    equal(captured.numbers(), eager.numbers(), "parameter")


@pytest.mark.tiny
def test_in_place_work_outside_the_step_is_seen():
    network = Network(flat=True)
    step = capture(lambda x, y: network.loss(x, y)[0])
    x, y = map(Tensor, BATCHES[0])
    step(x, y)
    with no_grad():
        network.flats[0].data.mul_(0.0)
    assert step(x, y).item() == pytest.approx(np.log(3), rel=1e-6), "equal logits: -log 1/3"


# --- what the author of a step may run into ---------------------------------------------------------------------------


@pytest.mark.tiny
def test_a_constant_made_inside_and_changed_in_place():
    def step(x):
        total = tn.zeros(1)
        total.add_(x)
        return total

    captured = capture(step)
    assert [captured(Tensor([1.0])).item() for _ in range(3)] == [1.0, 1.0, 1.0]


@pytest.mark.tiny
def test_a_step_without_arguments():
    x = Tensor([1.0])
    captured = capture(lambda: x * 2)
    assert captured().tolist() == captured().tolist() == [2.0]


@pytest.mark.tiny
def test_a_named_tuple_as_output():
    assert capture(lambda x: x.max(0))(Tensor([1.0, 3.0])).indices.item() == 1


@pytest.mark.tiny
def test_an_argument_that_cannot_be_part_of_a_signature_is_refused_by_name():
    with pytest.raises((CaptureError, TypeMismatch)):
        capture(lambda x, rows: x * len(rows))(Tensor([1.0]), [1, 2])


# --- the printed program ----------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_a_program_prints_each_call_on_a_line():
    network = Network(flat=True)
    step = capture(network.step, names=[(f"p{i}", p) for i, p in enumerate(network.parameters)])
    step(*map(Tensor, BATCHES[0]))
    program = step.program
    lines = str(program).splitlines()
    calls = [line for line in lines if not line.startswith("#")]
    assert len(calls) == len(program.calls) and lines[0] == f"# {len(program)} calls on numpy"
    assert len(program) == sum(not call.is_view for call in program.calls)
    assert all(("out=" in line) != line.endswith("a view") for line in calls)
    text = str(program)
    assert "np.tanh(" in text and "np.matmul(x0, " in text and "p0" in text and "x1: int64 (6,)" in text
    assert len({line.split("#")[0] for line in calls}) == len(calls), "each result has a name of its own"


@pytest.mark.tiny
def test_the_example_of_the_lesson():
    captured = capture(lambda x, y: ((x - y) ** 2).sum())
    captured(Tensor([1.0, 2.0]), Tensor([0.0, 0.0]))
    lines = [line.split("#")[0].strip() for line in str(captured.program).splitlines() if not line.startswith("#")]
    assert lines[:2] == ["np.subtract(x0, x1, out=t2)", "pow(t2, 2, out=t3)"] and lines[2].startswith(
        "sum(t3, axis=(0,)"
    )
