"""Arguments for the fused primitives of transformers, drawn by hypothesis: shapes, masks, what dropout keeps."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from support import Arguments, seeds, smooth


@st.composite
def attentions(draw: Any) -> Arguments:
    """Queries, keys, values; no mask, or one of booleans or floats that spreads, rows hidden as a whole among them."""
    random, batch = np.random.default_rng(draw(seeds)), tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    length, keys, width, values = (draw(st.integers(1, 5)) for _ in range(4))
    arrays = [smooth(random, (*batch, *s)) for s in ((length, width), (keys, width), (keys, values))]
    spread = tuple(1 if draw(st.booleans()) else n for n in (*batch, length, keys))[draw(st.integers(0, len(batch))) :]
    shown = random.random(spread) < 0.6
    kind = draw(st.sampled_from(["none", "bool", "float", "hiding"]))
    masks = {"none": None, "bool": shown, "float": smooth(random, spread), "hiding": np.where(shown, 0.5, -np.inf)}
    keep = random.random((*batch, length, keys)) < 0.7 if draw(st.booleans()) else None
    scale = draw(st.sampled_from([0.5, 1.0]))
    return Arguments([*arrays, masks[kind], keep], {"causal": draw(st.booleans()), "scale": scale})


@st.composite
def rotated(draw: Any) -> Arguments:
    shape = (*draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)), 2 * draw(st.integers(1, 3)))
    params = {"offset": draw(st.integers(0, 50)), "base": draw(st.sampled_from([10.0, 1e4])), "turn": 1}
    return Arguments([smooth(np.random.default_rng(draw(seeds)), shape)], params)


@st.composite
def bent(draw: Any) -> Arguments:
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    params = {"approximate": draw(st.sampled_from(["none", "tanh"]))}
    return Arguments([3 * smooth(np.random.default_rng(draw(seeds)), shape)], params)


SAMPLERS = {"attention": attentions(), "rotary": rotated(), "gelu": bent()}
