"""The page on which to walk through a run: HTML, CSS and JavaScript of our own beside this file, put into one document.

The document carries everything with it and may ask nobody for anything: its own policy forbids it. Must not know how a
run is made.
"""

import base64
import hashlib
from html import escape
from importlib.resources import files
from string import Template

from tinynet.explain.page import fragment
from tinynet.explain.run import Run
from tinynet.explain.words import Story

SCRIPTS = ("numbers", "trace", "views", "layout", "boxes", "graph", "telling", "predict", "training", "page")


def viewer(run: Run, story: Story, picture: str = "") -> str:
    """The page of a run.

    Args:
        run: the graphs and the numbers.
        story: the same in words, for those who would rather read.
        picture: an SVG that stands above the words.
    """
    script = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return Template(_asset("page.html")).substitute(
        policy=_policy(script),
        title=escape(run.title),
        style=_asset("style.css"),
        words=fragment(story, picture),
        trace=in_script(run.json()),
        script=script,
        live="",
    )


def in_script(json: str) -> str:
    """JSON as it may stand inside a script element: nothing in it can end the element or begin a comment."""
    return json.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(script: str) -> str:
    """Only this very script runs, and nothing is fetched."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"


def _asset(name: str) -> str:
    return files("tinynet.explain.viewer").joinpath(name).read_text(encoding="utf-8")
