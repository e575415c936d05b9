"""Convolution by way of columns: every window copied side by side in memory, and one product by cuBLAS.

Columns are made and read by kernels in ``image.cu``. They lie so that the product is the result, image by image, and
needs no other order: weights (out, in · taps) @ columns (batch, in · taps, windows) -> (batch, out, windows).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinynet.backends.cuda.kernels.window import Array, Convolution
from tinynet.backends.cuda.module import Module, blocks, divisor
from tinynet.dtypes import dtype_name


class Columns:
    """What ``Convolutions`` asks for; arrays without gaps, results into ``out``.

    Args:
        cuda: our kernels.
        plain: the table to multiply with.
    """

    def __init__(self, cuda: Module, plain: Mapping[str, Any]) -> None:
        self.cuda, self.plain = cuda, plain

    def conv2d(self, sizes: Convolution, x: Array, w: Array, b: Array | None, out: Array) -> None:
        """Columns, the product, and b in place: three launches."""
        terms = sizes.inputs * sizes.window.taps
        columns = x if sizes.window.is_pixel else self._columns(sizes, x)
        self._product(
            w.reshape(*_groups(sizes), sizes.outputs, terms),
            columns.reshape(sizes.batch, *_groups(sizes), terms, -1),
            out.reshape(sizes.batch, *_groups(sizes), sizes.outputs, -1),
        )
        self._add(sizes, b, out)

    def conv_transpose2d(self, sizes: Convolution, x: Array, w: Array, b: Array | None, out: Array) -> None:
        """The product, and its columns put together, b with them: two launches."""
        terms, window = sizes.inputs * sizes.window.taps, sizes.window
        w = w.reshape(*_groups(sizes), sizes.outputs, terms).swapaxes(-1, -2)
        x = x.reshape(sizes.batch, *_groups(sizes), sizes.outputs, -1)
        if window.is_pixel:
            self._product(w, x, out.reshape(sizes.batch, *_groups(sizes), terms, -1))
            return self._add(sizes, b, out)
        columns = self._product(w, x, None)
        channels = divisor(sizes.groups * sizes.inputs)
        launch = self.cuda.kernel("image.cu", "windows_from_columns", T=dtype_name(out.dtype))
        launch(blocks(out.size), 256, columns, b, out, np.uint32(out.size), channels, *window.as_divisors())
        return None

    def conv2d_weight_grad(self, sizes: Convolution, g: Array, x: Array, out: Array) -> None:
        """Columns of all images, g in their order, and one product whose sums run over all windows: three launches."""
        terms = sizes.inputs * sizes.window.taps
        columns = self._columns(sizes, x, together=True).reshape(*_groups(sizes), terms, -1)
        g = g.reshape(sizes.batch, sizes.groups * sizes.outputs, -1).swapaxes(0, 1)
        g = self.cuda.xp.ascontiguousarray(g).reshape(*_groups(sizes), sizes.outputs, -1)
        self._product(g, columns.swapaxes(-1, -2), out.reshape(*_groups(sizes), sizes.outputs, terms))

    def _columns(self, sizes: Convolution, x: Array, together: bool = False) -> Array:
        """(batch, channels · taps, windows), or, together, (channels · taps, batch · windows)."""
        window, channels = sizes.window, sizes.groups * sizes.inputs
        windows, taps = window.windows, window.taps
        along = sizes.batch * windows if together else windows
        images = windows if together else channels * taps * windows
        columns = self.cuda.xp.empty(sizes.columns, x.dtype)
        count = sizes.batch * channels * windows
        launch = self.cuda.kernel("image.cu", "columns_of_windows", T=dtype_name(x.dtype))
        apart = [np.int64(n) for n in (images, taps * along, along)]
        launch(
            blocks(count), 256, x, columns, np.uint32(count), divisor(channels), *apart, *window.as_divisors()
        )  # fmt: skip
        return columns

    def _product(self, x: Array, y: Array, out: Array) -> Array:
        return self.plain["matmul"](x, y, out=out)

    def _add(self, sizes: Convolution, b: Array | None, out: Array) -> None:
        """b to its channels; the product's kernels add it to columns."""
        if b is not None:
            launch = self.cuda.kernel("image.cu", "add_to_channels", T=dtype_name(out.dtype))
            pixels = out.shape[2] * out.shape[3]
            launch(blocks(out.size), 256, out, b, np.uint32(out.size), divisor(pixels), divisor(out.shape[1]))


def _groups(sizes: Convolution) -> tuple[int, ...]:
    """The dimension of groups, where there are several."""
    return (sizes.groups,) if sizes.groups > 1 else ()
