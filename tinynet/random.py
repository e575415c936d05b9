"""Where models draw their numbers, so that one seed gives one run on every backend.

Two sequences, begun anew together by ``manual_seed``: a NumPy generator on the host, for initial weights; and on each
backend a *stream*, a seed and a count of the draws so far, for what a step draws each time (dropout). The kernel that
draws advances the count, so a recorded step draws anew at each replay.
"""

from typing import Any

import numpy as np

from tinynet.backend import Array, Backend
from tinynet.errors import ArgumentError
from tinynet.modes import mode, refuse_while_recording

_generator = [np.random.default_rng(0)]
_seed = [0]
_streams: dict[tuple[Backend, int], Array] = {}  # one for each share of a batch that threads compute (``sharding.py``)
_counts: dict[str, int] = {}  # where a stream begins that has not been asked for yet


def manual_seed(seed: int) -> np.random.Generator:
    """Start the sequences of random numbers anew: initial weights, and whatever else a model draws.

    Data sets and loaders have seeds of their own. Threads share the sequences: no draw is given twice, and which thread
    gets which is chance.

    Raises:
        ArgumentError: the seed is no whole number of at least 0.
    """
    refuse_while_recording("the seed was set inside the step")
    if not hasattr(seed, "__index__") or seed < 0:
        raise ArgumentError(f"manual_seed takes a whole number of at least 0; got {seed!r}.")
    _generator[0] = np.random.default_rng(seed)
    _restart(int(np.random.SeedSequence(seed).generate_state(1)[0]), {})
    return _generator[0]


def generator() -> np.random.Generator:
    """The generator that models draw their initial weights from.

    Raises:
        CaptureError: while a step is being recorded; a replay would repeat the same numbers for ever.
    """
    refuse_while_recording("random numbers were drawn on the host inside the step")
    return _generator[0]


def stream(backend: Backend) -> Array:
    """The state of a backend's stream, int64 (seed, draws so far), for the kernel ``uniform``."""
    key = backend, mode.shard
    if key not in _streams:
        _streams[key] = backend.array(_state(*key))
    return _streams[key]


def get_state() -> dict[str, Any]:
    """Where the sequences stand, as plain numbers and strings."""
    counts = {_name(*key): int(key[0].numpy(state)[1]) for key, state in _streams.items()}
    return {**_generator[0].bit_generator.state, "stream_seed": _seed[0], "streams": _counts | counts}


def set_state(state: dict[str, Any]) -> None:
    """Continue the sequences from where ``get_state`` found them."""
    host = dict(state)
    seed, counts = host.pop("stream_seed", 0), host.pop("streams", {})
    _generator[0].bit_generator.state = host
    _restart(seed, counts)


def _restart(seed: int, counts: dict[str, int]) -> None:
    """Let every stream stand at its count; in place, so that recorded steps go on with it."""
    _seed[0] = seed
    _counts.clear()
    _counts.update(counts)
    for key, state in _streams.items():
        key[0].load(_state(*key), state)


def _state(backend: Backend, shard: int) -> Any:
    seed = int(np.random.SeedSequence((_seed[0], shard)).generate_state(1)[0]) if shard else _seed[0]
    return np.array([seed, _counts.get(_name(backend, shard), 0)], np.int64)


def _name(backend: Backend, shard: int) -> str:
    return f"{backend.name} shard {shard}" if shard else backend.name
