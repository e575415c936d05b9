"""Convolution by kernels of our own, which read windows as they multiply: no columns in memory, one launch.

``conv.cu`` makes tiles of results; here is how large they are, and how many blocks of threads there are.
"""

import numpy as np

from tinynet.backends.cuda.module import Module
from tinynet.backends.cuda.window import Array, Convolution
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


def phases(sizes: Convolution) -> int:
    """How many products the transpose is: pixels whose distance is no multiple of the stride have other taps."""
    return sizes.window.stride[0] * sizes.window.stride[1]


def fits(name: str, sizes: Convolution) -> bool:
    """Whether a grid has room for all tiles."""
    layers = sizes.groups * (phases(sizes) if name == "conv_transpose2d" else 1)
    return layers <= LAYERS and max(sizes.inputs, sizes.outputs) <= 8 * LAYERS


class Implicit:
    """What ``Convolutions`` asks for; arrays without gaps, results into ``out``.

    Args:
        cuda: our kernels.
    """

    def __init__(self, cuda: Module) -> None:
        self.cuda = cuda

    def conv2d(self, sizes: Convolution, x: Array, w: Array, b: Array | None, out: Array) -> None:
        """Each window of the image times the weights, and b."""
        pixels = sizes.batch * sizes.window.windows
        channels = sizes.inputs, sizes.outputs
        self._convolve(sizes, channels, pixels, 1, (x, w, b, out))

    def conv_transpose2d(self, sizes: Convolution, x: Array, w: Array, b: Array | None, out: Array) -> None:
        """Each pixel of the result gathers the windows that reach it, and b."""
        height, width = (-(-n // s) for n, s in zip(sizes.window.size, sizes.window.stride))
        channels = sizes.outputs, sizes.inputs
        self._convolve(sizes, channels, sizes.batch * height * width, phases(sizes), (x, w, b, out), transposed=True)

    def _convolve(
        self, sizes: Convolution, channels: tuple[int, int], pixels: int, turns: int, arrays: tuple[Array, ...],
        transposed: bool = False,
    ) -> None:  # fmt: skip
        dtype, (inputs, outputs), layers = dtype_name(arrays[0].dtype), channels, sizes.groups * turns
        high = tall(outputs, dtype)
        rows = -(-outputs // (8 * high))
        wide = broad(pixels, rows * layers)
        numbers = [np.int32(n) for n in (sizes.batch, sizes.groups, inputs, outputs)]
        launch = self.cuda.kernel("conv.cu", "convolve", T=dtype, TALL=high, BROAD=wide)
        grid = (-(-pixels // wide), rows, layers)
        launch(grid, THREADS, *arrays, *numbers, *sizes.window.as_numbers(transposed), np.int32(transposed))

    def conv2d_weight_grad(self, sizes: Convolution, g: Array, x: Array, out: Array) -> None:
        """g times what each weight saw. Where that makes few tiles, blocks share the pixels, and a second launch adds
        up what each of them found, in their order.
        """
        dtype, taps = dtype_name(g.dtype), sizes.inputs * sizes.window.taps
        pixels = sizes.batch * sizes.window.windows
        high = tall(sizes.outputs, dtype)
        rows = -(-sizes.outputs // (8 * high))
        wide = broad(taps, rows * sizes.groups * max(pixels // (2 * SHORTEST), 1))
        tiles = -(-taps // wide) * rows * sizes.groups
        parts = max(min(FULL // tiles, pixels // SHORTEST, LAYERS // sizes.groups), 1)
        depth = padded(-(-pixels // parts), 32)
        parts = -(-pixels // depth)
        sums = None
        if parts > 1:
            sums = self.cuda.xp.empty((parts, out.size), "float64" if dtype == "float64" else "float32")
        numbers = [np.int32(n) for n in (depth, sizes.batch, sizes.groups, sizes.inputs, sizes.outputs)]
        launch = self.cuda.kernel("conv.cu", "convolved_weights", T=dtype, TALL=high, BROAD=wide)
        grid = (-(-taps // wide), rows, sizes.groups * parts)
        launch(grid, THREADS, g, x, out, sums, *numbers, *sizes.window.as_numbers())
        if sums is not None:
            launch = self.cuda.kernel("conv.cu", "sum_of_parts", T=dtype, TALL=high, BROAD=wide)
            launch(-(-out.size // 32), THREADS, sums, out, np.int32(parts), np.int32(out.size))


def multiplications(name: str, sizes: Convolution, dtype: str) -> int:
    """How many each of these takes, those beyond the edges of tiles with them."""
    window, pixels = sizes.window, sizes.batch * sizes.window.windows
    if name == "conv2d_weight_grad":
        rows, columns, terms = sizes.outputs, sizes.inputs * window.taps, pixels
    elif name == "conv2d":
        rows, columns, terms = sizes.outputs, pixels, sizes.inputs * window.taps
    else:
        height, width = (-(-n // s) for n, s in zip(window.size, window.stride))
        down, across = (-(-k // s) for k, s in zip(window.kernel_size, window.stride))
        rows, columns, terms = sizes.inputs, sizes.batch * height * width, sizes.outputs * down * across
        terms *= phases(sizes)
    return sizes.groups * padded(rows, 8 * tall(rows, dtype)) * padded(columns, 32) * terms
