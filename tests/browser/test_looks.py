"""What the page looks like: in both colour schemes, on a phone and on a desk, and where nothing may move."""

import numpy as np
import pytest
from support import published_graph

import tinynet as tn
from tinynet import Value, nn, optim

pytestmark = pytest.mark.browser

PHONE, DESK = {"width": 390, "height": 844, "has_touch": True}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looks")
    tn.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    network = tn.explain(
        model, np.array([[1.0, -1.0]]), np.array([[1.0]]), nn.MSELoss(), optimizer=optim.SGD(lr=0.1), steps=3
    )
    a, b = Value(-4.0, label="a"), Value(2.0, label="a name as long as a name may be " * 3)
    return {
        "network": network.save(folder / "network.html"),
        "published": tn.explain(published_graph(a, b)).save(folder / "published.html"),
    }


STATES = [
    ("published", "", ["ArrowRight"]), ("published", "", ["End"]), ("published", "#mode=predict&t=30", []),
    ("published", "#mode=wrong", ["End"]), ("network", "#numbers=1", ["End"]), ("network", "#numbers=0", ["End"]),
    ("network", "#numbers=0&in=g1&frame=2", ["End"]),
]  # fmt: skip


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_itself_never_scrolls_sideways_and_the_controls_are_in_sight(size, pages, open_page):
    shown = {name: open_page(path=path, **size) for name, path in pages.items()}
    for name, fragment, keys in STATES:
        page = shown[name].page
        shown[name].go(fragment)
        shown[name].press(*keys)
        page.evaluate("document.querySelector('.words').open = true; scrollTo(0, 0)")
        wide, inner, high = page.evaluate("[document.documentElement.scrollWidth, innerWidth, innerHeight]")
        assert wide <= inner, (name, fragment)
        for selector in ("#stage", "#first", "#back", "#play", "#next", "#last", "#scrub", "[data-mode=predict]"):
            box = page.locator(selector).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= inner, (name, fragment, selector)
            assert box["y"] >= 0 and box["y"] + box["height"] <= high, (name, fragment, selector)
        told = page.locator("#told h2").bounding_box()
        assert told["y"] < high, (name, fragment)


CONTRAST = """() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return parts.length > 3 ? parts : [...parts, 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => rgb.reduce((sum, v, i) => sum + [0.2126, 0.7152, 0.0722][i] * linear(v / 255), 0);
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement)
      layers.unshift(parse(getComputedStyle(at).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const visible = (element) => element.checkVisibility() && !element.closest(ASIDE);
  const ASIDE = "[disabled], [aria-disabled=true], .ghost";
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !visible(element) || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    let behind = ground(element.closest("svg")?.parentElement || element), colour = parse(style.color);
    if (element instanceof SVGElement) {
      colour = parse(style.fill);
      const item = element.closest("g.item");
      if (item) {
        const at = element.getBoundingClientRect(), x = at.x + at.width / 2, y = at.y + at.height / 2;
        for (const rect of item.querySelectorAll("rect")) {
          const box = rect.getBoundingClientRect();
          const fill = getComputedStyle(rect).fill;
          const under = box.x <= x && x <= box.right && box.y <= y && y <= box.bottom;
          if (under && fill !== "none") behind = over(parse(fill), behind);
        }
      }
    }
    const where = `${element.localName}.${element.getAttribute("class") || ""} in ${element.closest("[id]")?.id}`;
    found.push([ratio(over(colour, behind), behind), `${where}: ${element.textContent.trim().slice(0, 30)}`]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme, pages, open_page):
    shown = {name: open_page(path=path, color_scheme=scheme) for name, path in pages.items()}
    too_faint = set()
    for name, fragment, keys in STATES:
        page = shown[name].page
        shown[name].go(fragment)
        shown[name].press(*keys)
        if "predict" in fragment:
            shown[name].guess("12345")
        found = page.evaluate(CONTRAST)
        assert len(found) > 30
        too_faint |= {f"{ratio:.2f} {what}" for ratio, what in found if ratio < 4.5}
    assert too_faint == set()


def test_the_schemes_are_light_and_dark(pages, open_page):
    grounds = {}
    for scheme in ("light", "dark"):
        shown = open_page(path=pages["network"], color_scheme=scheme)
        text = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = sum(map(int, text[4:-1].split(",")))
    assert grounds["dark"] < 100 < 700 < grounds["light"]


def test_nothing_moves_for_those_who_ask_for_that(pages, open_page):
    moving = "document.getAnimations().filter((a) => a.playState === 'running').length"
    still = open_page(path=pages["published"], reduced_motion="reduce")
    lively = open_page(path=pages["published"], reduced_motion="no-preference")
    for shown in (still, lively):
        shown.press("ArrowRight")
    assert lively.page.evaluate(moving) > 0 and still.page.evaluate(moving) == 0


OUTSIDE = """() => {
  const out = [];
  for (let before = null, at; (at = document.getElementById("counter").textContent) !== before; before = at) {
  for (const item of document.querySelectorAll("#graph g.item")) {
    const box = item.querySelector("rect.box").getBBox();
    for (const text of item.querySelectorAll("text:not(.sign)")) {
      if (!text.textContent) continue;
      const at = text.getBBox();
      if (at.x >= box.x - 0.5 && at.x + at.width <= box.x + box.width + 0.5) continue;
      out.push(`${text.textContent}: ${Math.round(at.width)} in ${Math.round(box.width)}`);
    }
  }
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  }
  return out;
}"""


def test_every_text_stays_inside_its_box(pages, open_page):
    shown = {name: open_page(path=path) for name, path in pages.items()}
    for name, fragment in (
        ("published", ""),
        ("published", "#mode=wrong"),
        ("network", "#numbers=1"),
        ("network", "#numbers=0"),
    ):
        shown[name].go(fragment)
        assert shown[name].page.evaluate(OUTSIDE) == [], (name, fragment)


def test_paper(pages, open_page):
    shown = open_page(path=pages["published"])
    shown.press("End")
    shown.page.emulate_media(media="print")
    assert not shown.page.locator("#play").is_visible() and shown.page.locator("#told").is_visible()
