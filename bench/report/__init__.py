"""What `tinynet bench` found, for people: Markdown, a page, the README's table, and an answer about GPUs.

Apart from the measuring: everything here is made from the result alone, the dictionary that is written as JSON, and
nothing here measures.
"""

from tinynet.bench.report.answers import gpu_answer
from tinynet.bench.report.markdown import markdown
from tinynet.bench.report.page import page
from tinynet.bench.report.readme import summary_table

__all__ = ["markdown", "page", "gpu_answer", "summary_table"]
