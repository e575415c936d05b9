"""What a card is needed for, without one: the script and its stages, parity and the benchmark on the stand-in."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tinynet.bench import card as card_module
from tinynet.bench import gpu_parity
from tinynet.bench.workloads import FAMILIES, NAMED, read
from tinynet.cli import main

HOME = Path(__file__).parents[2]  # the checkout, whatever is installed
SCRIPTS = [HOME / "bench" / name for name in ("on_gpu.sh", "gpu_tests.sh")]
script = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

# --- the script -------------------------------------------------------------------------------------------------------


@script
@pytest.mark.tiny
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_bash(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True).stderr == ""
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", "--severity=warning", path], capture_output=True, text=True)
        assert done.stdout == ""


def on_gpu(python, folder, **environment):
    """The script, run from elsewhere, with another Python."""
    python.chmod(0o755)
    command = ["bash", SCRIPTS[0], *([folder] if folder else [])]
    home = os.environ | {"PYTHON": str(python)} | environment
    return subprocess.run(command, capture_output=True, text=True, env=home, cwd=python.parent, timeout=120)


@script
def test_without_a_gpu_it_says_why_and_writes_nothing(tmp_path):
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    done = on_gpu(python, tmp_path / "results", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("No usable GPU: backend 'cupy': CuPy is not installed. Install it: pip install")
    assert second == f"Nothing was run or written. {python} is the Python that was asked; PYTHON=… names another."
    assert not (tmp_path / "results").exists()


PRETENDS = """#!/usr/bin/env bash
# a Python that finds a card, and whose stages end as ENDS says
echo "$*" >>"$ASKED"
after() { while [ $# -gt 0 ]; do [ "$1" = "$WANTED" ] && echo "$2"; shift; done; }
case "$*" in
    *--read*) echo "the table of $(basename "${@: -1}")" ;;
    *bench.card\\ --plan) echo example-card-x9 2 ;;
    *bench.card*) echo "card               Example Card X9"; echo "driver             591.13" ;;
    *"-m pytest"*) echo "=== 7 passed, 9 deselected in 0.1s ==="; exit "$TESTS" ;;
    *gpu_parity*) echo "27 of 28 comparisons"; exit "$PARITY" ;;
    *"bench --backends cupy"*) echo "| mlp | 1 |"; WANTED=--json; echo '{}' >"$(after "$@")"; exit "$BENCH" ;;
    *) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""


@pytest.fixture
def pretending(tmp_path):
    """Run the script on a Python that only pretends; the folder it wrote and what was asked of the Python."""

    def run(folder="results", tests=0, parity=0, bench=0):
        python, asked = tmp_path / "python", tmp_path / "asked"
        python.write_text(PRETENDS)
        asked.write_text("")
        ends = {"ASKED": str(asked), "TESTS": str(tests), "PARITY": str(parity), "BENCH": str(bench)}
        return on_gpu(python, folder, **ends), tmp_path / "results", asked.read_text().splitlines()

    return run


@script
def test_every_stage_runs_and_is_summed_up(pretending):
    done, folder, asked = pretending()
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "summary.md", "tests.log", "parity.log",
        *(f"bench-{precision}.{ending}" for precision in ("float32", "tf32") for ending in ("json", "log")),
    }  # fmt: skip
    summary = (folder / "summary.md").read_text()
    assert summary.startswith("# tinynet on Example Card X9\n")
    for words in (
        "    driver             591.13", "| tests on the card | PASS |", "| benchmark, tf32 | PASS |",
        "tests: 14 tests passed, 0 failed or broke, in 2 parts", "parity: 27 of 28 comparisons",
        "the table of bench-float32.json", "the table of bench-tf32.json",
    ):  # fmt: skip
        assert words in summary, words
    assert [line.split()[-1] for line in asked if "-m pytest" in line and "--share" not in line] == []
    assert sum("--share 1/2" in line or "--share 2/2" in line for line in asked) == 2
    benchmarks = [line for line in asked if "--backends cupy" in line]
    assert ["--precision float32" in line for line in benchmarks] == [True, False]
    assert all("--peers torch,jax" in line for line in benchmarks)
    measured = benchmarks[0].partition("--workloads ")[2].split()[0].split(",")
    assert set(measured) > set(NAMED)
    for name in {*measured, *benchmarks[1].partition("--workloads ")[2].split()[0].split(",")}:
        read(name)


@script
def test_later_stages_run_although_one_failed(pretending):
    done, folder, asked = pretending(tests=1, parity=3)
    assert done.returncode == 1
    summary = (folder / "summary.md").read_text()
    assert "| tests on the card | FAIL: exit code 1 |" in summary
    assert "| parity with NumPy | FAIL: exit code 3 |" in summary
    assert "| benchmark, float32 | PASS |" in summary
    assert sum("--backends cupy" in line for line in asked) == 2
    assert "FAIL: exit code 3" in done.stdout.splitlines()[-4]  # the summary at the end


@script
def test_a_part_in_which_no_test_ran_is_no_failure_but_no_test_at_all_is_one(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$*" in *1/2*) echo "3 passed in 1s";; *) echo "0 tests"; exit 5;; esac\n')
    python.chmod(0o755)
    done = subprocess.run(["bash", SCRIPTS[1], python, "2"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("3 tests passed, 0 failed or broke, in 2 parts\n")
    python.write_text('#!/bin/sh\necho "9 skipped in 1s"\n')
    done = subprocess.run(["bash", SCRIPTS[1], python, "2"], capture_output=True, text=True)
    assert done.returncode == 1 and "0 tests passed" in done.stdout


@script
def test_an_interrupt_sums_up_the_tests_that_ran(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/bash\ntrap "echo 4 passed in 1s; exit 2" INT\necho begun\nsleep 60 & wait\n')
    python.chmod(0o755)
    began = ["timeout", "--foreground", "--signal=INT", "--kill-after=30", "2", "bash", SCRIPTS[1], python, "2"]
    done = subprocess.run(began, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("8 tests passed, 0 failed or broke, and not all were run\n")


# --- what it finds ----------------------------------------------------------------------------------------------------


def test_what_is_found(card, capsys):
    assert card_module.main([]) == 0
    found = capsys.readouterr().out
    for words in ("card               strict stand-in, compute capability 9.0", "CUDA               13.0", "numpy  "):
        assert words in found
    assert card_module.main(["--plan"]) == 0
    name, shares = capsys.readouterr().out.split()
    assert name == "strict-stand-in" and 1 <= int(shares) <= card_module.SHARES


# --- parity -----------------------------------------------------------------------------------------------------------


def test_every_family_is_compared():
    assert {read(name).family for name in gpu_parity.NETWORKS} == set(FAMILIES)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(gpu_parity, "NETWORKS", ("moons:4@6", "names:7-3-4x3@5"))


def test_parity_on_the_stand_in(card, small, tmp_path, capsys):
    assert gpu_parity.main(["--json", str(tmp_path / "parity.json")]) == 0
    assert capsys.readouterr().out.endswith("8 of 8 comparisons of cupy with numpy are within their bounds.\n")
    rows = json.loads((tmp_path / "parity.json").read_text())
    assert {(row["workload"], row["dtype"], row["what"]) for row in rows} == {
        (name, dtype, what)
        for name in gpu_parity.NETWORKS
        for dtype in ("float64", "float32")
        for what in ("gradients", "steps")
    }
    assert all(row["ok"] and 0 <= row["worst"] <= row["allowed"] for row in rows)


@pytest.mark.parametrize("dtype, error", [("float64", 1e-8), ("float32", 5e-4)])  # the second as TF32 would be
def test_a_kernel_that_is_a_little_wrong_differs(card, small, monkeypatch, capsys, dtype, error):
    linear = card.kernels["linear"]

    def off(*arrays, out=None, **params):
        result = linear(*arrays, out=out, **params)
        return card.xp.multiply(result, 1 + error, out=result) if result.dtype == dtype else result

    monkeypatch.setattr(card, "kernels", {**card.kernels, "linear": off})
    monkeypatch.setattr(gpu_parity, "NETWORKS", ("mlp:6-5-3@4",))
    assert gpu_parity.main([]) == gpu_parity.DIFFERENT
    lines = capsys.readouterr().out.splitlines()
    assert next(line.split()[1:4] for line in lines if "DIFFERS" in line) == [dtype, "gradients", "DIFFERS"]
    assert all("ok" in line for line in lines[:-1] if dtype not in line)


def test_a_family_that_fails_leaves_the_others_alone(card, small, monkeypatch, tmp_path, capsys):
    def embedding(*arrays, out=None, **params):
        raise ValueError("no such\nkernel")

    monkeypatch.setattr(card, "kernels", {**card.kernels, "embedding": embedding})
    assert gpu_parity.main(["--json", str(tmp_path / "parity.json")]) == gpu_parity.DIFFERENT
    rows = json.loads((tmp_path / "parity.json").read_text())
    assert {row["workload"] for row in rows if row["error"]} == {"names:7-3-4x3@5"}
    assert {row["worst"] for row in rows if row["error"]} == {None}
    assert "4 of 8 comparisons" in capsys.readouterr().out


def test_nan_is_the_worst_difference():
    assert gpu_parity._worst([(0.1, "a"), (float("nan"), "b"), (0.3, "c")])[1] == "b"
    assert not gpu_parity.Found("w", "float64", "steps", math.nan, "b", 1.0).ok


# --- the benchmark ----------------------------------------------------------------------------------------------------


def test_the_benchmark_on_the_stand_in(card, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "bench --backends cupy,numpy --peers none --quick --workloads mlp:5-4-3@4 --precision tf32 --quiet"
    assert main([*words.split(), "--json", "b.json", "--report", "b.html"]) == 0
    found = json.loads((tmp_path / "b.json").read_text())
    assert (found["ours"], found["precision"], found["interrupted"]) == ("tinynet cupy", "tf32", False)
    results = found["workloads"][0]["results"]
    assert list(results) == ["tinynet cupy", "tinynet cupy eager", "tinynet numpy", "tinynet numpy eager"]
    for name, one in results.items():
        assert one["first_loss"] == pytest.approx(results["tinynet numpy"]["first_loss"], rel=1e-2)
        assert (one["alone_s"] is None) == ("numpy" in name)
    assert results["tinynet cupy"]["memory_mb"] > 0
    assert "CUDA graph" in results["tinynet cupy"]["note"]
    assert found["machine"]["gpu"]["name"] == "strict stand-in" in (tmp_path / "b.html").read_text()
    capsys.readouterr()
    assert main(["bench", "--read", "b.json", "--markdown", "again.md"]) == 0
    assert "| mlp:5-4-3@4 |" in capsys.readouterr().out and "strict stand-in" in (tmp_path / "again.md").read_text()


def test_a_step_on_the_card_that_fails_is_exit_code_3(card, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tinynet.bench.contest.Process", refused)
    assert main("bench --backends cupy --peers none --quick --workloads mlp:5-4-3@4 --quiet".split()) == 3
    assert "tinynet cupy: no room on the card" in capsys.readouterr().out


def refused(*_, **__):
    from tinynet.bench.process import ContenderError

    raise ContenderError("no room on the card")
