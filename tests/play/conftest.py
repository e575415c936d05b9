"""What the tests of the live page share: sessions that are quickly made, and a server with somebody to talk to it."""

import http.client
import json
import threading
from typing import NamedTuple

import pytest

from tinynet.cli.play import read
from tinynet.play import server as server_module
from tinynet.play.expression import ExpressionSession
from tinynet.play.server import Server


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Talker:
    """A client that has been let in, and can behave as badly as a test wants."""

    def __init__(self, server):
        self.server, self.port = server, server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"
        entered = self.ask("GET", server.address().removeprefix(self.origin))
        assert entered.status == 303
        self.cookie = entered.headers["Set-Cookie"].partition(";")[0]

    def ask(self, method, path, body=None, headers=None):
        """One request with these headers and no others; a Host of None leaves even that out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Host": f"127.0.0.1:{self.port}"} | (headers or {})
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    connection.putheader(name, one)
        if body is not None and not {"Content-Length", "Transfer-Encoding"} & headers.keys():
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        found = Answered(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()
        return found

    def get(self, path, **headers):
        return self.ask("GET", path, headers={"Cookie": self.cookie} | headers)

    def post(self, act, path="/act", **headers):
        body = act if isinstance(act, bytes) else json.dumps(act).encode()
        own = {"Cookie": self.cookie, "Origin": self.origin, "Content-Type": "application/json"}
        return self.ask("POST", path, body, own | headers)


@pytest.fixture
def expression():
    return ExpressionSession("(a*b + 10).tanh()", {"a": 2.0, "b": -3.0}, read)


@pytest.fixture
def served(monkeypatch):
    """Serve a session; after the test no thread is left."""
    monkeypatch.setattr(server_module, "PACE", 0.01)
    servers = []
    before = set(threading.enumerate())

    def start(session):
        server = Server(session)
        server.start()
        servers.append(server)
        return Talker(server)

    yield start
    for server in servers:
        server.stop()
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]


@pytest.fixture
def talker(served, expression):
    return served(expression)
