"""``tinynet tasks``: small worked models, trained while you watch and measured against a baseline."""

import argparse
import importlib
import sys

from tinynet.cli.engine import choose, device
from tinynet.cli.parser import Parser, add_backend, choice, number
from tinynet.files import ready_folder, write_bytes
from tinynet.registry import use_backend
from tinynet.tasks import TASKS, Result

DONE, FAILED, INTERRUPTED = 0, 1, 130
EXAMPLE = """\
  tinynet tasks                              the list
  tinynet tasks detection                    one digit found in a scene; the picture is in runs/tasks/detection.png
  tinynet tasks all --quick                  every one, in a few seconds each"""


def parser() -> Parser:
    """The options."""
    p = Parser(
        "tasks",
        "[NAME | all] [options]",
        "List the tasks, or run one: train its model from nothing, measure it and its baseline on new data, and draw\n"
        "what it predicts. Each is one file of tinynet/tasks/, to be read and copied.",
        EXAMPLE,
    )
    p.add_argument(
        "task", nargs="?", type=choice("task", [*TASKS, "all"]), metavar="NAME", help=f"{', '.join(TASKS)}; all"
    )
    p.add_argument("--quick", action="store_true", help="less data and fewer epochs: a few seconds, and worse numbers")
    p.add_argument("--seed", type=number(int), default=0, metavar="N", help="of data, weights and order (default: 0)")
    add_backend(p)
    p.add_argument("--out", default="runs/tasks", metavar="DIR", help="where the pictures go (default: runs/tasks)")
    p.add_argument("--quiet", action="store_true", help="show the results only")
    return p


def run(args: argparse.Namespace) -> int:
    """The list, or the results of one task or of all."""
    if args.task is None:
        wide = max(map(len, TASKS))
        print("\n".join(f"{name:<{wide}}  {what}" for name, what in TASKS.items()))
        print("\n`tinynet tasks NAME` trains one, `tinynet tasks all` every one; with --quick in a few seconds each.")
        return DONE
    backend, why = choose(args.backend)
    folder = ready_folder(args.out)
    if not args.quiet:
        print(f"{backend.name} on {device(backend)}" + (f" ({why})" if why else ""))
    for name in TASKS if args.task == "all" else [args.task]:
        print(f"\n{name}: {TASKS[name]}\n")
        task = importlib.import_module(f"tinynet.tasks.{name}")
        with use_backend(backend):
            result: Result = task.run(args.quick, args.seed, not args.quiet)
        print(result if args.quiet else f"\n{result}")
        print(f"picture: {write_bytes(folder / f'{name}.png', result.picture())}")
        if result.history.stopped == "interrupted":
            print("tinynet: interrupted; the numbers are of the training so far.", file=sys.stderr)
            return INTERRUPTED
        if result.history.stopped != "epochs":
            print(f"tinynet: training ended early: {result.history.stopped}.", file=sys.stderr)
            return FAILED
    return DONE
