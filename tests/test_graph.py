"""The walk: every node once, after all that used it, however deep or tangled the graph."""

import pytest
import support  # noqa: F401 - loads the hypothesis profile
from hypothesis import given
from hypothesis import strategies as st

from tinynet.graph import backward_order


class Node:
    """All that the walk knows of a node."""

    def __init__(self, name, *parents):
        self.name, self.parents = name, parents

    def __repr__(self):
        return self.name


@pytest.mark.tiny
def test_a_leaf():
    a = Node("a")
    assert backward_order(a) == [a]


@pytest.mark.tiny
def test_a_chain():
    a = Node("a")
    b = Node("b", a)
    c = Node("c", b)
    assert backward_order(c) == [c, b, a]


@pytest.mark.tiny
def test_a_parent_used_twice_comes_once():
    a = Node("a")
    assert backward_order(twice := Node("a + a", a, a)) == [twice, a]


@pytest.mark.tiny
def test_a_shortcut_waits_for_the_long_way():
    """a is reached at once from d, and must still come after b and c, which also hand it a share."""
    a = Node("a")
    b = Node("b", a)
    c = Node("c", b)
    d = Node("d", a, c)
    for root in (d, Node("d", c, a)):
        assert backward_order(root)[1:] == [c, b, a]


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=15))
def test_every_node_once_and_after_all_that_used_it(links):
    nodes = []
    for i, chosen in enumerate(links):
        nodes.append(Node(str(i), *[nodes[j % i] for j in chosen if i]))
    order = backward_order(nodes[-1])
    place = {node: i for i, node in enumerate(order)}
    assert order[0] is nodes[-1] and len(place) == len(order)
    reachable, waiting = set(), [nodes[-1]]
    while waiting:
        node = waiting.pop()
        if node not in reachable:
            reachable.add(node)
            waiting += node.parents
    assert set(order) == reachable
    assert all(place[node] < place[parent] for node in order for parent in node.parents)


@pytest.mark.tiny
def test_the_same_graph_gives_the_same_order():
    a, b = Node("a"), Node("b")
    root = Node("root", Node("c", a, b), Node("d", b, a))
    assert backward_order(root) == backward_order(root)


@pytest.mark.tiny
def test_a_ladder_whose_paths_double_at_each_rung():
    """2^60 paths from top to bottom: a walk that followed each of them would never end."""
    node = Node("0")
    for i in range(60):
        node = Node(str(i + 1), node, node, Node("side", node))
    assert len(backward_order(node)) == 121


def test_deeper_than_pythons_stack():
    node = Node("0")
    for _ in range(20_000):
        node = Node("", node)
    order = backward_order(node)
    assert len(order) == 20_001 and order[-1].name == "0"
    for node in order:  # unhook link by link: these nodes are freed recursively otherwise
        node.parents = ()
