"""From the start of the server to its end: the address is printed, Enter prints another, Ctrl-C or SIGTERM stops it.

The main thread waits here. Signals arrive as bytes in a socket, beside the keys, so that nothing is ever interrupted
in the middle. Must not know what is served.
"""

import os
import select
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tinynet.play.server import Server
from tinynet.play.session import Session

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(session: Session[Any], port: int = 0, open_page: bool = False) -> None:
    """Serve a session on 127.0.0.1 until Ctrl-C. Only the main thread can.

    Args:
        session: what is played with.
        port: where, 0 for a port that is free.
        open_page: whether to open the page in a browser.

    Raises:
        ArgumentError: the port cannot be had.
    """
    server = Server(session, port)
    with _signals() as arrived:
        server.start()
        try:
            _greet(server, open_page)
            _wait(arrived, lambda: print(f"A new address, which works once:\n\n  {server.address()}\n", flush=True))
        finally:
            server.stop()
    print("Stopped.", flush=True)


def _greet(server: Server, open_page: bool) -> None:
    address = server.address()
    more = "Press Enter for another, " if _terminal() is not None else "Press "
    print(
        f"The page is at\n\n  {address}\n\nThe address works once, on this computer. {more}Ctrl-C to stop.", flush=True
    )
    if open_page and not webbrowser.open(address):
        print("No browser was found: open the address yourself.", flush=True)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Inside ``with``, signals that would end the process are bytes in this socket instead."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        reading.close()
        writing.close()


def _wait(arrived: socket.socket, on_enter: Callable[[], None]) -> None:
    """Wait for a signal; whenever a line is typed in the meantime, say so."""
    keys = _terminal()
    while True:
        ready, _, _ = select.select([arrived.fileno(), *([] if keys is None else [keys])], [], [])
        if arrived.fileno() in ready:
            if any(number in SIGNALS for number in arrived.recv(4096)):
                return
        elif keys is not None and os.tcgetpgrp(keys) != os.getpgrp():
            time.sleep(0.5)  # the keys are for another program, and who reads them in the background is halted
        elif keys is not None and os.read(keys, 4096):
            on_enter()
        else:
            keys = None  # Ctrl-D: no line will follow


def _terminal() -> int | None:
    """Where keys can be read; None where there is no terminal, or none that can be waited for with a socket."""
    if os.name == "nt" or sys.stdin is None or sys.stdin.closed:
        return None
    try:
        return sys.stdin.fileno() if sys.stdin.isatty() else None
    except (OSError, ValueError):
        return None
