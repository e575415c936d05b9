"""Kernels in CUDA C++, a theme a file: the ``.cu`` file is what runs on the card, the ``.py`` file what launches it.

Each theme hands over the table of those kernels that it does better than the array module, and falls back on that for
what it does not take.
"""
