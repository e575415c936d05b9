"""CuPy on an NVIDIA GPU. The kernels are NumPy's with another array module; what differs, and why:

- Products of matrices are ``cuda/products.py``: CuPy's cannot be captured in a CUDA graph, and copy what need not be.
- Integer arrays as indices wrap round where they lie outside a dimension, and nothing is said. So ``gather``,
  ``embedding`` and ``softmax_cross_entropy`` count such indices on the device (``cuda/strays.py``), and no number
  leaves the device before that count has been looked at. ``scatter_add`` mirrors an indexing that has been counted.
- ``shares_memory`` compares address ranges, which the host knows; CuPy's exact answer would be computed on the device.
- NumPy arrays among device arrays are refused by CuPy and, with a better message, by Tensor. So they come in through
  ``array`` and ``load``, converted to their final type on the host and row by row, and leave through ``numpy``, both by
  way of pinned memory (``cuda/staging.py``).

CuPy is imported when the backend is made, not before.
"""

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from tinynet.backend import Array, Backend
from tinynet.backends.cuda.blas import Blas
from tinynet.backends.cuda.chains import elementwise
from tinynet.backends.cuda.chains.fusion import in_chains
from tinynet.backends.cuda.graph import captured
from tinynet.backends.cuda.kernels import attention, image, lookup, norm, recurrent, reduce, rotary, rows, sampling
from tinynet.backends.cuda.module import Module
from tinynet.backends.cuda.products import Products
from tinynet.backends.cuda.room import is_full, memory, no_room, set_limit
from tinynet.backends.cuda.staging import staging
from tinynet.backends.cuda.strays import Strays
from tinynet.backends.halves import AS_THEY_LIE, Halves
from tinynet.backends.kernels import table
from tinynet.errors import BackendUnavailable, TypeMismatch
from tinynet.memory import Memory
from tinynet.modes import mode
from tinynet.program import Call, Program

INSTALL = "pip install 'tinynet-engine[cuda13]', or [cuda12] for a driver that knows CUDA 12 only"
TOOLKIT = f"Install the compiler, headers and cuBLAS that CuPy needs, its [ctk] extra: {INSTALL}."


COUNTING: tuple[Any, ...] = (lookup, rows)
THEMES: tuple[Any, ...] = (attention, elementwise, image, reduce, norm, rotary, sampling, recurrent, *COUNTING)
"""The files of kernels of our own: each hands over a table of those that it does better; some count strays."""


class CupyBackend(Backend):
    """Arrays in a GPU's memory.

    Args:
        xp: the array module; CuPy itself where not given.
        cublas: the functions of cuBLAS; found as CuPy finds them where not given.

    Raises:
        BackendUnavailable: CuPy or something that it needs is missing; the message says what, and what to do.
    """

    name = "cupy"
    is_host = False
    overlays = True
    themes = THEMES

    def __init__(self, xp: Any = None, cublas: Any = None) -> None:
        self.xp = _import_cupy() if xp is None else xp
        self.module = Module(self.xp)
        self._cublas = cublas
        self._probe()
        self.strays = Strays(self.xp)
        self._staging = staging(self.xp)
        self.array_type = self.xp.ndarray
        self.kernels = table(self.xp) | self.products.kernels() | self.strays.kernels()
        for theme in self.themes:
            counter = (self.strays,) if theme in COUNTING else ()
            self.kernels = self.kernels | theme.kernels(self.module, self.kernels, *counter)
        native = {name for theme in self.themes for name in getattr(theme, "BFLOAT16", ())}
        self.halves = Halves(("bfloat16",), AS_THEY_LIE | self.products.kernels().keys() | native)
        super().__init__()

    # --- can it run here? ---------------------------------------------------------------------------------------------

    def _probe(self) -> None:
        """Try the least of everything that is needed, in the order in which it can be missing."""
        xp = self.xp
        for tried, attempt, fix in (
            ("find a GPU", self._find_gpu, self._driver_fix),
            ("make an array on it", lambda: xp.zeros((2, 2), "float32"), self._driver_fix),
            ("compile a kernel", self.compile, lambda: TOOLKIT),
            ("multiply two matrices", self._multiply, lambda: TOOLKIT),
        ):
            try:
                attempt()
            except Exception as error:
                raise BackendUnavailable(f"backend 'cupy': CuPy cannot {tried} ({_reason(error)}). {fix()}") from error

    def compile(self) -> None:
        """Compile and run a kernel of our own, which takes NVRTC and CUDA's headers."""
        self.xp.ElementwiseKernel("float32 x", "float32 y", "y = x + x", "tinynet_probe")(self.xp.zeros(1, "float32"))

    def _find_gpu(self) -> None:
        if not self.xp.cuda.runtime.getDeviceCount():
            raise RuntimeError("it counts none")

    def _multiply(self) -> None:
        blas = Blas(self.xp, self._cublas)
        self.products = Products(self.xp, blas, self.module)
        twos = self.xp.full((2, 2), 2.0, "float32")
        product = self.xp.asnumpy(blas.gemm(twos, twos, self.xp.empty((2, 2), "float32")))
        if (product != 8).any():
            raise ArithmeticError(f"the product came out as {product.tolist()}")

    def _driver_fix(self) -> str:
        """What to do where the GPU cannot be reached, judged by the CUDA versions of the driver and of CuPy."""
        runtime = self.xp.cuda.runtime
        versions = (runtime.driverGetVersion(), runtime.runtimeGetVersion())
        driver, needed = (f"{v // 1000}.{v % 1000 // 10}" for v in versions)
        if driver == "0.0":
            return "There is no NVIDIA driver: install one (nvidia-smi shows it), or use backend 'numpy'."
        if int(driver.split(".")[0]) < int(needed.split(".")[0]):
            return f"The driver knows CUDA {driver}, this CuPy needs {needed}: update the driver, or {INSTALL}."
        return "There is a driver: does nvidia-smi list a card, with free memory, and is it in CUDA_VISIBLE_DEVICES?"

    # --- computing ----------------------------------------------------------------------------------------------------

    def launch(self, name: str, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """Run one kernel.

        Raises:
            DeviceMemoryError: there is no room for its result.
        """
        try:
            return super().launch(name, *inputs, out=out, **params)
        except Exception as error:
            if not is_full(error):
                raise
            shapes = ", ".join(str(getattr(x, "shape", x)) for x in inputs)
            raise no_room(self.xp, self.name, f"{name}({shapes})", error) from error

    # --- memory -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _making(self, shape: tuple[int, ...]) -> Iterator[None]:
        """Whatever says in here that the card is full says it as a DeviceMemoryError."""
        try:
            yield
        except Exception as error:
            if not is_full(error):
                raise
            raise no_room(self.xp, self.name, f"an array of shape {shape}", error) from error

    def memory(self) -> Memory:
        return memory(self.xp)

    def set_memory_limit(self, limit: str | float | None) -> None:
        set_limit(self.xp, limit)

    def tidy(self) -> None:
        self.xp.get_default_memory_pool().free_all_blocks()

    # --- replaying ----------------------------------------------------------------------------------------------------

    def joined(self, program: Program) -> list[Call]:
        """The calls, operations of single elements joined into chains."""
        return in_chains(program, self.module, self.products.small)

    def ready(self, program: Program) -> list[Callable[[], Any]]:
        """The step as CUDA graphs, and what cannot be in one between them; ``program.way`` says how many."""
        calls = [call for call in program.calls if not call.is_view]
        replay = captured(self.xp, [partial(call.kernel, *call.inputs, out=call.out, **call.params) for call in calls])
        between = "".join(f", {calls[i].name} between them ({why})" for i, why in replay.between.items())
        program.way = f"replayed as {replay.graphs} CUDA graph{'s' * (replay.graphs != 1)}{between}"
        return replay.runs

    def overlay(self, arrays: list[Array]) -> list[Array]:
        """New arrays like these that all begin in one place."""
        room = self.xp.empty(max(a.nbytes for a in arrays), "uint8")
        as_strided = self.xp.lib.stride_tricks.as_strided
        return [as_strided(room[: a.nbytes].view(a.dtype), a.shape, a.strides) for a in arrays]

    # --- in and out ---------------------------------------------------------------------------------------------------

    def array(self, data: np.ndarray[Any, Any], dtype: str | None = None) -> Array:
        """A new array from a NumPy array."""
        if data.dtype == object:
            raise TypeMismatch(
                f"backend {self.name!r} holds numbers, got objects: {data!r:.60}. Values live on 'scalar'."
            )
        with self._making(data.shape):
            out = self.xp.empty(data.shape, np.dtype(dtype or data.dtype).newbyteorder("="))
        self._staging.put(data, out)
        return out

    def numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """A NumPy array with the array's numbers; it waits for the GPU to finish.

        Raises:
            ArgumentError: since numbers were last read, an index lay outside its dimension.
        """
        count, numbers = self._staging.fetch(self.strays.count, array)
        if count:
            self.strays.complain(count, self.name)
        return numbers

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Array:
        """A new array filled with one number."""
        with self._making(shape):
            return self.xp.full(shape, value, dtype)

    def load(self, data: np.ndarray[Any, Any], out: Array) -> None:
        """Overwrite ``out`` with the elements of a NumPy array."""
        if out.flags.c_contiguous and mode.recorder is None:
            self._staging.put(data, out)  # without a second array on the GPU
        else:
            super().load(data, out)

    def synchronize(self) -> None:
        self.xp.cuda.Device().synchronize()

    def shares_memory(self, x: Array, y: Array) -> bool:
        """Whether the ranges of addresses overlap."""
        return bool(self.xp.may_share_memory(x, y))


def _import_cupy() -> Any:
    """CuPy, without the warnings that it prints where something is missing: the probe says it better."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        missing = (
            "CuPy is not installed"
            if error.name == "cupy"
            else f"CuPy is installed without {error.name}, which it needs"
        )
        raise BackendUnavailable(f"backend 'cupy': {missing}. Install it: {INSTALL}.") from error
    except Exception as error:  # CuPy's own message is a page long and keeps its cause for the end
        reason = _reason(error.__cause__ or error)
        raise BackendUnavailable(
            f"backend 'cupy': CuPy cannot be imported ({reason}). Install it anew: {INSTALL}."
        ) from error


def _reason(error: BaseException) -> str:
    """The error in a line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first[:300]}".rstrip(" .:")
