"""Where models draw their numbers: a NumPy generator on the host, so that one seed gives one run on every backend."""

from typing import Any

import numpy as np

from tinynet.modes import refuse_while_recording

_generator = [np.random.default_rng(0)]


def manual_seed(seed: int) -> np.random.Generator:
    """Start the sequence of random numbers anew: initial weights, and whatever else a model draws.

    Data sets and loaders have seeds of their own.
    """
    refuse_while_recording("the seed was set inside the step")
    _generator[0] = np.random.default_rng(seed)
    return _generator[0]


def generator() -> np.random.Generator:
    """The generator that models draw from.

    Raises:
        CaptureError: while a step is being recorded; a replay would repeat the same numbers for ever.
    """
    refuse_while_recording("random numbers were drawn on the host inside the step")
    return _generator[0]


def get_state() -> dict[str, Any]:
    """Where the sequence stands, as plain numbers and strings."""
    return dict(_generator[0].bit_generator.state)


def set_state(state: dict[str, Any]) -> None:
    """Continue the sequence from where ``get_state`` found it."""
    _generator[0].bit_generator.state = state
