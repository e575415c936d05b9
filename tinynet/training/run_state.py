"""A training run as a file: everything that the next step depends on, so that it can be taken up exactly.

That is the model, the optimiser's memory, the schedule, the callbacks, the random numbers, the place in the data, the
running totals and the history.
"""

from typing import TYPE_CHECKING, Any

from tinynet import random
from tinynet.data import DataLoader
from tinynet.errors import CheckpointError
from tinynet.training.callbacks import Callback
from tinynet.training.checkpoint import read, write
from tinynet.training.history import History

if TYPE_CHECKING:
    from tinynet.training.trainer import Trainer


def save_run(
    trainer: "Trainer", path: Any, loader: DataLoader, running: dict[str, float], callbacks: list[Callback]
) -> None:
    """Save a run between two steps; ``running`` holds the totals of the epoch it is in."""
    tensors: dict[str, Any] = {f"model.{k}": t for k, t in trainer.model.state_dict().items()}
    optimizer = trainer.optimizer.state_dict()
    tensors |= {f"optimizer.{k}": t for k, t in optimizer.pop("memory").items()}
    states: list[dict[str, Any]] = []
    for i, callback in enumerate(callbacks):
        plain = callback.state_dict()
        for key in [k for k, v in plain.items() if isinstance(v, dict)]:
            tensors |= {f"callback.{i}.{key}.{name}": a for name, a in plain.pop(key).items()}
        states.append({"class": type(callback).__name__, "state": plain})
    about = {
        "optimizer": type(trainer.optimizer).__name__,
        "optimizer_state": optimizer,
        "schedule": trainer.schedule.state_dict() if trainer.schedule else None,
        "random": random.get_state(),
        "loader": loader.state_dict(),
        "running": running,
        "history": trainer.history.to_json(),
        "callbacks": states,
    }
    write(path, tensors, {"trainer": about})


def load_run(trainer: "Trainer", path: Any, loader: DataLoader, callbacks: list[Callback]) -> dict[str, float]:
    """Take up a saved run; returns the running totals of the epoch it was in.

    Raises:
        CheckpointError: the file is missing, damaged, holds no run, or one with another optimiser or callbacks.
        ArgumentError: it belongs to another model or other data.
    """
    arrays, about = read(path)
    saved = about.get("trainer")
    if saved is None:
        raise CheckpointError(f"Resuming from {path}: it holds weights, not a training run. Use tn.load for it.")
    kinds = [c["class"] for c in saved["callbacks"]]
    if saved["optimizer"] != type(trainer.optimizer).__name__ or kinds != [type(c).__name__ for c in callbacks]:
        raise CheckpointError(
            f"Resuming from {path}: that run had {saved['optimizer']} and callbacks {kinds}; this one has "
            f"{type(trainer.optimizer).__name__} and {[type(c).__name__ for c in callbacks]}. Make them alike."
        )
    part = {
        prefix: {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
        for prefix in ("model.", "optimizer.")
    }
    loader.load_state_dict(saved["loader"])
    trainer.model.load_state_dict(part["model."])
    trainer.optimizer.load_state_dict(saved["optimizer_state"] | {"memory": part["optimizer."]})
    if trainer.schedule is not None and saved["schedule"] is not None:
        trainer.schedule.load_state_dict(saved["schedule"])
    for i, (callback, state) in enumerate(zip(callbacks, saved["callbacks"])):
        prefix = f"callback.{i}."
        plain = dict(state["state"])
        for key, array in arrays.items():
            if key.startswith(prefix):
                name, _, rest = key.removeprefix(prefix).partition(".")
                plain.setdefault(name, {})[rest] = array
        callback.load_state_dict(plain)
    random.set_state(saved["random"])
    trainer.history = History.from_json(saved["history"])
    return dict(saved["running"])
