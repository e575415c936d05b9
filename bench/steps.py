"""A training step of each workload: tinynet eager and replayed, and PyTorch where it is installed, in turn.

Each contender lives in a process of its own, so that no library's waiting threads are in another's way.

    python bench/steps.py                      # all of them
    python bench/steps.py cnn-nielsen gpt-nano
"""

import importlib.util
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.bench.workloads import WORKLOADS, Library

CONTENDERS = ("tinynet eager", "tinynet replayed", "PyTorch eager")


def tinynet_library() -> Library:
    """tinynet, as the five things that a workload needs."""
    from tinynet import Tensor, nn, optim

    return Library("tinynet", nn, nn.functional, optim, Tensor)


def torch_library() -> Library:
    """PyTorch, as the same five things."""
    import torch

    return Library("PyTorch", torch.nn, torch.nn.functional, torch.optim, torch.tensor)


def make(contender: str, name: str) -> Callable[[], Any]:
    """A contender's step of a workload, on the batch that all of them get."""
    workload = WORKLOADS[name]
    library = torch_library() if contender.startswith("PyTorch") else tinynet_library()
    x, y = (library.tensor(part) for part in workload.batch(np.random.default_rng(0)))
    step = workload.step(library)
    if contender == "tinynet replayed":
        from tinynet import capture

        step = capture(step)
    return lambda: step(x, y)


def work(contender: str, name: str, seconds: float, asked: Any) -> None:
    """In a process of its own: warm up, then at each call take steps for a while and send what one took."""
    step = make(contender, name)
    for _ in range(3):
        step()
    began = time.perf_counter()
    step()
    repeats = max(1, int(seconds / (time.perf_counter() - began)))
    while asked.recv():
        began = time.perf_counter()
        for _ in range(repeats):
            step()
        asked.send((time.perf_counter() - began) / repeats)


def medians(name: str, seconds: float = 0.2, rounds: int = 11) -> dict[str, float]:
    """Seconds a step of each contender that is installed: the median of rounds in which they take turns."""
    present = [c for c in CONTENDERS if c.startswith("tinynet") or importlib.util.find_spec("torch")]
    spawn = multiprocessing.get_context("spawn")
    pipes, taken = {}, {contender: [] for contender in present}
    for contender in present:
        pipes[contender], theirs = spawn.Pipe()
        spawn.Process(target=work, args=(contender, name, seconds, theirs), daemon=True).start()
    for _ in range(rounds + 1):
        for contender, pipe in pipes.items():
            time.sleep(0.1)  # until the threads of the one before have stopped waiting for work
            pipe.send(True)
            taken[contender].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    return {contender: statistics.median(times[1:]) for contender, times in taken.items()}  # the first round warms up


def main(names: list[str]) -> None:
    """Print a line a workload: milliseconds a step, and how many times as fast as PyTorch a replay is."""
    for name in names or WORKLOADS:
        found = medians(name)
        shown = "  ".join(f"{contender} {seconds * 1e3:8.3f} ms" for contender, seconds in found.items())
        peer = found.get("PyTorch eager")
        ratio = f"  {peer / found['tinynet replayed']:.2f}× as fast as PyTorch" if peer else ""
        print(f"{name:12}  {shown}{ratio}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
