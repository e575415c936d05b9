"""Regression: a number from a number, by a curve through noisy points.

The points lie about a sine. A model cannot come closer to new points than the noise lets it.
"""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.data import Dataset
from tinynet.tasks.result import BLUE, GREY, ORANGE, Result, Score

NOISE = 0.2


def points(seed: int) -> tuple[Dataset, Dataset]:
    """(train, test): x (n, 1) in [-π, π), y (n, 1) = sin x + noise."""
    return data.sine(300, noise=NOISE, seed=seed), data.sine(1000, noise=NOISE, seed=seed + 1)


def network() -> nn.Module:
    """Two hidden layers of smooth units, and an output that may be any number."""
    return nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Fit the curve and compare it with the best straight line."""
    train, test = points(seed)
    tn.manual_seed(seed)
    model, epochs = network(), 50 if quick else 150
    schedule = optim.CosineAnnealingLR(T_max=epochs)
    trainer = tn.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.01), schedule=schedule, threads=1)
    history = trainer.fit(train, epochs=epochs, batch_size=20, seed=seed, progress=progress)

    slope, intercept = np.polyfit(train.x[:, 0], train.y[:, 0], 1)
    score = Score(
        "root mean squared error",
        baseline=error(slope * test.x + intercept, test.y),
        reached=trainer.evaluate(test)["loss"] ** 0.5,
        limit=error(np.sin(test.x), test.y),
        form=".4f",
        lower_is_better=True,
    )
    return Result((score,), "the straight line of least squares", history, picture(model, train, slope, intercept))


def error(prediction: Any, target: Any) -> float:
    """The root mean squared error."""
    return float(np.sqrt(np.mean((prediction - target) ** 2)))


def picture(model: nn.Module, train: Dataset, slope: float, intercept: float) -> Any:
    """The points, the curve that was fitted and the one that they were made from."""
    from matplotlib.figure import Figure

    x = np.linspace(-np.pi, np.pi, 200, dtype=np.float32)[:, None]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(train.x, train.y, "o", color=GREY, markersize=3, alpha=0.6, label="training points")
    axes.plot(x, slope * x + intercept, ":", color="black", label="straight line")
    axes.plot(x, np.sin(x), "--", color=BLUE, linewidth=2, label="sin x, which they were made from")
    axes.plot(x, model.predict(x).numpy(), color=ORANGE, linewidth=2, label="the network")
    axes.set(xlabel="x", ylabel="y", title="A curve through noisy points")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure
