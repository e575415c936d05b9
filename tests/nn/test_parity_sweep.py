"""One model on two engines: every activation with every loss, values and all gradients on scalar and on NumPy.

The scalar backend finds its gradients by ``Value.backward`` and uses none of the tensor rules, so that agreement here
means that both are right, or wrong in the same way by two different roads.
"""

import numpy as np
import pytest
from support import same

import tinynet as tn
from tinynet import nn

ACTIVATIONS = {
    "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "leaky relu": nn.LeakyReLU, "softplus": nn.Softplus,
    "gelu": nn.GELU, "gelu tanh": lambda: nn.GELU("tanh"), "softmax": nn.Softmax,
}  # fmt: skip
OUTPUTS = 3
LOSSES = {  # name -> (the loss, what the model ends with, targets for four examples)
    "mse": (nn.MSELoss(), [], np.linspace(-1, 1, 12).reshape(4, 3)),
    "mse sum": (nn.SumSquaredResiduals(), [], np.linspace(-1, 1, 12).reshape(4, 3)),
    "quadratic": (nn.QuadraticCost(), [nn.Sigmoid()], np.array([0, 2, 1, 1])),
    "cross-entropy": (nn.CrossEntropyLoss(), [], np.array([0, 2, 1, 1])),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.1), [], np.array([0, 2, 1, 1])),
    "bce with logits": (nn.BCEWithLogitsLoss("batchmean"), [], np.array([0, 2, 1, 1])),
    "bce": (nn.BCELoss(), [nn.Sigmoid()], np.linspace(0, 1, 12).reshape(4, 3)),
    "hinge": (nn.HingeLoss(), [], np.tile([1, -1, -1], (4, 1))),
}


def step(model, loss, x, y, backend):
    """The prediction, the loss and every gradient, as float64."""
    model.to(backend, "float64")
    model.zero_grad()
    prediction = model(x)
    value = loss(prediction, y)
    value.backward()
    gradients = {f"gradient of {name}": p.grad.numpy() for name, p in model.named_parameters()}
    return {"prediction": prediction.numpy(), "loss": value.numpy()} | gradients


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_scalar_and_numpy_agree(activation, loss):
    tn.manual_seed(2)
    function, ending, y = LOSSES[loss]
    bend = ACTIVATIONS[activation]
    model = nn.Sequential(nn.Linear(4, 5), bend(), nn.Linear(5, 4), bend(), nn.Linear(4, OUTPUTS), *ending)
    x = np.random.default_rng(0).normal(size=(4, 4))
    scalar, numpy = (step(model, function, x, y, backend) for backend in ("scalar", "numpy"))
    assert all(np.abs(array).max() > 1e-8 for array in scalar.values()), "nothing to compare"
    for name in scalar:
        largest = np.abs(scalar[name]).max()
        # A few hundred roundings of 1e-16 on the way, and sums in another order that may cancel: 1e-12 of the largest.
        same(numpy[name], scalar[name], f"{activation}, {loss}: {name}", 1e-12, 1e-12 * largest)
