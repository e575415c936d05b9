"""What `tinynet bench` found, for people: a Markdown table, a page, and an answer about GPUs in plain words.

Apart from the measuring: everything here is made from the result alone, the dictionary that is written as JSON, and
nothing here measures.
"""

from tinynet.bench.report.answers import gpu_answer
from tinynet.bench.report.markdown import markdown
from tinynet.bench.report.page import page

__all__ = ["markdown", "page", "gpu_answer"]
