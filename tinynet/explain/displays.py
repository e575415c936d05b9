"""What ``explain`` and ``draw`` return: something that shows itself in a terminal, in a notebook and as a file.

Must not know how any format is written: each is one call of the module that does.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.explain import page
from tinynet.explain.exports import to_dot, to_mermaid, to_tree
from tinynet.explain.svg import describe, to_svg
from tinynet.explain.trace import Node, Step, Trace, checked_limit, read_graph, trace
from tinynet.explain.words import plain, tell
from tinynet.files import write_bytes

FORMATS = (".svg", ".dot", ".mmd", ".html", ".txt", ".md")


class Drawing:
    """A graph to look at: the picture in a notebook, a tree of text in a terminal.

    Attributes:
        nodes: every value of the graph in forward order, the result last.
        limit: how many values are drawn at most, None for all.
    """

    def __init__(self, nodes: list[Node], limit: int | None) -> None:
        self.nodes = nodes
        self.limit = checked_limit(limit)

    def svg(self) -> str:
        """The picture, one self-contained SVG element."""
        return to_svg(self.nodes, self.limit)

    def dot(self) -> str:
        """The graph in Graphviz's language."""
        return to_dot(self.nodes, self.limit)

    def mermaid(self) -> str:
        """The graph in Mermaid's language."""
        return to_mermaid(self.nodes, self.limit)

    def html(self) -> str:
        """A self-contained page."""
        return page.page(describe(self.nodes), page.figure(self.svg()))

    def markdown(self) -> str:
        """The graph as a Mermaid drawing inside Markdown."""
        return page.fenced(self.mermaid()) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a file in the format that its name ends with: .svg, .dot, .mmd, .html, .txt or .md. Returns its path.

        Raises:
            ArgumentError: another ending.
            FileError: the folder does not exist, or cannot be written to.
        """
        path = Path(path)
        writers: tuple[Callable[[], str], ...] = (
            self.svg, self.dot, self.mermaid, self.html, self.__str__, self.markdown,
        )  # fmt: skip
        write = dict(zip(FORMATS, writers)).get(path.suffix.lower())
        if write is None:
            raise ArgumentError(
                f"Saving {path}: {path.suffix or 'a name without an ending'} is no format here. "
                f"End the name with one of {', '.join(FORMATS)}."
            )
        text = write()
        write_bytes(path, (text if text.endswith("\n") else text + "\n").encode())
        return path

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return to_tree(self.nodes, self.limit)

    def __repr__(self) -> str:
        return str(self)


class Explanation(Drawing):
    """Backpropagation through a graph, step by step, with a picture.

    Attributes:
        nodes: every value of the graph in forward order, the result last, each with its gradient.
        steps: every step of the chain rule in the order in which the engine takes them.
        story: the sentences, of as many steps as were asked for.
        limit: how many values are drawn at most, None for all.
    """

    def __init__(self, walk: Trace, limit: int | None, drawn: int | None) -> None:
        super().__init__(walk.nodes, drawn)
        self.steps: list[Step] = walk.steps
        self.story = tell(walk, checked_limit(limit))

    def html(self) -> str:
        """A self-contained page: the picture, every sentence, the leaves."""
        return page.page(self.story.title, self._repr_html_())

    def markdown(self) -> str:
        """Every sentence as Markdown, with the graph as a Mermaid drawing."""
        return page.markdown(self.story, self.mermaid())

    def _repr_html_(self) -> str:
        return page.fragment(self.story, self.svg())

    _repr_svg_ = None  # type: ignore[assignment]  # a notebook shows the page

    def __str__(self) -> str:
        return plain(self.story)


def explain(root: Any, limit: int | None = 200) -> Explanation:
    """Every step of backpropagation from a result to its leaves, numbers plugged in; no Value is changed.

    >>> from tinynet import Value
    >>> a = Value(2.0, label="a"); b = Value(-3.0, label="b")
    >>> print(explain(a * b))                                              # doctest: +ELLIPSIS
    Backpropagation through out
    ...
        d out/d a = d out/d out × d out/d a = 1 × −3 = −3, so far −3
    ...

    Args:
        root: a Value, or a Tensor with one element on the scalar backend.
        limit: how many steps are told at most, the ones nearest the result; None for all.

    Raises:
        TypeMismatch, ArgumentError, ShapeError: it is neither.
        DomainError: where a slope is infinite.
    """
    return Explanation(trace(root), limit, 400 if limit is not None else None)


def draw(root: Any, limit: int | None = 400) -> Drawing:
    """The graph of a result, each value with its number and with the gradient that it holds now.

    Args:
        root: a Value, or a Tensor with one element on the scalar backend.
        limit: how many values are drawn at most, the ones nearest the result; None for all.

    Raises:
        TypeMismatch, ArgumentError, ShapeError: it is neither.
    """
    return Drawing(read_graph(root), limit)
