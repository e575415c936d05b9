"""What is said of the machine, and the result that it stands in."""

import copy
import json
import os
import platform

import numpy as np
import pytest

import tinynet
from tinynet.bench import machine, result
from tinynet.bench.contenders import BY_NAME, OURS
from tinynet.bench.contest import Entry
from tinynet.bench.workloads import read


@pytest.fixture(scope="module")
def here():
    return machine.machine(0.05)


def test_the_machine(here):
    assert 1 <= here["cores"] <= os.cpu_count()
    assert here["system"].startswith(platform.system()) and here["processor"]
    assert here["memory_gb"] > 0.1 and here["blas"] != "unknown"
    rates = here["gemm_gflops"]
    assert set(rates) == {"one thread", "all threads"} and min(rates.values()) > 0.1
    json.dumps(here)


def test_variables_that_change_a_figure_are_kept(monkeypatch):
    monkeypatch.setattr(machine, "products", lambda seconds: {})
    given = {"OPENBLAS_CORETYPE": "Haswell", "XLA_FLAGS": "f", "TORCHINDUCTOR_X": "1", "OMP_X": "2", "MKL_X": "3"}
    for name, value in (given | {"OTHER_X": "4"}).items():
        monkeypatch.setenv(name, value)
    found = machine.machine(0.01)["environment"]
    assert given.items() <= found.items() and "OTHER_X" not in found and "PATH" not in found


@pytest.mark.tiny
def test_the_rate_is_operations_by_time():
    import time

    assert machine.rate(0.0, lambda: time.sleep(0.01)) == pytest.approx(2 * 1024**3 / 0.0105 / 1e9, rel=0.3)


@pytest.mark.tiny
def test_versions():
    found = machine.versions()
    assert (found["tinynet"], found["numpy"]) == (tinynet.__version__, np.__version__)
    assert found["python"] == platform.python_version()


@pytest.fixture
def empty(monkeypatch, here):
    monkeypatch.setattr(result, "machine", lambda seconds: copy.deepcopy(here))
    names = [OURS, "tinynet numpy eager", "PyTorch eager", "JAX jit", "floor"]
    asked = [(BY_NAME[name], "why" if name == "floor" else None) for name in names]
    return result.Result("tinynet bench", asked, 0.1)


def test_ratios(empty):
    entries = {
        OURS: Entry(rounds=[2e-3]),
        "tinynet numpy eager": Entry(rounds=[1e-3]),
        "PyTorch eager": Entry(rounds=[6e-3]),
        "JAX jit": Entry(rounds=[4e-3, 3e-3, 5e-3]),
        "floor": Entry(rounds=[1.6e-3]),
    }
    part = empty.add(read("mlp-3b1b"), entries)
    assert (part["best_peer"], part["ratio"]) == ("JAX jit", pytest.approx(2.0))
    assert part["floor_ratio"] == pytest.approx(1.25)
    assert (part["parameters"], part["batch"], part["what"]) == (13_002, 32, "784-16-16-10, ReLU, batch 32")
    assert part["results"]["JAX jit"]["rounds_s"] == [4e-3, 3e-3, 5e-3]
    whole = empty.finish(interrupted=True)
    assert json.loads(result.written(whole)) == whole and whole["interrupted"] and whole["gpu_answer"]
    assert [c["why_absent"] for c in whole["contenders"]] == [None, None, None, None, "why"]


def test_without_numpy_ratios_are_of_the_first_backend_asked_for(monkeypatch, here):
    monkeypatch.setattr(result, "machine", lambda seconds: copy.deepcopy(here))
    names = ["tinynet scalar", "micrograd"]
    run = result.Result("tinynet bench", [(BY_NAME["tinynet cupy"], "why"), *((BY_NAME[n], None) for n in names)], 0.1)
    part = run.add(read("moons"), {"tinynet scalar": Entry(rounds=[2e-3]), "micrograd": Entry(rounds=[5e-3])})
    assert run.all["ours"] == "tinynet scalar" and part["ratio"] == pytest.approx(2.5)


def test_the_better_rate_of_two_is_kept(empty, monkeypatch):
    rates = empty.machine["gemm_gflops"]
    one, every = rates["one thread"], rates["all threads"]
    part = empty.add(read("mlp-3b1b"), {OURS: Entry(rounds=[1e-3]), "JAX jit": Entry(error="E")})
    share = part["results"][OURS]["share_of_gemm"]
    monkeypatch.setattr(result, "products", lambda seconds: {"one thread": one / 2, "all threads": every * 2})
    empty.measure_again()
    assert rates == {"one thread": one, "all threads": every * 2}
    assert part["results"][OURS]["share_of_gemm"] == pytest.approx(share / 2)


def test_no_ratio_without_both(empty):
    part = empty.add(read("mlp-3b1b"), {OURS: Entry(rounds=[1e-3]), "JAX jit": Entry(error="E"), "floor": Entry()})
    assert (part["best_peer"], part["ratio"], part["floor_ratio"]) == (None, None, None)
    assert part["results"]["JAX jit"] == {"error": "E"} and "floor" not in part["results"]
    part = empty.add(read("mlp-3b1b"), {"JAX jit": Entry(rounds=[1e-3])})
    assert (part["best_peer"], part["ratio"]) == ("JAX jit", None)
