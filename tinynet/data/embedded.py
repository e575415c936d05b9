"""The digits that come with tinynet: 6,000 training and 1,000 test images of MNIST, a tenth of it, 0.9 MB.

They let every example, lesson and test run on real data with no network. ``make_digits.py`` made the files; their
licence is in ``LICENSE-digits.txt``. Must not know where complete data sets lie.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinynet.data.dataset import Dataset
from tinynet.data.idx import read_idx
from tinynet.data.mnist import images_to_x


def embedded_file(part: str, kind: str) -> Path:
    """The file of ``part`` (train, test) and ``kind`` (images, labels)."""
    return Path(__file__).with_name(f"digits-{part}-{kind}.idx.xz")


def digits(*, flat: bool = True) -> tuple[Dataset, Dataset]:
    """A subset of MNIST: (train, test) of 6,000 and 1,000 handwritten digits, 600 and 100 of each class.

    ``x``: float32 in [0, 1], 0 the background, (N, 784), or (N, 1, 28, 28) with ``flat=False``. ``y``: int64 (N,), the
    digit. Training digits come from MNIST's training set and test digits from its test set, in a fixed shuffled order.

    Source: Y. LeCun, C. Cortes, the MNIST database, CC BY-SA 3.0. Raises ``DataError`` when an installed file is
    damaged.
    """
    return _part("train", flat), _part("test", flat)


def _part(part: str, flat: bool) -> Dataset:
    images, labels = (_unpacked(part, kind) for kind in ("images", "labels"))
    # The files are ordered by class, which compresses best. NumPy keeps RandomState's numbers the same for ever (NEP
    # 19).
    order = np.random.RandomState(0).permutation(len(labels))
    x, y = images_to_x(images[order], flat), labels[order].astype(np.int64)
    return Dataset(x, y, classes=tuple("0123456789"), name=f"digits {part}")


@cache
def _unpacked(part: str, kind: str) -> NDArray[np.uint8]:
    """What a file holds, unpacked once; 5 MB in all. Whoever asks gets arrays of their own, made from it."""
    return read_idx(embedded_file(part, kind))
