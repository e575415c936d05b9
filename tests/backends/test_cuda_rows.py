"""Softmax, its logarithm and cross-entropy on CUDA give NumPy's numbers: any layout, type and length, nan and all."""

import numpy as np
import on_cuda
import pytest
import strict_cuda
from on_cuda import HALVES, LAYOUTS, TYPES, in_type, launches, there

from tinynet.backends.cuda.kernels import rows
from tinynet.backends.kernels import table
from tinynet.dtypes import check_dtype
from tinynet.errors import ArgumentError

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(11)
NUMPY = table(np)
# In units of the largest number: a few roundings in the last place of a float or double, one of a half float.
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 1e-2, "float16": 1e-3}
SOFTMAX = [
    ((1, 1), 1), ((5, 31), 1), ((5, 33), -1), ((33, 5), 0), ((3, 4, 5), 1), ((2, 3, 40), 1), ((2, 80, 40), 1),
    ((1000,), 0), ((2, 700), 1), ((257, 2), 1), ((2, 3, 4, 5), 2),
]  # fmt: skip
ENTROPY = [(1, 1), (31, 2), (130, 10), (33, 65), (3, 1000)]


def same(backend, found, expected, dtype, what=""):
    on_cuda.same(backend, found, expected, dtype, TOLERANCE[dtype], what)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape, dim", SOFTMAX, ids=str)
def test_softmax(cupy, name, shape, dim):
    kernel = cupy.kernels[name]
    for dtype in TYPES:
        x, host = in_type(cupy, 3 * rng.normal(size=shape), dtype)
        expected = NUMPY[name](host, dim=dim)
        made = kernel(x, dim=dim)
        assert made.flags.c_contiguous
        same(cupy, made, expected, dtype)
        for lay in LAYOUTS.values() if dtype == "float32" else [np.asfortranarray]:
            given, out = there(cupy, lay(cupy.numpy(x))), there(cupy, lay(np.zeros(shape, cupy.numpy(x).dtype)))
            assert kernel(given, dim=dim, out=out) is out
            for made in (out, kernel(given, dim=dim)):
                same(cupy, made, expected, dtype)


@pytest.mark.parametrize("count, classes", ENTROPY)
@pytest.mark.parametrize("mean", [False, True])
def test_cross_entropy(cupy, count, classes, mean):
    kernel = cupy.kernels["softmax_cross_entropy"]
    classes_wanted = rng.integers(0, min(classes, 256), count)
    for dtype, kind in zip(TYPES, ("int64", "int32", "uint8", "int64")):
        x, host = in_type(cupy, 3 * rng.normal(size=(count, classes)), dtype)
        target = cupy.array(classes_wanted.astype(kind))
        losses, slope = NUMPY["softmax_cross_entropy"](host, classes_wanted, mean)
        for lay in LAYOUTS.values() if dtype == "float32" else [np.asfortranarray]:
            given = there(cupy, lay(cupy.numpy(x)))
            outs = cupy.array(np.zeros(losses.shape), dtype), there(cupy, lay(np.zeros_like(cupy.numpy(x))))
            assert kernel(given, target, mean=mean, out=outs) == outs
            for made in (kernel(given, target, mean), outs):
                same(cupy, made[0], np.asarray(losses), dtype, "losses")
                same(cupy, made[1], slope, dtype, "slope")


def test_targets_may_lie_apart(cupy):
    x, wanted = rng.normal(size=(6, 3)), np.arange(12) % 3
    losses, _ = cupy.launch("softmax_cross_entropy", cupy.array(x), cupy.array(wanted)[::2], mean=False)
    same(cupy, losses, NUMPY["softmax_cross_entropy"](x, wanted[::2])[0], "float64")


EXTREME = np.array([
    [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [3e38, -3e38, 0.0], [-np.inf, 0.0, 1.0], [0.0, -np.inf, -np.inf],
    [-np.inf] * 3, [np.inf, 0.0, 1.0], [np.nan, 0.0, 1.0], [0.0, 1.0, np.nan],
])  # fmt: skip


@pytest.mark.parametrize("copies", [1, 300], ids=["a warp", "a block"])
def test_extremes_are_numpys(cupy, copies):
    """Rows of 3 numbers, and of 900."""
    for dtype in ("float32", "float64"):
        x = np.tile(EXTREME, copies).astype(dtype)
        with np.errstate(all="ignore"):
            expected = {name: NUMPY[name](x, dim=1) for name in ("softmax", "log_softmax")}
            losses, slope = NUMPY["softmax_cross_entropy"](x, np.zeros(len(x), int))
        for name, wanted in expected.items():
            same(cupy, cupy.launch(name, cupy.array(x), dim=1), wanted.astype("float64"), dtype, name)
        made = cupy.launch("softmax_cross_entropy", cupy.array(x), cupy.array(np.zeros(len(x), int)), mean=False)
        same(cupy, made[0], losses.astype("float64"), dtype)
        same(cupy, made[1], slope.astype("float64"), dtype)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("count", [7, 130])
def test_strays_are_counted_once_each_and_spoil_no_other_row(cupy, count, mean):
    x, target = rng.normal(size=(count, 5)), rng.integers(0, 5, count)
    wrong = target.copy()
    wrong[[0, 2, count - 1]] = -1, 5, 10**12
    losses, slope = cupy.launch("softmax_cross_entropy", cupy.array(x), cupy.array(wrong), mean=mean)
    with pytest.raises(ArgumentError, match="3 of the indices or classes"):
        cupy.numpy(losses)
    _, expected = NUMPY["softmax_cross_entropy"](x, target)
    same(cupy, slope[3 : count - 1], expected[3 : count - 1], "float64")


def test_a_mean_is_added_up_in_the_same_order_every_time(cupy, monkeypatch):
    """Of more rows than blocks have teams; and the count of finished blocks begins at 0 each time."""
    monkeypatch.setattr(rows, "MOST_SUMS", 3)
    x, target = cupy.array(rng.normal(size=(300, 4)).astype("float32")), cupy.array(rng.integers(0, 4, 300))
    first, again = (cupy.numpy(cupy.launch("softmax_cross_entropy", x, target, mean=True)[0]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    expected = NUMPY["softmax_cross_entropy"](cupy.numpy(x).astype("float64"), cupy.numpy(target), True)[0]
    np.testing.assert_allclose(first, expected, 1e-6)


def test_halves_are_added_up_in_float32(cupy):
    """The mean of 1,200 losses of 60: a float16 ends at 65,504."""
    x, target = cupy.array(np.tile([0.0, 60.0], (1200, 1)), "float16"), cupy.array(np.zeros(1200, int))
    mean, _ = cupy.launch("softmax_cross_entropy", x, target, mean=True)
    assert cupy.numpy(mean) == 60


def test_one_launch_each(strict):
    x, target = strict.array(rng.normal(size=(200, 65)).astype("float32")), strict.array(rng.integers(0, 65, 200))
    for dim in (0, 1):
        assert launches(lambda dim=dim: strict.launch("softmax", x, dim=dim)) == 1
    for mean in (False, True):
        assert launches(lambda mean=mean: strict.launch("softmax_cross_entropy", x, target, mean=mean)) == 1


@pytest.mark.parametrize("dtype", HALVES)
def test_half_floats_go_in_as_they_lie(strict, dtype):
    x, target = strict.array(rng.normal(size=(9, 5)), check_dtype(dtype)), strict.array(rng.integers(0, 5, 9))
    assert launches(lambda: strict.launch("log_softmax", x, dim=1)) == 1
    assert launches(lambda: strict.launch("softmax_cross_entropy", x, target, mean=True)) == 1


def test_what_the_kernels_do_not_take_is_cupys(cupy):
    empty = cupy.full((0, 5), 1.0, "float32")
    assert cupy.launch("softmax", empty, dim=1).shape == (0, 5)
    losses, slope = cupy.launch("softmax_cross_entropy", empty, cupy.array(np.zeros(0, int)), mean=False)
    assert (losses.shape, slope.shape) == ((0,), (0, 5))
    out = cupy.full((4, 3), 1.0, "float32")
    x = rng.normal(size=(4, 3))
    assert cupy.launch("softmax", cupy.array(x), dim=1, out=out) is out  # of another type
    np.testing.assert_allclose(cupy.numpy(out), NUMPY["softmax"](x, dim=1), 1e-6)
