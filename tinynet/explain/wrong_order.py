"""What goes wrong when gradients are handed on before the whole has arrived: the same graph, walked impatiently.

Each node hands its gradient on the moment anything arrives, depth first, as a naive recursion would. Where a result is
used twice, what arrives later is never handed on. Must not know how it is shown.
"""

import math
from dataclasses import dataclass

from tinynet.explain.trace import Step, Trace, hand_on


@dataclass(frozen=True, slots=True)
class WrongWalk:
    """The impatient walk.

    Attributes:
        steps: in its order; each from and to nodes of the walk that it is compared with.
        gradients: what each node holds in the end, by the node's id.
        spoilt: the ids of the nodes whose gradient came out wrong.
    """

    steps: list[Step]
    gradients: list[float]
    spoilt: list[int]


def walk_impatiently(walk: Trace) -> WrongWalk:
    """Walk the graph of ``walk`` in the wrong order, by the same rules."""
    right = [node.gradient for node in walk.nodes]
    for node in walk.nodes:
        node.gradient = 0.0
    walk.root.gradient = 1.0
    steps: list[Step] = []
    seen = {walk.root.id}
    path = [hand_on(walk.root)]
    while path:
        for step in path[-1]:
            steps.append(step)
            if step.parent.id not in seen and step.parent.primitive:
                seen.add(step.parent.id)
                path.append(hand_on(step.parent))
                break
        else:
            path.pop()
    wrong = [node.gradient for node in walk.nodes]
    for node, gradient in zip(walk.nodes, right):
        node.gradient = gradient
    spoilt = [i for i, (a, b) in enumerate(zip(right, wrong)) if not math.isclose(a, b, rel_tol=1e-9) and a == a]
    return WrongWalk(steps, wrong, spoilt)
