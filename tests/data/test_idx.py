"""IDX files against bytes written by hand with ``struct``."""

import gzip
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinynet.data.idx import decode_idx, encode_idx, read_idx, write_idx
from tinynet.errors import ArgumentError, DataError, FileError, TypeMismatch

SMALL = struct.pack(">BBBBII", 0, 0, 0x0B, 2, 2, 3) + struct.pack(">6h", 1, -2, 3, 4, 5, 600)
ARRAY = np.array([[1, -2, 3], [4, 5, 600]], np.int16)
CODES = {"uint8": (0x08, "B"), "int8": (0x09, "b"), "int16": (0x0B, "h"), "int32": (0x0C, "i"), "float32": (0x0D, "f")}
CODES["float64"] = (0x0E, "d")


@pytest.mark.tiny
@pytest.mark.parametrize("name", CODES)
def test_each_element_type_is_read_and_written_as_the_format_says(name: str) -> None:
    code, letter = CODES[name]
    data = struct.pack(">BBBBI", 0, 0, code, 1, 3) + struct.pack(f">3{letter}", 1, 2, 100)
    array = decode_idx(data, "by hand")
    assert array.dtype == np.dtype(name) and array.dtype.isnative and array.flags.writeable
    assert array.tolist() == [1, 2, 100]
    assert encode_idx(np.array([1, 2, 100], name)) == data


@pytest.mark.parametrize("wrap", [bytes, gzip.compress, lzma.compress], ids=["plain", "gzip", "xz"])
@pytest.mark.parametrize("name", ["a.idx", "a.gz", "a.xz"])
def test_wrapping_is_told_by_the_bytes_and_not_by_the_name(tmp_path: Path, wrap, name: str) -> None:
    (tmp_path / name).write_bytes(wrap(SMALL))
    np.testing.assert_array_equal(read_idx(tmp_path / name), ARRAY)


@pytest.mark.parametrize(
    ("name", "unwrap"),
    [("a", bytes), ("a.gz", gzip.decompress), ("a.xz", lzma.decompress)],
    ids=["plain", "gzip", "xz"],
)
def test_written_file_holds_these_bytes_and_nothing_lies_beside_it(tmp_path: Path, name: str, unwrap) -> None:
    path = tmp_path / "new" / name
    write_idx(path, ARRAY)
    first = path.read_bytes()
    assert unwrap(first) == SMALL
    if name.endswith(".gz"):
        assert first[3:8] == bytes(5), "no name and no time in the gzip header"
    write_idx(path, np.asfortranarray(ARRAY).astype(">i2"))
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == [name]


@given(
    hnp.arrays(
        dtype=st.sampled_from(["u1", "i1", "<i2", ">i2", "<i4", "<f4", ">f8"]),
        shape=hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    )
)
def test_round_trip_keeps_shape_type_and_every_bit(array: np.ndarray) -> None:
    back = decode_idx(encode_idx(array), "memory")
    assert back.shape == array.shape and back.dtype == array.dtype.newbyteorder("=")
    assert back.tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()


@given(st.integers(0, len(SMALL) - 1))
def test_no_prefix_of_a_file_is_half_read(length: int) -> None:
    with pytest.raises(DataError, match="cut"):
        decode_idx(SMALL[:length], "cut")


@given(st.binary(max_size=40))
def test_any_bytes_are_read_whole_or_refused(data: bytes) -> None:
    try:
        array = decode_idx(data, "noise")
    except DataError:
        return
    assert encode_idx(array) == data


REFUSED = {
    "empty": (b"", "empty"),
    "png": (b"\x89PNG\r\n\x1a\n", "89 50 4e 47.*another kind"),
    "element type": (b"\0\0\x0a\1\0\0\0\0", "00 00 0a 01"),
    "header cut": (SMALL[:7], "takes 12 bytes.*only 7"),
    "truncated": (SMALL[:-1], r"\(2, 3\) of int16 takes 24 bytes.*has 23.*cut short"),
    "trailing": (SMALL + b"\n", "takes 24 bytes.*has 25.*added"),
    "gzip cut": (gzip.compress(SMALL)[:-9], "damaged gzip"),
    "gzip flipped": (gzip.compress(SMALL)[:-6] + b"\0\0\0\0\0\0", "damaged gzip"),
    "gzip header": (b"\x1f\x8b" + SMALL, "damaged gzip"),
    "gzip trailing": (gzip.compress(SMALL) + b"x", "damaged gzip"),
    "xz cut": (lzma.compress(SMALL)[:-5], "damaged xz"),
    "xz flipped": (lzma.compress(SMALL)[:30] + b"\xff" + lzma.compress(SMALL)[31:], "damaged xz"),
    "xz trailing": (lzma.compress(SMALL) + b"x", "damaged xz"),
    "truncated in gzip": (gzip.compress(SMALL[:-1]), "cut short"),
    "too many dimensions": (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x", "no array can have"),
    "too large and empty": (b"\0\0\x0e\4" + b"\xff" * 12 + b"\0\0\0\0", "no array can have"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_damage_is_named_with_the_file(tmp_path: Path, case: str) -> None:
    data, message = REFUSED[case]
    path = tmp_path / "images.idx"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.idx: there is no such file"):
        read_idx(tmp_path / "nowhere.idx")
    with pytest.raises(DataError, match="is a directory"):
        read_idx(tmp_path)


def test_what_idx_cannot_hold_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(TypeMismatch, match=r"int64.*astype\('int32'\)"):
        write_idx(tmp_path / "a", np.arange(3, dtype=np.int64))
    with pytest.raises(ArgumentError, match="32 bits"):
        write_idx(tmp_path / "a", np.broadcast_to(np.uint8(0), (0, 2**32)))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FileError, match=r"Writing .*file/a .*Choose a folder"):
        write_idx(tmp_path / "file" / "a", ARRAY)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="Writing"):
        write_idx(tmp_path / "folder", ARRAY)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
