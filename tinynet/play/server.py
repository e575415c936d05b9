"""The server: connections on 127.0.0.1, a thread each, and an end at which no thread is left.

A connection that has not asked for anything in time is cut; so is the one that has waited longest, where there are
too many. Neither keeps others waiting. Must not know what is asked for, or by whom.
"""

import contextlib
import errno
import os
import socket
import socketserver
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.play.admission import Admission
from tinynet.play.handler import PATIENCE, Handler
from tinynet.play.session import Session

MOST_CONNECTIONS = 64
GRACE = 3.0  # seconds for what is being worked out when the server ends
PACE = 0.1  # seconds between looks at who has waited too long, or at whether to stop


class Server(ThreadingHTTPServer):
    """Serves one session to one person.

    Args:
        session: what is played with.
        port: where to listen, 0 for a port that is free.

    Attributes:
        admission: who may ask.
        turn: held by whoever asks the session for something: one act at a time.

    Raises:
        ArgumentError: the port is taken, or may not be used.
    """

    daemon_threads = True
    block_on_close = False  # ``stop`` waits, and not for ever
    allow_reuse_address = (
        os.name != "nt"
    )  # elsewhere it lets a server start again at once; there it would share the port
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, session: Session[Any], port: int = 0) -> None:
        self.session = session
        self.turn = threading.Lock()
        self._guard = threading.Lock()
        self._waiting: dict[socket.socket, float] = {}  # connections that have not asked yet, and until when they may
        self._requests: dict[threading.Thread, socket.socket] = {}
        try:
            super().__init__(("127.0.0.1", port), Handler)
        except (OSError, OverflowError) as error:
            raise _refused_port(port, error) from error
        self.admission = Admission(self.server_port)
        self._loop = threading.Thread(target=self.serve_forever, args=(PACE,), name="tinynet play", daemon=True)

    def server_bind(self) -> None:
        """Bind without asking the network for this computer's name, as the standard library would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def address(self) -> str:
        """A new address that opens the page once."""
        return f"http://127.0.0.1:{self.server_port}/?token={self.admission.new_token()}"

    # --- connections --------------------------------------------------------------------------------------------------

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection a thread, and a time until which it may say what it wants."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name="tinynet play request", daemon=True
        )
        with self._guard:
            self._requests = {t: connection for t, connection in self._requests.items() if t.is_alive()}
            if len(self._waiting) >= MOST_CONNECTIONS:
                _cut(min(self._waiting, key=lambda connection: self._waiting[connection]))
            self._waiting[request] = time.monotonic() + PATIENCE
            thread.start()
            self._requests[thread] = request

    def has_asked(self, connection: socket.socket) -> None:
        """The request is here in full: what takes time from now on is our own doing."""
        with self._guard:
            self._waiting.pop(connection, None)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.has_asked(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut what has waited too long; called some times a second."""
        now = time.monotonic()
        with self._guard:
            for connection, until in self._waiting.items():
                if until < now:
                    _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong; but not that the other side has gone, or was cut."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    # --- beginning and end --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Answer from now on, in threads of its own."""
        self._loop.start()

    def stop(self) -> None:
        """End the act that is going on, let go of the port, and wait for every thread, though not for ever."""
        self.session.stop()
        if self._loop.is_alive():
            self.shutdown()
            self._loop.join()
        self.server_close()
        with self._guard:
            for connection in self._waiting:
                _cut(connection)
            threads = [*self._requests.items()]
        until = time.monotonic() + GRACE
        for thread, connection in threads:
            thread.join(max(until - time.monotonic(), 0.0))
            if thread.is_alive():
                _cut(connection)
                thread.join(0.2)


def _cut(connection: socket.socket) -> None:
    """End a connection from outside: whoever is reading from it, or writing to it, gets an error or an end."""
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def _refused_port(port: int, error: Exception) -> ArgumentError:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)):
        why = "it is taken by another program. Choose another, or leave --port out: then one that is free is found"
    elif number == errno.EACCES:
        why = "it may not be used here. Choose one from 1024 on, or leave --port out: then one that is free is found"
    else:
        why = f"{error}. Leave --port out: then one that is free is found"
    return ArgumentError(f"Listening on port {port} of 127.0.0.1: {why}.")
