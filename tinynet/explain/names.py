"""What each node of a graph is called, so that a sentence can speak of it.

Separate because labels come from anybody: repeated, empty, enormous, in every script. Must not know operations,
gradients or formats.
"""

from collections import Counter
from typing import Any

from tinynet.explain.notation import clean, number


def name_nodes(nodes: list[Any]) -> list[tuple[str, bool]]:
    """A name of its own for each node, and whether that name is merely the node's number.

    A label stays (a repeated one gets a number: ``w``, ``w_2``); the result without a label is ``out``; other results
    are ``v1``, ``v2`` …; a leaf without a label goes by its number, or ``x1``, ``x2`` … where numbers repeat.

    Args:
        nodes: anything with ``label``, ``data`` and ``parents``, in forward order, the result last.
    """
    labels = [clean(node.label) for node in nodes]
    labels[-1] = labels[-1] or "out"
    numbers = Counter(number(node.data) for node, label in zip(nodes, labels) if not (label or node.parents))
    given = Names(labels)
    names = []
    for node, label in zip(nodes, labels):
        digits = number(node.data)
        if label:
            names.append((given.first_free(label), False))
        elif node.parents:
            names.append((given.next("v"), False))
        elif numbers[digits] == 1 and digits not in given.labels:
            names.append((digits, True))
        else:
            names.append((given.next("x"), False))
    return names


class Names:
    """The names that are taken.

    Args:
        labels: every label in the graph; no invented name is one of them.
    """

    def __init__(self, labels: list[str]) -> None:
        self.labels = set(labels)
        self.used: set[str] = set()
        self.counts: Counter[str] = Counter()

    def first_free(self, label: str) -> str:
        """The label itself for the first that asks, ``label_2`` for the second."""
        if label not in self.used:
            self.used.add(label)
            return label
        self.counts[label] = max(self.counts[label], 1)
        return self.next(f"{label}_", label)

    def next(self, stem: str, counter: str = "") -> str:
        """The stem with the next number that makes a new name."""
        counter = counter or stem
        while True:
            self.counts[counter] += 1
            name = f"{stem}{self.counts[counter]}"
            if name not in self.labels and name not in self.used:
                self.used.add(name)
                return name
