"""The contest: everyone's turns, what is kept of them, and contenders that fail in every way there is."""

import json
import os
import sys
import threading
import time

import pytest

from tinynet.bench import contenders, process
from tinynet.bench.contenders import BY_NAME, OURS, Contender
from tinynet.bench.contest import FEWEST, ROUNDS, Contest, Entry, quartiles
from tinynet.bench.process import ContenderError, Process
from tinynet.bench.workloads import read

SILENT = lambda text: None
ODD = """
import os, sys, time
from tinynet.bench.contenders import Step

def touch():
    pass

def good(workload):
    return Step(lambda: print("a library that talks"), dict, lambda: "a word")

def holds(workload):
    kept = bytearray(80_000_000)
    return Step(lambda: len(kept) + len(bytearray(40_000_000)), dict)

def none(workload):
    return None

def raises(workload):
    raise ValueError("no such thing\\nand a second line")

def dies(workload):
    print("first\\nlast words", file=sys.stderr, flush=True)
    os._exit(7)

def refuses(workload):
    from tinynet.errors import ArgumentError
    raise ArgumentError("left out: for a reason")

def sleeps(workload):
    time.sleep(60)

def use_precision(precision):
    global asked_for
    asked_for = precision

def device(workload):
    launched, waits = [], []
    def run():
        launched.append(1)
        return 2.5
    def wait():
        if launched:  # steps that nobody has waited for yet
            waits.append(len(launched))
            launched.clear()
        time.sleep(0.001)
    note = lambda: f"{asked_for}, {os.environ.get('ODD')}, {max(waits)} at once"
    return Step(run, dict, note, wait, lambda: 12.5)

def other(workload):
    step = device(workload)
    return step._replace(run=lambda: step.run() + 1)

def dies_late(workload, count=[]):
    def run():
        count.append(1)
        if len(count) > 8:
            os.kill(os.getpid(), 9)
        time.sleep(0.3)
    return Step(run, dict)
"""


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """Contenders of a made-up library, known to this process and to those that it starts."""
    (tmp_path / "odd_library.py").write_text(ODD)
    names = ["good", "holds", "none", "raises", "refuses", "dies", "sleeps", "dies_late"]
    more = [Contender(name, "peer", name, f"odd_library:{name}", (name,)) for name in names]
    more.append(Contender("broken", "peer", "a missing library", "no_such_library:make", ("broken",)))
    for name in ("device", "other"):
        environment = (("ODD", "set"),)
        more.append(Contender(name, "peer", "", f"odd_library:{name}", (), device="gpu", environment=environment))
    rows = "; ".join(
        f"BY_NAME[{c.name!r}] = Contender({c.name!r}, 'peer', '', {c.home!r}, (), device={c.device!r})" for c in more
    )
    was = process.command

    def command(code, **environment):
        return was(f"from tinynet.bench.contenders import BY_NAME, Contender; {rows}; {code}", **environment)

    monkeypatch.setattr(process, "command", command)
    monkeypatch.syspath_prepend(str(tmp_path))
    return {c.name: c for c in more}


def run(asked, seconds=0.1, workload="mlp-quick"):
    contest = Contest(read(workload), asked, seconds, SILENT)
    contest.run()
    assert all(entry.process is None for entry in contest.entries.values())
    return contest


def test_contenders_take_turns():
    said = []
    contest = Contest(read("mlp-quick"), [BY_NAME[OURS], BY_NAME["tinynet numpy eager"]], 0.8, said.append)
    contest.run()
    rounds = [text.partition(", ")[2] for text in said if "round" in text]
    assert rounds[:4] == [OURS, "tinynet numpy eager", OURS, "tinynet numpy eager"]
    for entry in contest.entries.values():
        found = entry.result(contest.workload, gemm=100.0)
        assert FEWEST <= len(found["rounds_s"]) <= ROUNDS and found["repeats"] >= 1
        assert 0 < found["low_s"] <= found["median_s"] <= found["high_s"] < 1
        assert found["gflops"] == pytest.approx(contest.workload.flop / found["median_s"] / 1e9)
        assert found["share_of_gemm"] == pytest.approx(found["gflops"] / 100.0)
        assert found["import_s"] > 0 and found["first_call_s"] > 0
    assert "calls a step" in contest.entries[OURS].note
    json.dumps([entry.result(contest.workload, 1.0) for entry in contest.entries.values()])


def test_a_contender_that_fails_leaves_the_others_alone(odd):
    contest = run([odd[name] for name in ("raises", "refuses", "dies", "broken", "none", "good", "dies_late")])
    errors = {name: entry.error for name, entry in contest.entries.items()}
    assert errors["raises"] == "ValueError: no such thing"
    assert errors["refuses"] == "left out: for a reason"
    assert errors["dies"] == "its process ended (exit code 7): last words"
    assert errors["broken"].startswith("ModuleNotFoundError")
    assert errors["dies_late"] == "its process ended (killed by signal 9)"
    assert errors["good"] is None and len(contest.entries["good"].rounds) >= FEWEST
    assert contest.entries["good"].note == "a word"
    results = {name: entry.result(contest.workload, 1.0) for name, entry in contest.entries.items()}
    assert results["none"] is None and set(results["dies"]) == {"error"}


def test_one_that_does_not_answer_is_given_up(odd, monkeypatch):
    taken = Process("sleeps")
    try:
        with pytest.raises(ContenderError, match="no answer within 0 s"):
            taken.ask("make", patience=0.2, workload="mlp-quick")
    finally:
        taken.close()
    assert taken.process.poll() is not None


def test_a_first_call_that_takes_too_long_is_given_up(odd):
    contest = Contest(read("mlp-quick"), [odd["sleeps"]], 0.1, SILENT, patience=3.0)
    contest.run()
    assert contest.entries["sleeps"].error == "no answer within 3 s (make)"


def test_an_interrupt_keeps_what_was_measured(odd):
    def say(text):
        if "round 3" in text:
            raise KeyboardInterrupt

    contest = Contest(read("mlp-quick"), [odd["good"]], 2.0, say)
    with pytest.raises(KeyboardInterrupt):
        contest.run()
    assert len(contest.entries["good"].rounds) == 2 and contest.entries["good"].process is None
    assert contest.entries["good"].result(contest.workload, 1.0)["memory_mb"] is None


def test_a_device_is_waited_for_once_a_turn(odd):
    contest = Contest(read("mlp-quick"), [odd["device"]], 0.5, SILENT, "tf32")
    contest.prepare(together=True)
    entry = contest.entries["device"]
    try:
        assert entry.note == "tf32, set, 1 at once"  # first calls and the warm-up are waited for one by one
        contest.measure()
        again = entry.process.ask("make", workload="mlp-quick")["note"]  # a new step, which counts anew
    finally:
        contest.close()
    assert again == "tf32, set, 1 at once"
    found = entry.result(contest.workload, gemm=None)
    assert (found["memory_mb"], found["first_loss"], found["share_of_gemm"]) == (12.5, 2.5, None)
    assert found["alone_s"] >= 0.001  # the wait
    assert entry.repeats > 1 and found["median_s"] < 0.001  # many steps for one wait


def test_first_calls_side_by_side(odd):
    asked = [odd[name] for name in ("raises", "device", "none", "good", "other")]
    contest = Contest(read("mlp-quick"), asked, 0.3, SILENT)
    contest.prepare(together=True)
    try:
        assert list(contest.entries) == [c.name for c in asked]  # in their order, whoever comes first
        assert {name for name, entry in contest.entries.items() if entry.process} == {"device", "good", "other"}
    finally:
        contest.close()
    assert all(entry.process is None for entry in contest.entries.values())
    assert contest.entries["raises"].error == "ValueError: no such thing"


def test_what_is_stopped_waits_no_longer(odd):
    contest = Contest(read("mlp-quick"), [odd["sleeps"]], 0.3, SILENT)
    threading.Timer(1.0, contest.stop.set).start()
    began = time.monotonic()
    contest.prepare(together=True)  # it would sleep for a minute
    assert time.monotonic() - began < 30
    assert contest.entries["sleeps"].error == "given up"
    assert contest.entries["sleeps"].process is None


@pytest.mark.tiny
def test_only_those_take_part_that_have_an_answer():
    names = [c.name for c in Contest(read("moons"), contenders.CONTENDERS, 1.0, SILENT).contenders]
    assert "micrograd" in names and "scikit-learn" not in names


@pytest.mark.tiny
def test_slow_contenders_take_fewer_turns():
    fast, slow = Entry(step_s=1e-4), Entry(step_s=2.0)
    fast.plan(2.2)
    slow.plan(2.2)
    assert (fast.turns, fast.repeats) == (ROUNDS, 1000)
    assert (slow.turns, slow.repeats) == (FEWEST, 1)
    assert [n for n in range(ROUNDS) if slow.due(n)] == [3, 7, 10]
    assert all(map(fast.due, range(ROUNDS)))


@pytest.mark.tiny
def test_quartiles():
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured on Linux alone")
def test_memory_is_what_a_step_holds(odd):
    """80 MB that it keeps and 40 that it needs while it runs; Python and the library are not counted."""
    contest = run([odd["holds"]])
    assert contest.entries["holds"].memory_mb == pytest.approx(120, abs=8)


@pytest.mark.tiny
def test_where_memory_cannot_be_measured_the_note_says_so():
    class Elsewhere:
        def ask(self, what, **details):
            return {"memory_mb": None, "why": "no memory here"}

    contest = Contest(read("mlp-quick"), [], 1.0, SILENT)
    entry = Entry(process=Elsewhere(), rounds=[1.0], note="27 calls a step")
    contest._ask(entry, "memory", repeats=3)
    found = entry.result(contest.workload, 1.0)
    assert (found["memory_mb"], found["note"]) == (None, "27 calls a step; no memory here")


def test_the_processes_are_gone(odd):
    taken = Process("good")
    number = taken.process.pid
    taken.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
