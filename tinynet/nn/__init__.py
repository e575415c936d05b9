"""Layers, activations, losses and initialisers, under PyTorch's names. Each file holds one theme."""

from tinynet.nn import functional, init
from tinynet.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Step, Tanh
from tinynet.nn.containers import ModuleList, Sequential
from tinynet.nn.conv import Conv2d
from tinynet.nn.linear import Linear, Perceptron
from tinynet.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HingeLoss,
    Loss,
    l2_penalty,
)
from tinynet.nn.module import Module
from tinynet.nn.regression import L1Loss, MeanLogVarianceLoss, MSELoss, QuadraticCost, SmoothL1Loss, SumSquaredResiduals
from tinynet.parameter import Parameter

__all__ = [
    "Module", "ModuleList", "Parameter", "Sequential",
    "Linear", "Perceptron",
    "Conv2d",
    "GELU", "LeakyReLU", "ReLU", "Sigmoid", "Softmax", "Softplus", "Step", "Tanh",
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HingeLoss", "Loss", "l2_penalty",
    "L1Loss", "MSELoss", "MeanLogVarianceLoss", "QuadraticCost", "SmoothL1Loss", "SumSquaredResiduals",
    "functional", "init",
]  # fmt: skip
