import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynet.data import DataLoader, Dataset
from tinynet.errors import ArgumentError, TypeMismatch


def numbered(n: int) -> Dataset:
    return Dataset(np.arange(n, dtype=np.float32)[:, None], np.arange(n))


def ys(batches) -> list[list[int]]:
    return [y.tolist() for _, y in batches]


@pytest.mark.tiny
def test_each_epoch_has_the_order_of_its_seed_and_number() -> None:
    loader = DataLoader(numbered(10), batch_size=4, seed=7)
    for epoch in range(3):
        assert (loader.epoch, loader.position, len(loader)) == (epoch, 0, 3)
        batches = list(loader)
        order = np.random.default_rng([7, epoch]).permutation(10)
        assert [len(y) for _, y in batches] == [4, 4, 2]
        assert np.concatenate([y for _, y in batches]).tolist() == order.tolist()
        assert all((x[:, 0] == y).all() for x, y in batches)


@pytest.mark.tiny
def test_in_order_the_batches_are_views() -> None:
    dataset = numbered(5)
    batches = list(DataLoader(dataset, batch_size=2, shuffle=False))
    assert ys(batches) == [[0, 1], [2, 3], [4]]
    assert all(np.shares_memory(x, dataset.x) for x, _ in batches)


@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last", "sizes"),
    [(5, 2, True, [2, 2]), (4, 2, True, [2, 2]), (4, 2, False, [2, 2]), (3, 100, False, [3]), (1, 1, True, [1])],
)
def test_sizes_of_batches(n: int, batch_size: int, drop_last: bool, sizes: list[int]) -> None:
    loader = DataLoader(numbered(n), batch_size, drop_last=drop_last)
    assert len(loader) == len(sizes)
    assert [len(y) for _, y in loader] == sizes


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
def test_dtypes_are_left_and_a_pair_will_do(dtype: str) -> None:
    ((x, y),) = DataLoader((np.ones((3, 2), dtype), np.ones((3, 1), dtype)))
    assert x.dtype == y.dtype == np.dtype(dtype) and x.shape == (3, 2) and y.shape == (3, 1)


@given(
    n=st.integers(1, 12),
    batch_size=st.integers(1, 14),
    done=st.integers(0, 30),
    shuffle=st.booleans(),
    seed=st.integers(0, 9),
)
def test_resuming_anywhere_gives_the_batches_that_would_have_followed(n, batch_size, done, shuffle, seed) -> None:
    first, second = (DataLoader(numbered(n), batch_size, shuffle, seed) for _ in range(2))
    stream = iterate(first)
    for _ in range(done):
        next(stream)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [next(stream) for _ in range(5)] == list(itertools.islice(iterate(second), 5))


def iterate(loader):
    """Epoch after epoch without end, each batch's targets."""
    while True:
        for _, y in loader:
            yield y.tolist()


def test_a_state_taken_inside_the_loop_counts_the_batch_in_use() -> None:
    loader = DataLoader(numbered(4), batch_size=2)
    seen = [(loader.epoch, loader.position) for _ in loader]
    assert seen == [(0, 1), (0, 2)]
    assert (loader.epoch, loader.position) == (1, 0)


def test_a_state_taken_at_the_last_batch_still_ends_that_epoch() -> None:
    loader = DataLoader(numbered(4), batch_size=2)
    loader.load_state_dict(loader.state_dict() | {"epoch": 3, "position": 2})
    assert list(loader) == [] and (loader.epoch, loader.position) == (4, 0)


def test_a_loop_left_half_way_goes_on() -> None:
    loader = DataLoader(numbered(6), batch_size=2, shuffle=False)
    assert ys([next(iter(loader))]) == [[0, 1]]
    assert ys(loader) == [[2, 3], [4, 5]]


def test_an_iterator_of_a_finished_epoch_ends() -> None:
    loader = DataLoader(numbered(4), batch_size=2)
    old = iter(loader)
    next(old)
    list(loader)
    next(iter(loader))
    assert list(old) == [] and (loader.epoch, loader.position) == (1, 1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"batch_size": 3}, "batch_size 2 there, 3 here"),
        ({"seed": 1}, "seed 0 there, 1 here"),
        ({"shuffle": False}, "shuffle True there, False here"),
        ({"drop_last": True}, "drop_last False there, True here"),
        ({"dataset": numbered(5)}, "examples 4 there, 5 here"),
        ({"seed": 1, "batch_size": 3}, "batch_size 2 there, 3 here; seed 0 there, 1 here"),
    ],
)
def test_a_state_of_another_loader_is_refused_and_nothing_changes(other: dict, message: str) -> None:
    state = DataLoader(numbered(4), batch_size=2).state_dict() | {"epoch": 5}
    loader = DataLoader(**({"dataset": numbered(4), "batch_size": 2} | other))
    with pytest.raises(ArgumentError, match=message):
        loader.load_state_dict(state)
    assert (loader.epoch, loader.position) == (0, 0)


def test_an_incomplete_state_and_an_impossible_place() -> None:
    loader = DataLoader(numbered(4), batch_size=2)
    with pytest.raises(
        ArgumentError, match="lacks batch_size, drop_last, examples, position, seed, shuffle; it has epoch"
    ):
        loader.load_state_dict({"epoch": 1})
    for place in ({"position": 3}, {"position": -1}, {"epoch": -1}):
        with pytest.raises(ArgumentError, match="no place in epochs of 2 batches"):
            loader.load_state_dict(loader.state_dict() | place)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": numbered(0)}, ArgumentError, "empty"),
        ({"batch_size": 0}, ArgumentError, "batch_size=0"),
        ({"batch_size": -3}, ArgumentError, "batch_size=-3"),
        ({"seed": -1}, ArgumentError, "seed must be 0 or more"),
        ({"batch_size": 5, "drop_last": True}, ArgumentError, "batches of 5 from 4 examples leave none.*at most 4"),
        ({"dataset": np.zeros((2, 2))}, TypeMismatch, r"Dataset or a pair \(x, y\); got ndarray"),
        ({"dataset": (1, 2, 3)}, TypeMismatch, "got tuple"),
    ],
)
def test_what_a_loader_refuses(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        DataLoader(**({"dataset": numbered(4)} | arguments))


def test_its_repr_says_where_it_is() -> None:
    loader = DataLoader(numbered(4), batch_size=3, seed=2)
    next(iter(loader))
    assert repr(loader).endswith("batches of 3, shuffled, seed 2, epoch 0, 1 of 2 batches given)")
