"""Where the cupy backend cannot run, it says so at once, with the reason and what to do; where it can, it is chosen."""

import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import strict_cupy
from strict_backend import StrictCupy
from strict_cublas import StrictCublas

import tinynet as tn
from tinynet import registry
from tinynet.backends.cupy_backend import CupyBackend
from tinynet.errors import BackendUnavailable


def fail(error):
    def attempt(*_, **__):
        raise error

    return attempt


def modules(name, **changes):
    """The stand-in, with some of its names changed; ``runtime_…`` lie in ``cuda.runtime``."""
    runtime = {**vars(strict_cupy.cuda.runtime)}
    runtime |= {key.removeprefix("runtime_"): value for key, value in changes.items() if key.startswith("runtime_")}
    xp = types.ModuleType(name)
    xp.__getattr__ = lambda attribute: getattr(strict_cupy, attribute)
    vars(xp).update({k: v for k, v in changes.items() if not k.startswith("runtime_")})
    xp.cuda = types.SimpleNamespace(**{**vars(strict_cupy.cuda), "runtime": types.SimpleNamespace(**runtime)})
    return xp


OLD = RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")
NVRTC = RuntimeError(
    "CuPy failed to load libnvrtc.so.13: OSError: libnvrtc.so.13: cannot open shared object file\nmore"
)
HEADERS = RuntimeError("\n\nCompileException: /tmp/kernel.cu(4): catastrophic error: cannot open source file\nmore")

idle = StrictCublas()  # a cuBLAS that multiplies nothing
idle.cublasGemmEx.body = lambda *_: 0

# what is missing -> (the module that stands for CuPy, the reason, what to do)
FAILURES = {
    "driver": (
        {"runtime_getDeviceCount": fail(OLD), "runtime_driverGetVersion": lambda: 0},
        "cannot find a GPU.*cudaErrorInsufficientDriver",
        "no NVIDIA driver: install one",
    ),
    "newer driver": (
        {"runtime_getDeviceCount": fail(OLD), "runtime_driverGetVersion": lambda: 12040},
        "cudaErrorInsufficientDriver",
        r"driver knows CUDA 12\.4, this CuPy needs 13\.0: update the driver, or pip install.*cuda12",
    ),
    "card": ({"runtime_getDeviceCount": lambda: 0}, "cannot find a GPU", "CUDA_VISIBLE_DEVICES"),
    "memory": ({"zeros": fail(MemoryError("Out of memory"))}, "cannot make an array.*Out of memory", "free memory"),
    "NVRTC": (
        {"ElementwiseKernel": lambda *_: fail(NVRTC)},
        r"cannot compile a kernel.*libnvrtc\.so\.13",
        r"\[ctk\].*pip",
    ),
    "headers": ({"ElementwiseKernel": lambda *_: fail(HEADERS)}, "cannot compile.*cannot open source file", r"\[ctk\]"),
    "cuBLAS": ({"cublas": object()}, "cannot multiply.*this cuBLAS has no cublasCreate", r"\[ctk\]"),
    "right numbers": ({"cublas": idle}, "product came out", r"\[ctk\]"),
}


@pytest.mark.parametrize("changes, reason, fix", FAILURES.values(), ids=FAILURES)
def test_what_is_missing_is_named_with_its_fix(changes, reason, fix):
    kernel = {"ElementwiseKernel": lambda *_: abs}  # takes an array and does no harm
    changes = {**kernel, "cublas": StrictCublas(), **changes}
    with pytest.raises(BackendUnavailable, match=f"(?s){reason}.*{fix}") as caught:
        CupyBackend(modules("cupy", **changes), changes["cublas"])
    assert "\n" not in str(caught.value)


def test_the_probe_passes_where_nothing_is_missing():
    backend = CupyBackend(modules("cupy", ElementwiseKernel=lambda *_: abs), StrictCublas())
    assert (backend.name, backend.is_host) == ("cupy", False)
    with pytest.raises(BackendUnavailable, match=r"compile a kernel.*kernels need a GPU"):
        CupyBackend(strict_cupy)  # the stand-in compiles nothing, and is found out


PAGE = "\n====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: libcudart.so.13\n====\n"
IMPORTS = {
    "absent": ("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')", "not installed.*pip install"),
    "half there": ("import fastrlock_is_not_there", "without fastrlock_is_not_there.*pip install"),
    "broken": (
        f"raise ImportError({PAGE!r}) from ImportError('libcudart.so.13')",
        r"cannot be imported \(ImportError: libcudart\.so\.13\).*anew: pip install",
    ),
    "warning": (
        "import warnings\nwarnings.warn('CUDA path could not be detected')\nraise OSError('odd')",
        "OSError: odd",
    ),
}


@pytest.mark.parametrize("source, message", IMPORTS.values(), ids=IMPORTS)
def test_a_cupy_that_cannot_be_imported(tmp_path, monkeypatch, source, message):
    (tmp_path / "cupy.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "cupy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(registry, "_loaded", {})
    usable, reason = tn.backends()["cupy"]
    assert not usable
    with pytest.raises(BackendUnavailable, match=f"(?s)cupy.*{message}") as caught:
        tn.Tensor([1.0], backend="cupy")
    assert str(caught.value) == reason
    assert "\n" not in reason


def test_nothing_is_imported_that_is_not_asked_for_and_absence_is_told_within_a_second(tmp_path):
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')")
    program = """
import sys, time
import tinynet as tn
tn.Tensor, tn.nn, tn.optim, tn.data
tn.nn.Linear(2, 2)([[1.0, 2.0]])
heavy = {"cupy", "cupyx", "matplotlib", "rich", "torch"} & set(sys.modules)
assert not heavy, heavy
start = time.perf_counter()
try:
    tn.nn.Linear(2, 2).to("cupy")
except tn.errors.BackendUnavailable as error:
    print(time.perf_counter() - start, error)
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    home = {**os.environ, "PYTHONPATH": str(Path(tn.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=60, env=home)
    assert (done.returncode, done.stderr) == (0, "")
    seconds, _, message = done.stdout.partition(" ")
    assert float(seconds) < 1
    assert "pip install 'tinynet-engine[cuda13]'" in message


def test_auto_takes_the_gpu_where_it_can_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(registry, "_loaded", {"cupy": StrictCupy()})
    assert tn.get_backend("auto").name == "cupy"
    assert "auto is cupy" in capsys.readouterr().err
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setitem(registry.BUILT_IN, "cupy", "no_such_module:Backend")
    assert tn.get_backend("auto").name == "numpy"
    assert "auto is numpy (cupy: " in capsys.readouterr().err


@pytest.mark.gpu
def test_a_gpu_is_found_within_ten_seconds_and_computes():
    start = time.perf_counter()
    backend = CupyBackend()
    assert time.perf_counter() - start < 10  # the first one starts CUDA and compiles
    np.testing.assert_array_equal(backend.numpy(backend.full((2, 2), 3.0, "float32")), 3.0)
