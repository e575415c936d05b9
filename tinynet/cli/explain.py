"""``tinynet explain``: backpropagation through an expression or a network, every step in words and numbers."""

import argparse
import itertools
import sys
import webbrowser
from pathlib import Path

from tinynet.cli.expressions import Expression, ExpressionParser, read_variables
from tinynet.cli.parser import Parser, UsageError, number
from tinynet.cli.stepping import step_through
from tinynet.explain import Explanation, explain
from tinynet.explain.displays import check_ending
from tinynet.explain.words import leaves

EXAMPLE = """\
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3
  tinynet explain "c = a*b; d = c + 10; d.tanh()" a=2 b=-3 --save backprop.html
  tinynet explain "max(0, 1 - y*(w*x + b))" y=1 w=0.5 x=2 b=-1
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3 --open
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3 --step
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3 --predict
  tinynet explain --model 2-3-1 --train-steps 20 --open
  tinynet explain --model 784-16-16-10 --example 3 --open"""


def parser() -> Parser:
    """The options."""
    p = ExpressionParser(
        "explain",
        "EXPRESSION [NAME=NUMBER ...] | --model SIZES|FILE [options]",
        "Show backpropagation through an expression or a network: what each step computes, and how the gradient\n"
        "comes back.\n"
        "There are + - * / **, tanh sigmoid relu leaky_relu softplus exp log sqrt sin cos erf abs, max and min of\n"
        "two, and steps with names of their own: c = a*b; c + 10.",
        EXAMPLE,
    )
    p.add_argument("expression", nargs="?", metavar="EXPRESSION", help="in quotes; steps are separated by ;")
    p.add_argument("variables", nargs="*", metavar="NAME=NUMBER", help="what its names stand for")
    p.add_argument(
        "--save",
        action="append",
        default=[],
        metavar="PATH",
        help="write it as well: .html to walk through, .svg, .md, .txt, .dot, .mmd, .json, .py (as code), .tex",
    )
    p.add_argument(
        "--open",
        action="store_true",
        help="save the page on which to walk through it in this folder, and show it in a browser",
    )
    p.add_argument(
        "--step",
        action="store_true",
        help="walk through it by keys: each value, then each gradient; through a pipe, by lines",
    )
    p.add_argument(
        "--predict",
        action="store_true",
        help="the same, and work out each gradient that is handed on before it is shown",
    )
    net = p.add_argument_group("a network")
    net.add_argument("--model", metavar="SIZES|FILE", help="784-16-16-10, or a file that `tinynet train` saved")
    net.add_argument("--dataset", metavar="NAME", help="whose training examples it looks at (default: one that fits)")
    net.add_argument("--example", type=number(int), metavar="K", help="which one (default: 0)")
    net.add_argument("--examples", type=number(int, 1), metavar="N", help="how many, from there (default: 1)")
    net.add_argument("--train-steps", type=number(int), metavar="N", help="N training steps, as frames (default: 0)")
    net.add_argument("--lr", type=number(float), metavar="RATE", help="of those steps (default: 0.5)")
    net.add_argument("--activation", metavar="NAME", help="sigmoid, tanh, relu … (default: sigmoid)")
    net.add_argument("--seed", type=number(int), metavar="N", help="of the initial weights (default: 0)")
    p.add_argument("--limit", type=number(int, 1), default=200, metavar="N", help="tell at most N steps (default: 200)")
    return p


def run(args: argparse.Namespace) -> int:
    """Compute, explain, save, open."""
    if args.expression is None and args.model is None:
        raise UsageError('what is to be explained? An expression, "a*b + 10" a=2 b=-3, or --model 784-16-16-10.')
    if (args.step or args.predict) and args.train_steps:
        raise UsageError("keys walk through one run: leave out --train-steps, or look at them with --open.")
    for path in args.save:
        check_ending(Path(path), Explanation.endings)
    explanation = _expression(args) if args.model is None else _network(args)
    if args.step or args.predict:
        step_through(explanation.walk, leaves(explanation.story), args.predict)
    elif not args.open:
        print(explanation)
    saved = [explanation.save(path) for path in args.save]
    for path in saved:
        print(f"Saved {path}.")
    if args.open:
        pages = [path for path in saved if path.suffix.lower() == ".html"]
        _open(pages[0] if pages else explanation.save(_free_name()))
    return 0


def _expression(args: argparse.Namespace) -> Explanation:
    for option in ("dataset", "example", "examples", "train_steps", "activation", "lr", "seed"):
        if getattr(args, option) is not None:
            raise UsageError(f"--{option.replace('_', '-')} is for a network: give --model too, or leave it out.")
    expression = Expression(args.expression, read_variables(args.variables))
    result = expression.value()
    for name in sorted(expression.given - expression.used):
        print(f"tinynet explain: note: {name} is given, and the expression does not use it.", file=sys.stderr)
    return explain(result, limit=args.limit)


def _network(args: argparse.Namespace) -> Explanation:
    if args.expression is not None:
        raise UsageError(f"there is one thing to explain at a time; got {args.expression!r:.40} and --model.")
    from tinynet.cli.explained_model import explained_model  # NumPy and the data sets, which an expression does without

    return explained_model(args)


def _free_name() -> Path:
    """A page in this folder, where every browser may read: backprop.html, or backprop-2.html where that is taken."""
    names = (Path("backprop.html" if k == 1 else f"backprop-{k}.html") for k in itertools.count(1))
    return next(path for path in names if not path.exists())


def _open(page: Path) -> None:
    """Show a page in a browser; where there is none, say so. Either way say where it lies."""
    shown = webbrowser.open(page.resolve().as_uri())
    print(f"{'Opened' if shown else 'No browser was found here. Open'} {page.resolve().as_uri()}")
