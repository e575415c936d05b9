"""Which of two ways a convolution goes on CUDA, by an estimate of the time that each takes from sizes and types alone.

The kernels of our own read windows as they multiply, on the card's float units. Columns cost a trip through memory and
a launch or two, but cuBLAS multiplies faster, above all half floats and TF32, on tensor cores.
"""

from tinynet.backends.cuda.kernels.conv import fits, multiplications
from tinynet.backends.cuda.kernels.window import Convolution
from tinynet.precision import matmul_precision

# What a card does in a microsecond, as expected of an H100. To be set by `python3 -m tinynet.bench.conv_rates` on one.
OWN = {"float64": 6e6}  # multiplications by our kernels
OWN_USUALLY = 14e6
PRODUCT = {"float16": 150e6, "bfloat16": 150e6, "float32": 20e6, "float64": 20e6}  # multiplications by cuBLAS
PRODUCT_IN_TF32 = 80e6
MEMORY = 2.5e6  # bytes written or read
LAUNCH = 2.0  # microseconds of a kernel in a CUDA graph, whatever it does
MOST = 1 << 29  # bytes that columns may take
BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def chosen(name: str, sizes: Convolution, dtype: str) -> str:
    """The way that should be the faster one: ``"own"`` or ``"columns"``."""
    if not fits(name, sizes):
        return "columns"
    if sizes.columns * BYTES[dtype] > MOST and not sizes.window.is_pixel:
        return "own"
    return "columns" if columns_take(name, sizes, dtype) < own_takes(name, sizes, dtype) else "own"


def own_takes(name: str, sizes: Convolution, dtype: str) -> float:
    """Microseconds, by the kernels of our own."""
    launches = 2 if name == "conv2d_weight_grad" else 1
    return launches * LAUNCH + multiplications(name, sizes, dtype) / OWN.get(dtype, OWN_USUALLY)


def columns_take(name: str, sizes: Convolution, dtype: str) -> float:
    """Microseconds, by columns and a product."""
    in_tf32 = dtype == "float32" and matmul_precision() != "highest"
    rate = PRODUCT_IN_TF32 if in_tf32 else PRODUCT[dtype]
    moved, launches = 2 * sizes.columns * BYTES[dtype], 3 if name == "conv2d_weight_grad" else 2
    if sizes.window.is_pixel and name != "conv2d_weight_grad":
        moved, launches = 0, launches - 1
    return launches * LAUNCH + moved / MEMORY + sizes.columns * sizes.outputs / rate
