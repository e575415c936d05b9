"""Rows looked up and added up on CUDA are NumPy's; what names no row is counted and spoils nothing else."""

import numpy as np
import on_cuda
import pytest
import strict_cuda
from on_cuda import TYPES, in_type, launches, there

from tinynet.backends.cuda.kernels import lookup
from tinynet.backends.kernels import table
from tinynet.errors import ArgumentError
from tinynet.primitives import ARRAY

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(13)
NUMPY = table(np)
TOLERANCE = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 2e-2, "float16": 2e-3}  # sums of some ten numbers, rounded
SIZES = [  # rows, the shape of one, the shape of the index
    (1, (1,), (1,)), (5, (3,), (2, 7)), (65, (33,), (40,)), (9, (1000,), (2,)), (31, (2, 5), (31,)), (7, (), (20,)),
    (1200, (3,), (50,)),
]  # fmt: skip
MANY = (4, (257,), (600,))


def numbers(rows, shape, kind="int64", least=0):
    return rng.integers(0 if kind == "uint8" else least, min(rows, 128), shape).astype(kind)


@pytest.mark.parametrize("rows, row, shape", SIZES, ids=str)
def test_rows_are_looked_up(cupy, rows, row, shape):
    for dtype in [*TYPES, "int64", "int8", "bool"]:
        x = cupy.array(4 * rng.normal(size=(rows, *row)), dtype)
        for kind, part in (("int64", (ARRAY,)), ("int32", (ARRAY, Ellipsis)), ("uint8", (ARRAY,))):
            index = numbers(rows, shape, kind, -rows)
            found = cupy.launch("gather", x, cupy.array(index), index=part)
            np.testing.assert_array_equal(cupy.numpy(found), cupy.numpy(x)[index], strict=True)
            if len(row) == 1:
                index = numbers(rows, shape, kind)
                found = cupy.launch("embedding", x, cupy.array(index), padding_idx=None, layer="a")
                np.testing.assert_array_equal(cupy.numpy(found), cupy.numpy(x)[index], strict=True)


def test_a_table_that_begins_anywhere(cupy):
    """Rows of 8 bytes, 4 bytes from the start: they are copied in words that lie well."""
    x = rng.normal(size=9).astype("float32")
    rows = cupy.launch("reshape", cupy.array(x)[1:], shape=(4, 2))
    found = cupy.launch("gather", rows, cupy.array(np.array([3, 0, -1])), index=(ARRAY,))
    np.testing.assert_array_equal(cupy.numpy(found), x[1:].reshape(4, 2)[[3, 0, 3]], strict=True)


@pytest.mark.parametrize("lay", [np.asfortranarray, lambda a: np.repeat(a, 2, -1)[..., ::2]], ids=["columns", "gaps"])
def test_other_layouts(cupy, lay):
    x, index = rng.normal(size=(6, 5)), numbers(6, (4, 4))
    columns, out = there(cupy, lay(index)), there(cupy, lay(np.zeros((4, 4, 5))))
    assert cupy.launch("gather", there(cupy, lay(x)), columns, index=(ARRAY,), out=out) is out
    np.testing.assert_array_equal(cupy.numpy(out), x[index])
    g, out = rng.normal(size=(4, 4, 5)), there(cupy, lay(np.full((6, 5), np.nan)))
    assert cupy.launch("embedding_grad", there(cupy, lay(g)), columns, rows=6, out=out) is out
    np.testing.assert_allclose(cupy.numpy(out), NUMPY["embedding_grad"](g, index, 6), 1e-12)


@pytest.mark.parametrize("most", [1 << 27, 0], ids=["in order", "by atomics"])
@pytest.mark.parametrize("rows, row, shape", [*SIZES, MANY], ids=str)
def test_rows_are_added_up(cupy, monkeypatch, rows, row, shape, most):
    monkeypatch.setattr(lookup, "MOST_LOOKS", most)
    for dtype, kind in zip(TYPES, ("int64", "int32", "uint8", "int64")):
        g, host = in_type(cupy, rng.normal(size=(*shape, *row)), dtype)
        index = numbers(rows, shape, kind, -rows)
        expected = NUMPY["scatter_add"](host, index, index=(ARRAY,), shape=(rows, *row))
        tolerance = TOLERANCE[dtype] * max(1, np.abs(expected).max())
        found = cupy.kernels["scatter_add"](g, cupy.array(index), index=(ARRAY,), shape=(rows, *row))
        on_cuda.same(cupy, found, expected, dtype, tolerance)
        if len(row) == 1:
            out, index = cupy.full((rows, *row), 7.0, dtype), numbers(rows, shape, kind)
            expected = NUMPY["embedding_grad"](host, index, rows)
            assert cupy.kernels["embedding_grad"](g, cupy.array(index), rows=rows, out=out) is out
            on_cuda.same(cupy, out, expected, dtype, tolerance)


def test_one_row_takes_all(cupy):
    """Far more numbers than a block looks at at once, all of them for one row."""
    g, index = rng.normal(size=(1300, 5)), np.full(1300, 2)
    found = cupy.numpy(cupy.launch("embedding_grad", cupy.array(g), cupy.array(index), rows=4))
    np.testing.assert_allclose(found[2], g.sum(0), 1e-12)
    assert (found[[0, 1, 3]] == 0).all()


@pytest.mark.parametrize("rows", [65, 1200], ids=["a block a row", "a block a number"])
def test_the_order_of_a_sum_is_the_same_every_time(cupy, rows):
    g, index = cupy.array(rng.normal(size=(300, 40)).astype("float32")), cupy.array(rng.integers(0, 20, 300))
    first, again = (cupy.numpy(cupy.launch("embedding_grad", g, index, rows=rows)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_half_floats_are_added_up_in_float32(cupy):
    g, index = cupy.full((2500, 1), 1.0, "float16"), cupy.array(np.zeros(2500, int))
    assert cupy.numpy(cupy.launch("embedding_grad", g, index, rows=2)).tolist() == [[2500], [0]]


@pytest.mark.parametrize(
    "name, index, params, strays",
    [
        ("gather", [0, 4, -4, 3, -5, 10**12], {"index": (ARRAY,)}, 3),
        ("embedding", [0, 4, -4, 3, -1, 1], {"padding_idx": None, "layer": "my layer"}, 3),
    ],
)
def test_strays_are_counted_once_each(cupy, name, index, params, strays):
    x, index = rng.normal(size=(4, 700)), np.array(index)
    found = cupy.launch(name, cupy.array(x), cupy.array(index), **params)
    with pytest.raises(ArgumentError, match=f"{strays} of the indices") as error:
        cupy.numpy(found)
    assert ("my layer" in str(error.value)) == (name == "embedding")
    np.testing.assert_array_equal(cupy.numpy(found), x[index % 4])


def test_few_launches(strict):
    x, index = strict.array(rng.normal(size=(65, 8))), strict.array(rng.integers(0, 65, (3, 16)))
    g, large = strict.array(rng.normal(size=(3, 16, 8))), 5000
    assert launches(lambda: strict.launch("gather", x, index, index=(ARRAY,))) == 1
    assert launches(lambda: strict.launch("embedding", x, index, padding_idx=None, layer="a")) == 1
    assert launches(lambda: strict.launch("embedding_grad", g, index, rows=65)) == 1
    assert launches(lambda: strict.launch("embedding_grad", g, index, rows=large)) == 2


def test_what_the_kernels_do_not_take_is_cupys(cupy):
    x, index = rng.normal(size=(4, 3)), np.array([2, 0])
    empty = cupy.launch("gather", cupy.array(x), cupy.array(index[:0]), index=(ARRAY,))
    assert empty.shape == (0, 3)
    whole = cupy.launch("scatter_add", cupy.array(index), cupy.array(index), index=(ARRAY,), shape=(4,))
    np.testing.assert_array_equal(cupy.numpy(whole), [0, 0, 2, 0], strict=True)
    nothing = cupy.launch("embedding_grad", cupy.array(x[:0]), cupy.array(index[:0]), rows=4)
    np.testing.assert_array_equal(cupy.numpy(nothing), np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("columns", "grid", "block", "lanes"),
    [
        (1, 9, 512, 1),
        (10, 9, 512, 16),
        (128, 65, 512, 32),
        (768, 65, 512, 64),
        (768, 5000, 512, 512),
        (99, 5000, 32, 32),
    ],
)
def test_few_columns_a_block_while_there_are_few_blocks(columns, grid, block, lanes):
    assert lookup.lanes_of(columns, grid, block) == lanes
