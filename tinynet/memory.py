"""What can be known of the memory that a backend's arrays lie in, how much of it may be taken, and sizes in words."""

import re
from typing import Any, NamedTuple

from tinynet.errors import ArgumentError

UNITS = {"": 1, "B": 1} | {f"{prefix}B": 1000**n for n, prefix in enumerate("KMGT", 1)}
UNITS |= {f"{prefix}IB": 1024**n for n, prefix in enumerate("KMGT", 1)}


class Memory(NamedTuple):
    """The memory of a device, in bytes.

    Attributes:
        used: by arrays.
        reserved: what the backend holds of the device: the arrays, and room that freed ones have left.
        free: what further arrays can have, in that room and in what nobody holds.
        total: how large the device's memory is.
        limit: what may be reserved at most; None where nothing but the device sets an end.
    """

    used: int
    reserved: int
    free: int
    total: int
    limit: int | None

    def __str__(self) -> str:
        limit = "" if self.limit is None else f", the limit is {size(self.limit)}"
        return f"arrays hold {size(self.used)}, {size(self.free)} of {size(self.total)} are free{limit}"


class HasMemory:
    """The part of a backend's contract that concerns memory. On the host nobody counts."""

    name: str

    def memory(self) -> Memory | None:
        """How much memory there is, and who holds it; None where that is unknown, as on the host."""
        return None

    def free_memory(self) -> int | None:
        """How many bytes further arrays can have; None where that is unknown, as on the host."""
        memory = self.memory()
        return None if memory is None else memory.free

    def set_memory_limit(self, limit: str | float | None) -> None:
        """Reserve no more than this from now on.

        Args:
            limit: ``"4 GB"`` (10⁹ bytes), ``"512 MiB"`` (2²⁰), ``"50%"`` or 0.5 of the device, a whole number of bytes,
                or None for no limit.

        Raises:
            ArgumentError: it is none of these, arrays hold more already, or the backend's arrays lie on the host.
        """
        raise ArgumentError(
            f"set_memory_limit({limit!r}): backend {self.name!r} does not count its memory. A limit is for a device "
            "with memory of its own, such as cupy's."
        )


def size(count: int) -> str:
    """A number of bytes in words, to three digits."""
    scaled, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if scaled < 999.5:
            break
        scaled, unit = scaled / 1000, larger
    return f"{scaled:.3g} {unit}"


def read_limit(limit: Any, total: int) -> int:
    """A limit in bytes, for a memory of ``total`` bytes.

    Raises:
        ArgumentError: it is none.
    """
    found = 0.0
    if isinstance(limit, str):
        words = re.fullmatch(r"(\d+\.?\d*|\.\d+) *([A-Z]*|%)", limit.strip().upper(), re.ASCII)
        number, unit = (float(words[1]), words[2]) if words else (0.0, "")
        if unit == "%":
            found = number / 100 * total if number <= 100 else 0.0
        else:
            found = number * UNITS.get(unit, 0)
    elif isinstance(limit, float):
        found = limit * total if limit <= 1 else 0.0
    elif hasattr(limit, "__index__") and not isinstance(limit, bool):
        found = float(limit)
    if not 1 <= found < 2**63:
        raise ArgumentError(
            "a memory limit is a size such as '4 GB' or '512 MiB', a whole number of bytes, or a part, '50%' or 0.5, "
            f"of the {size(total)} that there are; got {limit!r}."
        )
    return int(found)
