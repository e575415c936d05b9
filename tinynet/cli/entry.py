"""Where every command begins and ends: finding it, running it, and turning errors into messages and exit codes.

Must not import anything of the engine: that is for the command's own file.
"""

import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence

from tinynet import __version__
from tinynet.cli.parser import Parser, UsageError
from tinynet.errors import TinynetError, did_you_mean

COMMANDS = {
    "train": "train a network and save it",
    "evaluate": "measure a saved network on a test set, class by class",
    "predict": "ask a saved network about one picture or one test example",
    "explain": "show backpropagation through an expression, step by step",
    "learn": "lessons: predict, run, see and change an experiment on the engine",
    "play": "edit numbers on a live page, and see backpropagation computed anew",
    "parity": "run one network on several backends and compare every gradient",
    "reproduce": "run published results again, and print published | reached | command",
    "tasks": "small worked models: boxes, outlines, steering, text, forecasts",
    "bench": "time a training step, beside other libraries",
    "data": "list the data sets, or show one",
    "backends": "list the engines, and say which can run here",
}
DONE, FAILED, USAGE, DIFFERENT, INTERRUPTED = 0, 1, 2, 3, 130

HELP = """\
usage: tinynet COMMAND [options]

A neural-network engine you can read in an evening and still train with.

commands:
{commands}

  tinynet COMMAND --help       what a command does, with an example and its defaults
  tinynet --version            the version

start here:
  tinynet train                                        a network that reads digits, in seconds
  tinynet explain "(a*b + 10).tanh()" a=2 b=-3         backpropagation, every step in numbers

exit codes: 0 done · 1 an error, told on stderr (--traceback shows where) · 2 wrong usage ·
            3 the check failed (parity, reproduce) · 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Without arguments it takes those of the process."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--traceback"]:
        words = [*words[1:2], "--traceback", *words[2:]]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without λ and █ shows ? instead of an error
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse leaves in this way, after --help and after wrong usage
        return stop.code if isinstance(stop.code, int) else DONE
    except UsageError as error:
        command = f" {words[0]}" if words and words[0] in COMMANDS else ""
        return _say(words, error, f"tinynet{command}: {error}\n`tinynet{command} --help` shows every option.", USAGE)
    except BrokenPipeError:  # `tinynet data | head`: whoever was reading has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (TinynetError, OSError) as error:
        return _say(words, error, f"tinynet: {error}", FAILED)
    except KeyboardInterrupt:
        print("\ntinynet: interrupted.", file=sys.stderr)
        return INTERRUPTED


def _dispatch(words: list[str]) -> int:
    commands = "\n".join(f"  {name:<10} {what}" for name, what in COMMANDS.items())
    if not words:
        print(HELP.format(commands=commands), end="", file=sys.stderr)
        return USAGE
    name, *rest = words
    if name in ("--help", "-h", "help"):
        if rest and rest[0] in COMMANDS:
            return _dispatch([rest[0], "--help"])
        print(HELP.format(commands=commands), end="")
        return DONE
    if name in ("--version", "-V"):
        print(f"tinynet {__version__}")
        return DONE
    if name.startswith("-"):
        raise UsageError(f"there is no option {name}{did_you_mean(name, ['--help', '--version'])}")
    if name not in COMMANDS:
        raise UsageError(
            f"there is no command {name!r}{did_you_mean(name, COMMANDS)} Choose from {', '.join(COMMANDS)}."
        )
    command = importlib.import_module(f"tinynet.cli.{name}")
    parser: Parser = command.parser()
    return int(command.run(parser.parse_args(rest)))


def _say(words: list[str], error: BaseException, message: str, code: int) -> int:
    if "--traceback" in words:
        traceback.print_exception(error)
    sys.stdout.flush()
    print(message, file=sys.stderr)
    return code
