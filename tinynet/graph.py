"""The order of backpropagation: one walk for every engine.

A node here is anything that knows its ``parents``, the nodes it was computed from. This file knows nothing else about
nodes, and nothing about gradients.
"""

from typing import Any, TypeVar

Node = TypeVar("Node", bound=Any)


def backward_order(root: Node) -> list[Node]:
    """All that ``root`` was computed from, ``root`` first, every node after all the nodes that used it.

    A node may hand its gradient on only when the whole of it has arrived. So walk depth first, write a node down once
    all its parents are written down, and read the list backwards (Tarjan, *Edge-disjoint spanning trees and depth-first
    search*, 1976). The stack is our own: a chain of 100,000 nodes is walked as easily as a chain of one.
    """
    order: list[Node] = []
    seen = {root}
    path = [root]  # from the root down to the node at hand, and beside each node the parents still to be visited
    waiting = [iter(root.parents)]
    while path:
        for parent in waiting[-1]:
            if parent not in seen:
                seen.add(parent)
                if parent.parents:
                    path.append(parent)
                    waiting.append(iter(parent.parents))
                    break
                order.append(parent)
        else:
            waiting.pop()
            order.append(path.pop())
    order.reverse()
    return order
