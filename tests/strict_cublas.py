"""A strict stand-in for cuBLAS, over NumPy: the functions that ``backends/cuda/blas.py`` calls, as ctypes has them.

Device pointers of the strict CuPy are addresses of the host, so the matrices are read and written where they lie. What
cuBLAS refuses gets the status that it gives; what it would not notice fails here: argument types that are not the
header's, memory outside every array, a product on another stream than CuPy's, or without a workspace, which takes
memory that a graph cannot have.
"""

import ctypes
from functools import partial

import numpy as np
import strict_cuda

STATUS = {
    0: "CUBLAS_STATUS_SUCCESS", 1: "CUBLAS_STATUS_NOT_INITIALIZED", 3: "CUBLAS_STATUS_ALLOC_FAILED",
    7: "CUBLAS_STATUS_INVALID_VALUE", 8: "CUBLAS_STATUS_ARCH_MISMATCH", 13: "CUBLAS_STATUS_EXECUTION_FAILED",
    14: "CUBLAS_STATUS_INTERNAL_ERROR", 15: "CUBLAS_STATUS_NOT_SUPPORTED",
}  # fmt: skip
INVALID_VALUE, NOT_SUPPORTED = 7, 15

# The parameters that cublas_api.h declares, in its order. Enumerations are ints in C.
DECLARED = {
    "cublasCreate_v2": "handle*",
    "cublasSetStream_v2": "handle pointer",
    "cublasSetWorkspace_v2": "handle pointer size_t",
    "cublasSetMathMode": "handle enum",
    "cublasGetStatusName": "enum",
    "cublasGemmEx": "handle enum enum int int int pointer"
    " pointer enum int pointer enum int pointer pointer enum int enum enum",
    "cublasGemmStridedBatchedEx": "handle enum enum int int int pointer"
    " pointer enum int longlong pointer enum int longlong pointer pointer enum int longlong int enum enum",
}
KINDS = {
    "handle*": ctypes.c_void_p, "handle": ctypes.c_void_p, "pointer": ctypes.c_void_p, "int": ctypes.c_int,
    "enum": ctypes.c_int, "size_t": ctypes.c_size_t, "longlong": ctypes.c_longlong,
}  # fmt: skip

HALVES = {2: "float16", 14: "bfloat16"}
ELEMENTS = {**HALVES, 0: "float32", 1: "float64"}
# compute type -> (the type of alpha and beta, the types of A and B and of C that it takes)
COMPUTE = {
    68: (ctypes.c_float, {(0, 0), (2, 2), (2, 0), (14, 14), (14, 0)}),
    75: (ctypes.c_float, {(0, 0)}),
    77: (ctypes.c_float, {(0, 0)}),
    70: (ctypes.c_double, {(1, 1)}),
}
MANTISSA = {75: 7, 77: 10}  # bits that are left of a float32


def dtype_of(code):
    if ELEMENTS[code] == "bfloat16":
        return np.dtype(__import__("ml_dtypes").bfloat16)
    return np.dtype(ELEMENTS[code])


class Function:
    """A function of the library: called with Python numbers, which must fit what the header declares.

    ``calls`` counts; ``fails`` is a status that is returned instead of doing anything.
    """

    def __init__(self, name, body):
        self.name, self.body = name, body
        self.argtypes, self.restype, self.calls, self.fails = None, ctypes.c_int, 0, 0

    def __call__(self, *given):
        wanted = [KINDS[word] for word in DECLARED[self.name].split()]
        assert list(self.argtypes) == wanted, f"{self.name} is declared otherwise"
        assert self.restype is (ctypes.c_char_p if self.name == "cublasGetStatusName" else ctypes.c_int)
        assert len(given) == len(wanted), f"{self.name} takes {len(wanted)} arguments, got {len(given)}"
        self.calls += 1
        return self.fails or self.body(*[self._passed(x, kind) for x, kind in zip(given, wanted)])

    def _passed(self, x, kind):
        x = x.value if isinstance(x, ctypes.c_void_p) else x
        if kind is ctypes.c_void_p:
            assert x is None or type(x) is int, f"{self.name}: {x!r} is no address"
            return x or 0
        assert type(x) is int, f"{self.name}: {x!r} is no int"
        assert kind(x).value == x, f"{self.name}: {x} does not fit {kind.__name__}"
        return x


class Handle:
    def __init__(self):
        self.stream, self.workspace, self.math_mode = 0, None, 0


class StrictCublas:
    """The library; ``handles`` are those that were made."""

    def __init__(self):
        self.handles = {}
        for name in DECLARED:
            body = getattr(self, "_" + name.removeprefix("cublas").removesuffix("_v2"))
            setattr(self, name, Function(name, body))

    # --- handles ------------------------------------------------------------------------------------------------------

    def _Create(self, place):
        strict_cuda.refuse_in_capture("cublasCreate")
        key = 0x1000 * (len(self.handles) + 1)
        self.handles[key] = Handle()
        ctypes.c_void_p.from_address(place).value = key
        return 0

    def _SetStream(self, handle, stream):
        self.handles[handle].stream = stream
        self.handles[handle].workspace = None
        return 0

    def _SetWorkspace(self, handle, pointer, size):
        if pointer % 256:
            return INVALID_VALUE
        self.handles[handle].workspace = pointer, size
        return 0

    def _SetMathMode(self, handle, mode):
        self.handles[handle].math_mode = mode
        return 0

    def _GetStatusName(self, status):
        return STATUS.get(status, "unrecognized status").encode()

    # --- products -----------------------------------------------------------------------------------------------------

    def _GemmEx(
        self, handle, transa, transb, m, n, k, alpha, A, Atype, lda, B, Btype, ldb, beta, C, Ctype, ldc, compute, algo
    ):
        given = (A, Atype, lda, 0), (B, Btype, ldb, 0), (C, Ctype, ldc, 0)
        return self._gemm(handle, (transa, transb), (m, n, k), (alpha, beta), *given, 1, compute, algo)

    def _GemmStridedBatchedEx(
        self, handle, transa, transb, m, n, k, alpha, A, Atype, lda, strideA, B, Btype, ldb, strideB, beta, C, Ctype,
        ldc, strideC, batchCount, compute, algo,
    ):  # fmt: skip
        given = (A, Atype, lda, strideA), (B, Btype, ldb, strideB), (C, Ctype, ldc, strideC)
        return self._gemm(handle, (transa, transb), (m, n, k), (alpha, beta), *given, batchCount, compute, algo)

    def _gemm(self, handle, turned, sizes, scalars, a, b, c, count, compute, algo):
        desk = self.handles[handle]
        assert desk.stream == strict_cuda.get_current_stream().ptr, "a product on another stream than CuPy's"
        assert desk.workspace, "no workspace: setting the stream takes it away"
        m, n, k = sizes
        shapes = (k, m) if turned[0] else (m, k), (n, k) if turned[1] else (k, n), (m, n)
        lds = [x[2] for x in (a, b, c)]
        if min(m, n, k, count) < 0 or any(ld < max(1, rows) for ld, (rows, _) in zip(lds, shapes)):
            return INVALID_VALUE
        if not set(turned) <= {0, 1} or algo != -1 or compute not in COMPUTE:
            return INVALID_VALUE
        kind, types = COMPUTE[compute]
        if a[1] != b[1] or (a[1], c[1]) not in types:
            return NOT_SUPPORTED
        # A result that is written twice, by two products of the batch, is nobody's.
        assert count == 1 or abs(c[3]) >= lds[2] * (n - 1) + m or abs(c[3]) + m <= lds[2], "results overlap"
        scalars = [kind.from_address(address).value for address in scalars]
        matrices = [Matrices(*x, shape, count) for x, shape in zip((a, b, c), shapes)]
        for x in matrices[:2]:
            assert not x.meets(matrices[2]), "cuBLAS may not read what it writes"
        strict_cuda.on_stream(partial(_multiply, matrices, turned, scalars, count, compute))()
        pointer, size = desk.workspace
        ctypes.memset(pointer, 0xFF, min(size, 512))  # it is cuBLAS's own
        return 0


def _multiply(matrices, turned, scalars, count, compute):
    for i in range(count):
        a, b = (x[i].T if t else x[i] for x, t in zip(matrices[:2], turned))
        out, (alpha, beta) = matrices[2][i], scalars
        wide = np.promote_types(a.dtype, "float32")
        with np.errstate(all="ignore"):
            product = alpha * (_rounded(a.astype(wide), compute) @ _rounded(b.astype(wide), compute))
            out[...] = product + beta * out if beta else product


def _rounded(x, compute):
    """The float32 numbers as the tensor cores take them."""
    if compute not in MANTISSA:
        return x
    dropped = 23 - MANTISSA[compute]
    bits = np.ascontiguousarray(x).view(np.uint32) + np.uint32(1 << (dropped - 1))
    return (bits >> dropped << dropped).astype(np.uint32).view(np.float32)


class Matrices:
    """Matrices in memory, column by column, a stride apart; they keep alive the arrays that they lie in."""

    def __init__(self, pointer, code, ld, stride, shape, count):
        self.dtype = dtype_of(code)
        (rows, columns), size = shape, self.dtype.itemsize
        assert pointer % size == 0, "an address that no element has"
        last = max(ld * (columns - 1) + rows, 0) if rows and columns else 0
        self.begin = pointer + min(0, stride * (count - 1)) * size
        self.end = pointer + (max(0, stride * (count - 1)) + last) * size
        self.base = _holder(self.begin, self.end)
        self.places = pointer, ld, stride, shape

    def meets(self, other):
        return self.begin < other.end and other.begin < self.end

    def __getitem__(self, i):
        (pointer, ld, stride, shape), size = self.places, self.dtype.itemsize
        address = pointer + i * stride * size
        count = max(ld * (shape[1] - 1) + shape[0], 0)
        flat = np.frombuffer((ctypes.c_char * (count * size)).from_address(address), self.dtype)
        return np.lib.stride_tricks.as_strided(flat, shape, (size, ld * size))


def _holder(begin, end):
    """The array that holds this memory."""
    for reference in list(strict_cuda._arrays.values()):
        array = reference()
        if array is not None:
            start = array._host.__array_interface__["data"][0]
            if start <= begin and end <= start + array._host.nbytes:
                return array
    raise AssertionError("cuBLAS was sent to memory that belongs to no array")
