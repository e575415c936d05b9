"""MNIST and Fashion-MNIST, complete: 60,000 training and 10,000 test images of 28 × 28 pixels in ten classes.

Each file is found on this machine or downloaded once, and checked before use. Must not know the embedded digits: a run
that asks for MNIST never gets a part of it.

Sources: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"; H. Xiao, K. Rasul, R.
Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", arXiv:1708.07747.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.data.dataset import Dataset
from tinynet.data.download import download
from tinynet.data.files import cache_directory, decompress, find, places, read_bytes
from tinynet.data.idx import decode_idx
from tinynet.errors import DataError


@dataclass(frozen=True)
class _File:
    """One published file. ``sha256`` is of the bytes inside the gzip wrapping, ``gzip_md5`` of the wrapped file."""

    name: str
    sha256: str | None = None
    gzip_md5: str | None = None

    def unwrap(self, data: bytes, source: object) -> bytes:
        """What ``data``, as stored, holds. Raises ``DataError`` when it is damaged or is not this file."""
        contents = decompress(data, source)
        if self.sha256 is not None:
            kind, expected, actual = "SHA-256, unpacked,", self.sha256, hashlib.sha256(contents).hexdigest()
        elif self.gzip_md5 is not None and str(source).endswith(".gz"):
            kind, expected, actual = "MD5", self.gzip_md5, hashlib.md5(data, usedforsecurity=False).hexdigest()
        else:
            return contents
        if actual != expected:
            raise DataError(f"{source}: this is not the published {self.name}; its {kind} is {actual}, not {expected}.")
        return contents


@dataclass(frozen=True)
class _Source:
    """A published data set: its name, where it can be had, its four files and the names of its classes."""

    name: str
    mirrors: tuple[str, ...]
    train: tuple[_File, _File]  # images, labels
    test: tuple[_File, _File]
    classes: tuple[str, ...]


_MNIST = _Source(
    name="mnist",
    mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    train=(
        _File("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        _File("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    test=(
        _File("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        _File("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
    classes=tuple("0123456789"),
)

# The authors of Fashion-MNIST publish MD5 sums of the gzip files and no other, so these stand for the images. They tell
# damage and mix-ups; against a forger they would not do. The labels' SHA-256 is of the files with the published MD5
# sums 25c81989df183df01b3e8a0aad5dffbe and bb300cfdad3c16e7a12a480ee83cd310.
_FASHION = _Source(
    name="fashion-mnist",
    mirrors=("https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",),
    train=(
        _File("train-images-idx3-ubyte", gzip_md5="8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        _File("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ),
    test=(
        _File("t10k-images-idx3-ubyte", gzip_md5="bef4ecab320f06d8554ea6380940ec79"),
        _File("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
)  # fmt: skip


def mnist(directory: str | os.PathLike[str] | None = None, *, flat: bool = True) -> tuple[Dataset, Dataset]:
    """Handwritten digits: (train, test) of 60,000 and 10,000 examples.

    ``x``: float32 in [0, 1], 0 the background, (N, 784), or (N, 1, 28, 28) with ``flat=False``. ``y``: int64 (N,), the
    digit.

    The four files, plain, ``.gz`` or ``.xz``, are taken from ``directory`` when one is named, and from nowhere else
    then. Otherwise from ``$TINYNET_DATA/mnist``, ``$TINYNET_DATA``, the cache (``$TINYNET_CACHE``,
    ``$XDG_CACHE_HOME/tinynet`` or ``~/.cache/tinynet``), or they are downloaded into the cache. The SHA-256 of what
    they hold is checked each time.

    Raises ``DataError`` when a file cannot be had or is another.
    """
    return _load(_MNIST, directory, flat)


def fashion_mnist(directory: str | os.PathLike[str] | None = None, *, flat: bool = True) -> tuple[Dataset, Dataset]:
    """Pictures of clothes, in MNIST's format and harder: (train, test) of 60,000 and 10,000 examples.

    Shapes, places and errors as for ``mnist``, with the folder ``fashion-mnist``. ``y`` counts through ``classes``.
    The authors publish MD5 sums of the ``.gz`` files only: images unpacked from them cannot be checked in that way.
    """
    return _load(_FASHION, directory, flat)


def images_to_x(images: NDArray[np.uint8], flat: bool) -> NDArray[np.float32]:
    """Pixels 0…255, (N, 28, 28), as float32 in [0, 1]: (N, 784) when flat, else (N, 1, 28, 28)."""
    shape = (len(images), images.shape[1] * images.shape[2]) if flat else (len(images), 1, *images.shape[1:])
    return np.divide(images, np.float32(255)).reshape(shape)


def _load(source: _Source, directory: str | os.PathLike[str] | None, flat: bool) -> tuple[Dataset, Dataset]:
    def part(name: str, files: tuple[_File, _File]) -> Dataset:
        images, labels = (_array(source, file, directory) for file in files)
        x, y = images_to_x(images, flat), labels.astype(np.int64)
        return Dataset(x, y, classes=source.classes, name=f"{source.name} {name}")

    return part("train", source.train), part("test", source.test)


def _array(source: _Source, file: _File, directory: str | os.PathLike[str] | None) -> NDArray[Any]:
    """What one file holds, from where it is found or from the network."""
    folders = places(source.name, directory)
    path = find((file.name, f"{file.name}.gz", f"{file.name}.xz"), folders)
    if path is not None:
        try:
            return decode_idx(file.unwrap(read_bytes(path), path), path)
        except DataError as error:
            raise DataError(
                f"{source.name}: {error} Replace it with the published file; if it belongs to another data set, give "
                f"each set its own folder, as in $TINYNET_DATA/{source.name}."
            ) from error
    if directory is not None:
        raise DataError(
            f"{source.name}: {folders[0]} has no {file.name} (nor .gz, .xz). Name the folder that holds the four "
            "files, or leave the directory out: then $TINYNET_DATA and the cache are searched, and what is missing is "
            "downloaded."
        )
    path = cache_directory() / source.name / f"{file.name}.gz"
    try:
        contents = download([f"{mirror}{path.name}" for mirror in source.mirrors], path, file.unwrap)
    except DataError as error:
        raise DataError(
            f"{source.name}: {file.name} is in none of {', '.join(map(str, folders))}, and downloading failed:\n"
            f"{error}\nPut the four files in a folder and set TINYNET_DATA to it, or use tinynet.data.digits(): 7,000 "
            "digits of MNIST that come with tinynet."
        ) from error
    return decode_idx(contents, path)
