"""PyTorch as most people run it: the common definition with PyTorch's layers."""

from collections.abc import Callable
from typing import Any

import torch

from tinynet.bench.contenders import Step
from tinynet.bench.workload import Library, Workload
from tinynet.bench.workloads import read

LIBRARY = Library("PyTorch", torch.nn, torch.nn.functional, torch.optim, torch.tensor)


def touch() -> None:
    """Take a tiny step: what the library loads late and its threads are then there."""
    _ = torch.ones(64, 64) @ torch.ones(64, 64)
    make(read("mlp-quick")).run()


def make(workload: Workload, compiled: Callable[[Any], Any] | None = None, device: str = "cpu") -> Step:
    """The step; ``compiled`` wraps the function of inputs and answers that gives the loss."""
    model, cost = workload.model(LIBRARY), workload.cost(LIBRARY)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in workload.weights().items()})
    model.to(device)
    x, y = (torch.from_numpy(part).to(device) for part in workload.given())
    forward = compiled(lambda x, y: cost(model(x), y)) if compiled else None
    step = workload.step(LIBRARY, model, forward)
    return Step(
        lambda: step(x, y),
        lambda: {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()},
        lambda: f"{torch.get_num_threads()} threads" if device == "cpu" else "",
    )
