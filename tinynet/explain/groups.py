"""Which part of a network each number belongs to: the input, a unit of a layer, or what comes after.

A model on the scalar backend labels its numbers with where they stand (``2.weight[3,5]``, ``x[0,130]``); everything
computed from them is placed by what it was computed from, so that a neuron is its weights, its sum and its activation.
Must not know models, gradients or formats.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, prod

from tinynet.explain.notation import clean
from tinynet.explain.trace import Node

PLACED = re.compile(r"(?:(.*)\.)?([^.\[\]]+)\[(\d{1,9}(?:,\d{1,9})*)\]", re.DOTALL)
INPUTS = ("x", "y")  # arrays from outside; other labels with an index are parameters of the model itself
SMALLEST_IMAGE = 8  # pixels a side

Place = tuple[int, int, int]  # stage, unit and example, -1 for none; even stages are layers, odd ones what joins units


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a network.

    Attributes:
        kind: ``input``, ``layer``, ``unit``, ``example``, ``between`` or ``loss``.
        parent: the index of the group that this one is a part of, -1 at the top.
        shape: of an input: (pixels down, pixels across) where it is an image, else (how many numbers,).
    """

    name: str
    kind: str
    parent: int = -1
    shape: tuple[int, ...] = ()


def group_nodes(nodes: Sequence[Node]) -> tuple[list[Group], list[int]]:
    """The groups of a graph, and the group of each node: the innermost, -1 where it belongs to none.

    Args:
        nodes: in forward order.
    """
    read = [PLACED.fullmatch(node.label) if not node.parents else None for node in nodes]
    if not any(found and found[2] not in INPUTS for found in read):
        return [], [-1] * len(nodes)
    inputs: dict[int, tuple[int, ...]] = {}
    owners: dict[int, tuple[str, int]] = {}  # the module and the unit of each parameter
    for node, found in zip(nodes, read):
        if found is None:
            continue
        index = tuple(map(int, found[3].split(",")))
        if found[1] is None and found[2] in INPUTS:
            inputs[node.id] = index
        else:
            owners[node.id] = (found[1] or "", index[0])
    used = [owners[x.id][0] for node in nodes for x in node.parents if x.id in owners]
    modules = {name: i for i, name in enumerate(dict.fromkeys([*used, *(name for name, _ in owners.values())]))}
    parameters = {i: (2 * modules[name], unit, -1) for i, (name, unit) in owners.items()}
    last = 2 * len(modules) - 2
    examples = len({index[0] for index in inputs.values() if len(index) > 1})
    places = _placed(nodes, parameters, inputs if examples > 1 else {}, last)
    _adopt(nodes, places, inputs)
    return _listed(nodes, places, inputs, list(modules), last)


def _placed(
    nodes: Sequence[Node], parameters: dict[int, Place], inputs: dict[int, tuple[int, ...]], last: int
) -> dict[int, Place]:
    """The place of every node that a parameter or an input leads to."""
    places: dict[int, Place] = {i: (-1, -1, index[0]) for i, index in inputs.items()} | parameters
    for node in nodes:
        if not node.parents:
            continue
        own = [parameters[x.id] for x in node.parents if x.id in parameters]
        known = [places[x.id] for x in node.parents if x.id in places]
        if not known:
            continue
        stage = max(place[0] for place in known)
        units = {place[1] for place in known if place[0] == stage}
        examples = {place[2] for place in known if place[2] >= 0}
        example = examples.pop() if len(examples) == 1 else -1
        beside = own and max(own)[0] >= stage
        target = stage == last and any(not x.parents and x.id not in places for x in node.parents)
        if beside:  # a parameter's own unit, whatever else comes in
            stage, unit, _ = max(own)
        elif stage < 0:
            unit = -1
        elif stage % 2 or len(units) > 1 or target or (len(examples) > 0 and example < 0):
            stage, unit = stage | 1, -1
        else:
            unit = units.pop()
        places[node.id] = (stage, unit, example if stage >= 0 else -1)
    return places


def _adopt(nodes: Sequence[Node], places: dict[int, Place], inputs: dict[int, tuple[int, ...]]) -> None:
    """What comes from constants alone belongs to where it is last used."""
    for node in reversed(nodes):
        for parent in node.parents:
            if parent.id not in places and parent.id not in inputs and node.id in places:
                places[parent.id] = places[node.id]


def _listed(
    nodes: Sequence[Node],
    places: dict[int, Place],
    inputs: dict[int, tuple[int, ...]],
    modules: list[str],
    last: int,
) -> tuple[list[Group], list[int]]:
    """The groups that are not empty, in the order of computation."""
    groups: list[Group] = []
    found: dict[tuple[int, ...], int] = {}

    def group(key: tuple[int, ...], name: str, kind: str, parent: int = -1, shape: tuple[int, ...] = ()) -> int:
        if key not in found:
            found[key] = len(groups)
            groups.append(Group(name, kind, parent, shape))
        return found[key]

    if inputs:
        group((-1,), "input", "input", shape=_shape(list(inputs.values())))
    for stage in sorted({place[0] for place in places.values() if place[0] >= 0}):
        module = modules[stage // 2]
        if stage % 2 == 0:
            group((stage,), clean(module) or "layer", "layer")
        elif stage > last:
            group((stage,), "loss", "loss")
        else:
            group((stage,), f"after {clean(module)}", "between")
    units = sorted({place[:2] for place in places.values() if place[0] >= 0 and place[1] >= 0})
    for stage, unit in units:
        group((stage, unit), f"unit {unit}", "unit", found[stage,])
    several = len({place[2] for place in places.values() if place[2] >= 0}) > 1
    membership = []
    for node in nodes:
        stage, unit, example = places.get(node.id, (-1, -1, -1))
        if node.id in inputs or stage < 0:
            membership.append(found.get((-1,), -1))
            continue
        home = found[(stage, unit) if unit >= 0 else (stage,)]
        if several and example >= 0:
            home = group((stage, unit, example), f"example {example}", "example", home)
        membership.append(home)
    return groups, membership


def _shape(indices: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of one example, a square number of pixels as rows and columns; empty where lengths differ."""
    if len({len(index) for index in indices}) != 1:
        return ()
    sizes = [max(index[axis] for index in indices) + 1 for axis in range(len(indices[0]))]
    one = [size for size in sizes[1:] if size > 1] or sizes[-1:]
    side = isqrt(one[0])
    if len(one) == 1 and side * side == one[0] and side >= SMALLEST_IMAGE:
        return (side, side)
    if len(one) == 2 and min(one) >= SMALLEST_IMAGE:
        return (one[0], one[1])
    return (prod(one),)
