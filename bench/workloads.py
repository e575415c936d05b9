"""The workloads by their names, and the notation for other sizes of the same families.

mlp:784-256-10@128       FAMILY:SIZES@BATCH
lstm:65-32-256x64@32     FAMILY:SIZESxLENGTH@BATCH
mlp-512@64               a workload that has a name, with another batch
"""

import re

from tinynet.bench.families import Cnn, Mlp, Moons
from tinynet.bench.sequences import Gpt, Lstm, Names, Rnn
from tinynet.bench.workload import Workload
from tinynet.errors import ArgumentError, did_you_mean

FAMILIES: dict[str, type[Workload]] = {kind.family: kind for kind in (Mlp, Cnn, Rnn, Lstm, Gpt, Names, Moons)}
NAMED = {
    "mlp-3b1b": "mlp:784-16-16-10@32",
    "mlp-nielsen": "mlp:784-30-10@10",
    "mlp-512": "mlp:784-512-512-10@256",
    "cnn-nielsen": "cnn:28-20-40-100-10@64",
    "rnn-char": "rnn:65-32-128x64@32",
    "lstm-char": "lstm:65-32-128x64@32",
    "gpt-nano": "gpt:65-128-4-4x64@12",
    "names-mlp": "names:27-10-200x3@32",
    "moons": "moons:16-16@100",
}
QUICK = {  # every family, as small as it goes
    "mlp-quick": "mlp:16-8-4@4",
    "cnn-quick": "cnn:16-2-3-4-3@2",
    "rnn-quick": "rnn:7-3-4x3@2",
    "lstm-quick": "lstm:7-3-4x3@2",
    "gpt-quick": "gpt:7-8-2-1x4@2",
    "names-quick": "names:7-3-4x3@2",
    "moons-quick": "moons:4@8",
}
BATCH = {"mlp": 32, "cnn": 64, "rnn": 32, "lstm": 32, "gpt": 12, "names": 32, "moons": 100}
LENGTH = {"rnn": 64, "lstm": 64, "gpt": 64, "names": 3}
MOST = 10**9  # parameters: 4 GB of them
NOTATION = re.compile(r"(?P<family>[a-z]+):(?P<sizes>\d+(-\d+)*)(x(?P<length>\d+))?(@(?P<batch>\d+))?")


def read(text: str) -> Workload:
    """The workload of that name or in that notation.

    Raises:
        ArgumentError: there is no such name or family, or its sizes make no network.
    """
    name, at, batch = text.partition("@")
    written = NAMED.get(name) or QUICK.get(name)
    if written and at:
        written = f"{written.partition('@')[0]}@{batch}"
    return _sized(text, written or text)


def _sized(name: str, written: str) -> Workload:
    found = NOTATION.fullmatch(written)
    if not found:
        known = [*NAMED, *FAMILIES]
        raise ArgumentError(
            f"there is no workload {name!r}{did_you_mean(name.partition(':')[0], known)} Choose from "
            f"{', '.join(NAMED)}, or write FAMILY:SIZES, such as mlp:784-256-10@128 or lstm:65-32-256x64@32."
        )
    family, sizes = found["family"], tuple(map(int, found["sizes"].split("-")))
    if family not in FAMILIES:
        raise ArgumentError(
            f"{name}: there is no family {family!r}{did_you_mean(family, FAMILIES)} Choose from {', '.join(FAMILIES)}."
        )
    if found["length"] and family not in LENGTH:
        raise ArgumentError(f"{name}: {family} has no sequences; leave x{found['length']} out.")
    length = int(found["length"] or LENGTH[family]) if family in LENGTH else 0
    batch = int(found["batch"] or BATCH[family])
    if not all(sizes) or batch < 1 or found["length"] == "0":
        raise ArgumentError(f"{name}: sizes, length and batch are at least 1.")
    workload = FAMILIES[family](name, sizes, length, batch)
    if workload.parameters > MOST:
        raise ArgumentError(f"{name}: {workload.parameters:,} parameters; at most {MOST:,} are measured.")
    return workload


WORKLOADS: dict[str, Workload] = {name: read(name) for name in NAMED}
