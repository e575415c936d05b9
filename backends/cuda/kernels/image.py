"""Kernels of images on CUDA: pooling, and which way a convolution goes. One launch each way for a pooling layer.

Images lie as they are seen, (batch, channels, height, width) without gaps. Integers, several types at once, empty and
enormous arrays go to the kernels of ``backends/kernels/image.py``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinynet.backends.cuda.kernels.columns import Columns
from tinynet.backends.cuda.kernels.conv import Implicit
from tinynet.backends.cuda.kernels.conv_rule import chosen
from tinynet.backends.cuda.kernels.window import Array, Convolution, Pair, Window, place, sliding, takes
from tinynet.backends.cuda.module import Module, blocks
from tinynet.backends.halves import in_float32
from tinynet.dtypes import dtype_name

BFLOAT16 = frozenset(
    "max_pool2d max_pool2d_grad sum_pool2d sum_pool2d_grad conv2d conv_transpose2d conv2d_weight_grad".split()
)
"""The kernels that take bfloat16 as it is: all of them."""


def kernels(cuda: Module, plain: Mapping[str, Any]) -> dict[str, Any]:
    """name -> kernel, for those that are taken over from the table."""
    plain = in_float32(plain, BFLOAT16)
    each = Pools(cuda, plain), Convolutions(cuda, plain)
    return {name: getattr(theirs, name) for theirs in each for name in theirs.names}


class Pools:
    """Pooling.

    Args:
        cuda: our kernels.
        plain: the table to fall back on.
    """

    names = ("max_pool2d", "max_pool2d_grad", "sum_pool2d", "sum_pool2d_grad")

    def __init__(self, cuda: Module, plain: Mapping[str, Any]) -> None:
        self.cuda, self.plain = cuda, plain

    def max_pool2d(self, x: Array, out: Array = None, **settings: Any) -> Array:
        """The largest pixel of each window; settings: kernel_size, stride, padding, dilation."""
        window = sliding(x.shape[2:], **settings)
        return self._run("max_pool2d", (x,), (x.shape,), (*x.shape[:2], *window.counts), window, settings, out)

    def max_pool2d_grad(self, g: Array, x: Array, largest: Array, out: Array = None, **settings: Any) -> Array:
        """g for the largest pixel of each window, the first of them at a tie, 0 for the others, whatever g is."""
        window, inputs = Window(x.shape[2:], g.shape[2:], **settings), (g, x, largest)
        shapes = ((*x.shape[:2], *window.counts), x.shape, g.shape)
        return self._run("max_pool2d_grad", inputs, shapes, x.shape, window, settings, out)

    def sum_pool2d(self, x: Array, out: Array = None, **settings: Any) -> Array:
        """The sum of each window; settings: kernel_size, stride, padding."""
        window = sliding(x.shape[2:], **settings)
        return self._run("sum_pool2d", (x,), (x.shape,), (*x.shape[:2], *window.counts), window, settings, out)

    def sum_pool2d_grad(self, g: Array, size: Pair, out: Array = None, **settings: Any) -> Array:
        """g for every pixel of its window."""
        window, settings = Window(size, g.shape[2:], **settings), {"size": size, **settings}
        return self._run("sum_pool2d_grad", (g,), (g.shape,), (*g.shape[:2], *size), window, settings, out)

    def _run(
        self, name: str, inputs: tuple[Array, ...], shapes: Any, shape: tuple[int, ...], window: Window, settings: Any,
        out: Array,
    ) -> Array:  # fmt: skip
        """The kernel of that name, a thread for each number of the result; or the plain one."""
        if not takes(inputs, shapes, shape):
            return self.plain[name](*inputs, out=out, **settings)
        xp, result = self.cuda.xp, place(self.cuda.xp, shape, inputs[0], out)
        launch = self.cuda.kernel("image.cu", name, T=dtype_name(result.dtype))
        given = [xp.ascontiguousarray(a) for a in inputs]
        launch(blocks(result.size), 256, *given, result, np.uint32(result.size), *window.as_divisors())
        return result if out is None or result is out else self.plain["copy"](result, out=out)


class Convolutions:
    """Convolution, its transpose, which is the slope of its image, and the slope of its weights.

    Each is found in one of two ways, which the sizes choose (``conv_rule.py``): by a kernel that reads windows as it
    multiplies (``conv.py``), or by columns in memory and cuBLAS (``columns.py``). Settings: stride, padding, dilation.

    Args:
        cuda: our kernels.
        plain: the table to fall back on, and to multiply with.

    Attributes:
        ways: ``"own"`` and ``"columns"``.
        forced: the one to go, whatever the sizes; None as long as nobody compares them.
    """

    names = ("conv2d", "conv_transpose2d", "conv2d_weight_grad")

    def __init__(self, cuda: Module, plain: Mapping[str, Any]) -> None:
        self.cuda, self.plain = cuda, plain
        self.ways: dict[str, Any] = {"own": Implicit(cuda), "columns": Columns(cuda, plain)}
        self.forced: str | None = None

    def conv2d(self, x: Array, w: Array, b: Array | None, groups: int, out: Array = None, **settings: Any) -> Array:
        """Each window of the image times the weights, and b.

        (batch, in, height, width), (out, in / groups, kernel rows, kernel columns), (out,) -> (batch, out, rows, cols)
        """
        sizes = Convolution.of(w, groups, len(x), sliding(x.shape[2:], w.shape[2:], **settings))
        shapes = sizes.image_shape, sizes.weight_shape, (groups * sizes.outputs,)
        settings = {"groups": groups, **settings}
        return self._run("conv2d", (x, w, b), shapes, sizes.result_shape, sizes, settings, out)

    def conv_transpose2d(
        self, x: Array, w: Array, b: Array | None, size: Pair, groups: int, out: Array = None, **settings: Any
    ) -> Array:
        """Each pixel times the weights makes a window; where windows meet, they add up, and b is added.

        Where the kernel of our own does it, weights meet the zeros around the image: one that is not finite makes nan
        of pixels that it does not reach.
        """
        sizes = Convolution.of(w, groups, len(x), Window(size, x.shape[2:], w.shape[2:], **settings))
        shapes = sizes.result_shape, sizes.weight_shape, (groups * sizes.inputs,)
        settings = {"size": size, "groups": groups, **settings}
        return self._run("conv_transpose2d", (x, w, b), shapes, sizes.image_shape, sizes, settings, out)

    def conv2d_weight_grad(
        self, g: Array, x: Array, kernel_size: Pair, groups: int, out: Array = None, **settings: Any
    ) -> Array:
        """What each weight was multiplied by, times what came of it; the shape of the weights."""
        window = Window(x.shape[2:], g.shape[2:], kernel_size, **settings)
        sizes = Convolution(len(x), groups, x.shape[1] // groups, g.shape[1] // groups, window)
        shapes = sizes.result_shape, sizes.image_shape
        settings = {"kernel_size": kernel_size, "groups": groups, **settings}
        return self._run("conv2d_weight_grad", (g, x), shapes, sizes.weight_shape, sizes, settings, out)

    def _run(
        self, name: str, inputs: tuple[Array, ...], shapes: Any, shape: tuple[int, ...], sizes: Convolution,
        settings: Any, out: Array,
    ) -> Array:  # fmt: skip
        """The faster way, or the plain kernel."""
        if not takes(inputs, shapes, shape):
            return self.plain[name](*inputs, out=out, **settings)
        xp, result = self.cuda.xp, place(self.cuda.xp, shape, inputs[0], out)
        way = self.ways[self.forced or chosen(name, sizes, dtype_name(result.dtype))]
        getattr(way, name)(sizes, *[a if a is None else xp.ascontiguousarray(a) for a in inputs], result)
        return result if out is None or result is out else self.plain["copy"](result, out=out)
