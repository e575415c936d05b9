"""How much room there is on the card, how much of it may be taken, and how it is said that there is none.

CuPy's default pool keeps what freed arrays leave, so what the driver calls free is only a part of what is. A limit
holds that pool, where all arrays are; the temporaries of CUDA graphs, in pools of their own, come on top.
"""

from typing import Any

from tinynet.backends.cuda.graph import Pool
from tinynet.errors import ArgumentError, DeviceMemoryError
from tinynet.memory import Memory, read_limit, size

FULL = ("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "ALLOC_FAILED")  # the words of all but CuPy's pool


def memory(xp: Any) -> Memory:
    """Who holds the card's memory: arrays in CuPy's pool, and the temporaries of recorded steps in their own."""
    pool = xp.get_default_memory_pool()
    left, total = xp.cuda.runtime.memGetInfo()
    used, reserved, limit = pool.used_bytes(), pool.total_bytes(), pool.get_limit()
    free = left + reserved - used
    graphs = sum(one.total_bytes() for one in Pool.alive)
    return Memory(
        used + graphs, reserved + graphs, min(free, max(limit - used, 0)) if limit else free, total, limit or None
    )


def set_limit(xp: Any, limit: Any) -> None:
    """Let the pool reserve no more than this; None for no limit."""
    pool = xp.get_default_memory_pool()
    if limit is None:
        pool.set_limit(size=0)
        return
    wanted = read_limit(limit, xp.cuda.runtime.memGetInfo()[1])
    pool.free_all_blocks()
    if wanted < pool.total_bytes():
        raise ArgumentError(
            f"a memory limit of {size(wanted)} is less than the {size(pool.total_bytes())} that arrays hold already. "
            "Set it before they are made, or drop some."
        )
    pool.set_limit(size=wanted)


def is_full(error: Exception) -> bool:
    """Whether an error says that the card has no room."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in FULL)
    )


def no_room(xp: Any, name: str, wanted: str, error: Exception) -> DeviceMemoryError:
    """The error that says what there was no room for, what there is, and what to do."""
    try:
        state = f" On the card {memory(xp)}."
    except Exception:  # a card that has failed answers nothing
        state = ""
    first = str(error).partition("\n")[0].rstrip(". ")
    return DeviceMemoryError(
        f"backend {name!r} has no room for {wanted}: {first}.{state} Use smaller batches or dtype float32, drop arrays "
        "that are no longer needed, or see with nvidia-smi who else holds the GPU's memory."
    )
