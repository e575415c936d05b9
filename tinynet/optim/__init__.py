"""Optimisers, gradient clipping and learning-rate schedules, under PyTorch's names."""

from tinynet.optim.adam import Adagrad, Adam, AdamW, RMSprop
from tinynet.optim.clipping import clip_grad_norm_, clip_grad_value_
from tinynet.optim.optimizer import Optimizer
from tinynet.optim.scaling import GradScaler
from tinynet.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
    WarmupLR,
)
from tinynet.optim.sgd import SGD, Descent, gradient_descent

__all__ = [
    "Optimizer", "SGD", "Adagrad", "RMSprop", "Adam", "AdamW",
    "Descent", "gradient_descent",
    "clip_grad_norm_", "clip_grad_value_", "GradScaler",
    "Schedule", "ConstantLR", "StepLR", "ExponentialLR", "CosineAnnealingLR", "WarmupLR", "ReduceLROnPlateau",
]  # fmt: skip
