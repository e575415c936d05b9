"""Writing files whole or not at all. Standard library only."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from tinynet.errors import FileError


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a file whole or not at all: a temporary file beside it, flushed to the disk, then renamed over it.

    Missing parent folders are made. Whatever goes wrong (a full disk, an interrupt, a power cut) leaves either the old
    file or the new one.

    Raises:
        FileError: the place cannot be written.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
        temporary = None
        with contextlib.suppress(OSError):  # a folder cannot be opened everywhere; the rename is safe all the same
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        remedy = "Free some space" if error.errno == errno.ENOSPC else "Choose a folder that can be written"
        raise FileError(f"Writing {path} ({len(data)} bytes): {error.strerror or error}. {remedy}.") from error
    finally:
        if temporary is not None:
            os.unlink(temporary)
    return path


def ready_folder(path: str | os.PathLike[str]) -> Path:
    """A folder to write to, made where it is missing: to be asked for before a long run, not after it.

    Raises:
        FileError: it cannot be made, or not be written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise FileError(
            f"Writing to {path}: {error.strerror or error}. Choose a folder that can be written."
        ) from error


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced; for a new one those that any new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
