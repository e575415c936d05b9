"""A training step of each workload: tinynet eager and replayed, and PyTorch where it is installed, in turn.

python bench/steps.py                      # all of them
python bench/steps.py cnn-nielsen gpt-nano
"""

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import WORKLOADS, Library

import tinynet as tn
from tinynet import nn, optim

TINYNET = Library("tinynet", nn, nn.functional, optim, tn.Tensor)


def torch_library() -> Library:
    """PyTorch, as the same five things."""
    import torch

    return Library("PyTorch", torch.nn, torch.nn.functional, torch.optim, torch.tensor)


def contenders(name: str) -> dict[str, Callable[[], Any]]:
    """Every way to take a workload's step on one and the same batch; PyTorch only where it is installed."""
    workload = WORKLOADS[name]
    batch = workload.batch(np.random.default_rng(0))
    libraries = [TINYNET] + ([torch_library()] if importlib.util.find_spec("torch") else [])
    found: dict[str, Callable[[], Any]] = {}
    for library in libraries:
        x, y = (library.tensor(part) for part in batch)
        step = workload.step(library)
        found[f"{library.name} eager"] = lambda step=step, x=x, y=y: step(x, y)
        if library is TINYNET:
            recorded = tn.capture(workload.step(library))
            found["tinynet replayed"] = lambda step=recorded, x=x, y=y: step(x, y)
    return found


def medians(steps: dict[str, Callable[[], Any]], seconds: float = 0.05, rounds: int = 15) -> dict[str, float]:
    """Seconds a step for each contender: the median of rounds in which they take turns, the first left out."""
    repeats = {}
    for name, step in steps.items():
        step()
        began = time.perf_counter()
        step()
        repeats[name] = max(1, int(seconds / (time.perf_counter() - began)))
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(repeats[name]):
                step()
            taken[name].append((time.perf_counter() - began) / repeats[name])
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def main(names: list[str]) -> None:
    """Print a line a workload: milliseconds a step, and how many times as fast as PyTorch a replay is."""
    for name in names or WORKLOADS:
        found = medians(contenders(name))
        shown = "  ".join(f"{contender} {seconds * 1e3:8.3f} ms" for contender, seconds in found.items())
        peer = found.get("PyTorch eager")
        ratio = f"  replayed {peer / found['tinynet replayed']:.2f}× as fast as PyTorch" if peer else ""
        print(f"{name:12}  {shown}{ratio}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
