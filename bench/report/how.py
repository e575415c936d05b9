"""How a run was measured, in words, and how fast matrices were multiplied: the Markdown and the page say the same.

On a GPU it is measured otherwise than on a processor, so that these lines go by where the ratios are from. Plain text:
each report escapes it in its own manner.
"""

from tinynet.bench.report.reading import Reading, number, positive, text
from tinynet.bench.report.units import NONE, duration, figure, percent

HOW = {
    "step": "A step is one update of the weights from one batch: forward pass, loss, backward pass, plain gradient"
    " descent, in float32; engines that go number by number use Python's own floats. Every contender computes the same"
    " network at the same sizes.",
    "turns": "Each contender ran in a process of its own and they took turns, in rounds, with a pause before each turn,"
    " so that neither a slow moment of the machine nor another's waiting threads falls on one of them alone.",
    "time": "A time is the median of the rounds; the quartiles beside it hold the middle half of them. The first call,"
    " which compiles or records, and the warm-up are not in it; they are given apart.",
    "ratio": "Best peer / tinynet is the fastest peer's median over tinynet's, on NumPy unless the summary names"
    " another backend: above 1 tinynet is faster. Replay / floor is tinynet's median over that of the same NumPy calls"
    " written by hand: 1 would be no cost at all.",
    "rate": "GFLOP/s counts the matrix products of a step, 2·m·n·k each, forward and backward. Its share is of the rate"
    " at which this machine multiplies two 1024 × 1024 matrices on all its threads (GEMM).",
    "memory": "Memory is the most that a step held beyond what the process held with the library loaded, in MB.",
}
ON_GPU = HOW | {
    "ratio": "Best peer / tinynet is the fastest peer's median over tinynet's, all on the same card: above 1 tinynet is"
    " faster. Weights and batch lie on the card.",
    "rate": "GFLOP/s counts the matrix products of a step, 2·m·n·k each, forward and backward. Its share is of the best"
    " rate at which CUDA's library, through CuPy, multiplied square matrices here in the same precision (GEMM).",
    "memory": "Memory is of the card, in MB: for PyTorch the most that was allocated since the step was made, for JAX"
    " the most in use, for tinynet what its pools took from the card. A contender on the processor has that of its"
    " process, as the most beyond what it held with the library loaded.",
    "waiting": "On the card steps are launched one after another and waited for once, at the end of a turn, as in a"
    " training loop that reads its loss now and then. What a step takes whose end is waited for each time stands in the"
    " last table of the page.",
    "first": "On the card first calls were made side by side, and ahead of the measuring: their times are the most that"
    " they take.",
}
PRODUCTS = {"float32": "in float32, TF32 switched off", "tf32": "in TF32, 10 bits of each factor, summed in float32"}
DECIDES = 0.5  # of the fastest step: from here on its matrix products decide


def topics(found: Reading) -> dict[str, str]:
    """What is to be known, by topic."""
    if not found.on_gpu:
        return HOW
    return ON_GPU | {
        "precision": f"All on the card multiply matrices {PRODUCTS.get(found.precision, found.precision)}."
    }


def how(found: Reading) -> list[str]:
    """How it was measured, a sentence or a few an item."""
    return list(topics(found).values())


def bound(found: Reading) -> list[str]:
    """How far a step is from the rate of the matrix product, an item each workload whose products decide its time."""
    said = []
    rate = max(found.gemm.values(), default=0.0)
    for row in found.rows:
        fastest = min((one.median for one in row.measured.values()), default=None)
        ours = row.measured.get(found.ours)
        if not (rate and row.flop and fastest and ours):
            continue
        alone = row.flop / rate / 1e9
        if alone >= DECIDES * fastest:
            said.append(
                f"{row.name}: its matrix products alone would take {duration(alone)}; {found.us} takes"
                f" {duration(ours.median)}, which is {percent(alone / ours.median)} of the GEMM rate."
            )
    return said


def products(found: Reading) -> list[str]:
    """How fast the card multiplies matrices, by the library and by tinynet, and how exactly; an item a product."""
    said = []
    for row in found.card_gemm:
        by = []
        for who, key in (("CUDA's library through CuPy", "library"), ("tinynet", "tinynet")):
            rate, flaw = positive(row.get(key)), number(row.get(f"{key}_error"))
            if rate:
                by.append(f"{who} {figure(rate)} GFLOP/s" + (f" (error {flaw:.1e})" if flaw is not None else ""))
        said.append(f"{row['side']} × {row['side']}, {row['precision']}: {', '.join(by) or NONE}")
    error = text(found.card.get("gemm_error"))
    return said + ([f"not measured: {error}"] if error else [])
