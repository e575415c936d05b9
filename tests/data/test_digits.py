"""The digits that come with tinynet, and how they are made again from the full MNIST."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinynet.data import digits, read_idx
from tinynet.data.embedded import embedded_file
from tinynet.data.make_digits import choose, subset

needs_mnist = pytest.mark.skipif(
    not os.environ.get("TINYNET_DATA"), reason="TINYNET_DATA does not name the MNIST files"
)


def test_digits_are_balanced_shuffled_and_in_range() -> None:
    train, test = digits()
    assert train.x.shape == (6000, 784) and test.x.shape == (1000, 784)
    assert train.x.dtype == np.float32 and train.y.dtype == np.int64
    assert np.bincount(train.y).tolist() == [600] * 10 and np.bincount(test.y).tolist() == [100] * 10
    assert train.x.min() == 0 and train.x.max() == 1
    assert min(np.bincount(train.y[:200], minlength=10)) > 5, "the first examples are of every class"
    assert digits(flat=False)[1].x.shape == (1000, 1, 28, 28)


# Sums of what was chosen from the published files, so that neither the choice nor the order can change unnoticed.
@pytest.mark.parametrize(
    ("part", "x_sum", "y_sum"),
    [(0, "c1a656609b650693", "9f248ac4e7066937"), (1, "fc711b623921b1dd", "0e6ae81e59e7a691")],
    ids=["train", "test"],
)
def test_digits_are_always_the_same(part: int, x_sum: str, y_sum: str) -> None:
    dataset = digits()[part]
    pixels = np.rint(dataset.x * 255).astype(np.uint8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == x_sum
    assert hashlib.sha256(dataset.y.astype(np.uint8).tobytes()).hexdigest()[:16] == y_sum


def test_choose_draws_from_each_class_without_repeats() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 500)
    chosen = choose(labels, 7)
    assert len(set(chosen.tolist())) == 70 and labels[chosen].tolist() == sorted([*range(10)] * 7)


def test_the_files_are_a_megabyte_in_all() -> None:
    assert sum(embedded_file(p, k).stat().st_size for p in ("train", "test") for k in ("images", "labels")) < 1_000_000


@pytest.mark.mnist
@needs_mnist
def test_the_embedded_files_are_made_again_from_the_full_mnist() -> None:
    for part, kind, array in subset():
        np.testing.assert_array_equal(read_idx(embedded_file(part, kind)), array, err_msg=f"{part} {kind}")


@pytest.mark.mnist
@needs_mnist
def test_the_script_writes_the_four_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinynet.data.make_digits", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for part in ("train", "test"):
        for kind in ("images", "labels"):
            path = tmp_path / embedded_file(part, kind).name
            assert path.name in said
            np.testing.assert_array_equal(read_idx(path), read_idx(embedded_file(part, kind)))
