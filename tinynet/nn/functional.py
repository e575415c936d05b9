"""The layers' mathematics as functions, under the name where PyTorch keeps it."""

from typing import Any

from tinynet.nn.activations import gelu, log_softmax, softmax
from tinynet.nn.attention import scaled_dot_product_attention
from tinynet.nn.conv import Conv1d, Conv2d, ConvTranspose2d
from tinynet.nn.dropout import dropout
from tinynet.nn.linear import linear
from tinynet.nn.losses import softmax_cross_entropy
from tinynet.nn.norm import batch_norm, layer_norm, rms_norm
from tinynet.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from tinynet.nn.upsample import Upsample
from tinynet.tensor import Tensor

__all__ = [
    "gelu", "linear", "log_softmax", "scaled_dot_product_attention", "softmax", "softmax_cross_entropy",
    "conv1d", "conv2d", "conv_transpose2d",
    "adaptive_avg_pool2d", "avg_pool2d", "interpolate", "max_pool2d",
    "batch_norm", "dropout", "layer_norm", "rms_norm",
]  # fmt: skip


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Conv1d with these weights, (out_channels, in_channels / groups, kernel_size)."""
    channels = (weight.shape[1] * groups, weight.shape[0])
    layer = Conv1d.with_weights(weight, bias, *channels, weight.shape[2:], stride, padding, dilation, groups)
    return layer(x)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Conv2d with these weights, (out_channels, in_channels / groups, kernel rows, kernel columns)."""
    channels = (weight.shape[1] * groups, weight.shape[0])
    layer = Conv2d.with_weights(weight, bias, *channels, weight.shape[2:], stride, padding, dilation, groups)
    return layer(x)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """ConvTranspose2d with these weights, (in_channels, out_channels / groups, kernel rows, kernel columns)."""
    channels = (weight.shape[0], weight.shape[1] * groups)
    settings = (weight.shape[2:], stride, padding, dilation, groups, output_padding)
    return ConvTranspose2d.with_weights(weight, bias, *channels, *settings)(x)


def max_pool2d(x: Tensor, *settings: Any, **named: Any) -> Tensor:
    """MaxPool2d with these settings."""
    return MaxPool2d(*settings, **named)(x)


def avg_pool2d(x: Tensor, *settings: Any, **named: Any) -> Tensor:
    """AvgPool2d with these settings."""
    return AvgPool2d(*settings, **named)(x)


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """AdaptiveAvgPool2d to this size."""
    return AdaptiveAvgPool2d(output_size)(x)


def interpolate(x: Tensor, *settings: Any, **named: Any) -> Tensor:
    """Upsample with these settings."""
    return Upsample(*settings, **named)(x)
