"""A whole epoch: ``tinynet train mnist`` beside a plain PyTorch loop, each a process of its own, start-up included.

Both read the same files, train 784-16-16-10 with ReLU for one epoch in batches of 32 by SGD, and measure on the test
set. They run in turn, so that the ratio holds whatever the machine is doing.

    python -m tinynet.bench.epoch             # needs MNIST in TINYNET_DATA and `pip install torch`
"""

import argparse
import importlib.util
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tinynet.data.files import find, places
from tinynet.errors import TinynetError

FILES = [
    f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]  # fmt: skip
TRAIN = (
    "train mnist --model 784-16-16-10 --activation relu --loss cross-entropy --optimizer sgd --lr 0.1 "
    "--schedule constant --epochs 1 --batch-size 32 --no-save --quiet --backend numpy"
).split()
GOAL = 3.0  # times as fast as PyTorch


class EpochError(TinynetError):
    """What is needed is not here, or one of the two did not train."""


def folder() -> Path:
    """Where the four files of MNIST lie.

    Raises:
        EpochError: they lie nowhere that tinynet looks.
    """
    found = {path.parent for name in FILES if (path := find((name,), places("mnist", None)))}
    if len(found) != 1:
        raise EpochError(
            "a whole epoch is measured on the full MNIST, its four files (.gz) in one folder, and they are not here. "
            "`tinynet data mnist` downloads them; or set TINYNET_DATA to where they lie."
        )
    return found.pop()


def commands(data: Path) -> dict[str, list[str]]:
    """What is run, by the names in the table.

    Raises:
        EpochError: PyTorch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise EpochError("a whole epoch is measured against PyTorch, which is not installed: pip install torch")
    return {
        "tinynet": [sys.executable, "-m", "tinynet", *TRAIN, "--data-dir", str(data)],
        "PyTorch": [sys.executable, str(Path(__file__).with_name("epoch_torch.py")), str(data)],
    }


def take(command: list[str]) -> tuple[float, str]:
    """Seconds that a process takes from start to end, and the accuracy on the test set that it prints.

    Raises:
        EpochError: it fails, or prints none.
    """
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    accuracy = re.search(r"Test accuracy ([\d.]+%)", done.stdout)
    if done.returncode or not accuracy:
        raise EpochError(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds, accuracy[1]


def table(taken: dict[str, list[float]], accuracies: dict[str, str]) -> str:
    """Medians, least and most, and how many times as fast tinynet is."""
    rows = [f"{'':10}{'median':>10}{'least':>10}{'most':>10}   test accuracy"]
    for name, seconds in taken.items():
        figures = "".join(f"{f(seconds):8.2f} s" for f in (statistics.median, min, max))
        rows.append(f"{name:10}{figures}   {accuracies[name]}")
    ours, theirs = (statistics.median(taken[name]) for name in ("tinynet", "PyTorch"))
    return "\n".join([*rows, f"PyTorch / tinynet: {theirs / ours:.2f} (the aim is {GOAL:g} at least)"])


def main(words: list[str] | None = None) -> int:
    """Run both in turn and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tinynet.bench.epoch", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: 5)")
    rounds = max(1, parser.parse_args(words).rounds)
    try:
        wanted = commands(folder())
        taken: dict[str, list[float]] = {name: [] for name in wanted}
        accuracies = {}
        for _ in range(rounds + 1):
            for name, command in wanted.items():
                seconds, accuracies[name] = take(command)
                taken[name].append(seconds)
    except EpochError as error:
        print(f"epoch: {error}", file=sys.stderr)
        return 1
    print(f"One epoch of MNIST, 784-16-16-10, batches of 32, {rounds} rounds after one that warms the disk's cache")
    print(table({name: seconds[1:] for name, seconds in taken.items()}, accuracies))
    return 0


if __name__ == "__main__":
    sys.exit(main())
