"""PyTorch on a CUDA device: operation by operation, compiled, and the whole step captured as a CUDA graph.

The batch lies on the device. Memory is what PyTorch's allocator has handed out at most since the step was made, the
capture's own pool among it.
"""

from collections.abc import Callable
from typing import Any

import torch

from tinynet.bench.contenders import Step
from tinynet.bench.peers import torch_eager
from tinynet.bench.workload import Workload
from tinynet.bench.workloads import read

TF32 = "tf32"
REHEARSALS = 3  # steps before a capture, in which the allocator and cuBLAS settle


def why_absent() -> str | None:
    """Why no step can be taken here; None if it can."""
    if not torch.backends.cuda.is_built():
        return f"this PyTorch, {torch.__version__}, is built without CUDA"
    return None if torch.cuda.is_available() else f"PyTorch {torch.__version__} finds no CUDA device that it can use"


def use_precision(precision: str) -> None:
    """How float32 is multiplied, in products and in convolutions: as float32, or in TF32."""
    torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
    torch.backends.cudnn.allow_tf32 = precision == TF32


def touch() -> None:
    """Take a tiny step: the device is then set up, and what is loaded late is there."""
    step = eager(read("mlp-quick"))
    step.run()
    step.wait()


def eager(workload: Workload) -> Step:
    """The step as most people run it."""
    return _on_card(lambda: torch_eager.make(workload, device="cuda"))


def compiled(workload: Workload) -> Step:
    """Forward pass, loss and their gradients compiled, and launched as CUDA graphs; the update is PyTorch's own."""

    def begun(forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        fast = torch.compile(forward, mode="reduce-overhead")

        def loss_of(x: Any, y: Any) -> Any:
            torch.compiler.cudagraph_mark_step_begin()  # what the step before returned may be written over
            return fast(x, y)

        return loss_of

    return _on_card(lambda: torch_eager.make(workload, begun, device="cuda"))


def graph(workload: Workload) -> Step:
    """The whole step, the update too, captured once and launched as one CUDA graph."""
    return _on_card(lambda: _captured(workload))


def _captured(workload: Workload) -> Step:
    model = workload.model(torch_eager.LIBRARY).cuda()
    x, y = (torch.from_numpy(part).cuda() for part in workload.given())
    step = workload.step(torch_eager.LIBRARY, model)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(REHEARSALS):
            step(x, y)
    torch.cuda.current_stream().wait_stream(aside)
    model.zero_grad(set_to_none=True)  # the capture makes gradients of its own
    whole = torch.cuda.CUDAGraph()
    with torch.cuda.graph(whole):
        loss = step(x, y)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in workload.weights().items()})

    def run() -> Any:
        whole.replay()
        return loss

    return Step(run, lambda: {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()})


def _on_card(make: Callable[[], Step]) -> Step:
    """A step that waits for the device, and knows how much of its memory it has needed."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    return make()._replace(
        wait=torch.cuda.synchronize, memory=lambda: (torch.cuda.max_memory_allocated() - before) / 1e6
    )
