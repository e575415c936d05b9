"""Convolution by kernels of our own, which read windows as they multiply: no columns in memory, one launch.

``conv.cu`` makes tiles of results; here is how large they are, and how many blocks of threads there are.
"""

from functools import partial
from math import prod

import numpy as np

from tinynet.backends.cuda.kernels.window import Array, Convolution
from tinynet.backends.cuda.module import Module
from tinynet.dtypes import dtype_name

THREADS = 256
FULL = 264  # blocks that keep a card busy: two for each of an H100's processors
SHORTEST = 128  # terms of a sum at least, where sums are divided among blocks
TALL = (1, 2, 3, 4, 5, 6, 8)  # eights of rows in a tile
LAYERS = 65535  # the most that a grid has room for, beyond its first direction


def tall(rows: int, dtype: str) -> int:
    """How many eights of rows a tile has: few rows beyond the last, and many that share what a thread reads."""
    sizes = TALL if dtype != "float64" else TALL[:5]  # shared memory ends at 48 kB
    return min(sizes, key=lambda t: (padded(rows, 8 * t) * (1 + 1 / t), -t))


def padded(n: int, to: int) -> int:
    """n, and what is missing to a multiple."""
    return -(-n // to) * to


def broad(columns: int, layers: int) -> int:
    """How many columns a tile has: the more, the less each is read; but the card wants many tiles."""
    return next((b for b in (128, 64) if -(-columns // b) * layers >= FULL), 32)


def product(name: str, sizes: Convolution) -> tuple[int, int, int, int]:
    """The products that a kernel makes: their rows and columns, the terms of each sum, and how many there are.

    A transpose is a product for each phase: pixels whose distance is no multiple of the stride have other taps.
    """
    window, pixels, taps = sizes.window, sizes.batch * sizes.window.windows, sizes.inputs * sizes.window.taps
    if name == "conv2d":
        return sizes.outputs, pixels, taps, sizes.groups
    if name == "conv2d_weight_grad":
        return sizes.outputs, taps, pixels, sizes.groups
    height, width = (-(-n // s) for n, s in zip(window.size, window.stride))
    down, across = (-(-k // s) for k, s in zip(window.kernel_size, window.stride))
    return sizes.inputs, sizes.batch * height * width, sizes.outputs * down * across, sizes.groups * prod(window.stride)


def fits(name: str, sizes: Convolution) -> bool:
    """Whether a grid has room for all tiles."""
    rows, _, _, layers = product(name, sizes)
    return layers <= LAYERS and rows <= 8 * LAYERS


def multiplications(name: str, sizes: Convolution, dtype: str) -> int:
    """How many there are, those beyond the edges of tiles with them."""
    rows, columns, terms, layers = product(name, sizes)
    return padded(rows, 8 * tall(rows, dtype)) * padded(columns, 32) * terms * layers


class Implicit:
    """What ``Convolutions`` asks for; arrays without gaps, results into ``out``.

    Args:
        cuda: our kernels.
    """

    def __init__(self, cuda: Module) -> None:
        self.cuda = cuda

    def conv2d(self, sizes: Convolution, x: Array, w: Array, b: Array | None, out: Array) -> None:
        """Each window of the image times the weights, and b."""
        self._convolve("conv2d", sizes, (sizes.inputs, sizes.outputs), x, w, b, out)

    def conv_transpose2d(self, sizes: Convolution, x: Array, w: Array, b: Array | None, out: Array) -> None:
        """Each pixel of the result gathers the windows that reach it, and b."""
        self._convolve("conv_transpose2d", sizes, (sizes.outputs, sizes.inputs), x, w, b, out)

    def _convolve(self, name: str, sizes: Convolution, channels: tuple[int, int], *arrays: Array) -> None:
        dtype, transposed = dtype_name(arrays[0].dtype), name == "conv_transpose2d"
        rows, columns, _, layers = product(name, sizes)
        high = tall(rows, dtype)
        down = -(-rows // (8 * high))
        side = broad(columns, down * layers)
        launch = self.cuda.kernel("conv.cu", "convolve", T=dtype, TALL=high, BROAD=side)
        numbers = [np.int32(n) for n in (sizes.batch, sizes.groups, *channels)]
        grid = (-(-columns // side), down, layers)
        launch(grid, THREADS, *arrays, *numbers, *sizes.window.as_numbers(transposed), np.int32(transposed))

    def conv2d_weight_grad(self, sizes: Convolution, g: Array, x: Array, out: Array) -> None:
        """g times what each weight saw. Where that makes few tiles, blocks share the pixels, and a second launch adds
        up what each of them found, in their order.
        """
        dtype = dtype_name(g.dtype)
        rows, columns, pixels, layers = product("conv2d_weight_grad", sizes)
        high = tall(rows, dtype)
        down = -(-rows // (8 * high))
        side = broad(columns, down * layers * max(pixels // (2 * SHORTEST), 1))
        tiles = -(-columns // side) * down * layers
        parts = max(min(FULL // tiles, pixels // SHORTEST, LAYERS // layers), 1)
        depth = padded(-(-pixels // parts), 32)
        parts = -(-pixels // depth)
        sums = None
        if parts > 1:
            sums = self.cuda.xp.empty((parts, out.size), "float64" if dtype == "float64" else "float32")
        kernel = partial(self.cuda.kernel, "conv.cu", T=dtype, TALL=high, BROAD=side)
        numbers = [np.int32(n) for n in (depth, sizes.batch, sizes.groups, sizes.inputs, sizes.outputs)]
        grid = (-(-columns // side), down, layers * parts)
        kernel("convolved_weights")(grid, THREADS, g, x, out, sums, *numbers, *sizes.window.as_numbers())
        if sums is not None:
            kernel("sum_of_parts")(-(-out.size // 32), THREADS, sums, out, np.int32(parts), np.int32(out.size))
