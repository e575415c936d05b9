"""A layer of several inputs and masks beside its twin, PyTorch's or its own on the scalar backend (see ``twins``)."""

import numpy as np
from support import engine, same, weights

import tinynet as tn
from tinynet import Tensor


def weighed(outputs, tensor):
    """One number in which every output counts, for a gradient to come from."""
    return sum((x * tensor(weights(tuple(x.shape)))).sum() for x in outputs if x is not None)


def several(x):
    return x if isinstance(x, tuple) else (x,)


def are_pytorchs(ours, theirs, arrays, **settings):
    """Fail unless both, with the same weights, give the same outputs, gradients of inputs and of every parameter.

    Args:
        arrays: what both are called with; one that occurs twice stays one tensor. Arrays among the settings are masks.
    """
    import torch

    if isinstance(theirs, torch.nn.Module):
        random = np.random.default_rng(0)
        for parameter in theirs.double().parameters():  # biases that are not 0, norms that are not 1
            parameter.data.copy_(torch.tensor(random.uniform(-1, 1, tuple(parameter.shape))))
        ours.to("float64").load_state_dict({name: t.numpy() for name, t in theirs.state_dict().items()})
    results = []
    for layer, tensor in ((ours, Tensor), (theirs, torch.tensor)):
        given = {id(x): tensor(x, requires_grad=True) for x in arrays}
        masks = {name: tensor(x) if isinstance(x, np.ndarray) else x for name, x in settings.items()}
        outputs = several(layer(*[given[id(x)] for x in arrays], **masks))
        weighed(outputs, tensor).backward()
        named = {f"output {i}": x for i, x in enumerate(outputs)}
        named |= {f"gradient of input {i}": x.grad for i, x in enumerate(given.values())}
        if hasattr(layer, "named_parameters"):
            named |= {f"gradient of {name}": p.grad for name, p in layer.named_parameters()}
        results.append({name: None if x is None else np.asarray(x.detach()) for name, x in named.items()})
    found, expected = results
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name] is None) == (array is None), name
        if array is not None:  # sums of some hundred terms around 1, of which little may be left
            same(found[name], array, name, 1e-10, 1e-11)


def agree_with_values(layer, arrays, **settings):
    """Fail unless NumPy, the stand-in for CuPy and Values give the same outputs and gradients, dropout included."""
    results = []
    for backend in ("scalar", "numpy", "strict"):
        layer.to(engine(backend), "float64").zero_grad()
        tn.manual_seed(5)
        given = [Tensor(x, backend=engine(backend)) for x in arrays]
        for x in given:
            x.requires_grad_(x.is_floating_point())
        masks = {
            name: Tensor(x, backend=engine(backend)) if isinstance(x, np.ndarray) else x for name, x in settings.items()
        }
        outputs = several(layer(*given, **masks))
        weighed(outputs, lambda x, backend=backend: Tensor(x, backend=engine(backend))).backward()
        named = {f"output {i}": x for i, x in enumerate(outputs) if x is not None}
        named |= {f"gradient of input {i}": x.grad for i, x in enumerate(given) if x.requires_grad}
        named |= {f"gradient of {name}": p.grad for name, p in layer.named_parameters()}
        results.append({name: x.numpy() for name, x in named.items()})
    for other in results[1:]:
        assert other.keys() == results[0].keys()
        for name, array in other.items():
            same(array, results[0][name], name, 1e-11, 1e-12)  # the same sums in another order
