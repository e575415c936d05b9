"""Steering: a network that outputs a distribution, fitted by maximum likelihood.

Before a rock in the road, half of the drivers turn left and half turn right. Whoever learns their mean drives into the
rock. The network here says how likely every angle is: one probability for each 2 degrees, with as many peaks as there
are ways. Source of the idea: Pomerleau, *ALVINN: an autonomous land vehicle in a neural network*, 1989.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
from tinynet import nn, optim
from tinynet.data import Dataset, Road, Steering
from tinynet.tasks.result import BLUE, GREY, ORANGE, Result, Score

BINS, WIDTH = 41, 2.0  # as many ranges of angles, so many degrees wide, about straight on
CENTRES = (np.arange(BINS) - BINS // 2) * WIDTH
METRES = 300
Policy = Callable[[Road, Any], Any]  # a road and the states of cars (n, 3) -> an angle for each


def demonstrations(road: Road, n: int, seed: int) -> tuple[Dataset, Any, Steering]:
    """What drivers see, x (n, 1, 24, 24), and which range of angles they choose, y (n,); the angles, and their law."""
    states = road.states(n, seed=seed)
    drivers = road.drivers(states)
    angles = drivers.sample(seed)
    ranges = np.clip(np.rint(angles / WIDTH) + BINS // 2, 0, BINS - 1).astype(int)
    return Dataset(road.view(states, seed=seed), ranges), angles, drivers


def network() -> nn.Module:
    """From a picture to a logit for each range of angles."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(16 * 6 * 6, 64), nn.ReLU(), nn.Linear(64, BINS)),
    )


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Learn from drivers on one road and drive on another; beside it, what the best constant deviation could do."""
    old, new = Road(seed=seed), Road(seed=seed + 1)
    train, _, _ = demonstrations(old, 8000 if quick else 40_000, seed)
    test, angles, drivers = demonstrations(new, 2000, seed + 1)
    tn.manual_seed(seed)
    model, epochs = network(), 5 if quick else 6
    schedule = optim.CosineAnnealingLR(T_max=epochs)
    trainer = tn.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=0.005), schedule=schedule, threads=1)
    history = trainer.fit(train, test, epochs=epochs, batch_size=32, seed=seed, progress=progress)

    constant = 0.5 * (math.log(2 * math.pi * np.mean(drivers.variance())) + 1)
    reached = trainer.evaluate(test)["loss"] + math.log(WIDTH)  # from a probability to a density over degrees
    own = -float(drivers.log_density(angles).mean())
    likeliest: Policy = lambda road, states: CENTRES[model.predict(road.view(states)).numpy().argmax(1)]
    mean: Policy = lambda road, states: road.drivers(states).mean()
    ways = [drive(new, policy) for policy in (mean, likeliest)]
    scores = (
        Score("-log likelihood of an angle", constant, reached, own, ".3f", lower_is_better=True),
        Score(
            f"metres driven of {METRES}",
            float(distance(ways[0]).mean()),
            float(distance(ways[1]).mean()),
            METRES,
            ".0f",
        ),
    )
    baseline = "the drivers' exact mean, with the best constant deviation"
    return Result(scores, baseline, history, picture(model, test, drivers, new, ways))


def drive(road: Road, policy: Policy, cars: int = 20) -> Any:
    """The ways (metres + 1, cars, 3) of cars that begin between the rocks; one that crashes stops for good."""
    x = road.rocks[:cars, 0] + 18.0
    states = np.stack([x, road.middle(x), road.direction(x)], axis=1)
    way = [states]
    for _ in range(METRES):
        states = np.where(road.crashed(states)[:, None], states, road.move(states, policy(road, states)))
        way.append(states)
    return np.array(way)


def distance(way: Any) -> Any:
    """How many metres each car went."""
    return (np.diff(way[..., 0], axis=0) != 0).sum(0)


def picture(model: nn.Module, test: Dataset, drivers: Steering, road: Road, ways: list[Any]) -> Any:
    """Views with the distributions of the network and of the drivers, and a car driven by each policy."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    figure = Figure(figsize=(9, 5.8), layout="constrained")
    grid = figure.add_gridspec(3, 4, height_ratios=(2, 1.5, 1.3))
    torn = drivers.weights.min(1) * np.abs(np.diff(drivers.means, axis=1)[:, 0])  # between two ways far apart
    chosen = [*np.argsort(-torn)[:3], *np.flatnonzero(torn == 0)[:1]]
    shares = nn.functional.softmax(model.predict(test.x[chosen]), dim=1).numpy()
    angles = np.linspace(CENTRES[0], CENTRES[-1], 321)
    for column, (i, share) in enumerate(zip(chosen, shares)):
        view, axes = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        view.imshow(test.x[i, 0], cmap="gray", vmin=0, vmax=1)
        view.set(xticks=[], yticks=[])
        axes.stairs(
            share / WIDTH, np.append(CENTRES - WIDTH / 2, CENTRES[-1] + WIDTH / 2), color=ORANGE, fill=True, alpha=0.5
        )
        own = Steering(*(part[i : i + 1] for part in drivers))
        axes.plot(angles, np.exp(own.log_density(angles[None])[0]), "--", color=BLUE)
        axes.set(xlim=(40, -40), yticks=[], xlabel="left    angle (°)    right")
    figure.axes[0].set_ylabel("what the car sees")
    figure.axes[1].set_ylabel("density")
    axes.legend(["network", "drivers"], frameon=False, fontsize=8, loc="upper left", handlelength=1)
    axes = figure.add_subplot(grid[2, :])
    x = np.linspace(ways[1][0, 0, 0] - 5, ways[1][-1, 0, 0] + 5, 400)
    axes.fill_between(x, road.middle(x) - 4, road.middle(x) + 4, color=GREY, alpha=0.35, linewidth=0)
    for rock in road.rocks[(road.rocks[:, 0] > x[0]) & (road.rocks[:, 0] < x[-1])]:
        axes.add_patch(Circle(rock, 1, color="black"))
    for way, colour, style, name in ((ways[0], BLUE, "--", "drivers' mean"), (ways[1], ORANGE, "-", "likeliest angle")):
        axes.plot(way[:, 0, 0], way[:, 0, 1], style, color=colour, label=f"{name}: {distance(way)[0]} m", linewidth=2)
    axes.plot(*ways[0][-1, 0, :2], "X", color=BLUE, markersize=10, markeredgecolor="white")
    axes.set(xlabel="x (m)", ylabel="y (m)", aspect="equal", title="On a road that it has not seen, with rocks")
    axes.margins(x=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", frameon=False, ncols=2)
    return figure
