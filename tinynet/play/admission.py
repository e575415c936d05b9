"""Who may ask: one person's browser, on this computer, from the page that this server gave it.

A one-time token in the printed address lets a browser in; from then on it shows a cookie. Beside that, every request
must be for this very host (else a foreign name has been made to point here: DNS rebinding), and from no other origin.
Must not know sockets, or what is served.
"""

import hmac
import secrets
import threading
from collections.abc import Callable, Sequence

from tinynet.play.answers import Refused

Headers = Callable[[str], Sequence[str]]
BROWSERS = 20  # that were let in, at most; the one that came first has to come again


class Admission:
    """The tokens and cookies of one server.

    Args:
        port: where it listens.

    Attributes:
        cookie: the cookie's name; it holds the port, since browsers give cookies to every port of a host.
    """

    def __init__(self, port: int) -> None:
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.origins = tuple(f"http://{host}" for host in self.hosts)
        self.cookie = f"tinynet-play-{port}"
        self._guard = threading.Lock()
        self._token = ""
        self._secrets: list[str] = []

    def new_token(self) -> str:
        """A token that opens once; the one before it, if it was not used, opens no more."""
        with self._guard:
            self._token = secrets.token_urlsafe(24)
            return self._token

    def redeem(self, token: str) -> str:
        """The line that sets a cookie, for a token that opens; else empty."""
        with self._guard:
            if not self._token or not _same(token, self._token):
                return ""
            self._token = ""
            secret = secrets.token_urlsafe(32)
            self._secrets = [*self._secrets, secret][-BROWSERS:]
        return f"{self.cookie}={secret}; Path=/; HttpOnly; SameSite=Strict"

    def check_place(self, method: str, headers: Headers) -> None:
        """Refuse what is meant for another host, or comes from another origin.

        Args:
            headers: gives every header of a name.
        """
        host, origin = headers("Host"), headers("Origin")
        if len(host) != 1 or host[0] not in self.hosts:
            raise Refused(403, f"This server answers to http://{self.hosts[0]} alone. Open the address it printed.")
        if origin and (len(origin) != 1 or origin[0] not in self.origins):
            raise Refused(403, "Pages of other origins may not ask this server for anything.")
        sites = headers("Sec-Fetch-Site")
        if method == "POST" and not origin and [*sites] != ["same-origin"]:
            raise Refused(403, "A request that changes something must say that it comes from this server's own page.")

    def knows(self, headers: Headers) -> bool:
        """Whether a cookie of ours is shown."""
        with self._guard:
            known = [*self._secrets]
        shown = [pair.strip().partition("=") for line in headers("Cookie") for pair in line.split(";")]
        found = False
        for name, _, value in shown:
            for secret in known if name == self.cookie else ():
                found = _same(value, secret) or found
        return found


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
