"""The viewer's page with a live state in it: the one place where a session meets the page.

The scripts in ``assets/`` send acts and show what comes back; they compute nothing. Must not know what is played with.
"""

from importlib.resources import files
from typing import Any

from tinynet.explain.run import Run
from tinynet.explain.viewer import Live, viewer
from tinynet.explain.words import Story

SCRIPTS = ("live", "points", "digits")


def live_page(run: Run, story: Story, state: dict[str, Any]) -> str:
    """The page of a run, which asks the server that it came from for every further number.

    Args:
        run: what the page shows first.
        story: the same in words.
        state: the session's, without the run.
    """
    script = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return viewer(run, story, live=Live(state, script, _asset("live.css")))


def _asset(name: str) -> str:
    return files("tinynet.play").joinpath("assets", name).read_text(encoding="utf-8")
