"""History: numbers by name, the best epoch, JSON, the table and the picture."""

import json
import math
import xml.etree.ElementTree as ElementTree
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_runs import MOONS, REST, moons_trainer

from tinynet import History
from tinynet.errors import ArgumentError, CheckpointError, FileError


def made(**columns: list[float]) -> History:
    epochs = len(next(iter(columns.values())))
    return History([{"epoch": i + 1.0} | {name: v[i] for name, v in columns.items()} for i in range(epochs)])


EXAMPLE = made(
    loss=[1.0, 0.5, 0.25], accuracy=[0.5, 0.9, 0.8], val_loss=[1.1, 0.6, 0.7], val_accuracy=[0.4, 0.7, 0.75],
    lr=[0.1] * 3, seconds=[1.5] * 3, samples_per_second=[1e4] * 3,
)  # fmt: skip


@pytest.mark.tiny
def test_numbers_by_name() -> None:
    assert len(EXAMPLE) == 3 and EXAMPLE["loss"] == [1.0, 0.5, 0.25] and EXAMPLE["epoch"] == [1, 2, 3]
    with pytest.raises(ArgumentError, match=r"'acc'.*epoch, loss, accuracy"):
        EXAMPLE["acc"]
    assert History()["loss"] == [] and len(History()) == 0


@pytest.mark.tiny
def test_the_best_epoch() -> None:
    assert EXAMPLE.best()["epoch"] == 2
    assert EXAMPLE.best("loss")["epoch"] == 3 and EXAMPLE.best("loss", largest=True)["epoch"] == 1
    assert EXAMPLE.best("accuracy")["epoch"] == 2 and EXAMPLE.best("accuracy", largest=False)["epoch"] == 1
    assert made(val_loss=[math.nan, 3.0, 2.0, math.nan]).best()["epoch"] == 3
    assert made(accuracy=[math.nan, 0.1]).best("accuracy")["epoch"] == 2
    with pytest.raises(ArgumentError, match="'val_f1'"):
        EXAMPLE.best("val_f1")
    with pytest.raises(ArgumentError, match="no epochs"):
        History().best()


numbers = st.floats(allow_nan=False)


@given(st.lists(st.dictionaries(st.text(), numbers), max_size=4), st.lists(st.text(), max_size=3), st.text())
def test_json_and_back(epochs: list[dict[str, float]], notes: list[str], stopped: str) -> None:
    history = History(epochs, notes, stopped)
    assert History.from_json(history.to_json()) == history


@pytest.mark.tiny
def test_json_of_a_run(tmp_path) -> None:
    history = moons_trainer().fit(MOONS, REST, epochs=2, progress=False)
    assert json.loads(history.save(tmp_path / "h.json").read_text())["epochs"] == history.epochs
    assert History.from_json((tmp_path / "h.json").read_text()) == history


@pytest.mark.tiny
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"epochs": 1, "notes": [], "stopped": ""}', '{"epochs": [3]}', "null"]
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError, match="not a history"):
        History.from_json(text)


@pytest.mark.tiny
def test_the_table() -> None:
    history = made(loss=[0.123456789, 12345.678], accuracy=[0.5, 1.0], samples_per_second=[1.0, 2.0])
    history.notes.append("enough")
    assert str(history).splitlines() == [
        "epoch      loss  accuracy",
        "    1  0.123457       0.5",
        "    2   12345.7         1",
        "enough",
    ]
    assert str(History()) == "History: no epochs yet"


# --- the picture ------------------------------------------------------------------------------------------------------


def png_is_whole(content: bytes) -> tuple[int, int]:
    """Walk the chunks of a PNG, checking each sum; its width and height."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds, pixels = 8, [], b""
    while at < len(content):
        size, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        body = content[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == int.from_bytes(content[at + 8 + size : at + 12 + size])
        kinds.append(kind)
        pixels += body if kind == b"IDAT" else b""
        at += 12 + size
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and len(set(zlib.decompress(pixels))) > 20
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


@pytest.mark.parametrize(
    "history",
    [EXAMPLE, made(loss=[2.0]), made(loss=[float(2**-e) for e in range(40)]), made(loss=[math.nan, 1.0]), History()],
    ids=["everything", "one epoch", "loss alone", "not a number", "empty"],
)
def test_pictures_are_valid(history: History, tmp_path) -> None:
    width, height = png_is_whole(history.save(tmp_path / "h.png").read_bytes())
    assert width > height > 300
    assert ElementTree.parse(history.save(tmp_path / "h.svg")).getroot().tag.endswith("svg")
    assert history.save(tmp_path / "h.PDF").read_bytes().startswith(b"%PDF")


def test_the_curves_are_the_numbers() -> None:
    left, right = EXAMPLE.plot().axes
    for axes, name in ((left, "loss"), (right, "accuracy")):
        assert axes.get_ylabel() == name and axes.get_xlabel() == "epoch"
        for line, key in zip(axes.lines, (name, f"val_{name}"), strict=True):
            assert list(line.get_xdata()) == [1, 2, 3] and list(line.get_ydata()) == EXAMPLE[key]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation"]
    assert len(made(loss=[1.0]).plot().axes) == 1


def test_a_notebook_shows_the_picture() -> None:
    png_is_whole(EXAMPLE._repr_png_())
    assert History()._repr_png_() is None


@pytest.mark.tiny
def test_another_kind_of_file_is_refused(tmp_path) -> None:
    with pytest.raises(ArgumentError, match=r"\.json, \.png, \.svg or \.pdf.*h\.txt"):
        EXAMPLE.save(tmp_path / "h.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError):
        EXAMPLE.save(tmp_path / "file" / "h.json")
