"""JAX on a CUDA device: the whole step one compiled function, its parameters' memory handed on.

Memory is what XLA's allocator has handed out at most in this process, less what the tiny first step had left behind.
"""

from typing import Any

import jax

from tinynet.bench.contenders import Step
from tinynet.bench.peers import jax_jit
from tinynet.bench.workload import Workload
from tinynet.bench.workloads import read

UNROLL = 16  # steps of a recurrence a turn of its loop: each turn costs launches


def why_absent() -> str | None:
    """Why no step can be taken here; None if it can."""
    try:
        found = sorted({device.platform for device in jax.devices()})
    except Exception as error:  # whatever a plugin that is absent or half there raises
        words = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"JAX {jax.__version__} finds no CUDA device ({words}). Its CUDA plugin is jax[cuda13] or jax[cuda12]"
    return None if "gpu" in found else f"JAX {jax.__version__} finds no CUDA device, only: {', '.join(found)}"


def use_precision(precision: str) -> None:
    """How float32 is multiplied, in products and in convolutions: as float32, or in TF32."""
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if precision == "tf32" else "highest")


def touch() -> None:
    """Take a tiny step: the device is then set up, and what is loaded late is there."""
    step = jax_jit.launched(read("mlp-quick"))
    step.run()
    step.wait()


def make(workload: Workload) -> Step:
    """The step; the first call compiles it."""
    before = _memory("bytes_in_use")
    choices: dict[str, Any] = {"unroll": UNROLL} if workload.family in ("rnn", "lstm") else {}
    return jax_jit.launched(workload, **choices)._replace(memory=lambda: _used(before))


def _used(before: float | None) -> float | None:
    peak = _memory("peak_bytes_in_use")
    return None if before is None or peak is None else (peak - before) / 1e6


def _memory(what: str) -> float | None:
    """A figure of the allocator; None where it keeps none."""
    return (jax.devices()[0].memory_stats() or {}).get(what)
