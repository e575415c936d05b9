"""Training: the loop, its history, its checkpoints."""

from tinynet.training.callbacks import Callback, EarlyStopping, OverfittingWarning
from tinynet.training.checkpoint import load, save
from tinynet.training.history import History
from tinynet.training.metrics import accuracy, confusion_matrix, error
from tinynet.training.trainer import Trainer

__all__ = [
    "Trainer", "History", "Callback", "EarlyStopping", "OverfittingWarning", "load", "save",
    "accuracy", "error", "confusion_matrix",
]  # fmt: skip
