"""The stand-in's memory bites where CUDA's does: a pool's limit, pinned memory used too early, a missing wait."""

import gc

import numpy as np
import pytest
import strict_cupy as xp
import strict_memory

pytestmark = pytest.mark.tiny

HOST = np.arange(6.0, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def nothing_under_way():
    yield
    strict_memory._under_way.clear()


@pytest.fixture
def pool():
    """The default pool, without a limit again at the end."""
    gc.collect()
    yield xp.get_default_memory_pool()
    xp.get_default_memory_pool().set_limit(size=0)


def pinned(data):
    memory = xp.cuda.alloc_pinned_memory(data.nbytes)
    view = np.frombuffer(memory, data.dtype, data.size).reshape(data.shape)
    view[...] = data
    return memory, view


# --- pools ------------------------------------------------------------------------------------------------------------


def test_a_pool_counts_what_is_held(pool):
    before = pool.used_bytes()
    array = xp.zeros((100, 3), "float32")
    assert pool.used_bytes() == before + 1536  # 1,200 bytes, in units of 512
    view, copy = array[:50], array.copy()
    assert pool.used_bytes() == before + 2 * 1536
    del array, copy
    assert pool.used_bytes() == before + 1536, "a view holds the whole"
    del view
    assert pool.used_bytes() == before
    assert pool.total_bytes() == before + pool.free_bytes() >= before + 2 * 1536
    pool.free_all_blocks()
    assert pool.total_bytes() == pool.used_bytes() and not pool.free_bytes()


@pytest.mark.parametrize("deed", [lambda a: a + a, lambda a: xp.empty((64, 64)), lambda a: a.copy(), xp.exp])
def test_a_limit_is_kept(pool, deed):
    a = xp.zeros((32, 32), "float32")
    limit = pool.used_bytes() + 4096
    pool.set_limit(size=limit - 1)
    with pytest.raises(xp.cuda.memory.OutOfMemoryError, match=rf"allocating [\d,]+ bytes.*set to: {limit - 1:,}"):
        deed(a)
    if deed is not xp.empty:
        xp.exp(a, out=a)  # which needs no room
    pool.set_limit(fraction=1.0)
    assert pool.get_limit() == xp.cuda.runtime.memGetInfo()[1]
    deed(a)


def test_what_only_a_cycle_holds_is_given_back_first(pool):
    cycle = [xp.zeros(1024, "float32")]
    cycle.append(cycle)
    pool.set_limit(size=pool.used_bytes() + 512)
    del cycle
    xp.zeros(1024, "float32")


def test_the_card_itself_has_an_end(pool):
    free, total = xp.cuda.runtime.memGetInfo()
    assert 0 < free <= total
    with pytest.raises(MemoryError, match="Out of memory"):
        pool.charge(total + 1)


def test_a_private_pool_is_charged_where_it_is_in_use(pool):
    private, before = xp.cuda.MemoryPool(), pool.used_bytes()
    with xp.cuda.using_allocator(private.malloc):
        array = xp.zeros(1, "float32")
    assert (private.used_bytes(), pool.used_bytes()) == (512, before)
    del array
    assert private.used_bytes() == 0


# --- pinned memory ----------------------------------------------------------------------------------------------------


def test_a_copy_from_pinned_memory_arrives():
    memory, view = pinned(HOST)
    array = xp.empty((2, 3), "float32")
    array.data.copy_from_host_async(memory.ptr, HOST.nbytes)
    (array[1:].data + 4).copy_from_host_async(memory.ptr, 4)
    event = xp.cuda.Event()
    event.record()
    expected = HOST.copy()
    expected[1, 1] = 0
    np.testing.assert_array_equal(array.get(), expected)
    assert event.done
    view[:] = 7  # it may be filled anew: get has waited
    array.data.copy_from_host_async(memory.ptr, HOST.nbytes)
    assert (array.get() == 7).all()


@pytest.mark.parametrize("wait", [None, "event", "stream", "read"])
def test_pinned_memory_that_is_being_read_must_stay(wait):
    (memory, view), array = pinned(HOST), xp.empty((2, 3), "float32")
    event, later = xp.cuda.Event(), xp.cuda.Event()
    array.data.copy_from_host_async(memory.ptr, HOST.nbytes)
    event.record()
    later.record()
    if wait == "event":
        with xp.no_synchronisation():
            event.synchronize()
    elif wait == "stream":
        xp.cuda.get_current_stream().synchronize()
    elif wait == "read":
        array.get()
    view[:] = 7
    if wait:
        array.data.copy_from_host_async(memory.ptr, HOST.nbytes)
        assert (array.get() == 7).all()
    else:
        assert not event.done
        with pytest.raises(AssertionError, match="overwritten"):
            array.data.copy_from_host_async(memory.ptr, HOST.nbytes)
        with pytest.raises(AssertionError, match="overwritten"):
            array.get()


def test_pinned_memory_must_be_kept_until_the_copy_is_done():
    (memory, view), array = pinned(HOST), xp.empty((2, 3), "float32")
    array.data.copy_from_host_async(memory.ptr, HOST.nbytes)
    del memory, view
    with pytest.raises(AssertionError, match="let go"):
        xp.cuda.get_current_stream().synchronize()


def test_a_copy_to_pinned_memory_is_there_once_waited_for():
    (memory, view), array = pinned(HOST), xp.asarray(HOST)
    with xp.no_synchronisation():
        assert array.get(out=view, blocking=False) is view
        array += 1  # of no consequence: it comes after the copy
        assert (view.view("uint8") == 0xA5).all()
    xp.cuda.get_current_stream().synchronize()
    np.testing.assert_array_equal(view, HOST)
    array.data.copy_to_host_async(memory.ptr, HOST.nbytes)
    event = xp.cuda.Event()
    event.record()
    with xp.no_synchronisation(), pytest.raises(AssertionError, match="nothing behind it"):
        event.synchronize()
    event.synchronize()
    np.testing.assert_array_equal(view, HOST + 1)


@pytest.mark.parametrize(
    ("words", "deed"),
    [
        ("pinned", lambda a, memory: a.data.copy_from_host_async(HOST.ctypes.data, 4)),
        ("end of the array", lambda a, memory: a.data.copy_from_host_async(memory.ptr, a.nbytes + 4)),
        ("end of the array", lambda a, memory: (a.data + 4).copy_from_host_async(memory.ptr, a.nbytes)),
        ("makes the host wait", lambda a, memory: a.get(out=HOST.copy(), blocking=False)),
        ("makes the host wait", lambda a, memory: a.data.copy_to_host_async(HOST.copy().ctypes.data, 4)),
    ],
)
def test_what_a_copy_refuses(words, deed):
    memory, _ = pinned(HOST)
    with xp.no_synchronisation(), pytest.raises(AssertionError, match=words):
        deed(xp.asarray(HOST), memory)


@pytest.mark.parametrize("deed", ["copy_from_host_async", "copy_to_host_async"])
def test_no_graph_holds_a_copy_from_or_to_the_host(deed):
    (memory, _), array = pinned(HOST), xp.asarray(HOST)
    stream = xp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            with pytest.raises(NotImplementedError, match="capture"):
                getattr(array.data, deed)(memory.ptr, 4)
        finally:
            stream.end_capture()
