"""The wrong order: the page shows what a reader's own impatient walk would give, and says when nothing goes wrong."""

import pytest
from support import published_graph

import tinynet as tn
from tinynet import Value
from tinynet.explain.notation import number

pytestmark = pytest.mark.browser


def impatient(root):
    """A naive recursion: each Value hands on what it holds the first time that anything reaches it. The gradients after
    each step, by Value; and the steps, as (from, input number, what it held, what it handed on)."""
    grads, steps, reached = {root: 1.0}, [], {root}

    def hand_on(value):
        held = grads[value]
        numbers = [parent.data for parent in value.parents]
        for i, parent in enumerate(value.parents):
            rule = value.primitive.rule(i)
            share = float(rule(held, value.data, *numbers)) if rule else 0.0
            grads[parent] = grads.get(parent, 0.0) + share
            steps.append((value, i, held, share, dict(grads)))
            if parent not in reached and parent.parents:
                reached.add(parent)
                hand_on(parent)

    hand_on(root)
    return grads, steps


def values_of(root):
    from tinynet.graph import backward_order

    return list(reversed(backward_order(root)))


def reused():
    a = Value(3.0, label="a")
    b = a + a
    b.label = "b"
    return b * b


GRAPHS = {
    "reused": reused,
    "published": lambda: published_graph(Value(-4.0, label="a"), Value(2.0, label="b")),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_it_is_an_impatient_walk(graph, open_page):
    root = GRAPHS[graph]()
    explained = tn.explain(root)
    values = values_of(root)
    place = {id(value): k for k, value in enumerate(values)}
    grads, steps = impatient(root)
    root.backward()
    shown = open_page(explained)
    seen = shown.click("[data-mode=wrong]")
    spoilt = [k for k, v in enumerate(values) if abs(grads[v] - v.grad) > 1e-9 * max(abs(grads[v]), abs(v.grad))]
    assert f"In this graph {len(spoilt)} gradient" in seen["told"] and spoilt
    walked = shown.walk()[1:]
    assert len(walked) == len(steps)
    for seen, (value, i, held, share, now) in zip(walked, steps):
        assert (seen["upstream"], seen["share"]) == (number(held), number(share))
        giver, taker = (explained.nodes[place[id(v)]].name for v in (value, value.parents[i]))
        assert seen["heading"] == f"{giver} hands on to {taker}"
        assert ("Too early" in seen["told"]) == (number(held) != number(value.grad))
        for k, v in enumerate(values):
            assert seen["boxes"][f"n{k}"]["grad"].removesuffix(" …") == (number(now[v]) if v in now else "·")
    for k in range(len(values)):
        assert walked[-1]["boxes"][f"n{k}"]["spoilt"] == (k in spoilt)
    rows = shown.page.locator("#told tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [
        [explained.nodes[k].name, number(grads[values[k]]), number(values[k].grad)] for k in spoilt
    ][:12]


def test_where_nothing_is_used_twice_nothing_goes_wrong(open_page):
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    root = (a * b + 10).tanh()
    shown = open_page(tn.explain(root))
    seen = shown.click("[data-mode=wrong]")
    assert "every gradient comes out right all the same" in seen["told"] and "tinynet explain" in seen["told"]
    root.backward()
    end = shown.press("End")
    assert [end["boxes"][f"n{k}"]["grad"] for k in range(6)] == [number(v.grad) for v in values_of(root)]
    assert not any(box["spoilt"] for box in end["boxes"].values())


def test_a_leaf_used_twice_does_no_harm(open_page):
    a = Value(3.0, label="a")
    shown = open_page(tn.explain(a * a))
    assert "comes out right" in shown.click("[data-mode=wrong]")["told"]


def test_a_network_seen_as_layers_can_be_walked_too(open_page, convolution):
    shown = open_page(convolution)
    seen = shown.click("[data-mode=wrong]")
    promised = "Step forward" in seen["told"]
    assert promised == (not shown.page.locator("#next").is_disabled())
