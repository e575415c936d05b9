"""Numbers come in and go out by pinned memory, and the host waits for no more than it must.

The stand-in fails where a pinned buffer is filled anew while a copy from it is under way, and hands out nothing of what
was read before the host has waited.
"""

import threading

import numpy as np
import pytest
import strict_cupy
import strict_memory

import tinynet as tn
from tinynet import Tensor
from tinynet.backends.cuda import staging
from tinynet.errors import ArgumentError, CaptureError

rng = np.random.default_rng(2)


@pytest.fixture
def short(strict, monkeypatch):
    """The backend with buffers so short that arrays go in pieces."""
    monkeypatch.setattr(staging, "MOST", 1 << 10)
    monkeypatch.setattr(staging, "LEAST", 1 << 6)
    strict._staging = staging.Staging(strict.xp)
    yield strict
    strict_memory.complete()


def waits(deed):
    before = strict_cupy.synchronisations
    result = deed()
    return strict_cupy.synchronisations - before, result


def test_many_arrays_go_in_and_the_host_never_waits(strict):
    batches = [rng.integers(99, size=(32, 5)).astype("float32") for _ in range(3 * staging.BUFFERS)]
    with strict_cupy.no_synchronisation():
        made = [strict.array(batch) for batch in batches]
        out = strict.full((32, 5), 0.0, "float32")
        copies = []
        for batch in batches:
            strict.load(batch, out)
            batch += 1  # the host may have it again at once
            copies.append(strict.launch("copy", out))
    for array, copy, batch in zip(made, copies, batches):
        np.testing.assert_array_equal(strict.numpy(array), batch - 1, strict=True)
        np.testing.assert_array_equal(strict.numpy(copy), batch - 1, strict=True)


def test_without_the_wait_for_a_buffer_the_stand_in_fails(strict, monkeypatch):
    """The test above can fail: here a buffer is filled anew at once."""
    monkeypatch.setattr(strict_memory.Event, "synchronize", lambda self: None)
    with pytest.raises(AssertionError, match="overwritten"):
        test_many_arrays_go_in_and_the_host_never_waits(strict)
    strict_memory._under_way.clear()


@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (255, 2), (256,), (257, 1), (40, 33), (3, 1024)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_pieces_come_in_and_go_out_whole(short, shape, dtype):
    backend, data = short, rng.uniform(0, 9, size=shape).astype(dtype)
    for host in (data, data.T, np.broadcast_to(data, (2, *data.shape)), data[..., ::2] if data.ndim else data):
        array = backend.array(host)
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(backend.numpy(array), host, strict=True)
        out = backend.full(host.shape, 1.0, "float32")
        backend.load(host, out)
        np.testing.assert_array_equal(backend.numpy(out), host.astype("float32"), strict=True)
        np.testing.assert_array_equal(backend.numpy(array.T), host.T, strict=True)


@pytest.mark.parametrize("order", [">f4", "<f4", ">i8"])
def test_bytes_in_another_order_are_put_right(cupy, order):
    data = np.arange(6).astype(order).reshape(2, 3)
    array = cupy.array(data)
    assert cupy.dtype(array) == data.dtype.name
    np.testing.assert_array_equal(cupy.numpy(array), data)


def test_shapes_that_do_not_fit_are_refused(cupy):
    out = cupy.full((2, 3), 1.0, "float32")
    with pytest.raises(ValueError, match="broadcast"):
        cupy.load(np.zeros((3, 2)), out)
    assert (cupy.numpy(out) == 1).all()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_reading_waits_once(strict):
    x = Tensor(rng.normal(size=(4, 3)), backend="cupy")
    count, _ = waits(x.numpy)
    assert count == 1
    count, total = waits(x.sum().item)
    assert count == 1 and total == pytest.approx(x.numpy().sum())


def test_what_was_read_is_the_readers_own(strict):
    x, y = strict.full((3,), 1.0, "float32"), strict.full((3,), 2.0, "float32")
    first = strict.numpy(x)
    second = strict.numpy(y)
    first += 10
    assert (first == 11).all() and (second == 2).all() and (strict.numpy(x) == 1).all()


def test_without_the_wait_nothing_is_read(strict, monkeypatch):
    """The tests above can fail: here the host does not wait for what it asked for."""
    monkeypatch.setattr(strict_cupy.cuda.Stream, "synchronize", lambda self: None)
    count, numbers = strict._staging.fetch(strict.full((), 2, "int64"), strict.full((3,), 2.0, "float32"))
    assert count != 2 and (numbers != 2).all()
    strict_memory.complete()


def test_strays_are_found_with_the_same_wait(strict):
    table, rows = Tensor(np.eye(3), backend="cupy"), Tensor([0, 3], backend="cupy")
    found = table[rows]

    def read():
        with pytest.raises(ArgumentError, match="1 of the indices"):
            found.numpy()

    assert waits(read)[0] == 1
    assert waits(found.numpy)[0] == 1


# --- who must not -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "deed"),
    [
        ("copied to the device", lambda backend, x: backend.load(np.ones(3), x)),
        ("read from the device", lambda backend, x: backend.numpy(x)),
    ],
)
def test_nothing_goes_over_while_a_graph_is_captured(strict, words, deed):
    x = strict.full((3,), 1.0, "float32")
    stream = strict.xp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            with pytest.raises(CaptureError, match=f"{words} while a graph is being captured"):
                deed(strict, x)
        finally:
            stream.end_capture()
    assert (strict.numpy(x) == 1).all()


def test_what_is_loaded_inside_a_recorded_step_is_a_part_of_it(strict):
    out = Tensor(np.zeros(3), backend="cupy")

    def step(x):
        out.backend.load(np.ones(3), out.data)
        out.add_(x)
        return out * 2

    step = tn.capture(step, backend="cupy")
    for i in range(3):
        np.testing.assert_array_equal(step(np.full(3, float(i))).numpy(), np.full(3, 2.0 + 2 * i))


def test_threads_take_turns(strict):
    wrong = []

    def work(number):
        for i in range(50):
            data = np.full(100 + number, float(number * 1000 + i))
            if not (strict.numpy(strict.array(data)) == data).all():
                wrong.append((number, i))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
