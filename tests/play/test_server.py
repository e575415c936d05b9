"""Who is let in, what is refused and how, and that nobody keeps others waiting."""

import json
import socket
import threading
import time

import pytest

from tinynet.errors import ArgumentError
from tinynet.play import server as serving
from tinynet.play.handler import LARGEST_BODY, Handler
from tinynet.play.server import MOST_CONNECTIONS, Server
from tinynet.play.serving import _greet

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def raw(port, text=b""):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(text)
    return connection


def everything(connection):
    """What still comes; an end by force counts as an end."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionError:
        pass
    connection.close()
    return found


# --- being let in -----------------------------------------------------------------------------------------------------


def test_it_listens_on_this_computer_alone(talker):
    assert talker.server.socket.getsockname()[0] == "127.0.0.1"


def test_a_token_opens_once(talker):
    path = talker.server.address().removeprefix(talker.origin)
    entered = talker.ask("GET", path)
    assert (entered.status, entered.headers["Location"]) == (303, "/")
    name, value = entered.headers["Set-Cookie"].split("; ")[0].split("=", 1)
    assert str(talker.port) in name
    assert len(value) >= 32
    assert value not in path and path.partition("=")[2] not in value
    assert {"Path=/", "HttpOnly", "SameSite=Strict"} == set(entered.headers["Set-Cookie"].split("; ")[1:])
    again = talker.ask("GET", path)
    assert again.status == 403
    assert "Set-Cookie" not in again.headers
    assert b"press Enter in the terminal" in again.body
    with_cookie = talker.get(path)
    assert (with_cookie.status, with_cookie.headers["Location"]) == (303, "/")
    assert "Set-Cookie" not in with_cookie.headers


@pytest.mark.parametrize("found", [True, False])
def test_the_page_is_opened_in_a_browser_where_there_is_one(talker, monkeypatch, capsys, found):
    opened = []
    monkeypatch.setattr("tinynet.play.serving.webbrowser.open", lambda address: opened.append(address) or found)
    _greet(talker.server, True)
    told = capsys.readouterr().out
    assert opened[0] in told
    assert ("open the address yourself" in told) != found
    assert talker.ask("GET", opened[0].removeprefix(talker.origin)).status == 303
    _greet(talker.server, False)
    assert len(opened) == 1


def test_a_new_address_ends_the_one_before_it(talker):
    first, second = (talker.server.address().removeprefix(talker.origin) for _ in range(2))
    assert talker.ask("GET", first).status == 403
    assert talker.ask("GET", second).status == 303


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=%C3%A9", "?other=1"])
def test_without_a_cookie_or_a_token_that_opens_there_is_nothing(talker, query):
    talker.server.address()
    for cookie in (None, f"tinynet-play-{talker.port}=wrong", f"tinynet-play-{talker.port}=", "é=é", "x"):
        refused = talker.ask("GET", f"/{query}", headers={"Cookie": cookie and cookie.encode()})
        assert refused.status == 403
        assert b"tanh" not in refused.body


def test_an_unused_token_opens_the_page_alone_and_not_the_acts(talker):
    query = talker.server.address().partition("?")[2]
    assert talker.ask("GET", f"/state?{query}").status == 403
    posted = talker.ask("POST", f"/?{query}", b"{}", {"Origin": talker.origin, "Content-Type": "application/json"})
    assert posted.status == 403


def test_a_cookie_is_found_among_others(talker):
    assert talker.get("/state", Cookie=f"a=b; {talker.cookie} ; c=d").status == 200
    name, _, value = talker.cookie.partition("=")
    assert talker.get("/state", Cookie=f"{name}=old; {talker.cookie}").status == 200
    assert talker.get("/state", Cookie=f"another={value}; {name}=old").status == 403


# --- from where, and to whom ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["example.com", "example.com:{}", "127.0.0.1", "127.0.0.1:1", "localhost", "127.0.0.1:{}.example.com", "",
     "127.0.0.2:{}", "0.0.0.0:{}", "127.0.0.1:{}@example.com", None, ["127.0.0.1:{}", "127.0.0.1:{}"]],
)  # fmt: skip
def test_another_host_is_refused(talker, host):
    given = [one.format(talker.port) for one in host] if isinstance(host, list) else host and host.format(talker.port)
    for refused in (talker.get("/", Host=given), talker.get("/state", Host=given), talker.post({}, Host=given)):
        assert refused.status == 403
        assert b"tanh" not in refused.body
    fresh = talker.server.address().removeprefix(talker.origin)
    assert talker.ask("GET", fresh, headers={"Host": given}).status == 403
    assert talker.ask("GET", fresh).status == 303  # and the token was not used up by it


def test_localhost_is_this_host_too(talker):
    assert talker.get("/state", Host=f"localhost:{talker.port}").status == 200


@pytest.mark.parametrize(
    "origin",
    ["http://example.com", "null", "https://127.0.0.1:{}", "http://127.0.0.1:1", "http://127.0.0.1", "",
     "http://127.0.0.1:{}/", ["http://127.0.0.1:{}", "http://example.com"]],
)  # fmt: skip
def test_another_origin_is_refused(talker, origin):
    given = [one.format(talker.port) for one in origin] if isinstance(origin, list) else origin.format(talker.port)
    before = talker.server.session.state()
    assert talker.post({"act": "step"}, Origin=given).status == 403
    assert talker.post({"act": "step"}, Origin=given, **{"Sec-Fetch-Site": "same-origin"}).status == 403
    assert talker.get("/state", Origin=given).status == 403
    assert talker.server.session.state() is before


@pytest.mark.parametrize(
    ("site", "status"), [(None, 403), ("cross-site", 403), ("same-site", 403), ("none", 403), ("same-origin", 200)]
)
def test_an_act_without_an_origin_needs_the_browsers_word(talker, site, status):
    assert talker.post({"act": "step"}, Origin=None, **{"Sec-Fetch-Site": site}).status == status
    assert talker.server.session.revision == (status == 200)


def test_its_own_page_may_act(talker):
    for host in ("127.0.0.1", "localhost"):
        assert talker.post({"act": "step"}, Origin=f"http://{host}:{talker.port}").status == 200


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_the_page_and_the_state(talker):
    page = talker.get("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"connect-src 'self'" in page.body
    state = talker.get("/state")
    assert (state.status, state.headers["Content-Type"]) == (200, "application/json")
    assert state.json == talker.server.session.state()
    after = talker.post({"act": "step", "revision": 0})
    assert after.status == 200
    assert after.json["revision"] == 1
    assert talker.get("/state").json == after.json


def test_the_page_holds_the_state_as_json(talker):
    page = talker.get("/").body.decode()
    told = page.partition('id="state">')[2].partition("</script>")[0]
    assert json.loads(told) == {key: part for key, part in talker.get("/state").json.items() if key != "run"}
    run = json.loads(page.partition('id="trace">')[2].partition("</script>")[0])
    assert run == talker.get("/state").json["run"]


def test_a_label_cannot_leave_its_place_in_the_page(talker):
    label = "</script><script>alert(1)</script>\ud800\u2028<!--"
    named = talker.post({"act": "label", "node": 0, "label": label})
    assert named.status == 200
    page = talker.get("/")
    assert page.status == 200
    assert b"<script>alert" not in page.body
    assert b"&lt;script&gt;alert" in page.body  # in words


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/act", 405), ("POST", "/", 405), ("POST", "/state", 405), ("GET", "/favicon.ico", 404),
     ("GET", "http://127.0.0.1/", 404), ("GET", "/../etc/passwd", 404), ("POST", "/acts", 404), ("GET", "/state/", 404),
     ("PUT", "/act", 405), ("DELETE", "/", 405), ("OPTIONS", "/act", 405), ("TRACE", "/", 405), ("X", "/", 405)],
)  # fmt: skip
def test_there_is_nothing_else(talker, method, path, status):
    own = {"Cookie": talker.cookie, "Origin": talker.origin, "Content-Type": "application/json"}
    refused = talker.ask(method, path, b"{}" if method == "POST" else None, own)
    assert refused.status == status
    assert (status == 405) == ("Allow" in refused.headers)


def test_what_is_no_request_is_refused_and_repeated_as_text_alone(talker):
    told = everything(raw(talker.port, b"GET /<script>alert(1)</script> HTTP/1.1 <script>\r\n\r\n"))
    assert b" 400 " in told.partition(b"\r\n")[0]
    assert b"<script>" not in told


def test_head_is_refused_without_a_body(talker):
    connection = raw(talker.port, f"HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{talker.port}\r\n\r\n".encode())
    head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert b" 405 " in head
    assert body == b""


def test_every_answer_has_the_same_headers(talker):
    answers = [
        talker.get("/"), talker.get("/state"), talker.post({"act": "step"}), talker.post({"act": "no"}),
        talker.post({"act": "step", "revision": 0}), talker.get("/x"), talker.get("/act"), talker.ask("GET", "/"),
        talker.ask("PUT", "/"), talker.post(b"["), talker.get("/", Host="x"),
        talker.ask("GET", talker.server.address().removeprefix(talker.origin)),
        talker.post(b" " * (LARGEST_BODY + 1)), talker.ask("GET", "/" + "x" * 70_000),
    ]  # fmt: skip
    assert [a.status for a in answers] == [200, 200, 200, 422, 409, 404, 405, 403, 405, 400, 403, 303, 413, 414]
    for answer in answers:
        assert HEADERS.items() <= answer.headers.items()
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "text/json", "", ["application/json"] * 2]
)
def test_another_content_type_is_refused(talker, kind):
    assert talker.post({"act": "step"}, **{"Content-Type": kind}).status == 415
    assert talker.server.session.revision == 0


def test_json_may_name_its_encoding(talker):
    assert talker.post({"act": "step"}, **{"Content-Type": "application/json; charset=utf-8"}).status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"step"', b"null", b"3", b"\xff\xfe{", b'{"act": NaN}', b'{"value": -Infinity}', b"[" * 100_000,
     b'{"value": ' + b"9" * 5000 + b"}", b'{"act": "step"} x'],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(talker, body):
    refused = talker.post(body)
    assert refused.status == 400
    assert refused.json["error"]
    assert talker.server.session.revision == 0


def test_a_request_may_be_so_long_and_no_longer(talker):
    act = b'{"act": "step"}'
    assert talker.post(act + b" " * (LARGEST_BODY - len(act))).status == 200
    refused = talker.post(act + b" " * (LARGEST_BODY - len(act) + 1))
    assert refused.status == 413
    assert "1,000,000 bytes" in refused.json["error"]
    assert talker.server.session.revision == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Length": "x"}, 400), ({"Content-Length": "-1"}, 400), ({"Content-Length": "٣"}, 400),
     ({"Content-Length": ["15", "15"]}, 411), ({"Transfer-Encoding": "chunked"}, 411), ({}, 411),
     ({"Transfer-Encoding": "chunked", "Content-Length": "0"}, 411),
     ({"Content-Length": "9" * 5000}, 413)],
)  # fmt: skip
def test_a_length_that_cannot_be_trusted_is_refused(talker, headers, status):
    own = {"Cookie": talker.cookie, "Origin": talker.origin, "Content-Type": "application/json"}
    given = {
        k: [v.encode() for v in value] if isinstance(value, list) else value.encode() for k, value in headers.items()
    }
    assert talker.ask("POST", "/act", None, own | given).status == status
    assert talker.server.session.revision == 0


# --- what comes of an act ---------------------------------------------------------------------------------------------


def test_an_act_that_is_refused_says_why_and_changes_nothing(talker):
    before = talker.get("/state").json
    refused = talker.post({"act": "value", "node": 0, "value": "much"})
    assert refused.status == 422
    assert refused.json == {"error": "\"value\" takes a finite number; got 'much'."}
    assert talker.get("/state").json == before


def test_an_act_for_a_state_that_has_passed_is_told_the_present_one(talker):
    talker.post({"act": "step", "revision": 0})
    refused = talker.post({"act": "step", "revision": 0})
    assert refused.status == 409
    assert refused.json["state"] == talker.get("/state").json
    assert refused.json["state"]["revision"] == 1
    assert "in the meantime" in refused.json["error"]
    for odd in ("1", True, 1.5, []):
        assert talker.post({"act": "step", "revision": odd}).status == 409


def test_a_fault_of_ours_is_told_to_the_terminal(talker, monkeypatch, capsys):
    def broken(position):
        raise ZeroDivisionError("a fault inside")

    before = talker.get("/state").json
    monkeypatch.setattr(talker.server.session, "loss", broken)
    refused = talker.post({"act": "step"})
    assert refused.status == 500
    assert "terminal" in refused.json["error"]
    assert "a fault inside" not in refused.json["error"]
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Traceback") and "a fault inside" in told.err
    assert talker.get("/state").json == before
    monkeypatch.undo()
    assert talker.post({"act": "step"}).status == 200


def test_acts_happen_one_at_a_time(talker):
    inside, most = [], []
    act = talker.server.session.act

    def watched(asked):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.005)
        try:
            return act(asked)
        finally:
            inside.pop()

    talker.server.session.act = watched
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(talker.post({"act": "step"}))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.json["revision"] for answer in answers) == [*range(1, 13)]
    assert max(most) == 1


# --- connections ------------------------------------------------------------------------------------------------------


def test_half_open_connections_keep_nobody_waiting(talker):
    idle = [raw(talker.port, b"POST /act HTTP/1.1\r\nHost:"[: i % 30]) for i in range(2 * MOST_CONNECTIONS)]
    began = time.monotonic()
    for _ in range(5):
        assert talker.post({"act": "step"}).status == 200
    assert time.monotonic() - began < 5  # they themselves would be waited for 10 seconds
    assert everything(idle[0]) == b""  # cut, to make room for those that came later
    assert time.monotonic() - began < 5
    for connection in idle:
        connection.close()


def test_who_says_nothing_or_too_slowly_is_cut(served, expression, monkeypatch):
    monkeypatch.setattr(serving, "PATIENCE", 0.4)
    talker = served(expression)
    head = f"POST /act HTTP/1.1\r\nHost: 127.0.0.1:{talker.port}\r\nContent-Length: 50\r\n\r\n".encode()
    silent, unfinished, slow = raw(talker.port), raw(talker.port, head + b"{"), raw(talker.port)
    began = time.monotonic()
    try:
        while time.monotonic() - began < 5:
            slow.sendall(b"G")
            time.sleep(0.05)
    except ConnectionError:
        pass
    assert time.monotonic() - began < 4
    for connection in (silent, unfinished, slow):
        assert everything(connection) == b""
    assert time.monotonic() - began < 5
    assert expression.revision == 0


def test_a_connection_that_says_nothing_times_out_by_itself_too():
    assert 0 < Handler.timeout <= 30


def test_who_leaves_early_is_no_fault(talker, capsys):
    head = f"POST /act HTTP/1.1\r\nHost: 127.0.0.1:{talker.port}\r\nContent-Length: 50\r\n\r\n".encode()
    for text in (b"", b"GET", head, head + b"{", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\r\n\r\n"):
        raw(talker.port, text).close()
    assert talker.post({"act": "step"}).status == 200
    time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


def test_a_port_that_is_taken_is_told(talker, expression):
    with pytest.raises(ArgumentError, match=rf"port {talker.port} .*taken by another program.*leave --port out"):
        Server(expression, talker.port)


def test_when_it_stops_the_port_is_free_and_the_act_at_hand_has_ended(talker, expression):
    inside = threading.Event()

    def endless(asked):
        inside.set()
        while True:
            expression.check_running()
            time.sleep(0.01)

    expression.act = endless
    half = raw(talker.port, b"GET / HTTP/1.1\r\n")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(talker.post({"act": "run", "steps": 9})))
    asking.start()
    assert inside.wait(5)
    began = time.monotonic()
    talker.server.stop()
    asking.join(5)
    assert time.monotonic() - began < 2
    assert answers[0].status == 503
    assert everything(half) == b""
    with pytest.raises(ConnectionRefusedError):
        raw(talker.port)
    Server(expression, talker.port).server_close()
