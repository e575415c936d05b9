"""What changed after a step was recorded: the next call does what running the function would do, or refuses to."""

import re
import threading

import numpy as np
import pytest

import tinynet as tn
from tinynet import Parameter, Tensor, capture, nn, no_grad, optim, reference
from tinynet.errors import ArgumentError, CaptureError, GradientError
from tinynet.recording import MOST

DATA = np.random.default_rng(5)
X = DATA.normal(size=(4, 3)).astype(np.float32)
Y = np.array([0, 1, 2, 1])
NAME = r"\b(?:[xtc]\d+|\d\.(?:weight|bias)(?:\.grad)?|parameters|gradients|momentum|lr|step)\b(?!=)"

pytestmark = pytest.mark.tiny


def net() -> nn.Sequential:
    tn.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.2), nn.Linear(3, 3))


def recordings(captured) -> int:
    return sum(map(len, captured._recordings.values()))


def same(a, b) -> None:
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy(), strict=True)


def same_state(a: nn.Module, b: nn.Module) -> None:
    for (name, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), err_msg=name)
        assert (p.grad is None) == (q.grad is None), name
        if p.grad is not None:
            np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy(), err_msg=f"{name}.grad")


# --- a captured function inside another -------------------------------------------------------------------------------


def test_a_captured_function_inside_another():
    """Whether the inner one has been recorded before or not, and whether it is called alone in between."""
    w = Parameter([2.0, 3.0])
    plain_inner = lambda x: (x * w).tanh() + 1
    for recorded_before in (False, True):
        inner = capture(plain_inner)
        outer = capture(lambda x, inner=inner: inner(x * 2) - inner(x))
        if recorded_before:
            inner(Tensor([0.0, 0.0]))
        for i in range(3):
            x = Tensor([0.1 * i, -0.2])
            same(outer(x), plain_inner(x * 2) - plain_inner(x))
            same(inner(x), plain_inner(x))
        assert recordings(outer) == recordings(inner) == 1


def test_a_captured_backward_pass_inside_a_captured_step():
    eager, replayed = net(), net()

    def step_of(model, wrap):
        optimizer, loss = optim.SGD(model.parameters(), lr=0.1, momentum=0.9), nn.CrossEntropyLoss()
        gradients = wrap(lambda x, y: loss(model(x), y).backward())

        def step(x, y):
            model.zero_grad()
            gradients(x, y)
            optimizer.step()

        return wrap(step)

    one, other = step_of(eager, lambda f: f), step_of(replayed, capture)
    for i in range(3):
        x, y = Tensor(X + i), Tensor(Y)
        one(x, y)
        other(x, y)
        same_state(replayed, eager)


# --- what outdates a recording ----------------------------------------------------------------------------------------


class Coder(nn.Module):
    def __init__(self):
        tn.manual_seed(8)
        self.enc, self.dec, self.bend = nn.Linear(3, 3), nn.Linear(3, 3), nn.LeakyReLU(0.1)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x):
        return self.dec(self.bend(self.enc(x)))


CHANGES = {
    "tied weights": lambda m: setattr(m.dec, "weight", m.enc.weight),
    "another layer": lambda m: setattr(m, "bend", nn.Tanh()),
    "slope": lambda m: setattr(m.bend, "negative_slope", 0.7),
    "smoothing": lambda m: setattr(m.loss, "label_smoothing", 0.3),
    "reduction": lambda m: setattr(m.loss, "reduction", "sum"),
    "frozen by attribute": lambda m: setattr(m.enc.weight, "requires_grad", False),
    "frozen but for one": lambda m: (m.requires_grad_(False), m.dec.bias.requires_grad_(True)),
    "new array": lambda m: setattr(m.enc.weight, "data", np.full((3, 3), 0.25, np.float32)),
    "no bias": lambda m: setattr(m.enc, "bias", None),
    "float64": lambda m: m.to("float64"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_call_after_a_change_equals_eager(change):
    eager, replayed, untouched = Coder(), Coder(), Coder()

    def step_of(m):
        def step(x, y):
            m.zero_grad()
            loss = m.loss(m(x), y)
            loss.backward()
            return loss

        return step

    one, other = step_of(eager), capture(step_of(replayed))
    x, y = Tensor(X), Tensor(Y)
    for _ in range(2):
        same(other(x, y), one(x, y))
    CHANGES[change](eager)
    CHANGES[change](replayed)
    for _ in range(3):
        same(other(x, y), one(x, y))
        same_state(replayed, eager)
    step_of(untouched)(x, y)
    with pytest.raises((AssertionError, ValueError)):  # the change makes a difference
        same_state(untouched, eager)


def test_a_hook_is_run_or_the_step_refused():
    """A hook is Python: it is never silently left out, and once it is gone the step is recorded again."""
    w = Parameter([1.0, 2.0])
    step = capture(lambda x: (x * w).sum().backward())
    x = Tensor([3.0, 4.0])
    step(x)
    remove = w.register_hook(lambda g: g * 10)
    w.zero_grad()
    with pytest.raises(CaptureError, match="hook"):
        step(x)
    remove()
    for _ in range(2):
        w.zero_grad()
        step(x)
        assert w.grad.tolist() == [3.0, 4.0]


class Doubler(nn.Module):
    """Doubles in training, and leaves alone in evaluation."""

    def forward(self, x):
        return x * 2 if self.training else x + 0


def test_both_modes_are_kept():
    model = nn.Sequential(Doubler(), nn.LeakyReLU(), Doubler())
    captured, x = capture(model), Tensor([1.0, -3.0])
    for i in range(4):
        model.train()
        assert captured(x).tolist() == pytest.approx([4.0, -0.12])
        model.eval()
        assert captured(x).tolist() == pytest.approx([1.0, -0.03])
        assert recordings(captured) == 2, f"round {i}"


def test_no_grad_and_reference_around_the_call():
    model, loss = net(), nn.CrossEntropyLoss()
    captured = capture(lambda x, y: loss(model(x), y))
    x, y = Tensor(X), Tensor(Y)
    for around in (no_grad, reference, no_grad, reference):
        same(captured(x, y), loss(model(x), y))
        with around():
            same(captured(x, y), loss(model(x), y))
            names = {call.name for call in captured.program.calls}
        assert ("softmax_cross_entropy" in names) == (around is no_grad)
    assert recordings(captured) == 3
    backward = capture(lambda x: (x * model[0].bias).sum().backward())
    backward(x[0])
    with no_grad(), pytest.raises(GradientError, match="no_grad"):
        backward(x[0])


# --- arguments --------------------------------------------------------------------------------------------------------


def test_numbers_of_other_types_are_other_signatures():
    captured, x = capture(lambda x, c: x + c), Tensor([1, 2])
    for constant in (2, 2.0, 2, True, 1, 1.0, 1):
        found, expected = captured(x, constant), x + constant
        assert found.dtype == expected.dtype == ("float64" if isinstance(constant, float) else "int64")
        assert found.tolist() == expected.tolist()


def test_constants_that_change_each_time_do_not_grow_the_table_without_bound():
    captured, x = capture(lambda x, c: x * c), Tensor([1.0, 2.0])
    for i in range(4 * MOST):
        assert captured(x, i).tolist() == [i, 2.0 * i]
        assert recordings(captured) <= MOST + 1


@pytest.mark.parametrize("rule", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.Adam(p, lr=0.1)])
def test_an_optimisers_step_alone(rule):
    eager, replayed = Parameter([1.0, 2.0, 3.0]), Parameter([1.0, 2.0, 3.0])
    one, other = rule([eager]), rule([replayed])
    step = capture(lambda: other.step())
    for i in range(5):
        for p in (eager, replayed):
            if i % 2:
                p.grad = Tensor([1.0, -0.5, 0.25 * i])
            else:
                p.zero_grad()
                (p * p * i + p).sum().backward()
        one.step()
        step()
        np.testing.assert_array_equal(replayed.numpy(), eager.numpy(), err_msg=f"step {i}")
    one.zero_grad()
    other.zero_grad()
    for run in (one.step, step):
        with pytest.raises(GradientError, match="no parameter has a gradient"):
            run()
    np.testing.assert_array_equal(replayed.numpy(), eager.numpy())


@pytest.mark.parametrize("make", [lambda: Tensor([0.0]), lambda: tn.zeros(1), lambda: tn.full((1,), 0.0)])
def test_a_tensor_made_inside_begins_anew(make):
    def step(x):
        total = make()
        total.add_(x)
        total.add_(x)
        return total

    captured = capture(step)
    assert [captured(Tensor([v])).item() for v in (1.0, 1.0, 4.0)] == [2.0, 2.0, 8.0]


def test_a_loss_made_inside_works():
    x, y = Tensor(X), Tensor(Y)
    captured = capture(lambda x, y: nn.CrossEntropyLoss(label_smoothing=0.1)(x, y))
    for _ in range(3):
        same(captured(x, y), nn.CrossEntropyLoss(label_smoothing=0.1)(x, y))
    assert recordings(captured) == 1


# --- threads, and the printed program ---------------------------------------------------------------------------------


def test_another_thread_stays_out_of_the_program_and_may_read():
    w, seen = Parameter([2.0, 3.0]), []

    def elsewhere():
        seen.append((Tensor(np.ones(2)) * 3 + w.detach()).tolist())  # computes, makes tensors of arrays and reads
        seen.append(nn.Linear(2, 1)(Tensor([1.0, 1.0])).shape)  # draws random numbers

    def step(x):
        y = x * w
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return y + 1

    captured = capture(step)
    for numbers in ([1.0, 1.0], [0.0, 5.0]):
        same(captured(Tensor(numbers)), Tensor(numbers) * w.detach() + 1)
    assert seen == [[5.0, 6.0], (1,)] and [call.name for call in captured.program.calls] == ["mul", "add"]


def test_a_listing_shows_names_and_declares_what_was_there():
    """Every name in the calls was declared in the head, is a result of an earlier call, or is one now."""
    model, loss = net(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x, y):
        loss(model(x), y).backward()  # adds to gradients that are there already
        optimizer.step()

    names = [*optimizer.named_tensors(), *model.named_parameters()]
    captured = capture(step, names=names)
    loss(model(X), Y).backward()
    captured(Tensor(X), Tensor(Y))
    lines = str(captured.program).splitlines()
    declared = {line[2:].split(":")[0] for line in lines[1:] if line.startswith("# ")}
    expected = {name for name, _ in model.named_parameters()} | {"x0", "x1", "lr", "momentum", "parameters"}
    assert expected | {f"{name}.grad" for name, _ in model.named_parameters()} <= declared
    known = set(declared)
    for line in (line.split("#")[0] for line in lines if not line.startswith("#")):
        outs = line.split("out=")[1] if "out=" in line else line.split(" = ")[0]
        made = set(re.findall(NAME, outs))
        used = set(re.findall(NAME, line.split("out=")[0].split("(", 1)[1]))
        assert used <= known and made, line
        known |= made


@pytest.mark.tiny
def test_a_layer_added_or_taken_away_and_a_setting_of_the_class_are_noticed():
    model = nn.Sequential(nn.Linear(2, 2))
    step = tn.capture(model)
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    step(x)
    model.append(nn.Tanh())
    np.testing.assert_array_equal(step(x).numpy(), model(x).numpy())
    delattr(model, "1")
    np.testing.assert_array_equal(step(x).numpy(), model(x).numpy())
    loss = nn.BCELoss()
    classes = tn.capture(lambda p: loss.classes(p))
    given = Tensor([[0.4], [0.7]])
    assert classes(given).tolist() == [0, 1]
    loss.threshold = 0.3
    assert classes(given).tolist() == [1, 1]


@pytest.mark.tiny
def test_constants_that_are_equal_and_not_the_same():
    step = tn.capture(lambda x, c: x * c)
    assert str(step(Tensor([1.0]), 0.0).item()) == "0.0"
    assert str(step(Tensor([1.0]), -0.0).item()) == "-0.0"
    first = tn.capture(lambda x, c: x + c[0])
    assert [first(Tensor([1, 2]), c).dtype for c in ((2,), (2.0,))] == ["int64", "float64"]


@pytest.mark.tiny
@pytest.mark.parametrize("stray", [-1, 2])
def test_a_class_that_does_not_exist_is_refused_by_a_replay_as_well(stray):
    loss = nn.CrossEntropyLoss()
    step = tn.capture(lambda x, y: loss(x, y))
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    step(x, np.array([0, 1]))
    with pytest.raises(ArgumentError, match=f"class {stray}; classes are 0 … 1"):
        step(x, np.array([stray, 0]))
