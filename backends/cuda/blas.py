"""cuBLAS by ctypes: products of matrices, with a handle and a workspace of our own, so that a CUDA graph can hold them.

CuPy's calls of cuBLAS refuse to be captured, and copy and convert what cuBLAS takes as it is. This file knows arrays
that have a pointer, a shape and strides; it knows no kernels. NVIDIA's manual: https://docs.nvidia.com/cuda/cublas.
"""

import ctypes
import importlib
from ctypes import c_int, c_longlong, c_size_t, c_void_p
from itertools import product
from typing import Any

from tinynet.backends.cuda.layout import lies_well, stacked
from tinynet.dtypes import dtype_name
from tinynet.errors import ArgumentError, BackendError
from tinynet.precision import matmul_precision

Array = Any

# cublas_api.h and library_types.h
DATA_TYPES = {"float16": 2, "bfloat16": 14, "float32": 0, "float64": 1}
COMPUTE = 68, 70  # COMPUTE_32F, COMPUTE_64F
FLOAT32_AS = {"highest": 68, "high": 77, "medium": 75}  # COMPUTE_32F, …_FAST_TF32, …_FAST_16BF
DISALLOW_REDUCED_PRECISION_REDUCTION = 16  # half floats are added up as float32 where K is split, too
DEFAULT_ALGORITHM = -1
OPERAND = (c_void_p, c_int, c_int)  # pointer, type, leading dimension
STRIDED = (*OPERAND, c_longlong)
PROBLEM = (c_void_p, c_int, c_int, c_int, c_int, c_int, c_void_p)  # handle, two operations, m, n, k, alpha
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (c_void_p,),
    "cublasSetStream_v2": (c_void_p, c_void_p),
    "cublasSetWorkspace_v2": (c_void_p, c_void_p, c_size_t),
    "cublasSetMathMode": (c_void_p, c_int),
    "cublasGetStatusName": (c_int,),
    "cublasGemmEx": (*PROBLEM, *OPERAND, *OPERAND, c_void_p, *OPERAND, c_int, c_int),
    "cublasGemmStridedBatchedEx": (*PROBLEM, *STRIDED, *STRIDED, c_void_p, *STRIDED, c_int, c_int, c_int),
}

LARGEST = 2**31 - 1  # of a size or a leading dimension
SCALARS = (ctypes.c_float(1), ctypes.c_float(0)), (ctypes.c_double(1), ctypes.c_double(0))  # alpha and beta


TOO_FULL = ("CUBLAS_STATUS_ALLOC_FAILED",)
TOO_OLD = ("CUBLAS_STATUS_NOT_SUPPORTED", "CUBLAS_STATUS_ARCH_MISMATCH")
BROKEN = ("CUBLAS_STATUS_EXECUTION_FAILED", "CUBLAS_STATUS_INTERNAL_ERROR", "CUBLAS_STATUS_MAPPING_ERROR")


class CublasError(BackendError):
    """cuBLAS refused a product, or failed in it."""


def load() -> Any:
    """The cuBLAS that CuPy uses itself: the one already in the process, or the one that CuPy's own search finds.

    Raises:
        ImportError: there is none.
    """
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
    except ImportError as error:
        raise ImportError(f"cuda-pathfinder, with which CuPy finds cuBLAS, is missing: {error}") from error
    try:
        path = pathfinder.load_nvidia_dynamic_lib("cublas").abs_path
    except pathfinder.DynamicLibNotFoundError as error:
        raise ImportError(f"cuBLAS was not found: {str(error).splitlines()[0]}") from error
    return ctypes.CDLL(path)


class Blas:
    """Products of matrices by cuBLAS, on CuPy's current stream.

    All products of a device share one workspace: what runs at the same time on two streams may not multiply on both.
    The first product on a device makes the handle and the workspace, so it may not be the one that is captured.

    Args:
        xp: CuPy, or what stands for it.
        library: the functions of cuBLAS; found as CuPy finds them where not given.

    Raises:
        ImportError: there is no cuBLAS, or it lacks a function.
    """

    def __init__(self, xp: Any, library: Any = None) -> None:
        self.xp = xp
        self.library = load() if library is None else library
        for name, arguments in SIGNATURES.items():
            try:
                function = getattr(self.library, name)
            except AttributeError as error:
                raise ImportError(f"this cuBLAS has no {name}; CUDA 12's has") from error
            function.argtypes = arguments
            function.restype = ctypes.c_char_p if name == "cublasGetStatusName" else c_int
        self._desks: dict[int, tuple[c_void_p, Any, int]] = {}

    # --- products -----------------------------------------------------------------------------------------------------

    def gemm(self, x: Array, y: Array, out: Array) -> Array:
        """x @ y into ``out``, (…, M, K) @ (…, K, N) -> (…, M, N), all of two or more dimensions.

        Matrices that lie row by row or column by column, whatever lies between the rows or columns, are used as they
        are; others are copied, ``out`` too. Stacks become one product where the strides allow, else one call for a
        whole dimension of the stack, in a loop over the others.

        Args:
            x, y: float16, bfloat16, float32 or float64, both the same.
            out: of their type; or float32 for products of half floats.

        Raises:
            CublasError: cuBLAS refuses or fails.
            MemoryError: cuBLAS finds no room.
        """
        if not out.size:
            return out
        if not x.shape[-1]:
            out.fill(0)
            return out
        x, y = (a if lies_well(a) else self.xp.ascontiguousarray(a) for a in (x, y))
        if lies_well(out):
            self._multiply(x, y, out)
        else:
            out[...] = self._multiply(x, y, self.xp.empty(out.shape, out.dtype))
        return out

    def _multiply(self, x: Array, y: Array, out: Array) -> Array:
        """One call for each place in the stack but along its largest dimension.

        cuBLAS counts columns first, so a matrix that lies row by row is its transpose there. An ``out`` that lies so
        is computed as outᵀ = yᵀ xᵀ, one that lies column by column as out = x y.
        """
        arrays, stack = (x, y, out), stacked(x, y, out)
        lies = stack.lies()
        across = lies[2][0]
        first, second, m, n = (0, 1, stack.m, stack.n) if across else (1, 0, stack.n, stack.m)
        largest = max(stack.dimensions, default=(1, (0, 0, 0)))
        count, steps = largest
        others = [d for d in stack.dimensions if d is not largest]
        if max(m, n, stack.k, count, *(ld for _, ld in lies)) > LARGEST:
            raise ArgumentError(f"{_told(arrays)}: a size is above {LARGEST:,}, the most for cuBLAS. Split the batch.")
        types = [DATA_TYPES[dtype_name(a.dtype)] for a in arrays]
        double = types[0] == DATA_TYPES["float64"]
        compute = FLOAT32_AS[matmul_precision()] if types[0] == DATA_TYPES["float32"] else COMPUTE[double]
        turned = [lie[0] ^ across for lie in lies]
        one, zero = SCALARS[double]
        for place in product(*(range(size) for size, _ in others)):
            data: list[tuple[int, ...]] = []
            for i, a in enumerate(arrays):
                offset = sum(j * step[i] for j, (_, step) in zip(place, others))
                matrix = a.data.ptr + offset * a.itemsize, types[i], lies[i][1]
                data.append(matrix if count == 1 else (*matrix, steps[i]))
            self._run(
                "cublasGemmEx" if count == 1 else "cublasGemmStridedBatchedEx",
                arrays,
                (turned[first], turned[second], m, n, stack.k, ctypes.addressof(one)),
                (*data[first], *data[second], ctypes.addressof(zero), *data[2]),
                (compute, DEFAULT_ALGORITHM) if count == 1 else (count, compute, DEFAULT_ALGORITHM),
            )
        return out

    # --- handles ------------------------------------------------------------------------------------------------------

    def _run(self, name: str, arrays: Any, *arguments: tuple[Any, ...]) -> None:
        handle, room, size = self._desk(arrays[2].data.device_id)
        library = self.library
        status = (
            library.cublasSetStream_v2(handle, self.xp.cuda.get_current_stream().ptr)
            or library.cublasSetWorkspace_v2(handle, room.ptr, size)  # setting the stream took it away
            or getattr(library, name)(handle, *(a for part in arguments for a in part))
        )
        if status:
            self._refuse(status, _told(arrays))

    def _desk(self, device: int) -> tuple[c_void_p, Any, int]:
        """The handle of a device and its workspace, in NVIDIA's recommended size; made at the first use."""
        if device not in self._desks:
            library, handle, card = self.library, c_void_p(), self.xp.cuda.Device(device)
            with card:
                status = library.cublasCreate_v2(ctypes.addressof(handle))
                status = status or library.cublasSetMathMode(handle, DISALLOW_REDUCED_PRECISION_REDUCTION)
                if status:
                    self._refuse(status, "a handle")
                size = 2**25 if int(card.compute_capability) >= 90 else 2**23
                self._desks[device] = handle, self.xp.cuda.alloc(size), size
        return self._desks[device]

    def _refuse(self, status: int, tried: str) -> None:
        name = self.library.cublasGetStatusName(status).decode()
        if name in TOO_FULL:
            raise MemoryError(f"cuBLAS found no room for {tried} ({name}).")
        if name in TOO_OLD:
            fix = "This card may not multiply that type: use float32."
        elif name in BROKEN:
            fix = "A kernel before it may have failed: CUDA_LAUNCH_BLOCKING=1 shows which."
        elif tried == "a handle":
            fix = "Is there memory left on the card (nvidia-smi shows it), and does its driver know this CUDA?"
        else:
            fix = "The call was wrong, not what you asked for: please report it with this line."
        raise CublasError(f"cuBLAS cannot make {tried}: {name} ({status}). {fix}")


def _told(arrays: Any) -> str:
    """The product in words."""
    x, y, out = arrays
    return f"the product {tuple(x.shape)} @ {tuple(y.shape)} of {dtype_name(x.dtype)} into {dtype_name(out.dtype)}"
