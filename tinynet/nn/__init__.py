"""Layers, activations, losses and initialisers, under PyTorch's names. Each file holds one theme."""

from tinynet.nn import functional, init
from tinynet.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Step, Tanh
from tinynet.nn.attention import MultiHeadAttention, MultiheadAttention
from tinynet.nn.cells import GRUCell, LSTMCell, RNNCell
from tinynet.nn.containers import ModuleList, Sequential
from tinynet.nn.conv import Conv1d, Conv2d, ConvTranspose2d
from tinynet.nn.dropout import Dropout, Dropout2d
from tinynet.nn.embedding import Embedding
from tinynet.nn.gpt import GPT
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
from tinynet.nn.norm import BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm
from tinynet.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from tinynet.nn.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from tinynet.nn.recurrent import GRU, LSTM, RNN
from tinynet.nn.regression import L1Loss, MeanLogVarianceLoss, MSELoss, QuadraticCost, SmoothL1Loss, SumSquaredResiduals
from tinynet.nn.shape import Flatten
from tinynet.nn.transformer import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from tinynet.nn.upsample import Upsample
from tinynet.parameter import Parameter

__all__ = [
    "Module", "ModuleList", "Parameter", "Sequential",
    "Linear", "Perceptron",
    "Conv1d", "Conv2d", "ConvTranspose2d", "AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d", "Upsample", "Flatten",
    "BatchNorm1d", "BatchNorm2d", "Dropout", "Dropout2d", "LayerNorm", "RMSNorm",
    "Embedding", "GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell",
    "MultiheadAttention", "MultiHeadAttention", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer", "LearnedPositions", "RotaryPositions", "SinusoidalPositions", "GPT",
    "GELU", "LeakyReLU", "ReLU", "Sigmoid", "SiLU", "Softmax", "Softplus", "Step", "Tanh",
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HingeLoss", "Loss", "l2_penalty",
    "L1Loss", "MSELoss", "MeanLogVarianceLoss", "QuadraticCost", "SmoothL1Loss", "SumSquaredResiduals",
    "functional", "init",
]  # fmt: skip
