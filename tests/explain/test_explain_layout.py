"""The layout: what leads to a box is left of it, and nothing lies on anything else."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinynet.explain.layout import layout


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 30))
    sizes = draw(st.lists(st.tuples(st.floats(20, 150), st.floats(20, 80)), min_size=n, max_size=n))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda edge: edge[0] < edge[1])
    return sizes, draw(st.lists(ends, max_size=3 * n)) if n > 1 else []


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_nothing_overlaps_and_arrows_go_right(graph):
    sizes, edges = graph
    made = layout(sizes, edges)
    for i, x in enumerate(made.boxes):
        assert x.y - x.height / 2 >= -1e-6
        assert x.y + x.height / 2 <= made.height + 1e-6
        assert x.x - x.width / 2 >= -1e-6
        assert x.x + x.width / 2 <= made.width + 1e-6
        for y in made.boxes[:i]:
            apart = abs(x.x - y.x) * 2 >= x.width + y.width or abs(x.y - y.y) * 2 >= x.height + y.height
            assert apart, f"{x} lies on {y}"
    for (u, v), route in zip(edges, made.routes):
        assert made.boxes[u].layer < made.boxes[v].layer
        assert route[0][0] == made.boxes[u].x + made.boxes[u].width / 2
        assert route[-1][0] == made.boxes[v].x - made.boxes[v].width / 2
        assert all(x <= to_x + 1e-6 for (x, _), (to_x, _) in pairwise(route))


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_arrows_pass_no_box(graph):
    sizes, edges = graph
    made = layout(sizes, edges)
    for (u, v), route in zip(edges, made.routes):
        for (x, y), (to_x, to_y) in pairwise(route):
            for i, box in enumerate(made.boxes):
                if i in (u, v) or y != to_y:
                    continue
                inside = x < box.x + box.width / 2 and to_x > box.x - box.width / 2 and abs(y - box.y) < box.height / 2
                assert not inside, f"arrow {u} -> {v} crosses box {i}"


def test_parallel_arrows_are_apart():
    made = layout([(50, 30), (30, 30)], [(0, 1), (0, 1)])
    assert made.routes[0][0] != made.routes[1][0]
    assert made.routes[0][-1] != made.routes[1][-1]


def test_a_crossing_that_can_be_avoided_is_avoided():
    made = layout([(50, 30)] * 4, [(0, 3), (1, 2)])
    y = [box.y for box in made.boxes]
    assert (y[0] < y[1]) == (y[3] < y[2])


def test_a_chain_with_a_leaf_at_each_link_is_straight():
    sizes, edges, last = [(60.0, 40.0)], [], 0
    for _ in range(100):
        leaf, box = len(sizes), len(sizes) + 1
        sizes += [(60.0, 40.0)] * 2
        edges += [(last, box), (leaf, box)]
        last = box
    assert layout(sizes, edges).height < 200


@pytest.mark.parametrize(
    ("n", "edges"),
    [
        (5_000, [(i, i + 1) for i in range(4_999)]),
        (5_001, [(i, 5_000) for i in range(5_000)]),
        (5_001, [(i, i + 1) for i in range(5_000)] + [(i, 5_000) for i in range(4_999)]),
    ],
    ids=["chain", "wide", "chain whose every link leads to the end"],
)
def test_large_graphs_are_quick(n, edges):
    start = time.perf_counter()
    layout([(100.0, 50.0)] * n, edges)
    assert time.perf_counter() - start < 5  # 0.1 to 0.6 s on a laptop; a quadratic layout takes minutes


def test_nothing_to_lay_out():
    assert layout([], []).boxes == []
