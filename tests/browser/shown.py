"""A page of tinynet's as a reader has it before them: what it says, and the keys and buttons to walk through it."""

import json
import re

READ = """() => {
  const text = (element) => (element ? element.textContent : null);
  const texts = (selector) => [...document.querySelectorAll(selector)].map(text);
  const told = document.getElementById("told");
  const boxes = {};
  for (const item of document.querySelectorAll("#graph g.item")) {
    const lines = [...item.querySelectorAll("text")].map(text);
    const after = (word) => (lines.find((line) => line.startsWith(word + " ")) || "").slice(word.length + 1) || null;
    boxes[item.dataset.key] = { lines, data: after("data"), grad: after("grad"), label: item.getAttribute("aria-label"),
      spoilt: item.classList.contains("spoilt"), ghost: item.classList.contains("ghost") };
  }
  const figure = (kind) => text(told.querySelector(`.${kind} .figure`));
  return {
    heading: text(told.querySelector("h2")), told: told.textContent,
    upstream: figure("upstream"), local: figure("local"),
    share: figure("share"), total: text(told.querySelector(".total")), rule: text(told.querySelector(".rule")),
    sum: text(told.querySelector(".sum")), flows: texts("#graph .flow").filter(Boolean), boxes,
    counter: text(document.getElementById("counter")), trail: texts("#trail li"),
    score: text(document.getElementById("score")), mode: text(document.querySelector("[data-mode][aria-pressed=true]")),
    frame: text(document.getElementById("frame-shown")), asking: Boolean(document.getElementById("guess")),
  };
}"""
WALK = f"""([key, most]) => {{
  const read = {READ};
  const seen = [read()];
  for (let k = 0; k < most; k++) {{
    document.body.dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true }}));
    seen.push(read());
    if (seen[k].counter === seen[k + 1].counter) return seen.slice(0, -1);
  }}
  throw new Error("no end");
}}"""


class Shown:
    """A page, or a frame of one.

    Attributes:
        page: Playwright's.
        complaints: what a reader would have had reason to complain of: errors, warnings, dialogs, requests.
    """

    def __init__(self, page, complaints):
        self.page = page
        self.complaints = complaints

    def read(self):
        """Everything that stands on the page now, and what is said of each box to those who cannot see it."""
        return self.page.evaluate(READ)

    def fragment(self):
        """What stands in the address behind the page's name, once that has caught up with the reader."""
        self.page.wait_for_timeout(250)
        return self.page.evaluate("location.hash")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        return self.read()

    def click(self, selector, n=0):
        self.page.locator(selector).nth(n).click()
        return self.read()

    def go(self, fragment):
        """To the sight that an address leads to."""
        hash = fragment.lstrip("#")
        self.page.evaluate("(hash) => { location.hash = hash; return new Promise(requestAnimationFrame); }", hash)
        self.click("#fit")
        self.page.evaluate("document.activeElement.blur()")

    def walk(self, key="ArrowRight", most=500):
        """Every moment from this one to the last, by a key."""
        return self.page.evaluate(WALK, [key, most])

    def open(self, key):
        """Look inside the item of that key."""
        return self.click(f'[data-key="{key}"]')

    def guess(self, text):
        self.page.fill("#guess", text)
        return self.press("Enter")

    def visible_text(self):
        """What can be read or heard, but for the words under their own heading, which are folded."""
        spoken = "[...document.querySelectorAll('[aria-label],[aria-valuetext],[alt],[title]')].map((e) => "
        spoken += (
            "['aria-label','aria-valuetext','alt','title'].map((a) => e.getAttribute(a) || '').join(' ')).join('\\n')"
        )
        drawn = "[...document.querySelectorAll('#graph text')].map((e) => e.textContent).join('\\n')"
        return self.page.evaluate(f"document.body.innerText + '\\n' + {drawn} + '\\n' + {spoken}")

    def trace(self):
        """The run inside the page."""
        return json.loads(self.page.evaluate("document.getElementById('trace').textContent"))


def numbers_in(text):
    """Every number that stands in a text, as it is written."""
    return set(re.findall(r"(?<![\w.])[−-]?\d+(?:\.\d+)?(?:e[−+]\d+)?", text))
