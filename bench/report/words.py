"""What the Markdown and the page say in the same words: the summary, the machine, the versions.

Apart so that both say the same. Plain text: each escapes it in its own manner.
"""

from collections.abc import Mapping

from tinynet.bench.report.how import PRODUCTS
from tinynet.bench.report.reading import Reading, positive, text
from tinynet.bench.report.units import NONE, figure, times
from tinynet.explain.notation import counted


def summary(found: Reading) -> str:
    """In a few sentences: on how many workloads tinynet is faster, level, slower, and how far from its floor."""
    said = ["The run was interrupted: what follows is what was measured until then."] if found.interrupted else []
    if "--quick" in found.command.split():
        said.append("This is a smoke run on tiny sizes: its figures show that everything works, and say nothing else.")
    judged = {row.name: row for row in found.rows if row.ratio is not None}
    if not judged:
        said.append(f"No peer was measured beside {found.us}, so there is no ratio to tell.")
    else:
        groups = {v: [row for row in judged.values() if row.verdict == v] for v in ("faster", "level", "slower")}
        said.append(
            f"Of {counted(len(judged), 'workload')} with a peer to compare with, {found.us} is faster than the"
            f" fastest peer on {len(groups['faster'])}"
            + (f", level with it (the quartiles overlap) on {len(groups['level'])}" if groups["level"] else "")
            + f", slower on {len(groups['slower'])}"
            + (
                f" ({', '.join(f'{row.name} {times(row.ratio)}' for row in groups['slower'])})"
                if groups["slower"]
                else ""
            )
            + "."
        )
        best = max(judged.values(), key=lambda row: row.ratio or 0)
        worst = min(judged.values(), key=lambda row: row.ratio or 0)
        if best is not worst:
            said.append(
                f"The ratio best peer / tinynet goes from {times(worst.ratio)} ({worst.name}) to {times(best.ratio)}"
                f" ({best.name})."
            )
    if found.on_gpu and (name := text(found.card.get("name"))):
        said.insert(0, f"Everything compared ran on one {name}, matrix products {PRODUCTS.get(found.precision, '')}.")
    floors = [row for row in found.rows if row.floor_ratio is not None]
    if floors:
        most = max(floors, key=lambda row: row.floor_ratio or 0)
        said.append(
            f"Beside NumPy written by hand, tinynet takes at most {times(most.floor_ratio)} its time ({most.name})."
        )
    return " ".join(said)


def environment(found: Reading) -> str:
    """The variables that were set and may change a figure, to stand before the command; empty where there were none."""
    facts = found.machine.get("environment")
    known = [f"{name}={value}" for name, value in facts.items()] if isinstance(facts, Mapping) else []
    return f"with {' '.join(known)}: " if known else ""


def machine(found: Reading) -> str:
    """The machine in a line; where steps ran on a GPU, that first."""
    facts = found.machine
    memory = positive(facts.get("memory_gb"))
    parts = [
        text(facts.get("processor")),
        counted(facts["cores"], "core") if isinstance(facts.get("cores"), int) else "",
        f"{figure(memory)} GB of memory" if memory else "",
        text(facts.get("system")),
    ]
    if found.on_gpu:
        return ", ".join(filter(None, [gpu(found).removeprefix("GPU: "), *parts])) or NONE
    parts += [blas(found), ", ".join(f"GEMM on {name} {figure(rate)} GFLOP/s" for name, rate in found.gemm.items())]
    return ", ".join(filter(None, [*parts, gpu(found)])) or NONE


def blas(found: Reading) -> str:
    """The library of matrix products and which of its kernels ran."""
    name, kernels = (text(found.machine.get(key)) for key in ("blas", "blas_kernels"))
    return f"{name} (kernels: {kernels})" if name and kernels else name


def gpu(found: Reading) -> str:
    """The GPU, if there is one."""
    if "gpu" not in found.machine:
        return ""
    facts = found.card
    if not facts:
        return text(found.machine["gpu"]) or "no GPU"
    memory, rate = positive(facts.get("memory_gb")), positive(facts.get("gemm_gflops"))
    rate = max(found.gemm.values(), default=rate) if found.on_gpu else rate
    known = [
        text(facts.get("name")),
        f"compute capability {capability}" if (capability := text(facts.get("compute_capability"))) else "",
        f"{figure(memory)} GB" if memory else "",
        f"driver {driver}" if (driver := text(facts.get("driver"))) else "",
        f"CUDA {cuda}" if (cuda := text(facts.get("cuda"))) else "",
        f"GEMM {figure(rate)} GFLOP/s in {found.precision}" if rate else "",
    ]
    return f"GPU: {', '.join(filter(None, known))}"


def versions(found: Reading) -> str:
    """Each library with its version."""
    return ", ".join(f"{name} {version}" for name, version in found.versions.items()) or NONE
