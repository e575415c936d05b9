"""Backpropagation in words and numbers: the sentences of an explanation, and the plain text made of them.

The page and the Markdown use the same sentences. Must not know pictures or files.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from tinynet.explain.notation import atom, columns, counted, number, padded
from tinynet.explain.symbols import Symbol
from tinynet.explain.trace import Node, Step, Trace


@dataclass(frozen=True, slots=True)
class Story:
    """An explanation as sentences: what every format shows, each in its own way.

    Attributes:
        forward: one sentence a node.
        backward: for each node that hands its gradient on, how it was made and the sentences of its steps.
        leaves: name, value and gradient of each leaf, below ``heads``.
        forward_note, backward_note, leaves_note: what was left out; empty where nothing was.
    """

    title: str
    summary: str
    forward: list[str]
    forward_note: str
    backward: list[tuple[str, list[str]]]
    backward_note: str
    heads: tuple[str, str, str]
    leaves: list[tuple[str, str, str]]
    leaves_note: str


FORWARD = "Forward: each value from the values before it"
BACKWARD = "Backward: each gradient from the gradients after it"
LEAVES = "The gradients of the leaves"


def tell(trace: Trace, limit: int | None) -> Story:
    """The story of a walk: at most ``limit`` steps, the ones nearest the result, and as many values and leaves."""
    root = trace.root
    named = [node for node in trace.nodes if not node.nameless]
    ends = trace.leaves
    forward = named if limit is None else named[-limit:]
    steps = trace.steps[:limit]
    shown = ends[:limit]
    return Story(
        title=f"Backpropagation through {root.name}",
        summary=f"{counted(len(trace.nodes), 'value')}, {counted(len(trace.nodes) - len(ends), 'operation')}, "
        f"{counted(len(trace.steps), 'step')} of the chain rule.",
        forward=[forward_sentence(node) for node in forward],
        forward_note=_left_out(len(named) - len(forward), "earlier value"),
        backward=[
            (_made(node), [sentence for step in group for sentence in step_sentences(step, root)])
            for node, group in groupby(steps, key=lambda step: step.node)
        ],
        backward_note=_left_out(len(trace.steps) - len(steps), "further step"),
        heads=("leaf", "value", slope(root.name, "leaf")),
        leaves=[(leaf.name, number(leaf.value), number(leaf.gradient)) for leaf in shown],
        leaves_note=_left_out(len(ends) - len(shown), "further leaf", "further leaves"),
    )


def plain(story: Story) -> str:
    """The story for a terminal."""
    lines = [story.title, story.summary, "", FORWARD]
    lines += _indented(2, [story.forward_note] if story.forward_note else [], story.forward)
    if story.backward:
        lines += ["", BACKWARD]
        for made, sentences in story.backward:
            lines += _indented(2, [made]) + _indented(4, sentences)
        lines += _indented(2, [story.backward_note] if story.backward_note else [])
    return "\n".join([*lines, "", leaves(story)])


def leaves(story: Story) -> str:
    """The last part of it: the leaves with their gradients, as a table."""
    rows = [story.heads, *story.leaves]
    widths = [max(columns(row[i]) for row in rows) for i in range(3)]
    table = ["  ".join(map(padded, row, widths)).rstrip() for row in rows]
    return "\n".join([LEAVES, *_indented(2, table, [story.leaves_note] if story.leaves_note else [])])


def forward_sentence(node: Node) -> str:
    """``c = a × b = 2 × −3 = −6``; for a leaf, ``a = 2``."""
    changed = ", from inputs that were changed since" if node.stale else ""
    return _equation(node.name, *_readings(node.formula if node.parents else None), number(node.value)) + changed


def step_sentences(step: Step, root: Node) -> list[str]:
    """The local derivative, its formula first; then the chain rule with the numbers plugged in."""
    node, parent = step.node.name, step.parent.name
    place = f" (input {step.i + 1})" if step.node.parents.count(step.parent) > 1 else ""
    link, local, share = slope(node, parent) + place, number(step.local), number(step.contribution)
    product = f"{slope(root.name, node)} × {link} = {number(step.upstream)} × {local} = {share}"
    first = step.before == 0.0 and step.total == step.contribution
    so_far = number(step.total) if first else f"{number(step.before)} + {_term(share)} = {number(step.total)}"
    return [
        _equation(link, *_readings(step.formula), local),
        f"{slope(root.name, parent)} = {product}, so far {so_far}",
    ]


def slope(result: str, variable: str) -> str:
    """``d loss/d a``."""
    return f"d {atom(result)}/d {atom(variable)}"


def _made(node: Node) -> str:
    return f"{node.name} = {node.formula.printed()}"


def _readings(formula: Symbol | None) -> list[str]:
    """The formula with its names, and with the numbers in their place."""
    return [] if formula is None else [formula.printed(), formula.printed(plugged=True)]


def _equation(*sides: str) -> str:
    """The sides joined by equals signs, none twice in a row."""
    return " = ".join(side for side, _ in groupby(sides))


def _term(text: str) -> str:
    return f"({text})" if text.startswith("−") else text


def _left_out(n: int, one: str, many: str = "") -> str:
    return f"… {counted(n, one, many)} left out; limit= shows more" if n else ""


def _indented(by: int, *groups: Iterable[str]) -> list[str]:
    return [" " * by + line for group in groups for line in group]
