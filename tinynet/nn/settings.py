"""The settings of layers: what they may be, and how they are shown. One check a kind, so that all layers refuse alike.

Each check names the layer, the setting and what arrived, and returns what passed.
"""

from collections.abc import Sequence
from math import inf
from numbers import Integral, Real
from typing import Any

from tinynet.errors import ArgumentError


def whole(layer: str, least: int | None = 1, **named: Any) -> Any:
    """Whole numbers of at least ``least``: an int, or several as a tuple.

    Raises:
        ArgumentError: something else, True and False among it.
    """
    bound = "" if least is None else f" of at least {least}"
    for name, value in named.items():
        if not _is_whole(value, least):
            raise ArgumentError(f"{layer} needs {name}, a whole number{bound}; got {value!r:.60}.")
    found = tuple(map(int, named.values()))
    return found if len(found) > 1 else found[0]


def number(layer: str, least: float = 0, most: float = inf, **named: Any) -> Any:
    """Numbers from ``least`` to ``most``: a float, or several as a tuple.

    Raises:
        ArgumentError: something else, nan among it.
    """
    bounds = f"of at least {least}" if most == inf else f"from {least} to {most}"
    for name, value in named.items():
        if type(value) is bool or not isinstance(value, Real) or not least <= float(value) <= most:
            raise ArgumentError(f"{layer}({name}={value!r:.60}): it is a number {bounds}.")
    found = tuple(map(float, named.values()))
    return found if len(found) > 1 else found[0]


def sizes(layer: str, what: str, value: Any, least: int, count: int | None = 2) -> tuple[int, ...]:
    """A setting given as one whole number, or as one for each direction, as one for each direction.

    Args:
        count: the number of directions; None for as many as are given.

    Raises:
        ArgumentError: it is something else, or less than ``least``.
    """
    several = isinstance(value, Sequence) and not isinstance(value, str)
    each = tuple(value) if several else (value,) * (count or 1)
    if len(each) != (count or len(each)) or not each or not all(_is_whole(n, least) for n in each):
        also = {1: "", 2: ", or (rows, columns)", None: ", or several"}[count]
        raise ArgumentError(f"{layer} needs {what}, a whole number of at least {least}{also}; got {value!r:.60}.")
    return tuple(map(int, each))


def _is_whole(value: Any, least: int | None) -> bool:
    if type(value) is bool or not isinstance(value, Integral):
        return False
    return least is None or int(value) >= least


def shown(value: Any) -> str:
    """A setting as one would give it: a number where all directions have the same, a function by its name."""
    return getattr(value, "__name__", repr(value[0] if isinstance(value, tuple) and len({*value}) == 1 else value))


def unusual(layer: Any, **usual: Any) -> list[str]:
    """``name=value`` for each setting of the layer, among those that it has, that is not the usual one."""
    given = {name: shown(getattr(layer, name, value)) for name, value in usual.items()}
    return [f"{name}={value}" for name, value in given.items() if value != shown(usual[name])]
