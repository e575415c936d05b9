"""``tinynet play``: a page on which numbers are edited, and backpropagation is computed anew."""

import argparse
import ast
import os
import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any

from tinynet import data, nn, optim
from tinynet.cli.expressions import FUNCTIONS, LONGEST, Expression, ExpressionParser, read_variables
from tinynet.cli.parser import Parser, UsageError, choice, number, sizes
from tinynet.cli.recipe import ACTIVATIONS, open_model
from tinynet.errors import did_you_mean
from tinynet.play import DigitsSession, ExpressionSession, PointsSession, Session, serve
from tinynet.play.points import LARGEST_SEED, MOST_LAYERS, MOST_POINTS, MOST_UNITS
from tinynet.play.points_file import read_points
from tinynet.play.session import FASTEST
from tinynet.random import manual_seed
from tinynet.training import Trainer
from tinynet.value import Value

EXAMPLE = """\
  tinynet play "(a*b + 10).tanh()" a=2 b=-3
  tinynet play --data moons --model 2-4-4-1 --activation tanh --open
  tinynet play --data my-points.csv                    lines such as 0.5,-1.25,1
  tinynet play --digits                                draw a digit for a network that is trained first, in seconds
  tinynet play --digits runs/digits.safetensors        or for your own"""

DATA = {
    "moons": lambda n, seed: data.moons(n, seed=seed),
    "circles": lambda n, seed: data.circles(n, seed=seed),
    "xor": lambda n, seed: data.xor(n, seed=seed),
    "spirals": lambda n, seed: data.spirals(n, classes=2, seed=seed),
}
RATE = 0.5  # for points; 0.1 for an expression


def parser() -> Parser:
    """The options."""
    p = ExpressionParser(
        "play",
        "[EXPRESSION [NAME=NUMBER ...] | --data NAME|FILE | --digits [MODEL]] [options]",
        "Open a live page on this computer: edit a number, move a point or draw a digit, and see every value and\n"
        "gradient computed anew. Without an expression: points of two classes, and a network that tells them apart.",
        EXAMPLE,
    )
    add = p.add_argument
    add("expression", nargs="?", metavar="EXPRESSION", help="as for tinynet explain, in quotes")
    add("variables", nargs="*", metavar="NAME=NUMBER", help="what its names stand for (default: 1)")
    add("--data", metavar="NAME|FILE", help=f"points: {', '.join(DATA)}, or a file of your own (default: moons)")
    add("--n", type=number(int, 1), metavar="N", help="how many points (default: 40)")
    add("--model", type=sizes, metavar="SIZES", help="the units of each layer (default: 2-8-1)")
    add("--activation", type=choice("activation", list(ACTIVATIONS)), metavar="NAME",
        help=f"{', '.join(ACTIVATIONS)} (default: tanh)")  # fmt: skip
    add("--digits", nargs="?", const="", metavar="MODEL",
        help="draw a digit: for a network that `tinynet train` saved, or one that is trained now")  # fmt: skip
    add("--lr", type=number(float), metavar="RATE", help="learning rate (default: 0.5; for an expression 0.1)")
    add("--seed", type=number(int), metavar="N", help="for initial weights and made points (default: 0)")
    add("--port", type=number(int), default=0, metavar="PORT", help="where the page is (default: a port that is free)")
    add("--open", action="store_true", help="open the page in a browser")
    return p


def run(args: argparse.Namespace) -> int:
    """Make what is played with, and serve it until Ctrl-C."""
    if args.port and not 1024 <= args.port <= 65535:
        raise UsageError(f"--port is from 1024 to 65535, or 0 for one that is free; got {args.port}.")
    if args.lr is not None and args.lr > FASTEST:
        raise UsageError(f"--lr is at most {FASTEST:g}; got {args.lr:g}.")
    if args.seed is not None and args.seed > LARGEST_SEED:
        raise UsageError(f"--seed is at most {LARGEST_SEED}; got {args.seed}.")
    serve(_session(args), args.port, args.open)
    return 0


def _session(args: argparse.Namespace) -> Session[Any]:
    kinds = {"an expression": args.expression, "--data": args.data, "--digits": args.digits}
    given = [kind for kind, what in kinds.items() if what is not None]
    if len(given) > 1:
        raise UsageError(f"there is one thing to play with at a time; got {' and '.join(given)}.")
    kind = given[0] if given else "--data"
    useless = {"an expression": "data n model activation seed", "--data": "", "--digits": "n model activation lr"}
    for option in useless[kind].split():
        if getattr(args, option) is not None:
            raise UsageError(f"--{option} says nothing about {kind}. Leave it out.")
    if kind == "an expression":
        return _expression(args)
    return _digits(args.digits, args.seed or 0) if kind == "--digits" else _points(args)


# --- an expression ----------------------------------------------------------------------------------------------------


def _expression(args: argparse.Namespace) -> ExpressionSession:
    numbers = read_variables(args.variables)
    for name in sorted(numbers.keys() - _names(args.expression)):
        print(f"tinynet play: note: {name} is given, and the expression does not use it.", file=sys.stderr)
    return ExpressionSession(args.expression, numbers, read, 0.1 if args.lr is None else args.lr)


def read(text: str, numbers: Mapping[str, float]) -> Value:
    """The result of an expression whose names stand for these numbers, and those without a number for 1.

    Raises:
        UsageError, DomainError: it cannot be read or computed.
    """
    names = _names(text)
    given = {name: x for name, x in numbers.items() if name in names}
    return Expression(text, dict.fromkeys(sorted(names), 1.0) | given).value()


def _names(text: str) -> set[str]:
    """The names that an expression uses without having made them; none where it cannot be read, which is told later."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(
                "\n".join(line.strip() for line in text.strip().splitlines()) if len(text) <= LONGEST else ""
            )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - made - FUNCTIONS.keys()


# --- points -----------------------------------------------------------------------------------------------------------


def _points(args: argparse.Namespace) -> PointsSession:
    layers, seed = args.model or (2, 8, 1), args.seed or 0
    hidden = layers[1:-1]
    if layers[0] != 2 or layers[-1] != 1 or len(hidden) > MOST_LAYERS or max(hidden, default=1) > MOST_UNITS:
        raise UsageError(
            f"points are two numbers, and the answer is one: --model begins with 2, ends with 1, and has at most "
            f"{MOST_LAYERS} layers of at most {MOST_UNITS} units between them, such as 2-4-4-1; got "
            f"{'-'.join(map(str, layers))}."
        )
    name = args.data or "moons"
    if name in DATA:
        n = args.n or 40
        if n > MOST_POINTS:
            raise UsageError(f"--n is at most {MOST_POINTS}: each point is drawn; got {n}.")
        made = DATA[name](n, seed)
        x, y = made.x, made.y
    else:
        if args.n is not None:
            raise UsageError("--n is for points that are made; a file has as many as it has. Leave it out.")
        if not os.path.exists(name) and (hint := did_you_mean(name, DATA)) != ".":
            raise UsageError(f"there is no file {name}, and no data set of that name{hint}")
        x, y = read_points(name)  # type: ignore[assignment]
    return PointsSession(
        x, y, hidden, args.activation or "tanh", ACTIVATIONS, seed, RATE if args.lr is None else args.lr
    )


# --- digits -----------------------------------------------------------------------------------------------------------


def _digits(path: str, seed: int) -> DigitsSession:
    train, test = data.digits()
    if path:
        recipe, model = open_model(path)
        if recipe.sizes[0] != 784 or recipe.classes is None or recipe.sizes[-1] != len(recipe.classes):
            raise UsageError(
                f"{path} cannot be drawn for: it takes {recipe.sizes[0]} numbers, not the 784 pixels of a digit, or "
                "gives no number for each class. `tinynet train` makes one that can."
            )
        if len(recipe.classes) < len(test.classes or ()):
            raise UsageError(f"{path} knows {len(recipe.classes)} classes, and there are 10 digits to draw.")
        return DigitsSession(model, recipe.cost(), recipe.classes, test)
    print("Training 784-16-16-10 on the digits that come with tinynet …", end=" ", flush=True)
    began = time.perf_counter()
    model, accuracy = trained(train, test, seed)
    print(f"{accuracy:.1%} of {len(test):,} test digits, after {time.perf_counter() - began:.1f} s.", flush=True)
    return DigitsSession(model, nn.CrossEntropyLoss(), test.classes or (), test)


def trained(train: data.Dataset, test: data.Dataset, seed: int) -> tuple[nn.Sequential, float]:
    """The network of 784-16-16-10 sigmoid units, trained; and its accuracy on the test set.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    manual_seed(seed)
    model = nn.Sequential(nn.Linear(784, 16), nn.Sigmoid(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 10)).to(
        "numpy"
    )
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(lr=5e-3), metrics=["accuracy"], threads=1)
    if trainer.fit(train, epochs=8, batch_size=20, seed=seed, progress=False).stopped == "interrupted":
        raise KeyboardInterrupt  # a network half trained would be served as if it were whole
    return model, trainer.evaluate(test)["accuracy"]
