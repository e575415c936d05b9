"""What a training run is determined by: the options that were left out filled in, and impossible ones refused.

Separate from the options themselves: here nothing is computed. What is left out follows the data set and the
activation, by tables that were found by experiment on digits held out from the training set.
"""

import argparse
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from tinynet.cli.parser import UsageError
from tinynet.cli.recipe import SYNTHETIC, data_needs
from tinynet.data import Dataset
from tinynet.dtypes import HALVES

RUN = [  # what a run is determined by, in the order in which its command line names it
    "model", "activation", "init", "loss", "optimizer", "lr", "momentum", "schedule", "schedule_factor",
    "schedule_epochs", "epochs", "batch_size", "l2", "clip_norm", "patience", "validation", "n", "noise", "data_dir",
    "backend", "dtype", "precision", "seed",
]  # fmt: skip


class House(NamedTuple):
    """What suits an activation: the learning rate of plain SGD, the λ for images, the initial weights."""

    lr: float
    l2: float
    init: str


HOUSE = {
    "sigmoid": House(2.0, 2.0, "xavier"),
    "tanh": House(0.2, 10.0, "xavier"),
    "relu": House(0.1, 20.0, "he"),
    "leaky-relu": House(0.1, 20.0, "he"),
    "softplus": House(0.1, 10.0, "he"),
    "gelu": House(0.1, 20.0, "he"),
}
ADAPTIVE_LR = {"rmsprop": 0.002, "adagrad": 0.02, "adam": 0.002, "adamw": 0.002}
LOSS_SCALE = {"quadratic": 2.0, "mse": 10.0}  # a mean over outputs, through a Sigmoid, has small gradients


def settle(args: argparse.Namespace, train: Dataset) -> None:
    """Fill in what was left out, and refuse what cannot be, before anything is computed."""
    classes = train.classes is not None
    formula = args.dataset in SYNTHETIC
    house = HOUSE[args.activation]
    args.loss = args.loss or ("cross-entropy" if classes else "mse")
    if args.model is None:
        inputs, outputs, _ = data_needs(train)
        args.model = (inputs, 16, 16, 1 if args.loss == "hinge" else outputs)
    args.init = args.init or house.init
    args.epochs = (200 if formula else 30) if args.epochs is None else args.epochs
    hands_off = args.lr is None
    sgd = args.optimizer not in ADAPTIVE_LR
    if args.l2 is None:
        suits = hands_off and sgd and not formula and args.loss == "cross-entropy"
        args.l2 = float(f"{house.l2 * min(len(train) / 6000, 1):.3g}") if suits else 0.0  # found on 6,000 digits
    args.schedule = args.schedule or ("cosine" if hands_off else "constant")
    if args.optimizer in ("momentum", "nesterov"):
        args.momentum = 0.9 if args.momentum is None else args.momentum
    elif args.momentum is not None:
        raise UsageError(f"--momentum is for the optimizers momentum and nesterov; got {args.optimizer}.")
    if args.lr is None:
        scale = LOSS_SCALE.get(args.loss, 1.0) if classes else 0.5
        args.lr = ADAPTIVE_LR.get(args.optimizer, house.lr * scale * (0.1 if args.momentum else 1.0))
        args.lr = float(f"{args.lr:.3g}")
    _settle_schedule(args)
    if args.precision in HALVES and args.dtype != "float32":
        raise UsageError(
            f"--precision {args.precision} keeps weights in float32; it does not go with --dtype {args.dtype}."
        )
    if args.patience and args.validation in (None, "test"):
        raise UsageError(
            "--patience watches a validation loss, and the test set must not decide when to stop: add --validation "
            "0.1, which holds a tenth of the training set out."
        )


def _settle_schedule(args: argparse.Namespace) -> None:
    factors = {"step": 0.1, "exponential": 0.95, "plateau": 0.5}
    lengths = {"step": max(args.epochs // 3, 1), "warmup": max(args.epochs // 10, 1), "plateau": 5}
    for option, table in (("schedule_factor", factors), ("schedule_epochs", lengths)):
        if getattr(args, option) is None:
            setattr(args, option, table.get(args.schedule))
        elif args.schedule not in table:
            flag = "--" + option.replace("_", "-")
            raise UsageError(f"{flag} is for the schedules {', '.join(table)}; the schedule is {args.schedule}.")
    if args.schedule in ("exponential", "plateau", "step") and args.schedule_factor > 1:
        raise UsageError(f"--schedule-factor makes the rate smaller: it is at most 1; got {args.schedule_factor:g}.")
    if args.schedule == "plateau" and args.schedule_factor == 1:
        raise UsageError("--schedule-factor must be below 1 for plateau.")


def settle_files(args: argparse.Namespace) -> None:
    """Choose where files go, and refuse places that cannot hold them before hours are spent on filling them."""
    if args.no_save and args.save:
        raise UsageError("--save and --no-save contradict each other. Leave one out.")
    if not args.no_save:
        args.save = args.save or f"runs/{args.dataset}.safetensors"
    beside = args.save and f"{args.save.removesuffix('.safetensors')}.checkpoint.safetensors"
    args.checkpoint = args.checkpoint or args.resume or beside
    if args.checkpoint_every and not args.checkpoint:
        raise UsageError("--checkpoint-every needs --checkpoint PATH, because of --no-save.")
    endings = {"history": (".json", ".png", ".svg", ".pdf"), "report": (".html", ".htm")}
    for what in ("save", "checkpoint", "report", "history"):
        place = getattr(args, what)
        if place is None:
            continue
        if what in endings and Path(place).suffix not in endings[what]:
            raise UsageError(f"--{what} takes a name that ends in {', '.join(endings[what])}; got {place}.")
        if Path(place).is_dir() or any(parent.exists() and not parent.is_dir() for parent in Path(place).parents):
            raise UsageError(
                f"--{what} {place}: a folder is there, or a file where a folder should be. Name another place."
            )
        folder = next(parent for parent in Path(place).absolute().parents if parent.exists())
        if not os.access(folder, os.W_OK):
            raise UsageError(f"--{what} {place}: the folder {folder} cannot be written. Name another place.")


def command(args: argparse.Namespace) -> str:
    """The command line that gives this run again, every setting written out."""
    words = ["tinynet", "train", args.dataset]
    for key in RUN:
        value = getattr(args, key)
        if value is not None and not (key == "l2" and not value):
            flag = "--" + key.replace("_", "-")
            words += [flag, "-".join(map(str, value)) if key == "model" else str(value).removesuffix(".0")]
    return shlex.join(words)
