"""Progress: what is shown in a pipe, a terminal and a notebook, and that showing it costs no reads."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from training_runs import MOONS, REST, moons_trainer

import tinynet as tn
from tinynet import Tensor, data
from tinynet.errors import ArgumentError, CheckpointError
from tinynet.training import progress
from tinynet.training.progress import make_progress

LINE = r"epoch {}/3  loss 0\.\d{{4}}  accuracy \d\.\d{{4}}  val_loss 0\.\d{{4}}  val_accuracy \d\.\d{{4}}  \d\.\d\d s"


class Talker(tn.training.Callback):
    def on_epoch_end(self, trainer, row):
        if row["epoch"] == 1:
            trainer.note("half [bold] <way>")


@pytest.mark.tiny
def test_silent(capsys) -> None:
    history = moons_trainer().fit(MOONS, REST, epochs=3, callbacks=[Talker()], progress=False)
    assert capsys.readouterr() == ("", "") and history.notes == ["half [bold] <way>"]


@pytest.mark.tiny
@pytest.mark.parametrize("wanted", [True, "log"])  # the captured output is no terminal
def test_a_line_an_epoch(wanted, capsys) -> None:
    moons_trainer().fit(MOONS, REST, epochs=3, callbacks=[Talker()], progress=wanted)
    out, err = capsys.readouterr()
    assert err == ""
    first, note, second, third = out.splitlines()
    assert note == "half [bold] <way>"
    for i, line in enumerate((first, second, third), 1):
        assert re.fullmatch(LINE.format(i), line)


@pytest.mark.tiny
@pytest.mark.parametrize("wanted", ["bar", "silent", 3])
def test_other_wishes_are_refused(wanted) -> None:
    with pytest.raises(ArgumentError, match="True, False or 'log'"):
        make_progress(wanted, 1, 1)


# --- a terminal -------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from training_runs import MOONS, REST, moons_trainer
from test_progress import Talker
from tinynet.training import progress
progress.REDRAW = 0.0
moons_trainer(metrics=["accuracy"]).fit(MOONS, REST, epochs=3, batch_size=1, callbacks=[Talker()])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminal")
@pytest.mark.parametrize("columns", [100, 40])
def test_a_terminal_shows_a_bar_and_keeps_a_line_an_epoch(columns: int) -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "CI")}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(Path(__file__).parent)],
        stdout=theirs, stderr=subprocess.PIPE, env=environment | {"PYTHONPATH": str(root), "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(timeout=60) == 0, process.stderr.read().decode()
    process.stderr.close()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    plain = " ".join(text.split())
    for i in (1, 2, 3):
        assert re.search(LINE.format(i).replace("  ", " "), plain)
    assert "half [bold] <way>" in plain
    assert re.search(r"epoch 2/3", plain) and "/150" in plain
    if columns == 100:
        assert re.search(r"loss 0\.\d+ +accuracy [\d.]+ +[\d,]+/s", plain)
    assert shown.rstrip().endswith(b"\x1b[?25h") or b"\x1b[?25h" in shown[-200:]  # the cursor is shown again


# --- a notebook -------------------------------------------------------------------------------------------------------


@pytest.fixture
def notebook(monkeypatch) -> list[str]:
    """What a notebook would show: the first HTML, and each that replaced it."""
    shown: list[str] = []

    class Html:
        def __init__(self, text: str) -> None:
            self.text = text

    class Handle:
        def update(self, html: Html) -> None:
            shown.append(html.text)

    def display(html: Html, display_id: bool) -> Handle:
        assert display_id
        shown.append(html.text)
        return Handle()

    module = types.ModuleType("IPython.display")
    module.HTML, module.display = Html, display
    for name, found in (("ipykernel", types.ModuleType("ipykernel")), ("IPython.display", module)):
        monkeypatch.setitem(sys.modules, name, found)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setattr(progress, "REDRAW", 0.0)
    return shown


def test_a_notebook_updates_one_output(notebook: list[str], capsys) -> None:
    moons_trainer().fit(MOONS, REST, epochs=3, batch_size=10, callbacks=[Talker()])
    assert capsys.readouterr().out == ""
    bars = [text for text in notebook if "<progress" in text]
    assert len(bars) == 15
    assert '<progress value="7" max="15"></progress> epoch 2/3 loss ' in bars[6]
    assert re.search(r"accuracy [\d.]+  [\d,]+/s", bars[6])
    assert all("half [bold] &lt;way&gt;" in text for text in notebook[7:])
    lines = re.fullmatch(r"<pre>(.*)</pre>", notebook[-1], re.DOTALL).group(1).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "half [bold] &lt;way&gt;", "epoch 2/3", "epoch 3/3"]


def test_an_error_closes_the_bar(notebook: list[str], monkeypatch) -> None:
    closed = []
    monkeypatch.setattr(progress._Notebook, "close", lambda self: closed.append(True))

    class Broken(tn.training.Callback):
        def on_epoch_end(self, trainer, row):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        moons_trainer().fit(MOONS, callbacks=[Broken()])
    assert closed == [True]


def test_a_refused_run_closes_the_bar(notebook: list[str], monkeypatch, tmp_path) -> None:
    closed = []
    monkeypatch.setattr(progress._Notebook, "close", lambda self: closed.append(True))
    with pytest.raises(CheckpointError):
        moons_trainer().fit(MOONS, resume=tmp_path / "nothing")
    assert closed == [True]


# --- reading costs a synchronisation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [False, "log", "notebook"])
def test_values_are_read_once_an_epoch_whatever_the_number_of_steps(wanted, monkeypatch, request) -> None:
    if wanted == "notebook":
        request.getfixturevalue("notebook")
        monkeypatch.setattr(progress, "REDRAW", 3600.0)  # due once, at the start
        wanted = True
    reads = [0]
    numpy = Tensor.numpy

    def counted(self):
        reads[0] += 1
        return numpy(self)

    def reads_of(examples: int) -> int:
        trainer, points = moons_trainer(), data.moons(examples)
        trainer.fit(points, epochs=1, batch_size=1, progress=False)  # recorded
        monkeypatch.setattr(Tensor, "numpy", counted)
        reads[0] = 0
        trainer.fit(points, epochs=3, batch_size=1, progress=wanted)
        monkeypatch.setattr(Tensor, "numpy", numpy)
        return reads[0]

    few, many = reads_of(20), reads_of(400)
    assert few == many < 30
