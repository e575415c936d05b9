"""Every lesson's page in a browser: it complains of nothing, marks predictions, and its sliders move the picture."""

import json
import os
from pathlib import Path

import pytest
from browser.conftest import listen

from tinynet.lessons import course, find, names
from tinynet.teaching import Choice
from tinynet.teaching.site import write_site

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder with all pages: TINYNET_SITE, where `tinynet learn --site` has built it, or built here."""
    if folder := os.environ.get("TINYNET_SITE"):
        return Path(folder)
    return write_site(course(), tmp_path_factory.mktemp("site")).parent


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


@pytest.mark.parametrize("name", names())
def test_predictions_are_marked(name, visit):
    for wrong in (False, True):
        page = visit(name)
        for section, experiment in zip(sections(page), known(page), strict=True):
            assert not section.query_selector(".shown").is_visible(), "nothing is shown before the prediction"
            asked = experiment["prediction"]
            if "options" in asked:
                buttons = section.query_selector_all(".options button")
                assert [b.inner_text().strip() for b in buttons] == [o.replace("`", "") for o in asked["options"]]
                buttons[(asked["right"] + wrong) % len(buttons)].click()
                assert "right" in buttons[asked["right"]].get_attribute("class") and buttons[0].is_disabled()
            else:
                section.query_selector("input[type=text]").fill(str(asked["right"] + wrong * (2 * asked["margin"] + 1)))
                section.query_selector(".guess button").click()
            mark = section.query_selector(".mark")
            assert mark.get_attribute("class") == ("mark wrong" if wrong else "mark right")
            assert mark.inner_text().startswith("Not so" if wrong else "Right")
            assert section.query_selector(".shown").is_visible() and not section.query_selector(".skip").is_visible()


@pytest.mark.parametrize("name", names())
def test_sliders_move_what_they_say(name, visit):
    page = visit(name, width=390)
    for section, experiment in zip(sections(page), known(page), strict=True):
        section.query_selector(".skip").click()
        places = [slider["start"] for slider in experiment["sliders"]]
        knobs = section.query_selector_all(".knob")
        assert len(knobs) == len(places)
        for i, (knob, slider) in enumerate(zip(knobs, experiment["sliders"])):
            stepped = list(range(len(slider["values"])))
            for place in [*stepped, slider["start"]]:
                if field := knob.query_selector("input"):
                    field.focus()
                    page.keyboard.press("Home")
                    for _ in range(place):
                        page.keyboard.press("ArrowRight")
                    assert knob.query_selector("output").inner_text() == slider["values"][place]
                    assert field.get_attribute("aria-valuetext") == slider["values"][place]
                else:
                    buttons = knob.query_selector_all("button")
                    buttons[place].click()
                    pressed = [b.inner_text() for b in buttons if b.get_attribute("aria-pressed") == "true"]
                    assert pressed == [slider["values"][place]]
                places[i] = place
                at = 0
                for k, other in enumerate(experiment["sliders"]):
                    at = at * len(other["values"]) + places[k]
                says = experiment["frames"][at]["says"]
                assert section.query_selector("figcaption").inner_text().split() == says.split()
                assert section.query_selector(".picture svg").get_attribute("aria-label") == says
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page is wider than a phone"


@pytest.mark.parametrize("name", names())
def test_pictures_are_told_and_what_the_sliders_do_is_seen(name, visit):
    page = visit(name, color_scheme="dark")
    pictures = page.query_selector_all("figure svg")
    assert len(pictures) == len(find(name).experiments)
    for svg in pictures:
        assert svg.get_attribute("role") == "img" and len(svg.get_attribute("aria-label")) > 30
    assert page.evaluate("[...document.images].every((image) => image.alt)")
    for experiment in known(page):
        assert len({frame["svg"] for frame in experiment["frames"]}) == len(experiment["frames"])
    for details in page.query_selector_all("#engine ~ details"):
        details.query_selector("summary").click()
        assert details.query_selector("pre").is_visible()


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
        page = visit(lesson.name)
        here = page.eval_on_selector_all("nav a", "links => links.map((link) => link.href)")
        assert here and all(Path(address.removeprefix("file://")).is_file() for address in here)
        if lesson.walk:
            assert (site / f"{lesson.name}-walk.html").is_file() and page.query_selector(
                f'a[href="{lesson.name}-walk.html"]'
            )


def test_without_javascript_everything_is_there(visit):
    page = visit("perceptron", java_script_enabled=False)
    assert page.is_visible("#experiment-0 .shown") and page.is_visible("noscript p")
    assert not page.is_visible("#experiment-0 .skip")
