"""Ctrl-C: noted at once, obeyed between two steps."""

import signal
import threading
from typing import Any


class Interruption:
    """Inside ``with``, Ctrl-C only sets ``asked``, so that the step at hand is finished; a second one raises at once.

    In a thread other than the main one signals never arrive, and nothing is done.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def _note(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> "Interruption":
        self.asked = False
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
