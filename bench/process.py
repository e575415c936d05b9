"""A contender's process, seen from outside: started, asked, and ended whatever happens. A process that dies or does not
answer becomes a ContenderError, never a hang."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from tinynet.errors import TinynetError

PATIENCE = 300.0  # seconds; the longest anything is waited for, compilation too
GLANCE = 0.2  # seconds between two looks at whether the run has been stopped


class ContenderError(TinynetError):
    """A contender that has no answer: its error, how its process ended, or that it took too long."""


def command(code: str, **environment: str) -> dict[str, Any]:
    """Arguments of subprocess for Python code that finds the same modules as this process does."""
    start = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); {code}"
    path = json.dumps([os.path.abspath(p) for p in sys.path])
    return {"args": [sys.executable, "-c", start, path], "env": os.environ | environment}


class Process:
    """One contender in a process of its own, with its library imported.

    Args:
        precision: float32, or tf32 for a contender on a GPU.
        patience: seconds, the longest its import is waited for.
        stop: once it is set, nothing is waited for any longer.
        environment: variables of the process.

    Attributes:
        import_s: seconds that the import took.

    Raises:
        ContenderError: it could not be imported.
    """

    def __init__(
        self,
        contender: str,
        precision: str = "float32",
        patience: float = PATIENCE,
        stop: threading.Event | None = None,
        **environment: str,
    ) -> None:
        self.stop = stop or threading.Event()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            **command("from tinynet.bench.child import main; main()", **environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,  # a Ctrl-C in the terminal is for this process alone
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            answer = self.ask("imports", patience, contender=contender, precision=precision)
            self.import_s = float(answer["import_s"])
        except BaseException:
            self.close()
            raise

    def ask(self, what: str, patience: float = PATIENCE, **details: Any) -> dict[str, Any]:
        """The answer to a request, one of ``child.py``'s.

        Raises:
            ContenderError: there is none.
        """
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps({"do": what, **details}) + "\n")
            self.process.stdin.flush()
            line = self._line(what, patience)
        except OSError:
            line = ""
        if not line:
            raise ContenderError(self._end())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContenderError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process, and those that it has started."""
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):  # compilers that it left behind
                os.killpg(self.process.pid, signal.SIGKILL)
        self.reader.join(timeout=5.0)
        self.process.stdout.close()
        self.errors.close()

    def _line(self, what: str, patience: float) -> str:
        end = time.monotonic() + patience
        while not self.stop.is_set():
            with contextlib.suppress(queue.Empty):
                return self.lines.get(timeout=max(min(GLANCE, end - time.monotonic()), 0.0))
            if time.monotonic() >= end:
                raise ContenderError(f"no answer within {patience:.0f} s ({what})")
        raise ContenderError("given up")

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def _end(self) -> str:
        """How the process ended, and the last thing that it said."""
        try:
            code = self.process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            return "it stopped answering"
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"its process ended ({how})" + (f": {said[-1].strip()}" if said else "")
