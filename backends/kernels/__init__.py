"""Every kernel, once, written on ``xp``, the array module (NumPy, CuPy, or whatever looks like them).

A kernel takes arrays, keyword parameters and ``out``, an array to fill; it returns its result and knows nothing else.
The table below names the kernels that the array module has ready; the files hold the others, a theme each: ``plain``
those that every backend must have, the rest the fused ones, whose references stand beside the layers that use them.
What one array module does differently stands in that backend's own file.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from tinynet.backends.kernels import (  # noqa: F401
    activations,
    attention,
    dense,
    embedding,
    image,
    normalisation,
    plain,
    recurrent,
    sampling,
)
from tinynet.backends.kernels.register import written

READY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative",
    "exp": "exp", "log": "log", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "abs": "absolute", "sign": "sign",
    "tanh": "tanh", "maximum": "maximum", "minimum": "minimum", "matmul": "matmul",
    "greater": "greater", "greater_equal": "greater_equal", "less": "less", "less_equal": "less_equal",
    "equal": "equal", "not_equal": "not_equal", "argmax": "argmax", "argmin": "argmin",
}  # fmt: skip


def table(xp: Any) -> dict[str, Callable[..., Any]]:
    """name -> kernel, for the array module ``xp``."""
    ready = {name: getattr(xp, theirs) for name, theirs in READY.items()}
    return ready | {name: partial(function, xp) for name, function in written.items()}
