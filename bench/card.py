"""What `bench/on_gpu.sh` finds before it begins: the card, its driver, CUDA, and the versions of what takes part.

python3 -m tinynet.bench.card           in words; exit code 2 and the reason where no GPU can be used
python3 -m tinynet.bench.card --plan    the card as a part of a file's name, and in how many processes tests run
"""

import re
import sys

from tinynet.bench.ahead import ROOM
from tinynet.bench.machine import card, cores, processor, versions
from tinynet.registry import backends

NO_GPU = 2
SHARES = 8  # processes at most: they wait for the same card


def main(arguments: list[str]) -> int:
    """Print what was asked for."""
    usable, reason = backends()["cupy"]
    if not usable:
        print(f"No usable GPU: {reason}", file=sys.stderr)
        return NO_GPU
    found = card()
    if arguments == ["--plan"]:
        name = re.sub(r"[^a-z0-9]+", "-", found["name"].lower()).strip("-") or "gpu"
        print(name, max(1, min(SHARES, cores(), int(found["memory_gb"] / ROOM))))
    else:
        pairs = {
            "card": f"{found['name']}, compute capability {found['compute_capability']}, {found['memory_gb']:.1f} GB",
            "driver": found["driver"] or "unknown",
            "CUDA": found["cuda"],
            "processor": f"{processor()}, {cores()} cores",
        }
        for name, value in (pairs | versions()).items():
            print(f"{name:<18} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
