"""Speed, measured: what a training step costs on tinynet and on the libraries that people would use instead.

Workloads, contenders, the contest between them, and the report. It is imported as ``tinynet.bench``; a library that
tinynet is compared with is imported in its file under ``peers/`` alone. Nothing of the engine may import this.
"""
