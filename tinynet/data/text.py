"""Text for models that write it character by character: names, Shakespeare, a vocabulary, and next-character examples.

Must not know any model. Sources: A. Karpathy, makemore (``names.txt``: first names, US Social Security Administration,
public domain) and char-rnn (``tinyshakespeare.txt``: plays of W. Shakespeare, public domain).
"""

import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinynet.data.dataset import Dataset
from tinynet.data.files import decompress, find, places, read_bytes
from tinynet.errors import ArgumentError, DataError, ShapeError, TypeMismatch

_KARPATHY = "https://raw.githubusercontent.com/karpathy"
BOUNDARY = "."
"""Stands before and after a name."""


class Characters:
    """A vocabulary: the characters of some text, sorted, numbered 0, 1, …

    ``text`` is a string, or several (names). With ``boundary``, that one character is number 0 and must not be in the
    text. ``itos[i]`` is character i and ``stoi[c]`` the number of c. Raises ``ArgumentError`` when the text is empty or
    holds the boundary.
    """

    def __init__(self, text: str | Iterable[str], *, boundary: str | None = None) -> None:
        found = sorted(set().union(*([text] if isinstance(text, str) else text)))
        if boundary is not None:
            if len(boundary) != 1:
                raise ArgumentError(f"Characters: the boundary is one character; got {boundary!r}.")
            if boundary in found:
                raise ArgumentError(
                    f"Characters: the boundary {boundary!r} is in the text. Choose another, or remove it."
                )
            found.insert(0, boundary)
        if not found:
            raise ArgumentError("Characters: the text is empty. Give at least one character.")
        self.boundary = boundary
        self.itos: tuple[str, ...] = tuple(found)
        self.stoi: dict[str, int] = {character: number for number, character in enumerate(found)}

    def __len__(self) -> int:
        return len(self.itos)

    def __repr__(self) -> str:
        return f"Characters({len(self)}: {''.join(self.itos)!r})"

    def encode(self, text: str) -> NDArray[np.int64]:
        """The numbers of the characters of ``text``: int64 (len(text),).

        Raises ``ArgumentError`` that names the first unknown character and its position, counted from 0.
        """
        try:
            return np.array([self.stoi[character] for character in text], np.int64)
        except KeyError as error:
            unknown = error.args[0]
            at = text.index(unknown)
            raise ArgumentError(
                f"Characters.encode: {unknown!r} at position {at} ({text[max(0, at - 10) : at + 11]!r}) is not among "
                f"the {len(self)} known characters {''.join(self.itos)!r}. Remove it, or build the vocabulary "
                "from this text too."
            ) from None

    def decode(self, numbers: ArrayLike) -> str:
        """The text of one-dimensional ``numbers``; the inverse of ``encode``.

        Raises ``ArgumentError`` for a number that stands for no character, ``TypeMismatch`` for other than integers,
        ``ShapeError`` for more or fewer dimensions.
        """
        array = np.asarray(numbers)
        if array.size and array.dtype.kind not in "iu":
            raise TypeMismatch(f"Characters.decode: characters are numbered with integers; got {array.dtype}.")
        if array.ndim != 1:
            raise ShapeError(f"Characters.decode: give one text, (length,); got {array.shape}. Decode row by row.")
        for at, number in enumerate(array.tolist()):
            if not 0 <= number < len(self):
                raise ArgumentError(
                    f"Characters.decode: {number} at position {at} is no character; they are 0 to {len(self) - 1}."
                )
        return "".join(self.itos[int(number)] for number in array)


def next_character(
    source: str | Sequence[str], context: int = 3, vocabulary: Characters | None = None, *, every_position: bool = False
) -> Dataset:
    """Examples "these ``context`` characters, then this one": ``x`` int64 (n, context), ``y`` int64 (n,).

    A list of names is read as in makemore: each name stands between boundaries, and its first contexts are filled up
    with them. With context 3, "ab" gives ... → a, ..a → b, .ab → '.', so n is the number of characters and of names
    together. A string is read as one text: x[i] = text[i : i + context], y[i] = text[i + context], n = len(text) −
    context, without a copy of the text for each example. ``every_position`` asks, for a text, for the character after
    each of the context's: y[i] = text[i + 1 : i + context + 1], (n, context), as a recurrent network or a transformer
    is trained.

    ``vocabulary`` numbers the characters; by default one is built from ``source``, and ``classes`` of the result lists
    it. Pass one to have training and test texts numbered alike; for names it needs a boundary.
    Divide the text or the names before, not the examples after: those of one text overlap.

    Raises ``ArgumentError`` when context < 1, the text is too short, or a character is not in the vocabulary.
    """
    if context < 1:
        raise ArgumentError(f"next_character: the context is at least 1 character; got {context}.")
    if isinstance(source, str):
        return _from_text(source, context, vocabulary, every_position)
    if every_position:
        raise ArgumentError(
            "next_character: every_position is for one long text; got names. Join them, or leave it out."
        )
    return _from_names(source, context, vocabulary)


def _from_text(text: str, context: int, vocabulary: Characters | None, every_position: bool) -> Dataset:
    if len(text) <= context:
        raise ArgumentError(
            f"next_character: a context of {context} needs a text of {context + 1} characters or more; got {len(text)}."
        )
    vocabulary = vocabulary or Characters(text)
    numbers = vocabulary.encode(text)
    windows = np.lib.stride_tricks.sliding_window_view(numbers, context)
    y = windows[1:] if every_position else numbers[context:]
    return Dataset(windows[:-1], y, classes=vocabulary.itos, name="next character")


def _from_names(names: Sequence[str], context: int, vocabulary: Characters | None) -> Dataset:
    vocabulary = vocabulary or Characters(names, boundary=BOUNDARY)
    if vocabulary.boundary is None:
        raise ArgumentError(
            f"next_character: names need a vocabulary with a boundary; {vocabulary!r} has none. "
            f"Build it as Characters(names, boundary={BOUNDARY!r})."
        )
    if not names:
        raise ArgumentError("next_character: got no names. Give at least one.")
    # All names in one row, each after `context` boundaries; a boundary is also the last target of the name before it.
    pad = vocabulary.boundary * context
    numbers = vocabulary.encode(pad + "".join(name + pad for name in names))
    ends = np.cumsum([len(name) + context for name in names])
    rows = np.concatenate([np.arange(end - context - len(name), end - context + 1) for name, end in zip(names, ends)])
    x = np.lib.stride_tricks.sliding_window_view(numbers, context)[rows]
    return Dataset(x, numbers[rows + context], classes=vocabulary.itos, name="next character")


def read_names(path: str | os.PathLike[str]) -> list[str]:
    """The names in a text file, one a line, without surrounding blanks; empty lines are passed over.

    Raises ``DataError`` when the file cannot be read as UTF-8 or holds no name.
    """
    names = [name for line in read_text(path).splitlines() if (name := line.strip())]
    if not names:
        raise DataError(f"Reading names from {path}: there is none in it. Write one name a line.")
    return names


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, plain, gzip or xz. Raises ``DataError`` when it cannot be read."""
    data = decompress(read_bytes(path), path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"Reading {path} as text: byte {error.start} is not UTF-8 ({error.reason}). Is it another kind of file?"
        ) from error


def names(directory: str | os.PathLike[str] | None = None) -> list[str]:
    """The 32,033 first names of makemore, in the order of the file.

    ``names.txt`` is looked for in ``directory`` when one is named, else in ``$TINYNET_DATA``, else in the cache. Raises
    ``DataError`` when it is not there.
    """
    return read_names(_located("names.txt", f"{_KARPATHY}/makemore/master/names.txt", directory))


def shakespeare(directory: str | os.PathLike[str] | None = None) -> str:
    """1.1 MB of Shakespeare, one string, from ``tinyshakespeare.txt`` in ``directory``, else as for ``names``."""
    return read_text(
        _located("tinyshakespeare.txt", f"{_KARPATHY}/char-rnn/master/data/tinyshakespeare/input.txt", directory)
    )


def _located(file: str, url: str, directory: str | os.PathLike[str] | None) -> os.PathLike[str]:
    folders = places("text", directory)
    path = find((file, f"{file}.gz", f"{file}.xz"), folders)
    if path is None:
        raise DataError(
            f"{file} is not in {', '.join(map(str, folders))}. Save {url} under that name, and set TINYNET_DATA to its "
            "folder or pass the folder."
        )
    return path
