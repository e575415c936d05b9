"""Who takes part: a line each. Where a contender's step is made stands here as a name, so that nothing is imported
before its turn; what a step must offer is ``Step``.

Must stay light: the process of every contender reads it before it measures how long its library takes to import.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

ROLES = ("tinynet", "peer", "floor")


class Step(NamedTuple):
    """A contender's training step, on the workload's weights and batch.

    Attributes:
        run: take one step, wait until it is done, and return the loss (a number, or something with ``item()``).
        weights: the weights as they stand, by PyTorch's names and in its layouts.
        note: something to be said about it, once it has run.
    """

    run: Callable[[], Any]
    weights: Callable[[], dict[str, Any]]
    note: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class Contender:
    """One way to take a training step.

    Attributes:
        name: what it is called in tables.
        role: tinynet, peer or floor.
        what: it in a line.
        home: ``module:function``; the function makes a Step of a workload, or None where it has no answer to it, and
            the module's ``touch`` takes a tiny step, so that the library has loaded what it loads late.
        words: what asks for it on the command line.
        package: what must be installed for it.
        families: those that it has an answer to; empty: all.
    """

    name: str
    role: str
    what: str
    home: str
    words: tuple[str, ...]
    package: str = ""
    families: tuple[str, ...] = ()

    def takes(self, family: str) -> bool:
        """Whether a workload of that family is for it."""
        return not self.families or family in self.families

    def why_absent(self) -> str | None:
        """Why it cannot take part here; None if it can."""
        if self.role == "tinynet":
            from tinynet.registry import backends

            usable, reason = backends()[self.words[0]]
            return None if usable else reason
        return None if importlib.util.find_spec(self.package) else f"{self.package} is not installed"


_ENGINES, _PEERS = "tinynet.bench.engines", "tinynet.bench.peers"
OURS = "tinynet numpy"  # what ratios are of, where it was asked for
CONTENDERS = [
    Contender(OURS, "tinynet", "the step recorded once and replayed, on NumPy", f"{_ENGINES}:numpy", ("numpy",)),
    Contender(
        "tinynet numpy eager", "tinynet", "the step operation by operation, on NumPy",
        f"{_ENGINES}:numpy_eager", ("numpy",),
    ),
    Contender("tinynet scalar", "tinynet", "the step on Values, number by number", f"{_ENGINES}:scalar", ("scalar",)),
    Contender("tinynet cupy", "tinynet", "the step recorded and replayed, on a GPU", f"{_ENGINES}:cupy", ("cupy",)),
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
        f"{_PEERS}.jax_jit:make", ("jax",), "jax",
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
