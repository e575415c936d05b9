"""Whether a multiprocessor can keep the weights of a recurrence, and how its threads share them; no device needed.

``recurrent.cu`` says what lanes, rows and fours are. What is counted here is what its products count.
"""

from typing import NamedTuple

REGISTERS = 1 << 16  # of a multiprocessor; a thread has 255 at most
BESIDE = 24, 16  # registers of a thread for all but weights, of 4 bytes: in any case, and more for each row
SPILLED = 16  # fours that a thread may have beyond its registers and shared memory: they go to the first cache, or L2
THREADS = 512  # of a block, where there is a choice: four warps for each of its schedulers hide what one waits for


class Cell(NamedTuple):
    """A kind of recurrence.

    Attributes:
        name: of its kernel.
        gates: sums of a unit over the state, and over the input.
        saved: numbers of a unit and step for the way back.
        lanes: that share a unit at least.
        parts: of its state.
        apart: whether dL/d(sums over the state) are others than those over the input.
    """

    name: str
    gates: int
    saved: int
    lanes: int
    parts: int = 1
    apart: bool = False


RNN, LSTM, GRU = Cell("rnn", 1, 1, 1), Cell("lstm", 4, 6, 4, parts=2), Cell("gru", 3, 4, 4, apart=True)


class Plan(NamedTuple):
    """How a recurrence runs in one launch.

    Attributes:
        width: units that the source is compiled for: those of the layer, or a few more, so that not every size is
            another source.
        lanes: that share a unit.
        rows: sequences of a block.
        threads: of a block.
        kept: fours of weights in the registers of a thread at most, forwards and backwards.
        shared: bytes of shared memory of a block, forwards and backwards.
    """

    width: int
    lanes: int
    rows: int
    threads: int
    kept: tuple[int, int]
    shared: tuple[int, int]


def planned(cell: Cell, hidden: int, batch: int, itemsize: int, processors: int, room: int) -> Plan | None:
    """How to go along all steps in one launch; None where the weights are too many to keep.

    Args:
        hidden, batch: the sizes.
        itemsize: bytes of a number as it is computed with, 4 or 8.
        processors: the card's multiprocessors.
        room: bytes of shared memory that a block may have.
    """
    lanes, width = cell.lanes, -(-hidden // 8) * 8 if hidden > 4 else 4
    while lanes < 16 and 2 * lanes * width <= THREADS and 8 * lanes <= width:
        lanes *= 2
    threads = -(-lanes * width // 32) * 32
    if threads > 1024:
        return None
    rows = 1 if batch <= processors else 2  # a second row costs its arithmetic alone, and halves the waves of blocks
    forwards = _kept(cell.gates, lanes, width, rows, threads, itemsize, room)
    backwards = _kept(2, 2 * lanes, cell.gates * width, rows, threads, itemsize, room)
    if forwards is None or backwards is None:
        return None
    return Plan(width, lanes, rows, threads, *zip(forwards, backwards))


def _kept(
    outputs: int, slices: int, length: int, rows: int, threads: int, itemsize: int, room: int
) -> tuple[int, int] | None:
    """How many fours of its weights a thread keeps in registers at most, and the block's shared memory with the
    others; None where they do not fit. A thread has a part of ``outputs`` sums over ``length`` numbers, one of
    ``slices``.
    """
    chunks = -(-length // (4 * slices))
    items, words = chunks * outputs, itemsize // 4
    vectors = 2 * rows * chunks * slices * 4 * itemsize
    registers = min(255, REGISTERS // threads // 8 * 8)
    meant = max(0, registers - BESIDE[0] - BESIDE[1] * rows * words) // (4 * words)
    fitting = (room - vectors) // (threads * 4 * itemsize)
    if fitting < 0 or items > meant + fitting + SPILLED:
        return None
    kept = max(meant, items - fitting)
    return kept, vectors + max(0, items - kept) * threads * 4 * itemsize
