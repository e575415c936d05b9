"""A run of the engine as data: its graphs, and for each training step every number, ready to be written as JSON.

The form is described in ``docs/trace.md`` and, for programs, in ``trace.schema.json``. What other files show of
a run is read from here, so that a page needs no engine of its own. Must not know pages or models.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

from tinynet.explain.groups import Group, group_nodes
from tinynet.explain.hints import from_digits, rule_of, templates
from tinynet.explain.names import Names
from tinynet.explain.symbols import Symbol, Variable
from tinynet.explain.trace import Node, Trace
from tinynet.explain.wrong_order import walk_impatiently
from tinynet.primitives import Primitive

FORMAT, VERSION = "tinynet trace", 1
LARGEST_FOLLOWED = 2000  # nodes: in larger graphs nobody follows a wrong walk, or computes along

Json = dict[str, Any]


class Run:
    """One or more walks over graphs, in the order in which they happened: the frames of a training run.

    Attributes:
        title: what is shown, in a line.
        graphs: each different graph once, without its numbers.
        frames: for each walk the graph it is of, and its numbers.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.graphs: list[Json] = []
        self.frames: list[Json] = []
        self._shapes: list[list[tuple[Any, ...]]] = []

    def add(self, walk: Trace, **more: Any) -> None:
        """Write down one more walk; ``more`` goes into its frame: the outputs of a model, say."""
        shape = [
            ("" if node.nameless else node.name, node.primitive, *[x.id for x in node.parents]) for node in walk.nodes
        ]
        if shape not in self._shapes:
            self._shapes.append(shape)
            self.graphs.append(_graph(walk.nodes))
        index = self._shapes.index(shape)
        _name_what_moves(self.graphs[index], walk.nodes)
        frame: Json = {
            "graph": index,
            "values": [node.value for node in walk.nodes],
            "gradients": [node.gradient for node in walk.nodes],
            "locals": [step.local for step in walk.steps],
            "contributions": [step.contribution for step in walk.steps],
            "stale": [node.id for node in walk.nodes if node.stale],
        }
        if len(walk.nodes) <= LARGEST_FOLLOWED:
            frame["wrong"] = _wrong(walk)
            frame["rounded"] = _rounded(walk)
        self.frames.append(frame | more)

    def describe(self, descriptions: dict[str, str], shape: tuple[int, ...] = ()) -> None:
        """Say more than the labels do: what each layer is, ``{"0": "Linear(784, 16)"}``, and the shape of an image."""
        for graph in self.graphs:
            for group in graph["groups"]:
                if group["kind"] == "input" and shape:
                    group["shape"] = list(shape)
                if group["kind"] == "layer" and group["name"] in descriptions:
                    group["description"] = descriptions[group["name"]]

    def data(self) -> Json:
        """All of it, as JSON has it."""
        frames = [{key: as_json(value) for key, value in frame.items()} for frame in self.frames]
        return {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "graphs": [{key: as_json(value) for key, value in graph.items()} for graph in self.graphs],
            "frames": frames,
        }

    def json(self) -> str:
        """All of it as JSON text."""
        return json.dumps(self.data(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _graph(nodes: list[Node]) -> Json:
    kinds: dict[tuple[Primitive, int], int] = {}
    for node in nodes:
        if node.parents:
            kinds.setdefault(_kind(node), len(kinds))
    groups, membership = group_nodes(nodes)
    return {
        "names": [node.name for node in nodes],
        "nameless": [node.id for node in nodes if node.nameless],
        "operations": [_operation(primitive, inputs) for primitive, inputs in kinds],
        "operation": [kinds[_kind(node)] if node.parents else -1 for node in nodes],
        "parents": [[x.id for x in node.parents] for node in nodes],
        "groups": [_group(group) for group in groups],
        "group": membership,
    }


def _name_what_moves(graph: Json, nodes: list[Node]) -> None:
    """A number that is another one in this frame cannot go by its digits any longer: it is called x1, x2 …"""
    names = Names(graph["names"])
    for i in [i for i in graph["nameless"] if graph["names"][i] != nodes[i].name]:
        graph["names"][i] = names.next("x")
        graph["nameless"].remove(i)


def _rounded(walk: Trace) -> Json:
    """By the number of its link, what is handed on by the digits that are shown, where that is something else."""
    return {
        str(k): rough
        for k, step in enumerate(walk.steps)
        if not math.isclose(rough := from_digits(step), step.contribution, rel_tol=5e-3)
    }


def _kind(node: Node) -> tuple[Primitive, int]:
    return node.primitive or _UNKNOWN, len(node.parents)


_UNKNOWN = Primitive("made_from", None)


def _operation(primitive: Primitive, inputs: int) -> Json:
    formula, derivatives = templates(primitive, inputs)
    rule, hint = rule_of(primitive)
    return {
        "name": primitive.name,
        "symbol": {"*": "×", "-": "−"}.get(primitive.symbol, primitive.symbol),
        "rule": rule,
        "hint": hint,
        "formula": _pieces(formula),
        "derivatives": [] if primitive is _UNKNOWN else [_pieces(derivative) for derivative in derivatives],
    }


def _pieces(formula: Symbol | None) -> list[Any] | None:
    """The pieces of a formula; the variable of an input as ``{"input": i}``, of the result as ``{"input": -1}``."""
    if formula is None:
        return None
    return [
        {"input": -1 if piece.name == "out" else int(piece.name)} if isinstance(piece, Variable) else piece
        for piece in formula.pieces()
    ]


def _group(group: Group) -> Json:
    return {"name": group.name, "kind": group.kind, "parent": group.parent, "shape": list(group.shape)}


def _wrong(walk: Trace) -> Json:
    """The impatient walk; its links are told by their number in the right one."""
    wrong = walk_impatiently(walk)
    numbers = {(step.node.id, step.i): k for k, step in enumerate(walk.steps)}
    return {
        "links": [numbers[step.node.id, step.i] for step in wrong.steps],
        "upstreams": [step.upstream for step in wrong.steps],
        "contributions": [step.contribution for step in wrong.steps],
        "gradients": wrong.gradients,
        "spoilt": wrong.spoilt,
    }


def as_json(value: Any) -> Any:
    """A value as JSON can hold it: whole floats as integers, those that are no number as text."""
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return int(value)
        return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    return [as_json(part) for part in value] if isinstance(value, Iterable) and not isinstance(value, str) else value
