"""What is sent back: pages, JSON, and refusals, all with the same headers.

Must not know sockets, sessions or tokens.
"""

import json
from html import escape
from http import HTTPStatus
from typing import Any, NamedTuple

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Connection": "close",
}


class Answer(NamedTuple):
    """A status, what is sent, of what kind, and headers of its own."""

    status: int
    content: bytes
    kind: str
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):  # noqa: N818
    """A request that is not served, with the status and the reason that are sent back."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str], **more: Any) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers, self.more = status, reason, headers, more


def in_json(content: dict[str, Any], status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer for the page's own script."""
    return Answer(status, json.dumps(content, allow_nan=False).encode(), "application/json", headers)


def as_page(text: str, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer for people."""
    return Answer(status, text.encode("utf-8", "replace"), "text/html; charset=utf-8", headers)


def refusal(refused: Refused, for_script: bool) -> Answer:
    """What a refusal looks like, to the page's script or to a person."""
    if for_script:
        return in_json({"error": refused.reason} | refused.more, refused.status, refused.headers)
    name = HTTPStatus(refused.status).phrase
    link = '<p>Has this browser been let in already? Then <a href="/">go on to the page</a>.</p>'
    return as_page(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
        f"<title>{name}</title></head><body><h1>{name}</h1><p>{escape(refused.reason)}</p>"
        f"{link if refused.more.get('page') else ''}</body></html>\n",
        refused.status,
        refused.headers,
    )
