"""Losses of regression: how far predicted numbers, or predicted distributions, are from what was measured."""

import math

from tinynet.errors import ArgumentError, ShapeError
from tinynet.functions import where
from tinynet.nn.losses import Loss
from tinynet.tensor import Tensor


class MSELoss(Loss):
    """The mean squared error, mean (ŷ - y)². Shapes: prediction and target alike."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, …), (batch, …) -> one number."""
        return self._reduce((prediction - self._matched(prediction, target)) ** 2, prediction)


class SumSquaredResiduals(MSELoss):
    """Σ (ŷ - y)², the sum of squared residuals that a line is fitted by."""

    def __init__(self) -> None:
        super().__init__("sum")


class QuadraticCost(Loss):
    """C = 1/(2n) Σₓ ‖y(x) - a‖², n examples. Classes are taken as one-hot rows. Source: Nielsen, chapter 1."""

    def __init__(self) -> None:
        super().__init__("batchmean")

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, outputs), (batch, outputs) or (batch,) -> one number."""
        return self._reduce((prediction - self._matched(prediction, target)) ** 2 * 0.5, prediction)


class L1Loss(Loss):
    """The mean absolute error, mean |ŷ - y|. Shapes: prediction and target alike."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, …), (batch, …) -> one number."""
        return self._reduce((prediction - self._matched(prediction, target)).abs(), prediction)


class SmoothL1Loss(Loss):
    """r² / 2β where |r| < β, |r| - β/2 beyond, r = ŷ - y: a square near 0 that outliers cannot pull on.

    Shapes: prediction and target alike. Source: Girshick, *Fast R-CNN*, 2015.
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        if not isinstance(beta, int | float) or not beta > 0:
            raise ArgumentError(f"SmoothL1Loss(beta={beta!r}): it is above 0; L1Loss is the limit at 0.")
        self.beta = beta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, …), (batch, …) -> one number."""
        size = (prediction - self._matched(prediction, target)).abs()
        return self._reduce(
            where(size < self.beta, size * size * (0.5 / self.beta), size - 0.5 * self.beta), prediction
        )


class MeanLogVarianceLoss(Loss):
    """½ [log σ² + (y - μ)² / σ²], -log of the normal density without its constant: maximum likelihood for a model that
    predicts a distribution.

    Shapes: prediction (batch, 2): the mean μ and log σ², which may be any numbers; target (batch,) or (batch, 1). With
    (batch, 2k) the first k are means of the k targets. PyTorch's GaussianNLLLoss takes μ and σ² apart.

    Source: Nix and Weigend, *Estimating the mean and variance of the target probability distribution*, 1994.

    Args:
        full: add the constant ½ log 2π.
    """

    def __init__(self, reduction: str = "mean", full: bool = False) -> None:
        super().__init__(reduction)
        self.full = full

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, 2k), (batch, k) -> one number."""
        if prediction.ndim != 2 or prediction.shape[1] % 2:
            raise ShapeError(f"MeanLogVarianceLoss needs means and log variances (batch, 2k); got {prediction.shape}.")
        k = prediction.shape[1] // 2
        mean, log_variance = prediction[:, :k], prediction[:, k:]
        residual = self._matched(mean, target) - mean
        losses = (log_variance + residual * residual * (-log_variance).exp()) * 0.5
        return self._reduce(losses + 0.5 * math.log(2 * math.pi) if self.full else losses, mean)
