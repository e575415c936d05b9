"""What is CUDA alone: kernels of our own, products by cuBLAS, steps as CUDA graphs, and their memory.

A ``.cu`` file is what runs on the card, the ``.py`` file of the same name what launches it. Nothing here imports CuPy:
``xp`` is handed in, CuPy itself or, in tests, a strict stand-in that runs the same sources on the CPU.
"""
