"""Random numbers in one launch, bit for bit those of ``kernels/sampling.py``. The source is ``sampling.cu``."""

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.kernels.lines import given, place
from tinynet.backends.cuda.module import Module, blocks
from tinynet.dtypes import FLOATS

Array = Any
MOST = 2**31  # numbers of a draw: they are counted in 32 bits
MOST_BLOCKS = 1024


def kernels(cuda: Module, plain: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """name -> kernel."""
    finished = cuda.xp.zeros((), "uint32")  # blocks that are through with a launch; 0 between two launches
    return {"uniform": partial(_uniform, cuda, plain, finished)}


def _uniform(
    cuda: Module, plain: Mapping[str, Kernel], finished: Array, state: Array, shape: tuple[int, ...], dtype: str,
    out: Array = None,
) -> Array:  # fmt: skip
    """Numbers uniform in [0, 1), multiples of 2⁻²⁴; ``state`` holds (seed, calls so far) and is counted on."""
    count = prod(shape)
    if dtype not in FLOATS or not 0 < count <= MOST or not state.flags.c_contiguous:
        return plain["uniform"](state, shape, dtype, out=out)
    made = place(cuda.xp, out, shape, dtype)
    cuda.kernel("sampling.cu", "uniform", T=dtype)(
        blocks(count, 256, MOST_BLOCKS), 256, state, made, finished, np.uint32(count)
    )
    return given(cuda.xp, made, out)
