"""Binary classification: yes or no, from one output and a boundary that bends.

The points form two half moons that no straight line parts. The network's output is a logit: above 0 it means class 1.
"""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.data import Dataset
from tinynet.tasks.result import BLUE, ORANGE, Result, Score


def points(seed: int) -> tuple[Dataset, Dataset]:
    """(train, test): x (n, 2), y (n,) classes 0 and 1."""
    return data.moons(500, noise=0.15, seed=seed), data.moons(2000, noise=0.15, seed=seed + 1)


def network() -> nn.Module:
    """Two hidden layers and one logit."""
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Find the boundary and compare it with the best straight one."""
    train, test = points(seed)
    tn.manual_seed(seed)
    model = network()
    trainer = tn.Trainer(model, nn.BCEWithLogitsLoss(), optim.Adam(lr=0.01), metrics=["accuracy"], threads=1)
    history = trainer.fit(train, epochs=15 if quick else 50, batch_size=20, seed=seed, progress=progress)

    score = Score("accuracy", baseline=straight(train, test), reached=trainer.evaluate(test)["accuracy"], form=".2%")
    return Result((score,), "the straight boundary of least squares", history, picture(model, test))


def straight(train: Dataset, test: Dataset) -> float:
    """The accuracy of w · x + b > 0, fitted to the sides -1 and 1."""
    x, new = (np.pad(part.x, ((0, 0), (0, 1)), constant_values=1) for part in (train, test))
    w = np.linalg.lstsq(x, 2.0 * train.y - 1, rcond=None)[0]
    return float(np.mean((new @ w > 0) == test.y))


def picture(model: nn.Module, test: Dataset) -> Any:
    """The new points over the probability of class 1."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    x, y = np.meshgrid(np.linspace(-1.6, 2.6, 160), np.linspace(-1.2, 1.7, 120))
    plane = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    probability = model.predict(plane).sigmoid().numpy().reshape(x.shape)
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    tints = LinearSegmentedColormap.from_list("classes", ["#9ecbe8", "#ffffff", "#f5bf94"])
    shades = axes.contourf(x, y, probability, levels=np.linspace(0, 1, 11), cmap=tints)
    axes.contour(x, y, probability, levels=[0.5], colors="black", linewidths=1.5)
    for k, (colour, mark) in enumerate(((BLUE, "o"), (ORANGE, "^"))):
        shown = test.x[:600][test.y[:600] == k]
        axes.plot(
            shown[:, 0], shown[:, 1], mark, color=colour, markersize=4, markeredgecolor="white", label=f"class {k}"
        )
    figure.colorbar(shades, label="probability of class 1")
    axes.set(xlabel="x₁", ylabel="x₂", title="New points, and the boundary that was found")
    axes.legend(frameon=False, loc="upper right")
    return figure
