"""``tinynet play`` as a process: its address, keys and signals, its end; and what it says to wrong usage."""

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tinynet.cli import main
from tinynet.cli.play import _session, parser, read, trained
from tinynet.data import digits
from tinynet.data.centring import centred
from tinynet.errors import ArgumentError, DataError
from tinynet.play.points_file import read_points

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]+)")
PLAY = [sys.executable, "-W", "error", "-m", "tinynet", "play"]
IN_A_TERMINAL = [
    sys.executable,
    "-c",
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
]
SLOW = "; ".join(f"a{i + 1} = tanh(a{i} * w + {i})" for i in range(400)) + "; a400"  # 1000 steps take long


class Playing:
    """A command that serves, and one who is let in."""

    def __init__(self, *words, command=PLAY):
        self.process = subprocess.Popen(
            [*command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.told = ""
        self.enter()

    def read_until(self, pattern, beyond=0):
        while not (found := re.compile(pattern).search(self.told, beyond)):
            assert select.select([self.process.stdout], [], [], 20)[0], f"nothing came after {self.told!r}"
            part = os.read(self.process.stdout.fileno(), 65536).decode()
            assert part, (self.told, self.process.stderr.read())
            self.told += part
        return found

    def enter(self, beyond=0):
        found = self.read_until(ADDRESS, beyond)
        self.port, token = int(found[1]), found[2]
        status, headers, _ = self.ask("GET", f"/?token={token}", {})
        assert status == 303
        self.cookie = headers["Set-Cookie"].partition(";")[0]
        return found.end()

    def ask(self, method, path, headers, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def ends(self):
        """Wait for the end: it must be a good one, and leave the port to others."""
        assert self.process.wait(10) == 0
        self.read_until("Stopped\\.\\n")
        assert self.process.stderr.read() == b""
        with socket.create_server(("127.0.0.1", self.port)):
            pass

    def act(self, **act):
        headers = {"Cookie": self.cookie, "Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        return self.ask("POST", "/act", headers, json.dumps(act).encode())


@pytest.fixture
def play():
    playing = []

    def start(*words, **more):
        playing.append(Playing(*words, **more))
        return playing[-1]

    yield start
    for one in playing:
        if one.process.poll() is None:
            one.process.kill()
        for pipe in (one.process.stdin, one.process.stdout, one.process.stderr):
            pipe.close()
        one.process.wait()


def test_a_signal_ends_it_well(play):
    playing = play("(a*b + 10).tanh()", "a=2")
    status, _, body = playing.ask("GET", "/state", {"Cookie": playing.cookie})
    assert status == 200
    assert [leaf["value"] for leaf in json.loads(body)["leaves"] if leaf["name"] in "ab"] == [2, 1]
    assert playing.act(act="step")[0] == 200
    playing.process.send_signal(signal.SIGTERM)
    playing.ends()
    assert "Enter" not in playing.told  # there is no terminal to press it in


def test_a_signal_ends_it_in_the_middle_of_a_run(play):
    playing = play(SLOW, "w=0.5")
    body = json.dumps({"act": "run", "steps": 1000})
    connection = http.client.HTTPConnection("127.0.0.1", playing.port, timeout=30)
    own = {"Cookie": playing.cookie, "Origin": f"http://127.0.0.1:{playing.port}", "Content-Type": "application/json"}
    connection.request("POST", "/act", body, own)
    half = socket.create_connection(("127.0.0.1", playing.port))
    half.sendall(b"GET / HTTP/1.1\r\n")
    time.sleep(0.3)
    began = time.monotonic()
    playing.process.send_signal(signal.SIGINT)
    answer = connection.getresponse()
    assert (answer.status, b"being stopped" in answer.read()) == (503, True)
    connection.close()
    playing.ends()
    assert time.monotonic() - began < 3  # the run would take longer
    half.close()


def test_in_a_terminal_enter_gives_another_address_and_ctrl_c_stops(play):
    playing = play("a*b", command=[*IN_A_TERMINAL, *PLAY])
    assert "Press Enter for another" in playing.told or playing.read_until("Press Enter for another")
    first, end = playing.cookie, ADDRESS.search(playing.told).end()
    playing.process.stdin.write(b"\n")
    playing.process.stdin.flush()
    playing.enter(end)
    assert len(set(ADDRESS.findall(playing.told))) == 2
    assert playing.cookie != first
    for cookie in (first, playing.cookie):
        assert playing.ask("GET", "/state", {"Cookie": cookie})[0] == 200
    playing.process.stdin.write(b"\x03")
    playing.process.stdin.flush()
    playing.read_until("Stopped.")
    assert playing.process.wait(10) == 0
    assert "Traceback" not in playing.told


def test_a_port_that_is_taken_is_told_and_what_to_do(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["play", "a*b", "--port", str(port)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"port {port}" in told.err and "taken by another program" in told.err and "leave --port out" in told.err


@pytest.mark.parametrize(
    ("words", "code", "meant"),
    [
        (["a*"], 2, "invalid syntax"),
        (["a*b", "--data", "moons"], 2, "one thing to play with at a time; got an expression and --data"),
        (["a*b", "--model", "2-1"], 2, "--model says nothing about an expression"),
        (["--digits", "--lr", "1"], 2, "--lr says nothing about --digits"),
        (["--digits", "nothing.safetensors"], 1, "there is no such file"),
        (["--data", "moon"], 2, "no data set of that name. Did you mean moons?"),
        (["--data", "zebra.csv"], 1, "no such file, and no data set of that name"),
        (["--model", "3-1"], 2, "begins with 2, ends with 1"),
        (["--model", "2-17-1"], 2, "at most 16 units"),
        (["--model", "2-1-1-1-1-1"], 2, "at most 3 layers"),
        (["--activation", "tahn"], 2, "Did you mean tanh?"),
        (["--n", "501"], 2, "at most 500"),
        (["--port", "80"], 2, "from 1024 to 65535"),
        (["--port", "65536"], 2, "from 1024 to 65535"),
        (["--seed", "4294967296"], 2, "at most"),
        (["--lr", "1e9"], 2, "at most"),
        (["a*b", "a=2", "a=3"], 2, "given twice"),
    ],
)
def test_wrong_usage_is_told(capsys, words, code, meant):
    assert main(["play", *words]) == code
    told = capsys.readouterr()
    assert meant in told.err
    assert "Traceback" not in told.err


# --- what is played with ----------------------------------------------------------------------------------------------


def made(*words):
    return _session(parser().parse_args([*words]))


def test_without_words_there_are_points_and_a_small_network():
    state = made().state()
    assert (state["kind"], len(state["points"]), state["sizes"], state["activation"]) == (
        "points",
        40,
        [2, 8, 1],
        "tanh",
    )
    assert (state["lr"], state["seed"]) == (0.5, 0)


@pytest.mark.parametrize("name", ["moons", "circles", "xor", "spirals"])
def test_every_kind_of_points(name):
    state = made(
        "--data", name, "--n", "12", "--model", "2-3-1", "--activation", "relu", "--seed", "3", "--lr", "0.2"
    ).state()
    assert {point["label"] for point in state["points"]} == {0, 1}
    assert (len(state["points"]), state["sizes"], state["activation"], state["seed"], state["lr"]) == (
        12, [2, 3, 1], "relu", 3, 0.2,
    )  # fmt: skip


def test_an_expression_and_its_names(capsys):
    state = made("-a*b + c", "a=2", "d=1", "--lr", "0.3").state()
    assert {leaf["name"]: leaf["value"] for leaf in state["leaves"] if leaf["trained"]} == {"a": 2, "b": 1, "c": 1}
    assert (state["loss"], state["lr"]) == (-1, 0.3)
    assert "d is given, and the expression does not use it" in capsys.readouterr().err


def test_names_are_those_that_the_expression_does_not_make():
    root = read("h = tanh(x * w)\n  y = h + w; y.relu() * h", {"x": 0.5, "unused": 3.0})
    leaves, todo = {}, [root]
    while todo:
        node = todo.pop()
        todo += node.parents
        if not node.parents and node.label:
            leaves[node.label] = node.data
    assert leaves == {"x": 0.5, "w": 1.0}
    assert read("a = x * 2; a", {"a": 5.0}).data == 2
    with pytest.raises(ArgumentError, match="tanh is a function"):
        read("tanh * 2", {})


def test_the_network_for_digits_learns_them():
    train, test = digits()
    model, accuracy = trained(train, test, seed=0)
    assert accuracy > 0.88
    drawn = np.array([centred(x.reshape(28, 28), 28).ravel() for x in test.x[:200]])
    right = model.predict(drawn).numpy().argmax(1) == test.y[:200]
    assert right.mean() > 0.88  # half a pixel to the side costs it six digits in a hundred
    assert sum(p.size for p in model.parameters()) == 13_002


def test_a_saved_network_is_drawn_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main("train digits --n 50 --model 784-4-10 --epochs 1 --save m.safetensors --quiet".split()) == 0
    state = made("--digits", "m.safetensors").state()
    assert [len(layer["values"]) for layer in state["layers"]] == [4, 4, 10]
    assert main("train moons --n 50 --model 2-4-2 --epochs 1 --save p.safetensors --quiet".split()) == 0
    assert main(["play", "--digits", "p.safetensors"]) == 2
    assert "takes 2 numbers, not the 784 pixels" in capsys.readouterr().err


# --- points from a file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["1,2,0\n-0.5,1e-1,1\n", "x0,x1,label\n1, 2, 0\n\n-0.5,0.1,1.0", "\ufeff1,2,0\r\n-0.5,0.1,1\r\n"]
)
def test_points_are_read(tmp_path, text):
    file = tmp_path / "points.csv"
    file.write_text(text, encoding="utf-8", newline="")
    assert read_points(str(file)) == ([[1, 2], [-0.5, 0.1]], [0, 1])
    assert [point["label"] for point in made("--data", str(file)).state()["points"]] == [0, 1]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "there is no point"),
        (b"x,y,label\n", "there is no point"),
        (b"1,2\n", "line 1: got '1,2'"),
        (b"1,2,0\n1,2,3\n", "line 2: got"),
        (b"1,2,0\na,b,c\n", "line 2: got"),
        (b"1,2,0\n1,inf,1\n", "line 2: got"),
        (b"1,2,0,0\n", "line 1: got"),
        (b"1,2,0\n1,2,0,x\n", "line 2: got"),
        (b"\xff\xfe\x00\n", "no text of that form"),
        (b"1,2,0\n" * 200_000, "too much to play with"),
    ],
)
def test_a_file_that_holds_no_points_is_told(tmp_path, content, match):
    file = tmp_path / "points.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_points(str(file))
