"""Detection: what is in a picture, and where. One network gives a class and a box.

A digit lies somewhere in a scene, among pieces of other digits. Both heads of the network stand on one trunk; their
outputs travel side by side in one tensor, which the loss takes apart.
"""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Tensor, data, nn, optim
from tinynet.data import Dataset
from tinynet.tasks.result import BLUE, ORANGE, Result, Score

SIZE = 48
CLASSES = 10


def pictures(quick: bool, seed: int) -> tuple[Dataset, Dataset]:
    """(train, test): x (n, 1, 48, 48), y (n, 5): the digit; left, top, right and bottom in parts of the picture."""
    known, new = data.digits(flat=False)
    train = data.scenes(known, 2500 if quick else 5000, size=SIZE, seed=seed)
    test = data.scenes(new, 300 if quick else 1000, size=SIZE, seed=seed + 1)
    return labelled(train), labelled(test)


def labelled(scenes: data.Scenes) -> Dataset:
    """Pictures with the class and the box side by side."""
    return Dataset(scenes.images, np.concatenate([scenes.labels, scenes.boxes[:, 0] / SIZE], axis=1))


class Detector(nn.Module):
    """A trunk of convolutions makes 6 × 6 cells; each cell votes for a class and a box, and says how much it counts.

    Every cell has the same weights, so that a digit learned in one corner is known in all the others.
    """

    def __init__(self) -> None:
        self.trunk = nn.Sequential(
            *(nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.ReLU()),
            *(nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()),
        )
        self.attention, self.class_head, self.box_head = (
            nn.Conv2d(64, 1, 1),
            nn.Conv2d(64, CLASSES, 1),
            nn.Conv2d(64, 4, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 48, 48) -> (batch, 14): ten logits, then the box."""
        cells = self.trunk(x)
        side = cells.shape[-1]
        middles = (tn.arange(side, backend=x.backend).to(dtype=x.dtype) + 0.5) / side
        x0, y0 = middles.reshape(1, 1, 1, side), middles.reshape(1, 1, side, 1)
        boxes = self.box_head(cells)  # from each cell's middle
        places = tn.cat([boxes[:, 0:1] + x0, boxes[:, 1:2] + y0, boxes[:, 2:3] + x0, boxes[:, 3:4] + y0], dim=1)
        votes = tn.cat([self.class_head(cells), places], dim=1).flatten(2)
        shares = nn.functional.softmax(self.attention(cells).flatten(2), dim=-1)
        return (votes * shares).sum(2)


class DetectionLoss(nn.Loss):
    """Cross-entropy of the class and, with a weight, the smooth L1 distance of the box."""

    def __init__(self, weight: float = 20.0) -> None:
        super().__init__()
        self.of_class, self.of_box, self.weight = nn.CrossEntropyLoss(), nn.SmoothL1Loss(beta=0.1), weight

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, 14), (batch, 5) -> one number."""
        digit = target[:, 0].to(dtype="int64")
        box = self.of_box(prediction[:, CLASSES:], target[:, 1:])
        return self.of_class(prediction[:, :CLASSES], digit) + self.weight * box


# Metrics count, for a batch, how much of it applies to; a trainer divides by the number of examples.


def right_class(loss: nn.Loss, prediction: Tensor, target: Tensor) -> Tensor:
    """How many digits are named rightly."""
    return (prediction[:, :CLASSES].argmax(1) == target[:, 0]).sum()


def overlap(loss: nn.Loss, prediction: Tensor, target: Tensor) -> Tensor:
    """The sum of the boxes' intersections over unions."""
    return iou(prediction, target).sum()


def found(loss: nn.Loss, prediction: Tensor, target: Tensor) -> Tensor:
    """How many digits are named rightly and in a box that overlaps by half or more."""
    return ((prediction[:, :CLASSES].argmax(1) == target[:, 0]) * (iou(prediction, target) >= 0.5)).sum()


def iou(prediction: Tensor, target: Tensor) -> Tensor:
    """Intersection over union of each predicted box with the true one, (batch,)."""
    p, t = prediction[:, CLASSES:], target[:, 1:]
    shared = area(tn.maximum(p[:, :2], t[:, :2]), tn.minimum(p[:, 2:], t[:, 2:]))
    return shared / (area(p[:, :2], p[:, 2:]) + area(t[:, :2], t[:, 2:]) - shared)


def area(start: Tensor, end: Tensor) -> Tensor:
    """Of boxes with these corners, 0 where they are turned round."""
    sides = (end - start).relu()
    return sides[:, 0] * sides[:, 1]


def run(quick: bool = False, seed: int = 0, progress: bool | str = True) -> Result:
    """Train the network and compare it with looking for the brightest window."""
    train, test = pictures(quick, seed)
    tn.manual_seed(seed)
    model, loss, metrics, epochs = Detector(), DetectionLoss(), [right_class, overlap, found], 5 if quick else 8
    schedule = optim.CosineAnnealingLR(T_max=epochs)
    trainer = tn.Trainer(model, loss, optim.Adam(lr=0.003), metrics, schedule=schedule, threads=1)
    history = trainer.fit(train, test, epochs=epochs, batch_size=10, seed=seed, progress=progress)

    reached, simple, target = trainer.evaluate(test), Tensor(brightest(train, test)), Tensor(test.y)
    names = ("right class", "mean IoU of the boxes", "right class and IoU of 0.5 or more")
    scores = tuple(
        Score(name, metric(loss, simple, target).item() / len(test), reached[metric.__name__])
        for name, metric in zip(names, metrics)
    )
    baseline = "the window of 20 × 20 pixels with the most ink, and the class whose mean it is nearest to"
    return Result(scores, baseline, history, picture(test, model.predict(test.x).numpy()))


def brightest(train: Dataset, test: Dataset, side: int = 20) -> Any:
    """Predictions (n, 14) without learning: the brightest window, and the class whose mean window is nearest."""

    def windows(x: Any) -> tuple[Any, Any]:
        """The left and top of each picture's brightest window, (n, 2), and what it shows, (n, side · side)."""
        sums = np.pad(x.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
        ink = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
        top, left = np.divmod(ink.reshape(len(x), -1).argmax(1), ink.shape[2])
        shown = [image[i : i + side, j : j + side].ravel() for image, i, j in zip(x, top, left)]
        return np.stack([left, top], axis=1), np.array(shown)

    known = windows(train.x[:, 0])[1]
    means = np.array([known[train.y[:, 0] == k].mean(0) for k in range(CLASSES)])
    corners, shown = windows(test.x[:, 0])
    logits = 2 * shown @ means.T - (means**2).sum(1)  # the larger, the nearer
    return np.concatenate([logits, corners / SIZE, (corners + side) / SIZE], axis=1).astype(np.float32)


def picture(test: Dataset, predictions: Any) -> Any:
    """Twelve scenes with the true box and the predicted one."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(8, 5.2), layout="constrained")
    for i, axes in enumerate(figure.subplots(2, 4).flat):
        axes.imshow(test.x[i, 0], cmap="gray_r", vmin=0, vmax=1, extent=(0, SIZE, SIZE, 0))
        boxes = (test.y[i, 1:], BLUE, "--", "true box"), (predictions[i, CLASSES:], ORANGE, "-", "predicted")
        for (left, top, right, bottom), colour, style, name in boxes:
            place, width, height = (left * SIZE, top * SIZE), (right - left) * SIZE, (bottom - top) * SIZE
            axes.add_patch(
                Rectangle(place, width, height, fill=False, color=colour, linestyle=style, linewidth=2, label=name)
            )
        answer, truth = int(predictions[i, :CLASSES].argmax()), int(test.y[i, 0])
        axes.set_title(f"found {answer}" + ("" if answer == truth else f", it is {truth}"), fontsize=10)
        axes.set(xticks=[], yticks=[])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle("New scenes: which digit, and where")
    return figure
