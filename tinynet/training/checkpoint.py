"""Saved weights and saved runs: one safetensors file each, written whole or not at all, and no pickle.

A file holds tensors by name and, in its header, JSON with everything else. Netron and every safetensors reader open it.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.dtypes import DTYPES, check_dtype
from tinynet.errors import ArgumentError, CheckpointError, TypeMismatch
from tinynet.files import write_bytes
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

FORMAT = "tinynet 1"  # the header's one key: with more, safetensors would write them in random order
FOREIGN = (".pt", ".pth", ".pkl", ".h5", ".keras", ".npz", ".npy", ".onnx", ".json")  # endings of other formats


def write(path: str | os.PathLike[str], tensors: dict[str, Any], about: dict[str, Any]) -> Path:
    """Write arrays and JSON as one file, atomically.

    Raises:
        FileError: the place cannot be written; an older file there is untouched.
    """
    from safetensors.numpy import save

    arrays = {  # safetensors would silently garble an array that is not contiguous
        name: np.ascontiguousarray(t.numpy() if isinstance(t, Tensor) else t).reshape(t.shape)
        for name, t in tensors.items()
    }
    return write_bytes(path, save(arrays, {FORMAT: json.dumps({**about, "sha256": _checksum(arrays, about)})}))


def _checksum(arrays: dict[str, "np.ndarray[Any, Any]"], about: dict[str, Any]) -> str:
    """The SHA-256 of the JSON and of the arrays, in the order of their names."""
    digest = hashlib.sha256(json.dumps(about).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def read(path: str | os.PathLike[str]) -> tuple[dict[str, "np.ndarray[Any, Any]"], dict[str, Any]]:
    """The arrays and the JSON of a file; another program's safetensors file has empty JSON.

    Raises:
        CheckpointError: it is missing, damaged, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "there is no such file"
        raise CheckpointError(f"Reading {path}: {what}. Check the path.")
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if any(file.get_slice(name).get_dtype() == "BF16" for name in names):
                check_dtype("bfloat16")
            arrays = {name: file.get_tensor(name) for name in names}
            about = json.loads((file.metadata() or {}).get(FORMAT, "{}"))
        for name, array in arrays.items():
            if array.dtype.name not in DTYPES:
                raise TypeError(f"{name} is {array.dtype.name}")
    except TypeMismatch as error:  # bfloat16 is not installed
        raise CheckpointError(f"Reading {path}: {error}") from error
    except (TypeError, AttributeError) as error:  # float8 and its like
        raise CheckpointError(
            f"Reading {path}: it holds an element type that tinynet has not ({error}). Save it as float32."
        ) from error
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(
            f"Reading {path}: this is no whole safetensors file ({error}). It may be cut short or of another kind; use "
            "another copy."
        ) from error
    if about.pop("sha256", None) not in (None, _checksum(arrays, about)):
        raise CheckpointError(f"Reading {path}: its numbers are not those that were written. Use another copy.")
    return arrays, about


def save(model: Module, path: str | os.PathLike[str], about: dict[str, Any] | None = None) -> Path:
    """Save a model's parameters and buffers as a safetensors file.

    Args:
        model: whose ``state_dict()`` is saved.
        path: where; an existing file is replaced once the new one is whole.
        about: anything that JSON can hold, to be kept with the weights.

    Raises:
        FileError: the place cannot be written; an older file there is untouched.
    """
    if not isinstance(model, Module):
        raise TypeMismatch(f"save(model, path) takes a Module first; got {model!r:.60}.")
    if Path(path).suffix.lower() in FOREIGN:
        raise ArgumentError(f"tn.save writes safetensors; {path} would promise something else. End it in .safetensors.")
    return write(path, dict(model.state_dict()), {"model": about or {}})


def load(model: Module, path: str | os.PathLike[str]) -> Module:
    """Load a model's parameters and buffers from a safetensors file, tinynet's or another program's; returns the model.

    Raises:
        CheckpointError: the file is missing or damaged.
        ArgumentError: its names or shapes are not this model's; nothing has been changed then.
    """
    if not isinstance(model, Module):
        raise TypeMismatch(f"load(model, path) takes a Module first, to load into; got {model!r:.60}.")
    arrays, about = read(path)
    if "trainer" in about:  # a training run: the model is a part of it
        arrays = {name.removeprefix("model."): a for name, a in arrays.items() if name.startswith("model.")}
    model.load_state_dict(arrays)
    return model
