"""The card's memory: who holds it, a limit, and what is said when there is no room."""

import gc

import numpy as np
import pytest
import strict_cupy

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.backends.cuda.graph import Pool
from tinynet.backends.cuda.room import is_full
from tinynet.errors import ArgumentError, BackendError, DeviceMemoryError
from tinynet.memory import read_limit, size

TOTAL = 16 << 30


@pytest.fixture
def limited(strict):
    """The backend on the stand-in, whose limit goes with the test."""
    gc.collect()
    yield strict
    strict.set_memory_limit(None)


# --- how much there is ------------------------------------------------------------------------------------------------


def test_who_holds_the_memory(limited):
    limited.tidy()
    before = limited.memory()
    assert before.total == TOTAL and before.limit is None
    assert before.free == TOTAL - before.used == limited.free_memory()
    x = tn.zeros(1000, backend="cupy")
    held = limited.memory()
    assert held.used == before.used + 4096 == held.reserved
    assert held.free == before.free - 4096
    limited.set_memory_limit(held.used + 10_000)
    assert (limited.memory().limit, limited.free_memory()) == (held.used + 10_000, 10_000)
    del x
    now = limited.memory()
    assert (now.used, now.reserved, now.free) == (before.used, held.reserved, 14_096), "freed, but kept for others"
    limited.tidy()
    assert limited.memory().reserved == before.used


def test_the_pools_of_graphs_count_as_used(limited):
    limited.set_memory_limit(limited.memory().used + 10_000)
    before, pool = limited.memory(), Pool(limited.xp)
    with limited.xp.cuda.using_allocator(pool.malloc):
        x = limited.full((1000,), 0.0, "float32")
    assert limited.memory() == before._replace(used=before.used + 4096, reserved=before.reserved + 4096)
    del x, pool
    gc.collect()
    assert limited.memory() == before


def test_on_the_host_nobody_counts():
    backend = tn.get_backend("numpy")
    assert backend.memory() is None and backend.free_memory() is None
    with pytest.raises(ArgumentError, match=r"set_memory_limit\('4 GB'\): backend 'numpy' does not count"):
        backend.set_memory_limit("4 GB")


@pytest.mark.gpu
def test_a_card_says_how_much_there_is():
    memory = tn.get_backend("cupy").memory()
    assert 0 <= memory.used <= memory.reserved <= memory.total and 0 < memory.free <= memory.total


# --- a limit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        ("4 GB", 4_000_000_000),
        ("4GB", 4_000_000_000),
        (" 1.5 gib ", 3 << 29),
        ("512 MiB", 512 << 20),
        ("3kB", 3000),
        (".5 TB", 500_000_000_000),
        ("123456", 123_456),
        ("100 B", 100),
        ("50%", TOTAL // 2),
        ("12.5 %", TOTAL // 8),
        (0.25, TOTAL // 4),
        (1.0, TOTAL),
        (12_345, 12_345),
        (np.int64(5), 5),
    ],
)
def test_a_limit_is_read(limit, count):
    assert read_limit(limit, TOTAL) == count


@pytest.mark.parametrize(
    "limit",
    ["", "GB", "4 G B", "four GB", "4 GBit", "-1 GB", "101%", "1e3", "0.2 B", "1..2 GB", 0, -1, 0.0, 1.5, float("nan"),
     True, "0", [4], 2**63, "9999999999 TB", "４ GB"],
)  # fmt: skip
def test_what_is_no_limit(limited, limit):
    before = limited.memory()
    with pytest.raises(ArgumentError, match=r"'4 GB'.*of the 17\.2 GB that there are; got"):
        limited.set_memory_limit(limit)
    assert limited.memory() == before


def test_a_limit_below_what_is_held_is_refused(limited):
    x = tn.zeros(100_000, backend="cupy")
    with pytest.raises(ArgumentError, match=r"limit of 400 kB is less than the 4\d\d kB that arrays hold"):
        limited.set_memory_limit("400 kB")
    assert limited.memory().limit is None
    limited.set_memory_limit("10 MB")
    assert strict_cupy.get_default_memory_pool().get_limit() == 10_000_000
    del x


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_234_567_890, "1.23 GB"),
        (16 << 40, "17.6 TB"),
    ],
)
def test_sizes_in_words(count, words):
    assert size(count) == words


# --- no room ----------------------------------------------------------------------------------------------------------

X = np.zeros((64, 64))


@pytest.mark.parametrize(
    ("wanted", "deed"),
    [
        (r"exp\(\(64, 64\)\)", lambda x: x.exp()),
        (r"matmul\(\(64, 64\), \(64, 64\)\)", lambda x: x @ x),
        (r"an array of shape \(4, 256\)", lambda x: tn.zeros((4, 256), backend="cupy")),
        (r"an array of shape \(64, 64\)", lambda x: Tensor(X, backend="cupy")),
        (r"an array of shape \(200,\)", lambda x: nn.Linear(100, 200).to("cupy")),
    ],
)
def test_no_room_says_for_what_and_what_there_is(limited, wanted, deed):
    x = Tensor(X, backend="cupy")
    limited.set_memory_limit(limited.memory().used + 600)
    if "200" in wanted:
        limited.set_memory_limit(limited.memory().used + 81_000)  # the weights find room, the biases do not
    before = limited.memory()
    words = rf"no room for {wanted}: Out of memory allocating [\d,]+ bytes.*set to.*hold .*B, \d+ bytes of 17.2 GB are"
    with pytest.raises(DeviceMemoryError, match=words + r" free, the limit is .*smaller batches.*nvidia-smi") as caught:
        deed(x)
    assert isinstance(caught.value, BackendError) and isinstance(caught.value, MemoryError)
    del caught
    gc.collect()
    assert limited.memory().used == before.used


def test_a_move_that_finds_no_room_changes_nothing(limited):
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    parts = [(p, p.data) for p in model.parameters()]
    limited.set_memory_limit(limited.memory().used + 20_000)  # the first layer finds room
    with pytest.raises(DeviceMemoryError):
        model.to("cupy")
    assert all(p.data is data and p.backend.name == "numpy" for p, data in parts)
    limited.set_memory_limit(None)
    assert model.to("cupy")(X).backend is limited


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError("anything"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cudaErrorMemoryAllocation: out of memory"), True),
        (RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered"), False),
        (ValueError("cudaErrorMemoryAllocation"), False),
    ],
)
def test_what_full_means(strict, monkeypatch, error, full):
    def fails(*_, **__):
        raise error

    assert is_full(error) == full
    monkeypatch.setattr(strict, "kernels", {**strict.kernels, "exp": fails})
    with pytest.raises(DeviceMemoryError if full else type(error)):
        strict.launch("exp", strict.full((2,), 1.0, "float32"))


def test_the_temporaries_of_a_recorded_step_are_counted_as_long_as_it_can_be_replayed(limited):
    gc.collect()
    step = tn.capture(lambda x: (x.reshape(10, 100)[:, Tensor([3, 1], backend="cupy")]).sum())
    before = len(Pool.alive)
    step(tn.zeros(1000, backend="cupy"))
    held, used = sum(pool.total_bytes() for pool in Pool.alive), limited.memory().used
    assert len(Pool.alive) == before + 1 and held > 0
    assert used - limited.xp.get_default_memory_pool().used_bytes() == held
    del step
    gc.collect()
    assert len(Pool.alive) == before
