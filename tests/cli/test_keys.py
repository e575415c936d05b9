"""The terminal that ``tinynet explain --step`` has: text cut to columns, keys by name, all put back at the end."""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynet.cli.keys import Keys, Line, fitted, frame, readable, windows_key, wrapped
from tinynet.explain.notation import columns

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

# --- text -------------------------------------------------------------------------------------------------------------


def test_a_plain_look_without_colours_and_without_unicode():
    line = [Line("d a/d b = −3 × 2", "at"), Line("\u2068שלום\u2069 变")]
    assert b"\x1b[1;36m" in frame(line, colour=True, encoding="utf-8")
    assert b"m" not in frame(line, colour=False, encoding="utf-8")
    assert b"\x1b[2Kd a/d b = -3 * 2\r\n" in frame(line, colour=False, encoding="ascii")
    assert readable(line[1].text, "ascii") == "???? ??"
    assert readable("−×", "latin-1") == "-×"


@given(st.text(), st.integers(-1, 30))
def test_text_is_fitted_and_wrapped_to_columns(words, width):
    assert columns(fitted(words, width)) <= max(width, 0)
    assert fitted(words, columns(words)) == words
    lines = wrapped(words, width)
    assert all(columns(line) <= max(width, 1) for line in lines)


def test_wrapping_loses_nothing():
    words = "d out/d \u2068שלום רב\u2069 = 变量 × 0.00134095, so far"
    for width in (2, 3, 9, 12, 40):
        parts = "".join(wrapped(words, width)).replace("\u2068", "").replace("\u2069", "")
        assert parts.replace(" ", "") == words.replace("\u2068", "").replace("\u2069", "").replace(" ", "")


# --- keys -------------------------------------------------------------------------------------------------------------


def named(*chunks):
    """The names of the keys in what arrives, chunk by chunk; an empty chunk is a pause."""
    arriving = iter([*chunks, None])
    keys = Keys(lambda seconds: next(arriving))
    return [*iter(lambda: keys.next(0.0), "closed")]


def test_keys_have_names():
    assert named("\x1b[C\x1bOD", "nq\r\n\x7f\x08 é") == [
        *["right", "left", "n", "q", "enter", "enter", "backspace", "backspace", " ", "é"]
    ]
    assert named("\x1b[H\x1b[1~\x1bOH\x1b[F\x1b[4~\x1bOF") == ["home"] * 3 + ["end"] * 3
    assert named("\x1b", "[", "C", "\x1b", "", "q") == ["right", "escape", "q"]  # in pieces; alone
    assert named("\x1b\x1b[C") == ["escape", "right"]
    assert named("\x1b[1;5C\x1b[200~\x1bx\x01\x1b[", "", "n") == ["", "", "", "", "", "n"]  # unknown ones do nothing
    assert named("", "\x1b") == ["", "escape"]


def test_keys_of_windows():
    typed = iter("\xe0M\xe0K\0G\xe0Ox\r\x08\x1b\xe0!\x03")
    names = [windows_key(lambda: next(typed)) for _ in range(9)]
    assert names == ["right", "left", "home", "end", "x", "enter", "backspace", "escape", ""]
    with pytest.raises(KeyboardInterrupt):
        windows_key(lambda: next(typed))


# --- a real terminal --------------------------------------------------------------------------------------------------

CONTROLLING = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, words, size, environment):
        self.ours, self.theirs = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.theirs)
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.program = subprocess.Popen(
            [sys.executable, "-c", CONTROLLING, sys.executable, *words],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
            env=kept | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | environment,
        )
        self.output = ""

    def resize(self, width, height):
        termios.tcsetwinsize(self.theirs, (height, width))

    def await_(self, wanted):
        """Read until this is shown, and forget what came before it."""
        end = time.monotonic() + 30
        while wanted not in self.output:
            assert time.monotonic() < end, f"{wanted!r} is not in {self.output!r}"
            if select.select([self.ours], [], [], 0.1)[0]:
                self.output += os.read(self.ours, 65536).decode("utf-8", "replace")
        before, _, self.output = self.output.partition(wanted)
        return before

    def send(self, keys, wanted):
        os.write(self.ours, keys.encode())
        return self.await_(wanted)

    def ended(self):
        """The exit code; the terminal is as it was."""
        code = self.program.wait(timeout=30)
        assert termios.tcgetattr(self.theirs) == self.before
        return code


@contextmanager
def terminal(*words, size=(80, 24), **environment):
    opened = Terminal(words, size, environment)
    try:
        yield opened
    finally:
        opened.program.kill()
        opened.program.wait()
        os.close(opened.ours), os.close(opened.theirs)


STEP = ["-m", "tinynet", "explain", "(a*b + 10).tanh()", "a=2", "b=-3", "--step"]
BACK_ON_THE_OLD_SCREEN = "\x1b[?25h\x1b[?1049l"


def test_arrows_lead_through_it_and_q_leaves():
    with terminal(*STEP) as t:
        assert "\x1b[?1049h" in t.await_("step 1 of 11 · forward")
        t.await_("q leave")
        assert not termios.tcgetattr(t.theirs)[3] & (termios.ICANON | termios.ECHO)
        t.send("\x1b[C", "step 2 of 11")
        t.await_("q leave")
        assert "\x1b[1;36m> v1    a × b       −6" in t.send("\x1b[C", "q leave")
        t.send("\x1b[F", "step 11 of 11 · backward")
        t.send("\x1b[D", "step 10 of 11")
        t.send("\x1b[H", "step 1 of 11")
        t.send("?", "step back")
        t.send(" ", "q leave")
        t.resize(40, 10)
        t.await_("→ next  ← back  ? help  q leave")
        t.send("q", BACK_ON_THE_OLD_SCREEN)
        t.await_("The gradients of the leaves\r\n")
        t.await_("b     −3     0.0026819")
        assert t.ended() == 0


@pytest.mark.parametrize(("keys", "code"), [("\x1b", 0), ("\x04", 0), ("\x03", 130)], ids=["escape", "end", "ctrl-c"])
def test_every_way_out_gives_the_terminal_back(keys, code):
    with terminal(*STEP) as t:
        t.await_("q leave")
        t.send(keys, BACK_ON_THE_OLD_SCREEN)
        t.await_("The gradients of the leaves" if code == 0 else "tinynet: interrupted.")
        assert t.ended() == code


def test_being_terminated_gives_the_terminal_back():
    with terminal(*STEP) as t:
        t.await_("q leave")
        t.program.send_signal(signal.SIGTERM)
        t.await_(BACK_ON_THE_OLD_SCREEN)
        assert t.ended() == 128 + signal.SIGTERM


def test_an_error_gives_the_terminal_back():
    with terminal("-c", "from tinynet.cli import keys\nwith keys.full_screen():\n    1 / 0") as t:
        t.await_(BACK_ON_THE_OLD_SCREEN)
        t.await_("ZeroDivisionError")
        assert t.ended() == 1


def test_without_colours_the_lines_at_hand_are_marked_all_the_same():
    with terminal(*STEP, NO_COLOR="1") as t:
        shown = t.await_("q leave")
        assert "\x1b[2K> a     (given)     2" in shown and "\x1b[1m" not in shown and "\x1b[1;36m" not in shown


def test_a_terminal_that_cannot_place_text_gets_lines():
    with terminal(*STEP, TERM="dumb") as t:
        assert "\x1b" not in t.await_("step 1 of 11 · forward\r\n")
        t.send("q\n", "The gradients of the leaves")
        assert t.ended() == 0


def test_a_prediction_is_typed():
    with terminal("-m", "tinynet", "explain", "a*b", "a=2", "b=-0.75", "--predict") as t:
        t.send("G", "= ?")
        t.send("-3/4", "> -3/4_")
        t.send("\r", "Right.")
        t.send("\x1b[C", "= ?")
        t.send("3\r", "Not quite. The product rule: d out/d b = a;")
        t.send("2\r", "Right at first try: 1 of 2.")
        t.send("q", "Right at first try: 1 of 2.\r\nThe gradients of the leaves")
        assert t.ended() == 0
