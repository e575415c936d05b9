"""The IDX format: one array in a file, as MNIST is published.

    byte 0, 1   zero
    byte 2      element type: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    byte 3      number of dimensions d
    4·d bytes   the sizes, big-endian uint32
    the rest    the elements, big-endian, last index fastest

Source: Y. LeCun, C. Cortes, "The MNIST database of handwritten digits". Must not know any particular data set.
"""

import gzip
import lzma
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.data.files import decompress, read_bytes
from tinynet.errors import ArgumentError, DataError, TypeMismatch
from tinynet.files import write_bytes

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(dtype).newbyteorder("="): code for code, dtype in _DTYPES.items()}


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file; plain, gzip and xz are told apart by the file's first bytes.

    The result has the machine's byte order and its own memory. Raises ``DataError`` when the file is missing, damaged,
    not IDX, or not exactly as long as its header says: a file is read whole or not at all.
    """
    return decode_idx(decompress(read_bytes(path), path), path)


def write_idx(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Write one array as IDX; a name ending in ``.gz`` or ``.xz`` is compressed so. Equal arrays give equal bytes.

    Raises ``TypeMismatch`` for an element type that IDX lacks, ``DataError`` when the file cannot be written.
    """
    data = encode_idx(array)
    suffix = Path(path).suffix
    if suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    elif suffix == ".xz":
        data = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
    write_bytes(path, data)


def decode_idx(data: bytes, source: object) -> NDArray[Any]:
    """The array in the bytes of an IDX file; ``source`` is named in errors. Raises ``DataError``."""
    if not data:
        raise DataError(f"Reading {source} as IDX: the file is empty. Copy or download it again.")
    if data[:2] != b"\0\0" or len(data) < 4 or data[2] not in _DTYPES:
        types = ", ".join(f"{code:02x}" for code in _DTYPES)
        raise DataError(
            f"Reading {source} as IDX: it begins with the bytes {data[:4].hex(' ')}, where IDX has 00 00, an element "
            f"type ({types}) and a number of dimensions. Is it another kind of file?"
        )
    dtype, dimensions = np.dtype(_DTYPES[data[2]]), data[3]
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise DataError(
            f"Reading {source} as IDX: a header of {dimensions} dimensions takes {start} bytes, and the file has only "
            f"{len(data)}. It is cut short; copy or download it again."
        )
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        wrong = "It is cut short" if len(data) < expected else "Something was added to it"
        raise DataError(
            f"Reading {source} as IDX: shape {shape} of {dtype.newbyteorder('=').name} takes {expected} bytes, and the "
            f"file has {len(data)}. {wrong}; copy or download it again."
        )
    elements = np.frombuffer(data, dtype, offset=start)
    try:
        return elements.reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:  # more dimensions than NumPy has, or no elements and sizes beyond its range
        raise DataError(
            f"Reading {source} as IDX: no array can have the shape {shape} ({error}). Copy or download the file again."
        ) from error


def encode_idx(array: NDArray[Any]) -> bytes:
    """The bytes of an IDX file that holds ``array``. Raises ``TypeMismatch`` for an element type that IDX lacks."""
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        raise TypeMismatch(
            f"Writing IDX: the format has no element type for {array.dtype}; it has "
            f"{', '.join(dtype.name for dtype in _CODES)}. Convert first, for instance array.astype('int32')."
        )
    if any(size >= 2**32 for size in array.shape):
        raise ArgumentError(f"Writing IDX: a size in {array.shape} does not fit in 32 bits. Split the array.")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(_DTYPES[code]).tobytes()
