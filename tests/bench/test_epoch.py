"""A whole epoch beside PyTorch: what it needs, what it runs, what it says."""

import os
from pathlib import Path

import pytest

from tinynet.bench import epoch


@pytest.mark.tiny
def test_without_mnist_it_says_what_it_needs(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    monkeypatch.setenv("TINYNET_CACHE", str(tmp_path))
    assert epoch.main([]) == 1
    assert "four files (.gz) in one folder, and they are not here. `tinynet data mnist`" in capsys.readouterr().err


@pytest.mark.tiny
def test_without_pytorch_it_says_so(monkeypatch, tmp_path, capsys):
    for name in epoch.FILES:
        (tmp_path / name).touch()
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    monkeypatch.setattr(epoch.importlib.util, "find_spec", lambda name: None)
    assert epoch.main([]) == 1
    assert "PyTorch, which is not installed: pip install torch" in capsys.readouterr().err


@pytest.mark.tiny
def test_the_table():
    shown = epoch.table({"tinynet": [0.5, 2.0, 1.0], "PyTorch": [3.5, 2.5, 9.0]}, {"tinynet": "93%", "PyTorch": "94%"})
    assert [line.split() for line in shown.splitlines()[1:]] == [
        "tinynet 1.00 s 0.50 s 2.00 s 93%".split(),
        "PyTorch 3.50 s 2.50 s 9.00 s 94%".split(),
        "PyTorch / tinynet: 3.50 (the aim is 3 at least)".split(),
    ]


@pytest.mark.tiny
def test_who_fails_is_heard():
    with pytest.raises(epoch.EpochError, match=r"ended with 1:\s+no such thing"):
        epoch.take([epoch.sys.executable, "-c", "raise SystemExit('no such thing')"])


@pytest.mark.mnist
@pytest.mark.torch
def test_both_learn_the_same_task(monkeypatch):
    """More than nine of ten after an epoch, which chance would not give, and no more than a point or two apart."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(epoch.__file__).parents[2]), *epoch.sys.path]))
    accuracies = [float(epoch.take(c)[1].rstrip("%")) for c in epoch.commands(epoch.folder()).values()]
    assert min(accuracies) > 90
    assert max(accuracies) - min(accuracies) < 3
