"""The state of the page stands in its address: a reload or a copy of it leads to the same sight."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.browser


WALKS = {
    "a place": ["#flat", "g1", "ArrowRight", "ArrowRight", "]"],
    "a number": ["]", "]", "End", "ArrowLeft"],
    "a question": ["[data-mode=predict]", "End", "ArrowLeft", "]"],
    "the wrong order": ["[data-mode=wrong]", "ArrowRight", "ArrowRight", "ArrowRight"],
    "the start": ["ArrowRight", "Home"],
}


@pytest.mark.parametrize("walk", WALKS)
def test_a_reload_and_a_copied_address_restore_it(walk, saved, open_page):
    shown = open_page(path=saved)
    for act in WALKS[walk]:
        if act[0] in "#[" and len(act) > 1:
            shown.click(act)
        elif act[0] == "g":
            shown.open(act)
        else:
            shown.press(act)
    seen, fragment = shown.read(), shown.fragment()
    shown.page.reload()
    shown.page.wait_for_selector("#graph g.item")
    assert shown.read() == seen
    other = open_page(path=saved, fragment=fragment)
    assert other.read() == seen


def test_the_address_says_what_it_is(saved, open_page):
    shown = open_page(path=saved, fragment="#numbers=0&in=g1&frame=2&t=3&mode=wrong")
    seen = shown.read()
    assert (seen["trail"][-1], seen["frame"], seen["mode"]) == ("Linear(2, 3)", "training step 2 of 3", "Wrong order")
    shown.page.evaluate("location.hash = 'frame=1'")
    shown.page.locator("#frame-shown", has_text="training step 1 of 3").wait_for()
    assert shown.read()["mode"] == "Watch" and shown.read()["trail"] == ["the whole graph"]


fragments = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from(["t", "in", "frame", "mode", "numbers", "__proto__"]),
            st.one_of(
                st.text(max_size=12),
                st.integers(-5, 10**20).map(str),
                st.sampled_from(["g1.g4", "g1", "wrong", "n3", "p0"]),
            ),
        ),
        max_size=6,
    ).map(lambda pairs: "&".join(f"{key}={value}" for key, value in pairs)),
)  # fmt: skip


@pytest.fixture
def one_page(saved, open_page):
    return open_page(path=saved)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fragments)
@example("t=" + "9" * 400)
@example("in=" + "g1." * 2000)
@example("%")
@example("mode=wrong&t=1e999&frame=-1&in=..&numbers=2")
def test_nonsense_in_the_address_does_no_harm(one_page, fragment):
    one_page.page.evaluate(
        "(hash) => { location.hash = hash; dispatchEvent(new HashChangeEvent('hashchange')); }", fragment
    )
    seen = one_page.read()
    assert seen["boxes"] and seen["heading"] and seen["counter"].startswith("step ")
    assert "NaN" not in seen["counter"] and "undefined" not in seen["counter"]
    assert one_page.press("Home")["counter"].startswith("step 0 of ")
    assert one_page.complaints == []


def test_a_page_opened_on_nonsense_opens(saved, open_page):
    for fragment in (
        "#t=-1&frame=99&in=g9.g8&mode=other&numbers=maybe",
        "#%E0%A4%A&in=%00&t=%F0%9F%A6%94",
        "#mode=wrong&t=99999",
    ):
        shown = open_page(path=saved, fragment=fragment)
        shown.press("Home")
        assert shown.press("ArrowRight")["counter"].startswith("step 1 of ")
