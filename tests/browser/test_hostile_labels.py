"""Labels come from anybody: whatever stands in them is shown as text, and nothing of it is run."""

from importlib.resources import files

import pytest

import tinynet as tn
from tinynet import Value
from tinynet.explain.notation import atom, clip

pytestmark = pytest.mark.browser

LABELS = [
    "</script x><b>", "</script/><i>", "<!-- <script x>",
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(2)>", "' onfocus='alert(3)",
    "</script><script>alert(4)</script>",
    "&amp;&lt;", "<!--", "-->", "<!--<script>", "${x}", "$title", "$$", "`${alert(5)}`",
    "مرحبا", "שלום 5", "a\u2028b\u2029c",
    "nul\0l", "🦔👩‍🔬", "x" * 10_000, "\\u003c/script>", "]]>", "__proto__", "constructor", "\ud800", "d a/d b",
]  # fmt: skip
TITLE = "</title></h1><script>alert(6)</script>$title ${x} &amp;"


def graph_of(labels):
    leaves = [Value(1.0 + k / 7, label=label) for k, label in enumerate(labels)]
    total = leaves[0]
    for leaf in leaves[1:]:
        total = total + leaf * leaves[0]
        total.label = f"{leaf.label} so far"
    total.label = TITLE
    return tn.explain(total)


def test_they_are_shown_as_text(open_page):
    hostile = graph_of(LABELS)
    shown = open_page(hostile)
    title = f"Backpropagation through {hostile.nodes[-1].name}"
    assert title.startswith("Backpropagation through </title></h1><script>alert(6)</script>")
    assert shown.page.inner_text("#title") == title == shown.page.title()
    seen = shown.read()
    for node in hostile.nodes:
        assert seen["boxes"][f"n{node.id}"]["lines"][0] == clip(node.name, 20)
        assert seen["boxes"][f"n{node.id}"]["label"].startswith(node.name)
    assert {node.name for node in hostile.nodes} >= {
        "<!--",
        "${x}",
        "$title",
        "__proto__",
        "nul�l",
        "a b c",
        "x" * 39 + "…",
    }


def test_nothing_is_run_and_nothing_is_added(open_page):
    hostile = graph_of(LABELS[:10])
    shown = open_page(hostile)
    kinds = "[...new Set([...document.querySelectorAll('body *')].map((e) => e.localName))]"
    scripts = "document.querySelectorAll('script').length"
    before = shown.page.evaluate(kinds)
    scripts_of_our_own = files("tinynet.explain.viewer").joinpath("page.html").read_text("utf-8").count("</script>")
    walked = shown.walk()
    steps = [step for step in walked if step["share"]]
    for step, seen in zip(hostile.steps, steps, strict=True):
        assert seen["heading"] == f"Backward: {step.node.name} hands on to {step.parent.name}"
        assert atom(step.parent.name) in seen["rule"]
    for item in shown.page.locator("#graph g.item").all():
        item.dispatch_event("pointerenter")
    shown.click(".words summary")
    for mode in ("predict", "wrong"):
        shown.click(f"[data-mode={mode}]")
        shown.press("ArrowRight", "End")
    assert set(shown.page.evaluate(kinds)) - set(before) <= {
        "b",
        "br",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "form",
        "label",
        "input",
        "small",
    }
    assert shown.page.evaluate(scripts) == scripts_of_our_own
    attributes = "[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames())"
    assert shown.page.evaluate(f"{attributes}.filter((name) => /^on/.test(name))") == []
    assert shown.page.evaluate("document.querySelectorAll('footer').length") == 1


def test_a_hostile_place_too(open_page):
    place = "</script><img src=x onerror=alert(7)>"
    leaves = [Value(1.0, label=f"{place}.w[{i},{j}]") for i in range(2) for j in range(2)]
    inputs = [Value(2.0, label=f"x[0,{j}]") for j in range(2)]
    total = (leaves[0] * inputs[0] + leaves[1] * inputs[1]).tanh() + (
        leaves[2] * inputs[0] + leaves[3] * inputs[1]
    ).tanh()
    shown = open_page(tn.explain(total), fragment="#numbers=0")
    assert any(place in box["label"] for box in shown.read()["boxes"].values())
    key = next(key for key, box in shown.read()["boxes"].items() if place in box["label"])
    assert shown.open(key)["trail"][-1] == f"layer {place}"
    shown.press("End", "Escape")


@pytest.mark.parametrize("label", ["\ud800.w[0]", "w[" + "9" * 5000 + "]", "a\0b.w[1,2]"])
def test_labels_that_look_like_places_can_be_shown(label, open_page):
    open_page(tn.explain(Value(2.0, label=label) * Value(3.0, label="v[0]"))).press("End")
