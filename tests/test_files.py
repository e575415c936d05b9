"""write_bytes: the whole file or the old one, with the permissions and links that were there."""

import errno
import os

import pytest

from tinynet import files
from tinynet.errors import FileError
from tinynet.files import write_bytes

pytestmark = pytest.mark.tiny


def mode_of(path) -> int:
    return path.stat().st_mode & 0o7777


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def umask():
    """Sets the umask of this test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_an_existing_file_keeps_its_mode(mode, tmp_path, umask):
    umask(0o077)
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(mode)
    assert write_bytes(path, b"new") == path
    assert (path.read_bytes(), oct(mode_of(path)), names(tmp_path)) == (b"new", oct(mode), ["f"])


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_a_new_file_has_the_mode_that_any_new_file_gets(mask, mode, tmp_path, umask):
    umask(mask)
    path = write_bytes(tmp_path / "f", b"new")
    (tmp_path / "other").write_bytes(b"")
    assert oct(mode_of(path)) == oct(mode) == oct(mode_of(tmp_path / "other"))
    assert umask(0o022) == mask, "the umask is as before"


def test_missing_folders_are_made(tmp_path):
    assert write_bytes(tmp_path / "a" / "b" / "f", b"new").read_bytes() == b"new"
    assert names(tmp_path / "a" / "b") == ["f"]


def test_a_symbolic_link_stays_one(tmp_path):
    there, link = tmp_path / "there", tmp_path / "link"
    there.mkdir()
    (there / "f").write_bytes(b"old")
    (there / "f").chmod(0o600)
    link.symlink_to(there / "f")
    assert write_bytes(link, b"new") == link
    assert link.is_symlink() and (there / "f").read_bytes() == b"new" and not (there / "f").is_symlink()
    assert mode_of(there / "f") == 0o600
    assert (names(there), names(tmp_path)) == (["f"], ["link", "there"])


def test_a_relative_link_a_chain_and_a_link_to_nothing_yet(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to("there/f")
    monkeypatch.chdir(tmp_path / "there")
    write_bytes(tmp_path / "first", b"new")
    assert (tmp_path / "there" / "f").read_bytes() == b"new"
    assert (tmp_path / "first").is_symlink() and (tmp_path / "second").is_symlink()


def failing(error: BaseException):
    def fail(*_args, **_options):
        raise error

    return fail


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FileError, "No space left on device. Free some space"),
        (PermissionError(errno.EACCES, "Permission denied"), FileError, "Choose a folder that can be written"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
    ],
    ids=["full", "forbidden", "interrupted"],
)
@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_leaves_what_was_there_and_nothing_else(existing, error, raised, words, call, tmp_path, monkeypatch):
    path = tmp_path / "f"
    if existing:
        path.write_bytes(b"old")
    monkeypatch.setattr(files.os, call, failing(error))
    with pytest.raises(raised) as caught:
        write_bytes(path, b"new one")
    monkeypatch.undo()
    assert words in str(caught.value)
    if raised is FileError:
        assert str(path) in str(caught.value) and "7 bytes" in str(caught.value)
        assert ("Free some space" in str(caught.value)) == (error.errno == errno.ENOSPC)
    assert names(tmp_path) == (["f"] if existing else [])
    assert not existing or path.read_bytes() == b"old"


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "f", tmp_path / "folder"):
        with pytest.raises(FileError, match="Choose a folder"):
            write_bytes(path, b"new")
    assert names(tmp_path) == ["file", "folder"] and names(tmp_path / "folder") == []
    assert (tmp_path / "file").read_bytes() == b"old"


def test_the_temporary_file_lies_beside_the_target_and_is_private(tmp_path, monkeypatch):
    """A rename is atomic inside one folder only; and until it is renamed nobody else should read it."""
    seen, replace = [], os.replace

    def watched(source, target):
        seen.append((os.path.dirname(source), str(target)))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", watched)
    write_bytes(tmp_path / "f", b"new")
    assert seen == [(str(tmp_path), str(tmp_path / "f"))]
