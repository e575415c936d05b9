"""``tinynet tasks``: the list, a run, what it leaves behind."""

import importlib

import pytest

from tinynet.tasks import TASKS, binary
from tinynet.training.step import Step


def test_the_list(tinynet):
    ran = tinynet("tasks")
    assert (ran.code, ran.err) == (0, "")
    for name, what in TASKS.items():
        assert any(line.startswith(name) and line.endswith(what) for line in ran.out.splitlines())


def test_a_quick_run(tinynet, tmp_path):
    ran = tinynet("tasks binary --quick --backend numpy")
    assert (ran.code, ran.err) == (0, "")
    assert "epoch 1/15" in ran.out and "metric" in ran.out and "the straight boundary" in ran.out
    assert (tmp_path / "runs/tasks/binary.png").read_bytes()[1:4] == b"PNG"


def test_quiet_elsewhere_and_with_a_seed(tinynet, tmp_path):
    first, again, other = (tinynet(f"tasks binary --quick --quiet --seed {s} --out p{s}") for s in (5, 5, 6))
    table = [ran.out.splitlines()[:5] for ran in (first, again, other)]
    assert "epoch" not in first.out and "accuracy" in first.out
    assert table[0] == table[1] != table[2]
    assert (tmp_path / "p6/binary.png").is_file()


def test_all_runs_every_task(tinynet, monkeypatch, tmp_path):
    result = binary.run(quick=True, progress=False)
    ran_for = []
    for name in TASKS:
        module = importlib.import_module(f"tinynet.tasks.{name}")
        monkeypatch.setattr(module, "run", lambda *given, name=name: ran_for.append((name, *given)) or result)
    assert tinynet("tasks all --quick --quiet --seed 3").code == 0
    assert ran_for == [(name, True, 3, False) for name in TASKS]
    assert {path.stem for path in (tmp_path / "runs/tasks").iterdir()} == set(TASKS)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("tasks detectoin", "Did you mean detection?"),
        ("tasks binary --epochs 3", "there is no option --epochs"),
        ("tasks binary --seed -1", "it must be at least 0"),
    ],
)
def test_wrong_usage(tinynet, words, meant):
    ran = tinynet(words)
    assert (ran.code, ran.out) == (2, "") and meant in ran.err


def test_a_place_that_cannot_be_written(tinynet, tmp_path):
    (tmp_path / "file").write_text("")
    ran = tinynet("tasks binary --quick --quiet --out file")
    assert ran.code == 1 and "Traceback" not in ran.err


def test_an_interrupted_run_says_how_far_it_came(tinynet, monkeypatch):
    step = Step.__call__

    def interrupted(self, *given):
        self.trainer._ctrl_c.asked = True
        return step(self, *given)

    monkeypatch.setattr(Step, "__call__", interrupted)
    ran = tinynet("tasks binary --quick --quiet --backend numpy")
    assert ran.code == 130 and "accuracy" in ran.out and "interrupted" in ran.err
