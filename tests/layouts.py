"""Arrays in every layout that a view can have, drawn by hypothesis, for tests of what reads strides."""

import sys
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest
import support  # noqa: F401  # how random tests are drawn
from hypothesis import strategies as st

with suppress(ImportError):
    import ml_dtypes  # noqa: F401  # makes bfloat16 known to NumPy

# Sums of a few terms of about 1, rounded in the type that they are stored in.
TOLERANCE = {"float64": 1e-14, "float32": 1e-5, "float16": 2**-9, "bfloat16": 2**-6}
without_bfloat16 = pytest.mark.skipif("ml_dtypes" not in sys.modules, reason="ml_dtypes is not installed")
TYPES = [*list(TOLERANCE)[:3], pytest.param("bfloat16", marks=without_bfloat16)]
rng = np.random.default_rng(8)


def numbers(*shape, dtype="float32"):
    """An array of numbers of about 1, on the host."""
    return rng.normal(size=shape).astype(dtype)


AROUND = -77  # what lies in memory beside the array


@dataclass
class Layout:
    """An array as a view of a larger one: the order of its dimensions in memory, and for each the distance between
    neighbours, what lies before them, and whether it runs backwards."""

    shape: tuple
    order: tuple
    steps: tuple
    before: tuple
    backwards: tuple

    def whole(self, dtype):
        """The memory, on the host."""
        sizes = [n * step + before for n, step, before in zip(self.shape, self.steps, self.before)]
        return np.full([sizes[axis] for axis in self.order], AROUND, dtype)

    def view(self, whole):
        """The array in the memory, of NumPy or of CuPy."""
        parts = []
        for axis in self.order:
            part = slice(self.before[axis], None, self.steps[axis])
            parts.append(part)
        seen = whole[tuple(parts)].transpose(*np.argsort(self.order))
        return seen[tuple(slice(None, None, -1 if back else 1) for back in self.backwards)]

    def place(self, xp, data):
        """The memory on the device with the data in it, and the array."""
        host = self.whole(data.dtype)
        self.view(host)[...] = data
        whole = xp.asarray(host)
        return whole, self.view(whole)


@st.composite
def layouts(draw, shape, plain=False):
    """A layout for a shape: of any kind, or, where ``plain``, one that cuBLAS takes without a copy."""
    n = len(shape)
    if not plain:
        every = st.tuples
        return Layout(
            shape,
            tuple(draw(st.permutations(range(n)))),
            draw(every(*[st.sampled_from([1, 1, 2])] * n)),
            draw(every(*[st.sampled_from([0, 0, 1, 3])] * n)),
            draw(every(*[st.sampled_from([False, False, False, True])] * n)),
        )
    order = list(draw(st.permutations(range(n))))
    inner = draw(st.sampled_from([n - 2, n - 1]))  # rows or columns that lie together
    order.remove(inner)
    order.append(inner)
    steps = [draw(st.sampled_from([1, 1, 2])) for _ in shape]
    steps[inner] = 1
    before = [draw(st.sampled_from([0, 0, 1, 3])) for _ in shape]
    return Layout(shape, tuple(order), tuple(steps), tuple(before), (False,) * n)
