"""A training run as one page: what was done, how it went, where the model is wrong, what its first layer looks for.

The page carries everything with it: no network, no script, no font from elsewhere. It is read in light and in dark, on
a desk and on a phone.
"""

import copy
import datetime
import html
import os
import platform
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinynet
from tinynet.data import Dataset
from tinynet.files import write_bytes
from tinynet.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, HingeLoss, Loss
from tinynet.tensor import Tensor
from tinynet.training import report_pictures as pictures
from tinynet.training.metrics import confusion_matrix
from tinynet.training.trainer import Trainer

Array = NDArray[Any]
MISTAKES, WEIGHTS = 24, 64  # how many are shown


def write_report(
    path: str | os.PathLike[str], trainer: Trainer, train: Dataset, test: Dataset, settings: Mapping[str, Any]
) -> Path:
    """Write the page of a finished run; returns its path.

    Args:
        trainer: after ``fit``: its model is measured, its history shown.
        train, test: what it was trained on, and what it is measured on.
        settings: what to say about the run, by name; ``command`` is shown as the line that repeats it.

    Raises:
        FileError: the place cannot be written.
    """
    result = trainer.evaluate(test)
    dtype = np.dtype(next(trainer.model.parameters()).dtype)
    outputs = np.array(trainer.model.predict(test.x.astype(dtype, copy=False)).numpy())
    sections = [_head(trainer, train, test, settings, result), _curves(trainer)]
    if test.classes is not None:
        sure = confidences(trainer.loss, outputs)
        predicted = sure.argmax(axis=1)
        sections += [
            _matrix(confusion_matrix(predicted, test.y, len(test.classes)), test.classes),
            _regions(trainer, test, predicted, dtype),
            _mistakes(trainer.loss, test, outputs, sure),
        ]
    else:
        sections += [_fit(trainer, test, outputs, dtype)]
    sections += [_weights(trainer), _epochs(trainer), _made(trainer, settings)]
    template = string.Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    page = template.substitute(title=html.escape(_title(settings, test)), body="\n".join(filter(None, sections)))
    return write_bytes(path, page.encode())


# --- what outputs mean ------------------------------------------------------------------------------------------------


def measure(loss: Loss, outputs: int) -> str:
    """What ``confidences`` gives: probabilities where they add up to 1, otherwise each class's own activation."""
    if isinstance(loss, HingeLoss):
        return "score"
    return "probability" if isinstance(loss, CrossEntropyLoss) or outputs == 1 else "activation"


def confidences(loss: Loss, outputs: Array) -> Array:
    """How strongly each class is meant, (n, outputs) -> (n, classes); the largest is the answer.

    The softmax of logits, the sigmoid of the binary cross-entropy's, other outputs as they are; a single output speaks
    for class 1, and its opposite for class 0.
    """
    outputs = outputs.astype(np.float64)
    if isinstance(loss, CrossEntropyLoss):
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if isinstance(loss, BCEWithLogitsLoss):
        outputs = 0.5 * (1 + np.tanh(outputs / 2))  # σ, without overflow
    if outputs.shape[1] == 1:
        return np.concatenate([-outputs if isinstance(loss, HingeLoss) else 1 - outputs, outputs], axis=1)
    return np.asarray(outputs)


def _losses(loss: Loss, outputs: Array, y: Array) -> Array:
    """The loss of each example by itself."""
    single = copy.copy(loss)
    single.reduction = "none"
    found = single(Tensor(outputs, backend="numpy"), y).numpy()
    return np.asarray(found.reshape(len(found), -1).sum(axis=1))


# --- the sections -----------------------------------------------------------------------------------------------------


def _title(settings: Mapping[str, Any], test: Dataset) -> str:
    sizes = settings.get("model")
    network = "-".join(map(str, sizes)) if isinstance(sizes, list | tuple) else str(sizes or "a network")
    return f"{network} on {settings.get('dataset') or test.name or 'its data'}"


def _head(
    trainer: Trainer, train: Dataset, test: Dataset, settings: Mapping[str, Any], result: dict[str, float]
) -> str:
    seconds = sum(trainer.history["seconds"]) if len(trainer.history) else 0.0
    figures = {"test accuracy": f"{result['accuracy']:.2%}"} if "accuracy" in result else {}
    figures |= {
        "test loss": f"{result['loss']:.4f}",
        "parameters": f"{sum(p.size for p in trainer.model.parameters()):,}",
        "trained on": f"{len(train):,}",
        "tested on": f"{len(test):,}",
        "epochs": str(len(trainer.history)),
        "time": f"{seconds:.1f} s",
    }
    shown = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in figures.items())
    command = settings.get("command")
    words = " ".join(f"<span>{html.escape(part)}</span>" for part in re.split(r" (?=--)", str(command)))
    repeat = f"<p>This line does it again:</p><pre>{words}</pre>" if command else ""
    notes = "".join(f"<p>Note: {html.escape(note)}</p>" for note in trainer.history.notes)
    date = f"{datetime.datetime.now().astimezone():%d %B %Y, %H:%M}"
    return (
        f"<header><h1>{html.escape(_title(settings, test))}</h1>"
        f'<p class="soft">Trained with tinynet, {date}</p></header>'
        f'<dl class="figures">{shown}</dl>{repeat}{notes}'
    )


def _curves(trainer: Trainer) -> str:
    if not len(trainer.history):
        return ""
    wide, narrow = (pictures.curves(trainer.history, stacked) for stacked in (False, True))
    return f'<h2>Learning curves</h2><div class="wide">{wide}</div><div class="narrow">{narrow}</div>'


def _matrix(matrix: Array, classes: tuple[str, ...]) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in classes)
    rows = []
    for i, (name, row) in enumerate(zip(classes, matrix)):
        cells = []
        for j, n in enumerate(row):
            share = n / max(row.sum(), 1)
            colour = f"rgb(var(--{'good' if i == j else 'bad'}) / {0.5 * share if i == j else 0.9 * share**0.4:.2f})"
            style = f' style="background: {colour}"' if n else ' class="none"'
            title = f"{name} taken for {classes[j]}: {n} of {row.sum()}"
            cells.append(f'<td{style} title="{html.escape(title)}">{n if n else "·"}</td>')
        rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{"".join(cells)}</tr>')
    return (
        "<h2>What is taken for what</h2>"
        "<p>A row for each true class, a column for each answer: right ones on the diagonal, mistakes in orange.</p>"
        f'<div class="scroll"><table class="matrix"><thead><tr><th class="corner">true ↓ said →</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _mistakes(loss: Loss, test: Dataset, outputs: Array, sure: Array) -> str:
    predicted, classes = sure.argmax(axis=1), test.classes or ()
    losses = _losses(loss, outputs, test.y)
    wrong = np.flatnonzero(predicted != test.y)
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:MISTAKES]
    if not len(worst):
        return "<h2>The worst mistakes</h2><p>There are none: every test example is right.</p>"
    what, size = measure(loss, outputs.shape[1]), _side(test.x)
    head = (
        f"<h2>The worst mistakes</h2><p>{len(wrong):,} of {len(test):,} test examples are wrong. These "
        f"{len(worst)} have the largest loss: the true class → the answer, and its {what}.</p>"
    )
    if size is None:
        names = "".join(f"<th>x{i + 1}</th>" for i in range(test.x[0].size))
        rows = "".join(
            f"<tr><td>{i}</td>{''.join(f'<td>{v:.3g}</td>' for v in test.x[i].ravel())}"
            f"<td>{html.escape(classes[test.y[i]])}</td><td>{html.escape(classes[predicted[i]])}</td>"
            f"<td>{sure[i, predicted[i]]:.3f}</td><td>{losses[i]:.3f}</td></tr>"
            for i in worst
        )
        return (
            f'{head}<div class="scroll"><table class="plain"><thead><tr><th>test example</th>{names}<th>true</th>'
            f"<th>answer</th><th>{what}</th><th>loss</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )
    tiles = []
    for i in worst:
        true, said = classes[test.y[i]], classes[predicted[i]]
        text = f"test example {i}: {true}, taken for {said}"
        tiles.append(
            f"<figure>{pictures.image(pictures.grey(test.x[i].reshape(size, size)), text)}<figcaption>"
            f"<b>{html.escape(true)} → {html.escape(said)}</b> {sure[i, predicted[i]]:.2f}<br>no. {i}"
            "</figcaption></figure>"
        )
    return f'{head}<div class="tiles">{"".join(tiles)}</div>'


def _regions(trainer: Trainer, test: Dataset, predicted: Array, dtype: Any) -> str:
    if test.x.ndim != 2 or test.x.shape[1] != 2 or test.classes is None:
        return ""
    (left, bottom), (right, top) = test.x.min(axis=0), test.x.max(axis=0)
    wide, high = 0.08 * (right - left) or 1.0, 0.08 * (top - bottom) or 1.0
    box = (float(left - wide), float(right + wide), float(bottom - high), float(top + high))
    across, down = np.meshgrid(np.linspace(box[0], box[1], 160), np.linspace(box[3], box[2], 160))
    grid = np.stack([across.ravel(), down.ravel()], axis=1).astype(dtype)
    regions = confidences(trainer.loss, trainer.model.predict(grid).numpy()).argmax(axis=1).reshape(across.shape)
    wrong = predicted != test.y
    text = (
        f"Decision regions of {len(test.classes)} classes with the {len(test)} test points, {int(wrong.sum())} of them "
        "on the wrong side."
    )
    legend = ", ".join(
        f'<span style="color: {pictures.COLOURS[k % len(pictures.COLOURS)]}">●</span> {html.escape(name)}'
        for k, name in enumerate(test.classes)
    )
    return (
        "<h2>Where it decides for what</h2><p>The test points in the plane, over the answer at each place; those with "
        f"a black rim are wrong. Class {legend}.</p>"
        f"{pictures.plane(regions, box, test.x, test.y, wrong, text)}"
    )


def _fit(trainer: Trainer, test: Dataset, outputs: Array, dtype: Any) -> str:
    apart = np.abs(outputs.reshape(len(test), -1) - test.y.reshape(len(test), -1)).max(axis=1)
    text = f"The mean distance from the target is {apart.mean():.4g}, the largest {apart.max():.4g}."
    if test.x[0].size != 1 or outputs.shape[1] != 1:
        return f"<h2>How far off it is</h2><p>{text}</p>"
    x = test.x.ravel()
    grid = np.linspace(x.min(), x.max(), 200)
    line = trainer.model.predict(grid.reshape(-1, 1).astype(dtype)).numpy().ravel()
    picture = pictures.fit(x, test.y.ravel(), grid, line, f"{len(test)} test points and the model's curve. {text}")
    axes = f"x from {x.min():.3g} to {x.max():.3g}, y from {test.y.min():.3g} to {test.y.max():.3g}."
    return f'<h2>The curve and the points</h2><p>{text}</p>{picture}<p class="soft">{axes}</p>'


def _weights(trainer: Trainer) -> str:
    first = next((p for p in trainer.model.parameters() if p.ndim == 2), None)
    size = None if first is None else _side(np.empty((1, first.shape[1])))
    if first is None or size is None:
        return ""
    weights = np.asarray(first.numpy(), np.float64)
    tiles = [
        f"<figure>{pictures.image(pictures.diverging(row.reshape(size, size)), f'weights into unit {i + 1}')}</figure>"
        for i, row in enumerate(weights[:WEIGHTS])
    ]
    more = f" The first {WEIGHTS} of {len(weights)} units." if len(weights) > WEIGHTS else ""
    return (
        "<h2>What the first layer looks for</h2><p>The weights into each unit, laid out as the picture that they are "
        f"multiplied with: orange adds, blue takes away, white does not care.{more}</p>"
        f'<div class="tiles small">{"".join(tiles)}</div>'
    )


def _side(x: Array) -> int | None:
    """The side of square pictures, (n, side²) or (n, 1, side, side); None for other data."""
    size = int(np.prod(x.shape[1:]))
    root = round(size**0.5)
    return root if root >= 8 and root * root == size else None


def _epochs(trainer: Trainer) -> str:
    rows = trainer.history.epochs
    if not rows:
        return ""
    names = list(rows[-1])
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{row.get(name, np.nan):.5g}</td>' for name in names)}</tr>" for row in rows)
    return (
        f"<h2>Epoch by epoch</h2><details><summary>All {len(rows)} epochs</summary>"
        f'<div class="scroll"><table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        "</details>"
    )


def _made(trainer: Trainer, settings: Mapping[str, Any]) -> str:
    backend = next(trainer.model.parameters()).backend.name
    facts = {
        name.replace("_", " "): _words(value)
        for name, value in settings.items()
        if name not in ("command", "save") and value is not None
    }
    facts |= {"ended by": trainer.history.stopped, "backend": backend, "tinynet": tinynet.__version__}
    facts |= {"Python": platform.python_version(), "NumPy": np.__version__, "machine": platform.platform(terse=True)}
    rows = "".join(
        f'<tr><th scope="row">{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>' for k, v in facts.items()
    )
    return f'<h2>How it was made</h2><div class="scroll"><table class="plain"><tbody>{rows}</tbody></table></div>'


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
