"""What every file of kernels shares: the table that a kernel enters, and somewhere to compute in place."""

from collections.abc import Callable
from typing import Any

Array = Any

written: dict[str, Callable[..., Any]] = {}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function in the table under its own name."""
    written[function.__name__] = function
    return function


def room(xp: Any, x: Array, out: Array) -> Array:
    """``out``, or a new array like ``x``: somewhere to compute in place."""
    return xp.empty(x.shape, x.dtype) if out is None else out
