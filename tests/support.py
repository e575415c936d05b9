"""What several test files share: the backends under test, the comparison of arrays, and how random tests are drawn."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from strict_backend import StrictCupy

from tinynet import Tensor, get_backend, registry
from tinynet.backend import Backend

# The same examples on every run and every machine; the first one of a test may be slow to import what it compares with.
settings.register_profile("tinynet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tinynet")

# --- the backends under test: a line each, and every test that is written over them runs on it too --------------------

BACKENDS = [
    pytest.param("numpy", id="numpy"),
    pytest.param("scalar", id="scalar"),
    pytest.param("strict", id="strict"),  # the cupy backend on its stand-in
    pytest.param("cupy", id="cupy", marks=pytest.mark.gpu),
]
MADE_HERE: dict[str, Callable[[], Backend]] = {}  # backends that exist in tests alone

registry._loaded["strict"] = StrictCupy("strict")

on_every_backend = pytest.mark.parametrize("backend", BACKENDS)
on_array_backends = pytest.mark.parametrize("backend", [b for b in BACKENDS if b.values[0] != "scalar"])
"""Backends that use the gradient rules; the scalar one is what they are compared with."""


@cache
def engine(name: str) -> Backend:
    """The backend of that name."""
    return MADE_HERE[name]() if name in MADE_HERE else get_backend(name)


# --- drawing arguments: hypothesis chooses shapes and a seed, NumPy the numbers ---------------------------------------


class Arguments:
    """What a primitive is called with; floats are differentiated, integers and booleans are not."""

    def __init__(self, arrays: list[Any], params: dict[str, Any] | None = None) -> None:
        self.arrays = [x if x is None else np.asarray(x) for x in arrays]  # NumPy draws 0-d ones as bare numbers
        self.params = params or {}

    def __repr__(self) -> str:
        return f"{self.arrays}, {self.params}"


def smooth(random: Any, shape: tuple[int, ...]) -> Any:
    """Any numbers."""
    return random.uniform(-2, 2, shape)


seeds = st.integers(0, 2**32 - 1)

# --- running a function, and comparing --------------------------------------------------------------------------------


def weights(shape: tuple[int, ...]) -> Any:
    """Fixed numbers, unlike each other, to contract an output with: the gradient that arrives from further on."""
    return np.random.default_rng(7).uniform(0.5, 1.5, shape)


def run(function: Callable[..., Any], arrays: list[Any], backend: str) -> tuple[Any, list[Any]]:
    """The value of a function of Tensors, and the gradient for each input of floats (None for the others), as NumPy."""
    given = [Tensor(x, backend=engine(backend)) if isinstance(x, np.ndarray) else x for x in arrays]
    for x in given:
        if isinstance(x, Tensor) and x.is_floating_point():
            x.requires_grad_()
    out = function(*given)
    if out.requires_grad:
        out.backward(Tensor(weights(out.shape).astype(out.dtype), backend=out.backend))
    return out.numpy(), [x.grad.numpy() if isinstance(x, Tensor) and x.grad is not None else None for x in given]


def same(actual: Any, expected: Any, what: str, rtol: float, atol: float = 0.0) -> None:
    """Fail, naming the index and both numbers, unless two arrays have one shape and agree to the tolerance."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    a, b = actual.astype(float), expected.astype(float)
    with np.errstate(invalid="ignore"):
        wrong = ~((np.abs(a - b) <= atol + rtol * np.abs(b)) | (a == b) | (np.isnan(a) & np.isnan(b)))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{what}: {wrong.sum()} of {wrong.size} elements differ; at {index} got {actual[index]!r}, "
            f"expected {expected[index]!r} (rtol {rtol:g}, atol {atol:g})"
        )


def same_again(backend: str, actual: Any, expected: Any, what: str = "") -> None:
    """What the same kernels give a second time, or in a replay: bit for bit. On a card to rounding: atomics add in any
    order, a product may be computed in another way where its arrays lie elsewhere, and a chain of operations in one
    launch rounds fewer times."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if backend != "cupy" or expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected, strict=True, err_msg=what)
        return
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), what
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    rounding = 64 * float(np.finfo(expected.dtype).eps)
    same(actual, expected, what, rounding, rounding * largest)


def same_gradients(found: list[Any], expected: list[Any], what: str, rtol: float, atol: float = 0.0) -> None:
    """``same`` for the gradient of each argument; one that did not arrive counts as zeros."""
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a is not None or b is not None:
            a = np.zeros_like(b) if a is None else a
            same(a, np.zeros_like(a) if b is None else b, f"{what}, gradient of argument {i}", rtol, atol)


def published_graph(a, b):
    """The expression of micrograd's README."""
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g
