"""Forecasting: the next day of a series of measurements, from its last three.

The series has a daily and a weekly rhythm, a trend, and noise that nobody can foresee. The whole day is forecast at
once.
"""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Tensor, data, nn, optim
from tinynet.data import Dataset
from tinynet.tasks.result import BLUE, GREY, ORANGE, Result, Score

DAY = 24
PAST = 3 * DAY
NOISE = 0.2


def measurements(quick: bool, seed: int) -> tuple[Dataset, Dataset]:
    """(train, test): x (n, 72, 1) three days hour by hour, y (n, 24) the day after; the test comes later in time."""
    hours = 24 * (40 if quick else 120)
    series = data.seasonal(hours, noise=NOISE, seed=seed)
    earlier, later = np.split(series, [3 * hours // 4])
    return data.windows(earlier, PAST, DAY), data.windows(later, PAST, DAY)


class Forecaster(nn.Module):
    """A GRU reads the past; what it holds at the end becomes 24 numbers.

    It reads and writes differences from the mean of the past, so that a trend takes it nowhere that it has not been.
    """

    def __init__(self, hidden: int = 32) -> None:
        self.reader = nn.GRU(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, DAY)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 72, 1) -> (batch, 24)."""
        mean = x.mean(1, keepdim=True)
        _, state = self.reader(x - mean)
        return self.head(state[0]) + mean.squeeze(2)


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Train the network and compare it with "as yesterday"."""
    train, test = measurements(quick, seed)
    tn.manual_seed(seed)
    model, epochs = Forecaster(), 8 if quick else 20
    schedule = optim.CosineAnnealingLR(T_max=epochs)
    trainer = tn.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.01), schedule=schedule, clip_norm=1.0, threads=1)
    history = trainer.fit(train, test, epochs=epochs, batch_size=32, seed=seed, progress=progress)

    score = Score(
        "root mean squared error",
        baseline=float(np.sqrt(np.mean((test.x[:, -DAY:, 0] - test.y) ** 2))),
        reached=trainer.evaluate(test)["loss"] ** 0.5,
        limit=NOISE,
        form=".4f",
        lower_is_better=True,
    )
    return Result((score,), "the same hour of the day before", history, picture(model, test))


def picture(model: nn.Module, test: Dataset) -> Any:
    """A week of the test, each day forecast at its beginning."""
    from matplotlib.figure import Figure

    days = np.arange(0, 7 * DAY, DAY)
    forecasts = model.predict(test.x[days]).numpy()
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    hours = np.arange(-PAST, 7 * DAY) / DAY
    axes.plot(hours, np.concatenate([test.x[0, :, 0], test.y[days].ravel()]), color=GREY, label="measured")
    for i, (start, forecast) in enumerate(zip(days, forecasts)):
        at = (start + np.arange(DAY)) / DAY
        axes.plot(at, forecast, color=ORANGE, linewidth=2, label="" if i else "forecast from the three days before")
        axes.plot(at, test.x[start, -DAY:, 0], ":", color=BLUE, label="" if i else "as the day before")
        axes.axvline(start / DAY, color="black", linewidth=0.5, alpha=0.4)
    axes.set(xlabel="days", ylabel="measurement", title="Each day forecast at its beginning")
    axes.margins(x=0.01)
    axes.set_ylim(top=axes.get_ylim()[1] + 1)
    axes.legend(frameon=False, ncols=3, loc="upper left", fontsize=9)
    return figure
