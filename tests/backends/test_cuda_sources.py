"""Every source in CUDA C++ becomes machine code for the cards of a decade, without a card: NVRTC needs none.

sm_75 is Turing (T4, RTX 20), sm_80 Ampere (A100), sm_90 Hopper (H100), sm_120 Blackwell (RTX 50). What the code
computes is looked at by the tests beside this one, which run the same text on the CPU.
"""

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinynet.backends.cuda.chains.chain import Chain, Place, Step
from tinynet.backends.cuda.chains.formulas import KNOWN
from tinynet.backends.cuda.module import SOURCES, defined, source

if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.core") is None:
    pytest.skip("cuda-core is not installed: pip install 'cuda-core[cu13]'", allow_module_level=True)

from cuda.core import Program, ProgramOptions

CARDS = ("sm_75", "sm_80", "sm_90", "sm_120")
TYPES = {"float32": CARDS, "float16": CARDS, "float64": ("sm_75", "sm_90"), "bfloat16": ("sm_75", "sm_90")}
INDICES = {"lookup.cu": ("int64", "int32", "uint8"), "rows.cu": ("int64", "int32", "uint8")}
SIZES = {  # sizes that a source takes beforehand, as its host side hands them over; the first for every type
    "conv.cu": [{"TALL": 4, "BROAD": 32}, {"TALL": 8, "BROAD": 128}],
    "recurrent.cu": [
        *[{"KIND": kind} for kind in (2, 0, 1, 3)],
        {"KIND": 2, "WIDTH": 128, "LANES": 4, "ROWS": 2, "KEPT": 18},
    ],
}


def compiled(code, card, options=()):
    program = Program(code, "c++", ProgramOptions(std="c++17", arch=card, ftz=True, **dict(options)))
    return program.compile("cubin").code


def variants(file):
    """(card, what the source leaves open): the usual types on every card, others, indices and sizes on some."""
    first, *sizes = SIZES.get(file, [{}])
    indices = INDICES.get(file, ("int64",))
    yield from ((card, {"T": t, "I": indices[0], **first}) for t, cards in TYPES.items() for card in cards)
    yield from (("sm_75", {"T": "float32", "I": i, **first}) for i in indices[1:])
    yield from (("sm_75", {"T": "float32", "I": indices[0], **size}) for size in sizes)


def all_compiled(jobs):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = list(pool.map(lambda job: compiled(*job), jobs))
    assert all(bytes(code).startswith(b"\x7fELF") for code in codes)


@pytest.mark.parametrize("file", [name for name in SOURCES if name.endswith(".cu")])
def test_a_source_becomes_machine_code(file):
    all_compiled([(defined(types) + source(file), card) for card, types in variants(file)])


def test_what_is_no_source_is_refused():
    with pytest.raises(Exception, match=r"nonsense|error"):
        compiled(defined({"T": "float32"}) + source("reduce.cu") + "nonsense", "sm_75")


@pytest.mark.parametrize("dtype", TYPES)
def test_a_chain_of_every_formula_becomes_machine_code(dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x, y, flag = (Place(address, kind, (5, 1)) for address, kind in ((0, dtype), (64, dtype), (128, "bool")))
    number = Place(192, dtype, (0, 0))
    alone = "neg exp log sqrt sin cos abs erf tanh sign copy cast sigmoid softplus relu gelu".split()
    given = {
        "where": [flag, x, number],
        "clip": [x, -1.0, 0.5],
        "leaky_relu": [x, 0.1],
        **{name: [x] for name in alone},
    }
    steps = []
    for i, name in enumerate(sorted(KNOWN)):
        kinds = (
            ["bool"] if name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal") else [dtype]
        )
        outs = [Place(1000 + 100 * i + j, kind, (5, 1)) for j, kind in enumerate(kinds * (1 + (name == "gelu")))]
        steps.append(Step(name, outs, given.get(name, [x, y]), {"approximate": "none"}, dtype))
    texts = []
    chain = Chain((3, 5), steps, {out for step in steps for out in step.outs})

    class Taken:
        def compiled(self, code, name, shared=0, options=()):
            texts.append(code)

    chain.compiled(Taken())
    all_compiled([(texts[0], card, (("fma", False),)) for card in CARDS])
