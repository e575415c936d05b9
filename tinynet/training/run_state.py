"""A training run as a file: everything that the next step depends on, so that it can be taken up exactly.

That is the model, the optimiser's memory, the schedule, the callbacks, the random numbers, the place in the data, the
running totals and the history. What the run was made with (loss, settings, data) is written beside it, and a run made
otherwise is refused.
"""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import random
from tinynet.data import DataLoader, Dataset
from tinynet.dtypes import FLOATS
from tinynet.errors import CheckpointError, TypeMismatch
from tinynet.optim import Schedule
from tinynet.tensor import Tensor
from tinynet.training.callbacks import Callback
from tinynet.training.checkpoint import read, write
from tinynet.training.history import History

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer

# --- what a step changes ----------------------------------------------------------------------------------------------


def standing(trainer: "Trainer") -> dict[str, Any]:
    """Copies of all that a step changes: weights and buffers, the optimiser's memory, the random numbers."""
    optimizer = trainer.optimizer.state_dict()
    own = set(trainer.model.parameters())
    return {
        "others": [p.numpy() for p in trainer.optimizer.parameters if p not in own],
        "model": {name: tensor.numpy() for name, tensor in trainer.model.state_dict().items()},
        "optimizer": optimizer | {"memory": {name: tensor.numpy() for name, tensor in optimizer["memory"].items()}},
        "random": random.get_state(),
        "scaler": trainer.scaler.state_dict() if trainer.scaler else None,
    }


def put_back(trainer: "Trainer", state: dict[str, Any]) -> None:
    """Let things stand again as ``standing`` found them.

    Raises:
        ArgumentError: the state is of another model, or another optimiser.
    """
    trainer.model.load_state_dict(state["model"])
    own = set(trainer.model.parameters())
    for parameter, array in zip([p for p in trainer.optimizer.parameters if p not in own], state["others"]):
        parameter.load_(array)
    trainer.optimizer.load_state_dict(state["optimizer"])
    random.set_state(state["random"])
    if trainer.scaler and state["scaler"]:
        trainer.scaler.load_state_dict(state["scaler"])


# --- as a file --------------------------------------------------------------------------------------------------------


def save_run(
    trainer: "Trainer", path: Any, loader: DataLoader, running: dict[str, float], callbacks: list[Callback]
) -> None:
    """Save a run between two steps; ``running`` holds the totals of the epoch it is in."""
    arrays: dict[str, Any] = {}
    about = {
        **pack(standing(trainer), "", arrays),
        "made_with": made_with(trainer, loader.dataset, callbacks),
        "schedule": trainer.schedule.state_dict() if trainer.schedule else None,
        "loader": loader.state_dict(),
        "running": running,
        "shares": trainer.steps.shares,
        "history": trainer.history.to_json(),
        "callbacks": pack_callbacks(callbacks, arrays),
    }
    write(path, arrays, {"trainer": about})


def load_run(trainer: "Trainer", path: Any, loader: DataLoader, callbacks: list[Callback]) -> dict[str, float]:
    """Take up a saved run; returns the running totals of the epoch it was in.

    Raises:
        CheckpointError: the file is missing, damaged, holds no run, or one that was made otherwise.
        ArgumentError: it belongs to another model or is cut into other batches. Nothing has been changed in any case.
    """
    arrays, about = read(path)
    saved = about.get("trainer")
    if saved is None:
        raise CheckpointError(f"Resuming from {path}: it holds weights, not a training run. Use tn.load for it.")
    here = made_with(trainer, loader.dataset, callbacks)
    differ = [
        f"{key}: {there} there, {here[key]} here" for key, there in saved["made_with"].items() if there != here[key]
    ]
    if differ:
        raise CheckpointError(
            f"Resuming from {path}: that run was made otherwise. Make this one alike, or start afresh.\n  "
            + "\n  ".join(differ)
        )
    history = History.from_json(saved["history"])
    before = standing(trainer)
    try:
        loader.load_state_dict(saved["loader"])
        put_back(trainer, unpack({key: saved.get(key) for key in before}, arrays))
    except BaseException:
        put_back(trainer, before)
        raise
    if trainer.schedule is not None:
        trainer.schedule.load_state_dict(saved["schedule"])
    for callback, about_it in zip(callbacks, saved["callbacks"]):
        callback.load_state_dict(unpack(about_it["state"], arrays))
    trainer.history = history
    trainer.steps.shares = saved.get("shares")
    return dict(saved["running"])


def made_with(trainer: "Trainer", data: Dataset, callbacks: list[Callback]) -> dict[str, str]:
    """What a run must share with another to go on as that one would have, in words."""
    settings = {k: v for k, v in vars(trainer.optimizer).items() if not k.startswith("_")}
    return {
        "model": " ".join(repr(trainer.model).split()),
        "loss": repr(trainer.loss),
        "metrics": ", ".join(trainer.metrics) or "none",
        "optimizer": f"{type(trainer.optimizer).__name__} {settings}",
        "schedule": f"{type(trainer.schedule).__name__} {_settings(trainer.schedule)}" if trainer.schedule else "none",
        "l2": repr(float(trainer.l2)),
        "clip_norm": repr(trainer.clip_norm and float(trainer.clip_norm)),
        "precision": trainer.precision,
        "callbacks": ", ".join(type(c).__name__ for c in callbacks),
        "data": f"{data.x.shape} -> {data.y.shape}, sample {_sample(data):08x}",
    }


def _settings(schedule: Schedule) -> dict[str, Any]:
    """What a schedule was made with: all that its steps do not change."""
    return {k: v for k, v in schedule.state_dict().items() if k not in schedule.moving}


def _sample(data: Dataset) -> int:
    """A checksum over some examples, spread evenly: another data set of the same size is noticed, at no cost."""
    rows = np.unique(np.linspace(0, len(data) - 1, 64).astype(np.int64))
    kinds = [
        np.float32 if a.dtype.name in FLOATS else np.int64 for a in (data.x, data.y)
    ]  # whatever the model's precision
    return zlib.crc32(b"".join(a[rows].astype(kind).tobytes() for a, kind in zip((data.x, data.y), kinds)))


# --- arrays in nests of dictionaries and lists ------------------------------------------------------------------------


def pack_callbacks(callbacks: list[Callback], arrays: dict[str, Any]) -> list[Any]:
    """The callbacks' states as JSON, with their arrays beside it.

    Raises:
        TypeMismatch: one of them holds what cannot be saved.
    """
    try:
        return [
            {"class": type(callback).__name__, "state": pack(callback.state_dict(), f"callback.{i}.", arrays)}
            for i, callback in enumerate(callbacks)
        ]
    except TypeMismatch as error:
        raise TypeMismatch(f"{error} callback.i is number i of {[type(c).__name__ for c in callbacks]}.") from None


def pack(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """A nest as JSON holds it; the arrays in it go into ``arrays``, each under its dotted name."""
    if isinstance(value, np.ndarray | Tensor):
        arrays[name.removesuffix(".")] = value
        return {"__array__": name.removesuffix(".")}
    if isinstance(value, Mapping):
        return {str(key): pack(part, f"{name}{key}.", arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [pack(part, f"{name}{i}.", arrays) for i, part in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeMismatch(
        f"a checkpoint holds numbers, strings and arrays; {name.removesuffix('.')} is {type(value).__name__}. Leave it "
        "out of the callback's state_dict()."
    )


def unpack(value: Any, arrays: dict[str, Any]) -> Any:
    """The nest that ``pack`` was given."""
    if isinstance(value, dict):
        if value.keys() == {"__array__"}:
            return arrays[value["__array__"]]
        return {key: unpack(part, arrays) for key, part in value.items()}
    return [unpack(part, arrays) for part in value] if isinstance(value, list) else value
