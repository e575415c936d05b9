"""Made-up results of `tinynet bench` for the tests of its report: a full one, and ones with things missing.

The figures are invented, and odd on purpose, so that none of them is found in a report by chance.
"""

import copy
from typing import Any

NUMPY, EAGER, TORCH, COMPILED, JAX, FLOOR = (
    "tinynet numpy", "tinynet eager", "PyTorch eager", "torch.compile", "JAX jit", "floor",
)  # fmt: skip
SIZES = {  # name: what, parameters, batch, million operations, ms of each contender in turn, calls
    "mlp-3b1b": ("784-16-16-10, ReLU, batch 32", 13002, 32, 2.5, (0.0513, 0.224, 0.187, 0.331, 0.0927, 0.0487), 27),
    "mlp-nielsen": ("784-30-10, ReLU, batch 10", 23860, 10, 1.43, (0.0412, 0.171, 0.163, 0.284, 0.121, 0.0391), 19),
    "mlp-512": ("784-512-512-10, ReLU, batch 256", 669706, 256, 1030.0, (3.04, 3.31, 3.38, 3.47, 3.52, 2.97), 29),
    "cnn-nielsen": ("1→20 5×5, pool, →40 5×5, pool, 100, 10; batch 64", 89670, 64, 390.0,
                    (6.91, 9.77, 7.93, 15.2, 17.3, 6.64), 41),
    "rnn-char": ("embed 32, hidden 128, 64 steps, batch 32", 31265, 32, 346.0,
                  (3.13, 8.07, 7.21, None, 4.73, 2.93), 214),
    "lstm-char": ("embed 32, hidden 128, 64 steps, batch 32", 93089, 32, 1120.0,
                  (8.83, 22.6, 7.12, None, 14.6, 8.21), 433),
    "gpt-nano": ("4 layers, 4 heads, 128 wide, context 64, batch 12, vocabulary 65", 809665, 12, 3720.0,
                 (21.9, 53.6, 22.1, 22.6, 78.9, 20.7), 187),
    "names-mlp": ("3×10 → 200 tanh → 27, batch 32", 11897, 32, 2.17, (0.0641, 0.353, 0.219, 0.383, 0.128, 0.0617), 23),
}  # fmt: skip
GEMM = 351.7


def contenders() -> list[dict[str, Any]]:
    """Who was asked for."""
    return [
        {"name": NUMPY, "role": "tinynet", "what": "the recorded step, replayed on NumPy", "present": True},
        {"name": EAGER, "role": "tinynet", "what": "the same step, not recorded", "present": True},
        {"name": "tinynet cupy", "role": "tinynet", "what": "the recorded step on a GPU", "present": False,
         "why_absent": "CuPy is not installed: pip install 'tinynet-engine[cuda13]'."},
        {"name": TORCH, "role": "peer", "what": "PyTorch, as its tutorials write it", "present": True},
        {"name": COMPILED, "role": "peer", "what": "the same under torch.compile, default mode", "present": True},
        {"name": JAX, "role": "peer", "what": "jax.jit over the parameters, buffers donated", "present": True},
        {"name": "micrograd", "role": "peer", "what": "Karpathy's engine", "present": False,
         "why_absent": "micrograd is not installed: pip install micrograd."},
        {"name": FLOOR, "role": "floor", "what": "the same NumPy calls written by hand", "present": True},
    ]  # fmt: skip


def measured(seconds: float, index: int, flop: float, note: str = "") -> dict[str, Any]:
    """One contender on one workload."""
    rounds = [seconds * f for f in (0.95, 0.97, 0.99, 1.0, 1.02, 1.04, 1.09)]
    rate = flop / seconds / 1e9
    return {
        "median_s": seconds, "low_s": rounds[1], "high_s": rounds[5], "rounds_s": rounds, "repeats": 31 + index,
        "first_call_s": (0.0193, 0.00217, 0.0531, 7.83, 0.417, 0.00113)[index],
        "memory_mb": 1.37 + 2.9 * index + seconds * 997,
        "import_s": (0.137, 0.138, 1.83, 1.84, 0.973, 0.136)[index],
        "gflops": rate, "share_of_gemm": rate / GEMM, "note": note,
    }  # fmt: skip


def full() -> dict[str, Any]:
    """All eight workloads on two cores, one of them slower than a peer, one level, torch.compile failing on two."""
    workloads = []
    for name, (what, parameters, batch, million, times, calls) in SIZES.items():
        results: dict[str, Any] = {}
        for i, (contender, ms) in enumerate(zip((NUMPY, EAGER, TORCH, COMPILED, JAX, FLOOR), times)):
            if ms is None:
                results[contender] = {"error": f"BackendCompilerFailed: {name} is not compiled by inductor here"}
                continue
            note = f"{calls} calls, {1 + (ms > 1)} threads" if contender == NUMPY else ""
            results[contender] = measured(ms / 1e3, i, million * 1e6, note)
        peers = {p: results[p]["median_s"] for p in (TORCH, COMPILED, JAX) if "median_s" in results[p]}
        best = min(peers, key=lambda p: peers[p])
        workloads.append({
            "name": name, "family": name.split("-")[0], "what": what, "parameters": parameters, "batch": batch,
            "flop": million * 1e6, "results": results, "best_peer": best, "ratio": peers[best] / (times[0] / 1e3),
            "floor_ratio": times[0] / times[5],
        })  # fmt: skip
    return {
        "format": 1,
        "command": "tinynet bench --peers torch,jax --report bench.html --json bench.json",
        "began": "2026-11-20T21:00:00Z",
        "seconds": 183.4,
        "interrupted": False,
        "machine": {
            "processor": "Example Processor 9000 at 2.90 GHz", "cores": 2, "memory_gb": 15.6, "system": "Linux 6.1",
            "blas": "OpenBLAS 0.3.29", "blas_kernels": "SkylakeX",
            "gemm_gflops": {"one thread": 187.3, "all threads": GEMM}, "gpu": None,
        },
        "versions": {"tinynet": "0.1.0", "python": "3.11.9", "numpy": "2.3.1", "torch": "2.13.0", "jax": "0.10.2"},
        "contenders": contenders(),
        "workloads": workloads,
        "crossovers": [_over_batch(), _over_width()],
    }  # fmt: skip


def _over_batch() -> dict[str, Any]:
    points = [
        {
            "x": n,
            "seconds": {
                "scalar": 0.00021 * n + 0.00003 if n <= 64 else None,
                "numpy": 0.00041 + 2.1e-6 * n,
                "cupy": None,
            },
        }
        for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    ]
    words = "numpy overtakes scalar at a batch of about 1.84 examples"
    overtakes = [
        {"who": "numpy", "whom": "scalar", "at": 1.84, "words": words},
        {"who": "cupy", "whom": "numpy", "at": None, "words": "cupy was absent: it could not be compared with numpy"},
    ]
    return {"of": "batch", "title": "Batch size, mlp 8-16-4", "points": points, "overtakes": overtakes}


def _over_width() -> dict[str, Any]:
    points = [
        {"x": n, "seconds": {"scalar": 0.000031 * n * n + 0.0001 if n <= 32 else None, "numpy": 0.00037 + 3e-8 * n * n}}
        for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    ]
    overtakes = [
        {"who": "numpy", "whom": "scalar", "at": 3.0, "words": "numpy overtakes scalar at about 3 units a layer"}
    ]
    return {"of": "width", "title": "Width, mlp n-n-n, batch 1", "points": points, "overtakes": overtakes}


def with_gpu() -> dict[str, Any]:
    """The full one with a card: slower on the small networks, faster on the large ones."""
    result = full()
    result["machine"]["gpu"] = {"name": "Example Card", "memory_gb": 139.0, "gemm_gflops": 41300.0}
    for one in result["contenders"]:
        if one["name"] == "tinynet cupy":
            one.update(present=True, why_absent=None)
    for workload in result["workloads"]:
        calls = SIZES[workload["name"]][5]
        seconds = calls * 7.7e-6 + workload["flop"] / 20e12
        workload["results"]["tinynet cupy"] = measured(seconds, 0, workload["flop"], f"{calls} kernel launches")
    for point in result["crossovers"][1]["points"]:
        point["seconds"]["cupy"] = 0.0011 + 1e-10 * point["x"] ** 2
    words = "cupy overtakes numpy at about 156 units a layer"
    result["crossovers"][1]["overtakes"].append({"who": "cupy", "whom": "numpy", "at": 156.0, "words": words})
    return result


CARD, CARD_EAGER, CARD_TORCH, CARD_COMPILED, CARD_JAX = (
    "tinynet cupy", "tinynet cupy eager", "PyTorch eager (CUDA)", "torch.compile (CUDA)", "JAX jit (CUDA)",
)  # fmt: skip
LARGE = "mlp:4096-4096-4096@4096"
ON_CARD = {  # name: what, parameters, batch, million operations, ms of each contender in turn
    "mlp-3b1b": ("784-16-16-10, ReLU, batch 32", 13002, 32, 2.5, (0.0123, 0.613, 0.217, 0.0891, 0.0367)),
    "lstm-char": ("embed 32, hidden 128, 64 steps, batch 32", 93089, 32, 1120.0, (0.931, 9.71, 1.27, None, 0.877)),
    LARGE: ("4096-4096-4096, ReLU, batch 4096", 33562624, 4096, 687194.8, (15.1, 15.9, 15.3, 14.9, 16.7)),
}  # fmt: skip
CARD_GEMM = {("float32", 1024): 33100.0, ("float32", 4096): 47300.0, ("tf32", 1024): 91700.0, ("tf32", 4096): 271300.0}


def on_gpu() -> dict[str, Any]:
    """A run on a card: ratios are of tinynet there, one level, one slower; one workload is mostly matrix products."""
    names = (CARD, CARD_EAGER, CARD_TORCH, CARD_COMPILED, CARD_JAX)
    workloads = []
    for name, (what, parameters, batch, million, times) in ON_CARD.items():
        results: dict[str, Any] = {}
        for i, (contender, ms) in enumerate(zip(names, times)):
            if ms is None:
                results[contender] = {"error": "RuntimeError: no compiler was found"}
                continue
            one = measured(ms / 1e3, i, million * 1e6, "31 calls a step, replayed as 1 CUDA graph" if not i else "")
            one["share_of_gemm"] = one["gflops"] / CARD_GEMM["float32", 4096]
            results[contender] = one | {"alone_s": ms / 1e3 + 7.3e-6, "first_loss": 2.3071}
        peers = {p: results[p]["median_s"] for p in names[2:] if "median_s" in results[p]}
        best = min(peers, key=lambda p: peers[p])
        workloads.append({
            "name": name, "family": name.partition("-")[0], "what": what, "parameters": parameters, "batch": batch,
            "flop": million * 1e6, "results": results, "best_peer": best, "ratio": peers[best] / (times[0] / 1e3),
            "floor_ratio": None,
        })  # fmt: skip
    result = full()
    result["machine"]["gpu"] = {
        "name": "Example Card X9", "compute_capability": "8.7", "memory_gb": 85.1, "driver": "591.13.07",
        "cuda": "13.0, the driver knows 13.1", "gemm_gflops": CARD_GEMM["float32", 4096],
        "gemm": [
            {"side": side, "precision": precision, "library": rate, "library_error": error, "tinynet": rate * 0.983,
             "tinynet_error": error * 1.1}
            for (precision, side), rate in CARD_GEMM.items()
            for error in [3.1e-7 if precision == "float32" else 2.9e-4]
        ],
    }  # fmt: skip
    return result | {
        "command": "tinynet bench --backends cupy --peers torch,jax --json a/b.json --report a/b.html --seconds 6",
        "ours": CARD,
        "precision": "float32",
        "versions": {"tinynet": "0.1", "numpy": "2.5.1", "torch": "2.11.0", "jax": "0.11.2", "cupy-cuda13x": "14.2.0"},
        "contenders": [
            {"name": name, "role": "tinynet" if i < 2 else "peer", "what": f"the {i}th", "device": "gpu",
             "present": True, "why_absent": None}
            for i, name in enumerate(names)
        ],
        "workloads": workloads,
    }  # fmt: skip


def without_peers() -> dict[str, Any]:
    """Nothing but tinynet is installed, and there is one workload."""
    result = full()
    result["workloads"] = result["workloads"][:1]
    for one in result["contenders"]:
        if one["role"] == "peer":
            one.update(present=False, why_absent=f"{one['name']} is not installed.")
    only = result["workloads"][0]
    only.update(best_peer=None, ratio=None)
    only["results"] = {name: only["results"][name] for name in (NUMPY, EAGER, FLOOR)}
    return result


def nulls() -> dict[str, Any]:
    """Null wherever the format allows it, and in more places."""
    result = full()
    result.update(command="", began=None, seconds=None, versions={}, crossovers=None, machine={"gemm_gflops": None})
    for workload in result["workloads"]:
        workload.update(what=None, parameters=None, batch=None, flop=None, best_peer=None, ratio=None, floor_ratio=None)
        for one in workload["results"].values():
            one.update({key: None for key in one if key not in ("median_s", "error")})
    result["workloads"][1]["results"] = {NUMPY: {"error": "the process ended with exit code -9"}}
    result["workloads"][2]["results"] = {NUMPY: {"median_s": None}}
    result["workloads"][3]["results"] = None
    return result


def interrupted() -> dict[str, Any]:
    """Ctrl-C in the second workload."""
    result = full()
    result.update(interrupted=True, workloads=result["workloads"][:2], crossovers=[])
    result["workloads"][1]["results"] = {NUMPY: result["workloads"][1]["results"][NUMPY]}
    result["workloads"][1].update(best_peer=None, ratio=None, floor_ratio=None)
    return result


def hostile() -> dict[str, Any]:
    """Text that would be markup if it were not escaped, wherever text comes from outside."""
    bad = "<b>|\"`*_&'</b><script>alert(1)</script>"
    result = copy.deepcopy(full())
    result.update(command=bad, began=bad, gpu_answer=f"{bad}\n\n- {bad}")
    result["machine"].update(processor=bad, system=bad, blas=bad, blas_kernels=bad, gpu={bad: bad})
    result["machine"]["gemm_gflops"][bad] = 3.3
    result["versions"][bad] = bad
    result["contenders"][3].update(name=bad, what=bad)
    result["contenders"][6].update(name=bad + "2", why_absent=bad)
    for workload in result["workloads"]:
        best = bad if workload["best_peer"] == TORCH else workload["best_peer"]
        workload.update(name=bad + workload["name"], what=bad, best_peer=best)
        workload["results"][bad] = workload["results"].pop(TORCH)
        workload["results"][bad]["note"] = bad
        workload["results"][COMPILED] = {"error": bad}
    for curve in result["crossovers"]:
        curve["title"] = curve["of"] = bad
        curve["overtakes"][0].update(who=bad, whom=bad, words=bad)
        for point in curve["points"]:
            point["seconds"][bad] = 0.01
    return result


def empty() -> dict[str, Any]:
    """Nothing at all."""
    return {"format": 1}


ALL = {f.__name__: f for f in (full, with_gpu, on_gpu, without_peers, nulls, interrupted, hostile, empty)}
