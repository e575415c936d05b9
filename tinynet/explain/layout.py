"""Where things stand in a drawing: a layered layout of boxes and arrows, left to right.

Layers by longest path; order within a layer by barycentres, to keep crossings few; heights by least squares (Sugiyama,
Tagawa and Toda, *Methods for visual understanding of hierarchical system structures*, 1981). Everything is a loop: a
chain of thousands is laid out as easily as a pair. Must not know what the boxes hold or how they are drawn.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

ACROSS, DOWN = 34.0, 16.0  # the gap between layers, and between boxes of one layer
PORTS = 9.0  # the distance between two arrows that arrive at one box
THREAD = 6.0  # the room kept for an arrow that passes a layer
SWEEPS = 6
LIGHT = 1e-3  # how much a box that nothing leads to counts beside the others: it keeps to the side of the main path

Point = tuple[float, float]


@dataclass(slots=True)
class Box:
    """A rectangle by its centre."""

    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes, and for each edge the points its arrow passes through; all within ``width`` × ``height`` from (0, 0)."""

    boxes: list[Box]
    routes: list[list[Point]]
    width: float
    height: float


def layout(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay out a graph.

    Args:
        sizes: (width, height) of each box.
        edges: (from, to) by index; ``from`` is always the smaller, so that boxes come after what leads to them.
    """
    boxes = [Box(width, height) for width, height in sizes]
    _assign_layers(boxes, edges)
    chains = _threaded(boxes, edges)
    above: list[list[int]] = [[] for _ in boxes]  # neighbours in earlier layers, and in later ones
    below: list[list[int]] = [[] for _ in boxes]
    for chain in chains:
        for u, v in pairwise(chain):
            above[v].append(u)
            below[u].append(v)
    layers = _ordered(boxes, len(sizes), above, below)
    _place_down(boxes, layers, above, below)
    columns = _place_across(boxes, layers)
    routes = _routes(boxes, chains, columns)
    top = min((box.y - box.height / 2 for box in boxes), default=0.0)
    for box in boxes:
        box.y -= top
    return Layout(
        boxes[: len(sizes)],
        [[(x, y - top) for x, y in route] for route in routes],
        max((box.x + box.width / 2 for box in boxes), default=0.0),
        max((box.y + box.height / 2 for box in boxes), default=0.0),
    )


def _assign_layers(boxes: list[Box], edges: Sequence[tuple[int, int]]) -> None:
    """Each box one layer after the last that leads to it; a box that nothing leads to just before its first use."""
    arriving: list[list[int]] = [[] for _ in boxes]
    first_use: dict[int, int] = {}
    for u, v in edges:
        arriving[v].append(u)
    for v, box in enumerate(boxes):
        box.layer = max((boxes[u].layer + 1 for u in arriving[v]), default=0)
    for u, v in edges:
        first_use[u] = min(first_use.get(u, boxes[v].layer), boxes[v].layer)
    for u, layer in first_use.items():
        if not arriving[u]:
            boxes[u].layer = layer - 1


def _threaded(boxes: list[Box], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Each edge as a chain of boxes, with a thread-thin one in every layer that it passes.

    Where that would take more than a few boxes an edge, the longest edges go straight.
    """
    spare = 4 * len(boxes) + 1000
    chains: dict[int, list[int]] = {}
    for i in sorted(range(len(edges)), key=lambda i: boxes[edges[i][1]].layer - boxes[edges[i][0]].layer):
        u, v = edges[i]
        between = range(boxes[u].layer + 1, boxes[v].layer)
        spare -= len(between)
        passed = list(range(len(boxes), len(boxes) + len(between))) if spare >= 0 else []
        boxes += [Box(0.0, THREAD, layer) for layer in between[: len(passed)]]
        chains[i] = [u, *passed, v]
    return [chains[i] for i in range(len(edges))]


def _ordered(boxes: list[Box], real: int, above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """The layers, each from top to bottom, after some sweeps that move every box to the middle of its neighbours."""
    layers: list[list[int]] = [[] for _ in range(max((box.layer for box in boxes), default=-1) + 1)]
    for i, box in enumerate(boxes):
        layers[box.layer].append(i)
    position = [float(i) for i in range(len(boxes))]
    for i in range(real, len(boxes)):  # a thread begins beside the box that it comes from
        position[i] = position[above[i][0]] + 0.5
    for layer in layers:
        layer.sort(key=position.__getitem__)
    for sweep in range(SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            size = max(len(layer) - 1, 1)
            for place, i in enumerate(layer):
                near = neighbours[i]
                position[i] = sum(position[j] for j in near) / len(near) if near else place / size
            layer.sort(key=position.__getitem__)
            for place, i in enumerate(layer):
                position[i] = place / size if len(layer) > 1 else 0.5
    return layers


def _place_down(boxes: list[Box], layers: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Give each box a height: near the middle of its neighbours, and clear of the others in its layer."""
    weights = [1.0 if before else LIGHT for before in above]

    def pulled(i: int, neighbours: list[int]) -> float:
        on_path = any(above[j] for j in above[i])
        pulls = [weights[j] if on_path else 1.0 for j in neighbours]
        return sum(pull * boxes[j].y for pull, j in zip(pulls, neighbours)) / sum(pulls) if pulls else boxes[i].y

    for layer in layers:
        _settle(boxes, layer, [0.0] * len(layer), weights)
    both = [before + after for before, after in zip(above, below)]
    passes = [(layers, above), (layers[::-1], below)] * (SWEEPS // 2) + [(layers, both), (layers[::-1], both)]
    for order, neighbours in passes:
        for layer in order:
            _settle(boxes, layer, [pulled(i, neighbours[i]) for i in layer], weights)


def _settle(boxes: list[Box], layer: list[int], wanted: list[float], weights: list[float]) -> None:
    """The heights nearest to the wanted ones, by least squares, that keep the order and the gaps of a layer.

    With the gaps subtracted this is isotonic regression: neighbours that want to pass each other form a block, which
    stands at the mean of what its members want (pool adjacent violators; Barlow et al., 1972).
    """
    offsets = [0.0]
    for i, j in pairwise(layer):
        offsets.append(offsets[-1] + (boxes[i].height + boxes[j].height) / 2 + DOWN)
    blocks: list[tuple[float, float, int]] = []  # the mean, the weight and the size of each
    for i, want, offset in zip(layer, wanted, offsets):
        mean, weight, size = want - offset, weights[i], 1
        while blocks and blocks[-1][0] >= mean:
            other, heavy, n = blocks.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, size = weight + heavy, size + n
        blocks.append((mean, weight, size))
    heights = [mean for mean, _, size in blocks for _ in range(size)]
    for i, height, offset in zip(layer, heights, offsets):
        boxes[i].y = height + offset


def _place_across(boxes: list[Box], layers: list[list[int]]) -> list[tuple[float, float]]:
    """Give each layer a column as wide as its widest box. Returns the columns' left and right ends."""
    columns, left = [], 0.0
    for layer in layers:
        right = left + max(boxes[i].width for i in layer)
        for i in layer:
            boxes[i].x = (left + right) / 2
        columns.append((left, right))
        left = right + ACROSS
    return columns


def _routes(boxes: list[Box], chains: list[list[int]], columns: list[tuple[float, float]]) -> list[list[Point]]:
    """The points of each arrow: level across the columns that it passes, so that it bends in the gaps alone."""
    arriving: dict[int, list[int]] = {}
    alike = Counter((chain[0], chain[-1]) for chain in chains)
    for k, chain in enumerate(chains):
        arriving.setdefault(chain[-1], []).append(k)
    shift = [0.0] * len(chains)  # arrows that arrive together arrive side by side
    for v, arrows in arriving.items():
        arrows.sort(key=lambda k: boxes[chains[k][-2]].y)
        apart = min(PORTS, boxes[v].height / (len(arrows) + 1))
        for place, k in enumerate(arrows):
            shift[k] = (place - (len(arrows) - 1) / 2) * apart
    routes = []
    for k, (u, *passed, v) in enumerate(chains):
        start, end = boxes[u], boxes[v]
        y = start.y + (shift[k] if alike[u, v] > 1 else 0.0)
        route = [(start.x + start.width / 2, y), (columns[start.layer][1], y)]
        for i in passed:
            route += [(x, boxes[i].y) for x in columns[boxes[i].layer]]
        y = end.y + shift[k]
        routes.append([*route, (columns[end.layer][0], y), (end.x - end.width / 2, y)])
    return routes
