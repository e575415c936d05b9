"""Sequence labelling: a label for every letter. Which letters of a Roman numeral are added, which taken away?

The I of IV is taken away, for a larger letter follows. A network that reads from left to right has not seen it yet;
this one reads in both directions. Numerals differ in length: what fills them up is neither read nor counted.
"""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Tensor, data, nn, optim
from tinynet.data import Dataset
from tinynet.data.numerals import LETTERS, UNMARKED, roman
from tinynet.tasks.result import BLUE, ORANGE, Result, Score


def numerals(quick: bool, seed: int) -> tuple[Dataset, Dataset]:
    """(train, test): x (n, 15) letters as numbers, 0 the filling, y (n, 15) 0 for + and 1 for -."""
    return data.roman_signs().split(400 if quick else 1000, seed=seed)


class Labeller(nn.Module):
    """Each letter becomes eight numbers, a GRU reads them in both directions, and a layer labels each place."""

    def __init__(self, hidden: int = 16) -> None:
        self.letters = nn.Embedding(len(LETTERS), 8, padding_idx=0)
        self.reader = nn.GRU(8, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, letters) -> (batch, letters, 2)."""
        states, _ = self.reader(self.letters(x), lengths=(x != 0).sum(1))
        return self.head(states)


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Train the network and compare it with each letter's commoner sign."""
    train, test = numerals(quick, seed)
    tn.manual_seed(seed)
    model = Labeller()
    loss = nn.CrossEntropyLoss(ignore_index=UNMARKED, dim=-1)
    trainer = tn.Trainer(model, loss, optim.Adam(lr=0.01), metrics=["accuracy"], threads=1)
    history = trainer.fit(train, test, epochs=4 if quick else 8, batch_size=20, seed=seed, progress=progress)

    simple, found = commoner_sign(train)[test.x], model.predict(test.x).numpy().argmax(2)
    letters = test.y != UNMARKED
    simple_right, right = ((signs == test.y) | ~letters for signs in (simple, found))
    scores = (
        Score("letters with the right sign", float(simple_right[letters].mean()), float(right[letters].mean())),
        Score("numerals right in every letter", float(simple_right.all(1).mean()), float(right.all(1).mean())),
    )
    return Result(scores, "the sign that each letter has most often", history, picture(test, found))


def commoner_sign(train: Dataset) -> Any:
    """For each letter the sign that it has more often in training."""
    counts = np.zeros((len(LETTERS), 2))
    letters = train.y != UNMARKED
    np.add.at(counts, (train.x[letters], train.y[letters]), 1)
    return counts.argmax(1)


def picture(test: Dataset, found: Any) -> Any:
    """Eight numerals, each letter with its sign as found, and the number that this makes."""
    from matplotlib.figure import Figure

    worth = {roman(value): value for value in (1, 5, 10, 50, 100, 500, 1000)}
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    with_minus = np.flatnonzero((test.y == 1).any(1))
    chosen = with_minus[np.linspace(0, len(with_minus) - 1, 8).astype(int)]
    for row, i in enumerate(chosen):
        total = 0
        for place, number in enumerate(test.x[i][test.x[i] > 0]):
            letter, taken = LETTERS[number], found[i, place] == 1
            total += -worth[letter] if taken else worth[letter]
            axes.text(
                place, -row, letter, color="white", weight="bold", ha="center", va="center", family="monospace",
                bbox={"facecolor": ORANGE if taken else BLUE, "lw": 0, "boxstyle": "round,pad=0.35"},
            )  # fmt: skip
            axes.text(place, -row - 0.42, "−" if taken else "+", ha="center", va="center", fontsize=9)
        axes.text(place + 1, -row, f"= {total:,}", va="center")
    axes.set(xlim=(-1, 12), ylim=(-7.8, 0.6), title="Numerals that it has not seen: + or −, letter by letter")
    axes.set_axis_off()
    return figure
