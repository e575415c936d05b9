"""MNIST: the search for its files, and the download against a server on this machine."""

import dataclasses
import gzip
import hashlib
import http.server
import io
import lzma
import os
import struct
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tinynet.data import fashion_mnist, mnist
from tinynet.data.files import cache_directory
from tinynet.data.mnist import _FASHION, _MNIST, _load
from tinynet.errors import DataError, FileError

needs_mnist = pytest.mark.skipif(
    not os.environ.get("TINYNET_DATA"), reason="TINYNET_DATA does not name the MNIST files"
)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def a_tiny_set(seed: int, mirrors: tuple[str, ...] = ()):
    """Five training and two test images as published: the files by name, and the source with their sums."""
    random = np.random.default_rng(seed)
    files, parts = {}, {}
    for part, prefix, n in (("train", "train", 5), ("test", "t10k", 2)):
        arrays = random.integers(0, 256, (n, 28, 28), np.uint8), random.integers(0, 10, n, np.uint8)
        published = []
        for file, array in zip(getattr(_MNIST, part), arrays):
            assert file.name.startswith(prefix)
            files[f"{file.name}.gz"] = gzip.compress(idx(array))
            published.append(dataclasses.replace(file, sha256=hashlib.sha256(idx(array)).hexdigest()))
        parts[part] = tuple(published)
    return files, dataclasses.replace(_MNIST, mirrors=mirrors, **parts)


def put(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No test here reads or fills the cache of whoever runs it."""
    monkeypatch.setenv("TINYNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    if not request.node.get_closest_marker("mnist"):
        monkeypatch.delenv("TINYNET_DATA", raising=False)


class Mirror(http.server.ThreadingHTTPServer):
    """A mirror on this machine: ``files`` by name, and what it does wrong on purpose, by name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.server.asked.append(name)
        data = self.server.files.get(name)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if name in self.server.cut else data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def everything_under(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["gz", "plain", "xz"])
def test_a_named_directory_is_read(tmp_path: Path, kind: str) -> None:
    files, source = a_tiny_set(0)
    if kind != "gz":
        wrap = bytes if kind == "plain" else lzma.compress
        suffix = "" if kind == "plain" else ".xz"
        files = {name.removesuffix(".gz") + suffix: wrap(gzip.decompress(data)) for name, data in files.items()}
    train, test = _load(source, put(files, tmp_path / "here"), True)
    raw = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    assert train.x.dtype == np.float32 and train.x.shape == (5, 784) and test.x.shape == (2, 784)
    assert train.y.dtype == np.int64 and train.classes == tuple("0123456789") and train.name == "mnist train"
    assert train.x[1, 30] == np.float32(raw[1, 1, 2]) / np.float32(255)
    pictures, _ = _load(source, tmp_path / "here", False)
    assert pictures.x.shape == (5, 1, 28, 28) and (pictures.x.reshape(5, 784) == train.x).all()


def test_places_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "data"))
    files, source = a_tiny_set(0)
    for folder in ("cache/mnist", "data", "data/mnist"):  # each comes before the one before it
        put(files, tmp_path / folder)
        train, _ = _load(source, None, True)
        assert len(train) == 5
        put({name: b"spoilt" for name in files}, tmp_path / folder)
        with pytest.raises(DataError) as caught:
            _load(source, None, True)
        assert str(tmp_path / folder / "train-images-idx3-ubyte.gz") in str(caught.value)


def test_a_named_directory_is_the_only_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: Mirror) -> None:
    files, source = a_tiny_set(0, (mirror.url,))
    mirror.files = files
    monkeypatch.setenv("TINYNET_DATA", str(put(files, tmp_path / "data")))
    with pytest.raises(DataError, match=r"mnist: .*empty has no train-images-idx3-ubyte.*leave the directory out"):
        _load(source, tmp_path / "empty", True)
    assert mirror.asked == []


def test_files_of_another_data_set_are_told_apart(tmp_path: Path) -> None:
    files, _ = a_tiny_set(1)
    _, source = a_tiny_set(0)
    with pytest.raises(
        DataError, match=r"not the published train-images.*SHA-256, unpacked, is .*give each set its own"
    ):
        _load(source, put(files, tmp_path / "here"), True)
    with pytest.raises(DataError, match=r"its MD5 is .*, not 8d4fb7e6c68d591d4c3dfef9ec88bf0d"):
        fashion_mnist(tmp_path / "here")
    with pytest.raises(DataError, match=r"fashion-mnist: .*labels.*SHA-256"):
        plain = {name.removesuffix(".gz"): gzip.decompress(data) for name, data in files.items()}
        fashion_mnist(put(plain, tmp_path / "plain"))


def test_damage_is_found(tmp_path: Path) -> None:
    files, source = a_tiny_set(0)
    files["t10k-labels-idx1-ubyte.gz"] = files["t10k-labels-idx1-ubyte.gz"][:-3]
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: damaged gzip.*Replace it"):
        _load(source, put(files, tmp_path / "here"), True)


def test_a_download_is_checked_kept_and_not_repeated(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files, source = a_tiny_set(0, (mirror.url,))
    train, test = _load(source, None, True)
    assert (len(train), len(test)) == (5, 2)
    assert [name.removesuffix("-ubyte.gz") for name in mirror.asked] == [
        "train-images-idx3",
        "train-labels-idx1",
        "t10k-images-idx3",
        "t10k-labels-idx1",
    ]
    cache = tmp_path / "cache" / "mnist"
    assert everything_under(cache) == sorted(mirror.files)
    assert all((cache / name).read_bytes() == data for name, data in mirror.files.items())
    assert (_load(source, None, True)[0].x == train.x).all() and len(mirror.asked) == 4


def test_a_second_mirror_stands_in(tmp_path: Path, mirror: Mirror) -> None:
    files, source = a_tiny_set(0, (f"{mirror.url}absent/", mirror.url))
    mirror.files = files
    assert len(_load(source, None, True)[0]) == 5


@pytest.mark.parametrize("trouble", ["404", "refused", "cut", "other bytes", "not gzip"])
def test_a_download_that_fails_says_why_and_leaves_nothing(tmp_path: Path, mirror: Mirror, trouble: str) -> None:
    mirror.files, source = a_tiny_set(0, (mirror.url,))
    image = "train-images-idx3-ubyte.gz"
    size = len(mirror.files[image])
    if trouble == "404":
        mirror.files = {}
        why = "the server answered 404 Not Found"
    elif trouble == "refused":
        source = dataclasses.replace(source, mirrors=("http://127.0.0.1:1/",))
        why = "refused"
    elif trouble == "cut":
        mirror.cut = {image}
        why = f"the connection ended after {size // 2} of {size} bytes"
    elif trouble == "other bytes":
        mirror.files, _ = a_tiny_set(1)
        why = "not the published train-images-idx3-ubyte; its SHA-256"
    else:
        mirror.files[image] = b"<html>Sign in to the network</html>"
        why = "not the published"
    with pytest.raises(DataError) as caught:
        _load(source, None, True)
    message = str(caught.value)
    for part in (why, f"{source.mirrors[0]}{image}", "set TINYNET_DATA", "tinynet.data.digits()"):
        assert part in message, message
    assert everything_under(tmp_path) == []


def test_a_page_instead_of_fashion_mnist_is_refused(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files = {"train-images-idx3-ubyte.gz": idx(np.zeros((1, 28, 28), np.uint8))}
    with pytest.raises(DataError, match="its MD5 is"):
        _load(dataclasses.replace(_FASHION, mirrors=(mirror.url,)), None, True)
    assert everything_under(tmp_path) == []


def test_an_interrupted_download_leaves_nothing(
    tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.files, source = a_tiny_set(0, (mirror.url,))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _load(source, None, True)
    assert everything_under(tmp_path) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files, source = a_tiny_set(0, (mirror.url,))
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(FileError, match=r"Writing .*cache/mnist/.*Choose a folder that can be written"):
        _load(source, None, True)


def test_a_terminal_is_shown_a_progress_bar(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    mirror.files, source = a_tiny_set(0, (mirror.url,))
    _load(source, None, True)
    assert "train-images-idx3-ubyte.gz" in screen.getvalue()


def test_published_addresses_are_https() -> None:
    assert all(url.startswith("https://") and url.endswith("/") for url in _MNIST.mirrors + _FASHION.mirrors)
    assert urllib.request.Request(_FASHION.mirrors[0]).host == "github.com"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TINYNET_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/tinynet"),
        ({"HOME": "/c"}, "/c/.cache/tinynet"),
    ],
)
def test_the_cache_directory(environment: dict, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TINYNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == Path(expected)


@pytest.mark.mnist
@needs_mnist
def test_full_mnist_is_what_was_published() -> None:
    train, test = mnist()
    assert train.x.shape == (60000, 784) and test.x.shape == (10000, 784)
    assert np.bincount(train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    # The mean and standard deviation that everyone normalises MNIST with.
    assert round(float(train.x.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(train.x.std(dtype=np.float64)), 4) == 0.3081
