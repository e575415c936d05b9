"""Numerals: read back by other rules than they were written by."""

import re

import numpy as np
import pytest

from tinynet.data import in_words, roman, roman_signs
from tinynet.data.numerals import LARGEST, LETTERS, UNMARKED
from tinynet.errors import ArgumentError

WORTH = np.array([0, 1, 5, 10, 50, 100, 500, 1000])  # of the letters, by their numbers


def test_the_signs_of_the_letters_add_up_to_the_number() -> None:
    signs = roman_signs()
    assert signs.x.shape == signs.y.shape == (LARGEST, 15)
    values = np.where(signs.y == UNMARKED, 0, np.where(signs.y == 1, -1, 1)) * WORTH[signs.x]
    assert values.sum(1).tolist() == list(range(1, LARGEST + 1))
    assert ((signs.x == 0) == (signs.y == UNMARKED)).all()
    assert set(np.unique(signs.y)) == {UNMARKED, 0, 1}


def test_numerals_are_well_formed_and_unlike_each_other() -> None:
    # The usual grammar of numerals, which knows nothing of how they are made.
    grammar = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
    texts = [roman(number) for number in range(1, LARGEST + 1)]
    assert all(grammar.fullmatch(text) for text in texts) and len(set(texts)) == LARGEST
    assert ["".join(LETTERS[k] for k in row if k) for row in roman_signs().x] == texts
    assert [roman(n) for n in (4, 1990, 2024, 3888)] == ["IV", "MCMXC", "MMXXIV", "MMMDCCCLXXXVIII"]


@pytest.mark.tiny
def test_numbers_in_words() -> None:
    known = {
        0: "zero",
        13: "thirteen",
        20: "twenty",
        85: "eighty-five",
        100: "one hundred",
        342: "three hundred and forty-two",
        1000: "one thousand",
        1001: "one thousand and one",
        7300: "seven thousand three hundred",
        99_999: "ninety-nine thousand nine hundred and ninety-nine",
        300_012: "three hundred thousand and twelve",
    }
    assert {number: in_words(number) for number in known} == known
    assert len({in_words(number) for number in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roman(0), "from 1 to 3999; got 0"),
        (lambda: roman(4000), "got 4000"),
        (lambda: in_words(-1), "from 0 to 999,999; got -1"),
        (lambda: in_words(10**6), "got 1000000"),
    ],
)
def test_refused(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
