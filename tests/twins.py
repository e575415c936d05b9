"""A layer beside its twin, PyTorch's or its own on the scalar backend: outputs, gradients and buffers must agree."""

from typing import Any

import numpy as np
from support import engine, same, weights

import tinynet as tn
from tinynet import Tensor


def found(layer: Any, x: Any, backend: str = "numpy", passes: int = 1) -> dict[str, Any]:
    """What a layer gives for x: the output, the gradients of x and of every parameter, and the buffers after it."""
    layer.to(engine(backend), "float64")
    for _ in range(passes):
        layer.zero_grad()
        given = Tensor(x, backend=engine(backend), requires_grad=True)
        out = layer(given)
        out.backward(Tensor(weights(out.shape), backend=out.backend))
    arrays = {"output": out, "gradient of x": given.grad}
    arrays |= {f"gradient of {name}": p.grad for name, p in layer.named_parameters()}
    return {name: t.numpy() for name, t in (*arrays.items(), *layer.named_buffers())}


def is_pytorchs(layer: Any, theirs: Any, x: Any, passes: int = 1, backend: str = "numpy") -> None:
    """Fail unless the layer, with its twin's weights, computes what its twin in PyTorch computes.

    Sums of at most a few hundred products of size 1 differ by some 1e-14; 1e-10 leaves room and hides nothing.
    """
    import torch

    theirs.double()
    layer.load_state_dict({name: t.detach().numpy() for name, t in theirs.state_dict().items()})
    layer.to(dtype="float64").load_state_dict({name: t.detach().numpy() for name, t in theirs.state_dict().items()})
    for _ in range(passes):
        theirs.zero_grad()
        given = torch.tensor(x, requires_grad=True)
        out = theirs(given)
        out.backward(torch.tensor(weights(tuple(out.shape))))
    expected = {"output": out, "gradient of x": given.grad}
    expected |= {f"gradient of {name}": p.grad for name, p in theirs.named_parameters()} | dict(theirs.named_buffers())
    ours = found(layer, x, backend, passes)
    assert ours.keys() == expected.keys()
    for name, array in ours.items():
        same(array, expected[name].detach().numpy(), f"{layer}: {name}", 1e-10, 1e-12)


def is_its_own_on_scalars(layer: Any, x: Any, passes: int = 1) -> None:
    """Fail unless NumPy, the stand-in for CuPy and Values give the same numbers."""
    before = {name: t.numpy() for name, t in layer.to(dtype="float64").state_dict().items()}
    results = []
    for backend in ("scalar", "numpy", "strict"):
        tn.manual_seed(5)
        results.append(found(layer, x, backend, passes))
        layer.load_state_dict(before)
    for other in results[1:]:
        assert other.keys() == results[0].keys()
        for name, array in other.items():
            same(array, results[0][name], f"{layer}: {name}", 1e-11, 1e-12)  # the same sums in another order


def replays_as_it_runs(layer: Any, x: Any) -> None:
    """Fail unless a recorded forward and backward pass gives bit for bit what running it gives, twice over."""
    x = np.asarray(x, np.float32)
    before = {name: t.numpy() for name, t in layer.to("numpy", "float32").state_dict().items()}

    def step(x: Tensor) -> Any:
        layer.zero_grad()
        out = layer(x)
        (out * out).sum().backward()
        return out, [p.grad for p in layer.parameters()]

    seen = []
    for function in (step, tn.capture(step)):
        layer.load_state_dict(before)
        tn.manual_seed(5)
        for scale in (1.0, 0.5, -2.0):
            out, gradients = function(Tensor(x * np.float32(scale)))
            seen.append([t.numpy() for t in (out, *gradients, *layer.state_dict().values())])
    for run, replayed in zip(seen[:3], seen[3:], strict=True):
        for a, b in zip(run, replayed, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
