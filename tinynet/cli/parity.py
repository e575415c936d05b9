"""``tinynet parity``: one network on several backends, every gradient compared."""

import argparse

from tinynet import random
from tinynet.checks import parity
from tinynet.cli.parser import Parser, UsageError, add_data_dir, choice, number, sizes
from tinynet.cli.recipe import ACTIVATIONS, LOSSES, Recipe, check_fit, open_model
from tinynet.cli.rules import initialise
from tinynet.cli.train import load_data
from tinynet.cli.train_settings import HOUSE
from tinynet.data import DATASETS

DIFFERENT = 3
EXAMPLE = """\
  tinynet parity --model 784-16-10                      a fresh network: the scalar engine proves the array rules
  tinynet parity runs/digits.safetensors                a trained one
  tinynet parity --model 784-16-10 --backends numpy,cupy --batch 64"""


def parser() -> Parser:
    """The options."""
    p = Parser(
        "parity",
        "MODEL [options]\n       tinynet parity --model SIZES [options]",
        "Run one network forward and backward on several backends, in float64, and compare output, loss and every\n"
        "gradient with the first one's. Exit code 3 when they differ by more than the tolerance.",
        EXAMPLE,
    )
    p.add_argument("file", nargs="?", metavar="MODEL", help="a file that `tinynet train` saved")
    p.add_argument("--model", type=sizes, metavar="SIZES", help="instead of a file: a fresh network, as 784-16-10")
    p.add_argument(
        "--activation",
        type=choice("activation", list(ACTIVATIONS)),
        metavar="NAME",
        help=f"with --model: {', '.join(ACTIVATIONS)} (default: sigmoid)",
    )
    p.add_argument(
        "--loss",
        type=choice("loss", list(LOSSES)),
        metavar="NAME",
        help=f"with --model: {', '.join(LOSSES)} (default: cross-entropy)",
    )
    p.add_argument(
        "--dataset",
        type=choice("data set", list(DATASETS)),
        metavar="NAME",
        help="where the batch comes from (default: digits, or what the file was trained on)",
    )
    add_data_dir(p)
    p.add_argument(
        "--backends", default="scalar,numpy", metavar="A,B,…", help="the first is compared with (default: scalar,numpy)"
    )
    p.add_argument(
        "--batch", type=number(int, 1), default=4, metavar="N", help="examples (default: 4; scalar takes its time)"
    )
    p.add_argument(
        "--tolerance",
        type=number(float),
        default=1e-12,
        metavar="R",
        help="the largest relative difference that passes (default: 1e-12)",
    )
    p.add_argument("--seed", type=number(int), default=0, metavar="N", help="with --model: its weights (default: 0)")
    return p


def run(args: argparse.Namespace) -> int:
    """Build or open, compare, print the table."""
    if (args.file is None) == (args.model is None):
        raise UsageError("name one network: a MODEL file, or --model SIZES such as --model 784-16-10.")
    if args.file and (args.activation or args.loss):
        raise UsageError("--activation and --loss go with --model; a file has its own.")
    names = [name.strip() for name in args.backends.split(",") if name.strip()]
    if len(set(names)) < 2:
        raise UsageError(f"--backends takes two or more, such as scalar,numpy; got {args.backends!r}.")
    if args.file:
        recipe, model = open_model(args.file)
        recipe_data = args.dataset or recipe.dataset
        test = (
            recipe.data(recipe_data)[1] if args.data_dir is None else load_data(recipe_data, directory=args.data_dir)[1]
        )
    else:
        recipe_data = args.dataset or "digits"
        test = load_data(recipe_data, directory=args.data_dir)[1]
        loss = args.loss or ("cross-entropy" if test.classes else "mse")
        recipe = Recipe(args.model, args.activation or "sigmoid", loss, recipe_data, {}, test.classes)
        check_fit(recipe, test, recipe_data)
        random.manual_seed(args.seed)
        model = recipe.model()
        initialise(model, HOUSE[recipe.activation].init)
    x, y = test.take(min(args.batch, len(test)))[:]
    parameters = sum(p.size for p in model.parameters())
    print(
        f"{'-'.join(map(str, recipe.sizes))}, {recipe.activation}, {recipe.loss}, {parameters:,} parameters, on "
        f"{len(x)} examples of {recipe_data}\n"
    )
    found = parity(model, x, y, loss=recipe.cost(), backends=names, rtol=args.tolerance)
    print(found)
    return 0 if found.ok else DIFFERENT
