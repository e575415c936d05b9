"""Who takes part: a line each. Where a contender's step is made stands here as a name, so that nothing is imported
before its turn; what a step must offer is ``Step``.

Must stay light: the process of every contender reads it before it measures how long its library takes to import.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

DEVICES = ("cpu", "gpu")
PATIENCE = 120.0  # seconds; the longest a library may take to say whether it finds a card


class Step(NamedTuple):
    """A contender's training step, on the workload's weights and batch.

    Attributes:
        run: take one step and return the loss (a number, or something with ``item()``). On the CPU it is done then.
        weights: the weights as they stand, by PyTorch's names and in its layouts.
        note: something to be said about it, once it has run.
        wait: return when the device has taken every step that was asked for.
        memory: megabytes of the device that the step has needed at most, from its making on; None on the CPU, where the
            process knows.
    """

    run: Callable[[], Any]
    weights: Callable[[], dict[str, Any]]
    note: Callable[[], str] = lambda: ""
    wait: Callable[[], Any] = lambda: None
    memory: Callable[[], float | None] | None = None


@dataclass(frozen=True)
class Contender:
    """One way to take a training step.

    Attributes:
        name: what it is called in tables.
        role: tinynet, peer or floor.
        what: it in a line.
        home: ``module:function``; the function makes a Step of a workload, or None where it has no answer to it, and
            the module's ``touch`` takes a tiny step, so that the library has loaded what it loads late. On a GPU it has
            ``use_precision`` too, and a peer's ``why_absent``.
        words: what asks for it on the command line.
        package: what must be installed for it.
        families: those that it has an answer to; empty: all.
        device: cpu or gpu.
        environment: variables of its process.
    """

    name: str
    role: str
    what: str
    home: str
    words: tuple[str, ...]
    package: str = ""
    families: tuple[str, ...] = ()
    device: str = "cpu"
    environment: tuple[tuple[str, str], ...] = ()

    def takes(self, family: str) -> bool:
        """Whether a workload of that family is for it."""
        return not self.families or family in self.families

    def why_absent(self) -> str | None:
        """Why it cannot take part here; None if it can."""
        if self.role == "tinynet":
            from tinynet.registry import backends

            usable, reason = backends()[self.words[0]]
            return None if usable else reason
        if not importlib.util.find_spec(self.package):
            return f"{self.package} is not installed"
        return _without_card(self.home.partition(":")[0], self.environment) if self.device == "gpu" else None


def present_or_not(asked: list[Contender]) -> list[tuple[Contender, str | None]]:
    """Everyone with the reason why not, or None; each library on a GPU is asked once, and all of them together."""
    from concurrent.futures import ThreadPoolExecutor

    on_gpu = {c.home.partition(":")[0]: c for c in asked if c.role == "peer" and c.device == "gpu"}
    with ThreadPoolExecutor(max(len(on_gpu), 1)) as pool:
        list(pool.map(Contender.why_absent, on_gpu.values()))
    return [(c, c.why_absent()) for c in asked]


@cache
def _without_card(home: str, environment: tuple[tuple[str, str], ...]) -> str | None:
    """What a library has against computing on a GPU, asked in a process of its own: this one imports nothing of it."""
    import subprocess

    from tinynet.bench.process import command

    code = f"import importlib; print('\\n' + (importlib.import_module({home!r}).why_absent() or ''))"
    try:
        done = subprocess.run(**command(code, **dict(environment)), capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"it did not say within {PATIENCE:.0f} s whether it finds a GPU"
    if done.returncode == 0:
        return done.stdout.split("\n")[-2].strip() or None  # the library itself may have printed before
    said = done.stderr.strip().splitlines()
    return said[-1].strip() if said else f"its process ended (exit code {done.returncode})"


_ENGINES, _PEERS = "tinynet.bench.engines", "tinynet.bench.peers"
_HOST_JAX = (("JAX_PLATFORMS", "cpu"),)  # a JAX that knows a card would take it
_CARD_JAX = (("JAX_PLATFORMS", "cuda"), ("XLA_PYTHON_CLIENT_PREALLOCATE", "false"))  # memory is shared with the others
_FEW_COMPILERS = (("TORCHINDUCTOR_COMPILE_THREADS", "4"),)  # several of them compile side by side
_CARD_CUPY = (("CUPY_TF32", "0"),)
OURS = "tinynet numpy"  # what ratios are of, where it was asked for
CONTENDERS = [
    Contender(OURS, "tinynet", "the step recorded once and replayed, on NumPy", f"{_ENGINES}:numpy", ("numpy",)),
    Contender(
        "tinynet numpy eager", "tinynet", "the step operation by operation, on NumPy",
        f"{_ENGINES}:numpy_eager", ("numpy",),
    ),
    Contender("tinynet scalar", "tinynet", "the step on Values, number by number", f"{_ENGINES}:scalar", ("scalar",)),
    Contender(
        "tinynet cupy", "tinynet", "the step recorded once and replayed, on a GPU",
        f"{_ENGINES}_gpu:replayed", ("cupy",), device="gpu", environment=_CARD_CUPY,
    ),
    Contender(
        "tinynet cupy eager", "tinynet", "the step operation by operation, on a GPU",
        f"{_ENGINES}_gpu:eager", ("cupy",), device="gpu", environment=_CARD_CUPY,
    ),
    Contender(
        "floor", "floor", "the same NumPy calls written out by hand",
        f"{_ENGINES}:floor", ("floor",), "tinynet.bench.floors",
    ),
    Contender(
        "PyTorch eager", "peer", "the same layers in PyTorch",
        f"{_PEERS}.torch_eager:make", ("torch", "torch-eager"), "torch",
    ),
    Contender(
        "torch.compile", "peer", "the same, its forward pass and loss compiled (default mode)",
        f"{_PEERS}.torch_compile:make", ("torch", "torch-compile"), "torch",
    ),
    Contender(
        "JAX jit", "peer", "the step as one compiled function in JAX",
        f"{_PEERS}.jax_jit:make", ("jax",), "jax", environment=_HOST_JAX,
    ),
    Contender(
        "PyTorch eager (CUDA)", "peer", "the same layers in PyTorch, on a GPU",
        f"{_PEERS}.torch_cuda:eager", ("torch", "torch-eager"), "torch", device="gpu",
    ),
    Contender(
        "torch.compile (CUDA)", "peer", 'its forward pass and loss compiled, mode "reduce-overhead", on a GPU',
        f"{_PEERS}.torch_cuda:compiled", ("torch", "torch-compile"), "torch", device="gpu", environment=_FEW_COMPILERS,
    ),
    Contender(
        "PyTorch CUDA graph", "peer", "PyTorch's whole step captured once as a CUDA graph and launched again",
        f"{_PEERS}.torch_cuda:graph", ("torch", "torch-graph"), "torch", device="gpu",
    ),
    Contender(
        "JAX jit (CUDA)", "peer", "the step as one compiled function in JAX, on a GPU",
        f"{_PEERS}.jax_cuda:make", ("jax",), "jax", device="gpu", environment=_CARD_JAX,
    ),
    Contender(
        "micrograd", "peer", "the demo as its author wrote it",
        f"{_PEERS}.micrograd:make", ("micrograd",), "micrograd", ("moons",),
    ),
    Contender(
        "scikit-learn", "peer", "MLPClassifier.partial_fit",
        f"{_PEERS}.scikit_learn:make", ("scikit-learn",), "sklearn", ("mlp",),
    ),
]  # fmt: skip
BY_NAME = {contender.name: contender for contender in CONTENDERS}
PEER_WORDS = sorted({word for contender in CONTENDERS if contender.role == "peer" for word in contender.words})
