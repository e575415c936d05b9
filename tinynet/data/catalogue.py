"""Data sets by name, for the command line and for configuration files: ``load("moons", noise=0.2)``.

Must not know how any of them is made.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tinynet.data.dataset import Dataset
from tinynet.data.embedded import digits
from tinynet.data.mnist import fashion_mnist, mnist
from tinynet.data.synthetic import circles, moons, noisy_line, sine, spirals, xor
from tinynet.errors import ArgumentError, did_you_mean


def _split(make: Callable[..., Dataset]) -> Callable[..., tuple[Dataset, Dataset]]:
    """``make`` followed by an 80 : 20 split with the same seed."""

    @functools.wraps(make)
    def pair(**options: Any) -> tuple[Dataset, Dataset]:
        return make(**options).split(0.8, seed=options.get("seed", 0))

    return pair


DATASETS: dict[str, Callable[..., tuple[Dataset, Dataset]]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "moons": _split(moons),
    "spirals": _split(spirals),
    "circles": _split(circles),
    "xor": _split(xor),
    "line": _split(noisy_line),
    "sine": _split(sine),
}
"""Every data set that has a name, as the function that gives its (train, test)."""


def load(name: str, **options: Any) -> tuple[Dataset, Dataset]:
    """(train, test) of the data set called ``name``; ``options`` go to its function (``n``, ``noise``, ``flat``, …).

    The synthetic sets are split 80 : 20 with their seed. Raises ``ArgumentError`` for a name or an option that there is
    not, and what the data set's own function raises.
    """
    if name not in DATASETS:
        raise ArgumentError(
            f"load({name!r}): there is no such data set{did_you_mean(name, DATASETS)} There are {', '.join(DATASETS)}."
        )
    known = list(inspect.signature(DATASETS[name]).parameters)
    for option in options:
        if option not in known:
            raise ArgumentError(
                f"load({name!r}, {option}=…): there is no such option{did_you_mean(option, known)} There are "
                f"{', '.join(known)}."
            )
    return DATASETS[name](**options)
