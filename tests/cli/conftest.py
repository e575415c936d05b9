"""What the command-line tests share: running a command in this process, and a network trained once."""

import os
from typing import NamedTuple

import pytest

from tinynet.cli import main

TRAINED = "train digits --n 600 --model 784-12-10 --activation tanh --epochs 3 --seed 4 --backend numpy"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def tinynet(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty folder; words with spaces are given as a list."""
    monkeypatch.chdir(tmp_path)

    def run(words, *more):
        capsys.readouterr()
        code = main([*(words.split() if isinstance(words, str) else words), *map(str, more)])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The file of a small network for the digits, with its report and history beside it."""
    folder = tmp_path_factory.mktemp("trained")
    before = os.getcwd()
    os.chdir(folder)
    try:
        more = ["--save", "model.safetensors", "--report", "report.html", "--history", "history.json", "--quiet"]
        assert main([*TRAINED.split(), *more]) == 0
    finally:
        os.chdir(before)
    return folder / "model.safetensors"
