"""Stepping through a saved page: every number on it, at every moment, is the engine's."""

import operator

import pytest
from browser.shown import numbers_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import published_graph

import tinynet as tn
from tinynet import Value
from tinynet import primitives as p
from tinynet.errors import DomainError
from tinynet.explain.notation import number
from tinynet.explain.words import forward_sentence, step_sentences

pytestmark = pytest.mark.browser

UNKNOWN = "·"


def first_graph():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    return (a * b + 10).tanh()


def every_kind():
    """Constants below zero, an input used twice, inputs of no slope, a result that is used four times."""
    a, b = Value(-1.25, label="a"), Value(0.75, label="a b")
    c = a - Value(-3.0)
    c.label = "c"
    d = c * c / (b + Value(-4.5)) + c**2
    e = p.maximum(c, b) - p.where(a > 0, a, d).exp() * c
    return (e.sigmoid() - Value(-0.5)) ** -1 + a.relu() + b.clip(0.0, 0.5)


GRAPHS = {"first": first_graph, "published": lambda: published_graph(Value(-4.0, label="a"), Value(2.0, label="b"))}
GRAPHS["every kind"] = every_kind


def expected_moments(explained):
    """For each moment of the whole graph: what is known of each node, and the step that is taken. From the nodes and
    steps of the Python walk, by the rule of the clock: leaves, a value a tick, the seed, a link a tick."""
    nodes, data, sums, counts = explained.nodes, {}, {}, {}
    parts = {node.id: sum(step.parent is node for step in explained.steps) for node in nodes}

    def moment(what):
        grads = {i: number(total) + (" …" if counts.get(i, 0) < parts[i] else "") for i, total in sums.items()}
        return what, dict(data), grads

    data = {node.id: number(node.value) for node in nodes if not node.parents}
    yield moment(None)
    for node in nodes:
        if node.parents:
            data[node.id] = number(node.value)
            yield moment(node)
    sums[nodes[-1].id] = 1.0
    yield moment("seed")
    for step in explained.steps:
        sums[step.parent.id] = sums.get(step.parent.id, 0.0) + step.contribution
        counts[step.parent.id] = counts.get(step.parent.id, 0) + 1
        yield moment(step)


def check_moment(explained, seen, expected):
    what, data, grads = expected
    for node in explained.nodes:
        box = seen["boxes"][f"n{node.id}"]
        assert box["data"] == data.get(node.id, UNKNOWN), (node.name, what)
        assert box["grad"] == grads.get(node.id, UNKNOWN), (node.name, what)
        assert f"data {data.get(node.id, UNKNOWN)}" in box["label"]
        assert ("gradient not yet known" in box["label"]) == (node.id not in grads)
    if what is None or what == "seed":
        return
    if hasattr(what, "local"):
        rule, chain = step_sentences(what, explained.nodes[-1])
        assert (seen["upstream"], seen["local"], seen["share"]) == tuple(
            map(number, (what.upstream, what.local, what.contribution))
        )
        assert seen["rule"].endswith(f" {rule}"), (seen["rule"], rule)
        name, total = chain.split(" = ")[0], seen["total"]
        assert seen["sum"] == f"{name}, so far {total}"
        assert total.split(" = ")[-1] == number(what.total)
        assert seen["flows"] == [number(what.contribution)]
        if what.before:
            assert chain.endswith(f", so far {total}")
    else:
        assert seen["sum"] == forward_sentence(what)
        assert seen["heading"] == f"Forward: {what.name}"


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_page_shows_what_the_engine_computes_at_every_moment_and_nothing_before(graph, open_page):
    root = GRAPHS[graph]()
    explained = tn.explain(root)
    shown = open_page(explained)
    walked = shown.walk()
    expected = list(expected_moments(explained))
    assert len(walked) == len(expected)
    for seen, wanted in zip(walked, expected):
        check_moment(explained, seen, wanted)
    back = shown.walk("ArrowLeft")
    assert [seen["boxes"] for seen in reversed(back)] == [seen["boxes"] for seen in walked]
    root.backward()
    for node, value in zip(explained.nodes, engine_order(root)):
        box = walked[-1]["boxes"][f"n{node.id}"]
        assert (box["data"], box["grad"].removesuffix(" …")) == (number(value.data), number(value.grad)), node.name


def engine_order(root):
    from tinynet.graph import backward_order

    return reversed(backward_order(root))


def test_keys_and_buttons_lead_to_the_end_and_back(open_page):
    explained = tn.explain(first_graph())
    shown = open_page(explained)
    last = sum(bool(node.parents) for node in explained.nodes) + 1 + len(explained.steps)

    def counter():
        return shown.read()["counter"].split(" · ")[0]

    start = shown.read()
    for forward, back, far, near in (("ArrowRight", "ArrowLeft", "End", "Home"), ("#next", "#back", "#last", "#first")):
        act = shown.press if forward[0] == "A" else shown.click
        for k in range(1, last + 1):
            act(forward)
            assert counter() == f"step {k} of {last}"
        if act == shown.press:
            act(forward)
            assert counter() == f"step {last} of {last}"
        end = shown.read()
        for k in reversed(range(last)):
            act(back)
            assert counter() == f"step {k} of {last}"
        assert shown.read() == start
        act(far)
        assert shown.read() == end
        act(near)
    assert shown.page.locator("#back").is_disabled() and shown.page.locator("#first").is_disabled()
    shown.press("End")
    assert shown.page.locator("#next").is_disabled() and shown.page.locator("#last").is_disabled()


def test_playing_ends_at_the_end(open_page):
    shown = open_page(tn.explain(Value(2.0, label="a") * 3))
    shown.page.select_option("#pace", "fast")
    shown.page.evaluate("document.activeElement.blur()")
    shown.press(" ")
    assert shown.page.inner_text("#play") == "Pause"
    shown.page.locator("#play", has_text="Play").wait_for(timeout=10_000)
    assert shown.read()["counter"] == "step 4 of 4 · backward"
    shown.click("#play")
    shown.page.locator("#counter", has_text="step 1 of").wait_for()
    shown.click("#play")
    assert shown.page.inner_text("#play") == "Play"


def test_nothing_tells_a_number_before_its_time(open_page):
    a, b = Value(0.71828, label="a"), Value(-0.31416, label="b")
    c = (a * b).sin()
    explained = tn.explain((c * a).exp() + c)
    shown = open_page(explained)
    told = set()
    for what, data, grads in expected_moments(explained):
        text = numbers_in(shown.visible_text())
        hidden = {number(node.value) for node in explained.nodes if node.id not in data}
        hidden |= {number(node.gradient) for node in explained.nodes if node.id not in grads}
        hidden -= {*data.values(), *grads.values(), "1"}
        assert text & hidden == set(), what
        told |= text
        shown.press("ArrowRight")
    assert {number(node.gradient) for node in explained.nodes} <= told  # so the search does find them


BINARY = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
UNARY = {name: operator.methodcaller(name) for name in ("tanh", "exp", "sin", "relu", "sigmoid", "abs")}
UNARY |= {"neg": operator.neg, "square": lambda x: x**2}


@st.composite
def expressions(draw):
    """Any operations on a few numbers, each result free to be used again."""
    numbers = st.floats(-3, 3).map(lambda x: round(x, 3))
    values = [Value(x, label=label) for x, label in zip(draw(st.lists(numbers, min_size=1, max_size=3)), "abc")]
    for name in draw(st.lists(st.sampled_from([*BINARY, *UNARY]), min_size=1, max_size=10)):
        x, y = draw(st.sampled_from(values)), draw(st.sampled_from([*values, Value(draw(numbers))]))
        try:
            values.append(BINARY[name](x, y) if name in BINARY else UNARY[name](x))
        except DomainError:
            continue
    return values[-1]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(expressions())
def test_any_expression(open_page, root):
    try:
        explained = tn.explain(root)
    except DomainError:
        return
    shown = open_page(explained)
    for seen, wanted in zip(shown.walk(), expected_moments(explained), strict=True):
        check_moment(explained, seen, wanted)
    shown.page.context.close()
