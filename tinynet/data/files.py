"""Where data files are looked for, and how their bytes come in.

Separate because every reader of a data set (IDX, names, Shakespeare) needs the same things. Must not know what
the bytes mean, and must not use the network.
"""

import gzip
import lzma
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from tinynet.errors import DataError


def cache_directory() -> Path:
    """The folder for downloads: ``$TINYNET_CACHE``, else ``$XDG_CACHE_HOME/tinynet``, else ``~/.cache/tinynet``."""
    if own := os.environ.get("TINYNET_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tinynet"


def places(folder: str, directory: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folders in which a data set is looked for, first match wins.

    A ``directory`` that the caller names is the only place. Otherwise: ``$TINYNET_DATA/folder``, ``$TINYNET_DATA``, and
    ``folder`` in the cache.
    """
    if directory is not None:
        return [Path(directory).expanduser()]
    data = os.environ.get("TINYNET_DATA")
    given = [Path(data).expanduser() / folder, Path(data).expanduser()] if data else []
    return [*dict.fromkeys(given), cache_directory() / folder]


def find(names: Iterable[str], folders: Iterable[Path]) -> Path | None:
    """The first of ``names`` that is a file in the first of ``folders`` that has one, or None."""
    names = list(names)
    return next((path for folder in folders for name in names if (path := folder / name).is_file()), None)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Everything in a file. Raises ``DataError`` when it is missing, is a directory or cannot be read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"Reading {path}: there is no such file. Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"Reading {path}: that is a directory. Name one file in it.") from None
    except OSError as error:
        raise DataError(f"Reading {path}: {error.strerror or error}. Check the path and its permissions.") from error


def decompress(data: bytes, source: object) -> bytes:
    """``data`` without its gzip or xz wrapping, which its first bytes tell; anything else comes back as it is.

    ``source`` is named in errors. Raises ``DataError`` when the wrapping is damaged.
    """
    try:
        if data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data)
        if data.startswith(b"\xfd7zXZ\0"):
            return _decompress_xz(data)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        kind = "gzip" if data.startswith(b"\x1f\x8b") else "xz"
        raise DataError(
            f"Reading {source}: damaged {kind} data in its {len(data)} bytes: {error}. Copy or download it again."
        ) from error
    return data


def _decompress_xz(data: bytes) -> bytes:
    # lzma.decompress ignores what follows the last stream; here trailing bytes are damage, as they are for gzip.
    out = []
    while data:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        out.append(stream.decompress(data))
        if not stream.eof:
            raise EOFError("it ends before the end-of-stream marker")
        data = stream.unused_data
    return b"".join(out)
