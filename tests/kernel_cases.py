"""Ways to call each kernel, and how its result is compared with NumPy's; for the tests of every backend."""

import numpy as np
import pytest

from tinynet import get_backend
from tinynet.primitives import ARRAY

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
P = np.abs(X) + 0.1
CUBE = rng.normal(size=(2, 4, 3))
MASK = X > 0
ROWS, COLUMNS = np.array([3, 0, 3, -1]), np.array([0, 2, 0, 1], "uint8")
TARGET = np.array([2, 0, 1, 1])
KEYS = rng.normal(size=(2, 4, 4))
GATES, W_IH, W_HH = rng.normal(size=(2, 6, 4, 3)), rng.normal(size=(12, 3)), rng.normal(size=(12, 3))
IMAGES, FILTERS, MAPS = (rng.normal(size=s) for s in ((2, 2, 7, 4), (4, 2, 3, 2), (2, 4, 2, 4)))
PICTURES = rng.normal(size=(2, 4, 7, 4)).round()
WINDOW = {"stride": (2, 1), "padding": ((1, 0), (0, 1)), "dilation": (2, 1)}
POOL = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}
OVERLAPPING = {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((0, 1), (1, 0))}
PADDING = CUBE[..., :1] > 0  # (steps, batch, 1)

BINARY = ("add", "sub", "mul", "div", "maximum", "minimum")
UNARY = ("neg", "exp", "sin", "cos", "abs", "erf", "sign", "tanh", "sigmoid", "relu", "softplus")
ORDER = ("greater", "greater_equal", "less", "less_equal")
# kernel -> the ways to call it: (inputs, parameters)
CASES = {
    **{key: [((X, Y), {}), ((X, 2.0), {}), ((X, Y[0]), {})] for key in BINARY},
    **{key: [((np.round(X), np.round(Y)), {}), ((X, 0), {})] for key in ORDER},
    **{key: [((np.round(X), np.round(Y)), {}), ((ROWS, COLUMNS), {})] for key in ("equal", "not_equal")},
    **{key: [((X,), {})] for key in UNARY},
    **{key: [((P,), {})] for key in ("log", "sqrt")},
    **{key: [((CUBE,), {"axis": (0, 2)}), ((X,), {"axis": (1,)})] for key in ("sum", "max", "min")},
    **{key: [((CUBE,), {"axis": 1})] for key in ("argmax", "argmin")},
    "pow": [((P, Y), {}), ((X, 2), {}), ((X, 1), {}), ((P, 0.5), {}), ((0.9, P), {})],
    "leaky_relu": [((X,), {"slope": 0.1})],
    "clip": [((X,), {"low": -0.5, "high": 0.5})],
    "where": [((MASK, X, Y), {}), ((MASK, X, 0.0), {}), ((MASK, 1.0, Y), {})],
    "matmul": [
        ((X, Y.T), {}),
        ((X.T, Y), {}),
        ((CUBE, Y.T), {}),
        ((CUBE, np.swapaxes(CUBE, 1, 2)), {}),
        ((X, np.swapaxes(CUBE, 1, 2)), {}),
        ((CUBE[:, :0], Y.T), {}),
        ((CUBE.astype("float32"), Y.T), {}),
    ],
    "cast": [((X * 5,), {"dtype": "int32"}), ((MASK,), {"dtype": "float32"})],
    "copy": [((X,), {}), ((X,), {"dtype": "float32"})],
    "reshape": [((CUBE,), {"shape": (4, 6)})],
    "transpose": [((CUBE,), {"axes": (2, 0, 1)})],
    "broadcast_to": [((X[:, :1],), {"shape": (2, 4, 3)})],
    "concatenate": [((X, Y), {"axis": 1})],
    "gather": [
        ((X,), {"index": (slice(1, None, 2), 0)}),
        ((CUBE,), {"index": (Ellipsis, None, 2)}),
        ((X, ROWS), {"index": (ARRAY,)}),
        ((X, ROWS, COLUMNS), {"index": (ARRAY, ARRAY)}),
        ((CUBE, COLUMNS), {"index": (1, None, Ellipsis, ARRAY)}),
    ],
    "take": [((X, ROWS % 4), {}), ((CUBE, ROWS[:2] % 2), {}), ((TARGET, ROWS % 4), {})],
    "scatter_add": [
        ((X[:2],), {"index": (slice(1, 3),), "shape": (5, 3)}),
        ((X, ROWS), {"index": (ARRAY,), "shape": (4, 3)}),
        ((X[:, 0], ROWS, COLUMNS), {"index": (ARRAY, ARRAY), "shape": (4, 3)}),
    ],
    "uniform": [((np.array([7, 3]),), {"shape": (2, 5), "dtype": d}) for d in ("float32", "float64")],
    "linear": [((X, Y, Y[:, 0]), {}), ((CUBE, Y, Y[:, 0]), {}), ((X, Y, None), {})],
    "softmax": [((X,), {"dim": -1}), ((CUBE,), {"dim": 1})],
    "log_softmax": [((X,), {"dim": -1})],
    "relu_gradient": [((X, np.maximum(Y, 0)), {})],
    "rows_times": [((X, Y.T), {}), ((CUBE, Y.T), {})],
    "rows_product": [((X, Y), {}), ((CUBE, CUBE[..., :2]), {})],
    "sum_to": [((CUBE,), {"shape": shape}) for shape in ((3,), (4, 3), (2, 1, 3), (1, 1, 3), (1, 1), ())],
    "softmax_cross_entropy": [((X, TARGET), {}), ((X, TARGET.astype("uint8")), {}), ((X, TARGET), {"mean": True})],
    "rnn": [
        ((CUBE, X, Y[:3], W_HH[:3], b, m), {"nonlinearity": n})
        for m, b in ((None, W_HH[:3, 0]), (PADDING, None))
        for n in ("tanh", "relu")
    ],
    "rnn_grad": [((CUBE[::-1], CUBE, -CUBE, X, Y[:3], W_HH[:3], m, CUBE), {}) for m in (None, PADDING)],
    "lstm": [((CUBE, X, Y, W_IH, W_HH, b, m), {}) for m, b in ((None, W_HH[:, 0]), (PADDING, None))],
    "lstm_grad": [((np.stack([CUBE, -CUBE]),) * 2 + (CUBE, X, W_IH, W_HH, m, GATES), {}) for m in (None, PADDING)],
    "gru": [((CUBE, X, W_IH[:9], W_HH[:9], b, b, m), {}) for m, b in ((None, W_HH[:9, 0]), (PADDING, None))],
    "gru_grad": [((CUBE, -CUBE, CUBE, X, W_IH[:9], W_HH[:9], m, GATES[:, :4]), {}) for m in (None, PADDING)],
    "embedding": [
        ((X, COLUMNS), {"padding_idx": None, "layer": "a"}),
        ((X, TARGET.reshape(2, 2)), {"padding_idx": 1, "layer": "a"}),
    ],
    "conv2d": [((IMAGES, FILTERS, b), {**WINDOW, "groups": 1}) for b in (None, Y[:, 0])]
    + [((IMAGES, FILTERS[:, :1], None), {**WINDOW, "groups": 2})],
    "conv_transpose2d": [((MAPS, FILTERS, b), {"size": (7, 4), **WINDOW, "groups": 1}) for b in (None, Y[0, :2])],
    "conv2d_weight_grad": [((MAPS, IMAGES), {"kernel_size": (3, 2), **WINDOW, "groups": groups}) for groups in (1, 2)],
    "max_pool2d": [((IMAGES,), {"kernel_size": (2, 3), **WINDOW}), ((np.round(IMAGES),), POOL | {"dilation": (1, 1)})],
    "max_pool2d_grad": [
        ((MAPS, PICTURES, MAPS.round()), {"kernel_size": (3, 2), **WINDOW}),
        ((MAPS[..., :2], PICTURES[:, :, :4], MAPS[..., :2].round()), {**POOL, "dilation": (1, 1)}),
    ],
    "sum_pool2d": [((IMAGES,), POOL), ((IMAGES,), OVERLAPPING)],
    "sum_pool2d_grad": [((MAPS[..., :2],), {"size": (5, 4), **POOL}), ((MAPS,), {"size": (5, 4), **OVERLAPPING})],
    "normalise": [
        ((CUBE, Y[0], Y[1]), {"axes": (2,), "eps": 1e-5}),
        ((CUBE, Y[:, :1], None), {"axes": (0, 2), "eps": 1e-5}),
    ],
    "normalise_grad": [
        ((CUBE[::-1], CUBE, Y[0], CUBE[..., :1], np.abs(CUBE[..., :1])), {"axes": (2,), "eps": 1e-5}),
        ((CUBE[::-1], CUBE, None, CUBE[:1, :, :1], P[:, :1]), {"axes": (0, 2), "eps": 1e-5}),
    ],
    "attention": [
        ((CUBE, CUBE[:, ::-1], KEYS, m, k), {"causal": c, "scale": 0.5})
        for m, k, c in ((None, None, False), (KEYS > -1, None, True), (KEYS, KEYS > 0, True))
    ],
    "attention_grad": [
        ((CUBE, -CUBE, CUBE, CUBE[:, ::-1], CUBE, k, np.abs(KEYS)), {"causal": False, "scale": 0.5})
        for k in (None, KEYS > 0)
    ],
    "assemble": [
        ((CUBE, *CUBE[::-1]), {"indices": ((0,), (1,))}),
        (
            (CUBE.transpose(1, 0, 2), *-CUBE, CUBE[0]),
            {"indices": ((..., 1, slice(None)), (slice(None), 0), (slice(None), 1))},
        ),
    ],
    "rotary": [((KEYS,), {"offset": 3, "base": 100.0, "turn": turn}) for turn in (1, -1)],
    "gelu": [((x,), {"approximate": a}) for x in (CUBE, CUBE.astype("float32")) for a in ("none", "tanh")],
    "embedding_grad": [((X, COLUMNS), {"rows": 5}), ((CUBE, TARGET.reshape(2, 2).repeat(2, 1)), {"rows": 3})],
}


def calls(names=CASES):
    """Every way to call these kernels, as parameters of a test: ``name, inputs, params``."""
    return [
        pytest.param(name, *call, id=f"{name}-{i}")
        for name in CASES
        if name in names
        for i, call in enumerate(CASES[name])
    ]


def launch(backend, name, inputs, params, **out):
    """The kernel's result, on arrays that lie on the backend."""
    inputs = [backend.array(x) if isinstance(x, np.ndarray) else x for x in inputs]
    return backend.launch(name, *inputs, **out, **params)


def check(backend, name, inputs, params):
    """The kernel gives NumPy's numbers."""
    same(backend, launch(backend, name, inputs, params), launch(get_backend("numpy"), name, inputs, params), name)


def check_out(backend, name, inputs, params, transposed):
    """The kernel gives NumPy's numbers in the arrays it was handed, laid out row by row or transposed."""
    expected = launch(get_backend("numpy"), name, inputs, params)
    several = isinstance(expected, tuple)
    shapes = [(e.shape[::-1] if transposed else e.shape, e.dtype.name) for e in (expected if several else (expected,))]
    room = [backend.full(shape, 1, dtype) for shape, dtype in shapes]
    room = tuple(backend.launch("transpose", r, axes=tuple(range(r.ndim))[::-1]) if transposed else r for r in room)
    found = launch(backend, name, inputs, params, out=room if several else room[0])
    assert all(f is o for f, o in zip(found if several else (found,), room, strict=True))
    same(backend, found, expected, name)


def same(backend, found, expected, what):
    """One array, or several, as NumPy has them: values to rounding, shape and dtype exactly."""
    found, expected = ((x if isinstance(x, tuple) else (x,)) for x in (found, expected))
    for a, b in zip(found, expected, strict=True):
        assert isinstance(a, backend.array_type), f"{what} returned {type(a)}"
        a = backend.numpy(a)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{what}: {a.shape} {a.dtype}, NumPy {b.shape} {b.dtype}"
        tolerance = 1e-12 if b.dtype == np.float64 else 1e-6  # rounding: a few units in the last place
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)
