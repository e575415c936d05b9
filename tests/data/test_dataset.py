import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynet.data import Dataset
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch


def numbered(n: int, y: object = None) -> Dataset:
    x = np.arange(n, dtype=np.float32)[:, None]
    return Dataset(x, np.arange(n) if y is None else y, name="numbered")


@pytest.mark.tiny
def test_holds_the_arrays_it_was_given() -> None:
    x, y = np.zeros((3, 2), np.float64), np.array([0, 1, 1], np.uint8)
    dataset = Dataset(x, y, classes=["no", "yes"], name="tiny")
    assert dataset.x is x and dataset.y is y and dataset.classes == ("no", "yes") and len(dataset) == 3
    assert repr(dataset) == "Dataset('tiny', 3 examples, x: float64 (3, 2), y: uint8 (3,), 2 classes)"
    assert repr(Dataset([[1.0]], [[2.0]])) == "Dataset(1 examples, x: float64 (1, 1), y: float64 (1, 1))"


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("index", "expected"),
    [(1, 1), (-1, 3), (slice(1, 3), [1, 2]), ([3, 0, 0], [3, 0, 0]), (np.array([True, False, False, True]), [0, 3])],
)
def test_indexing_gives_x_and_y_of_the_same_examples(index: object, expected: object) -> None:
    x, y = numbered(4)[index]
    assert x[..., 0].tolist() == expected and y.tolist() == expected


def test_an_iteration_ends() -> None:
    assert [int(y) for _, y in numbered(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("x", "y", "classes", "error", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4), None, ShapeError, r"x has 3 examples and y has 4 targets.*\(3, 2\)"),
        (np.float32(1), np.zeros(1), None, ShapeError, "single number"),
        ([[1], [1, 2]], [0, 1], None, ShapeError, "x is not an array"),
        (["a", "b"], [0, 1], None, TypeMismatch, "x is list with elements of <U1"),
        ([object()], [0], None, TypeMismatch, "elements of object"),
        ([[1.0]], [None], None, TypeMismatch, "y is list"),
        ([[1.0]], [2], ["a", "b"], ArgumentError, "classes 2 to 2, and 2 names"),
        ([[1.0]], [-1], ["a", "b"], ArgumentError, "classes -1 to -1"),
    ],
)
def test_what_is_not_a_data_set(x: object, y: object, classes: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Dataset(x, y, classes=classes)


def test_subset_takes_integers_with_repeats_or_booleans() -> None:
    dataset = numbered(4)
    assert dataset.subset([2, 2, -4]).y.tolist() == [2, 2, 0]
    assert dataset.subset(dataset.y > 1).x.tolist() == [[2], [3]]
    assert len(dataset.subset([])) == 0
    assert dataset.subset([1]).name == "numbered"


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, 4], ArgumentError, "0 to 4; the examples are 0 to 3"),
        ([-5], ArgumentError, "-5"),
        ([0.5], TypeMismatch, "float64"),
        ([[0]], ShapeError, r"int64 \(1, 1\)"),
        ([True, False], ShapeError, "one boolean for each of the 4"),
    ],
)
def test_subset_refuses(indices: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        numbered(4).subset(indices)


def test_take() -> None:
    dataset = numbered(4)
    assert dataset.take(2).y.tolist() == [0, 1] and len(dataset.take(0)) == 0
    assert np.shares_memory(dataset.take(2).x, dataset.x)
    for wrong in (5, -1):
        with pytest.raises(ArgumentError, match=rf"take\({wrong}\): there are 0 to 4"):
            dataset.take(wrong)


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    fraction=st.floats(0.01, 0.99),
    stratified=st.booleans(),
    seed=st.integers(0, 3),
)
def test_split_is_a_partition_of_the_asked_size_that_keeps_proportions(labels, fraction, stratified, seed) -> None:
    n, y = len(labels), np.array(labels)
    count = min(max(round(fraction * n), 1), n - 1)
    dataset = numbered(n, y)
    first, second = dataset.split(count, seed=seed, stratified=stratified)
    assert len(first) == count
    assert sorted([*first.x[:, 0], *second.x[:, 0]]) == list(range(n))
    assert (np.diff(first.x[:, 0]) > 0).all() and (np.diff(second.x[:, 0]) > 0).all()
    assert (first.y == y[first.x[:, 0].astype(int)]).all() and (second.y == y[second.x[:, 0].astype(int)]).all()
    if stratified:
        for k in set(labels):
            share = labels.count(k) * count / n
            assert abs((first.y == k).sum() - share) < 1, (k, share)


def test_split_by_fraction_by_seed_and_for_real_targets() -> None:
    dataset = numbered(10, np.linspace(0, 1, 10)[:, None])
    first, second = dataset.split(0.8)
    assert (len(first), len(second)) == (8, 2)
    assert dataset.split(8)[0].x.tolist() == first.x.tolist()
    assert any(dataset.split(8, seed=s)[0].x.tolist() != first.x.tolist() for s in range(1, 5))
    assert len(dataset.split(np.float32(0.5))[0]) == 5 and len(dataset.split(np.int64(3))[0]) == 3


@pytest.mark.parametrize("first", [0, 10, 11, -1, 0.0, 1.0, 0.01, 0.99, 1.5, float("nan"), float("inf")])
def test_split_refuses_an_empty_part(first: float) -> None:
    with pytest.raises(ArgumentError, match=r"one of the parts would be empty.*from 1 to 9"):
        numbered(10).split(first)
