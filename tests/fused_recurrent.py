"""Arguments for the fused primitives of sequences, drawn by hypothesis: shapes, masks and which biases there are."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from support import Arguments, seeds, smooth


@st.composite
def recurrences(draw: Any, gates: int, parts: int = 1, biases: int = 1, **params: Any) -> Arguments:
    """(T, B, I) inputs, the parts of the state, both weights, perhaps biases, perhaps a mask."""
    steps, batch, hidden, inputs = draw(st.integers(1, 4)), *(draw(st.integers(1, 3)) for _ in range(3))
    random = np.random.default_rng(draw(seeds))
    arrays = [smooth(random, (steps, batch, inputs))]
    arrays += [smooth(random, (batch, hidden)) for _ in range(parts)]
    arrays += [smooth(random, (gates * hidden, width)) for width in (inputs, hidden)]
    biased = draw(st.booleans())
    arrays += [smooth(random, (gates * hidden,)) if biased else None for _ in range(biases)]
    lengths = random.integers(1, steps + 1, batch)
    mask = (np.arange(steps)[:, None] < lengths)[..., None]
    order = slice(None, None, draw(st.sampled_from([1, -1])))  # backwards the padding comes first
    return Arguments([*arrays, mask[order] if draw(st.booleans()) else None], {k: draw(v) for k, v in params.items()})


@st.composite
def lookups(draw: Any) -> Arguments:
    """A table and indices into it that may repeat, with or without a padding row."""
    rows, width, random = draw(st.integers(1, 4)), draw(st.integers(1, 3)), np.random.default_rng(draw(seeds))
    index = random.integers(0, rows, draw(st.sampled_from([(), (0,), (5,), (2, 3)])))
    dtype = draw(st.sampled_from(["int64", "uint8", "int16"]))
    padding = draw(st.none() | st.integers(0, rows - 1))
    return Arguments([smooth(random, (rows, width)), index.astype(dtype)], {"padding_idx": padding, "layer": "a"})


SAMPLERS = {
    "rnn": recurrences(1, nonlinearity=st.sampled_from(["tanh", "relu"])),
    "lstm": recurrences(4, parts=2),
    "gru": recurrences(3, biases=2),
    "embedding": lookups(),
}
