"""Next-character prediction: a network that writes, one character at a time.

An LSTM reads a text and says after each character how likely every other one is to come next. The text is a list of
first names where ``names.txt`` is found (see ``data.names``), and otherwise one that the package makes: numbers in
words. Source of the task: A. Karpathy, *makemore*.
"""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Tensor, data, nn, optim
from tinynet.data import Characters, Dataset
from tinynet.errors import DataError
from tinynet.tasks.result import Result, Score

CONTEXT = 32


def lines(seed: int) -> list[str]:
    """What the network shall write, a line each, in random order."""
    try:
        found = data.names()
    except DataError:
        found = [data.in_words(number) for number in range(10_000)]
    return [found[i] for i in np.random.default_rng(seed).permutation(len(found))[:30_000]]


def texts(quick: bool, seed: int) -> tuple[Dataset, Dataset, Characters]:
    """(train, test, vocabulary): x (n, 32) the numbers of successive characters, y (n, 32) of those one further on."""
    written = lines(seed)
    written = written[: len(written) // (8 if quick else 1)]
    cut = 9 * len(written) // 10
    vocabulary = Characters("\n".join(written))
    parts = ["\n".join(part) for part in (written[:cut], written[cut:])]
    every = [data.next_character(part, CONTEXT, vocabulary, every_position=True) for part in parts]
    train, test = (part.subset(np.arange(0, len(part), CONTEXT)) for part in every)  # one window after the other
    return train, test, vocabulary


class Writer(nn.Module):
    """Each character becomes numbers, an LSTM reads them, and a layer says what may follow."""

    def __init__(self, characters: int, hidden: int = 96) -> None:
        self.characters = nn.Embedding(characters, 24)
        self.reader = nn.LSTM(24, hidden, batch_first=True)
        self.head = nn.Linear(hidden, characters)

    def read(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(batch, steps) and the state before -> logits (batch, steps, characters) and the state after."""
        states, state = self.reader(self.characters(x), state)
        return self.head(states), state

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps) -> (batch, steps, characters)."""
        return self.read(x)[0]

    def write(self, vocabulary: Characters, count: int, seed: int) -> str:
        """New lines, drawn from the network's own distribution, each character from what came before it."""
        random, text, state = np.random.default_rng(seed), "\n", None
        place = next(self.parameters()).backend
        with tn.no_grad():
            while text.count("\n") <= count and len(text) < 100 * count:
                logits, state = self.read(Tensor(vocabulary.encode(text[-1])[None], backend=place), state)
                shares = nn.functional.softmax(logits[0, 0].to(dtype="float64"), dim=0).numpy()
                text += vocabulary.itos[random.choice(len(vocabulary), p=shares)]
        return text.strip("\n")


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Train the network and compare it with counts of characters and of pairs of them."""
    train, test, vocabulary = texts(quick, seed)
    tn.manual_seed(seed)
    model, epochs = Writer(len(vocabulary)), 2 if quick else 6
    loss, schedule = nn.CrossEntropyLoss(dim=-1), optim.CosineAnnealingLR(T_max=epochs)
    trainer = tn.Trainer(
        model, loss, optim.Adam(lr=0.01), metrics=["accuracy"], schedule=schedule, clip_norm=1.0, threads=1
    )
    history = trainer.fit(train, test, epochs=epochs, batch_size=32, seed=seed, progress=progress)

    reached = trainer.evaluate(test)["loss"]
    scores = tuple(
        Score(f"nats a character, against {name}", counted, reached, form=".3f", lower_is_better=True)
        for name, counted in zip(("single ones", "pairs"), counts(train, test, len(vocabulary)))
    )
    baseline = "how often each character came in training, and how often after the one before it"
    return Result(scores, baseline, history, picture(model, test, vocabulary, seed))


def counts(train: Dataset, test: Dataset, characters: int) -> tuple[float, float]:
    """The loss in nats of the frequencies of characters, and of pairs, each seen once more than it was."""
    pairs = np.ones((characters, characters))
    np.add.at(pairs, (train.x, train.y), 1)
    single = pairs.sum(0) / pairs.sum()
    following = pairs / pairs.sum(1, keepdims=True)
    return -float(np.log(single[test.y]).mean()), -float(np.log(following[test.x, test.y]).mean())


def picture(model: Writer, test: Dataset, vocabulary: Characters, seed: int) -> Any:
    """Text that the network has not seen, shaded by how little it expected each character, and text of its own."""
    from matplotlib.figure import Figure

    shares = nn.functional.softmax(model.predict(test.x[:12]), dim=-1).numpy()
    surprise = -np.log(np.take_along_axis(shares, test.y[:12, :, None], axis=2)[..., 0])
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes, page = figure.subplots(1, 2, width_ratios=(2, 1))
    shaded = axes.imshow(surprise, cmap="Oranges", vmin=0, vmax=6, aspect="auto")
    for (row, place), number in np.ndenumerate(test.y[:12]):
        character = {"\n": "↵", " ": "␣"}.get(vocabulary.itos[number], vocabulary.itos[number])
        colour = "white" if surprise[row, place] > 4 else "black"
        axes.text(place, row, character, ha="center", va="center", fontsize=9, family="monospace", color=colour)
    axes.set(xticks=[], yticks=[], title="New text: how little each character was expected")
    figure.colorbar(shaded, label="surprise, -log p in nats", location="bottom", shrink=0.6)
    page.text(0, 1, model.write(vocabulary, 12, seed), va="top", fontsize=10, linespacing=1.5)
    page.set(title="Written by the network")
    page.set_axis_off()
    return figure
