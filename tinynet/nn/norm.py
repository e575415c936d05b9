"""Normalisation: numbers shifted and scaled to mean 0 and variance 1, so that every layer sees inputs of one size."""

from collections.abc import Sequence
from typing import Any

from tinynet.dtypes import HALVES
from tinynet.errors import ShapeError
from tinynet.functions import ones, zeros
from tinynet.fused import Fused
from tinynet.modes import mode, no_grad
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import number, sizes, unusual, whole
from tinynet.parameter import Parameter
from tinynet.primitives import Primitive
from tinynet.tensor import Tensor

EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
"""From 1 to the next number."""


def _normalise(x: Tensor, w: Tensor | None, b: Tensor | None, axes: tuple[int, ...], eps: float) -> Tensor:
    out = (x - x.mean(axes, keepdim=True)) / (x.var(axes, correction=0, keepdim=True) + eps).sqrt()
    out = out if w is None else out * w
    return out if b is None else out + b


def _normalise_rule(
    g: Tensor, out: Tensor, x: Tensor, w: Tensor | None, b: Any, mean: Tensor, var: Tensor, **settings: Any
) -> tuple[Tensor | None, ...]:
    """For all inputs together: the normalised x is needed by two of them."""
    towards_x, *towards_w = _normalise_grad(g, x, w, mean, var, **settings)
    return towards_x, towards_w[0] if towards_w else None, g


normalise = Fused("normalise", _normalise, saves=2, jointly=_normalise_rule)
"""(x - mean) / √(var + eps) · w + b, mean and variance over ``axes``; w and b, or None, broadcast to x."""
_normalise_grad = Primitive("normalise_grad", None)


def layer_norm(
    x: Tensor, normalized_shape: tuple[int, ...], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias over the last dimensions, which have the shape ``normalized_shape``."""
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    return _precisely(x, weight, bias, axes, eps)


def rms_norm(
    x: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean x² + eps) · weight over the last dimensions; eps is the dtype's own where not given."""
    if x.dtype in HALVES:
        weight = weight if weight is None else weight.to(dtype="float32")
        out = rms_norm(x.to(dtype="float32"), normalized_shape, weight, EPSILON[x.dtype] if eps is None else eps)
        return out if mode.autocast else out.to(dtype=x.dtype)
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    out = x / ((x * x).mean(axes, keepdim=True) + (EPSILON[x.dtype] if eps is None else eps)).sqrt()
    return out if weight is None else out * weight


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(var + eps) · weight + bias for each channel, dimension 1.

    In training, or without running statistics, mean and variance are the batch's, and the running ones move towards
    them by the share ``momentum``; else they are the running ones.
    """
    column = (-1,) + (1,) * (x.ndim - 2)
    w, b = (t if t is None else t.reshape(column) for t in (weight, bias))
    if running_mean is not None and running_var is not None and not training:
        scale = 1 / (running_var + eps).sqrt().reshape(column)
        out = (x - running_mean.reshape(column)) * (scale if w is None else scale * w)
        return out if b is None else out + b
    axes = (0, *range(2, x.ndim))
    out = _precisely(x, w, b, axes, eps)
    if running_mean is not None and running_var is not None:
        count = x.size // x.shape[1]
        with no_grad():
            mean, var = out.saved or (x.mean(axes), x.var(axes, correction=0))
            for running, seen in ((running_mean, mean), (running_var, var * (count / max(count - 1, 1)))):
                running.add_((seen.reshape(-1) - running) * momentum)
    return out


def _precisely(x: Tensor, w: Any, b: Any, axes: tuple[int, ...], eps: float) -> Tensor:
    """``normalise``, for half floats in float32: squares of float16 end at 65,504."""
    if x.dtype not in HALVES:
        return normalise(x, w, b, axes=axes, eps=eps)
    wide = (t if t is None else t.to(dtype="float32") for t in (x, w, b))
    out = normalise(*wide, axes=axes, eps=eps)
    return out if mode.autocast else out.to(dtype=x.dtype)


class LayerNorm(Module):
    """(x - mean) / √(var + eps) · weight + bias, mean and variance over each example's last dimensions.

    Shapes: (…, *normalized_shape) -> the same; ``weight`` and ``bias`` have the normalized_shape.

    Args:
        normalized_shape: the size of the last dimension, or the sizes of the last few.
        eps: what keeps the root from 0.
        elementwise_affine: whether there are a weight, which starts at 1, and a bias, which starts at 0.
        bias: with False there is no bias.

    Source: Ba, Kiros and Hinton, *Layer normalization*, 2016.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        self.normalized_shape = sizes("LayerNorm", "normalized_shape", normalized_shape, 1, None)
        self.eps, self.elementwise_affine = number("LayerNorm", eps=eps), elementwise_affine
        self.weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, *normalized_shape) -> the same."""
        _check_last(self, x, self.normalized_shape)
        return layer_norm(floating(x, self.weight), self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The shape, and what differs from the defaults."""
        return _shown(self, eps=1e-5, elementwise_affine=True)


class RMSNorm(Module):
    """x / √(mean x² + eps) · weight, the mean over each example's last dimensions: LayerNorm without the shift.

    Shapes: (…, *normalized_shape) -> the same; ``weight`` has the normalized_shape.

    Args:
        normalized_shape: the size of the last dimension, or the sizes of the last few.
        eps: what keeps the root from 0; the distance from 1 to the next number of the dtype where not given.
        elementwise_affine: whether there is a weight, which starts at 1.

    Source: Zhang and Sennrich, *Root mean square layer normalization*, 2019.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        self.normalized_shape = sizes("RMSNorm", "normalized_shape", normalized_shape, 1, None)
        self.eps = None if eps is None else number("RMSNorm", eps=eps)
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        """(…, *normalized_shape) -> the same."""
        _check_last(self, x, self.normalized_shape)
        return rms_norm(floating(x, self.weight), self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The shape, and what differs from the defaults."""
        return _shown(self, eps=None, elementwise_affine=True)


def _check_last(layer: Module, x: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse a tensor whose last dimensions are not those of the layer."""
    if x.shape[-len(shape) :] != shape:
        needed = ", ".join(map(str, shape))
        raise ShapeError(f"{layer.described()} needs (…, {needed}); got {x.shape}.")


def _shown(layer: Any, **usual: Any) -> str:
    shape = layer.normalized_shape
    return ", ".join((str(shape[0] if len(shape) == 1 else shape), *unusual(layer, **usual)))


class BatchNorm(Module):
    """What BatchNorm1d and BatchNorm2d share: everything but the number of dimensions."""

    dims: tuple[int, ...]
    needed: str
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        name = type(self).__name__
        self.num_features, self.eps = whole(name, num_features=num_features), number(name, eps=eps)
        self.momentum = None if momentum is None else number(name, most=1, momentum=momentum)
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(ones(num_features)) if affine else None
        self.bias = Parameter(zeros(num_features)) if affine else None
        if track_running_stats:
            self.register_buffer("running_mean", zeros(num_features))
            self.register_buffer("running_var", ones(num_features))
            self.register_buffer("num_batches_tracked", zeros((), dtype="int64"))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, num_features, …) -> the same."""
        if x.ndim not in self.dims or x.shape[1] != self.num_features:
            raise ShapeError(f"{self.described()} needs {self.needed.format(self.num_features)}; got {x.shape}.")
        if self.training and x.size <= self.num_features:
            raise ShapeError(
                f"{self.described()} needs more than one number a channel to train on; got {x.shape}. Use larger "
                "batches, or model.eval()."
            )
        x = floating(x, self.weight)
        training, mean, var, share = self.training, None, None, self.momentum
        if self.track_running_stats:
            mean, var = self.running_mean, self.running_var
            if training:
                share = self._count()
        return batch_norm(x, mean, var, self.weight, self.bias, training, share, self.eps)

    def _count(self) -> Any:
        """The share of this batch in the running averages."""
        with no_grad():
            seen = self.num_batches_tracked.add_(1)
        return 1 / seen.to(dtype=self.running_mean.dtype) if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        """The number of channels, and what differs from the defaults."""
        usual = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}
        return ", ".join((str(self.num_features), *unusual(self, **usual)))


class BatchNorm1d(BatchNorm):
    """BatchNorm of rows. Shapes: (batch, num_features) or (batch, num_features, length) -> the same."""

    dims, needed = (2, 3), "(batch, {0}) or (batch, {0}, length)"


class BatchNorm2d(BatchNorm):
    """(x - mean) / √(var + eps) · weight + bias, mean and variance over a channel's pixels in the whole batch.

    In evaluation the mean and variance are running averages over the batches seen in training.

    Shapes: (batch, num_features, height, width) -> the same; ``weight``, ``bias``, ``running_mean`` and
    ``running_var`` are (num_features,).

    Args:
        eps: what keeps the root from 0.
        momentum: the share of the latest batch in the running averages; None averages over all batches alike.
        affine: whether there are a weight, which starts at 1, and a bias, which starts at 0.
        track_running_stats: with False there are no running averages: evaluation uses the batch's statistics too.

    Raises:
        ShapeError: another number of channels or dimensions, or, in training, one number a channel.

    Source: Ioffe and Szegedy, *Batch normalization*, 2015.
    """

    dims, needed = (4,), "(batch, {0}, height, width)"
