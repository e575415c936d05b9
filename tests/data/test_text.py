from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynet.data import Characters, names, next_character, read_names, shakespeare
from tinynet.errors import ArgumentError, DataError, ShapeError, TypeMismatch


@pytest.mark.tiny
def test_characters_are_sorted_and_numbered() -> None:
    vocabulary = Characters("banana")
    assert vocabulary.itos == ("a", "b", "n") and vocabulary.stoi == {"a": 0, "b": 1, "n": 2} and len(vocabulary) == 3
    assert vocabulary.encode("nab").tolist() == [2, 0, 1] and vocabulary.encode("nab").dtype == np.int64
    assert vocabulary.decode([2, 0, 1]) == "nab"
    assert Characters(["emma", "ava"], boundary=".").itos == (".", "a", "e", "m", "v")
    assert Characters(["a-b"], boundary=".").itos == (".", "-", "a", "b")
    assert repr(vocabulary) == "Characters(3: 'abn')"


@given(st.text(min_size=1))
def test_decode_undoes_encode(text: str) -> None:
    vocabulary = Characters(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.decode(vocabulary.encode("")) == ""


def test_an_unknown_character_is_named_with_its_position() -> None:
    with pytest.raises(
        ArgumentError, match=r"'é' at position 4 \('andré'\) is not among the 4 known characters 'adnr'"
    ):
        Characters("andr").encode("andré")


@pytest.mark.parametrize(
    ("numbers", "error", "message"),
    [
        ([0, 3], ArgumentError, "3 at position 1 is no character; they are 0 to 2"),
        ([-1], ArgumentError, "-1 at position 0"),
        ([0.0], TypeMismatch, "float64"),
        ([[0]], ShapeError, r"\(1, 1\)"),
    ],
)
def test_decode_refuses(numbers: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Characters("abc").decode(numbers)


def test_characters_refuses() -> None:
    with pytest.raises(ArgumentError, match="is empty"):
        Characters("")
    with pytest.raises(ArgumentError, match=r"'\.' is in the text"):
        Characters(["a.b"], boundary=".")
    with pytest.raises(ArgumentError, match="one character; got '<>'"):
        Characters("abc", boundary="<>")


def makemore(words: list[str], context: int) -> list[tuple[str, str]]:
    """The loop of the makemore lectures, on characters."""
    examples = []
    for word in words:
        window = "." * context
        for character in word + ".":
            examples.append((window, character))
            window = window[1:] + character
    return examples


@given(st.lists(st.text("abc", max_size=5), min_size=1, max_size=6), st.integers(1, 4))
def test_names_become_the_examples_of_makemore(words: list[str], context: int) -> None:
    vocabulary = Characters("abc", boundary=".")
    dataset = next_character(words, context, vocabulary)
    actual = [(vocabulary.decode(x), vocabulary.decode([y])) for x, y in zip(dataset.x, dataset.y)]
    assert actual == makemore(words, context)
    assert dataset.classes == (".", "a", "b", "c")


@given(st.text("abc", min_size=3, max_size=12), st.integers(1, 2))
def test_a_text_becomes_windows_without_boundaries(text: str, context: int) -> None:
    vocabulary = Characters(text)
    dataset = next_character(text, context)
    every = next_character(text, context, every_position=True)
    assert len(dataset) == len(every) == len(text) - context
    for i in range(len(dataset)):
        assert vocabulary.decode(dataset.x[i]) == vocabulary.decode(every.x[i]) == text[i : i + context]
        assert vocabulary.decode([dataset.y[i]]) == text[i + context]
        assert vocabulary.decode(every.y[i]) == text[i + 1 : i + context + 1]


def test_windows_of_a_long_text_share_its_memory() -> None:
    dataset = next_character("ab" * 5000, 64)
    assert dataset.x.strides == (8, 8)


def test_next_character_refuses() -> None:
    with pytest.raises(ArgumentError, match="at least 1 character; got 0"):
        next_character("abc", 0)
    with pytest.raises(ArgumentError, match="context of 3 needs a text of 4 characters or more; got 3"):
        next_character("abc", 3)
    with pytest.raises(ArgumentError, match="names need a vocabulary with a boundary"):
        next_character(["abc"], 3, Characters("abc"))
    with pytest.raises(ArgumentError, match="no names"):
        next_character([], 3)
    with pytest.raises(ArgumentError, match="every_position is for one long text"):
        next_character(["abc"], 3, every_position=True)
    with pytest.raises(ArgumentError, match="'d' at position"):
        next_character(["abd"], 3, Characters("abc", boundary="."))


def test_names_are_read_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("emma\r\n\n  zoë \nava".encode())
    assert read_names(path) == names(tmp_path) == ["emma", "zoë", "ava"]
    path.write_bytes(b" \n")
    with pytest.raises(DataError, match="there is none in it"):
        read_names(path)
    path.write_bytes(b"zo\xeb\n")
    with pytest.raises(DataError, match="byte 2 is not UTF-8"):
        read_names(path)


def test_places_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for where in ("data", "cache/text", "argument"):
        (tmp_path / where).mkdir(parents=True)
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TINYNET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"tinyshakespeare\.txt is not in .*data, .*cache.*set TINYNET_DATA"):
        shakespeare()
    for where in ("cache/text", "data", "argument"):
        (tmp_path / where / "tinyshakespeare.txt").write_text(where)
        expected = where if where != "argument" else "data"
        assert shakespeare() == expected
    assert shakespeare(tmp_path / "argument") == "argument"
    with pytest.raises(DataError) as caught:
        names(tmp_path / "argument")
    assert str(tmp_path / "data") not in str(caught.value), "a named directory is the only place"
