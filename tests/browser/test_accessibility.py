"""For those who listen to a page, or walk through it by keyboard: everything has a name, is reached, and is told."""

import pytest

pytestmark = pytest.mark.browser

WITH_NAMES = {"button", "slider", "checkbox", "combobox", "textbox", "image", "img", "link", "region", "navigation"}


def tree(shown):
    """The accessibility tree: (role, name, properties) of each node that is not ignored."""
    session = shown.page.context.new_cdp_session(shown.page)
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        if not node["ignored"]:
            properties = {each["name"]: each["value"].get("value") for each in node.get("properties", [])}
            found.append((node["role"]["value"], node.get("name", {}).get("value", "").strip(), properties))
    session.detach()
    return found


STATES = {
    "numbers": ("#numbers=1", ["ArrowRight"]), "layers": ("#numbers=0&in=g1", ["End"]),
    "a question": ("#numbers=1&mode=predict", ["End"]), "the wrong order": ("#numbers=1&mode=wrong", ["End"]),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_everything_has_a_role_and_a_name(state, saved, open_page):
    fragment, keys = STATES[state]
    shown = open_page(path=saved, fragment=fragment)
    seen = shown.press(*keys)
    found = tree(shown)
    nameless = [
        (role, properties)
        for role, name, properties in found
        if (role in WITH_NAMES or properties.get("focusable")) and not name and role != "RootWebArea"
    ]
    assert nameless == []
    told = [name for role, name, _ in found if role in ("button", "image", "img")]
    for box in seen["boxes"].values():
        assert box["label"] in told
    assert not any(role in ("generic", "none") and properties.get("focusable") for role, _, properties in found)


ACTIVE = """() => {
  const at = document.activeElement;
  return at.dataset.key || at.id || at.dataset.mode || at.localName;
}"""


def test_tab_leads_to_every_item_and_every_control(saved, open_page):
    shown = open_page(path=saved, fragment="#numbers=0&in=g1")
    shown.press("End", "ArrowLeft")  # so that every button has something to do
    shown.page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        reached.append(shown.page.evaluate(ACTIVE))
        if reached.count("body") > 1 or reached.count("summary") > 1:
            break
    items = set(shown.read()["boxes"])
    controls = {"flat", "smaller", "larger", "fit", "first", "back", "play", "next", "last", "pace", "scrub", "frame",
                "watch", "predict", "wrong", "summary"}  # fmt: skip
    assert items | controls <= set(reached)


LOOK = """(selector) => {
  const element = document.querySelector(selector);
  const parts = [element, ...element.querySelectorAll(".box")];
  const shown = ["outlineStyle", "outlineWidth", "outlineColor", "stroke", "strokeWidth", "strokeDasharray"];
  return parts.map((part) => { const style = getComputedStyle(part); return shown.map((name) => style[name]); });
}"""


def test_where_the_focus_is_can_be_seen(saved, open_page):
    shown = open_page(path=saved, fragment="#numbers=1&t=30")
    keys = list(shown.read()["boxes"])
    controls = [
        "#flat",
        "#smaller",
        "#larger",
        "#fit",
        "#back",
        "#play",
        "#next",
        "#pace",
        "#scrub",
        "#frame",
        "[data-mode=wrong]",
        "summary",
    ]
    for selector in [f'[data-key="{key}"]' for key in keys] + controls:
        shown.page.evaluate("document.activeElement.blur()")
        plain = shown.page.evaluate(LOOK, selector)
        shown.page.keyboard.press("Shift")  # the reader is at the keyboard
        shown.page.focus(selector)
        assert shown.page.evaluate(LOOK, selector) != plain, selector


def test_a_button_in_the_picture_is_a_button(saved, open_page):
    for key in ("Enter", " "):
        shown = open_page(path=saved, fragment="#numbers=0")
        shown.page.focus('[data-key="g1"]')
        assert shown.press(key)["trail"] == ["the network", "Linear(2, 3)"], key
        assert shown.page.inner_text("#play") == "Play"


def test_a_ghost_leads_to_the_number_that_it_stands_for(saved, open_page):
    shown = open_page(path=saved, fragment="#numbers=0&in=g2")
    ghosts = [key for key, box in shown.read()["boxes"].items() if box["ghost"] and key[0] == "n"]
    if not ghosts:
        unit = next(key for key, box in shown.read()["boxes"].items() if not box["ghost"])
        shown.open(unit)
        ghosts = [key for key, box in shown.read()["boxes"].items() if box["ghost"] and key[0] == "n"]
    shown.page.focus(f'[data-key="{ghosts[-1]}"]')
    shown.press("Enter")
    assert shown.page.evaluate(ACTIVE) == ghosts[-1]
    assert not shown.read()["boxes"][ghosts[-1]]["ghost"]


def test_what_happens_is_announced(saved, open_page):
    shown = open_page(path=saved, fragment="#numbers=1")
    live = [properties for _, _, properties in tree(shown) if properties.get("live") == "polite"]
    assert live
    region = shown.page.locator("#told")
    assert region.get_attribute("aria-live") == "polite"
    shown.page.evaluate("""() => {
      window.heard = [];
      const told = document.getElementById("told");
      new MutationObserver(() => heard.push(told.textContent)).observe(told, { childList: true });
    }""")
    told = [shown.press("ArrowRight")["told"] for _ in range(4)]
    assert shown.page.evaluate("heard") == told and len(set(told)) == 4
    assert shown.page.get_attribute("#scrub", "aria-valuetext") == shown.read()["counter"]
