"""Memory of the strict stand-in for CuPy: pools with a limit, pinned memory, and copies that take their time.

A copy to or from pinned memory is under way until the host has waited for it, by an event or by anything else that
makes it wait. Until then pinned memory that is being read must stay as it is, and pinned memory that is being written
holds nothing that can be taken for a result. What CUDA would leave undefined there fails here.

Arrays are charged to the default pool, or to the pool in use. A pool that would pass its limit, or the card's end,
raises what CuPy raises. It knows nothing of the rest of the stand-in, which sets the two functions in ``told``.
"""

import ctypes
import gc
import weakref
from functools import cache
from types import SimpleNamespace

import numpy as np

CARD = 16 << 30  # bytes
UNIT = 512  # what CuPy's pool rounds up to

told = SimpleNamespace(waits=lambda what: None, copies=lambda what: None)

# --- pools ------------------------------------------------------------------------------------------------------------


class OutOfMemoryError(MemoryError):
    """As CuPy says it."""

    def __init__(self, size, total, limit=0):
        so_far = f"allocated so far: {total:,} bytes" + (f", limit set to: {limit:,} bytes" if limit else "")
        super().__init__(f"Out of memory allocating {size:,} bytes ({so_far}).")


_pools = weakref.WeakSet()


class MemoryPool:
    """Counts the bytes of arrays and keeps what is freed, as CuPy's does; nothing is ever in pieces."""

    def __init__(self, allocator=None):
        self.allocator, self.used, self.reserved, self.limit = allocator, 0, 0, 0
        self.most = 0  # that was ever used; a test may set it
        _pools.add(self)

    def malloc(self, size):
        raise NotImplementedError("the stand-in allocates by itself")

    def charge(self, size):
        """A block of that size, which gives itself back when nobody holds it."""
        size = -(-size // UNIT) * UNIT
        if not self._has(size):
            gc.collect()
            for pool in list(_pools):
                pool.free_all_blocks()
        if not self._has(size):
            raise OutOfMemoryError(size, self.reserved, self.limit)
        self.used += size
        self.reserved, self.most = max(self.reserved, self.used), max(self.most, self.used)
        return _Block(self, size)

    def _has(self, size):
        grown = max(self.used + size - self.reserved, 0)
        return grown <= _left() and (not self.limit or self.reserved + grown <= self.limit)

    def used_bytes(self):
        return self.used

    def total_bytes(self):
        return self.reserved

    def free_bytes(self):
        return self.reserved - self.used

    def get_limit(self):
        return self.limit

    def set_limit(self, size=None, fraction=None):
        if size is not None and fraction is not None:
            raise ValueError("size and fraction cannot be specified at one time")
        if (size is not None and size < 0) or (fraction is not None and not 0 <= fraction <= 1):
            raise ValueError("memory limit size out of range")
        self.limit = int((size or 0) if fraction is None else fraction * CARD)

    def free_all_blocks(self, stream=None):
        self.reserved = self.used


class _Block:
    def __init__(self, pool, size):
        self.pool, self.size = pool, size

    def __del__(self):
        self.pool.used -= self.size


_default = MemoryPool()


def get_default_memory_pool():
    return _default


def charge(array, allocators):
    """Let an array hold a block of the pool in use; ``allocators`` holds a pool's ``malloc``, the innermost last."""
    pool = getattr(allocators[-1], "__self__", None) if allocators else _default
    array._block = (pool if isinstance(pool, MemoryPool) else _default).charge(array._host.nbytes)


def _left():
    return CARD - sum(pool.reserved for pool in _pools)


def mem_get_info():
    """(free, total) bytes of the card."""
    return _left(), CARD


# --- pinned memory ----------------------------------------------------------------------------------------------------

_pinned = {}  # address -> (weak reference, size)


@cache
def _pinned_type(size):
    base = ctypes.c_uint8 * size
    return type(base)("PinnedMemoryPointer", (base,), {"ptr": property(ctypes.addressof), "size": lambda self: size})


def alloc_pinned_memory(size):
    """Pinned memory of at least that size, as a buffer; what was in it before is still there."""
    size = -(-size // UNIT) * UNIT
    memory = _pinned_type(size)()
    ctypes.memset(memory.ptr, 0xA5, size)
    _pinned[memory.ptr] = weakref.ref(memory), size
    return memory


def _owner(address, size):
    """The pinned memory that holds these bytes, or None."""
    for start, (reference, length) in list(_pinned.items()):
        if reference() is None:
            del _pinned[start]
        elif start <= address and address + size <= start + length:
            return reference
    return None


# --- copies that are under way ----------------------------------------------------------------------------------------

_clock = 0  # counts what was asked of the streams here
_under_way = []


class _Copy:
    """From pinned memory (``fetches`` false) or into it; ``data`` are the bytes that go over."""

    def __init__(self, owner, address, data, fetches):
        global _clock
        _clock += 1
        self.at, self.owner, self.address, self.data, self.fetches = _clock, owner, address, data, fetches
        for other in _under_way:  # a fetch into what is being read is refused with the rest: its bytes have changed
            if other.address < address + len(data) and address < other.address + len(other.data):
                other.check()
        _under_way.append(self)

    def check(self):
        assert self.owner() is not None, "pinned memory was let go while a copy was under way"
        if not self.fetches and ctypes.string_at(self.address, len(self.data)) != self.data:
            raise AssertionError("pinned memory was overwritten while a copy from it was under way")

    def done(self):
        self.check()
        if self.fetches:
            ctypes.memmove(self.address, self.data, len(self.data))


def complete(until=None):
    """The host has waited for all copies, or for those asked for until then."""
    ready = [copy for copy in _under_way if until is None or copy.at <= until]
    _under_way[:] = [copy for copy in _under_way if copy not in ready]
    for copy in ready:
        copy.done()


class MemoryPointer:
    """A place in the memory of a device array."""

    device_id = 0

    def __init__(self, host, offset=0):
        self.mem, self.offset = host, offset
        self.ptr = host.__array_interface__["data"][0] + offset

    def __add__(self, offset):
        return MemoryPointer(self.mem, self.offset + int(offset))

    def copy_from_host_async(self, mem, size, stream=None):
        address = self._checked(mem, size, "a copy from the host")
        owner = _owner(address, size)
        assert owner is not None, "an asynchronous copy wants pinned memory"
        copy = _Copy(owner, address, ctypes.string_at(address, size), fetches=False)
        ctypes.memmove(self.ptr, copy.data, size)  # in the order of the stream: whoever reads it comes later

    def copy_to_host_async(self, mem, size, stream=None):
        address = self._checked(mem, size, "a copy to the host")
        fetch(address, ctypes.string_at(self.ptr, size))

    def _checked(self, mem, size, what):
        told.copies(what)
        end = np.lib.array_utils.byte_bounds(self.mem)[1]
        assert 0 <= size <= end - self.ptr, f"{what} of {size} bytes passes the end of the array"
        return mem if isinstance(mem, int) else mem.value


def fetch(address, data):
    """Bytes from the device to the host: into pinned memory they come when the host has waited, elsewhere it waits."""
    owner = _owner(address, len(data))
    if owner is None:
        told.waits("a copy to memory that is not pinned")
        ctypes.memmove(address, data, len(data))
    else:
        _Copy(owner, address, data, fetches=True)
        ctypes.memset(address, 0xA5, len(data))


class Event:
    """A point in the order of what was asked for."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._at = 0

    def record(self, stream=None):
        global _clock
        told.copies("an event outside the graph")
        _clock += 1
        self._at = _clock

    @property
    def done(self):
        return not any(copy.at <= self._at for copy in _under_way)

    def synchronize(self):
        """Wait; to wait for what was asked for last is to wait for everything."""
        if self._at and self._at == _clock:
            told.waits("synchronize() of an event with nothing behind it")
        complete(self._at)
