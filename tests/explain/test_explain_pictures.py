"""The picture, DOT, Mermaid and the tree, with labels that would break out of them if they could."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strict_page import StrictPage

import tinynet as tn
from tinynet import Value
from tinynet.explain import Explanation

HOSTILE = [
    "<script>alert(1)</script>",
    "</title></style></svg><script>",
    "\"quoted\" 'twice' & &amp; ]]>",
    "line one\nline two\ttab\r\x00\x1b[31m\ud800",
    "x" * 10_000,
    "مرحبا بالعالم \u202e\u2066",
    '\\N\\"{a|b}<c> `d` #35; %% end --> |',
    "😀👩\u200d🚀 汉字",
    "--> ]]>",
]
SVG = "{http://www.w3.org/2000/svg}"


def graph(label, other="b"):
    a, b = Value(2.0, label=label), Value(-3.0, label=other)
    out = (a * b + 10).tanh()
    out.label = label
    return out


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels(label, tmp_path):
    root = graph(label)
    for shown in (tn.explain(root), tn.draw(root)):
        tree = ET.fromstring(shown.svg())
        assert tree.tag == f"{SVG}svg"
        assert tree.get("role") == "img"
        assert tree.get("aria-label") == tree.find(f"{SVG}title").text
        assert {element.tag.removeprefix(SVG) for element in tree.iter()} <= {
            "svg", "title", "desc", "style", "rect", "g", "text", "path",
        }  # fmt: skip
        for ending in ("svg", "html", "dot", "mmd", "txt", "md"):
            text = shown.save(tmp_path / f"it.{ending}").read_text(encoding="utf-8")
            assert max(map(len, re.findall("x+", text)), default=0) <= 40
            if ending in ("svg", "html", "mmd"):
                own = 3 if ending == "html" and isinstance(shown, Explanation) else 0  # its data, its state, its script
                assert text.lower().count("<script") == own
        StrictPage(shown.html())


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_label(label):
    drawing = tn.draw(graph(label))
    ET.fromstring(drawing.svg())
    assert dot_strings(drawing.dot())
    for line in drawing.mermaid().splitlines()[1:]:
        assert re.fullmatch(r"  \w+(\[\"[^\"]*\"\]|\(\(\"[^\"]*\"\)\)| --> \w+)", line), line


def dot_strings(dot):
    """Every quoted string of a DOT text; asserts that nothing but plain syntax lies outside them."""
    string = r'"(?:[^"\\\n]|\\.)*"'
    outside = re.sub(string, "S", dot)
    for line in outside.splitlines():
        assert re.fullmatch(r"digraph tinynet \{|\}|\s+[\w\s=,\[\]>-]*;", line), line
    return re.findall(string, dot)


@pytest.mark.tiny
def test_what_a_box_says():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    out = (a * b + 10).tanh()
    texts = [element.text for element in ET.fromstring(tn.explain(out).svg()).iter(f"{SVG}text")]
    assert texts == [
        *["a", "data 2", "grad −0.00402285", "b", "data −3", "grad 0.0026819", "×"],
        *["v1", "data −6", "grad 0.00134095", "data 10", "grad 0.00134095", "+"],
        *["v2", "data 4", "grad 0.00134095", "tanh", "out", "data 0.999329", "grad 1"],
    ]


def test_draw_shows_the_gradients_that_are_there():
    a = Value(2.0, label="a")
    out = a * 3
    assert "grad 3" not in tn.draw(out).svg()
    out.backward()
    assert "grad 3" in tn.draw(out).svg()


@pytest.mark.tiny
def test_exports_of_a_small_graph():
    a = Value(2.0, label='say "a" \\')
    drawing = tn.draw(a * 3)
    assert drawing.dot() == (
        'digraph tinynet {\n  rankdir=LR;\n  node [fontname="monospace", fontsize=11];\n'
        '  v0 [shape=box, style=rounded, label="say \\"a\\" \\\\\\ndata 2\\ngrad 0"];\n'
        '  v1 [shape=box, style=rounded, label="data 3\\ngrad 0"];\n'
        '  v2 [shape=box, style=rounded, penwidth=2, label="out\\ndata 6\\ngrad 0"];\n'
        '  o2 [shape=ellipse, label="×"];\n  o2 -> v2;\n  v0 -> o2;\n  v1 -> o2;\n}\n'
    )
    assert drawing.mermaid() == (
        'flowchart LR\n  v0["say #34;a#34; #92;<br/>data 2<br/>grad 0"]\n  v1["data 3<br/>grad 0"]\n'
        '  v2["out<br/>data 6<br/>grad 0"]\n  o2(("×"))\n  v0 --> o2\n  v1 --> o2\n  o2 --> v2\n'
    )


@pytest.mark.tiny
def test_the_tree_spells_shared_values_out_once():
    a = Value(2.0, label="a")
    b = a * 3
    b.label = "b"
    assert str(tn.draw(b * (b + a))) == (
        "out = b × v1 = 6 × 8 = 48  (grad 0)\n"
        "├─ b = a × 3 = 2 × 3 = 6  (grad 0)\n"
        "│  ├─ a = 2  (grad 0)\n"
        "│  └─ 3  (grad 0)\n"
        "└─ v1 = b + a = 6 + 2 = 8  (grad 0)\n"
        "   ├─ b  (see above)\n"
        "   └─ a = 2  (grad 0)"
    )


def test_large_graphs_are_cut_and_say_so():
    x = Value(0.5, label="x")
    y = x
    for _ in range(3_000):
        y = y * 1.001 + 0.001
    for text in (tn.draw(y).svg(), tn.draw(y).dot(), tn.draw(y).mermaid(), str(tn.draw(y)), tn.explain(y).svg()):
        assert "400 values nearest out" in text.replace("#61;", "=")
        assert re.search("11,?(#44;)?601 more left out", text)
    assert tn.draw(y).svg().count('class="value') == 400
    assert max(map(len, str(tn.draw(y)).splitlines())) < 150
    assert "left out" not in tn.draw(x * 2).svg()
