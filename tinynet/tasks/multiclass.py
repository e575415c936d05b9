"""Multi-class classification: one of ten digits, from a picture of 28 × 28 pixels, by a convolutional network.

Its baseline is strong: of all training pictures, the one that is most alike.
"""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.data import Dataset
from tinynet.tasks.result import BLUE, ORANGE, Result, Score


def pictures(quick: bool) -> tuple[Dataset, Dataset]:
    """(train, test): x (n, 1, 28, 28) in [0, 1], y (n,) the digit."""
    train, test = data.digits(flat=False)
    return (train.take(2000), test.take(500)) if quick else (train, test)


def network() -> nn.Module:
    """Two convolutions, each followed by pooling, then two layers that see the whole picture; ten logits."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Train the network and compare it with the nearest neighbour."""
    train, test = pictures(quick)
    tn.manual_seed(seed)
    model = network()
    trainer = tn.Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=0.003), metrics=["accuracy"], threads=1)
    history = trainer.fit(train, test, epochs=3 if quick else 6, batch_size=32, seed=seed, progress=progress)

    score = Score("accuracy", baseline=nearest(train, test), reached=trainer.evaluate(test)["accuracy"])
    return Result((score,), "the class of the nearest training picture", history, picture(model, test))


def nearest(train: Dataset, test: Dataset) -> float:
    """The accuracy of giving each picture the class of the training picture at the least distance."""
    known, new = (part.x.reshape(len(part), -1) for part in (train, test))
    distances = (known**2).sum(1) - 2 * new @ known.T  # squared, but for what is the same for all
    return float(np.mean(train.y[distances.argmin(1)] == test.y))


def picture(model: nn.Module, test: Dataset) -> Any:
    """New pictures with the network's answer, the ones it is least sure of below."""
    from matplotlib.figure import Figure

    shares = nn.functional.softmax(model.predict(test.x), dim=1).numpy()
    answers, doubt = shares.argmax(1), 1 - shares.max(1)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    figure.suptitle("New pictures, and below them the ones that the network is least sure of")
    chosen = [*range(8), *np.argsort(-doubt)[:8]]
    for axes, i in zip(figure.subplots(2, 8).flat, chosen):
        right = answers[i] == test.y[i]
        axes.imshow(test.x[i, 0], cmap="gray_r")
        axes.set_title(
            f"{answers[i]}: {shares[i].max():.0%}" + ("" if right else f"\nit is {test.y[i]}"),
            color=BLUE if right else ORANGE,
            fontsize=9,
        )
        axes.set_axis_off()
    return figure
