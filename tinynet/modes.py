"""Two switches, each thread's own: whether operations remember how their results were made, and whether fused kernels
stand in for their references."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Mode(threading.local):
    remember = True
    fused = True


mode = _Mode()


@contextmanager
def switched(**changes: bool) -> Iterator[None]:
    """The mode changed inside a ``with`` block."""
    before = {name: getattr(mode, name) for name in changes}
    try:
        vars(mode).update(changes)
        yield
    finally:
        vars(mode).update(before)


def no_grad() -> Any:
    """Inside ``with tn.no_grad():`` nothing is remembered, so nothing can be differentiated; also a decorator."""
    return switched(remember=False)


def reference() -> Any:
    """Inside ``with tn.reference():`` every fused primitive runs as the plain operations that define it."""
    return switched(fused=False)
