"""GradScaler: PyTorch's rules, on the device, in recorded steps; and float16 learning that fails without it."""

import numpy as np
import pytest
import strict_cupy
from support import engine, on_array_backends, same

import tinynet as tn
from tinynet import GradScaler, Parameter, Tensor, autocast, nn, optim
from tinynet.errors import ArgumentError, GradientError, TypeMismatch

RULES = {
    "sgd": lambda w: optim.SGD(w, lr=0.1),
    "momentum": lambda w: optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda w: optim.Adam(w, lr=0.1),
    "adamw": lambda w: optim.AdamW(w, lr=0.1),
    "rmsprop": lambda w: optim.RMSprop(w, lr=0.1, momentum=0.5),
}


def weights(backend: str) -> list[Parameter]:
    return [Parameter(np.array(x, np.float32), backend=engine(backend)) for x in ([1.0, -2.0], [[3.0]])]


def loss_of(given: list[Parameter], factor: float = 1.0) -> Tensor:
    """Σ w² / 2 + factor · w₀, of which the gradient is w, and w + factor."""
    first, second = given
    return (first * first).sum() / 2 + (second * second).sum() / 2 + first[0] * factor


def step(scaler: GradScaler, optimizer: optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()


def everything(optimizer: optim.Optimizer) -> dict[str, np.ndarray]:
    """Weights and memory."""
    named = enumerate(optimizer.named_tensors())
    return {f"{i} {name}": t.numpy() for i, (name, t) in named if name != "gradients"}


@on_array_backends
@pytest.mark.parametrize("rule", RULES)
def test_steps_are_those_without_it(backend, rule):
    """Bit for bit: a power of 2 changes no digit."""
    plain, scaled = RULES[rule](weights(backend)), RULES[rule](weights(backend))
    scaler = GradScaler(init_scale=1024.0)
    for _ in range(3):
        plain.zero_grad()
        loss_of(plain.parameters).backward()
        plain.step()
        step(scaler, scaled, loss_of(scaled.parameters))
    for (name, a), b in zip(everything(scaled).items(), everything(plain).values()):
        same(a, b, name, 0)
    for a, b in zip(scaled.parameters, plain.parameters):
        same(a.grad.numpy(), b.grad.numpy(), "the gradient, unscaled", 0)


@on_array_backends
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_an_overflow_changes_nothing_but_the_scale(backend, rule, bad):
    optimizer, scaler = RULES[rule](weights(backend)), GradScaler(init_scale=8.0)
    step(scaler, optimizer, loss_of(optimizer.parameters))
    before = everything(optimizer)
    with np.errstate(invalid="ignore"):
        step(scaler, optimizer, loss_of(optimizer.parameters, bad))
    for name, array in everything(optimizer).items():
        same(array, before[name], name, 0)
    assert scaler.state_dict() | {"scale": 4.0, "_growth_tracker": 0} == scaler.state_dict()
    step(scaler, optimizer, loss_of(optimizer.parameters))
    assert not np.array_equal(everything(optimizer)["0 parameters"], before["0 parameters"])


def expected_scales(goods: list[bool], scale: float, grow: float, back: float, interval: int) -> list[float]:
    """The rule in plain Python."""
    found, stood = [], 0
    for good in goods:
        stood = stood + 1 if good else 0
        if not good:
            scale *= back
        elif stood == interval:
            scale, stood = scale * grow, 0
        found.append(scale)
    return found


@on_array_backends
def test_the_scale_grows_and_falls(backend):
    optimizer = optim.SGD(weights(backend), lr=0.0)
    scaler = GradScaler(16.0, growth_factor=4.0, backoff_factor=0.25, growth_interval=3)
    assert scaler.get_scale() == 16.0  # before any step
    goods = [True, True, True, True, False, True, True, False, True, True, True, True, True, True]
    scales = []
    for good in goods:
        with np.errstate(invalid="ignore"):
            step(scaler, optimizer, loss_of(optimizer.parameters, 1.0 if good else np.inf))
        scales.append(scaler.get_scale())
    assert scales == expected_scales(goods, 16.0, 4.0, 0.25, 3)


@on_array_backends
def test_it_grows_no_further_than_float32_reaches(backend):
    optimizer, scaler = optim.SGD(weights(backend), lr=0.0), GradScaler(2.0**126, growth_interval=1)
    for _ in range(3):
        optimizer.zero_grad()
        (scaler.scale(optimizer.parameters[0].sum()) * 2.0**-126).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2.0**127


def test_gradients_are_unscaled_for_clipping():
    optimizer, scaler = optim.SGD(weights("numpy"), lr=1.0), GradScaler(64.0)
    before = [w.numpy() for w in optimizer.parameters]
    scaler.scale(loss_of(optimizer.parameters, 0.0)).backward()
    scaler.unscale_(optimizer)
    norm = optim.clip_grad_norm_(optimizer.parameters, 0.5)
    assert norm.item() == pytest.approx(np.sqrt(1 + 4 + 9))
    scaler.step(optimizer)
    scaler.update()
    moved = np.concatenate([(a - w.numpy()).reshape(-1) for a, w in zip(before, optimizer.parameters)])
    assert np.linalg.norm(moved) == pytest.approx(0.5, rel=1e-5)


def test_a_gradient_that_lies_elsewhere_is_unscaled_too():
    w = Parameter([1.0, 2.0])
    optimizer, scaler = optim.SGD([w], lr=1.0), GradScaler(4.0)
    scaler.scale(w.sum()).backward()
    w.grad = Tensor([8.0, 4.0])  # by hand, scaled by 4
    scaler.step(optimizer)
    assert w.tolist() == [-1.0, 1.0] and w.grad.tolist() == [2.0, 1.0]


def test_two_optimisers_share_a_scale_and_step_by_themselves():
    """As in PyTorch: an overflow in one leaves the other's step in place, and lowers the scale of both."""
    first, second = (optim.SGD(weights("numpy"), lr=0.5) for _ in range(2))
    scaler = GradScaler(16.0)
    for optimizer, factor in ((first, 0.0), (second, np.inf)):
        with np.errstate(invalid="ignore"):
            scaler.scale(loss_of(optimizer.parameters, factor)).backward()
        scaler.step(optimizer)
    scaler.update()
    assert first.parameters[1].item() == 1.5 and second.parameters[1].item() == 3.0
    assert scaler.get_scale() == 8.0


def test_several_losses_at_once():
    w = Parameter([1.0])
    scaler = GradScaler(4.0)
    assert [x.item() for x in scaler.scale([w.sum(), w.sum() * 2])] == [4.0, 8.0]
    assert isinstance(scaler.scale((w.sum(),)), tuple)


def test_switched_off_it_does_nothing():
    w = Parameter([1.0])
    optimizer, scaler = optim.SGD([w], lr=0.5), GradScaler(enabled=False)
    loss = w.sum()
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.item() == 0.5


def test_what_is_refused():
    for wrong in ({"init_scale": 0.0}, {"growth_factor": 1.0}, {"backoff_factor": 1.0}, {"growth_interval": 0}):
        with pytest.raises(ArgumentError, match=f"{next(iter(wrong))}="):
            GradScaler(**wrong)
    w = Parameter([1.0])
    optimizer, scaler = optim.SGD([w], lr=0.5), GradScaler(4.0)
    with pytest.raises(GradientError, match=r"scale\(loss\)"):
        scaler.unscale_(optimizer)
    with pytest.raises(GradientError, match="comes after step"):
        scaler.update()
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(GradientError, match="twice"):
        scaler.unscale_(optimizer)
    assert w.grad.item() == 1.0
    half = Parameter(np.ones(2, np.float16))
    optimizer = optim.SGD([half], lr=0.5)
    scaler.scale(half.sum()).backward()
    with pytest.raises(TypeMismatch, match=r"float16.*autocast"):
        scaler.step(optimizer)
    assert half.tolist() == [1.0, 1.0]


@on_array_backends
def test_its_state_goes_on_elsewhere(backend):
    optimizer, scaler = optim.SGD(weights(backend), lr=0.1), GradScaler(32.0, growth_interval=3)
    for _ in range(2):
        step(scaler, optimizer, loss_of(optimizer.parameters))
    state = scaler.state_dict()
    assert state == {
        "scale": 32.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 3, "_growth_tracker": 2
    }  # fmt: skip
    other = GradScaler()
    other.load_state_dict(state)
    assert other.state_dict() == state  # before it has met a loss
    for one in (scaler, other):
        step(one, optimizer, loss_of(optimizer.parameters))
        assert one.get_scale() == 64.0
    scaler.load_state_dict(state)
    assert scaler.state_dict() == state  # in the arrays that recorded steps use


def test_it_follows_a_model_to_another_backend():
    model = nn.Linear(2, 1)
    optimizer, scaler = optim.SGD(model.parameters(), lr=0.1), GradScaler(32.0, growth_interval=2)
    step(scaler, optimizer, model(Tensor([[1.0, 2.0]])).sum())
    model.to(engine("strict"))
    step(scaler, optimizer, model(Tensor([[1.0, 2.0]], backend=engine("strict"))).sum())
    assert scaler.get_scale() == 64.0


# --- recorded ---------------------------------------------------------------------------------------------------------


@on_array_backends
@pytest.mark.parametrize("rule", RULES)
def test_a_recorded_step_repeats_all_of_it(backend, rule):
    """Growth, an overflow in the middle, and what follows: bit for bit on NumPy."""

    def trained(record: bool):
        optimizer, scaler = RULES[rule](weights(backend)), GradScaler(16.0, growth_interval=2)

        def whole(factor):
            loss = loss_of(optimizer.parameters, factor.sum())
            step(scaler, optimizer, loss)
            return loss

        run = tn.capture(whole) if record else whole
        seen = []
        for factor in (1.0, 2.0, 0.5, np.inf, 1.0, -1.0, 2.0):
            with np.errstate(invalid="ignore"):
                run(Tensor([factor], "float32", backend=engine(backend)))
            seen.append((scaler.get_scale(), everything(optimizer)))
        return seen

    eager, recorded = trained(False), trained(True)
    assert [scale for scale, _ in recorded] == [16, 32, 32, 16, 16, 32, 32]
    for (a, found), (b, expected) in zip(recorded, eager):
        assert a == b
        for name in expected:
            digits = {"numpy": (0, 0), "cupy": (1e-4, 1e-5)}.get(backend, (1e-6, 0))  # a card's sums in any order
            same(found[name], expected[name], name, *digits)


def test_no_step_waits_for_the_device():
    backend = engine("strict")
    optimizer, scaler = optim.Adam(weights("strict")), GradScaler()
    run = tn.capture(lambda factor: step(scaler, optimizer, loss_of(optimizer.parameters, factor.sum())), backend)
    factors = [Tensor([x], "float32", backend=backend) for x in (1.0, 2.0)]
    step(scaler, optimizer, loss_of(optimizer.parameters))
    run(factors[0])
    with strict_cupy.no_synchronisation():
        step(scaler, optimizer, loss_of(optimizer.parameters))
        run(factors[1])
    assert scaler.get_scale() == 65536.0


# --- what it is for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [False, True], ids=["eager", "recorded"])
def test_float16_learns_what_underflows_without_it(record):
    """Gradients of 2e-8 at most are 0 in float16, whose least number is 6e-8."""
    x = np.random.default_rng(0).uniform(-1, 1, (64, 4)).astype(np.float32)
    y = (x @ np.array([[1e-4], [-2e-4], [3e-4], [0.5e-4]])).astype(np.float32)

    def trained(scaler: GradScaler, dtype: str | None) -> float:
        tn.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 1, bias=False))
        with tn.no_grad():
            model[0].weight.zero_()
        optimizer = optim.SGD(model.parameters(), lr=20.0)

        def whole(x, y):
            optimizer.zero_grad()
            with autocast(dtype or "float16", enabled=dtype is not None):
                loss = nn.MSELoss()(model(x), y)
            scaler.scale(loss * 1e-3).backward()  # as deep in a network, where gradients are small
            scaler.step(optimizer)
            scaler.update()
            return loss

        run = tn.capture(whole) if record else whole
        for _ in range(300):
            loss = run(Tensor(x), Tensor(y))
        return loss.item()

    start, reached = float((y * y).mean()), trained(GradScaler(enabled=False), None)
    assert reached < 0.5 * start  # what can be had in float32
    assert trained(GradScaler(enabled=False), "float16") == pytest.approx(start, rel=1e-6)  # not a step
    assert trained(GradScaler(2.0**20), "float16") == pytest.approx(reached, rel=0.05)


@pytest.mark.torch
def test_the_scale_is_pytorchs():
    """PyTorch's scaler on its CPU, given the same gradients, good and bad."""
    import torch

    goods = [True, True, False, True, True, True, False, False, True, True]
    theirs = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
    w = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    v = Parameter(np.ones(3, np.float32))
    own, ours = optim.SGD([v], lr=0.1, momentum=0.9), GradScaler(64.0, growth_interval=2)
    for good in goods:
        factor = 1.0 if good else float("inf")
        optimizer.zero_grad()
        theirs.scale((w * w * factor).sum()).backward()
        theirs.step(optimizer)
        theirs.update()
        with np.errstate(invalid="ignore"):
            step(ours, own, (v * v * factor).sum())
        assert ours.get_scale() == theirs.get_scale()
        same(v.numpy(), w.detach().numpy(), "weights", 1e-6)
    assert {**ours.state_dict()} == {**theirs.state_dict()}
