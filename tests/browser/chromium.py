"""Where a Chromium is, and how it is started: nothing it would fetch by itself is left on."""

import os
import shutil
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic",
]  # fmt: skip


@cache
def chromium() -> str:
    """The path of a Chromium: TINYNET_CHROMIUM, one on the PATH, or Playwright's own; empty where there is none."""
    found = [os.environ.get("TINYNET_CHROMIUM"), *map(shutil.which, NAMES)]
    home = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    found += sorted(map(str, home.glob("chromium-*/chrome-linux*/chrome")), reverse=True)
    return next(filter(None, found), "")
