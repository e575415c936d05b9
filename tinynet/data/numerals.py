"""Numbers as people write them: Roman numerals, with the sign of each letter, and numbers in words.

Text and labels that need no file, made by rules that are known exactly. Must not read any file.
"""

import numpy as np

from tinynet.data.dataset import Dataset
from tinynet.errors import ArgumentError

LETTERS = "·IVXLCDM"
"""The letters of Roman numerals, numbered from 1; 0 fills up."""
LARGEST = 3999
UNMARKED = -1
"""The target where there is no letter: what ``ignore_index`` is for."""
_ROMAN = {1000: "M", 900: "CM", 500: "D", 400: "CD", 100: "C", 90: "XC", 50: "L", 40: "XL", 10: "X", 9: "IX"} | {
    5: "V", 4: "IV", 1: "I",
}  # fmt: skip
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def roman(number: int) -> str:
    """The Roman numeral of 1 … 3999. Raises ``ArgumentError`` for others, which have none."""
    if not 1 <= number <= LARGEST:
        raise ArgumentError(f"roman: numerals go from 1 to {LARGEST}; got {number}.")
    text = ""
    for value, letters in _ROMAN.items():
        count, number = divmod(number, value)
        text += letters * count
    return text


def in_words(number: int) -> str:
    """A whole number from 0 to 999,999 in English words. Raises ``ArgumentError`` for others."""
    if not 0 <= number < 1_000_000:
        raise ArgumentError(f"in_words: numbers go from 0 to 999,999; got {number}.")
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")
    size, name, joint = (1000, "thousand", " ") if number >= 1000 else (100, "hundred", " and ")
    many, rest = divmod(number, size)
    joint = " and " if rest < 100 else joint
    return f"{in_words(many)} {name}" + (f"{joint}{in_words(rest)}" if rest else "")


def roman_signs() -> Dataset:
    """Every Roman numeral, letter by letter, and whether the letter is added or taken away, as the I of IV is.

    ``x``: int64 (3999, 15), the numbers of the letters in ``LETTERS``, filled up with 0 at the end. ``y``: int64 (3999,
    15), 0 for a letter that is added, 1 for one that is taken away, ``UNMARKED`` where there is no letter. Example i is
    the number i + 1.

    A letter is taken away where a larger one follows: its sign is found by looking ahead.
    """
    texts = [roman(number) for number in range(1, LARGEST + 1)]
    widest = max(map(len, texts))
    x = np.array([[LETTERS.index(letter) for letter in text.ljust(widest, LETTERS[0])] for text in texts])
    following = np.pad(x[:, 1:], ((0, 0), (0, 1)))
    y = np.where(x == 0, UNMARKED, following > x)
    return Dataset(x, y, name="roman signs")
