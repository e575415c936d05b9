"""The argument parser of every command: argparse, with errors that say what was meant.

Separate because all commands share it. Must not know any command.
"""

import argparse
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from tinynet.errors import ArgumentError, did_you_mean


class UsageError(ArgumentError):
    """The command line asks for something that cannot be; exit code 2."""


class Parser(argparse.ArgumentParser):
    """The parser of one command.

    Args:
        command: its name.
        usage: what follows it, in short.
        description: what it does.
        example: command lines that work, shown in its help.
    """

    def __init__(self, command: str, usage: str, description: str, example: str) -> None:
        super().__init__(
            prog=f"tinynet {command}",
            usage=f"tinynet {command} {usage}",
            description=description,
            epilog=f"example:\n{example}",
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=110),
            allow_abbrev=False,
        )
        self.add_argument("--traceback", action="store_true", help="show where an error came from")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, with a word on what an unknown option may have meant.

        The result also holds the parser and the words, for a command that must read them again.
        """
        options = [option for action in self._actions for option in action.option_strings]
        words = itertools.takewhile(lambda word: word != "--", args or [])
        found, unknown = None, [w for w in words if w.startswith("--") and w.partition("=")[0] not in options]
        if not unknown:  # argparse would complain of an unknown option's value instead
            found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].partition("=")[0]
            what = "option" if word.startswith("-") else "place for"
            raise UsageError(f"there is no {what} {word}{did_you_mean(word, options)}")
        assert found is not None
        found.parser, found.words = self, args
        return found

    def error(self, message: str) -> NoReturn:
        """Wrong usage: no wall of options, the one sentence that helps."""
        raise UsageError(f"{message}.")


def choice(what: str, names: Sequence[str]) -> Callable[[str], str]:
    """A type for ``add_argument``: one of these names."""

    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"there is no {what} {text!r}{did_you_mean(text, names)} Choose from {', '.join(names)}"
            )
        return text

    return read


def number(kind: type, low: float = 0.0, above: bool = False) -> Callable[[str], Any]:
    """A type for ``add_argument``: a whole number or a float of at least ``low``, or above it."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            sort = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"it takes {sort}; got {text!r}") from None
        if not (value > low if above else value >= low) or value == float("inf"):
            raise argparse.ArgumentTypeError(f"it must be {'above' if above else 'at least'} {low:g}; got {text}")
        return value

    return read


def sizes(text: str) -> tuple[int, ...]:
    """A type for ``add_argument``: the units of each layer, 784-30-10."""
    if not re.fullmatch(r"[1-9]\d{0,6}(-[1-9]\d{0,6})+", text):
        raise argparse.ArgumentTypeError(f"it takes the units of each layer, such as 784-30-10; got {text!r}")
    return tuple(map(int, text.split("-")))


def part(text: str) -> float | int | str:
    """A type for ``add_argument``: a fraction, a number of examples, or ``test``."""
    if text == "test" or (text.isdecimal() and int(text) > 0):
        return text if text == "test" else int(text)
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction < 1:
        raise argparse.ArgumentTypeError(
            f"it takes a fraction such as 0.1, a number of examples such as 1000, or test; got {text!r}"
        )
    return fraction


def add_backend(to: Any) -> None:
    """The option that chooses an engine."""
    to.add_argument(
        "--backend",
        default="auto",
        metavar="NAME",
        help="scalar, numpy, cupy or another engine; auto takes the fastest that runs here (default: auto)",
    )


def add_data_dir(to: Any) -> None:
    """The option that says where files lie."""
    to.add_argument(
        "--data-dir",
        metavar="DIR",
        help="where the data files lie (default: $TINYNET_DATA, then the cache)",
    )
