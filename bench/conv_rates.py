"""How long convolutions take on a GPU, by kernels of our own and by columns and cuBLAS, and which way the rule goes.

``backends/cuda/kernels/conv_rule.py`` estimates both; its constants are to be set so that it is right where it matters.

    python3 -m tinynet.bench.conv_rates [float32 | tf32 | float16 | bfloat16 | float64]
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinynet import set_float32_matmul_precision
from tinynet.bench.clock import in_graph
from tinynet.dtypes import check_dtype
from tinynet.registry import get_backend

AT_ONCE = 20  # convolutions of a graph
SECONDS = 0.05  # for each way of each
NAMES = ("conv2d", "conv_transpose2d", "conv2d_weight_grad")
TOLD = {"conv2d": "result", "conv_transpose2d": "image's slope", "conv2d_weight_grad": "weights' slope"}


@dataclass(frozen=True)
class Case:
    """A convolution: batch, channels in and out, the image's side, the kernel's, and how it slides."""

    batch: int
    inputs: int
    outputs: int
    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    def __str__(self) -> str:
        moves = "".join(f", {n} {getattr(self, n)}" for n in ("stride", "padding", "groups") if getattr(self, n) > 1)
        return f"{self.batch} × {self.inputs} -> {self.outputs}, {self.size}², kernel {self.kernel}²{moves}"


CASES = (
    Case(64, 1, 20, 28, 5),  # Nielsen's network, chapter 6
    Case(64, 20, 40, 12, 5),
    Case(10, 20, 40, 12, 5),
    Case(64, 3, 64, 32, 3, padding=1),
    Case(64, 64, 64, 32, 3, padding=1),
    Case(64, 128, 128, 16, 3, padding=1),
    Case(64, 256, 256, 8, 3, padding=1),
    Case(64, 64, 128, 32, 3, stride=2, padding=1),
    Case(16, 3, 64, 224, 7, stride=2, padding=3),
    Case(64, 256, 64, 16, 1),
    Case(64, 64, 64, 32, 3, padding=1, groups=64),
)


def measured(
    cases: tuple[Case, ...], dtype: str
) -> Iterator[tuple[Case, str, dict[str, float], str, dict[str, float]]]:
    """For each case and each of the three kernels: microseconds by way, the rule's choice, and what it expected."""
    backend: Any = get_backend("cupy")
    convolutions = backend.kernels["conv2d"].__self__
    for case in cases:
        for name, arrays, settings in _calls(case, backend, dtype):
            taken = {}
            for way in convolutions.ways:
                convolutions.forced = way
                try:
                    taken[way] = _microseconds(partial(backend.kernels[name], *arrays, **settings), backend)
                finally:
                    convolutions.forced = None
            yield case, name, taken, *_expected(case, name, dtype)


def _calls(case: Case, backend: Any, dtype: str) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """The three kernels with their arrays."""
    random, side = np.random.default_rng(0), (case.size + 2 * case.padding - case.kernel) // case.stride + 1
    shapes = (
        (case.batch, case.inputs, case.size, case.size),
        (case.outputs, case.inputs // case.groups, case.kernel, case.kernel),
        (case.batch, case.outputs, side, side),
        (case.outputs,),
    )
    x, w, g, b = (backend.array(random.uniform(-1, 1, shape), dtype) for shape in shapes)
    slide: dict[str, Any] = {"stride": (case.stride,) * 2, "padding": ((case.padding,) * 2,) * 2}
    slide |= {"dilation": (1, 1), "groups": case.groups}
    yield NAMES[0], (x, w, b), slide
    yield NAMES[1], (g, w, None), {"size": (case.size,) * 2, **slide}
    yield NAMES[2], (g, x), {"kernel_size": (case.kernel,) * 2, **slide}


def _expected(case: Case, name: str, dtype: str) -> tuple[str, dict[str, float]]:
    from tinynet.backends.cuda.kernels import conv_rule, window

    slide = (case.stride,) * 2, ((case.padding,) * 2,) * 2
    sliding = window.sliding((case.size,) * 2, (case.kernel,) * 2, *slide)
    sizes = window.Convolution(
        case.batch, case.groups, case.inputs // case.groups, case.outputs // case.groups, sliding
    )
    given = name, sizes, dtype
    expected = {"own": conv_rule.own_takes(*given), "columns": conv_rule.columns_take(*given)}
    return conv_rule.chosen(*given), expected


def _microseconds(convolve: Callable[..., Any], backend: Any) -> float:
    """The least that one convolution of a CUDA graph of them has taken."""
    return in_graph(partial(convolve, out=convolve()), AT_ONCE, backend, SECONDS) * 1e6


def main(precision: str = "float32") -> None:
    """Print a line for each; where the rule takes the slower way, what that costs."""
    set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    dtype = "float32" if precision == "tf32" else check_dtype(precision)
    head = f"{'µs of own':>10} {'expected':>9} {'columns':>9} {'expected':>9}  rule"
    print(f"{precision}: {'':46} {head}")
    for case, name, taken, choice, expected in measured(CASES, dtype):
        times = " ".join(f"{n:9.1f}" for way in ("own", "columns") for n in (taken[way], expected[way]))
        lost = taken[choice] / min(taken.values()) - 1
        print(f"{case!s:42} {TOLD[name]:14} {times}  {choice}{f', {lost:.0%} slower' if lost > 0.05 else ''}")


if __name__ == "__main__":
    main(*sys.argv[1:])
