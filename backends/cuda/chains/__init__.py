"""Elementwise operations of a recorded step, joined into kernels that are written for it.

``formulas`` says what an operation is in CUDA C++, ``chain`` makes a kernel of several, ``links`` and ``fusion`` find
out which calls can be one; ``epilogue`` lets a chain follow a product, ``loss`` takes a factor into a loss.
"""
