"""CUDA's side of the strict stand-in: kernels in CUDA C++ run on the CPU, streams, captured graphs, private memory.

A source is compiled by g++ behind a shim (``cuda_on_cpu/shim.h``) and its threads run as fibers, one after the other,
so barriers and shuffles mean what they mean on a card. Arguments are checked against the kernel's own declaration: an
`int` wants a np.int32, a `float*` an array of float32. Memory that ``empty`` handed out lies between two guards, which
are looked at after every launch.

Capture: what is captured is carried out, written down, and undone when the capture ends. What a stream cannot capture
fails: host reads, copies from the host, CuPy's products of matrices, temporaries that are not in a private pool.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import weakref
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path

import numpy as np
import strict_memory

SHIM = Path(__file__).with_name("cuda_on_cpu") / "shim.h"
# Compiling takes longer than running: nothing is optimised, and no more is linked than what kernels call.
OPTIONS = "-std=c++17 -O0 -fPIC -shared -ffp-contract=off -fno-strict-aliasing -w -nostdlib".split()
LIBRARIES = "-lm -lc -lgcc".split()
GUARD = 512  # bytes before and after every array of `empty`
PATTERN = 0xA5
_built = Path(os.environ.get("CUDA_ON_CPU_CACHE") or tempfile.mkdtemp(prefix="cuda-on-cpu-"))
compilable = shutil.which("g++") is not None

# --- memory -----------------------------------------------------------------------------------------------------------

_guarded = {}  # address -> (weak reference to the whole, where the array begins and ends in it)
_arrays = {}  # id -> weak reference to every array that is no view


def guarded(shape, dtype, order="C"):
    """Room for an array, between guards."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    whole = np.full(size + 3 * GUARD, PATTERN, np.uint8)
    start = GUARD + -(whole.ctypes.data + GUARD) % GUARD  # aligned as CuPy's memory is
    address = whole.ctypes.data + start
    _guarded[address] = weakref.ref(whole, lambda _: _guarded.pop(address, None)), start, start + size
    return np.ndarray(shape, dtype, whole, start, order=order)


def _check_guards(arrays):
    """Look before and after what a kernel was given; an array of `empty`, or a view of one."""
    for address in {x.__array_interface__["data"][0] for x in arrays}:
        if address in _guarded and (whole := _guarded[address][0]()) is not None:
            _, start, end = _guarded[address]
            if (whole[start - GUARD : start] != PATTERN).any() or (whole[end : end + GUARD] != PATTERN).any():
                raise AssertionError(f"a kernel wrote outside an array of {end - start} bytes")


def born(array):
    """Note an array with memory of its own; while a stream captures, that comes from a private pool."""
    if _capture is not None and not _allocators:
        raise AssertionError("memory for a graph must come from a pool of its own, which lives as long as the graph")
    strict_memory.charge(array, _allocators)
    key = id(array)
    _arrays[key] = weakref.ref(array, lambda _: _arrays.pop(key, None))


# --- kernels ----------------------------------------------------------------------------------------------------------

_NUMBERS = {
    "int": np.int32, "unsigned": np.uint32, "unsigned int": np.uint32, "long long": np.int64, "float": np.float32,
    "double": np.float64, "unsigned long long": np.uint64, "bool": np.bool_,
}  # fmt: skip
_ELEMENTS = {
    "half_t": "float16", "bfloat_t": "bfloat16", "float": "float32", "double": "float64", "bool": "bool",
    "signed char": "int8", "short": "int16", "int": "int32", "long long": "int64", "unsigned char": "uint8",
    "unsigned": "uint32", "unsigned int": "uint32", "unsigned long long": "int64", "void": None,
}  # fmt: skip
_most_shared = {}  # a kernel's source and name -> bytes of shared memory that a launch may ask for, where that was set
_KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)", re.S)


def _declared(code):
    """kernel -> the types of its parameters, macros replaced."""
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    macros = dict(re.findall(r"^#define (\w) ([\w ]+)$", code, re.M))
    macros["wide"] = "double" if macros.get("T") == "double" else "float"
    types = {}
    for name, parameters in _KERNEL.findall(code):
        found = []
        for parameter in parameters.split(",") if parameters.strip() else []:
            words = re.sub(r"\b(const|__restrict__)\b", " ", parameter)
            pointer = "*" in words
            words = re.sub(r"\w+\s*$", "", words.replace("*", " ")).split()
            kind = " ".join(macros.get(word, word) for word in words)
            found.append((kind, pointer))
        types[name] = found
    return types


@cache
def _meeting(code):
    """The functions in which threads wait for each other, or that call one of these; they need fibers."""
    code = re.sub(r"__launch_bounds__\([^)]*\)", "", code)
    starts = [*re.finditer(r"(?:__device__|__global__)[^;{}]*?(\w+)\s*\([^{};]*\)\s*\{", code)]
    ends = [start.start() for start in starts[1:]] + [len(code)]
    bodies = {}
    for start, end in zip(starts, ends):
        bodies[start[1]] = bodies.get(start[1], "") + code[start.end() : end]
    meeting, before = {"__syncthreads", "__syncwarp", r"__shfl\w*"}, 0
    while len(meeting) > before:
        before = len(meeting)
        meeting |= {name for name, body in bodies.items() if re.search(rf"\b({'|'.join(meeting)})\b", body)}
    return meeting


@cache
def _library(code):
    """The source compiled for the CPU, and its kernels' parameter types."""
    if not compilable:
        raise NotImplementedError("raw kernels need a GPU, or g++")
    types = _declared(code)
    calls = []
    for name, parameters in types.items():
        given = [f"*({kind}{'*' if pointer else ''}*)a[{i}]" for i, (kind, pointer) in enumerate(parameters)]
        calls.append(f'extern "C" void call_{name}(void** a) {{ {name}({", ".join(given)}); }}')
    entry = 'extern "C" const char* launch(void (*c)(void**), void** a, const unsigned* g, const unsigned* b, int f)'
    text = "\n".join([SHIM.read_text(), code, *calls, entry + " { return shim::launch(c, a, g, b, f); }"])
    built = _built / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.so"
    if not built.exists():
        _built.mkdir(parents=True, exist_ok=True)
        written, part = (_built / f"{built.stem}.{os.getpid()}.{kind}" for kind in ("cpp", "so"))
        written.write_text(text)
        command = ["g++", *OPTIONS, written, "-o", part, *LIBRARIES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"CompileException: {done.stderr[:3000]}")
        os.replace(part, built)  # others may be building the same
    library = ctypes.CDLL(str(built))
    library.launch.restype = ctypes.c_char_p
    return library, types


class RawModule:
    """Compiled when a kernel is asked for, as CuPy's is."""

    def __init__(self, code=None, *, path=None, options=(), backend="nvrtc", name_expressions=None):
        assert code is not None
        assert path is None
        assert name_expressions is None
        self._code = code

    def get_function(self, name):
        return RawKernel(self._code, name)


class RawKernel:
    """A kernel; arguments are checked against its declaration."""

    def __init__(self, code, name, options=(), backend="nvrtc"):
        library, types = _library(code)
        if name not in types:
            raise RuntimeError(f"cudaErrorSymbolNotFound: {name}; there are {', '.join(types)}")
        self._library, self._types, self._name = library, types[name], name
        self._call = getattr(library, f"call_{name}")
        self._barriers = name in _meeting(code)
        self._function = code, name

    @property
    def max_dynamic_shared_size_bytes(self):
        """The driver's: CuPy loads a source once, so this is one number for all who asked for its kernel."""
        return _most_shared.get(self._function, 48 << 10)

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size):
        assert size <= 227 << 10, f"{self._name}: {size} bytes shared"
        _most_shared[self._function] = size

    def __call__(self, grid, block, args, *, shared_mem=0):
        grid, block = ((*map(int, size), 1, 1)[:3] for size in (grid, block))
        assert 0 < np.prod(block) <= 1024, f"{self._name}: a block of {block}"
        assert 0 < grid[0] < 2**31, f"{self._name}: a grid of {grid}"
        assert all(0 < n <= 65535 for n in grid[1:]), f"{self._name}: a grid of {grid}"
        assert shared_mem <= self.max_dynamic_shared_size_bytes, f"{self._name}: {shared_mem} bytes shared"
        assert len(args) == len(self._types), f"{self._name} takes {len(self._types)} arguments, got {len(args)}"
        _launch(self, grid, block, args)

    def run(self, grid, block, args):
        held = [self._passed(i, x) for i, x in enumerate(args)]
        pointers = (ctypes.c_void_p * len(held))(*[ctypes.addressof(x) for x in held])
        sizes = [(ctypes.c_uint * 3)(*size) for size in (grid, block)]
        failure = self._library.launch(self._call, pointers, *sizes, int(self._barriers))
        if failure:
            raise AssertionError(f"{self._name}: {failure.decode()}")
        given = [x for x in args if hasattr(x, "_host")]
        _check_guards([(x if x.base is None else x.base)._host for x in given])

    def _passed(self, i, x):
        kind, pointer = self._types[i]
        what = f"{self._name}, argument {i} ({kind}{'*' if pointer else ''})"
        if pointer:
            if isinstance(x, np.uint64):  # an address
                return ctypes.c_void_p(int(x))
            assert hasattr(x, "_host"), f"{what}: got {type(x).__name__}"
            wanted = _ELEMENTS[kind]
            assert wanted in (None, x.dtype.name), f"{what}: got an array of {x.dtype}"
            return ctypes.c_void_p(x._host.__array_interface__["data"][0])
        assert type(x) is _NUMBERS[kind], f"{what}: got {type(x).__name__} {x!r}"
        return np.ctypeslib.as_ctypes_type(_NUMBERS[kind])(x.item())


@cache
def _launcher():
    return on_stream(lambda kernel, grid, block, args: kernel.run(grid, block, args))


def _launch(*given):
    _launcher()(*given)


# --- streams and capture ----------------------------------------------------------------------------------------------

_capture = None  # the graph that is being captured, if any
_depth = 0  # of device operations that call others
_streams = []  # those in use, the innermost last
_allocators = []
on_wait = [lambda what: refuse_in_capture(what)]  # who is told that the host waits


def refuse_in_capture(what):
    """Fail as CuPy or CUDA does where a stream cannot capture something."""
    if _capture is not None:
        raise NotImplementedError(f"{what} is not supported in stream capture")


_VIEWS = frozenset(
    "reshape ravel transpose swapaxes moveaxis expand_dims broadcast_to squeeze split array_split as_strided "
    "sliding_window_view __getitem__ ascontiguousarray astype".split()
)


def _is_view(function, args, result):
    """Whether nothing was launched: the result is another look at memory that was there."""
    looks = result if isinstance(result, (list, tuple)) else [result]
    named = getattr(function, "__name__", "") in _VIEWS
    return named and all(hasattr(x, "_host") and (x is args[0] or x.base is not None) for x in looks)


def on_stream(function):
    """A device operation; while a stream captures it is written down, and every launch refills what it returned."""

    @wraps(function)
    def run(*args, **kwargs):
        global _depth
        if _capture is None or _depth:
            return function(*args, **kwargs)
        _depth += 1
        try:
            result = function(*args, **kwargs)
        finally:
            _depth -= 1
        if not _is_view(function, args, result):
            _capture.work.append(lambda: _refill(result, function(*args, **kwargs)))
        return result

    return run


def _refill(result, again):
    if isinstance(result, (list, tuple)):
        for place, found in zip(result, again):
            _refill(place, found)
    elif hasattr(result, "_host") and again is not result:
        np.copyto(result._host, again._host)


class Graph:
    """What a stream captured."""

    def __init__(self):
        self.work, self.launches = [], 0
        self._before = [
            (array, array._host.copy()) for array in (ref() for ref in list(_arrays.values())) if array is not None
        ]

    def undo(self):
        """Put back what capturing changed; what it allocated holds nothing yet."""
        known = {id(array) for array, _ in self._before}
        for array, before in self._before:
            np.copyto(array._host, before)
        for key, reference in list(_arrays.items()):
            if key not in known and (array := reference()) is not None:
                spoil(array._host)
        self._before = []

    def launch(self, stream=None):
        refuse_in_capture("launching a graph")
        self.launches += 1
        for work in self.work:
            work()

    def upload(self, stream=None):
        """Nothing to do."""


def spoil(host):
    """Fill memory with what nobody can take for a result."""
    kind = host.dtype.kind
    host.fill(np.iinfo(host.dtype).max if kind in "iu" else 1 if kind == "b" else np.nan)
    return host


class Stream:
    """A queue of work; what is asked of it is done at once."""

    def __init__(self, null=False, non_blocking=False, ptds=False):
        self.null, self.non_blocking, self.ptr = null, non_blocking, 0 if null else id(self)

    def __enter__(self):
        _streams.append(self)
        return self

    def __exit__(self, *error):
        _streams.remove(self)

    def begin_capture(self, mode=None):
        global _capture
        assert self.non_blocking, "a captured stream must not block on the default one"
        assert _streams[-1:] == [self], "what is captured is what the current stream is asked"
        assert _capture is None, "the stream captures already"
        _capture = Graph()

    def end_capture(self):
        global _capture
        graph, _capture = _capture, None
        assert graph is not None, "nothing is being captured"
        graph.undo()
        return graph

    def synchronize(self):
        on_wait[0]("synchronize()")

    def is_capturing(self):
        return _capture is not None


Stream.null = Stream(null=True)


def get_current_stream():
    """The stream that is in use."""
    return _streams[-1] if _streams else Stream.null


class Memory:
    """Bytes of the device that are no array."""

    def __init__(self, size):
        self._whole = np.empty(size + GUARD, np.uint8)
        self.ptr = self._whole.ctypes.data + -self._whole.ctypes.data % GUARD


def alloc(size):
    """Memory from the current pool; CuPy returns a pointer that keeps it."""
    refuse_in_capture("taking memory from the default pool")
    return Memory(size)


@contextmanager
def using_allocator(allocator=None):
    """Inside this, memory comes from another pool."""
    _allocators.append(allocator)
    try:
        yield
    finally:
        _allocators.pop()


def captured(work):
    """The graph of what some work asks of the device, captured as the backend does it, and not carried out."""
    stream, pool = Stream(non_blocking=True), strict_memory.MemoryPool()
    with stream, using_allocator(pool.malloc):
        stream.begin_capture()
        try:
            work()
        finally:
            graph = stream.end_capture()
    return graph
