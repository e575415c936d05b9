"""PyTorch with ``torch.compile``, default mode: forward pass, loss and their gradients compiled."""

import torch

from tinynet.bench.contenders import Step
from tinynet.bench.peers import torch_eager
from tinynet.bench.workload import Workload

touch = torch_eager.touch  # the compiler counts: it is loaded with the first call


def make(workload: Workload) -> Step:
    """The step; the first call compiles it, which needs a C++ compiler."""
    return torch_eager.make(workload, torch.compile)
