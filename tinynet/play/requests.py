"""A request as a session reads it: each field looked at before it is used, with an error that says what is wanted.

Separate because all sessions read in this way. Must not know what any of them does with it.
"""

import math
from collections.abc import Mapping
from typing import Any

from tinynet.errors import ArgumentError


class Request:
    """What was asked for.

    Every method raises ``ArgumentError`` where a field is missing, or is not of the kind that it reads.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields

    def get(self, name: str, otherwise: Any = None) -> Any:
        """A field as it is, or ``otherwise`` where it is missing."""
        return self.fields.get(name, otherwise)

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number from ``low`` to ``high``."""
        return number(self.fields.get(name), f'"{name}"', low, high)

    def numbers(self, name: str, count: int, low: float = -math.inf, high: float = math.inf) -> list[float]:
        """A list of so many finite numbers."""
        given = self.fields.get(name)
        if not isinstance(given, list) or len(given) != count:
            raise self._wrong(name, f"a list of {count} numbers")
        return [number(x, f'"{name}"[{i}]', low, high) for i, x in enumerate(given)]

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        return whole(self.fields.get(name), f'"{name}"', low, high)

    def wholes(self, name: str, most: int, low: int, high: int) -> tuple[int, ...]:
        """A list of at most so many whole numbers."""
        given = self.fields.get(name)
        if not isinstance(given, list) or len(given) > most:
            raise self._wrong(name, f"a list of at most {most} whole numbers")
        return tuple(whole(x, f'"{name}"[{i}]', low, high) for i, x in enumerate(given))

    def text(self, name: str) -> str:
        """Any text; halves of a character, which no file can hold, become question marks."""
        given = self.fields.get(name)
        if not isinstance(given, str):
            raise self._wrong(name, "text")
        return given.encode("utf-8", "replace").decode()

    def named_numbers(self, name: str) -> dict[str, float]:
        """Finite numbers by name; none where the field is missing."""
        given = self.fields.get(name, {})
        if not isinstance(given, dict):
            raise self._wrong(name, "an object of numbers by name")
        return {key: number(x, f'"{name}": {key:.40}') for key, x in given.items()}

    def yes(self, name: str, otherwise: bool) -> bool:
        """True or false."""
        given = self.fields.get(name, otherwise)
        if not isinstance(given, bool):
            raise self._wrong(name, "true or false")
        return given

    def _wrong(self, name: str, wanted: str) -> ArgumentError:
        got = f"got {self.fields[name]!r:.60}" if name in self.fields else "it is missing"
        return ArgumentError(f'"{name}" takes {wanted}; {got}.')


def number(given: Any, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number from ``low`` to ``high``."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        try:
            x = float(given)
        except OverflowError:
            x = math.inf
        if math.isfinite(x) and low <= x <= high:
            return x
    raise ArgumentError(f"{what} takes {_between('a finite number', low, high)}; got {given!r:.60}.")


def whole(given: Any, what: str, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``."""
    if isinstance(given, int) and not isinstance(given, bool) and low <= given <= high:
        return given
    raise ArgumentError(f"{what} takes {_between('a whole number', low, high)}; got {given!r:.60}.")


def _between(kind: str, low: float, high: float) -> str:
    if high == math.inf:
        return kind if low == -math.inf else f"{kind} of at least {low:g}"
    return f"{kind} from {low:g} to {high:g}"
