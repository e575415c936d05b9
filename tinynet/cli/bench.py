"""``tinynet bench``: how long a training step takes, here and with other libraries."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from tinynet import registry
from tinynet.bench.ahead import batch_size, batches, prepared
from tinynet.bench.compare import comparison, load, not_compared, other_machine
from tinynet.bench.contenders import CONTENDERS, PEER_WORDS, Contender, present_or_not
from tinynet.bench.contest import Contest
from tinynet.bench.crossover import crossovers
from tinynet.bench.process import PATIENCE
from tinynet.bench.result import SAME_LOSS, Result, written
from tinynet.bench.terminal import Table
from tinynet.bench.workload import Workload
from tinynet.bench.workloads import NAMED, QUICK, read
from tinynet.cli.parser import Parser, UsageError, choice, number
from tinynet.errors import ArgumentError, BackendUnavailable, did_you_mean
from tinynet.files import ready_folder, write_bytes

DONE, BROKEN, INTERRUPTED = 0, 3, 130
DEFAULT = [name for name in NAMED if name != "moons"]
EXAMPLE = """\
  tinynet bench                                            numpy beside every library that is installed, minutes
  tinynet bench --peers torch,jax --report bench.html
  tinynet bench --workloads mlp-512@64,lstm:65-32-256x64@32 --peers torch
  tinynet bench --backends scalar --peers micrograd --workloads moons
  tinynet bench --backends cupy --peers torch,jax          on a GPU, beside PyTorch and JAX on the same card
  tinynet bench --json new.json --compare old.json         what has moved since
  tinynet bench --read new.json --report new.html          its table and its page again, nothing is measured
  tinynet bench --quick                                    every family, tiny, in seconds

workloads: {named}
  FAMILY:SIZES@BATCH or FAMILY:SIZESxLENGTH@BATCH has other sizes, NAME@BATCH another batch:
  mlp:784-256-10@128             units of each layer
  cnn:28-20-40-100-10@64         image side, channels of two 5×5 convolutions, dense units, classes
  rnn:65-32-128x64@32, lstm:…    vocabulary, embedding, hidden units; steps
  gpt:65-128-4-4x64@12           vocabulary, width, heads, layers; context
  names:27-10-200x3@32           vocabulary, embedding, tanh units; characters
  moons:16-16@100                hidden units of micrograd's demo"""


def parser() -> Parser:
    """The options."""
    p = Parser(
        "bench",
        "[options]",
        "Time a training step (forward, loss, backward, plain SGD, float32) of each workload, on tinynet's backends\n"
        "and with other libraries. Each has a process of its own, and they take turns; the figures are medians of up\n"
        "to 11 rounds. Imports and first calls are told apart. Exit code 3 when a step of tinynet failed.",
        EXAMPLE.format(named=", ".join(NAMED)),
    )
    p.add_argument(
        "--backends",
        default="numpy",
        metavar="A,B",
        help="scalar, numpy, cupy; peers compute where the first one does, on the CPU or on a GPU (default: numpy)",
    )
    p.add_argument(
        "--peers",
        metavar="A,B",
        help=f"{', '.join(PEER_WORDS)}, or alone all or none (default: the installed ones; with --quick none)",
    )
    p.add_argument(
        "--precision",
        type=choice("precision", list(SAME_LOSS)),
        default="float32",
        metavar="P",
        help="how everyone on a GPU multiplies float32: float32 or tf32 (default: float32)",
    )
    p.add_argument("--workloads", metavar="A,B", help="names or sizes, see below (default: all but moons)")
    p.add_argument(
        "--seconds", type=number(float, above=True), metavar="S",
        help="of measuring a workload, imports and first calls on top (default: 10; with --quick 0.1)",
    )  # fmt: skip
    p.add_argument(
        "--patience", type=number(float, above=True), default=PATIENCE, metavar="S",
        help=f"the longest that an import and a first call may take (default: {PATIENCE:.0f})",
    )  # fmt: skip
    p.add_argument(
        "--crossovers", action=argparse.BooleanOptionalAction,
        help="measure from which batch and width on one backend overtakes another (default: yes; with --quick no)",
    )  # fmt: skip
    p.add_argument("--quick", action="store_true", help="tiny sizes, a smoke run: its figures mean nothing")
    p.add_argument("--report", type=Path, metavar="PATH", help="write a page with pictures (.html)")
    p.add_argument("--json", type=Path, metavar="PATH", help="write every figure as JSON, for --compare")
    p.add_argument("--markdown", type=Path, metavar="PATH", help="write the table as Markdown")
    p.add_argument(
        "--compare", type=Path, metavar="OLD", help="say what has moved since the run that --json wrote there"
    )
    p.add_argument(
        "--read", type=Path, metavar="FILE",
        help="measure nothing: print the table of the run that --json wrote there, for a README",
    )  # fmt: skip
    p.add_argument("--quiet", action="store_true", help="no progress")
    return p


def run(args: argparse.Namespace) -> int:
    """Measure, print a row a workload, and write what was asked for."""
    _check_paths(args)
    if args.read:
        return _read(args)
    workloads = _workloads(args)
    contenders = present_or_not(_contenders(args))
    old = load(args.compare) if args.compare else None
    present = [c for c, why in contenders if why is None]
    if not present:
        reasons = "; ".join(f"{c.name}: {why}" for c, why in contenders)
        raise BackendUnavailable(f"nobody who was asked for can take part here: {reasons}")
    seconds = args.seconds or (0.1 if args.quick else 10.0)
    say = _progress(args.quiet)
    say("matrix products")
    command = shlex.join(["tinynet", "bench", *args.words])
    result = Result(command, contenders, 0.1 if args.quick else 1.0, args.precision)
    if old and (lines := other_machine(old["machine"], result.machine)):
        print(not_compared(lines), flush=True)
        old = None
    for c, why in contenders:
        if why is not None:
            print(f"absent: {c.name}: {why}")
    table = Table(present)
    print(table.head(), flush=True)
    interrupted = False
    try:
        contests = [Contest(workload, present, seconds, say, args.precision, args.patience) for workload in workloads]
        on_gpu = _device(args) == "gpu"
        for batch in batches(contests, _at_once(present, result) if on_gpu else 1):
            with prepared(batch, together=on_gpu):
                for contest in batch:
                    try:
                        contest.measure()
                    finally:
                        say("")
                        for line in table.lines(result.add(contest.workload, contest.entries)):
                            print(line, flush=True)
                        _keep(args, result)
        if args.crossovers or (args.crossovers is None and not args.quick):
            _crossovers(args, result, seconds, say)
        say("matrix products")
        result.measure_again()
        say("")
    except KeyboardInterrupt:
        interrupted = True
        say("")
    found = result.finish(interrupted)
    _write(args, found)
    if old:
        print(comparison(old, found))
    if interrupted:
        print("tinynet: interrupted; what was measured so far is kept.", file=sys.stderr)
        return INTERRUPTED
    return BROKEN if result.broken() else DONE


def _read(args: argparse.Namespace) -> int:
    """The table of a run that was measured before, and its files anew."""
    from tinynet.bench import report

    found = load(args.read)
    print(report.summary_table(found), end="")
    _write(args, found)
    return DONE


def _workloads(args: argparse.Namespace) -> list[Workload]:
    names = args.workloads.split(",") if args.workloads else list(QUICK) if args.quick else DEFAULT
    try:
        return [read(name.strip()) for name in names]
    except ArgumentError as error:
        raise UsageError(str(error)) from None


def _contenders(args: argparse.Namespace) -> list[Contender]:
    """Who was asked for: the backends in the order of the command line, the floor under numpy, the peers."""
    peers = args.peers or ("none" if args.quick else "all")
    asked = [word.strip() for word in args.backends.split(",")]
    others = [word.strip() for word in peers.split(",")]
    if len(others) > 1 and (alone := {"all", "none"} & set(others)):
        raise UsageError(f"--peers {peers}: {min(alone)!r} stands alone; leave it out, or the others.")
    device = _device(args)
    there = [c for c in CONTENDERS if c.role == "peer" and c.device == device]
    able = {word for c in there for word in c.words}
    others = sorted(able) if others == ["all"] else [] if others == ["none"] else others
    for what, words, known in (("backend", asked, list(registry.BUILT_IN)), ("peer", others, PEER_WORDS)):
        for word in words:
            if word not in known:
                raise UsageError(
                    f"there is no {what} {word!r}{did_you_mean(word, known)} Choose from {', '.join(known)}."
                )
    if unable := [word for word in others if word not in able]:
        raise UsageError(
            f"--peers {unable[0]} has no step on the {device.upper()}, where the first of --backends, {asked[0]}, "
            f"computes. Choose from {', '.join(sorted(able))}, or name another backend first."
        )
    if args.precision != "float32" and device != "gpu":
        raise UsageError(f"--precision {args.precision} is for a GPU: name cupy first, --backends cupy.")
    if "numpy" in asked and device == "cpu":
        asked.append("floor")
    found = [c for c in CONTENDERS if c.role != "peer" and {*c.words} & {*asked}]
    found += [c for c in there if {*c.words} & {*others}]
    return sorted(found, key=lambda c: len(asked) if c.role == "peer" else asked.index(c.words[0]))


def _device(args: argparse.Namespace) -> str:
    """Where the first backend that was asked for computes, and so the peers."""
    first = args.backends.partition(",")[0].strip()
    return next((c.device for c in CONTENDERS if c.role == "tinynet" and first in c.words), "cpu")


def _at_once(present: list[Contender], result: Result) -> int:
    """How many workloads are prepared together on the card."""
    return batch_size(len(present), result.machine["cores"], (result.machine["gpu"] or {}).get("memory_gb", 0.0))


def _check_paths(args: argparse.Namespace) -> None:
    paths = [path for path in (args.report, args.json, args.markdown) if path]
    for i, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:i]]:
            raise UsageError(f"two of --report, --json and --markdown name {path}; give each a file of its own.")
        _ready(path)


def _ready(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it.")
    ready_folder(path.parent)


def _keep(args: argparse.Namespace, result: Result) -> None:
    """Write what was measured so far, lest a run that is killed leave nothing."""
    if args.json:
        write_bytes(args.json, written(result.finish(interrupted=True)))


def _write(args: argparse.Namespace, found: dict[str, Any]) -> None:
    from tinynet.bench import report

    if args.json:
        print(f"Saved {write_bytes(args.json, written(found))}.")
    if args.markdown:
        print(f"Saved {write_bytes(args.markdown, report.markdown(found).encode())}.")
    if args.report:
        print(f"Saved {write_bytes(args.report, report.page(found).encode())}.")


def _progress(quiet: bool) -> Any:
    """What is being done, on one line of a terminal; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        return lambda text: None
    return lambda text: print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _crossovers(args: argparse.Namespace, result: Result, seconds: float, say: Any) -> None:
    """The curves of the backends that were asked for, and of the two that run everywhere."""
    asked = {"scalar", "numpy", *args.backends.split(",")}
    usable = [name for name, answer in registry.backends().items() if answer.usable and name in asked]
    result.all["crossovers"] = crossovers(seconds, usable, say, most=4 if args.quick else None)
    say("")
    for sweep in result.all["crossovers"]:
        for found in sweep["overtakes"]:
            print(f"{sweep['of']}: {found['words']}", flush=True)
