"""The terminal as a program for one screen needs it: keys come in by name, lines of text go out.

Everything is put back on leaving, however one leaves. Must not know what is shown.
"""

import codecs
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TextIO

from tinynet.explain.notation import ELLIPSIS, columns

if sys.platform == "win32":
    import msvcrt
else:
    import select
    import termios
    import tty

LONE_ESCAPE = 0.05  # seconds; the rest of an arrow key comes sooner
LOOK_AROUND = 0.3  # seconds between two looks at the window's size, while no key comes
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"  # another screen, no cursor, no wrapping

STYLES = {"title": "1", "quiet": "2", "from": "35", "at": "1;36", "strong": "1", "good": "1;32", "bad": "1;31"}
PLAIN = {"−": "-", "×": "*", "·": ".", "…": "~", "→": ">", "←": "<", "─": "-", "━": "=", "≥": ">", "≤": "<", "’": "'"}

_SEQUENCES = {
    **dict.fromkeys(["\x1b[C", "\x1bOC"], "right"),
    **dict.fromkeys(["\x1b[D", "\x1bOD"], "left"),
    **dict.fromkeys(["\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"], "home"),
    **dict.fromkeys(["\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"], "end"),
    **dict.fromkeys(["\r", "\n"], "enter"),
    **dict.fromkeys(["\x7f", "\x08"], "backspace"),
    "\x1b": "escape",
    "\x04": "closed",
}
_WINDOWS = {"M": "right", "K": "left", "G": "home", "O": "end"}
_ESCAPED = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|[^\[O\x1b])", re.DOTALL)


class Line(NamedTuple):
    """A line of the screen: its text, and what it is, which only colour shows besides."""

    text: str
    style: str = ""


# --- out --------------------------------------------------------------------------------------------------------------


def fitted(text: str, width: int) -> str:
    """The text, or as much of it as leaves room for an ellipsis, in that many columns."""
    if columns(text) <= width:
        return text
    kept, room = "", width - 1
    for c in text:
        room -= columns(c)
        if room < 0:
            break
        kept += c
    return _closed(kept + ELLIPSIS) if width > 0 else ""


def wrapped(text: str, width: int) -> list[str]:
    """The text on lines of at most that many columns, broken at spaces where there are any."""
    width, lines, line = max(width, 1), list[str](), ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if columns(longer) <= width:
            line = longer
            continue
        lines += [line] if line else []
        line = ""
        for c in word:
            if line and columns(line + c) > width:
                lines.append(line)
                line = ""
            line += c
    lines.append(line)
    for i in range(len(lines) - 1):
        closed = _closed(lines[i])
        lines[i + 1] = "\u2068" * (len(closed) - len(lines[i])) + lines[i + 1]
        lines[i] = closed
    return [fitted(line, width) for line in lines]


def readable(text: str, encoding: str | None) -> str:
    """The text as that encoding can write it, in as many columns: − as -, × as *, what has no likeness as ?."""
    try:
        text.encode(encoding or "utf-8")
        return text
    except UnicodeEncodeError:
        pass
    return "".join(
        c if c.encode(encoding or "utf-8", "ignore") else PLAIN.get(c, "?" * columns(c)) for c in text
    )  # a character without a width, such as the marks around right-to-left names, leaves no trace


def frame(lines: list[Line], colour: bool, encoding: str | None) -> bytes:
    """The bytes that draw the lines over whatever stands on the screen, without a flicker between."""
    shown = []
    for text, style in lines:
        text = readable(text, encoding)
        shown.append(f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colour and style else text)
    return ("\x1b[H" + "\r\n".join(f"\x1b[2K{line}" for line in shown) + "\x1b[J").encode(
        encoding or "utf-8", "replace"
    )


def _closed(text: str) -> str:
    """A name that is written from the right is set apart by two marks; when it is cut, the second is missing."""
    return text + "\u2069" * (text.count("\u2068") - text.count("\u2069"))


# --- in ---------------------------------------------------------------------------------------------------------------


class Keys:
    """Names of keys, from the characters that a terminal sends for them.

    Args:
        read: waits that many seconds for characters: empty when none came, None when none will come again.
    """

    def __init__(self, read: Callable[[float], str | None]) -> None:
        self.read = read
        self.waiting = ""

    def next(self, seconds: float) -> str:
        """``right``, ``home``, ``enter`` …, a character as it is, ``closed`` at the end; empty for none or unknown."""
        if not self.waiting and (more := self.read(seconds)) != "":
            if more is None:
                return "closed"
            self.waiting = more
        if self.waiting[:1] != "\x1b":
            return self._take(1)
        while not (whole := _ESCAPED.match(self.waiting)) and self.waiting[1:2] != "\x1b":
            more = self.read(LONE_ESCAPE)
            if not more:
                return self._take(1 if self.waiting == "\x1b" else len(self.waiting))
            self.waiting += more
        return self._take(whole.end() if whole else 1)

    def _take(self, n: int) -> str:
        taken, self.waiting = self.waiting[:n], self.waiting[n:]
        return _SEQUENCES.get(taken, taken if taken.isprintable() else "")


def windows_key(read: Callable[[], str]) -> str:
    """The name of the next key, from the console of Windows: ``read`` is ``msvcrt.getwch``."""
    c = read()
    if c in ("\0", "\xe0"):
        return _WINDOWS.get(read(), "")
    if c == "\x03":
        raise KeyboardInterrupt
    return _SEQUENCES.get(c, c if c.isprintable() else "")


# --- both -------------------------------------------------------------------------------------------------------------


class Screen(NamedTuple):
    """A terminal that is ours for a while."""

    show: Callable[[bytes], object]
    key: Callable[[], str]  # empty where none came for a while


def usable(stdin: TextIO | None, stdout: TextIO | None) -> bool:
    """Whether there is a person at a terminal that can place text: else lines are read and written."""
    dumb = os.environ.get("TERM", "") in (("dumb",) if sys.platform == "win32" else ("dumb", ""))
    return bool(stdin and stdout and stdin.isatty() and stdout.isatty()) and not dumb


@contextmanager
def full_screen() -> Iterator[Screen]:
    """The terminal without echo, key by key, on a screen of its own; afterwards all is as it was.

    Ctrl-C raises KeyboardInterrupt and SIGTERM leaves, as everywhere; Ctrl-Z gives the terminal back until ``fg``.
    """
    sys.stdout.flush()
    if sys.platform == "win32":
        os.system("")  # the old console then understands escape sequences
        sys.stdout.write(ENTER)

        def write(data: bytes) -> None:
            sys.stdout.write(data.decode(sys.stdout.encoding, "replace"))
            sys.stdout.flush()

        try:
            yield Screen(write, lambda: windows_key(msvcrt.getwch))
        finally:
            write(LEAVE.encode())
    else:
        fd, out = sys.stdin.fileno(), sys.stdout.fileno()
        before, decode = termios.tcgetattr(fd), codecs.getincrementaldecoder(sys.stdin.encoding)("replace").decode
        shown = b""

        def send(data: bytes) -> None:  # not by sys.stdout, which must not be entered twice: Ctrl-Z may come inside
            while data:
                data = data[os.write(out, data) :]

        def show(data: bytes) -> None:
            nonlocal shown
            shown = data
            send(data)

        def take() -> None:
            tty.setcbreak(fd, termios.TCSADRAIN)
            send(ENTER.encode() + shown)

        def give_back() -> None:
            with suppress(termios.error, OSError):  # a terminal that is gone needs nothing
                termios.tcsetattr(fd, termios.TCSADRAIN, before)
                send(LEAVE.encode())

        def stop(number: int, where: Any) -> None:
            give_back()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # here the program stands still
            signal.signal(number, stop)
            take()

        def end(number: int, where: Any) -> None:
            raise SystemExit(128 + number)

        def read(seconds: float) -> str | None:
            if not select.select([fd], [], [], seconds)[0]:
                return ""
            try:
                data = os.read(fd, 1024)
            except OSError:
                return None
            return decode(data) if data else None

        keys = Keys(read)
        acts = {signal.SIGTSTP: stop, signal.SIGTERM: end}
        handlers = {number: signal.signal(number, act) for number, act in acts.items()}
        try:
            take()
            yield Screen(show, lambda: keys.next(LOOK_AROUND))
        finally:
            give_back()
            for number, handler in handlers.items():
                signal.signal(number, handler)


def size() -> tuple[int, int]:
    """Columns and rows of the terminal."""
    return shutil.get_terminal_size()
