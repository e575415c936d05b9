"""M. Nielsen, *Neural Networks and Deep Learning* (2015): chapters 1, 3 and 6 on full MNIST.

As in the book, 50,000 images train, the last 10,000 of the training files validate, and the test set counts; batches of
10. Chapter 6 reports the test accuracy of the epoch that was best in validation, and so do we.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from tinynet import data, nn, optim, random
from tinynet.data import Dataset
from tinynet.nn import init
from tinynet.reproduce.published import Effort, Published
from tinynet.training import EarlyStopping, Trainer

Numbers = tuple[float, float, float, float]  # expectations and minutes, as in Published
Run = Callable[[Effort], float]
BOOK = "Nielsen, chapter "


def images(effort: Effort, shape: tuple[int, ...] = (784,)) -> tuple[Dataset, Dataset, Dataset]:
    """Training, validation and test images; a quick run takes the first 10,000, 2,000 and all."""
    files, test = data.mnist(effort.directory)
    train, valid = files.subset(np.arange(50_000)), files.subset(np.arange(50_000, 60_000))
    if effort.quick:
        train, valid = train.take(10_000), valid.take(2_000)
    return _shaped(train, shape), _shaped(valid, shape), _shaped(test, shape)


def _shaped(part: Dataset, shape: tuple[int, ...]) -> Dataset:
    return Dataset(part.x.reshape(-1, *shape), part.y, classes=part.classes)


def train(
    effort: Effort,
    model: nn.Module,
    parts: tuple[Dataset, Dataset, Dataset],
    loss: nn.Loss,
    lr: float,
    epochs: int,
    l2: float = 0.0,
    best: bool = False,
) -> float:
    """Train with plain SGD in batches of 10; returns the test accuracy in percent, of the best epoch if so wished."""
    training, valid, test = parts
    trainer = Trainer(
        model, loss, optim.SGD(lr=lr), metrics=["accuracy"], l2=l2, threads=1,  # the same digits on any number of cores
        callbacks=[EarlyStopping(patience=epochs, monitor="val_accuracy")] if best else [],
    )  # fmt: skip
    history = trainer.fit(training, valid, epochs=epochs, batch_size=10, seed=effort.seed, progress=effort.progress)
    effort.finished(history)
    return 100 * trainer.evaluate(test)["accuracy"]


# --- chapters 1 and 3: dense networks of sigmoid neurons --------------------------------------------------------------


def dense(hidden: int) -> nn.Sequential:
    """784 inputs, one hidden layer, ten outputs."""
    return nn.Sequential(nn.Linear(784, hidden), nn.Sigmoid(), nn.Linear(hidden, 10))


def chapter1(effort: Effort, hidden: int) -> float:
    """Quadratic cost, weights and biases from a standard normal, η = 3, 30 epochs.

    The book's figures are the best of all epochs on the test images, and so are ours. It warns that runs differ: an
    output neuron may start so wrong, where the sigmoid is flat, that it never learns its digit. With 100 hidden neurons
    that is the rule.
    """
    random.manual_seed(effort.seed)
    model = init.initialise(nn.Sequential(*dense(hidden), nn.Sigmoid()), "normal", "normal")
    training, _, test = images(effort)
    epochs = 5 if effort.quick else 30
    return train(effort, model, (training, test, test), nn.QuadraticCost(), 3.0, epochs, best=True)


def chapter3(effort: Effort, hidden: int, l2: float, validation: bool = False) -> float:
    """Cross-entropy, weights with standard deviation 1/√fan_in, η = 0.5, 30 epochs. One figure of the book's is of the
    validation images."""
    random.manual_seed(effort.seed)
    model = init.initialise(dense(hidden), "scaled-normal", "normal")
    loss = nn.BCEWithLogitsLoss("batchmean")
    training, valid, test = images(effort)
    counts = valid if validation else test
    return train(effort, model, (training, valid, counts), loss, 0.5, 5 if effort.quick else 30, l2)


def few_images(effort: Effort, l2: float) -> float:
    """1,000 training images, 30 hidden neurons of chapter 1's start, cross-entropy, η = 0.5, 400 epochs."""
    random.manual_seed(effort.seed)
    training, valid, test = images(effort)
    model = init.initialise(dense(30), "normal", "normal")
    loss = nn.BCEWithLogitsLoss("batchmean")
    return train(effort, model, (training.take(1000), valid, test), loss, 0.5, 40 if effort.quick else 400, l2)


# --- chapter 6: convolution -------------------------------------------------------------------------------------------


def as_in_the_book(model: nn.Module) -> nn.Module:
    """Chapter 6's start: normal weights with standard deviation 1/√(units that a unit feeds), standard normal biases,
    and zeros in the last layer."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        fan_out = layer.weight.shape[0] * math.prod(layer.weight.shape[2:])
        if isinstance(layer, nn.Conv2d):
            fan_out //= 4  # the pooling of 2 × 2 that follows
        weight, bias = layer.parameters()
        init.normal_(weight, std=1 / math.sqrt(fan_out))
        init.normal_(bias)
    for parameter in layers[-1].parameters():
        init.zeros_(parameter)
    return model


def shallow() -> nn.Module:
    """No convolution: 100 hidden sigmoid neurons and a softmax."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.Sigmoid(), nn.Linear(100, 10))


def one_conv() -> nn.Module:
    """20 feature maps of 5 × 5, pooled, 100 sigmoid neurons, softmax."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Sigmoid(), nn.Flatten(),
        nn.Linear(20 * 12 * 12, 100), nn.Sigmoid(), nn.Linear(100, 10),
    )  # fmt: skip


def two_conv(activation: Callable[[], nn.Module] = nn.Sigmoid) -> nn.Module:
    """20 and 40 feature maps of 5 × 5, each pooled, 100 neurons, softmax."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), activation(),
        nn.Conv2d(20, 40, 5), nn.MaxPool2d(2), activation(), nn.Flatten(),
        nn.Linear(40 * 4 * 4, 100), activation(), nn.Linear(100, 10),
    )  # fmt: skip


def with_dropout() -> nn.Module:
    """Two convolutions, two layers of 1,000 rectified neurons, half of them dropped at each step, softmax."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(20, 40, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(40 * 4 * 4, 1000), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(1000, 1000), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1000, 10),
    )  # fmt: skip


def expanded(training: Dataset) -> Dataset:
    """Five images of each: as it is, and moved by one pixel up, down, left and right."""
    x = np.pad(training.x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moved = [x[:, :, 1 + i : 29 + i, 1 + j : 29 + j] for i, j in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))]
    return Dataset(np.concatenate(moved), np.tile(training.y, 5), classes=training.classes)


def chapter6(
    effort: Effort, model: Callable[[], nn.Module], lr: float, decay: float, epochs: int, expand: bool = False
) -> float:
    """Softmax and log-likelihood. The book's λ is weighed against the number of batches, so ours is 10 λ."""
    random.manual_seed(effort.seed)
    training, valid, test = images(effort, (1, 28, 28))
    training = expanded(training.take(2000) if effort.quick else training) if expand else training
    epochs = 5 if effort.quick else epochs
    parts = (training, valid, test)
    return train(effort, as_in_the_book(model()), parts, nn.CrossEntropyLoss(), lr, epochs, 10 * decay, best=True)


def _of(chapter: int, name: str, setting: str, figure: str, numbers: Numbers, run: Run) -> Published:
    return Published(f"nielsen-{name}", f"{BOOK}{chapter}", setting, figure, "%", *numbers, run)


RESULTS = [
    _of(1, "30", "[784, 30, 10], quadratic cost, η = 3, 30 epochs", "95.42 %",
        (95.0, 80.0, 0.5, 0.1), partial(chapter1, hidden=30)),
    _of(1, "100", "[784, 100, 10], the same; most starts leave a digit or two unlearned", "96.59 %",
        (95.5, 40.0, 0.5, 0.1), partial(chapter1, hidden=100)),
    _of(3, "cross-entropy", "[784, 30, 10], cross-entropy, η = 0.5, 30 epochs", "95.49 %",
        (95.0, 91.0, 0.5, 0.1), partial(chapter3, hidden=30, l2=0.0)),
    _of(3, "regularised", "[784, 100, 10], cross-entropy, η = 0.5, λ = 5, 30 epochs, validation images", "97.92 %",
        (97.7, 91.5, 0.5, 0.1), partial(chapter3, hidden=100, l2=5.0, validation=True)),
    _of(3, "few", "[784, 30, 10], 1,000 images, 400 epochs, no regularisation", "82.27 %",
        (80.0, 80.0, 0.5, 0.1), partial(few_images, l2=0.0)),
    _of(3, "few-regularised", "the same with λ = 0.1", "87.1 %",
        (85.0, 81.5, 0.5, 0.1), partial(few_images, l2=0.1)),
    _of(6, "softmax", "100 sigmoid neurons, softmax, η = 0.1, 60 epochs", "97.80 %",
        (97.5, 91.0, 1, 0.1), partial(chapter6, model=shallow, lr=0.1, decay=0.0, epochs=60)),
    _of(6, "conv1", "one convolution and pooling, η = 0.1, 60 epochs", "98.78 %",
        (98.7, 91.0, 5, 0.1), partial(chapter6, model=one_conv, lr=0.1, decay=0.0, epochs=60)),
    _of(6, "conv2", "two convolutions and poolings, η = 0.1, 60 epochs", "99.06 %",
        (98.9, 80.0, 10, 0.3), partial(chapter6, model=two_conv, lr=0.1, decay=0.0, epochs=60)),
    _of(6, "relu", "two convolutions, rectified, η = 0.03, λ = 0.1, 60 epochs", "99.23 %",
        (99.1, 96.0, 10, 0.3), partial(chapter6, model=partial(two_conv, nn.ReLU), lr=0.03, decay=0.1, epochs=60)),
    _of(6, "expanded", "the same on 250,000 images, each moved by a pixel in four directions", "99.37 %",
        (99.2, 95.0, 50, 0.5),
        partial(chapter6, model=partial(two_conv, nn.ReLU), lr=0.03, decay=0.1, epochs=60, expand=True)),
    _of(6, "dropout", "the same with two layers of 1,000 neurons and dropout, 40 epochs", "99.60 %",
        (99.4, 94.0, 120, 1), partial(chapter6, model=with_dropout, lr=0.03, decay=0.0, epochs=40, expand=True)),
]  # fmt: skip
