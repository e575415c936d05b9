"""Rotary positions on CUDA give NumPy's numbers, forwards and back, in whatever order heads lie."""

import numpy as np
import on_cuda
import pytest
import strict_cuda
from on_cuda import LAYOUTS, TYPES, in_type, launches, there

from tinynet.backends.kernels import table

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(14)
NUMPY = table(np)
TOLERANCE = {"float64": 1e-13, "float32": 1e-6, "bfloat16": 2e-2, "float16": 3e-3}  # a rounding of numbers up to 4
HEADS = LAYOUTS | {"heads inside": lambda x: np.swapaxes(np.swapaxes(x, 0, -2).copy(), 0, -2)}


@pytest.mark.parametrize("shape", [(1, 2), (31, 6), (2, 33, 4), (2, 3, 5, 8), (20, 3, 2, 4), (2, 2, 3, 5, 2)], ids=str)
@pytest.mark.parametrize("turn", [1, -1])
def test_pairs_are_turned(cupy, shape, turn):
    for dtype in TYPES:
        x, host = in_type(cupy, rng.normal(size=shape), dtype)
        expected = NUMPY["rotary"](host, 3, 100.0, turn)
        for lay in HEADS.values() if dtype == "float32" else [np.asfortranarray]:
            given, out = (there(cupy, lay(a)) for a in (cupy.numpy(x), np.zeros_like(cupy.numpy(x))))
            assert cupy.kernels["rotary"](given, 3, 100.0, turn, out=out) is out
            for made in (out, cupy.kernels["rotary"](given, 3, 100.0, turn)):
                on_cuda.same(cupy, made, expected, dtype, TOLERANCE[dtype])


def test_far_positions_are_turned_as_exactly(cupy):
    """At position 100,000 a float32 would know the angle of the fastest pair to 4e-3."""
    x = np.ones((2, 4), "float32")
    found = cupy.numpy(cupy.launch("rotary", cupy.array(x), offset=100_000, base=10_000.0, turn=1))
    np.testing.assert_allclose(found, NUMPY["rotary"](x.astype("float64"), 100_000, 10_000.0, 1), 1e-5, 1e-6)


def test_heads_are_turned_where_they_lie(strict):
    """Queries as attention sees them: a part of one product, (batch, length, 3, heads, width)."""
    whole = rng.normal(size=(2, 5, 3, 2, 4))
    q = strict.array(whole)[:, :, 1].transpose(0, 2, 1, 3)
    turn = lambda: strict.launch("rotary", q, offset=0, base=100.0, turn=1)
    assert launches(turn) == 1
    np.testing.assert_allclose(
        strict.numpy(turn()), NUMPY["rotary"](whole[:, :, 1].transpose(0, 2, 1, 3), 0, 100.0, 1), 1e-13
    )


def test_what_the_kernel_does_not_take_is_cupys(cupy):
    assert cupy.launch("rotary", cupy.full((0, 3, 4), 1.0, "float32"), offset=0, base=100.0, turn=1).shape == (0, 3, 4)
