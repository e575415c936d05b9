"""Runs side by side: every test runs once, whoever is the quicker, and a file's tests stay together."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from side_by_side import claimed

TESTS = [SimpleNamespace(path=Path(f"test_{file}.py"), number=number) for number in (1, 2) for file in "abcd"]


@pytest.mark.tiny
@pytest.mark.parametrize("turns", ["12", "1112", "2", "21222"])
def test_every_test_runs_once_and_a_file_stays_together(tmp_path, turns):
    """Also where the tests of a file do not follow each other, as pytest may sort them."""
    runs = {turn: claimed(TESTS, tmp_path) for turn in "12"}
    taken = {turn: [] for turn in runs}
    while runs:
        for turn in turns + "12":
            if turn in runs:
                if test := next(runs[turn], None):
                    taken[turn].append(test)
                else:
                    del runs[turn]
    one, two = taken.values()
    assert sorted(map(id, one + two)) == sorted(map(id, TESTS))
    assert not {test.path for test in one} & {test.path for test in two}


def test_two_runs_of_pytest(tmp_path):
    """The second finds begun what the first has run; a failure of either is its exit code."""
    helpers = Path(__file__).parent
    for name in ("conftest.py", "side_by_side.py"):
        (tmp_path / name).write_text((helpers / name).read_text())
    (tmp_path / "test_a.py").write_text("def test_1(): pass\ndef test_2(): assert False")
    (tmp_path / "test_b.py").write_text("def test_3(): pass")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--claims", "begun"]
    first, second = (
        subprocess.run([*command, *only], cwd=tmp_path, capture_output=True, text=True) for only in (["test_a.py"], [])
    )
    assert first.returncode == 1 and "1 failed, 1 passed" in first.stdout
    assert second.returncode == 0 and "1 passed" in second.stdout
