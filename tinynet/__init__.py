"""tinynet: a neural-network engine you can read in an evening and still train with.

    import tinynet as tn
    from tinynet import Value, Tensor, nn, optim, data

The public names, nothing else. Each is imported when it is first used, so that ``import tinynet`` costs almost nothing
and ``tinynet.value`` needs no NumPy. Where to start reading: ``value.py``, ``primitives.py``, ``graph.py``.
"""

from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING
from typing import Any as _Any

__version__ = "0.1.0"

# A checkout whose git writes the links tinynet/backends and tinynet/bench as text files still finds the folders beside
# this one.
if not all(_Path(__file__).with_name(name).is_dir() for name in ("backends", "bench")):
    __path__.append(str(_Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from tinynet import data, errors, nn, optim
    from tinynet.checks import check_gradients, parity
    from tinynet.explain import draw
    from tinynet.explain import explain as explain
    from tinynet.explain.feature_maps import feature_maps
    from tinynet.functions import arange, cat, full, maximum, minimum, ones, rand, stack, where, zeros
    from tinynet.modes import detect_anomaly, no_grad, reference
    from tinynet.optim.scaling import GradScaler
    from tinynet.parameter import Parameter
    from tinynet.precision import autocast, get_float32_matmul_precision, set_float32_matmul_precision
    from tinynet.random import manual_seed
    from tinynet.recording import capture
    from tinynet.registry import backends, get_backend, set_default_backend, use_backend
    from tinynet.tensor import Tensor
    from tinynet.training import History, Trainer, load, save
    from tinynet.value import Value

_HOMES = {
    "": "backends data errors explain nn optim",  # modules; backends and explain can also be called
    "checks": "check_gradients parity",
    "explain": "draw",
    "explain.feature_maps": "feature_maps",
    "functions": "arange cat full maximum minimum ones rand stack where zeros",
    "modes": "detect_anomaly no_grad reference",
    "optim.scaling": "GradScaler",
    "parameter": "Parameter",
    "precision": "autocast get_float32_matmul_precision set_float32_matmul_precision",
    "random": "manual_seed",
    "recording": "capture",
    "registry": "get_backend set_default_backend use_backend",
    "tensor": "Tensor",
    "training": "History Trainer load save",
    "value": "Value",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = [  # written out for type checkers; a test holds it to the table above
    "GradScaler", "History", "Parameter", "Tensor", "Trainer", "Value", "arange", "autocast", "backends", "capture",
    "cat", "check_gradients", "data", "detect_anomaly", "draw", "errors", "explain", "feature_maps", "full",
    "get_backend", "get_float32_matmul_precision", "load", "manual_seed", "maximum", "minimum", "nn", "no_grad", "ones",
    "optim", "parity", "rand", "reference", "save", "set_default_backend", "set_float32_matmul_precision", "stack",
    "use_backend", "where", "zeros",
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'tinynet' has no attribute {name!r}")
    found = _import_module(f"tinynet.{home or name}")
    found = getattr(found, name) if home else found
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
