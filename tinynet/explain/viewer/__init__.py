"""The page on which to walk through a run: HTML, CSS and JavaScript of our own beside this file, put into one document.

The document carries everything with it and may ask nobody for anything: its own policy forbids it. Must not know how a
run is made.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from tinynet.explain.page import fragment
from tinynet.explain.run import Run
from tinynet.explain.words import Story

SCRIPTS = "numbers trace views layout boxes graph telling predict training address page start".split()


@dataclass(frozen=True)
class Live:
    """What a page needs that asks a server for more: its state, and the script and style that deal with it.

    The script defines ``class Live``, which is made with the page and the state once both are there.
    """

    state: dict[str, Any]
    script: str
    style: str = ""


def viewer(run: Run, story: Story, picture: str = "", live: Live | None = None) -> str:
    """The page of a run.

    Args:
        run: the graphs and the numbers.
        story: the same in words, for those who would rather read.
        picture: an SVG that stands above the words.
        live: for a page that is served: it may ask its own server, and nobody else.
    """
    parts = [_asset(f"{name}.js") for name in SCRIPTS]
    script = "\n".join([*parts[:-1], live.script if live else "", parts[-1]])
    state = json.dumps(live.state if live else None, ensure_ascii=False, allow_nan=False)
    return Template(_asset("page.html")).substitute(
        policy=policy(script) + ("; connect-src 'self'" if live else ""),
        title=escape(run.title),
        style=_asset("style.css") + (live.style if live else ""),
        words=fragment(story, picture),
        trace=in_script(run.json()),
        state=in_script(state),
        script=script,
    )


def in_script(json: str) -> str:
    """JSON as it may stand inside a script element: nothing in it can end the element or begin a comment."""
    return json.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def policy(script: str) -> str:
    """Only this very script runs, and nothing is fetched."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"


def _asset(name: str) -> str:
    return files("tinynet.explain.viewer").joinpath(name).read_text(encoding="utf-8")
