"""In what precision products are computed: TF32 on request, and half floats beside float32 (``autocast``).

Two settings. ``set_float32_matmul_precision`` is how a GPU may multiply float32 arrays; a backend reads it as
``matmul_precision()``. ``autocast`` chooses, operation by operation, the element type of what goes in. This file knows
the names of operations and casts; it touches no array.
"""

from typing import Any

from tinynet import primitives as p
from tinynet.dtypes import HALVES, check_dtype
from tinynet.errors import ArgumentError
from tinynet.modes import mode, switched
from tinynet.staleness import recordings

# --- how float32 is multiplied ----------------------------------------------------------------------------------------

PRECISIONS = ("highest", "high", "medium")


class _Products:
    precision = "highest"


_products = _Products()


def set_float32_matmul_precision(precision: str) -> None:
    """How products of float32 arrays are computed on a GPU, in the whole process; other backends stay as they are.

    Args:
        precision: ``"highest"``, in float32; ``"high"``, in TF32, which keeps 10 bits of each factor and adds up in
            float32; ``"medium"``, in bfloat16 where the library has it, which keeps 7.

    Raises:
        ArgumentError: another word.
    """
    if precision not in PRECISIONS:
        raise ArgumentError(
            f"set_float32_matmul_precision({precision!r}): choose one of {', '.join(map(repr, PRECISIONS))}."
        )
    if precision != _products.precision:
        _products.precision = precision
        recordings.outdate()


def get_float32_matmul_precision() -> str:
    """How products of float32 arrays are computed: ``"highest"``, ``"high"`` or ``"medium"``."""
    return _products.precision


def matmul_precision() -> str:
    """What a backend asks before it multiplies: the setting of the step at hand, if it has one, or the process's."""
    return mode.products or _products.precision


# --- which operations take half floats --------------------------------------------------------------------------------

NARROW = frozenset("matmul linear rows_product rows_times conv2d conv_transpose2d attention rnn lstm gru".split())
"""Products of matrices, and what consists of them: their inputs go in as half floats; sums inside are of float32."""
WIDE = frozenset("exp log pow sum softplus softmax log_softmax softmax_cross_entropy normalise".split())
"""What would overflow or lose small terms: these take float32. Operations in neither list take what comes."""
CAST = (*HALVES, "float32")  # float64 was asked for, and stays; so do Values


def autocast(dtype: str = "bfloat16", enabled: bool = True) -> Any:
    """Inside ``with tn.autocast("bfloat16"):`` products take half floats, and what needs the range takes float32; also
    a decorator.

    Parameters stay as they are. Each use of one is cast, and its gradient comes back through that cast, in float32.
    Products (matmul, linear, convolutions, attention, RNN, LSTM, GRU) give half floats; losses, softmax, normalisation,
    exp, log, powers and sums are computed in float32; other operations take what comes, two types together as the wider
    one. float64, and so the scalar backend, is left as it is. ``backward()`` belongs outside.

    Args:
        dtype: ``"bfloat16"``, float32's range with 8 bits; or ``"float16"``, 11 bits and numbers up to 65,504, which
            wants a ``GradScaler``.
        enabled: with False the operations take what comes, inside another ``autocast`` too.

    Raises:
        ArgumentError: another type.
        TypeMismatch: bfloat16 is not installed; the message says how it is.

    Source: P. Micikevicius et al., *Mixed precision training*, 2018; PyTorch's ``torch.autocast``.
    """
    if dtype not in HALVES:
        raise ArgumentError(f"autocast({dtype!r}): choose 'bfloat16' or 'float16'.")
    return switched(autocast=check_dtype(dtype) if enabled else None)


def autocasted(name: str, inputs: tuple[Any, ...], narrow: str) -> tuple[Any, ...]:
    """The inputs of an operation as ``autocast(narrow)`` wants them."""
    wanted = narrow if name in NARROW else "float32" if name in WIDE else ""
    return tuple([_as(x, wanted) for x in inputs]) if wanted else inputs


def _as(x: Any, wanted: str) -> Any:
    castable = hasattr(x, "apply") and x.dtype in CAST and x.dtype != wanted
    return x.apply(p.cast, x, dtype=wanted) if castable else x
