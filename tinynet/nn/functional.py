"""The layers' mathematics as functions, under the name where PyTorch keeps it."""

from tinynet.nn.activations import log_softmax, softmax
from tinynet.nn.linear import linear
from tinynet.nn.losses import softmax_cross_entropy

__all__ = ["linear", "log_softmax", "softmax", "softmax_cross_entropy"]
