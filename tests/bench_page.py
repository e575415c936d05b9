"""A page of the benchmark's report, read strictly, and the figures in its cells."""

import math
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}
TIMES = "Time of a step, milliseconds, and ratios"


class Page(HTMLParser):
    """A page read strictly: every element closed in its turn; its tables as rows of text, the smaller lines apart."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.tables = [], [], [], {}
        self.cell = self.caption = None
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "caption":
            self.caption = ""
        if tag == "tr":
            self.tables[self.caption].append([])
        if tag in ("td", "th"):
            self.cell = ""
            self.tables[self.caption][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()
        if tag == "caption":
            self.tables[self.caption] = []

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if self.open and self.open[-1] == "caption":
            self.caption += data
        elif {"td", "th"} & set(self.open) and "small" not in self.open:
            self.tables[self.caption][-1][-1] += data

    @property
    def text(self):
        return " ".join(self.words)

    def column(self, caption, head):
        """The cells under a head, by the name of their row."""
        heads, *rows = self.tables[caption]
        return {row[0]: row[heads.index(head)] for row in rows if len(row) > 1}


def shown(text):
    """The number in a cell."""
    return float(text.rstrip("×% ").replace(",", "").replace("−", "-"))


def close(text, value):
    """Whether the number shown is the value to three significant digits."""
    return math.isclose(shown(text), value, rel_tol=0.0051)
