"""Schedules against PyTorch's, epoch by epoch; resuming; and what is refused."""

import json
import math

import pytest

from tinynet import nn, optim
from tinynet.errors import ArgumentError, TypeMismatch

EPOCHS = 30
RTOL = 1e-12  # closed forms here, products and recursions there: thirty roundings


def optimiser(lr=0.8):
    return optim.SGD(nn.Linear(1, 1).parameters(), lr=lr)


def rates(schedule, epochs=EPOCHS):
    """The rate before the first step and after each."""
    return [schedule.optimizer.lr] + [schedule.step() for _ in range(epochs)]


def pytorchs(make):
    import torch
    from torch.optim import lr_scheduler

    theirs = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.8)
    schedule, found = make(lr_scheduler, theirs), [theirs.param_groups[0]["lr"]]
    for _ in range(EPOCHS):
        theirs.step()
        schedule.step()
        found.append(theirs.param_groups[0]["lr"])
    return found


SCHEDULES = {
    "constant": (
        lambda o: optim.ConstantLR(o),
        lambda s, o: s.ConstantLR(o, factor=1.0),  # PyTorch's default factor is a warm-up of five epochs at a third
    ),
    "step": (lambda o: optim.StepLR(o, 7, 0.3), lambda s, o: s.StepLR(o, 7, 0.3)),
    "exponential": (lambda o: optim.ExponentialLR(o, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
    "cosine, down": (lambda o: optim.CosineAnnealingLR(o, EPOCHS), lambda s, o: s.CosineAnnealingLR(o, EPOCHS)),
    "cosine, down and up": (
        lambda o: optim.CosineAnnealingLR(o, 8, eta_min=0.05), lambda s, o: s.CosineAnnealingLR(o, 8, eta_min=0.05),
    ),
    "warm-up": (lambda o: optim.WarmupLR(o, 6, 0.25), lambda s, o: s.LinearLR(o, 0.25, total_iters=6)),
    "warm-up, then cosine": (
        lambda o: optim.WarmupLR(o, 5, 0.1, then=optim.CosineAnnealingLR(T_max=25)),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 25)], [5]),
    ),
    "warm-up, then cosine to a floor": (
        lambda o: optim.WarmupLR(o, 3, 0.5, then=optim.CosineAnnealingLR(T_max=20, eta_min=0.1)),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.5, total_iters=3), s.CosineAnnealingLR(o, 20, 0.1)], [3]),
    ),
    "warm-up, then step": (
        lambda o: optim.WarmupLR(o, 4, 0.5, then=optim.StepLR(step_size=9, gamma=0.2)),
        lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.5, total_iters=4), s.StepLR(o, 9, 0.2)], [4]),
    ),
}  # fmt: skip
each_schedule = pytest.mark.parametrize("name", SCHEDULES)


@each_schedule
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step")  # PyTorch's own, of its SequentialLR
def test_every_epochs_rate_is_pytorchs(name):
    ours, theirs = SCHEDULES[name]
    assert rates(ours(optimiser())) == pytest.approx(pytorchs(theirs), rel=RTOL, abs=1e-15)


@pytest.mark.tiny
def test_warm_up_then_cosine_by_hand():
    schedule = optim.WarmupLR(optimiser(1.0), 2, start_factor=0.5, then=optim.CosineAnnealingLR(T_max=4))
    half = math.cos(math.pi / 4)
    expected = [0.5, 0.75, 1.0, (1 + half) / 2, 0.5, (1 - half) / 2, 0.0]
    assert rates(schedule, 6) == pytest.approx(expected, rel=RTOL, abs=1e-15)


@each_schedule
def test_a_run_resumed_goes_on_where_it_stood(name):
    make, _ = SCHEDULES[name]
    whole = rates(make(optimiser()), 20)
    first = make(optimiser())
    rates(first, 8)
    state = json.loads(json.dumps(first.state_dict()))  # plain numbers, as a file holds them
    for lr in (first.optimizer.lr, 123.0):  # whatever the optimiser was made with
        second = make(optimiser(lr))
        second.load_state_dict(state)
        assert second.optimizer.lr == whole[8]
        assert [second.step() for _ in range(12)] == whole[9:]


METRICS = [
    5,
    4,
    4,
    4.0001,
    4,
    3,
    3,
    3,
    3,
    3,
    2.9999,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    1.5,
    9,
    9,
    9,
    9,
    9,
    float("nan"),
    9,
    9,
    1,
    1,
]


def on_a_plateau(schedule):
    return [schedule.step(metric) for metric in METRICS]


@pytest.mark.torch
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5},
        {"patience": 1, "threshold": 0.2},
        {"patience": 1, "min_lr": 0.03},
    ],
)
def test_the_plateau_is_pytorchs(options):
    import torch

    theirs = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.8)
    schedule, expected = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, eps=0.0, **options), []
    for metric in METRICS:
        schedule.step(metric)
        expected.append(theirs.param_groups[0]["lr"])
    found = on_a_plateau(optim.ReduceLROnPlateau(optimiser(), **options))
    assert found == pytest.approx(expected, rel=RTOL)
    assert len(set(found)) > 2


@pytest.mark.tiny
def test_the_plateau_by_hand():
    """Patience 1: the second step without a fall reduces the rate; a fall by less than the threshold is none."""
    schedule = optim.ReduceLROnPlateau(optimiser(1.0), factor=0.5, patience=1, threshold=0.1, min_lr=0.2)
    found = [schedule.step(metric) for metric in (10, 9.5, 9.4, 5, 5, 5, 5, 5, 5, 5)]
    assert found == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]


def test_the_plateau_resumes():
    options = {"patience": 2, "factor": 0.5}
    whole = on_a_plateau(optim.ReduceLROnPlateau(optimiser(), **options))
    first = optim.ReduceLROnPlateau(optimiser(), **options)
    for metric in METRICS[:10]:
        first.step(metric)
    second = optim.ReduceLROnPlateau(optimiser(), **options)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [second.step(metric) for metric in METRICS[10:]] == whole[10:]


@pytest.mark.tiny
def test_a_schedule_may_wait_for_its_optimiser():
    schedule = optim.StepLR(step_size=1, gamma=0.5)
    with pytest.raises(ArgumentError, match=r"StepLR steers no optimiser yet: bind\(optimizer\) first"):
        schedule.step()
    assert schedule.bind(optimiser(1.0)) is schedule
    assert rates(schedule, 2) == [1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: optim.StepLR(optimiser(), 0), "step_size=0"),
        (lambda: optim.CosineAnnealingLR(optimiser(), 0), "T_max=0"),
        (lambda: optim.WarmupLR(optimiser(), 0), "warmup_steps=0"),
        (lambda: optim.ReduceLROnPlateau(optimiser(), factor=1.0), "factor=1.0"),
        (lambda: optim.WarmupLR(optimiser(), then=optim.ReduceLROnPlateau()), "what follows a warm-up sees no metric"),
        (lambda: optim.ReduceLROnPlateau(optimiser()).step(), "needs a number to watch"),
    ],
)
def test_settings_outside_their_range_are_refused(make, why):
    with pytest.raises(ArgumentError, match=why):
        make()


def test_a_number_is_no_optimiser():
    with pytest.raises(TypeMismatch, match=r"StepLR steers an optimiser; got 10\. Name the other arguments"):
        optim.StepLR(10)


def test_another_schedules_state_is_refused():
    schedule = optim.StepLR(optimiser(), 3)
    schedule.step()
    before = schedule.state_dict()
    for state in (optim.ExponentialLR(optimiser()).state_dict(), {}):
        with pytest.raises(ArgumentError, match="this state does not fit StepLR: it holds"):
            schedule.load_state_dict(state)
    assert schedule.state_dict() == before
