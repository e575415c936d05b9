"""``Trainer(precision=)``: what a training step computes in, beside parameters that stay in float32."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from tinynet.dtypes import HALVES, check_dtype
from tinynet.errors import ArgumentError
from tinynet.modes import switched
from tinynet.precision import autocast

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

PRECISIONS = ("float32", "tf32", *sorted(HALVES))


def checked_precision(precision: Any, trainer: "Trainer") -> str:
    """The setting, or an error that says what it may be.

    Raises:
        ArgumentError: there is no such precision, or the model's parameters are not float32, which it is meant for.
        TypeMismatch: bfloat16 is not installed; the message says how it is.
    """
    if precision not in PRECISIONS:
        raise ArgumentError(f"Trainer(precision={precision!r}): choose one of {', '.join(map(repr, PRECISIONS))}.")
    if precision in HALVES:
        check_dtype(precision)
        first = next(trainer.model.parameters(), None)
        if first is not None and first.dtype != "float32":
            raise ArgumentError(
                f"Trainer(precision={precision!r}) keeps parameters in float32 and computes products in half floats; "
                f"this model's are {first.dtype} on {first.backend.name}. Use model.to(dtype='float32') on numpy or "
                "cupy, or leave precision out."
            )
    return str(precision)


def products(precision: str) -> AbstractContextManager[Any]:
    """Around a whole step: how float32 is multiplied."""
    return switched(products="high") if precision == "tf32" else nullcontext()


def computing(precision: str) -> AbstractContextManager[Any]:
    """Around model and loss: which half floats products take."""
    return autocast(precision) if precision in HALVES else nullcontext()
