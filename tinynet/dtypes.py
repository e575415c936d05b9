"""The element types by name, which of them are floats, and what bfloat16 needs, which NumPy does not have of itself.

Half floats, of two bytes, are met by few. Once one has been asked for, ``met.halves`` says so, and backends look at the
types of their kernels' inputs from then on; before, none of that costs anything.
"""

import importlib
from functools import cache
from typing import Any

from tinynet.errors import TypeMismatch

FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (*FLOATS, "int8", "int16", "int32", "int64", "uint8", "bool")
HALVES = FLOATS[:2]


class _Met:
    halves = False


met = _Met()


def check_dtype(name: str) -> str:
    """The name, once it is sure that arrays of that type can be made.

    Raises:
        TypeMismatch: there is no such type, or bfloat16 is not installed; the message says what to install.
    """
    if name not in DTYPES:
        raise TypeMismatch(f"there is no dtype {name!r}. Choose one of: {', '.join(DTYPES)}.")
    if name == "bfloat16":
        try:
            importlib.import_module("ml_dtypes")  # makes the name known to NumPy
        except ImportError as error:
            raise TypeMismatch(
                f"dtype 'bfloat16' needs the package ml_dtypes, since NumPy has no such type ({error}). Install it: "
                "pip install 'tinynet-engine[bfloat16]', or use float16."
            ) from error
    met.halves = met.halves or name in HALVES
    return name


@cache
def dtype_name(dtype: Any) -> str:
    """The name of a NumPy dtype, which NumPy spells anew each time."""
    return str(dtype.name)
