"""One request: read whole, looked at, handed to the session, answered.

Whatever is wrong with it is found before the session hears of it. Must not know threads, or when the server ends.
"""

import json
import socket
import sys
import traceback
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tinynet.errors import TinynetError
from tinynet.play.answers import HEADERS, Answer, Refused, as_page, in_json, refusal
from tinynet.play.session import OutOfDate, Stopping

if TYPE_CHECKING:
    from tinynet.play.server import Server

LARGEST_BODY = 1_000_000  # bytes
PATIENCE = 10.0  # seconds, for one read, or for the whole answer to be taken
METHODS = {"/": "GET", "/state": "GET", "/act": "POST"}
NEW_ADDRESS = (
    "This address does not open the page: it works once, in one browser. For a new one, press Enter in the terminal in "
    "which tinynet runs, or start tinynet play again."
)


class Handler(BaseHTTPRequestHandler):
    """Answers one request, then closes."""

    server: "Server"
    timeout = PATIENCE
    default_request_version = "HTTP/1.0"  # what cannot be read is answered with headers all the same

    def do_GET(self) -> None:
        """Answer a GET, and, by the name below, a POST."""
        try:
            body = self._body() if self.command == "POST" else b""
            self.server.has_asked(self.connection)
            answer = self._answer(body)
        except Refused as refused:
            answer = refusal(refused, self._for_script())
        self._send(answer)

    do_POST = do_GET  # noqa: N815

    def _body(self) -> bytes:
        """What follows the headers. Raises ``Refused`` where its length is unknown or too large."""
        lengths = self._all("Content-Length")
        if len(lengths) != 1 or self._all("Transfer-Encoding"):
            raise Refused(411, "A request with content must say how long it is, once.")
        if not lengths[0].isdecimal():
            raise Refused(400, f"The length of the content is a number of bytes; got {lengths[0]!r:.40}.")
        if len(lengths[0]) > 12 or int(lengths[0]) > LARGEST_BODY:
            raise Refused(413, f"A request has {LARGEST_BODY:,} bytes at most.")
        body = self.rfile.read(int(lengths[0]))
        if len(body) < int(lengths[0]):
            raise ConnectionAbortedError("the request ended early")
        return body

    def _answer(self, body: bytes) -> Answer:
        admission, url = self.server.admission, urlsplit(self.path)
        admission.check_place(self.command, self._all)
        known = admission.knows(self._all)
        token = parse_qs(url.query).get("token", [""])[0]
        if token and url.path == "/" and self.command == "GET":
            cookie = admission.redeem(token)
            if cookie or known:
                headers = (("Location", "/"), *((("Set-Cookie", cookie),) if cookie else ()))
                return Answer(303, b"", "text/plain", headers)
        if not known:
            raise Refused(403, NEW_ADDRESS, page=True)
        if url.path not in METHODS or url.netloc:
            raise Refused(404, "There is nothing here. The page is at /.")
        if METHODS[url.path] != self.command:
            raise Refused(405, f"{url.path} takes {METHODS[url.path]} alone.", ("Allow", METHODS[url.path]))
        if url.path == "/act":
            return self._act(body)
        return in_json(self.server.session.state()) if url.path == "/state" else self._page()

    def _page(self) -> Answer:
        with self.server.turn:
            try:
                return as_page(self.server.session.page())
            except Exception as error:
                raise self._unexpected(error) from error

    def _act(self, body: bytes) -> Answer:
        kinds = self._all("Content-Type")
        if len(kinds) != 1 or self.headers.get_content_type() != "application/json":
            raise Refused(415, "An act is JSON: Content-Type: application/json.")
        asked = _read(body)
        with self.server.turn:
            session = self.server.session
            try:
                return in_json(session.act(asked))
            except OutOfDate as error:
                raise Refused(409, str(error), state=session.state()) from error
            except Stopping as error:
                raise Refused(503, str(error)) from error
            except TinynetError as error:
                raise Refused(422, str(error)) from error
            except Exception as error:
                raise self._unexpected(error) from error

    @staticmethod
    def _unexpected(error: Exception) -> Refused:
        traceback.print_exception(error, file=sys.stderr)
        return Refused(
            500, f"Something went wrong inside ({type(error).__name__}); the terminal shows where. Nothing was changed."
        )

    # --- reading and writing ------------------------------------------------------------------------------------------

    def _all(self, name: str) -> list[str]:
        return [str(value) for value in self.headers.get_all(name, [])] if hasattr(self, "headers") else []

    def _for_script(self) -> bool:
        return urlsplit(getattr(self, "path", "/")).path in ("/act", "/state")

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in (
            HEADERS | {"Content-Type": answer.kind, "Content-Length": str(len(answer.content))}
        ).items():
            self.send_header(name, value)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)
        if answer.status == 413:
            self._let_finish()

    def _let_finish(self) -> None:
        """Take what is still being sent, up to a limit: closed at once, the other side might never see the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        for _ in range(8 * LARGEST_BODY // 65536):
            if not self.connection.recv(65536):
                return

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request that can be read, or of a method that is not known, as other refusals are."""
        headers: tuple[tuple[str, str], ...] = ()
        if code == 501:
            code, message, headers = 405, "There are GET and POST.", (("Allow", "GET, POST"),)
        self._send(refusal(Refused(code, str(message or "This cannot be read.")[:200], *headers), False))

    def version_string(self) -> str:
        """The header that says what serves this."""
        return "tinynet"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is for what the person who started it needs to know."""


def _read(body: bytes) -> dict[str, Any]:
    """The object that JSON text holds. Raises ``Refused``."""
    try:
        asked = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"This is no JSON that can be read: {str(error)[:200]}.") from error
    if not isinstance(asked, dict):
        raise Refused(400, f"An act is a JSON object; got {type(asked).__name__}.")
    return asked


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")
