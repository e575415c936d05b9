"""Random numbers on CUDA are bit for bit NumPy's, and every draw counts once, in graphs too."""

import numpy as np
import pytest
import strict_cuda
from on_cuda import HALVES, launches

import tinynet as tn
from tinynet.backends.cuda.kernels import sampling
from tinynet.backends.kernels import table

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

NUMPY = table(np)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("shape", [(), (1,), (31,), (33, 3), (2, 5, 70)], ids=str)
def test_numbers_and_count_are_numpys(cupy, shape, dtype):
    for seed in (7, 2**32 - 1):
        host = np.array([seed, 2**31 - 1])
        state = cupy.array(host)
        for _ in range(3):
            expected = NUMPY["uniform"](host, shape, dtype)
            found = cupy.launch("uniform", state, shape=shape, dtype=dtype)
            np.testing.assert_array_equal(cupy.numpy(found), expected, strict=True)
            np.testing.assert_array_equal(cupy.numpy(state), host)


def test_blocks_that_go_round_and_an_out_that_lies_in_columns(cupy, monkeypatch):
    monkeypatch.setattr(sampling, "MOST_BLOCKS", 3)
    host = np.array([5, 0])
    state, out = cupy.array(host), cupy.launch("transpose", cupy.full((40, 50), 7.0, "float32"), axes=(1, 0))
    for _ in range(2):
        assert cupy.launch("uniform", state, shape=(50, 40), dtype="float32", out=out) is out
        np.testing.assert_array_equal(cupy.numpy(out), NUMPY["uniform"](host, (50, 40), "float32"))
    np.testing.assert_array_equal(cupy.numpy(state), host)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_floats_stay_below_one(cupy, dtype):
    """Of 20,000 draws some twenty round to 1 in bfloat16, five in float16."""
    state = cupy.array(np.array([3, 0]))
    drawn = cupy.numpy(cupy.kernels["uniform"](state, shape=(20_000,), dtype=dtype)).astype("float64")
    largest = {"float16": 1 - 2**-11, "bfloat16": 1 - 2**-8}[dtype]
    assert drawn.min() >= 0
    assert drawn.max() == largest


def test_a_captured_draw_goes_on_by_itself(cupy):
    tn.manual_seed(3)
    expected = [tn.rand(300, backend=cupy).tolist() for _ in range(3)]
    tn.manual_seed(3)
    step = tn.capture(lambda x: x + tn.rand(300, backend=cupy), backend=cupy)
    zeros = tn.zeros(300, backend=cupy)
    assert [step(zeros).tolist() for _ in range(3)] == expected


def test_one_launch(strict):
    state = strict.array(np.array([3, 0]))
    assert launches(lambda: strict.launch("uniform", state, shape=(900,), dtype="float32")) == 1


def test_an_empty_draw_counts_too(cupy):
    state = cupy.array(np.array([3, 4]))
    assert cupy.launch("uniform", state, shape=(0, 2), dtype="float32").shape == (0, 2)
    assert cupy.numpy(state).tolist() == [3, 5]
