"""Published results, run again: each with its source, its figure, and what is reached here.

    tinynet reproduce                      what there is
    tinynet reproduce nielsen-conv1        one of them, in full
    tinynet reproduce all --quick          each in a minute at most, against an expectation of its own

One file a source. A ``Published`` says what was published and holds the function that runs it; ``book.py`` keeps what
was reached.
"""

from tinynet.reproduce import adding, makemore, micrograd, nielsen, shakespeare
from tinynet.reproduce.published import Effort, Published

RESULTS: dict[str, Published] = {
    published.name: published
    for source in (nielsen, micrograd, makemore, shakespeare, adding)
    for published in source.RESULTS
}

__all__ = ["RESULTS", "Effort", "Published"]
