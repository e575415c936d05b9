"""The README's pictures, taken anew: ``pip install '.[browser]' && python docs/take_pictures.py`` (needs Chromium)."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import tinynet as tn
from tinynet import Value
from tinynet.lessons import find
from tinynet.teaching.made import make
from tinynet.teaching.site import write_lesson

HERE = Path(__file__).parent

with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    page = tn.explain((a * b + 10).tanh()).save(Path(folder) / "backprop.html")
    sheet = browser.new_page(viewport={"width": 1280, "height": 600}, color_scheme="light")
    sheet.goto(page.as_uri())
    sheet.keyboard.press("End")
    sheet.keyboard.press("ArrowLeft")
    sheet.wait_for_timeout(300)
    sheet.screenshot(path=HERE / "backprop.png")

    page, *_ = write_lesson(make(find("vanishing-gradients")), Path(folder) / "lesson.html")
    sheet = browser.new_page(viewport={"width": 760, "height": 1290}, color_scheme="light")
    sheet.goto(page.as_uri())
    sheet.click("#experiment-1 .options button")
    sheet.evaluate("document.querySelector('#experiment-1 .code').open = false")
    sheet.evaluate("document.querySelector('#heading-1').scrollIntoView()")
    sheet.wait_for_timeout(300)
    sheet.screenshot(path=HERE / "lesson.png")
    browser.close()
