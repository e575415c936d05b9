"""Convolution, over sequences and images, and its transpose, which goes from small images to large ones."""

import math
from typing import Any, Self

from tinynet import primitives as p
from tinynet.errors import ArgumentError, ShapeError
from tinynet.functions import zeros
from tinynet.fused import Fused
from tinynet.nn import init
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import shown, sizes, unusual, whole
from tinynet.nn.windows import Padding, Pair, check_fits, over_images, places, windows
from tinynet.parameter import Parameter
from tinynet.primitives import ARRAY, Primitive
from tinynet.tensor import Tensor


def _conv2d(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Tensor:
    """Each window of the image as a column, times the weights as a matrix."""
    outputs, _, *kernel = w.shape
    columns = windows(x, (kernel[0], kernel[1]), stride, padding, dilation)
    batch, *_, height, width = columns.shape
    columns = columns.reshape(batch, groups, math.prod(columns.shape[1:4]) // groups, height * width)
    out = w.reshape(groups, outputs // groups, -1) @ columns
    return _shifted(out.reshape(batch, outputs, height, width), b)


def _conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Tensor:
    """Each pixel times the weights makes a window; where windows meet, they add up."""
    (batch, inputs, height, width), (_, outputs, *kernel) = x.shape, w.shape
    columns = w.reshape(groups, inputs // groups, -1).mT @ x.reshape(batch, groups, inputs // groups, height * width)
    columns = columns.reshape(batch, groups * outputs, *kernel, height, width)
    rows, cols = places(x, (kernel[0], kernel[1]), (height, width), stride, dilation)
    (top, bottom), (left, right) = padding
    shape = (batch, groups * outputs, top + size[0] + bottom, left + size[1] + right)
    everywhere = (slice(None), slice(None), ARRAY, ARRAY)
    out = Tensor.apply(p.scatter_add, columns, rows, cols, index=everywhere, shape=shape)
    return _shifted(out[:, :, top : top + size[0], left : left + size[1]], b)


def _shifted(x: Tensor, b: Tensor | None) -> Tensor:
    return x if b is None else x + b.reshape(-1, 1, 1)


# Each is the other's gradient with respect to the image. The gradient with respect to the weights has the images on its
# two sides and is linear in both, so that it goes back to the first two in its turn.
conv2d: Fused = Fused(
    "conv2d",
    _conv2d,
    lambda g, out, x, w, b, **window: conv_transpose2d(g, w, None, size=x.shape[2:], **window),
    lambda g, out, x, w, b, **window: conv2d_weight_grad(g, x, kernel_size=w.shape[2:], **window),
    lambda g, out, x, w, b, **window: g.sum((0, 2, 3)),
)
conv_transpose2d: Fused = Fused(
    "conv_transpose2d",
    _conv_transpose2d,
    lambda g, out, x, w, b, size, **window: _like(conv2d(g, w, None, **window), x),
    lambda g, out, x, w, b, size, **window: conv2d_weight_grad(x, g, kernel_size=w.shape[2:], **window),
    lambda g, out, x, w, b, size, **window: g.sum((0, 2, 3)),
)
conv2d_weight_grad: Primitive = Primitive(
    "conv2d_weight_grad",
    None,
    lambda g, out, y, x, kernel_size, **window: _like(conv2d(x, g, None, **window), y),
    lambda g, out, y, x, kernel_size, **window: conv_transpose2d(y, g, None, size=x.shape[2:], **window),
)


def _like(x: Tensor, y: Tensor) -> Tensor:
    """x without the rows and columns that y has not: a window may fit into what output_padding added."""
    return x if x.shape == y.shape else x[:, :, : y.shape[2], : y.shape[3]]


class Convolution(Module):
    """What the layers here share: their settings and weights, and inputs with or without a batch."""

    axes: tuple[str, ...] = ("height", "width")
    weight: Parameter
    bias: Parameter | None

    def __init__(self, bias: bool, *channels_and_settings: Any) -> None:
        self._set(*channels_and_settings)
        self.weight = Parameter(zeros(self._weight_shape()))
        self.bias = Parameter(zeros(self.out_channels)) if bias else None
        bound = 1 / math.prod(self.weight.shape[1:]) ** 0.5
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @classmethod
    def without_weights(cls, *channels_and_settings: Any) -> Self:
        """The settings alone, to ``convolve`` with weights that are somebody else's: the functional form."""
        layer = cls.__new__(cls)
        layer._set(*channels_and_settings)
        return layer

    def _set(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
    ) -> None:
        name, n = type(self).__name__, len(self.axes)
        self.in_channels, self.out_channels, self.groups = whole(
            name, in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}({in_channels}, {out_channels}, groups={groups}): groups must divide both numbers of channels."
            )
        self.kernel_size = sizes(name, "kernel_size", kernel_size, 1, n)
        self.stride = sizes(name, "stride", stride, 1, n)
        self.dilation = sizes(name, "dilation", dilation, 1, n)
        self.padding = padding if isinstance(padding, str) else sizes(name, "padding", padding, 0, n)
        self._borders()

    def _weight_shape(self) -> tuple[int, ...]:
        return self.out_channels, self.in_channels // self.groups, *self.kernel_size

    def _borders(self) -> tuple[Pair, ...]:
        """The padding before and after, in each direction."""
        if not isinstance(self.padding, str):
            return tuple((n, n) for n in self.padding)
        if self.padding == "valid":
            return ((0, 0),) * len(self.axes)
        if self.padding != "same" or max(self.stride) > 1:
            raise ArgumentError(
                f"{type(self).__name__}(padding={self.padding!r}, stride={shown(self.stride)}): padding is a number, "
                "one for each direction, 'valid', or, with stride 1, 'same'."
            )
        totals = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation)]
        return tuple((total // 2, total - total // 2) for total in totals)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, …) -> (batch, out_channels, …), or both without the batch."""
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """``forward`` with these weights."""

        def convolved(images: Tensor) -> Tensor:
            return self._convolve(floating(images, weight), weight, bias)

        return over_images(self, x, convolved, self.in_channels, self.axes)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        borders = self._borders()
        check_fits(self, x.shape[2:], self.kernel_size, borders, self.dilation)
        return conv2d(x, weight, bias, stride=self.stride, padding=borders, dilation=self.dilation, groups=self.groups)

    def extra_repr(self) -> str:
        """The channels and the kernel, and what differs from the defaults."""
        usual = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
        first = [str(self.in_channels), str(self.out_channels), shown(self.kernel_size)]
        bare = ["bias=False"] if getattr(self, "bias", True) is None else []  # the functional form has neither
        return ", ".join(first + unusual(self, **usual) + bare)


class Conv2d(Convolution):
    """A window of weights slides over an image; each output pixel is the weighted sum of what it sees, plus b.

    out[o, i, j] = b[o] + Σ w[o, c, k, l] · x[c, i · stride + k · dilation, j · stride + l · dilation], over the
    channels c and the kernel's rows k and columns l; x lies in a border of zeros.

    Shapes: (batch, in_channels, height, width) -> (batch, out_channels, height', width') with
    height' = ⌊(height + 2 padding - dilation (kernel_size - 1) - 1) / stride⌋ + 1; the batch may be missing.
    ``weight`` is (out_channels, in_channels / groups, kernel rows, kernel columns).

    Args:
        in_channels, out_channels: the number of channels that come in, and of filters.
        kernel_size, stride, padding, dilation: a number, or one each for rows and columns.
        padding: also ``"valid"``, none, and ``"same"``, which keeps the image's size and needs stride 1.
        groups: the channels are divided into so many groups, and each filter sees one of them.
        bias: whether to add b.

    Weights and biases start uniform in ±1/√(in_channels / groups · kernel pixels), as in PyTorch.

    Raises:
        ArgumentError: settings that make no sense, such as groups that do not divide the channels.
        ShapeError: another number of channels or dimensions, or a kernel larger than the padded image.

    Source: LeCun et al., *Gradient-based learning applied to document recognition*, 1998.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(bias, in_channels, out_channels, kernel_size, stride, padding, dilation, groups)


class Conv1d(Convolution):
    """Conv2d of a sequence: an image of height 1.

    Shapes: (batch, in_channels, length) -> (batch, out_channels, length'); ``weight`` is
    (out_channels, in_channels / groups, kernel_size). Arguments, start and refusals as for Conv2d.
    """

    axes = ("length",)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(bias, in_channels, out_channels, kernel_size, stride, padding, dilation, groups)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        borders = self._borders()
        check_fits(self, x.shape[2:], self.kernel_size, borders, self.dilation)
        out: Tensor = conv2d(
            x.unsqueeze(2),
            weight.unsqueeze(2),
            bias,
            stride=(1, *self.stride),
            padding=((0, 0), *borders),
            dilation=(1, *self.dilation),
            groups=self.groups,
        )
        return out.squeeze(2)


class ConvTranspose2d(Convolution):
    """Conv2d the other way round: each input pixel times the weights makes a window of the output, where they add up.

    Shapes: (batch, in_channels, height, width) -> (batch, out_channels, height', width') with
    height' = (height - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1; the batch may be
    missing. ``weight`` is (in_channels, out_channels / groups, kernel rows, kernel columns).

    Args:
        in_channels, out_channels, kernel_size, stride, dilation, groups, bias: as for Conv2d.
        padding: how much is cut off on every side: what a Conv2d with these settings would have added.
        output_padding: rows and columns more at the bottom and on the right: with a stride, a Conv2d makes the same
            size of several, and this chooses among them.

    Weights and biases start uniform in ±1/√(out_channels / groups · kernel pixels), as in PyTorch.

    Raises:
        ArgumentError: settings that make no sense, such as an output_padding that reaches the next window.
        ShapeError: another number of channels or dimensions, or nothing left between the paddings.

    Source: Zeiler et al., *Deconvolutional networks*, 2010.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
    ) -> None:
        super().__init__(
            bias, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, output_padding
        )

    def _set(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        output_padding: Any = 0,
    ) -> None:
        padding = sizes("ConvTranspose2d", "padding", padding, 0)
        super()._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        self.output_padding = sizes("ConvTranspose2d", "output_padding", output_padding, 0)
        if any(n >= max(s, d) for n, s, d in zip(self.output_padding, self.stride, self.dilation)):
            raise ArgumentError(
                f"ConvTranspose2d({output_padding=}): it must be smaller than the stride, {shown(self.stride)}, or "
                f"the dilation, {shown(self.dilation)}."
            )

    def _weight_shape(self) -> tuple[int, ...]:
        return self.in_channels, self.out_channels // self.groups, *self.kernel_size

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        each = zip(x.shape[2:], self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation)
        size = tuple((n - 1) * s - 2 * int(p) + d * (k - 1) + o + 1 for n, k, s, p, o, d in each)
        if min(size) < 1:
            raise ShapeError(
                f"{self.described()} makes {x.shape[2]} × {x.shape[3]} pixels into {size[0]} × {size[1]}: its padding "
                "cuts everything off. Use less padding, or a larger image."
            )
        window = {"stride": self.stride, "padding": self._borders(), "dilation": self.dilation, "groups": self.groups}
        return conv_transpose2d(x, weight, bias, size=size, **window)
