"""An explanation as HTML (a fragment for a notebook, a page for a file) and as Markdown.

The page's frame and colours stand in ``page.html``. Must not know how the sentences or the picture are made.
"""

import re
from html import escape
from importlib.resources import files
from string import Template

from tinynet.explain.words import BACKWARD, FORWARD, LEAVES, Story


def page(title: str, body: str) -> str:
    """A self-contained page: light and dark, from phone to desktop, no requests and no script."""
    template = files("tinynet.explain").joinpath("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(title=escape(title), body=body)


def figure(svg: str) -> str:
    """A picture that scrolls sideways where it is wider than the page."""
    return f'<figure style="overflow-x:auto" tabindex="0">\n{svg}\n</figure>'


def framed(page: str, instead: str) -> str:
    """A page inside another: in a frame whose script reaches nothing outside, and below it what stands in for it."""
    return (
        f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts allow-forms" style="width:100%;height:46rem;border:0" '
        f'title="Backpropagation, step by step"></iframe>\n<details><summary>The same in words</summary>\n'
        f"{instead}\n</details>"
    )


def fragment(story: Story, svg: str) -> str:
    """The picture, then the story as lists and a table."""
    forward = "".join(f"<li>{escape(line)}</li>\n" for line in story.forward)
    backward = "".join(
        f"<li>{escape(made)}\n<ul>{''.join(f'<li>{escape(line)}</li>' for line in sentences)}</ul></li>\n"
        for made, sentences in story.backward
    )
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in story.heads)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in story.leaves)
    parts = [
        f'<p class="quiet">{escape(story.summary)}</p>',
        figure(svg),
        f"<h2>{FORWARD}</h2>{_note(story.forward_note)}\n<ol>{forward}</ol>",
        f"<h2>{BACKWARD}</h2>\n<ol>{backward}</ol>{_note(story.backward_note)}" if backward else "",
        f"<h2>{LEAVES}</h2>\n<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{_note(story.leaves_note)}",
    ]
    return "\n".join(filter(None, parts))


def markdown(story: Story, mermaid: str) -> str:
    """The story as Markdown, with the graph as a Mermaid drawing."""
    lines = [f"# {_md(story.title)}", "", _md(story.summary), "", fenced(mermaid), "", f"## {FORWARD}", ""]
    lines += [f"{_md(story.forward_note)}\n"] if story.forward_note else []
    lines += [f"1. {_md(line)}" for line in story.forward]
    if story.backward:
        lines += ["", f"## {BACKWARD}", ""]
        for made, sentences in story.backward:
            lines += [f"1. {_md(made)}", *(f"   - {_md(sentence)}" for sentence in sentences)]
        lines += [f"\n{_md(story.backward_note)}"] if story.backward_note else []
    lines += ["", f"## {LEAVES}", ""]
    table = [story.heads, ("---",) * 3, *story.leaves]
    lines += [f"| {' | '.join(cell if cell == '---' else _md(cell) for cell in row)} |" for row in table]
    lines += [f"\n{_md(story.leaves_note)}"] if story.leaves_note else []
    return "\n".join([*lines, ""])


def fenced(mermaid: str) -> str:
    """Mermaid text as Markdown draws it."""
    return f"```mermaid\n{mermaid}```"


def _note(text: str) -> str:
    return f'\n<p class="quiet">{escape(text)}</p>' if text else ""


def _md(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", text)
