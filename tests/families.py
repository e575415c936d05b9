"""One small model of each family, with a batch for it: what several tests run on every backend."""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet import Tensor, nn

CLASSES = 3


class LastState(nn.Module):
    """A recurrent layer over embedded characters, and a class from its last state."""

    def __init__(self, layer: Any, dropout: float = 0.0) -> None:
        self.embedding = nn.Embedding(5, 3)
        self.recurrent = layer(3, 2, num_layers=2, batch_first=True, bidirectional=True, dropout=dropout)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.recurrent(self.embedding(x))
        return self.head(out[:, -1])


class OneBlock(nn.Module):
    """One transformer block over embedded characters, and a class from the mean over the steps."""

    def __init__(self, dropout: float = 0.0) -> None:
        self.embedding = nn.Embedding(5, 4)
        self.block = nn.TransformerEncoderLayer(4, 2, dim_feedforward=6, dropout=dropout, batch_first=True)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.embedding(x)).mean(1))


def convolutional(dropout: float = 0.0) -> nn.Module:
    """Convolution, normalisation, pooling, and a dense layer."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2),
        nn.Dropout2d(dropout), nn.Tanh(), nn.AvgPool2d(2, stride=1), nn.Flatten(), nn.Dropout(dropout),
        nn.Linear(3, CLASSES),
    )  # fmt: skip


MODELS = {
    "cnn": convolutional,
    "rnn": lambda dropout=0.0: LastState(nn.RNN, dropout),
    "lstm": lambda dropout=0.0: LastState(nn.LSTM, dropout),
    "gru": lambda dropout=0.0: LastState(nn.GRU, dropout),
    "transformer": OneBlock,
}


def make(family: str, dropout: float = 0.0, seed: int = 0) -> nn.Module:
    """The model, the same for one seed."""
    tn.manual_seed(seed)
    return MODELS[family](dropout)


def batch(family: str, size: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Images of 6 × 6, or sequences of 4 characters; and their classes."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(size, 1, 6, 6)) if family == "cnn" else random.integers(0, 5, (size, 4))
    return x.astype(np.float32) if family == "cnn" else x, random.integers(0, CLASSES, size)
