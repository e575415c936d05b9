"""Every lesson's page in a browser: it complains of nothing, marks predictions, and its sliders move the picture."""

import json
import os
import re
from pathlib import Path

import pytest
from browser.conftest import listen

from tinynet.cli import main
from tinynet.lessons import course, find, names
from tinynet.teaching import Choice

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder with all pages, as the command builds it; or TINYNET_SITE, where it was built before."""
    if folder := os.environ.get("TINYNET_SITE"):
        return Path(folder)
    folder = tmp_path_factory.mktemp("site")
    assert main(["learn", "--site", str(folder)]) == 0
    return folder


@pytest.fixture
def visit(browser, site):
    """Open a page of the site; at the end of the test there must be no complaints."""
    opened = []

    def open_one(name, width=1280, **context):
        home = browser.new_context(viewport={"width": width, "height": 800}, **context)
        page, complaints = home.new_page(), []
        opened.append((home, complaints))
        address = (site / f"{name}.html").as_uri()
        listen(page, complaints, address)
        page.goto(address)
        return page

    yield open_one
    for home, complaints in opened:
        home.close()
        assert complaints == []


def known(page):
    return json.loads(page.text_content("#data"))["experiments"]


def sections(page):
    return page.query_selector_all("section.experiment")


def predict(section, asked, wrong):
    """Answer a section's question; returns its mark."""
    if "options" in asked:
        buttons = section.query_selector_all(".options button")
        assert [b.inner_text().strip() for b in buttons] == [o.replace("`", "") for o in asked["options"]]
        buttons[(asked["right"] + wrong) % len(buttons)].click()
        assert "right" in buttons[asked["right"]].get_attribute("class") and buttons[0].is_disabled()
    else:
        section.query_selector("input[type=text]").fill(str(asked["right"] + wrong * (2 * asked["margin"] + 1)))
        section.query_selector(".guess button").click()
    return section.query_selector(".mark")


def move(page, section, experiment):
    """Every slider through all its values, by keys or buttons, and back; what is shown is looked at after each."""
    places = [slider["start"] for slider in experiment["sliders"]]
    for i, (knob, slider) in enumerate(zip(section.query_selector_all(".knob"), experiment["sliders"], strict=True)):
        field, buttons = knob.query_selector("input"), knob.query_selector_all("button")
        for place in [*range(len(slider["values"])), slider["start"]]:
            if field:
                field.focus()
                for key in ["ArrowRight"] if place and place == places[i] + 1 else ["Home", *["ArrowRight"] * place]:
                    page.keyboard.press(key)
                said = [knob.query_selector("output").inner_text(), field.get_attribute("aria-valuetext")]
                assert said == [slider["values"][place]] * 2
            else:
                buttons[place].click()
                pressed = [b.inner_text() for b in buttons if b.get_attribute("aria-pressed") == "true"]
                assert pressed == [slider["values"][place]]
            places[i] = place
            at = 0
            for other, its in zip(experiment["sliders"], places):
                at = at * len(other["values"]) + its
            says = experiment["frames"][at]["says"]
            assert section.query_selector("figcaption").inner_text().split() == says.split()
            assert section.query_selector(".picture svg").get_attribute("aria-label") == says


@pytest.mark.parametrize("name", names())
def test_a_lesson_is_predicted_seen_and_moved(name, visit):
    page = visit(name, width=390)
    experiments = known(page)
    assert len(experiments) == len(find(name).experiments)
    for section, experiment in zip(sections(page), experiments, strict=True):
        assert not section.query_selector(".shown").is_visible(), "nothing is shown before the prediction"
        mark = predict(section, experiment["prediction"], wrong=False)
        assert mark.get_attribute("class") == "mark right" and mark.inner_text().startswith("Right")
        assert section.query_selector(".shown").is_visible() and not section.query_selector(".skip").is_visible()
        assert not section.query_selector(".fails"), "every number is where it must be"
        picture = section.query_selector("figure svg")
        assert picture.get_attribute("role") == "img" and len(picture.get_attribute("aria-label")) > 30
        shown = [frame["svg"] for frame in experiment["frames"]]
        assert len(set(shown)) == len(shown), "every setting of the sliders has a picture of its own"
        move(page, section, experiment)
    assert page.evaluate("[...document.images].every((image) => image.alt)")
    for summary in page.query_selector_all("[aria-labelledby=engine] summary"):
        summary.click()
    assert all(lines.is_visible() for lines in page.query_selector_all("[aria-labelledby=engine] pre"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page is wider than a phone"


@pytest.mark.parametrize("name", names())
def test_a_wrong_prediction_is_marked_too(name, visit):
    page = visit(name, color_scheme="dark")
    for section, experiment in zip(sections(page), known(page), strict=True):
        mark = predict(section, experiment["prediction"], wrong=True)
        assert mark.get_attribute("class") == "mark wrong" and mark.inner_text().startswith("Not so")
        assert section.query_selector(".shown").is_visible()


def test_what_is_no_number_is_said_so(visit):
    number = next(lesson.name for lesson in course() if not isinstance(lesson.experiments[0].predict, Choice))
    page = visit(number)
    asked = known(page)[0]["prediction"]
    for text in ("", "six", "1,2,3", "1e999"):
        page.fill("#guess-0", text)
        page.press("#guess-0", "Enter")
        assert "Write a number" in page.inner_text("#experiment-0 .mark")
        assert page.get_attribute("#guess-0", "aria-invalid") == "true"
    assert not page.is_visible("#experiment-0 .shown")
    page.fill("#guess-0", f" {asked['right']:,} ".replace("-", "−"))
    page.press("#guess-0", "Enter")
    assert page.get_attribute("#experiment-0 .mark", "class") == "mark right"


def test_the_course_leads_to_every_lesson_and_back(visit, site):
    page = visit("index")
    links = page.eval_on_selector_all("ol.course a", "links => links.map((link) => link.href)")
    assert links == [(site / f"{lesson.name}.html").as_uri() for lesson in course()]
    for lesson in course():
        text = (site / f"{lesson.name}.html").read_text("utf-8")
        beside = set(re.findall(r'href="([^":#]*)"', text))
        assert "index.html" in beside and (f"{lesson.name}-walk.html" in beside) == bool(lesson.walk)
        assert all((site / name).is_file() for name in beside)


def test_without_javascript_everything_is_there(visit):
    page = visit("perceptron", java_script_enabled=False)
    assert page.is_visible("#experiment-0 .shown") and page.is_visible("noscript p")
    assert not page.is_visible("#experiment-0 .skip")
