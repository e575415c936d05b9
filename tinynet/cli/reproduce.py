"""``tinynet reproduce``: published results, run again."""

import argparse
import time
from pathlib import Path

from tinynet.cli.engine import choose, device
from tinynet.cli.parser import Parser, UsageError, add_backend, add_data_dir, number
from tinynet.errors import did_you_mean
from tinynet.files import ready_folder
from tinynet.registry import use_backend
from tinynet.reproduce import RESULTS, Effort
from tinynet.reproduce.book import Book, Reached, duration

DIFFERENT = 3
EXAMPLE = """\
  tinynet reproduce                           what there is: published, reached so far, how long it takes
  tinynet reproduce nielsen-regularised       one of them, in full
  tinynet reproduce micrograd makemore-mlp
  tinynet reproduce all --quick               each in a minute at most, against an expectation of its own"""


def parser() -> Parser:
    """The options."""
    p = Parser(
        "reproduce",
        "[NAME …] [options]",
        "List published results, or run some of them and print what is reached beside the published figure. Each run\n"
        "is kept in reproduce.json and reproduce.md. Exit code 3 when one stays below what is expected of it.",
        EXAMPLE,
    )
    p.add_argument("names", nargs="*", metavar="NAME", help="which to run, or all; without a name they are listed")
    p.add_argument("--quick", action="store_true", help="a short run with an expectation of its own")
    p.add_argument("--seed", type=number(int), default=0, metavar="N", help="of all that is drawn (default: 0)")
    p.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (default: runs)")
    p.add_argument("--quiet", action="store_true", help="no progress")
    add_backend(p)
    add_data_dir(p)
    return p


def run(args: argparse.Namespace) -> int:
    """List, or run what is asked for."""
    book = Book(args.out)
    if not args.names:
        _list(book)
        return 0
    names = list(RESULTS) if "all" in args.names else args.names
    for name in names:
        if name not in RESULTS:
            raise UsageError(
                f"there is no result {name!r}{did_you_mean(name, RESULTS)} Choose from {', '.join(RESULTS)}, or all."
            )
    backend, why = choose(args.backend)
    ready_folder(args.out)
    print(f"{backend.name} on {device(backend)}" + (f" ({why})" if why else ""))
    code = 0
    for name in names:
        result = RESULTS[name]
        expected = result.minutes_quick if args.quick else result.minutes
        print(f"{name}: {result.source}: {result.setting}. About {duration(60 * expected)}.", flush=True)
        began = time.perf_counter()
        effort = Effort(args.quick, args.seed, args.data_dir, progress=not args.quiet)
        with use_backend(backend):
            figure = result.run(effort)
        reached = Reached(name, figure, args.quick, args.seed, time.perf_counter() - began, backend.name)
        book.add(reached, RESULTS)
        good = result.good(reached.reached, args.quick)
        code = code if good else DIFFERENT
        wanted = result.words(result.expect_quick if args.quick else result.expect)
        print(
            f"published {result.figure or 'no figure'} | reached {result.words(reached.reached)} | {reached.command}\n"
            f"{duration(reached.seconds)}; a {'quick' if args.quick else 'full'} run is expected to reach {wanted}: "
            f"{'it does' if good else 'it does NOT'}."
        )
    print(f"Kept in {args.out / 'reproduce.md'}.")
    return code


def _list(book: Book) -> None:
    """Every result in a line: name, published figure, what was reached here, how long it takes."""
    rows: list[tuple[str, ...]] = [("name", "published", "reached", "takes", "quick")]
    for name, result in RESULTS.items():
        full, quick = (book.runs.get((name, kind)) for kind in (False, True))
        reached = (
            result.words(full.reached) if full else f"{result.words(quick.reached)} (quick)" if quick else "not run"
        )
        times = [duration(60 * minutes) for minutes in (result.minutes, result.minutes_quick)]
        rows.append((name, result.figure or "no figure", reached, *times))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip())
    print("\n`tinynet reproduce NAME` runs one in full, --quick in a minute at most; what was trained:")
    for name, result in RESULTS.items():
        print(f"  {name:<{widths[0]}}  {result.source}: {result.setting}")
