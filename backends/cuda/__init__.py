"""What is CUDA alone: products by cuBLAS, steps as CUDA graphs, memory; in ``kernels/`` kernels of our own, in
``chains/`` those that are written for a step.

``module.py`` compiles and launches sources in CUDA C++, which all begin with ``common.cuh``. Nothing here imports CuPy:
``xp`` is handed in, CuPy itself or, in tests, a strict stand-in that runs the same sources on the CPU.
"""
