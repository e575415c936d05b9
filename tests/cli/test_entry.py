"""Finding a command, its help, its exit code; and that help costs nothing."""

import os
import subprocess
import sys

import pytest

import tinynet as tn
from tinynet.cli.entry import COMMANDS

PYTHON = [sys.executable, "-W", "error", "-m", "tinynet"]


def test_help_names_every_command_and_every_exit_code(tinynet):
    ran = tinynet("--help")
    assert ran.code == 0
    assert ran.err == ""
    for command in COMMANDS:
        assert f"\n  {command} " in ran.out
    for code in ("0 done", "1 an error", "2 wrong usage", "3 the check failed", "130 interrupted"):
        assert code in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(tinynet, command):
    ran = tinynet(f"{command} --help")
    assert ran.code == 0
    assert ran.out.startswith(f"usage: tinynet {command}")
    assert f"example:\n  tinynet {command}" in ran.out or f"&& tinynet {command}" in ran.out
    assert tinynet(f"help {command}").out == ran.out


def test_the_help_of_train_states_its_defaults(tinynet):
    text = " ".join(tinynet("train --help").out.split())
    for default in ("default: digits", "784-16-16-10 for digits", "default: relu", "default: sgd", "default: 10)"):
        assert default in text


def test_version(tinynet):
    assert tinynet("--version") == (0, f"tinynet {tn.__version__}\n", "")


def test_no_command_is_wrong_usage(tinynet):
    ran = tinynet("")
    assert (ran.code, ran.out) == (2, "")
    assert "commands:" in ran.err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("tarin", "Did you mean train?"),
        ("--versoin", "Did you mean --version?"),
        ("train --modle 784-10", "Did you mean --model?"),
        ("train --learning 3", "there is no option --learning"),
        ("train digts", "Did you mean digits?"),
        ("train --optimizer adm", "Did you mean adam?"),
        ("train --activation sigmod", "Did you mean sigmoid?"),
        ("train digits 5", "there is no place for 5"),
        ("train --epochs many", "it takes a whole number; got 'many'"),
        ("train --lr 0", "it must be above 0"),
        ("train --l2 -1", "it must be at least 0"),
        ("predict", "required"),
    ],
)
def test_wrong_usage_is_told_in_a_line_or_two(tinynet, words, meant):
    ran = tinynet(words)
    assert (ran.code, ran.out) == (2, "")
    assert meant in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == 2


def test_an_error_is_told_without_a_traceback_unless_asked_for(tinynet):
    ran = tinynet("evaluate nothing.safetensors")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no such file" in ran.err
    assert "Traceback" not in ran.err
    assert "Traceback" in tinynet("evaluate nothing.safetensors --traceback").err
    assert "Traceback" in tinynet("--traceback evaluate nothing.safetensors").err


def test_a_terminal_that_knows_ascii_alone_is_served_too():
    words = [*PYTHON, "train", "--help"]
    ran = subprocess.run(words, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"Nielsen's ?" in ran.stdout


def test_help_imports_nothing_that_is_slow():
    look = "import sys; from tinynet.cli import main; main(['--help']); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert not loaded & {"numpy", "matplotlib", "rich", "safetensors", "PIL"}


def test_as_a_module_and_into_a_closed_pipe():
    ran = subprocess.run([*PYTHON, "backends"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("scalar")
    piped = f"{' '.join(PYTHON)} train --n 100 --epochs 60 --no-save | head -1"
    ran = subprocess.run(["bash", "-c", piped], capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr
    assert "Exception" not in ran.stderr
