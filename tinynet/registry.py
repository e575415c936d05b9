"""Which backends there are, which of them can run here, and which one is meant.

The built-in ones stand in a table; the entry-point group ``tinynet.backends`` adds others and never replaces one.
Nothing is imported before it is asked for.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from tinynet.backend import Backend
from tinynet.errors import ArgumentError, BackendError, BackendUnavailable

BUILT_IN = {
    "scalar": "tinynet.backends.scalar_backend:ScalarBackend",
    "numpy": "tinynet.backends.numpy_backend:NumpyBackend",
    "cupy": "tinynet.backends.cupy_backend:CupyBackend",
}
AUTO = ("cupy", "numpy")  # what "auto" tries, in this order
_loaded: dict[str, Backend] = {}
_default: list[str | Backend] = ["numpy"]


class Availability(NamedTuple):
    """Whether a backend can run here and, if not, why and what to do."""

    usable: bool
    reason: str


def _known() -> dict[str, Callable[[], Any]]:
    """Every backend's name and how to load its class; a built-in name cannot be taken over."""

    def built_in(path: str) -> Callable[[], Any]:
        module, _, attribute = path.partition(":")
        return lambda: getattr(importlib.import_module(module), attribute)

    found = {name: built_in(path) for name, path in BUILT_IN.items()}
    for point in entry_points(group="tinynet.backends"):
        found.setdefault(point.name, point.load)
    return found


def get_backend(name: "str | Backend | None" = None) -> Backend:
    """The backend of that name, loaded on first use; ``None`` is the default one, ``"auto"`` the fastest usable.

    Raises:
        ArgumentError: no backend has that name.
        BackendUnavailable: it cannot run here; the message says why and what to do.
    """
    name = _default[0] if name is None else name
    if isinstance(name, Backend):
        return name
    if isinstance(_default[0], Backend) and _default[0].name == name:
        return _default[0]
    if name in _loaded:
        return _loaded[name]
    if name == "auto":
        usable = backends()
        chosen = next(candidate for candidate in AUTO if usable[candidate].usable)
        passed = [f"{n}: {usable[n].reason}" for n in AUTO[: AUTO.index(chosen)]]
        print(f"tinynet: backend auto is {chosen}" + (f" ({'; '.join(passed)})" if passed else ""), file=sys.stderr)
        _loaded["auto"] = get_backend(chosen)
        return _loaded["auto"]
    known = _known()
    if name not in known:
        raise ArgumentError(f"there is no backend {name!r}. Choose one of: {', '.join([*known, 'auto'])}.")
    try:
        made = known[name]()()
    except BackendError:
        raise
    except Exception as error:  # whatever a third party's import raises
        raise BackendUnavailable(
            f"backend {name!r} cannot run here: {type(error).__name__}: {error}. Install the package it comes from "
            "anew, or do without it."
        ) from error
    if not isinstance(made, Backend) or getattr(made, "name", None) != name:
        raise BackendUnavailable(
            f"backend {name!r} cannot run here: its entry point makes {type(made).__name__}, which is no Backend "
            "of that name."
        )
    _loaded[name] = made
    return made


def backends() -> dict[str, Availability]:
    """Every known backend: usable or not and, if not, why and what to do. It never raises."""
    found = {}
    for name in _known():
        try:
            get_backend(name)
            found[name] = Availability(True, "usable")
        except Exception as error:
            found[name] = Availability(False, str(error))
    return found


def set_default_backend(name: "str | Backend") -> Backend:
    """Make new tensors on this backend from now on."""
    backend = get_backend(name)
    _default[0] = backend
    return backend


@contextmanager
def use_backend(name: "str | Backend") -> Iterator[Backend]:
    """Make new tensors on this backend inside a ``with`` block."""
    before = _default[0]
    try:
        yield set_default_backend(name)
    finally:
        _default[0] = before
