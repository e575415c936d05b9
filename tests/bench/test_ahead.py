"""Batches of contests: first calls side by side and ahead, processes that are gone afterwards, and interrupts."""

import threading

import pytest

from tinynet.bench.ahead import batch_size, batches, prepared

pytestmark = pytest.mark.tiny


class Contest:
    """One that notes what is done to it."""

    def __init__(self, meet=None, error=None):
        self.meet, self.error = meet, error
        self.done, self.stop = [], threading.Event()

    def prepare(self, together=False):
        self.done.append(("prepare", together))
        if self.meet:
            self.meet.wait(timeout=20)  # all of the batch are in here at once, or this breaks
        if self.error:
            raise self.error

    def close(self):
        self.done.append("close")


@pytest.mark.parametrize(
    ("contenders", "cores", "gigabytes", "size"),
    [(6, 16, 85.0, 5), (6, 16, 12.0, 2), (6, 4, 80.0, 1), (6, 2, 4.0, 1), (1, 1, 0.0, 1), (0, 8, 8.0, 8)],
)
def test_as_many_as_the_cores_and_the_card_have_room_for(contenders, cores, gigabytes, size):
    assert batch_size(contenders, cores, gigabytes) == size


def test_batches_keep_the_order_and_leave_none_out():
    assert [list(batch) for batch in batches("abcdefg", 3)] == [list("abc"), list("def"), ["g"]]


def test_a_batch_is_prepared_side_by_side_and_closed():
    meet = threading.Barrier(3)
    batch = [Contest(meet) for _ in range(3)]
    with prepared(batch, together=True):
        assert [contest.done for contest in batch] == [[("prepare", True)]] * 3
    assert all(contest.done[1:] == ["close"] for contest in batch)


def test_where_the_processor_is_measured_first_calls_come_one_by_one():
    batch = [Contest(), Contest()]
    with prepared(batch, together=False):
        assert [contest.done for contest in batch] == [[("prepare", False)]] * 2


@pytest.mark.parametrize("together", [True, False])
def test_whatever_happens_every_process_is_closed(together):
    batch = [Contest(), Contest(error=RuntimeError("odd"))]
    with pytest.raises(RuntimeError, match="odd"), prepared(batch, together):
        raise AssertionError("it was not prepared")
    assert all(contest.done[-1] == "close" for contest in batch)
    batch = [Contest()]
    with pytest.raises(KeyboardInterrupt), prepared(batch, together):
        raise KeyboardInterrupt
    assert batch[0].done[-1] == "close"


def test_an_interrupt_ends_the_waiting_of_the_others():
    class Waits(Contest):
        def prepare(self, together=False):
            assert self.stop.wait(timeout=20)

    batch = [Contest(error=KeyboardInterrupt()), Waits()]
    with pytest.raises(KeyboardInterrupt), prepared(batch, together=True):
        raise AssertionError("it was not prepared")
    assert batch[1].stop.is_set()
