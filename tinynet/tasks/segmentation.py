"""Segmentation: a class for every pixel. Which pixels belong to a digit, and to which?

Two digits lie among pieces of others. To tell a digit from a piece the network must see far, and to draw its outline it
must see sharply: it goes down to an eighth of the picture's size and up again, and on the way up each scale is joined
by what was seen on the way down. Source: Ronneberger, Fischer and Brox, *U-Net*, 2015.
"""

from itertools import pairwise
from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Tensor, data, nn, optim
from tinynet.data import Dataset
from tinynet.tasks.result import Result, Score
from tinynet.training import confusion_matrix

CLASSES = ("nothing", *"0123456789")
COLOURS = "#0072b2 #e69f00 #009e73 #cc79a7 #56b4e9 #d55e00 #000000 #b3a000 #7f3c8d #8c8c8c".split()


def pictures(quick: bool, seed: int) -> tuple[Dataset, Dataset]:
    """(train, test): x (n, 1, 48, 48), y (n, 48, 48) the class of each pixel."""
    known, new = data.digits(flat=False)
    train = data.scenes(known, 600 if quick else 1500, count=2, clutter=6, seed=seed)
    test = data.scenes(new, 100 if quick else 300, count=2, clutter=6, seed=seed + 1)
    return Dataset(train.images, train.masks, classes=CLASSES), Dataset(test.images, test.masks, classes=CLASSES)


def block(inputs: int, outputs: int) -> nn.Module:
    """A convolution that keeps the size, and what makes it learn fast."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class UNet(nn.Module):
    """Down by pooling, up by transposed convolution; ``widths`` are the channels on each scale."""

    def __init__(self, classes: int, widths: tuple[int, ...] = (8, 16, 32, 64)) -> None:
        scales = list(pairwise(widths))
        self.first = block(1, widths[0])
        self.down = nn.ModuleList(nn.Sequential(nn.MaxPool2d(2), block(fine, coarse)) for fine, coarse in scales)
        self.bottom = block(widths[-1], widths[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in scales)
        self.join = nn.ModuleList(block(2 * fine, fine) for fine, _ in scales)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, height, width) -> (batch, classes, height, width); both sides are divisible by 8."""
        seen = [self.first(x)]
        for down in self.down:
            seen.append(down(seen[-1]))
        x = self.bottom(seen.pop())
        for up, join in reversed(list(zip(self.up, self.join))):
            x = join(tn.cat([up(x), seen.pop()], dim=1))
        return self.head(x)


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Train the network and compare it with the best threshold of brightness."""
    train, test = pictures(quick, seed)
    tn.manual_seed(seed)
    model, epochs = UNet(len(CLASSES)), 4 if quick else 7
    schedule = optim.CosineAnnealingLR(T_max=epochs)
    loss = nn.CrossEntropyLoss(weight=[0.3] + [1.0] * 10)  # most pixels show nothing, and would have their way
    trainer = tn.Trainer(model, loss, optim.Adam(lr=0.005), metrics=["accuracy"], schedule=schedule, threads=1)
    history = trainer.fit(train, test, epochs=epochs, batch_size=4, seed=seed, progress=progress)

    found = model.predict(test.x, batch_size=50).numpy().argmax(1)
    simple = threshold(train, test)
    scores = [
        Score("pixels in the right class", float(np.mean(simple == test.y)), float(np.mean(found == test.y))),
        Score("mean IoU, digit or nothing", mean_iou(simple > 0, test.y > 0), mean_iou(found > 0, test.y > 0)),
        Score("mean IoU, which digit", mean_iou(simple, test.y), mean_iou(found, test.y)),
    ]
    baseline = "the best threshold of brightness, all ink taken for the commonest digit"
    return Result(tuple(scores), baseline, history, picture(test, found))


def threshold(train: Dataset, test: Dataset) -> Any:
    """Classes of the test pixels, by the threshold that separates ink from the rest best in training."""
    best = max(np.linspace(0.1, 0.9, 17), key=lambda t: mean_iou(train.x[:200, 0] > t, train.y[:200] > 0))
    commonest = np.bincount(train.y[train.y > 0]).argmax()
    return np.where(test.x[:, 0] > best, commonest, 0)


def mean_iou(predicted: Any, actual: Any) -> float:
    """Intersection over union of the pixels predicted and actual, as the mean over the classes that occur."""
    counts = confusion_matrix(predicted.ravel(), actual.ravel())
    both, either = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    return float(np.mean(both[either > 0] / either[either > 0]))


def picture(test: Dataset, found: Any) -> Any:
    """Six pictures, what was found in them, and what was there; each digit in a colour of its own."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    colours = ListedColormap(["#ffffff", *COLOURS])
    figure = Figure(figsize=(8, 4.9), layout="constrained")
    figure.suptitle("New pictures: which pixels belong to a digit, and to which")
    grid = figure.subplots(3, 6)
    for row, name, images in zip(grid, ("picture", "found", "truth"), (test.x[:, 0], found, test.y)):
        shades = {"cmap": "gray_r", "vmax": 1} if name == "picture" else {"cmap": colours, "vmax": 10}
        for axes, image in zip(row, images):
            axes.imshow(image, vmin=0, interpolation="nearest", **shades)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    patches = [Patch(color=colour, label=digit) for colour, digit in zip(COLOURS, CLASSES[1:])]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=10, frameon=False, handlelength=1, columnspacing=1.2
    )
    return figure
