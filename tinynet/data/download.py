"""Fetching one file over the network: tried at each mirror, checked, then put in place whole.

Separate because it is the only code in the package that uses the network. Must not know what the file holds: the caller
passes the check with it.
"""

import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tinynet.errors import DataError
from tinynet.files import write_bytes

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16  # bytes


def download(urls: Iterable[str], target: Path, unwrap: Callable[[bytes, str], bytes]) -> bytes:
    """Fetch the first of ``urls`` that ``unwrap(data, url)`` accepts, store it as ``target``, return what unwrap gave.

    ``unwrap`` checks the bytes and takes off their wrapping. Nothing is written before it has passed, and then
    atomically, so that an interrupted run leaves no part of a file. Raises ``DataError`` with the reason for each
    address.
    """
    reasons = []
    for url in urls:
        try:
            data = _fetch(url, target.name)
            contents = unwrap(data, url)
        except DataError as error:
            reasons.append(str(error))
            continue
        write_bytes(target, data)
        return contents
    raise DataError("\n".join(f"  {reason}" for reason in reasons))


def _fetch(url: str, name: str) -> bytes:
    """The body of one address, complete: as long as the server announced."""
    data = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            total: int | None = response.length
            with _progress(name, total) as advance:
                while chunk := response.read(_CHUNK):
                    data += chunk
                    advance(len(chunk))
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(f"{url}: the server answered {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DataError(f"{url}: {reason} after {len(data)} bytes.") from error
    if total is not None and len(data) != total:
        raise DataError(f"{url}: the connection ended after {len(data)} of {total} bytes.")
    return bytes(data)


@contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, nothing elsewhere; gives the function that moves it by a number of bytes."""
    if not sys.stderr.isatty():
        yield lambda size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda size: bar.update(task, advance=size)
