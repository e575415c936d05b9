"""What is said of the machine, and the result that it stands in."""

import copy
import json
import os
import platform

import numpy as np
import pytest

import tinynet
from tinynet import get_float32_matmul_precision
from tinynet.bench import machine, process, result
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


CARD_GEMM = [
    {"side": 1024, "precision": "float32", "library": 4e3, "tinynet": 9e3},
    {"side": 4096, "precision": "float32", "library": 5e3, "tinynet": 4e3},
    {"side": 4096, "precision": "tf32", "library": 8e4, "tinynet": 7e4},
]


@pytest.fixture
def on_card(monkeypatch, here):
    """The result of a run whose first backend is cupy."""

    def make(precision="float32", without="", backends=("tinynet cupy", "tinynet cupy eager", OURS), gemm=CARD_GEMM):
        gpu = {"name": "a card", "gemm": gemm}
        monkeypatch.setattr(result, "machine", lambda seconds: copy.deepcopy(here) | {"gpu": gpu})
        names = [*backends, "PyTorch eager (CUDA)", "JAX jit (CUDA)"]
        asked = [(BY_NAME[n], "why" if n.startswith(without or "?") else None) for n in names]
        return result.Result("tinynet bench", asked, 0.1, precision)

    return make


TIMES = {
    "tinynet cupy": 2e-3,
    "tinynet cupy eager": 1e-3,
    OURS: 1e-4,
    "PyTorch eager (CUDA)": 6e-3,
    "JAX jit (CUDA)": 5e-3,
}


def entries(**losses):
    return {name: Entry(rounds=[seconds], first_loss=losses.get(name.split()[0])) for name, seconds in TIMES.items()}


def test_on_a_card_ratios_and_shares_are_of_the_card(on_card):
    run = on_card()
    part = run.add(read("mlp-512"), entries())
    assert run.all["ours"] == "tinynet cupy" and (part["best_peer"], part["ratio"]) == ("JAX jit (CUDA)", 2.5)
    ours, host = part["results"]["tinynet cupy"], part["results"][OURS]
    assert ours["share_of_gemm"] == pytest.approx(ours["gflops"] / 5e3)  # the best rate of the library, in float32
    assert host["share_of_gemm"] == pytest.approx(host["gflops"] / run.machine["gemm_gflops"]["all threads"])
    assert [c["device"] for c in run.all["contenders"]] == ["gpu", "gpu", "cpu", "gpu", "gpu"]
    before = ours["share_of_gemm"]
    run.measure_again()
    assert ours["share_of_gemm"] == before
    assert run.all["precision"] == "float32"


def test_shares_are_of_the_rate_in_the_precision_of_the_run(on_card):
    part = on_card("tf32").add(read("mlp-512"), entries())
    assert part["results"]["tinynet cupy"]["share_of_gemm"] == pytest.approx(
        part["results"]["tinynet cupy"]["gflops"] / 8e4
    )
    part = on_card(gemm=[]).add(read("mlp-512"), entries())
    assert part["results"]["tinynet cupy"]["share_of_gemm"] is None


def test_peers_on_a_card_are_not_compared_with_a_cpu(on_card):
    run = on_card(without="tinynet cupy")
    part = run.add(read("mlp-512"), {name: entry for name, entry in entries().items() if "cupy" not in name})
    assert run.all["ours"] == OURS and (part["best_peer"], part["ratio"]) == (None, None)


def test_numpy_asked_for_first_keeps_the_ratios(on_card):
    assert on_card(backends=("tinynet scalar", OURS)).all["ours"] == OURS
    assert on_card(backends=(OURS, "tinynet cupy")).all["ours"] == OURS
    assert on_card(backends=("tinynet scalar", "tinynet cupy")).all["ours"] == "tinynet scalar"


def test_whoever_computes_something_else_has_failed(on_card):
    run = on_card()
    part = run.add(read("mlp-512"), entries(tinynet=2.3, PyTorch=2.3001, JAX=2.4))
    assert part["results"]["JAX jit (CUDA)"] == {
        "error": "it computes something else: its first loss is 2.4, that of tinynet cupy 2.3"
    }
    assert part["best_peer"] == "PyTorch eager (CUDA)" and run.broken() == []
    part = on_card("tf32").add(read("mlp-512"), entries(tinynet=2.3, PyTorch=2.31, JAX=2.4))
    assert "error" not in part["results"]["PyTorch eager (CUDA)"] and "error" in part["results"]["JAX jit (CUDA)"]


def test_a_step_of_tinynets_own_that_fails_is_told(on_card):
    run = on_card()
    run.add(read("mlp-3b1b"), {"tinynet cupy": Entry(error="E"), OURS: Entry(error="left out: it takes long")})
    assert run.broken() == ["E"]


# --- the card ---------------------------------------------------------------------------------------------------------


def test_the_card_and_its_rates(card):
    found = machine._gpu(0.01)
    assert (found["name"], found["compute_capability"]) == ("strict stand-in", "9.0")
    assert found["cuda"] == "13.0, the driver knows 13.0"
    assert [(row["precision"], row["side"]) for row in found["gemm"]] == [
        (precision, side) for precision in ("float32", "tf32") for side in (32, 40)
    ]
    for row in found["gemm"]:
        assert row["library"] > 0 and row["tinynet"] > 0
        rounded = row["precision"] == "tf32"  # 10 bits of each factor
        assert (row["tinynet_error"] > 1e-5) == rounded and row["tinynet_error"] < 1e-2
    assert found["gemm_gflops"] == max(row["library"] for row in found["gemm"] if row["precision"] == "float32")
    assert get_float32_matmul_precision() == "highest"  # what was set was set elsewhere


def test_a_card_that_multiplies_nothing_is_a_card_all_the_same(card, monkeypatch):
    monkeypatch.setattr(machine, "command", lambda code, **_: process.command("raise OSError('no cuBLAS')"))
    found = machine._gpu(0.01)
    assert found["gemm"] == [] and found["gemm_gflops"] is None and found["gemm_error"] == "OSError: no cuBLAS"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC 12.2.0",
            "535.183.01",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95  Release Build\n", "580.95"),
    ],
)
def test_the_driver_is_read_from_the_kernel(tmp_path, monkeypatch, text, version):
    (tmp_path / "version").write_text(text)
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "version")
    assert machine._driver() == version


def test_a_driver_that_nobody_names_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._driver() == ""


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
