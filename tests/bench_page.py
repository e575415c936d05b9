"""A page of the benchmark's report, read strictly, and the figures in its cells."""

import math

from strict_page import StrictPage

TIMES = "Time of a step, milliseconds, and ratios"


class Page(StrictPage):
    """A page of the report: its tables as rows of text, without the smaller lines."""

    def __init__(self, text):
        self.tables, self.caption = {}, None
        super().__init__(text)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag == "caption":
            self.caption = ""
        if tag == "tr":
            self.tables[self.caption].append([])
        if tag in ("td", "th"):
            self.tables[self.caption][-1].append("")

    def handle_endtag(self, tag):
        super().handle_endtag(tag)
        if tag == "caption":
            self.tables[self.caption] = []

    def handle_data(self, data):
        if "style" in self.open:
            return
        super().handle_data(data)
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
