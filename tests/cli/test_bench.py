"""``tinynet bench``: a small run and its files, wrong usage, an interrupt."""

import json
import os
import shutil

import pytest

from tinynet.bench import contest, machine, result
from tinynet.bench.contenders import Contender
from tinynet.bench.process import ContenderError
from tinynet.bench.workloads import QUICK
from tinynet.cli import main

QUICK_NAMES = list(QUICK)
SMALL = "bench --workloads mlp:8-4-3@2 --quick --json b.json --quiet"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of a small run: b.json and b.md."""
    folder = tmp_path_factory.mktemp("measured")
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert main([*SMALL.split(), "--markdown", "b.md"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def known_products(monkeypatch):
    """The rate of matrix products is known, and not measured."""
    for module in (machine, result):
        monkeypatch.setattr(module, "products", lambda seconds: {"one thread": 50.0, "all threads": 100.0})


def test_a_quick_run_and_its_files(tinynet, tmp_path):
    ran = tinynet("bench --quick --json out/b.json --markdown b.md --report b.html")
    assert (ran.code, ran.err) == (0, "")
    rows = [line for line in ran.out.splitlines() if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows] == ["ms a step", "-" * 14, *QUICK]
    found = json.loads((tmp_path / "out/b.json").read_text())
    assert found["format"] == 1 and found["command"].startswith("tinynet bench --quick --json")
    assert [w["name"] for w in found["workloads"]] == list(QUICK) and not found["interrupted"]
    for workload in found["workloads"]:
        assert workload["results"]["tinynet numpy"]["median_s"] > 0
    assert (tmp_path / "b.md").read_text().count("mlp-quick") and "<svg" in (tmp_path / "b.html").read_text()


def test_compared_with_itself(tinynet, measured, tmp_path):
    shutil.copy(measured / "b.json", tmp_path)
    ran = tinynet(f"{SMALL} --compare b.json")
    assert ran.code == 0 and "Compared with the run of 20" in ran.out and "of 3 figures" in ran.out


def test_another_machine_is_told_before_measuring(tinynet, measured, known_products, tmp_path):
    old = json.loads((measured / "b.json").read_text())
    old["machine"]["cores"] += 1
    (tmp_path / "old.json").write_text(json.dumps(old))
    ran = tinynet(f"{SMALL} --compare old.json")
    assert ran.code == 0 and ran.out.startswith("Not compared: the two runs are of different machines.\n  cores: ")
    assert ran.out.count("Not compared") == 1


def test_an_absent_peer_is_told(tinynet, known_products, monkeypatch):
    from tinynet.bench import contenders

    find = contenders.importlib.util.find_spec
    monkeypatch.setattr(contenders.importlib.util, "find_spec", lambda n: None if n == "jax" else find(n))
    ran = tinynet("bench --quick --workloads mlp-quick --peers jax")
    assert ran.code == 0 and "absent: JAX jit: jax is not installed" in ran.out


def test_an_interrupted_run_writes_what_it_has(tinynet, known_products, tmp_path, monkeypatch):
    turn, turns = contest.Contest._turn, []

    def interrupted(self, entry):
        turns.append(entry)
        if len(turns) == 4:
            raise KeyboardInterrupt
        turn(self, entry)

    monkeypatch.setattr(contest.Contest, "_turn", interrupted)
    ran = tinynet("bench --quick --json b.json")
    assert ran.code == 130 and "interrupted" in ran.err
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["interrupted"] and len(found["workloads"]) == 1
    assert found["workloads"][0]["results"]["tinynet numpy"]["median_s"] > 0


def test_nobody_can_take_part(tinynet, monkeypatch):
    monkeypatch.setattr(Contender, "why_absent", lambda self: "a reason")
    ran = tinynet("bench --quick --backends cupy")
    assert (ran.code, ran.out) == (1, "") and "tinynet cupy: a reason" in ran.err
    assert ran.err.startswith("tinynet: nobody who was asked for")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("bench --workloads mlp-3b1c", "Did you mean mlp-3b1b?"),
        ("bench --workloads mlp:784-0", "at least 1"),
        ("bench --backends nunpy", "there is no backend 'nunpy'. Did you mean numpy?"),
        ("bench --peers torhc", "there is no peer 'torhc'. Did you mean torch?"),
        ("bench --seconds 0", "must be above 0"),
        ("bench --json .", "is a folder"),
        ("bench --json a --markdown ./a", "name a; give each a file of its own"),
        ("bench --peers none,torch", "'none' stands alone"),
        ("bench --peers torch,all", "'all' stands alone"),
        ("bench --peers torch-graph", "has no step on the CPU, where the first of --backends, numpy, computes"),
        (
            "bench --backends cupy,numpy --peers micrograd",
            "has no step on the GPU, where the first of --backends, cupy",
        ),
        ("bench --precision tf32", "--precision tf32 is for a GPU: name cupy first"),
        ("bench --precision tf31", "there is no precision 'tf31'. Did you mean tf32?"),
    ],
)
def test_wrong_usage(tinynet, words, meant):
    ran = tinynet(words)
    assert (ran.code, ran.out) == (2, "") and meant in ran.err


@pytest.mark.parametrize("option", ["--json", "--markdown", "--report"])
def test_a_place_that_cannot_be_written_is_refused_first(tinynet, tmp_path, option):
    (tmp_path / "file").write_text("")
    ran = tinynet(f"bench {option} file/b")
    assert (ran.code, ran.out) == (1, "") and "Choose a folder" in ran.err


def test_a_run_is_read_again(tinynet, measured, tmp_path):
    for name in ("b.json", "b.md"):
        shutil.copy(measured / name, tmp_path)
    before = (tmp_path / "b.json").read_bytes()
    ran = tinynet("bench --read b.json --markdown again.md --report again.html")
    assert (ran.code, ran.err) == (0, "")
    assert "| workload | tinynet on NumPy |" in ran.out and "\n| mlp:8-4-3@2 | " in ran.out
    assert (tmp_path / "again.md").read_text() == (tmp_path / "b.md").read_text()
    assert "<svg" in (tmp_path / "again.html").read_text() and (tmp_path / "b.json").read_bytes() == before
    (tmp_path / "b.json").write_text("{}")
    ran = tinynet("bench --read b.json")
    assert (ran.code, ran.out) == (1, "") and "no result of `tinynet bench`" in ran.err


def test_what_was_measured_is_written_after_every_workload(tinynet, known_products, tmp_path, monkeypatch):
    measure = contest.Contest.measure

    def killed(self):
        if self.workload.name == QUICK_NAMES[1]:
            found = json.loads((tmp_path / "b.json").read_text())
            assert found["interrupted"] and [w["name"] for w in found["workloads"]] == QUICK_NAMES[:1]
            raise MemoryError
        measure(self)

    monkeypatch.setattr(contest.Contest, "measure", killed)
    with pytest.raises(MemoryError):
        tinynet("bench --quick --quiet --json b.json")


def test_a_step_of_tinynets_own_that_fails_is_an_exit_code(tinynet, known_products, monkeypatch):
    def fails(*_, **__):
        raise ContenderError("no such kernel")

    monkeypatch.setattr(contest, "Process", fails)
    ran = tinynet("bench --quick --workloads mlp-quick")
    assert ran.code == 3 and "tinynet numpy: no such kernel" in ran.out


def test_a_damaged_old_run_is_refused_first(tinynet, tmp_path):
    (tmp_path / "old.json").write_text("{}")
    ran = tinynet("bench --compare old.json")
    assert (ran.code, ran.out) == (1, "") and "no result of `tinynet bench`" in ran.err


def test_help_shows_the_notation(tinynet):
    ran = tinynet("bench --help")
    assert ran.code == 0 and "mlp:784-256-10@128" in ran.out and "mlp-3b1b" in ran.out
