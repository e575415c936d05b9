"""HTML read strictly: a page in which an element is not closed, or not in its turn, is refused."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}


class StrictPage(HTMLParser):
    """A page: its tags with their attributes, and its text, piece by piece."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)
