"""What ``explain`` and ``draw`` return: something that shows itself in a terminal, in a notebook and as a file.

Must not know how any format is written: each is one call of the module that does.
"""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from tinynet.errors import ArgumentError
from tinynet.explain import page
from tinynet.explain.exports import to_dot, to_mermaid, to_tree
from tinynet.explain.latex import to_latex
from tinynet.explain.run import Run
from tinynet.explain.source import to_source
from tinynet.explain.svg import describe, to_svg
from tinynet.explain.trace import Node, Step, Trace, checked_limit, read_graph, trace
from tinynet.explain.viewer import viewer
from tinynet.explain.words import plain, tell
from tinynet.files import write_bytes


class Drawing:
    """A graph to look at: the picture in a notebook, a tree of text in a terminal.

    Attributes:
        nodes: every value of the graph in forward order, the result last.
        limit: how many values are drawn at most, None for all.
        endings: the method that writes each kind of file.
    """

    endings: ClassVar[dict[str, str]] = {
        ".svg": "svg", ".dot": "dot", ".mmd": "mermaid", ".html": "html", ".txt": "__str__", ".md": "markdown",
    }  # fmt: skip

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
        """Write a file in the format that its name ends with: .svg, .html, .md … Returns its path.

        Raises:
            ArgumentError: another ending.
            FileError: the place cannot be written to.
        """
        path = Path(path)
        text = getattr(self, self.endings[check_ending(path, self.endings)])()
        write_bytes(path, (text if text.endswith("\n") else text + "\n").encode())
        return path

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return to_tree(self.nodes, self.limit)

    def __repr__(self) -> str:
        return str(self)


class Explanation(Drawing):
    """Backpropagation through a graph, step by step: in words, as a page to walk through, as code.

    Attributes:
        nodes: every value of the graph in forward order, the result last, each with its gradient.
        steps: every step of the chain rule in the order in which the engine takes them.
        story: the sentences, of as many steps as were asked for.
        walk: nodes and steps together; of the first training step, where there are several.
        told: of how many steps, None for all.
        limit: how many values are drawn at most, None for all.
    """

    endings: ClassVar[dict[str, str]] = Drawing.endings | {".json": "json", ".py": "source", ".tex": "latex"}

    def __init__(self, walk: Trace, limit: int | None, drawn: int | None) -> None:
        super().__init__(walk.nodes, drawn)
        self.walk = walk
        self.told = limit
        self.steps: list[Step] = walk.steps
        self.story = tell(walk, checked_limit(limit))

    @cached_property
    def run(self) -> Run:
        """The run as data: graphs and frames."""
        run = Run(self.story.title)
        run.add(self.walk)
        return run

    def add(self, root: Any) -> "Explanation":
        """Note the state of one more training step, to be shown as a further frame. Returns the explanation itself.

        >>> from tinynet import Value
        >>> w = Value(3.0, label="w")
        >>> shown = explain(w * w)
        >>> for _ in range(5):
        ...     loss = w * w
        ...     loss.backward()
        ...     w.data, w.grad = w.data - 0.1 * w.grad, 0.0
        ...     shown = shown.add(w * w)
        >>> len(shown.run.frames)
        6

        Raises:
            TypeMismatch, ArgumentError, ShapeError, DomainError: as ``explain`` does.
        """
        self.run.add(trace(root))
        return self

    def source(self) -> str:
        """Forward and backward as plain Python, a line an assignment; run, it gives the same gradients."""
        return to_source(self.walk)

    def latex(self) -> str:
        """Forward and backward as LaTeX, for a page that uses amsmath; a long one needs ``\\allowdisplaybreaks``."""
        return to_latex(self.walk, self.told)

    def json(self) -> str:
        """The run as JSON, in the form that ``docs/trace.md`` describes."""
        return self.run.json()

    def html(self) -> str:
        """A self-contained page on which to walk forward and back through every step."""
        return viewer(self.run, self.story, self.svg())

    def markdown(self) -> str:
        """Every sentence as Markdown, with the graph as a Mermaid drawing."""
        return page.markdown(self.story, self.mermaid())

    def _repr_html_(self) -> str:
        """The page in a frame of its own; and the picture and the words, for where a notebook is only read."""
        return page.framed(self.html(), page.fragment(self.story, self.svg()))

    _repr_svg_ = None  # type: ignore[assignment]  # a notebook shows the page

    def __str__(self) -> str:
        return plain(self.story)


def check_ending(path: Path, endings: dict[str, str]) -> str:
    """The ending of a file's name. Raises ``ArgumentError`` where nothing is written that way."""
    ending = path.suffix.lower()
    if ending not in endings:
        raise ArgumentError(
            f"Saving {path}: {path.suffix or 'a name without an ending'} is no format here. "
            f"End the name with one of {', '.join(endings)}."
        )
    return ending


def explain(
    root: Any,
    x: Any = None,
    y: Any = None,
    loss: Any = None,
    *,
    optimizer: Any = None,
    steps: int = 0,
    progress: Callable[[int, int], None] | None = None,
    limit: int | None = 200,
) -> Explanation:
    """Every step of backpropagation from a result to its leaves, numbers plugged in; no Value is changed.

    >>> from tinynet import Value
    >>> a = Value(2.0, label="a"); b = Value(-3.0, label="b")
    >>> print(explain(a * b))                                              # doctest: +ELLIPSIS
    Backpropagation through out
    ...
        d out/d a = d out/d out × d out/d a = 1 × −3 = −3, so far −3
    ...

    A model is explained on a batch, and through some training steps: a copy of it runs on the scalar backend.

        tn.explain(model, x[:1], y[:1], loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(lr=0.5), steps=20)

    Args:
        root: a Value, a Tensor with one element on the scalar backend, or a Module.
        x, y, loss: for a Module: a batch of inputs and targets, and what takes (output, target).
        optimizer, steps: for a Module: the update rule, without parameters, and how many updates to show.
        progress: for a Module: called after each step with its number and how many there are.
        limit: how many steps are told in words at most, the ones nearest the result; None for all.

    Raises:
        TypeMismatch, ArgumentError, ShapeError: it is neither; or what a model needs is missing.
        DomainError: where a slope is infinite.
    """
    drawn = 400 if limit is not None else None
    if not hasattr(root, "named_parameters"):
        return Explanation(trace(root), limit, drawn)
    from tinynet.explain.model_run import image, layers, walks

    frames = walks(root, x, y, loss, optimizer, steps)
    walk, more = next(frames)
    shown = Explanation(walk, limit, drawn)
    shown.run = Run(shown.story.title)
    shown.run.add(walk, **more)
    for k, (walk, more) in enumerate(frames, 1):
        shown.run.add(walk, **more)
        if progress is not None:
            progress(k, steps)
    seen = image(x)
    shown.run.describe(layers(root), () if seen is None else seen.shape)
    return shown


def draw(root: Any, limit: int | None = 400) -> Drawing:
    """The graph of a result, each value with its number and with the gradient that it holds now.

    Args:
        root: a Value, or a Tensor with one element on the scalar backend.
        limit: how many values are drawn at most, the ones nearest the result; None for all.

    Raises:
        TypeMismatch, ArgumentError, ShapeError: it is neither.
    """
    return Drawing(read_graph(root), limit)
