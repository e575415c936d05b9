"""Which engine runs, and why, in words.

Separate because three commands choose a backend. Must not name a backend itself.
"""

from tinynet.backend import Backend
from tinynet.cli.parser import UsageError
from tinynet.errors import ArgumentError
from tinynet.registry import AUTO, backends, get_backend


def choose(name: str) -> tuple[Backend, str]:
    """The backend of that name and, for ``auto``, why it is that one.

    Raises:
        ArgumentError: there is none of that name.
        BackendUnavailable: it cannot run here; the message says why and what to do.
    """
    if name != "auto":
        return get_backend(name), ""
    usable = backends()
    chosen = next(candidate for candidate in AUTO if usable[candidate].usable)
    passed = [f"{other} cannot run here" for other in AUTO[: AUTO.index(chosen)]]
    return get_backend(chosen), f"auto: {', '.join(passed)}, see `tinynet backends`" if passed else "auto: the fastest"


def limit_memory(backend: Backend, limit: str | None) -> None:
    """Hold a backend to so much memory, where that is asked for.

    Raises:
        UsageError: it is no size, or the backend's memory is the host's.
    """
    try:
        if limit is not None:
            backend.set_memory_limit(limit)
    except ArgumentError as error:
        raise UsageError(f"--memory-limit {limit}: {error}") from error


def device(backend: Backend) -> str:
    """Where a backend computes: its own word for it, where it has one."""
    named = getattr(backend, "device_name", "")
    return str(named() if callable(named) else named) or ("the CPU" if backend.is_host else "a GPU")
