"""The README's picture, taken anew: ``pip install '.[browser]' && python docs/take_picture.py`` (needs Chromium)."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import tinynet as tn
from tinynet import Value

a, b = Value(2.0, label="a"), Value(-3.0, label="b")
with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
    page = tn.explain((a * b + 10).tanh()).save(Path(folder) / "backprop.html")
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    sheet = browser.new_page(viewport={"width": 1280, "height": 600}, color_scheme="light")
    sheet.goto(page.as_uri())
    sheet.keyboard.press("End")
    sheet.keyboard.press("ArrowLeft")
    sheet.wait_for_timeout(300)
    sheet.screenshot(path=Path(__file__).with_name("backprop.png"))
    browser.close()
