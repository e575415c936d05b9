"""Pinned memory: how numbers come from the host and go back without the host waiting for more than it must.

A graphics card copies by itself from *pinned* host memory, which the system may not move. So what comes in is put into
one of a few pinned buffers, and its copy is only asked for: the host goes on and prepares the next batch. A buffer is
filled anew once its last copy is done, for which the host waits only if the card is that far behind. What goes out, the
count of stray indices and an array, is waited for once.
"""

import threading
from functools import cache
from typing import Any

import numpy as np

from tinynet.errors import CaptureError

Array = Any
Host = np.ndarray[Any, Any]

BUFFERS = 4  # a batch is two arrays: the next one is prepared while one is under way
LEAST, MOST = 1 << 16, 1 << 24  # bytes; an array longer than the most goes in pieces of that length


class _Buffer:
    """A piece of pinned memory, and the event that says when its last copy is done."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self.memory: Any = None
        self.bytes: Host = np.empty(0, np.uint8)
        self.event = xp.cuda.Event(disable_timing=True)

    def room(self, size: int) -> Host:
        """So many bytes, once nothing is being copied from here any longer."""
        self.event.synchronize()
        if self.bytes.size < size:
            grown = max(LEAST, 1 << (size - 1).bit_length())
            self.memory = self.xp.cuda.alloc_pinned_memory(grown)
            self.bytes = np.frombuffer(self.memory, np.uint8, grown)
        return self.bytes[:size]


@cache
def staging(xp: Any) -> "Staging":
    """The one of an array module; it stays, for a copy may be under way when nobody remembers it."""
    return Staging(xp)


class Staging:
    """The pinned buffers of an array module, shared by all threads, which take turns."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self._ring = [_Buffer(xp) for _ in range(BUFFERS)]
        self._back = _Buffer(xp)
        self._next = 0
        self._lock = threading.Lock()

    def put(self, data: Host, out: Array) -> None:
        """Overwrite a device array that lies row by row with a host array, broadcast and converted.

        The copy comes behind what the current stream was asked for before; the host array may change at once.
        """
        self._not_into_a_graph("a host array was copied to the device")
        if out.nbytes > MOST:
            whole = np.ascontiguousarray(np.broadcast_to(data, out.shape), out.dtype)
            source = whole.reshape(-1).view(np.uint8)
            pieces = [(start, source[start : start + MOST]) for start in range(0, out.nbytes, MOST)]
        else:
            pieces = [(0, data)] if out.size else []
        with self._lock:
            for start, piece in pieces:
                buffer, self._next = self._ring[self._next], (self._next + 1) % BUFFERS
                if out.nbytes > MOST:
                    place = buffer.room(piece.size)
                else:
                    place = buffer.room(out.nbytes).view(out.dtype).reshape(out.shape)
                np.copyto(place, piece, casting="unsafe")
                (out.data + start).copy_from_host_async(buffer.memory.ptr, place.nbytes)
                buffer.event.record()

    def fetch(self, count: Array, array: Array) -> tuple[int, Host]:
        """One number and an array, new on the host, waited for together."""
        self._not_into_a_graph("numbers were read from the device")
        short = array.nbytes <= MOST
        with self._lock:
            room = self._back.room(8 + (array.nbytes if short else 0))
            number, rest = room[:8].view(count.dtype).reshape(()), room[8:].view(array.dtype)
            host: Host = rest.reshape(array.shape) if short else np.empty(array.shape, array.dtype)
            count.get(out=number, blocking=False)
            if array.size:
                array.get(out=host, blocking=False)
            self.xp.cuda.get_current_stream().synchronize()
            return int(number), host.copy() if short else host

    def _not_into_a_graph(self, what: str) -> None:
        if self.xp.cuda.get_current_stream().is_capturing():
            raise CaptureError(f"{what} while a graph is being captured; each launch would repeat it. Do it before.")
