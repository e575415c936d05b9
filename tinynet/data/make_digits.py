"""How the embedded digits were chosen from MNIST, to be run again by anyone who doubts it.

    TINYNET_DATA=folder-of-mnist python -m tinynet.data.make_digits [folder]

writes the four files into ``folder`` (the package's own by default). The arrays in them are the same wherever it runs;
the compressed bytes are too with the same release of liblzma. Nothing imports this file.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.data.embedded import embedded_file
from tinynet.data.idx import write_idx
from tinynet.data.mnist import mnist


def choose(labels: NDArray[np.int64], per_class: int) -> NDArray[np.int64]:
    """The indices of ``per_class`` examples of each class, drawn at random, by class, then by index."""
    random = np.random.RandomState(0)
    drawn = (random.permutation(np.flatnonzero(labels == k))[:per_class] for k in np.unique(labels))
    return np.concatenate([np.sort(indices) for indices in drawn])


def subset() -> Iterator[tuple[str, str, NDArray[Any]]]:
    """The four arrays as (part, kind, array): images uint8 (N, 28, 28), labels uint8 (N,). Reads the full MNIST."""
    for part, per_class, full in zip(("train", "test"), (600, 100), mnist()):
        indices = choose(full.y, per_class)
        yield part, "images", np.rint(full.x[indices] * 255).astype(np.uint8).reshape(-1, 28, 28)
        yield part, "labels", full.y[indices].astype(np.uint8)


def main() -> None:
    """Write the four files and say how large they are."""
    for part, kind, array in subset():
        path = embedded_file(part, kind)
        if len(sys.argv) > 1:
            path = Path(sys.argv[1]) / path.name
        write_idx(path, array)
        print(f"{path}: {array.shape}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
