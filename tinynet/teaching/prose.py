"""A lesson's sentences and code as HTML. Must not know lessons."""

import re
from html import escape

from pygments.lexers import PythonLexer
from pygments.token import Comment, Keyword, Number, Operator, String

KINDS = {Keyword: "k", Operator.Word: "k", String: "s", Number: "n", Comment: "c"}


def paragraphs(text: str) -> str:
    """Paragraphs, parted by blank lines, with `code` between backticks; one that four spaces begin stands as it is."""
    parts = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n".join(
        f"<pre>{escape(re.sub('(?m)^    ', '', part))}</pre>" if part.startswith("    ") else f"<p>{inline(part)}</p>"
        for part in parts
        if part.strip()
    )


def inline(text: str) -> str:
    """A sentence with `code` between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))


def python(code: str) -> str:
    """Python in colours."""
    parts = []
    for kind, text in PythonLexer(stripnl=False).get_tokens(code):
        css = next((css for family, css in KINDS.items() if kind in family), "")
        parts.append(f'<span class="{css}">{escape(text)}</span>' if css else escape(text))
    return f'<pre tabindex="0"><code>{"".join(parts).rstrip()}</code></pre>'


def source_link(source: str) -> str:
    """``Title: https://…`` as a link, or a title as it is."""
    title, _, address = source.rpartition(": http")
    return f'<a href="http{escape(address)}">{escape(title)}</a>' if title else escape(source)
