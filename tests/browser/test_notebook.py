"""In a notebook the page stands in a frame: it works there, and reaches nothing outside."""

import pytest
from browser.shown import READ

import tinynet as tn
from tinynet import Value
from tinynet.explain.notation import number

pytestmark = pytest.mark.browser


@pytest.fixture
def cell(blank):
    """A notebook with one cell, and the frame in it."""
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    explained = tn.explain((a * b + 10).tanh())
    blank.page.set_content(
        f"<!DOCTYPE html><h1>Notebook</h1><p id=other>other</p><div class=output>{explained._repr_html_()}</div>"
    )
    frame = next(frame for frame in blank.page.frames if frame.parent_frame)
    frame.wait_for_selector("#graph g.item")
    return blank, frame, explained


def test_it_works(cell):
    notebook, frame, explained = cell
    frame.click("#last")
    boxes = frame.evaluate(READ)["boxes"]
    assert {key: box["grad"] for key, box in boxes.items()} == {
        f"n{node.id}": number(node.gradient) for node in explained.nodes
    }
    notebook.page.keyboard.press("ArrowLeft")
    assert frame.evaluate(READ)["counter"] == "step 8 of 9 · backward"


def test_predicting_works(cell):
    _, frame, explained = cell
    frame.click("[data-mode=predict]")
    for _ in range(5):
        frame.click("#next")
    frame.fill("#guess", "5")
    frame.click("text=Check")
    assert frame.inner_text(".remark").startswith("Not 5. Use the derivative of tanh")
    frame.fill("#guess", str(explained.steps[0].contribution))
    frame.press("#guess", "Enter")
    assert frame.inner_text(".remark") == "Right."


def test_it_reaches_nothing_outside(cell):
    notebook, frame, _ = cell
    assert frame.evaluate("origin") == "null"
    for reach in (
        "parent.document.title",
        "top.location.href",
        "localStorage.length",
        "document.cookie",
        "frameElement.id",
    ):
        answer = frame.evaluate(
            "(code) => { try { return [REACH] } catch (e) { return e.name } }".replace("REACH", reach)
        )
        assert answer in ("SecurityError", "TypeError"), (reach, answer)
    assert notebook.page.inner_text("#other") == "other"
    assert notebook.complaints == []
    sent = []
    notebook.page.route("**/*", lambda route: (sent.append(route.request.url), route.abort()))
    assert frame.evaluate("fetch('https://example.org/').then(() => 'fetched', () => 'refused')") == "refused"
    assert (
        frame.evaluate(
            "new Promise((tell) => { const image = new Image(); image.onload = () => tell('loaded'); "
            "image.onerror = () => tell('refused'); image.src = 'https://example.org/a.png'; })"
        )
        == "refused"
    )
    assert sent == [] and all("Content Security Policy" in c or "example.org" in c for c in notebook.complaints)
    notebook.complaints.clear()  # the refusals themselves


def test_the_words_are_there_without_the_frame(cell):
    notebook, _, explained = cell
    notebook.page.press(".output > details > summary", "Enter")
    told = notebook.page.inner_text(".output > details[open]")
    for _, sentences in explained.story.backward:
        for sentence in sentences:
            assert sentence in told
