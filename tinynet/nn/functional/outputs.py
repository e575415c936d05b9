"""What goes through no weights, as functions: activations and losses. ``nn.functional`` shows them."""

from collections.abc import Sequence
from typing import Any

from tinynet.errors import ArgumentError
from tinynet.fused import Fused
from tinynet.nn import activations
from tinynet.nn.functional.given import called, floats
from tinynet.nn.losses import REDUCTIONS, BCELoss, BCEWithLogitsLoss, CrossEntropyLoss
from tinynet.nn.regression import L1Loss, MSELoss, SmoothL1Loss
from tinynet.nn.settings import whole
from tinynet.tensor import Tensor

# --- activations ------------------------------------------------------------------------------------------------------


def softmax(input: Any, dim: int) -> Tensor:
    """e^xᵢ / Σⱼ e^xⱼ along a dimension: positive numbers that add up to 1."""
    return _along("softmax", activations.softmax, input, dim)


def log_softmax(input: Any, dim: int) -> Tensor:
    """xᵢ - log Σⱼ e^xⱼ along a dimension: the logarithm of softmax, exact where that is all but 0."""
    return _along("log_softmax", activations.log_softmax, input, dim)


def _along(function: str, fused: Fused, input: Any, dim: int) -> Tensor:
    (x,) = floats(function, input)
    return fused(x, dim=x._dims(whole(function, None, dim=dim))[0])


def relu(input: Any) -> Tensor:
    """max(0, x), element by element."""
    return floats("relu", input)[0].relu()


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """x where positive, negative_slope · x elsewhere, element by element."""
    return called("leaky_relu", activations.LeakyReLU)(negative_slope)(*floats("leaky_relu", input))


def sigmoid(input: Any) -> Tensor:
    """1 / (1 + e^-x), element by element."""
    return floats("sigmoid", input)[0].sigmoid()


def tanh(input: Any) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x), element by element."""
    return floats("tanh", input)[0].tanh()


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """x Φ(x), element by element, where Φ is the normal distribution function; ``approximate`` may be ``"tanh"``."""
    return called("gelu", activations.GELU)(approximate)(*floats("gelu", input))


def silu(input: Any) -> Tensor:
    """x σ(x), element by element; also called swish."""
    return activations.SiLU()(*floats("silu", input))


def softplus(input: Any) -> Tensor:
    """ln(1 + e^x), element by element."""
    return floats("softplus", input)[0].softplus()


# --- losses -----------------------------------------------------------------------------------------------------------


def _loss(function: str, kind: Any, input: Any, target: Any, reduction: str, *settings: Any, **named: Any) -> Tensor:
    """A loss of floats; the target may be anything that the layer takes."""
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise ArgumentError(f"{function}({reduction=!r:.60}): choose one of {', '.join(REDUCTIONS)}.")
    return called(function, kind)(reduction, *settings, **named)(floats(function, input, target, needed=2)[0], target)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Sequence[float] | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """As nn.CrossEntropyLoss, -log softmax(x)[class] on logits: (batch, classes, …), (batch, …) of classes or
    (batch, classes, …) of probabilities -> one number."""
    settings = {"weight": weight, "ignore_index": ignore_index}
    return _loss("cross_entropy", CrossEntropyLoss, input, target, reduction, label_smoothing, **settings)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """(x - y)², the mean over all elements, their sum or each: two of one shape -> one number."""
    return _loss("mse_loss", MSELoss, input, target, reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """|x - y|, the mean over all elements, their sum or each: two of one shape -> one number."""
    return _loss("l1_loss", L1Loss, input, target, reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """As nn.SmoothL1Loss, r² / 2β where |r| < β and |r| - β/2 beyond, r = x - y: two of one shape -> one number."""
    return _loss("smooth_l1_loss", SmoothL1Loss, input, target, reduction, beta)


def binary_cross_entropy(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """-[y log x + (1 - y) log(1 - x)] on probabilities: two of one shape -> one number."""
    return _loss("binary_cross_entropy", BCELoss, input, target, reduction)


def binary_cross_entropy_with_logits(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """softplus(x) - x y, the binary cross-entropy of σ(x): two of one shape -> one number."""
    return _loss("binary_cross_entropy_with_logits", BCEWithLogitsLoss, input, target, reduction)
