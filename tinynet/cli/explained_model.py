"""``tinynet explain --model``: a network on an example of its data, through some training steps.

Separate because an expression needs neither NumPy nor data sets. Must not know how it is shown.
"""

import argparse
import os
import sys
from typing import Any

import numpy as np

from tinynet import optim
from tinynet.cli.parser import UsageError, choice, sizes
from tinynet.cli.recipe import ACTIVATIONS, Recipe, check_fit, open_model
from tinynet.cli.rules import initialise
from tinynet.cli.train_settings import HOUSE
from tinynet.data import DATASETS, Dataset, load
from tinynet.explain import Explanation, explain
from tinynet.nn import Module
from tinynet.random import manual_seed

RATE = 0.5  # of the steps, where --lr is not given


def explained_model(args: argparse.Namespace) -> Explanation:
    """The network of ``--model``, on examples of its data set, through ``--train-steps`` updates.

    Raises:
        UsageError: the parts do not fit each other.
        CheckpointError: the file holds no network.
    """
    for what, names in (("dataset", DATASETS), ("activation", ACTIVATIONS)):
        if getattr(args, what) is not None:
            _known(what, getattr(args, what), list(names))
    recipe, model, train = _network(args)
    first, count = args.example or 0, args.examples or 1
    if first + count > len(train):
        raise UsageError(f"there are {len(train):,} examples, from 0; got {first} to {first + count - 1}.")
    x, y = train.x[first : first + count], train.y[first : first + count]
    if recipe.sizes[-1] == 1 or recipe.classes is None:
        y = np.asarray(y, np.float64).reshape(count, -1)
    steps = args.train_steps or 0
    rate = RATE if args.lr is None else args.lr
    rule = optim.SGD(lr=rate) if steps else None
    shown = explain(model, x, y, recipe.cost(), optimizer=rule, steps=steps, progress=_progress, limit=args.limit)
    which = f"example {first}" if count == 1 else f"examples {first} to {first + count - 1}"
    shown.run.title = f"{'-'.join(map(str, recipe.sizes))} on {which} of {recipe.dataset}"
    return shown


def _progress(step: int, steps: int) -> None:
    """A line that is written over, where somebody is looking."""
    if sys.stderr.isatty():
        print(f"\rtraining step {step} of {steps}", end="\n" if step == steps else "", file=sys.stderr, flush=True)


def _network(args: argparse.Namespace) -> tuple[Recipe, Module, Dataset]:
    if os.path.exists(args.model) or not args.model[:1].isdigit():
        if args.activation is not None or args.seed is not None:
            raise UsageError("--activation and --seed are for a network that is made now; a file has its own.")
        recipe, model = open_model(args.model)
        return recipe, model, recipe.data(args.dataset or "")[0]
    try:
        layers = sizes(args.model)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"--model: {error}, or a file that `tinynet train` saved.") from None
    name = args.dataset or _fitting(layers)
    train, _ = load(name)
    loss = "mse" if train.classes is None else "binary-cross-entropy" if layers[-1] == 1 else "cross-entropy"
    recipe = Recipe(layers, args.activation or "sigmoid", loss, name, classes=train.classes)
    check_fit(recipe, train, name)
    manual_seed(args.seed or 0)
    model = recipe.model()
    initialise(model, HOUSE[recipe.activation].init)
    return recipe, model, train


def _fitting(layers: tuple[int, ...]) -> str:
    """A data set for a network of these sizes, where none is named."""
    known: dict[int, Any] = {784: "digits", 2: "xor", 1: "line"}
    if layers[0] not in known:
        raise UsageError(
            f"which data is a network with {layers[0]} inputs to be explained on? Name it: --dataset NAME, one of "
            f"{', '.join(DATASETS)}."
        )
    return known[layers[0]]


def _known(option: str, name: str, names: list[str]) -> None:
    try:
        choice(option, names)(name)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"argument --{option}: {error}.") from None
