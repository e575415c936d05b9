"""``tinynet explain``: backpropagation through an expression, every step in words and numbers."""

import argparse
import re
import sys
from typing import Any

from tinynet.cli.expressions import Expression
from tinynet.cli.parser import Parser, UsageError, number
from tinynet.cli.stepping import step_through
from tinynet.explain import explain
from tinynet.explain.trace import Trace
from tinynet.explain.words import LEAVES

EXAMPLE = """\
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3
  tinynet explain "c = a*b; d = c + 10; d.tanh()" a=2 b=-3 --save backprop.html
  tinynet explain "max(0, 1 - y*(w*x + b))" y=1 w=0.5 x=2 b=-1
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3 --step
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3 --predict"""


class _ExplainParser(Parser):
    """An expression may begin with a minus sign, which argparse would take for an option."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        return super().parse_args([f" {w}" if re.match(r"-(?!-|h$)", w) else w for w in args or []], namespace)


def parser() -> Parser:
    """The options."""
    p = _ExplainParser(
        "explain",
        "EXPRESSION [NAME=NUMBER ...] [options]",
        "Show backpropagation through an expression: what each step computes, and how the gradient comes back.\n"
        "There are + - * / **, tanh sigmoid relu leaky_relu softplus exp log sqrt sin cos erf abs, max and min of\n"
        "two, and steps with names of their own: c = a*b; c + 10.",
        EXAMPLE,
    )
    p.add_argument("expression", metavar="EXPRESSION", help="in quotes; steps are separated by ;")
    p.add_argument("variables", nargs="*", metavar="NAME=NUMBER", help="what its names stand for")
    p.add_argument(
        "--save",
        action="append",
        default=[],
        metavar="PATH",
        help="write it as .html, .svg, .dot, .mmd, .md or .txt as well; may be given several times",
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
    p.add_argument("--limit", type=number(int, 1), default=200, metavar="N", help="tell at most N steps (default: 200)")
    return p


def run(args: argparse.Namespace) -> int:
    """Compute, explain, save."""
    expression = Expression(args.expression, _variables(args.variables))
    result = expression.value()
    for name in sorted(expression.given - expression.used):
        print(f"tinynet explain: note: {name} is given, and the expression does not use it.", file=sys.stderr)
    explanation = explain(result, limit=args.limit)
    if args.step or args.predict:
        leaves = LEAVES + str(explanation).rpartition(f"\n{LEAVES}")[2]
        step_through(Trace(explanation.nodes, explanation.steps), leaves, args.predict)
    else:
        print(explanation)
    for path in args.save:
        print(f"Saved {explanation.save(path)}.")
    return 0


def _variables(words: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for word in words:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not name.isidentifier():
            raise UsageError(
                f"after the expression come numbers for its names, such as a=2; got {word!r}. Is the expression in "
                "quotes?"
            )
        if name in found:
            raise UsageError(f"{name} is given twice. Give it once.")
        try:
            found[name] = float(text)
        except ValueError:
            raise UsageError(f"{name}= takes a number, such as {name}=2; got {text!r}.") from None
        if abs(found[name]) == float("inf") or found[name] != found[name]:
            raise UsageError(f"{name}= takes a finite number; got {text!r}.")
    return found
