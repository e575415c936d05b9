"""The machine that a figure was measured on: processor, memory, system, versions, and how fast it multiplies matrices.

The rate of float32 matrix products is what GFLOP/s of a training step are held against.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from tinynet import __version__
from tinynet.bench.gemm import best_rate
from tinynet.bench.process import command
from tinynet.errors import TinynetError
from tinynet.registry import backends, get_backend

SETTINGS = ("OPENBLAS_", "OMP_", "MKL_", "XLA_", "TORCH", "CUDA_VISIBLE", "CUPY_", "NVIDIA_TF32")  # may change a figure
SIDE = 1024  # of the two square matrices
PATIENCE = 60.0  # seconds; the longest the card's products are waited for
DRIVER = Path("/proc/driver/nvidia/version")
PACKAGES = (
    "numpy",
    "torch",
    "jax",
    "jaxlib",
    "scikit-learn",
    "micrograd",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "triton",
    "jax-cuda12-plugin",
    "jax-cuda13-plugin",
    "nvidia-cublas",
    "nvidia-cublas-cu12",
    "threadpoolctl",
)
ONE = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")}


def machine(seconds: float = 1.0) -> dict[str, Any]:
    """What the report says of this machine; the matrix products take about twice ``seconds``."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": processor(),
        "cores": cores(),
        "memory_gb": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "blas_kernels": _kernels(),
        "environment": {name: os.environ[name] for name in sorted(os.environ) if name.startswith(SETTINGS)},
        "gemm_gflops": products(seconds),
        "gpu": _gpu(seconds),
    }


def products(seconds: float) -> dict[str, float]:
    """GFLOP/s of the matrix product, by how many threads; takes about twice ``seconds``."""
    return {"one thread": _rate_apart(seconds, **ONE), "all threads": _rate_apart(seconds)}


def versions() -> dict[str, str]:
    """The versions of Python, tinynet and everything that takes part, where it is installed."""
    found = {"tinynet": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def rate(seconds: float, product: Any = None) -> float:
    """GFLOP/s of float32 (1024, 1024) @ (1024, 1024): the best of as many as fit into the time.

    Args:
        product: computes it once and waits for it, where that is not NumPy.
    """
    if product is None:
        x, y = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)
        out = np.empty_like(x)

        def product() -> None:
            np.matmul(x, y, out=out)

    product()
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        began = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - began)
    return 2 * SIDE**3 / best / 1e9


def _rate_apart(seconds: float, **environment: str) -> float:
    """The rate in a process of its own: how many threads BLAS has is settled when it is loaded."""
    code = f"from tinynet.bench.machine import rate; print(rate({seconds}))"
    done = subprocess.run(**command(code, **environment), capture_output=True, text=True)
    if done.returncode:
        raise TinynetError(f"Measuring the matrix product: {done.stderr.strip().splitlines()[-1]}.")
    return float(done.stdout)


def _gpu(seconds: float) -> dict[str, Any] | None:
    """The card and its rates, where the cupy backend can run; takes two starts of CUDA and at most three seconds."""
    if not backends()["cupy"].usable:
        return None
    found = card()
    found["gemm"], each = [], min(seconds, 0.3)
    for precision in ("float32", "tf32"):
        code = "from tinynet.bench.gemm import main; main()"
        given = command(code, CUPY_TF32=str(int(precision == "tf32")))
        given["args"] += [precision, str(each)]
        try:
            done = subprocess.run(**given, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            found["gemm_error"] = f"no answer within {PATIENCE:.0f} s"
            continue
        if done.returncode:
            found["gemm_error"] = done.stderr.strip().rpartition("\n")[2]
        else:
            found["gemm"] += json.loads(done.stdout.splitlines()[-1])
    found["gemm_gflops"] = best_rate(found, "float32")
    return found


def card() -> dict[str, Any]:
    """What CUDA says of the GPU that the cupy backend computes on: name, compute capability, memory and versions."""
    backend: Any = get_backend("cupy")
    runtime = backend.xp.cuda.runtime
    facts = runtime.getDeviceProperties(backend.xp.cuda.Device().id)
    name = facts["name"]
    return {
        "name": name.decode() if isinstance(name, bytes) else str(name),
        "compute_capability": f"{facts['major']}.{facts['minor']}",
        "memory_gb": facts["totalGlobalMem"] / 1e9,
        "driver": _driver(),
        "cuda": "{}, the driver knows {}".format(
            *(f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.runtimeGetVersion(), runtime.driverGetVersion()))
        ),
    }


def _driver() -> str:
    """The version of the NVIDIA driver; empty where neither the kernel nor nvidia-smi tells."""
    with contextlib.suppress(OSError):
        if found := re.search(r"\b\d+\.\d+(\.\d+)?\b", DRIVER.read_text().partition("\n")[0]):
            return found[0]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10)
        return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else ""
    return ""


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> float:
    """Gigabytes (10⁹ bytes) of main memory; 0 where that cannot be asked."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return 0.0


def _kernels() -> str | None:
    """Which of its kernels BLAS has chosen for this processor; None where threadpoolctl is not installed."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    for pool in threadpool_info():
        if pool.get("user_api") == "blas":
            kernels = str(pool.get("architecture", "unknown"))
            return f"{kernels}, set by OPENBLAS_CORETYPE" if os.environ.get("OPENBLAS_CORETYPE") else kernels
    return None
