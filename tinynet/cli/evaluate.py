"""``tinynet evaluate``: how good a saved network is, class by class."""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.cli.engine import choose
from tinynet.cli.parser import Parser, add_backend, add_data_dir, choice
from tinynet.cli.recipe import Recipe, open_model
from tinynet.cli.train import load_data
from tinynet.data import DATASETS, Dataset
from tinynet.optim import SGD
from tinynet.training import Trainer, confusion_matrix

EXAMPLE = """\
  tinynet train && tinynet evaluate runs/digits.safetensors
  tinynet evaluate runs/digits.safetensors mnist           the full MNIST test set"""


def parser() -> Parser:
    """The options."""
    p = Parser(
        "evaluate",
        "MODEL [DATASET] [options]",
        "Measure a saved network on a test set: loss, accuracy, class by class.",
        EXAMPLE,
    )
    p.add_argument("model", metavar="MODEL", help="a file that `tinynet train` saved")
    p.add_argument(
        "dataset",
        nargs="?",
        type=choice("data set", list(DATASETS)),
        metavar="DATASET",
        help="another data set of the same sizes (default: the one it was trained on)",
    )
    add_data_dir(p)
    add_backend(p)
    p.add_argument("--json", action="store_true", help="print the numbers as JSON")
    return p


def run(args: argparse.Namespace) -> int:
    """Load, measure, print."""
    recipe, model = open_model(args.model)
    name = args.dataset or recipe.dataset
    test = test_set(recipe, name, args.data_dir)
    backend, _ = choose(args.backend)
    model.to(backend)
    trainer = Trainer(model, recipe.cost(), SGD(), metrics=["accuracy"] if test.classes else [])
    result = trainer.evaluate(test)
    matrix = None
    if test.classes:
        predicted = recipe.confidences(model.predict(test.x).numpy()).argmax(axis=1)
        matrix = confusion_matrix(predicted, test.y, len(test.classes))
    if args.json:
        import json

        print(
            json.dumps(
                {"dataset": name, "examples": len(test)}
                | result
                | ({} if matrix is None else {"confusion": matrix.tolist()})
            )
        )
        return 0
    print(f"{args.model}: {'-'.join(map(str, recipe.sizes))}, {recipe.activation}, on the test set of {name}\n")
    print(f"loss      {result['loss']:.4f} ({recipe.loss})")
    if matrix is not None and test.classes:
        right = int(np.trace(matrix))
        print(f"accuracy  {right / len(test):.2%}: {right:,} of {len(test):,}\n")
        print(class_table(matrix, test.classes))
        print("\nWhat is (rows) taken for what (columns):\n")
        print(matrix_text(matrix, test.classes))
    return 0


def test_set(recipe: Recipe, name: str, directory: str | None) -> Dataset:
    """The test set of the network's own data, or of another set that fits it."""
    if directory is not None:
        from tinynet.cli.recipe import check_fit

        test = load_data(name, directory=directory)[1]
        check_fit(recipe, test, name)
        return test
    return recipe.data(name)[1]


def class_table(matrix: NDArray[Any], classes: tuple[str, ...]) -> str:
    """For each class: how many there are, how many were found (recall), how many so named are it (precision)."""
    wide = max(5, *(len(name) for name in classes))
    lines = [f"{'class':<{wide}}  examples  found  named rightly  most often taken for"]
    for i, name in enumerate(classes):
        row, there, named = matrix[i], int(matrix[i].sum()), int(matrix[:, i].sum())
        found = f"{matrix[i, i] / there:.1%}" if there else "–"
        rightly = f"{matrix[i, i] / named:.1%}" if named else "–"
        others = np.where(np.arange(len(classes)) == i, 0, row)
        times = "once" if others.max() == 1 else f"{others.max()} times"
        most = f"{classes[int(others.argmax())]} ({times})" if others.max() else ""
        lines.append(f"{name:<{wide}}  {there:>8,}  {found:>6} {rightly:>14}  {most}".rstrip())
    return "\n".join(lines)


def matrix_text(matrix: NDArray[Any], classes: tuple[str, ...]) -> str:
    """The confusion matrix; zeros are dots, so that mistakes stand out."""
    head = [name if len(name) <= 6 else name[:5] + "." for name in classes]
    wide = max(len(str(matrix.max())), *(len(name) for name in head)) + 1
    first = max(len(name) for name in classes)
    lines = [" " * first + "  " + "".join(f"{name:>{wide}}" for name in head)]
    for name, row in zip(classes, matrix):
        lines.append(f"{name:<{first}}  " + "".join(f"{n if n else '·':>{wide}}" for n in row))
    return "\n".join(lines)
