"""Writing files whole or not at all. Standard library only."""

import contextlib
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
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
        with contextlib.suppress(OSError):  # a folder cannot be opened everywhere; the rename is safe all the same
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise FileError(
            f"Writing {path} ({len(data)} bytes): {error.strerror or error}. Choose a folder that can be written."
        ) from error
    finally:
        if temporary is not None:
            os.unlink(temporary)
    return path
