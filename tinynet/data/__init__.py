"""Data sets, and the loader that cuts them into batches.

Everything is a NumPy array on the host; nothing here knows Tensor or a backend.

    train, test = data.digits()                  # 6,000 + 1,000 real MNIST digits that come with tinynet
    train, valid = train.split(0.9, seed=1)      # the classes' proportions kept
    for x, y in data.DataLoader(train, batch_size=10): ...

``digits``, ``mnist``, ``fashion_mnist`` give (train, test); ``moons``, ``spirals``, ``circles``, ``xor``,
``noisy_line``, ``sine`` one data set made from a formula; ``names``, ``shakespeare`` text, which ``next_character``
makes into examples. ``scenes`` hides digits in larger pictures, ``Road`` is for learning to steer, ``seasonal`` and
``adding_problem`` are rows of numbers, ``roman_signs`` numerals letter by letter. ``load(name)`` gives (train, test) of
anything in ``DATASETS``. Files are looked for in ``$TINYNET_DATA``.
"""

from tinynet.data.catalogue import DATASETS, load
from tinynet.data.dataset import Dataset
from tinynet.data.embedded import digits
from tinynet.data.idx import read_idx, write_idx
from tinynet.data.loader import DataLoader
from tinynet.data.mnist import fashion_mnist, mnist
from tinynet.data.numerals import in_words, roman, roman_signs
from tinynet.data.road import Road, Steering
from tinynet.data.scenes import Scenes, scenes
from tinynet.data.series import adding_problem, seasonal, windows
from tinynet.data.synthetic import circles, moons, noisy_line, sine, spirals, xor
from tinynet.data.text import Characters, names, next_character, read_names, shakespeare

__all__ = [
    "Dataset",
    "DataLoader",
    "digits",
    "mnist",
    "fashion_mnist",
    "moons",
    "spirals",
    "circles",
    "xor",
    "noisy_line",
    "sine",
    "Scenes",
    "scenes",
    "Road",
    "Steering",
    "seasonal",
    "windows",
    "adding_problem",
    "roman",
    "roman_signs",
    "in_words",
    "Characters",
    "names",
    "next_character",
    "read_names",
    "shakespeare",
    "read_idx",
    "write_idx",
    "DATASETS",
    "load",
]
