"""How much memory a process holds, and how much it held at most since it was last asked to forget. Standard library
only, since it runs in every contender's process before its library is there."""

from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
ELSEWHERE = "only Linux tells how much memory a process held at most since a given moment"


def resident() -> float | None:
    """Megabytes (10⁶ bytes) that are in memory now; None where that cannot be asked."""
    return _read("VmRSS")


def peak() -> float | None:
    """Megabytes that were in memory at most since ``forget``; None where that cannot be asked."""
    return _read("VmHWM")


def forget() -> bool:
    """Let ``peak`` start anew; False where it cannot."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _read(name: str) -> float | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 / 1e6 if found else None
