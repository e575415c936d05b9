"""The layers' mathematics as functions, for those who write ``forward`` by hand: PyTorch's names, arguments and order.

    from tinynet.nn import functional as F

Each takes tensors, arrays or lists of numbers; what comes from the host moves to where the tensors among them are.
Integers count as floats, except where they are an index or a class. What is said of a layer, ``nn.Conv2d``, holds for
its function.
"""

from collections.abc import Sequence
from typing import Any

from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.functions import arange
from tinynet.modes import mode as modes
from tinynet.nn import attention, norm
from tinynet.nn import dropout as dropouts
from tinynet.nn import embedding as tables
from tinynet.nn import linear as sums
from tinynet.nn.conv import Conv1d, Conv2d, ConvTranspose2d
from tinynet.nn.functional.given import called, check_shapes, floats, last_dimensions, tensors
from tinynet.nn.functional.outputs import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gelu,
    l1_loss,
    leaky_relu,
    log_softmax,
    mse_loss,
    relu,
    sigmoid,
    silu,
    smooth_l1_loss,
    softmax,
    softplus,
    tanh,
)
from tinynet.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from tinynet.nn.settings import number, whole
from tinynet.nn.upsample import Upsample
from tinynet.nn.windows import Pair
from tinynet.tensor import Tensor

__all__ = [
    "linear", "conv1d", "conv2d", "conv_transpose2d",
    "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "interpolate",
    "dropout", "dropout2d", "layer_norm", "rms_norm", "batch_norm",
    "embedding", "one_hot", "scaled_dot_product_attention",
    "softmax", "log_softmax", "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus",
    "cross_entropy", "mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
]  # fmt: skip

# --- sums and windows -------------------------------------------------------------------------------------------------


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """x Wᵀ + b: (…, in_features), (out_features, in_features), (out_features,) -> (…, out_features)."""
    x, w, b = floats("linear", input, weight, bias, needed=2)
    if w.ndim != 2 or not x.ndim or x.shape[-1] != w.shape[1]:
        raise ShapeError(
            f"linear needs input (…, in_features) and weight (out_features, in_features); got {x.shape} and {w.shape}."
        )
    check_shapes("linear", w.shape[:1], bias=b)
    return sums.linear(x, w, b)


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """As nn.Conv1d: (batch, in_channels, length), (out_channels, in_channels / groups, kernel_size), (out_channels,) ->
    (batch, out_channels, length')."""
    return _convolved("conv1d", Conv1d, input, weight, bias, groups, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """As nn.Conv2d, b[o] + Σ w[o, c, k, l] · x[c, i · stride + k · dilation, j · stride + l · dilation]:
    (batch, in_channels, height, width), (out_channels, in_channels / groups, kernel rows, kernel columns),
    (out_channels,) -> (batch, out_channels, height', width')."""
    return _convolved("conv2d", Conv2d, input, weight, bias, groups, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Tensor:
    """As nn.ConvTranspose2d: (batch, in_channels, height, width), (in_channels, out_channels / groups, kernel rows,
    kernel columns), (out_channels,) -> (batch, out_channels, height', width')."""
    settings = (stride, padding, dilation, groups, output_padding)
    return _convolved("conv_transpose2d", ConvTranspose2d, input, weight, bias, groups, *settings)


def _convolved(name: str, kind: type, input: Any, weight: Any, bias: Any, groups: int, *settings: Any) -> Tensor:
    """What the convolutions share: as many channels as the weights have."""
    x, w, b = floats(name, input, weight, bias, needed=2)
    whole(name, groups=groups)
    layer = called(name, kind)
    if w.ndim != 2 + len(layer.axes):
        raise ShapeError(f"{name} needs weight (channels, channels / groups, {', '.join(layer.axes)}); got {w.shape}.")
    inputs, outputs = w.shape[1] * groups, w.shape[0]
    if kind is ConvTranspose2d:
        inputs, outputs = w.shape[0], w.shape[1] * groups
    check_shapes(name, (outputs,), bias=b)
    return layer.without_weights(inputs, outputs, w.shape[2:], *settings).convolve(x, w, b)


def max_pool2d(
    input: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """As nn.MaxPool2d, the largest pixel of each window: (batch, channels, height, width) -> (batch, channels, height',
    width')."""
    layer = called("max_pool2d", MaxPool2d)(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)
    return layer(*floats("max_pool2d", input))


def avg_pool2d(
    input: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """As nn.AvgPool2d, the mean of each window: (batch, channels, height, width) -> (batch, channels, height',
    width')."""
    layer = called("avg_pool2d", AvgPool2d)(kernel_size, stride, padding, ceil_mode, count_include_pad)
    return layer(*floats("avg_pool2d", input))


def adaptive_avg_pool2d(input: Any, output_size: int | tuple[int | None, int | None] | None) -> Tensor:
    """As nn.AdaptiveAvgPool2d: (batch, channels, height, width) -> (batch, channels, *output_size)."""
    return called("adaptive_avg_pool2d", AdaptiveAvgPool2d)(output_size)(*floats("adaptive_avg_pool2d", input))


def interpolate(
    input: Any,
    size: int | Pair | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """As nn.Upsample: (batch, channels, height, width) -> (batch, channels, *size)."""
    layer = called("interpolate", Upsample)(size, scale_factor, mode, align_corners)
    return layer(*floats("interpolate", input))


# --- dropout and normalisation ----------------------------------------------------------------------------------------


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """As nn.Dropout: in training each number 0 with probability p and x / (1 - p) otherwise; else x itself."""
    return dropouts.dropout(floats("dropout", input)[0], p, training)


def dropout2d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """As nn.Dropout2d: dropout of whole channels of (batch, channels, height, width)."""
    return called("dropout2d", dropouts.Dropout2d)(p).train(training)(*floats("dropout2d", input))


def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias over the last dimensions: (…, *normalized_shape) -> the same; weight
    and bias have the normalized_shape."""
    x, w, b = floats("layer_norm", input, weight, bias)
    shape = last_dimensions("layer_norm", x, normalized_shape)
    check_shapes("layer_norm", shape, weight=w, bias=b)
    return norm.layer_norm(x, shape, w, b, number("layer_norm", eps=eps))


def rms_norm(input: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Tensor:
    """x / √(mean x² + eps) · weight over the last dimensions: (…, *normalized_shape) -> the same; weight has the
    normalized_shape, and eps is the dtype's own where not given."""
    x, w = floats("rms_norm", input, weight)
    shape = last_dimensions("rms_norm", x, normalized_shape)
    check_shapes("rms_norm", shape, weight=w)
    return norm.rms_norm(x, shape, w, None if eps is None else number("rms_norm", eps=eps))


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias for each channel: (batch, channels, …), the rest (channels,) or None ->
    as the input.

    In training, or without running statistics, mean and variance are the batch's, and the running ones, tensors, move
    towards them in place by the share ``momentum``; else they are the running ones.
    """
    momentum, eps = number("batch_norm", momentum=momentum, eps=eps)
    x, mean, var, w, b = floats("batch_norm", input, running_mean, running_var, weight, bias)
    if x.ndim < 2:
        raise ShapeError(f"batch_norm needs input (batch, channels, …); got {x.shape}.")
    check_shapes("batch_norm", x.shape[1:2], running_mean=mean, running_var=var, weight=w, bias=b)
    if (mean is None) != (var is None):
        raise ArgumentError("batch_norm takes running_mean and running_var together, or neither; got one of them.")
    if training and (mean is not running_mean or var is not running_var):
        raise TypeMismatch("batch_norm changes running_mean and running_var in place: give it tensors of floats.")
    if training and x.size <= x.shape[1]:
        raise ShapeError(f"batch_norm needs more than one number a channel to train on; got {x.shape}.")
    return norm.batch_norm(x, mean, var, w, b, training, momentum, eps)


# --- words and attention ----------------------------------------------------------------------------------------------


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """As nn.Embedding, the rows that whole numbers name: (…), (num_embeddings, embedding_dim) -> (…, embedding_dim);
    the row padding_idx gets no gradient."""
    index, w = tensors("embedding", input, weight, needed=2)
    if w.ndim != 2:
        raise ShapeError(f"embedding needs weight (num_embeddings, embedding_dim); got {w.shape}.")
    padding_idx = tables.padding_row("embedding", padding_idx, len(w))
    tables.check_index("embedding", index, len(w))
    return tables.embedding(w, index, padding_idx=padding_idx, layer="embedding")


def one_hot(tensor: Any, num_classes: int) -> Tensor:
    """1 in the column of the class, 0 in the others: (…) of integers below num_classes -> (…, num_classes), int64."""
    (classes,) = tensors("one_hot", tensor)
    columns = whole("one_hot", num_classes=num_classes)
    if classes.is_floating_point() or classes.dtype == "bool":
        raise TypeMismatch(f"one_hot needs classes, whole numbers; got {classes.dtype}. Use .to('int64').")
    if modes.recorder is None and classes.size:
        seen = classes.numpy()
        if seen.min() < 0 or seen.max() >= columns:
            raise ArgumentError(f"one_hot needs classes 0 … {columns - 1}; got {seen.min()} … {seen.max()}.")
    return (classes.unsqueeze(-1) == arange(columns, backend=classes.backend)).to(dtype="int64")


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(scale · q kᵀ + mask) v: (…, L, d), (…, S, d), (…, S, e) -> (…, L, e).

    ``attn_mask`` spreads to (…, L, S): booleans, True where a query may look at a key, or floats, which are added. With
    ``is_causal`` query i looks at keys 0 … i alone. ``dropout_p`` always applies: pass 0 in evaluation. ``scale`` is
    1/√d where not given.
    """
    *given, mask = tensors("scaled_dot_product_attention", query, key, value, attn_mask, needed=3)
    q, k, v = floats("scaled_dot_product_attention", *given)
    return attention.scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal, scale)
