"""Every family of ``workloads.py`` on a GPU and on NumPy: output, loss and gradients of ``tn.parity``, and the weights
after some recorded steps, in float64 and in float32.

    python3 -m tinynet.bench.gpu_parity [--json FILE]        exit code 3 where something differs by more than its bound

The bounds. Both sides round, and add up in different orders; a sum of n terms differs by about √n roundings, of 1e-16
or 6e-8. Sums here have up to a few thousand terms, and a few dozen operations follow each other. A product that was
rounded to TF32 on the way would differ by 3e-4 or more. What training moves is small beside the weights, and differs
by the roundings of the weights too: hence a coarser bound there.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn
from tinynet import Tensor
from tinynet.bench.engines import LIBRARY
from tinynet.bench.workload import Workload
from tinynet.bench.workloads import read
from tinynet.files import write_bytes

DIFFERENT, INTERRUPTED = 3, 130
STEPS = 5  # the first is recorded, the others are replayed
NETWORKS = (  # one a family, large enough for every kernel's tiles and remainders
    "mlp:96-80-72-10@48",
    "cnn:20-6-10-40-10@12",
    "rnn:27-16-40x12@10",
    "lstm:27-16-40x12@10",
    "gpt:27-48-4-2x24@4",
    "names:27-10-70x3@33",
    "moons:16-16@50",
)
GRADIENTS = {"float64": 1e-11, "float32": 1e-4}
WEIGHTS = {"float64": 1e-9, "float32": 5e-3}


class Found(NamedTuple):
    """One comparison: the largest relative difference, where it is, and what passes; or what went wrong."""

    workload: str
    dtype: str
    what: str
    worst: float
    where: str
    allowed: float
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it passes; nan does not."""
        return not self.error and self.worst <= self.allowed

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "DIFFERS"
        said = self.error or f"{self.worst:.1e} at {self.where}, allowed {self.allowed:.0e}"
        return f"{self.workload:<22} {self.dtype:<8} {self.what:<10} {verdict:<8} {said}"


def compare(backend: str = "cupy") -> Iterator[Found]:
    """Every network, both element types, gradients and recorded steps, one after the other."""
    for name in NETWORKS:
        workload = read(name)
        for dtype in GRADIENTS:
            for what, allowed, measure in (
                ("gradients", GRADIENTS[dtype], gradients),
                ("steps", WEIGHTS[dtype], recorded_steps),
            ):
                try:
                    worst, where = measure(workload, backend, dtype)
                except Exception as error:  # whatever a card brings to light; the others are still compared
                    words = " ".join(f"{type(error).__name__}: {error}".split())
                    yield Found(name, dtype, what, float("nan"), "", allowed, words)
                else:
                    yield Found(name, dtype, what, worst, where, allowed)


def gradients(workload: Workload, backend: str, dtype: str) -> tuple[float, str]:
    """The worst relative difference of ``tn.parity``, and where."""
    model = workload.model(LIBRARY)
    model.load_state_dict(workload.weights())
    cost = workload.cost(LIBRARY)
    x, y = workload.given()

    def loss(output: Tensor, target: Any) -> Any:
        return cost(output, _on(output.backend, target, dtype))

    found = tn.parity(model, x, y, loss, ["numpy", backend], GRADIENTS[dtype], dtype)
    return _worst([(row.relative, row.name) for row in found.rows])


def recorded_steps(workload: Workload, backend: str, dtype: str) -> tuple[float, str]:
    """By how much the weights moved in some steps, recorded on the backend and run on NumPy: the worst difference, as
    a part of the largest movement of an array, and where."""
    start = workload.weights()
    found, expected = (_trained(workload, name, dtype) for name in (backend, "numpy"))
    apart = []
    for name, array in start.items():
        moved, right = found[name] - array, expected[name] - array
        apart.append((float(np.abs(moved - right).max() / max(np.abs(right).max(), np.finfo(np.float64).tiny)), name))
    return _worst(apart)


def _worst(apart: list[tuple[float, str]]) -> tuple[float, str]:
    """The largest difference; nan is larger than any."""
    return max(apart, key=lambda pair: np.inf if np.isnan(pair[0]) else pair[0])


def _trained(workload: Workload, backend: str, dtype: str) -> dict[str, Any]:
    model = workload.model(LIBRARY)
    model.load_state_dict(workload.weights())
    model.to(backend, dtype)
    step = workload.step(LIBRARY, model)
    if backend != "numpy":
        step = tn.capture(step)
    x, y = (_on(backend, part, dtype) for part in workload.given())
    for _ in range(STEPS):
        step(x, y)
    return {name: tensor.numpy().astype(np.float64) for name, tensor in model.state_dict().items()}


def _on(backend: Any, array: Any, dtype: str) -> Tensor:
    return Tensor(array.astype(dtype) if array.dtype.kind == "f" else array, backend=backend)


def main(arguments: list[str]) -> int:
    """Compare, print a line a comparison, and write the JSON where that was asked for."""
    parser = argparse.ArgumentParser("gpu_parity", description="Compare cupy with numpy, family by family.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every comparison there")
    asked = parser.parse_args(arguments)
    rows: list[Found] = []
    interrupted = False
    try:
        for found in compare():
            rows.append(found)
            print(found, flush=True)
            if asked.json:
                write_bytes(asked.json, written(rows))
    except KeyboardInterrupt:
        interrupted = True
    wrong = [found for found in rows if not found.ok]
    more = ", and not all were made" if interrupted else ""
    print(f"{len(rows) - len(wrong)} of {len(rows)} comparisons of cupy with numpy are within their bounds{more}.")
    return INTERRUPTED if interrupted else DIFFERENT if wrong else 0


def written(rows: list[Found]) -> bytes:
    """The comparisons as the bytes of a JSON file; nan is null."""
    numbers = [found.worst if np.isfinite(found.worst) else None for found in rows]
    said = [{**found._asdict(), "worst": worst, "ok": found.ok} for found, worst in zip(rows, numbers)]
    return (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
