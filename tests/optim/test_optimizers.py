"""Every rule against PyTorch for twenty steps; then what all rules share: rates, groups, frozen parameters, moves,
recorded steps, saving, and refusals."""

import copy

import numpy as np
import pytest
from support import engine, on_every_backend, same

import tinynet as tn
from tinynet import Tensor, nn, optim
from tinynet.errors import ArgumentError, CaptureError, GradientError, TypeMismatch
from tinynet.nn import Parameter

RULES = {
    "sgd": (optim.SGD, {"lr": 0.1}),
    "sgd, decay": (optim.SGD, {"lr": 0.1, "weight_decay": 0.05}),
    "sgd, momentum": (optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "sgd, momentum, decay": (optim.SGD, {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.05}),
    "sgd, nesterov": (optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "adagrad": (optim.Adagrad, {"lr": 0.1}),
    "adagrad, decay, eps": (optim.Adagrad, {"lr": 0.1, "weight_decay": 0.05, "eps": 1e-3}),
    "rmsprop": (optim.RMSprop, {}),
    "rmsprop, alpha, eps, decay": (optim.RMSprop, {"alpha": 0.8, "eps": 1e-3, "weight_decay": 0.05}),
    "rmsprop, momentum": (optim.RMSprop, {"lr": 0.005, "momentum": 0.9}),
    "adam": (optim.Adam, {"lr": 0.05}),
    "adam, as it comes": (optim.Adam, {}),
    "adam, betas, eps, decay": (optim.Adam, {"lr": 0.05, "betas": (0.7, 0.8), "eps": 1e-2, "weight_decay": 0.1}),
    "adamw": (optim.AdamW, {"lr": 0.05}),
    "adamw, decay": (optim.AdamW, {"lr": 0.05, "weight_decay": 0.2}),
}
each_rule = pytest.mark.parametrize("rule", RULES)

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(6, 3)), RANDOM.normal(size=(6, 2))
START = {
    "0.weight": RANDOM.normal(size=(3, 3)), "0.bias": RANDOM.normal(size=3),
    "2.weight": RANDOM.normal(size=(2, 3)), "2.bias": RANDOM.normal(size=2),
}  # fmt: skip


def started(backend="numpy", dtype="float64"):
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)).to(engine(backend), dtype)
    model.load_state_dict(START)
    return model


def made(rule, parameters):
    optimiser, options = RULES[rule]
    return optimiser(parameters, **options)


def train(model, optimiser, steps):
    for _ in range(steps):
        optimiser.zero_grad()
        loss = nn.MSELoss()(model(X), Y)
        loss.backward()
        optimiser.step()
    return weights(model)


def weights(model):
    return {name: p.numpy() for name, p in model.named_parameters()}


def equal(model, expected):
    """Bit for bit."""
    for name, array in weights(model).items():
        assert (array == expected[name]).all(), name


# --- the rules --------------------------------------------------------------------------------------------------------


@each_rule
@pytest.mark.torch
@on_every_backend
def test_twenty_steps_are_pytorchs(rule, backend):
    import torch

    theirs = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)).double()
    theirs.load_state_dict({name: torch.tensor(array) for name, array in START.items()})
    ours = started(backend)
    optimiser, options = RULES[rule]
    their_optimiser = getattr(torch.optim, optimiser.__name__)(theirs.parameters(), **options)
    our_optimiser = optimiser(ours.parameters(), **options)
    x, y = torch.tensor(X), torch.tensor(Y)
    for step in range(20):
        their_optimiser.zero_grad()
        torch.nn.functional.mse_loss(theirs(x), y).backward()
        their_optimiser.step()
        train(ours, our_optimiser, 1)
        for name, p in theirs.named_parameters():
            # rounding of 1e-16 a step, carried through twenty; where g is near 0, g/√g² enlarges it
            same(weights(ours)[name], p.detach().numpy(), f"{rule}, step {step}, {name}", 1e-10, 1e-12)


@pytest.mark.tiny
@on_every_backend
def test_momentum_by_hand(backend):
    """v ← 0.5 v + g, w ← w - 0.1 v with g = 1, 1, 1: v = 1, 1.5, 1.75."""
    w = Parameter([0.0], "float64", backend=engine(backend))
    optimiser = optim.SGD([w], lr=0.1, momentum=0.5)
    for expected in (-0.1, -0.25, -0.425):
        optimiser.zero_grad()
        w.sum().backward()
        optimiser.step()
        same(w.numpy(), [expected], "w", 1e-14)


@pytest.mark.tiny
def test_adams_first_step_is_as_long_as_the_rate():
    """m̂ = g and v̂ = g², so that w moves by lr · sign(g), however long g is."""
    w = Parameter([1.0, 1.0], "float64")
    optimiser = optim.Adam([w], lr=0.01, eps=0.0)
    (w * Tensor([1e-3, -1e3], "float64")).sum().backward()
    optimiser.step()
    same(w.numpy(), [0.99, 1.01], "w", 1e-13)


@each_rule
def test_float32_stays_float32(rule):
    model = started(dtype="float32")
    optimiser = made(rule, model.parameters())
    found = train(model, optimiser, 3)
    assert {array.dtype.name for array in found.values()} == {"float32"}
    remembered = [t.dtype for t in optimiser.state_dict()["memory"].values()]
    arrays = len(optimiser.memory) + optimiser.counts_steps  # plain SGD remembers nothing
    assert remembered == ["float32"] * (arrays * len(found))
    double = started()
    for name, array in train(double, made(rule, double.parameters()), 3).items():
        # float32 carries 1.2e-7; 1 - β₂ᵗ = 0.001 loses three digits of it, and g/√g² near 0 some more
        same(found[name], array, f"{rule}, {name}", 1e-3, 1e-4)


def test_two_types_in_one_optimiser():
    """Parameters of two element types lie in two flat arrays, and each is updated as if alone."""
    one, two = Parameter([1.0], "float32"), Parameter([1.0], "float64")
    optimiser = optim.SGD([one, two], lr=0.5, momentum=0.9)
    for _ in range(2):
        optimiser.zero_grad()
        (one.sum().to(dtype="float64") + two.sum()).backward()
        optimiser.step()
    assert (one.dtype, two.dtype) == ("float32", "float64")
    same(one.numpy(), two.numpy(), "w", 1e-6)


# --- the learning rate and other settings -----------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
def test_the_rate_may_change_between_steps(backend):
    w = Parameter([0.0], "float64", backend=engine(backend))
    optimiser = optim.SGD([w], lr=1.0)
    w.sum().backward()
    for lr, expected in ((1.0, -1.0), (0.25, -1.25), (0.0, -1.25)):
        optimiser.lr = lr
        optimiser.step()
        assert (w.item(), optimiser.lr) == (expected, lr)


def recorded(model, optimiser):
    def step(x, y):
        optimiser.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        optimiser.step()
        return loss

    return tn.capture(step)


@each_rule
def test_a_recorded_step_follows_the_rate_bit_for_bit(rule):
    eager, replayed = started(), started()
    optimisers = [made(rule, model.parameters()) for model in (eager, replayed)]
    step, programs = recorded(replayed, optimisers[1]), set()
    for lr in (0.1, 0.1, 0.01, 0.3, 0.3):
        for optimiser in optimisers:
            optimiser.lr = lr
        train(eager, optimisers[0], 1)
        step(X, Y)
        programs.add(id(step.program))
        equal(replayed, weights(eager))
    assert len(programs) == 1, "a new rate is no reason to record anew"


@pytest.mark.parametrize(
    ("rule", "name", "value"),
    [
        ("sgd, momentum", "momentum", 0.5), ("sgd, decay", "weight_decay", 0.5), ("sgd, momentum", "nesterov", True),
        ("rmsprop", "alpha", 0.5), ("adam", "betas", (0.5, 0.5)), ("adam", "eps", 0.1), ("sgd", "weight_decay", 0.1),
    ],
)  # fmt: skip
def test_another_setting_records_anew(rule, name, value):
    eager, replayed = started(), started()
    optimisers = [made(rule, model.parameters()) for model in (eager, replayed)]
    step = recorded(replayed, optimisers[1])
    for change in (False, False, True, False):
        if change:
            before = step.program
            for optimiser in optimisers:
                setattr(optimiser, name, value)
        train(eager, optimisers[0], 1)
        step(X, Y)
        equal(replayed, weights(eager))
    assert step.program is not before


@pytest.mark.parametrize("rule", ["sgd", "rmsprop"])
def test_momentum_may_come_later(rule):
    late, early = started(), started()
    options = RULES[rule][1] | {"lr": 0.01}
    optimiser = RULES[rule][0](late.parameters(), **options)
    optimiser.momentum = 0.9
    found = train(late, optimiser, 3)
    train(early, RULES[rule][0](early.parameters(), **options, momentum=0.9), 3)
    equal(early, found)


def test_the_rate_set_inside_a_recorded_step_is_refused():
    model = started()
    optimiser = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        optimiser.zero_grad()
        nn.MSELoss()(model(x), y).backward()
        optimiser.step()
        optimiser.lr = optimiser.lr / 2

    with pytest.raises(CaptureError, match="the learning rate was set inside the step"):
        tn.capture(step)(X, Y)
    assert optimiser.lr == 0.1


# --- which parameters -------------------------------------------------------------------------------------------------


@on_every_backend
def test_two_groups_in_two_optimisers(backend):
    model, alone = started(backend), [started(backend), started(backend)]
    optimisers = [optim.SGD(model[0].parameters(), lr=0.1, momentum=0.9), optim.Adam(model[2].parameters(), lr=0.01)]
    for _ in range(4):
        model.zero_grad()
        nn.MSELoss()(model(X), Y).backward()
        for optimiser in optimisers:
            optimiser.step()
    # the same with PyTorch's habit: all gradients first, each rule written out on its own copy of the model
    velocity, m, v = {}, {}, {}
    by_hand = alone[0]
    for t in range(1, 5):
        by_hand.zero_grad()
        nn.MSELoss()(by_hand(X), Y).backward()
        new = {}
        for name, p in by_hand.named_parameters():
            w, g = p.numpy(), p.grad.numpy()
            if name.startswith("0"):
                velocity[name] = 0.9 * velocity.get(name, 0) + g
                new[name] = w - 0.1 * velocity[name]
            else:
                m[name] = 0.9 * m.get(name, 0) + 0.1 * g
                v[name] = 0.999 * v.get(name, 0) + 0.001 * g * g
                new[name] = w - 0.01 * (m[name] / (1 - 0.9**t)) / (np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8)
        by_hand.load_state_dict(new)
    for name, array in weights(model).items():
        same(array, weights(by_hand)[name], name, 1e-12, 1e-13)


def test_two_optimisers_of_the_same_parameters_take_turns():
    shared, alone = Parameter([1.0], "float64"), Parameter([1.0], "float64")
    both = [optim.SGD([shared], lr=0.1, momentum=0.5), optim.SGD([shared], lr=0.1, momentum=0.5)]
    single = optim.SGD([alone], lr=0.1, momentum=0.5)
    for _ in range(3):  # every other step is the other's: each remembers its own velocity alone
        shared.zero_grad()
        shared.sum().backward()
        for optimiser in both:
            optimiser.step()
        alone.zero_grad()
        alone.sum().backward()
        single.step()
    same(1 - shared.numpy(), 2 * (1 - alone.numpy()), "way gone", 1e-14)


@pytest.mark.tiny
@pytest.mark.parametrize("rule", ["sgd", "adagrad", "rmsprop"])
def test_a_parameter_that_was_not_reached_stays(rule):
    used, unused = Parameter([1.0]), Parameter([2.0])
    optimiser = made(rule, [used, unused])
    used.sum().backward()
    optimiser.step()
    assert used.item() != 1.0
    assert unused.item() == 2.0


@each_rule
def test_frozen_parameters_stay_where_they_are(rule):
    """Before the optimiser is made or after, by the model or one by one; and go on, once freed, with their memory."""
    model = started()
    optimiser = made(rule, model.parameters())
    train(model, optimiser, 2)
    model[0].requires_grad_(False)
    model[2].bias.requires_grad_(False)
    before = weights(model)
    after = train(model, optimiser, 2)
    assert {name for name in before if (before[name] != after[name]).any()} == {"2.weight"}
    model.requires_grad_()
    freed = train(model, optimiser, 1)
    assert all((freed[name] != after[name]).any() for name in freed)


def test_one_frozen_and_one_freed_at_once():
    one, two = Parameter([1.0]), Parameter([2.0], requires_grad=False)
    optimiser = optim.SGD([one, two], lr=0.5)
    one.sum().backward()
    one.requires_grad_(False)
    two.requires_grad_()
    two.sum().backward()
    optimiser.step()
    assert (one.item(), two.item()) == (1.0, 1.5)


def test_parameters_frozen_from_the_start_are_not_remembered():
    model = started()
    model[0].requires_grad_(False)
    optimiser = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    train(model, optimiser, 1)
    assert sorted(optimiser.state_dict()["memory"]) == ["2.momentum", "3.momentum"]


def test_a_parameter_given_twice_moves_once():
    w = Parameter([1.0])
    optimiser = optim.SGD([w, w], lr=0.5)
    w.sum().backward()
    optimiser.step()
    assert w.item() == 0.5


def test_tied_parameters_take_one_step():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)).to(dtype="float64")
    model[1].weight = model[0].weight
    optimiser, before = optim.SGD(model.parameters(), lr=0.1), model[0].weight.numpy()
    model([[1.0, 2.0]]).sum().backward()
    gradient = model[0].weight.grad.numpy()
    optimiser.step()
    same(model[0].weight.numpy(), before - 0.1 * gradient, "weight", 1e-14)
    assert model[0].weight is model[1].weight


# --- moving -----------------------------------------------------------------------------------------------------------


@each_rule
def test_a_move_in_the_middle_keeps_the_memory(rule):
    still, moving = started(), started()
    optimisers = [made(rule, model.parameters()) for model in (still, moving)]
    for where in ("numpy", "scalar", "numpy"):
        moving.to(where)
        expected = train(still, optimisers[0], 3)
        for name, array in train(moving, optimisers[1], 3).items():
            same(array, expected[name], f"{rule}, {name}", 1e-10, 1e-12)  # sums in another order; g/√g² enlarges it


def test_a_deep_copy_of_model_and_optimiser_trains_by_itself():
    model = started()
    optimiser = made("sgd, momentum", model.parameters())
    train(model, optimiser, 2)
    before = weights(model)
    twins = copy.deepcopy((model, optimiser))
    expected = train(*twins, 3)
    equal(model, before)
    train(model, optimiser, 3)
    equal(model, expected)


def test_a_move_between_backward_and_step_takes_the_gradient_along():
    w = Parameter([1.0])
    model = nn.Module()
    model.w = w
    optimiser = optim.SGD(model.parameters(), lr=0.5)
    w.sum().backward()
    model.to("scalar")
    optimiser.step()
    assert (w.backend.name, w.item()) == ("scalar", 0.5)


def test_a_recorded_step_after_a_move_asks_for_a_new_layout():
    model = started(dtype="float32")
    optimiser = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model.to("float64")
    step = recorded(model, optimiser)
    with pytest.raises(CaptureError, match=r"SGD\.step\(\): the model moved.*Call its lay_out\(\) before"):
        step(X, Y)
    optimiser.lay_out()
    eager = started(dtype="float32").to("float64")
    expected = train(eager, optim.SGD(eager.parameters(), lr=0.1, momentum=0.9), 3)
    for _ in range(3):
        step(X, Y)
    equal(model, expected)


# --- saving -----------------------------------------------------------------------------------------------------------


def saved(optimiser):
    """What a file would hold: plain numbers and arrays."""
    state = optimiser.state_dict()
    return {"lr": state["lr"], "memory": {name: t.numpy() for name, t in state["memory"].items()}}


@each_rule
@on_every_backend
def test_a_run_resumed_is_the_run_unbroken_bit_for_bit(rule, backend):
    whole, first, second = started(backend), started(backend), started(backend)
    expected = train(whole, made(rule, whole.parameters()), 6)
    optimiser = made(rule, first.parameters())
    optimiser.lr = RULES[rule][1].get("lr", optimiser.lr)
    halfway = train(first, optimiser, 3)
    resumed = RULES[rule][0](second.parameters(), **(RULES[rule][1] | {"lr": 9.0}))
    second.load_state_dict(halfway)
    resumed.load_state_dict(saved(optimiser))
    assert resumed.lr == optimiser.lr
    train(second, resumed, 3)
    equal(second, expected)


def test_states_of_others_are_refused_and_change_nothing():
    model = started()
    optimiser = optim.Adam(model.parameters(), lr=0.1)
    train(model, optimiser, 2)
    before = saved(optimiser)
    small = nn.Linear(2, 1)
    doubled = {name: 2 * array for name, array in before["memory"].items()}
    foreign = [
        optim.SGD(started().parameters(), momentum=0.9),
        optim.RMSprop(started().parameters()),
        optim.Adam(started()[0].parameters()),
        optim.Adam([*small.parameters(), *small.parameters(), *nn.Linear(2, 1).parameters()]),
    ]
    for state in [saved(other) for other in foreign] + [{"lr": -1.0, "memory": doubled}]:
        with pytest.raises(ArgumentError, match=r"this state does not fit Adam with 4 parameters|lr=-1"):
            optimiser.load_state_dict(state)
    after = saved(optimiser)
    assert after["lr"] == 0.1
    assert all((after["memory"][name] == array).all() for name, array in before["memory"].items())


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_a_step_before_backward_is_refused():
    model = started()
    optimiser = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(
        GradientError, match=r"SGD\.step\(\): no parameter has a gradient\. Call loss\.backward\(\) first"
    ):
        optimiser.step()
    train(model, optimiser, 1)
    optimiser.zero_grad()
    with pytest.raises(GradientError):
        optimiser.step()


def test_an_optimiser_without_parameters_waits_for_them():
    optimiser = optim.SGD(lr=0.5)
    assert not optimiser.bound
    with pytest.raises(GradientError, match=r"no parameters\. Pass model\.parameters"):
        optimiser.step()
    w = Parameter([1.0])
    assert optimiser.bind([w]) is optimiser
    assert optimiser.bound
    w.sum().backward()
    optimiser.step()
    assert w.item() == 0.5


def test_bind_starts_afresh():
    w = Parameter([0.0], "float64")
    optimiser = optim.SGD([w], lr=0.1, momentum=0.5)
    w.sum().backward()
    for expected in (-0.1, -0.2):
        optimiser.step()
        same(w.numpy(), [expected], "w", 1e-14)
        optimiser.bind([w])


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda m: m, "Linear"), (lambda m: m[0], "Linear"), (lambda m: m[0].weight, "Tensor"),
        (lambda m: m.named_parameters(), "tuple"), (lambda m: [{"params": list(m.parameters())}], "dict"),
        (lambda m: [Tensor([1.0], requires_grad=True)], "Tensor"), (lambda m: m.state_dict(), "str"),
    ],
)  # fmt: skip
def test_what_are_no_parameters_is_named(make, got):
    with pytest.raises(TypeMismatch, match=rf"SGD takes Parameters, such as model\.parameters\(\); got {got}\."):
        optim.SGD(make(started()))


def test_an_empty_model_is_refused():
    with pytest.raises(ArgumentError, match=r"Adam got no parameters\. Does the model have trainable layers"):
        optim.Adam(nn.ReLU().parameters())


@pytest.mark.parametrize(
    ("optimiser", "options"),
    [
        (optim.SGD, {"lr": -0.1}), (optim.SGD, {"lr": float("nan")}), (optim.SGD, {"lr": float("inf")}),
        (optim.SGD, {"lr": "0.1"}), (optim.SGD, {"momentum": -0.5}), (optim.SGD, {"weight_decay": -1e-4}),
        (optim.Adagrad, {"eps": -1.0}), (optim.RMSprop, {"alpha": 1.0}), (optim.RMSprop, {"momentum": -1}),
        (optim.Adam, {"betas": (1.0, 0.9)}), (optim.Adam, {"betas": (0.9, -0.1)}), (optim.AdamW, {"eps": -1e-8}),
    ],
)  # fmt: skip
def test_settings_outside_their_range_are_refused(optimiser, options):
    name = next(iter(options)).replace("betas", "beta")
    with pytest.raises(ArgumentError, match=rf"{optimiser.__name__}\({name}.*it must be a number of at least 0"):
        optimiser(started().parameters(), **options)


def test_nesterov_needs_momentum():
    with pytest.raises(ArgumentError, match="needs a momentum above 0"):
        optim.SGD(nesterov=True)


@pytest.mark.tiny
def test_they_show_their_settings():
    assert repr(optim.SGD(lr=0.5, momentum=0.9)) == "SGD(lr=0.5, momentum=0.9, nesterov=False, weight_decay=0.0)"
    assert repr(optim.RMSprop()) == "RMSprop(lr=0.01, alpha=0.99, eps=1e-08, momentum=0.0, weight_decay=0.0)"


@pytest.mark.torch
@pytest.mark.parametrize("optimiser", [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam, optim.AdamW])
def test_the_defaults_are_pytorchs(optimiser):
    import torch

    ours = optimiser(started().parameters())
    theirs = getattr(torch.optim, optimiser.__name__)(torch.nn.Linear(1, 1).parameters()).defaults
    settings = {name: value for name, value in vars(ours).items() if not name.startswith("_")} | {"lr": ours.lr}
    assert settings == {name: theirs[name] for name in settings}
