"""Random numbers that a replay draws anew, and that are the same on every backend.

They come from counting: number i of call n is a hash of (seed, n, i), computed in 32-bit integers by the array module
itself. The count lies in an array beside the numbers, where the kernel advances it: so a recorded step needs no Python
between two draws, and a GPU none of the host.
"""

import threading
from typing import Any

from tinynet.backends.kernels.register import Array, kernel
from tinynet.dtypes import dtype_name

GOLDEN = 0x9E3779B9  # 2^32 / the golden ratio: steps that spread evenly
BELOW_ONE = {"float16": 1 - 2.0**-11, "bfloat16": 1 - 2.0**-8}  # where rounding would reach 1
_counting = threading.Lock()  # two threads never draw the same numbers


def _mix(xp: Any, bits: Array) -> Array:
    """Spread every bit of the input over all bits, in place. Source: C. Wellons, *hash-prospector*, 2018, lowbias32."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        xp.bitwise_xor(bits, xp.right_shift(bits, shift), out=bits)
        if factor != 1:
            xp.multiply(bits, factor, out=bits)
    return bits


@kernel
def uniform(xp: Any, state: Array, shape: tuple[int, ...], dtype: str, out: Array = None) -> Array:
    """Numbers uniform in [0, 1), multiples of 2⁻²⁴; ``state`` holds (seed, calls so far) and is counted on."""
    out = xp.empty(shape, dtype) if out is None else out
    with _counting:
        seed, call = state[:1].astype("uint32"), state[1:].astype("uint32")
        state[1:] += 1
    keys = _mix(xp, (call * 2 + xp.arange(2, dtype="uint32")) * GOLDEN + seed)
    bits = xp.arange(out.size, dtype="uint32")
    for i in range(2):
        xp.bitwise_xor(bits, keys[i : i + 1], out=bits)
        _mix(xp, bits)
    xp.right_shift(bits, 8, out=bits)
    xp.multiply(bits.reshape(out.shape), 2.0**-24, out=out)
    below = BELOW_ONE.get(dtype_name(out.dtype))
    return xp.minimum(out, below, out=out) if below else out
