"""The argument parser of every command: argparse, with errors that say what was meant.

Separate because all commands share it. Must not know any command.
"""

import argparse
import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from tinynet.errors import ArgumentError


class UsageError(ArgumentError):
    """The command line asks for something that cannot be; exit code 2."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is not among ``known``: the nearest one, if one is near."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.55)
    return f". Did you mean {near[0]}?" if near else "."


class Parser(argparse.ArgumentParser):
    """The parser of one command.

    Args:
        command: its name.
        description: what it does.
        example: command lines that work, shown in its help.
    """

    def __init__(self, command: str, description: str, example: str) -> None:
        super().__init__(
            prog=f"tinynet {command}",
            description=description,
            epilog=f"example:\n{example}",
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=110),
            allow_abbrev=False,
        )
        self.add_argument("--traceback", action="store_true", help="show where an error came from")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, with a word on what an unknown option may have meant."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            options = [o for action in self._actions for o in action.option_strings]
            word = unknown[0].partition("=")[0]
            what = "option" if word.startswith("-") else "place for"
            raise UsageError(f"there is no {what} {word}{did_you_mean(word, options)}")
        return found

    def error(self, message: str) -> NoReturn:
        """Wrong usage: no wall of options, the one sentence that helps."""
        raise UsageError(f"{message}.")


def choice(what: str, names: Sequence[str]) -> Callable[[str], str]:
    """A type for ``add_argument``: one of these names."""

    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"there is no {what} {text!r}{did_you_mean(text, names)} Choose from {', '.join(names)}")
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
