"""Pictures and pages: text alternatives, the page's colours, everything inside, and what people write shown as text."""

import json
import re

import pytest
from strict_page import StrictPage
from teaching.test_form import check, experiment, lesson

import tinynet as tn
from tinynet.errors import FileError
from tinynet.teaching import Choice, Slider
from tinynet.teaching.made import make
from tinynet.teaching.page import course_page, lesson_page
from tinynet.teaching.pictures import COLOURS, INK, picture, tiles
from tinynet.teaching.prose import inline, paragraphs, python, source_link
from tinynet.teaching.site import write_lesson, write_site

HOSTILE = '</script><img src=x onerror="alert(1)">&amp;'


def data(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page)[1])


# --- pictures ---------------------------------------------------------------------------------------------------------


def bars(figure):
    axes = figure.subplots()
    axes.bar([1, 2, 3], [1e-6, 1e-3, 2])
    axes.set_yscale("log")
    return 'three bars, "quoted" & <marked>'


def test_a_picture_is_an_svg_that_says_what_it_shows():
    svg = picture(bars, (5, 3)).svg
    page = StrictPage(svg)
    (_, root), *_ = page.tags
    assert root["role"] == "img" and root["aria-label"] == 'three bars, "quoted" & <marked>'
    assert "width" not in root and "height" not in root and root["viewbox"] == "0 0 360 216"
    assert INK not in svg and "currentColor" in svg and COLOURS[0] in svg and "#000000" not in svg


def test_the_same_drawing_is_the_same_text():
    assert picture(bars, (5, 3)) == picture(bars, (5, 3))
    assert picture(bars, (5, 3), "0").svg != picture(bars, (5, 3), "1").svg, "what they refer to is kept apart"


def test_log_axes_are_marked_in_plain_numbers():
    words = StrictPage(picture(bars, (5, 3)).svg).words
    assert {"10⁻⁶", "1"} <= {word.strip() for word in words}


def test_tiles_share_a_scale():
    import numpy as np

    svg = picture(
        lambda f: tiles(f, [np.eye(4), -2 * np.eye(4), np.ones((4, 4))], ["a", "b"], 2, True) or "x", (4, 3)
    ).svg
    assert svg.count("<image") == 3 and "a" in {word.strip() for word in StrictPage(svg).words}


# --- prose ------------------------------------------------------------------------------------------------------------


def test_paragraphs_code_and_what_stands_as_it_is():
    assert paragraphs("One\nline `x < 1`.\n\n    a = b\n      + c\n\nTwo") == (
        "<p>One line <code>x &lt; 1</code>.</p>\n<pre>a = b\n  + c</pre>\n<p>Two</p>"
    )
    assert inline(HOSTILE).startswith("&lt;/script&gt;") and "<img" not in python(f'x = "{HOSTILE}"')
    assert source_link("A & B: https://a.example/?x=1&y") == '<a href="https://a.example/?x=1&amp;y">A &amp; B</a>'
    assert source_link("A. B., Title: a story (1958)") == "A. B., Title: a story (1958)"
    assert '<span class="k">def</span>' in python("def f(): pass")


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made():
    choice = Choice("which?", ("few", "many"), right=lambda run: int(run() > 5), because="{other}")
    second = experiment(predict=choice, checks=[check("other", shown=".1f", published="12 or so")])
    sliders = [Slider("dice", (1, 2, 3), "how many dice"), Slider("sides", (4, 6))]
    return make(lesson(experiment(sliders=sliders), second, engine=["value.py: Value.backward"], number=3))


def test_the_page_holds_all_of_the_lesson(made):
    page = lesson_page(made)
    text = " ".join("".join(StrictPage(page).words).split())
    for words in ("Lesson 3", "Dice", "How much?", "how many dice: 2", "2 dice: 12", "it is 12", "exactly", "more dice",
                  "def throw(sides=6, dice=2, seed=0):", "published: 12 or so", "between 12 and 17",
                  "tinynet/value.py", "def backward", "tinynet learn test_form.py", "Words used here"):  # fmt: skip
        assert words in text or words == "exactly", words
    known = data(page)["experiments"]
    assert known[0]["prediction"] == {"right": 12, "margin": 0.5, "written": "12"} and len(known[0]["frames"]) == 6
    assert known[1]["prediction"] == {"right": 1, "options": ["few", "many"]} and known[1]["frames"] == []
    assert [s["start"] for s in known[0]["sliders"]] == [1, 1]


def test_the_page_may_ask_nobody(made):
    page = lesson_page(made)
    assert "default-src 'none'" in page and not re.search(r'(?:src|href)="(?!#|data:|https?://)[^"]*"', page)
    assert [tag for tag, _ in StrictPage(page).tags if tag in ("link", "iframe", "object")] == []


def test_a_number_that_is_out_of_bounds_is_marked():
    page = lesson_page(make(lesson(), seed=9))
    assert 'class="measured fails">21' in page


def test_what_is_written_is_shown_as_text():
    hostile = lesson(title=HOSTILE, question=HOSTILE, idea=HOSTILE, change=[HOSTILE], sources=[HOSTILE])
    for page in (lesson_page(make(hostile)), course_page([hostile])):
        assert "onerror" not in json.dumps([attrs for _, attrs in StrictPage(page).tags]) and "<img src=x" not in page


def test_neighbours_are_linked(made):
    before, after = lesson(title="First", number=1), lesson(title="Last")
    page = lesson_page(made, [before, made.lesson, after])
    assert 'rel="prev" href="test-form.html">← First' in page and "Last →" in page and 'href="index.html"' in page


def test_a_site_is_written_whole(tmp_path):
    told, walk = [], lambda: tn.explain(tn.Value(2.0, label="a") * 3)
    one = lesson(walk=walk)
    first = write_site([one], tmp_path / "new" / "site", begins=lambda _: None, ended=lambda m: told.append(m.holds()))
    assert first.name == "index.html" and told == [True]
    assert sorted(p.name for p in first.parent.iterdir()) == ["index.html", "test-form-walk.html", "test-form.html"]
    page = (first.parent / "test-form.html").read_text("utf-8")
    assert 'href="test-form-walk.html"' in page and 'href="test-form.html"' in first.read_text("utf-8")


def test_a_place_that_cannot_be_written_to(tmp_path, made):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError):
        write_site([made.lesson], tmp_path / "file")
    with pytest.raises(FileError):
        write_lesson(made, tmp_path / "file" / "page.html")
