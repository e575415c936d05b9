"""The README's Python, run as it stands: all blocks in order, as one program."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)


def test_it_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks()), "README.md", "exec"), {"__name__": "__main__"})
    shown = capsys.readouterr().out
    assert "agree: worst" in shown and "13,002 parameters" in shown and "np.subtract(parameters" in shown
    for name in ("backprop.html", "network.html", "graph.svg", "curves.png", "m.safetensors", "maps.png"):
        assert (tmp_path / name).stat().st_size > 500


@pytest.mark.tiny
def test_every_section_is_here():
    assert len(blocks()) == 5
