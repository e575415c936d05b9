"""Arguments for the fused primitives of images and of normalisation, drawn by hypothesis: shapes, windows, borders."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from support import Arguments, seeds, smooth

few = st.integers(1, 2)
pairs = st.tuples(few, few)
borders = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2)


def fitting(draw: Any, kernel: tuple[int, int], dilation: tuple[int, int], padding: Any) -> tuple[int, ...]:
    """Height and width of an image that the window fits into, with its border."""
    least = [d * (k - 1) + 1 - sum(around) for k, d, around in zip(kernel, dilation, padding)]
    return tuple(draw(st.integers(max(n, 1), max(n, 1) + 4)) for n in least)


@st.composite
def convolutions(draw: Any, transposed: bool = False) -> Arguments:
    """Images, weights and perhaps a bias, with every setting drawn."""
    kernel, stride, dilation, groups = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(pairs), draw(pairs), draw(few)
    padding, random = draw(borders), np.random.default_rng(draw(seeds))
    batch, inputs, outputs = draw(few), groups * draw(few), groups * draw(few)
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    bias = smooth(random, (outputs,)) if draw(st.booleans()) else None
    if not transposed:
        image = smooth(random, (batch, inputs, *fitting(draw, kernel, dilation, padding)))
        return Arguments([image, smooth(random, (outputs, inputs // groups, *kernel)), bias], window)
    image = smooth(random, (batch, inputs, *draw(st.tuples(*[st.integers(1, 4)] * 2))))
    around = zip(image.shape[2:], kernel, stride, padding, dilation)
    least = [(n - 1) * s + d * (k - 1) + 1 - sum(p) for n, k, s, p, d in around]
    size = tuple(max(n, 1) + draw(st.integers(0, 1)) for n in least)
    return Arguments([image, smooth(random, (inputs, outputs // groups, *kernel)), bias], {"size": size, **window})


@st.composite
def pools(draw: Any, dilated: bool) -> Arguments:
    """Images and windows; half of the images hold few different numbers, so that windows find ties."""
    kernel, stride = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    dilation = draw(pairs) if dilated else (1, 1)
    padding = tuple((draw(st.integers(0, k // 2)), draw(st.integers(0, k // 2))) for k in kernel)
    random = np.random.default_rng(draw(seeds))
    image = smooth(random, (draw(few), draw(few), *fitting(draw, kernel, dilation, padding)))
    image = np.round(image) if draw(st.booleans()) else image
    params = {"kernel_size": kernel, "stride": stride, "padding": padding}
    return Arguments([image], params | {"dilation": dilation} if dilated else params)


@st.composite
def normalised(draw: Any) -> Arguments:
    """Numbers to normalise over the last dimensions, or over all but the second, with and without w and b."""
    shape, random = draw(st.lists(st.integers(2, 4), min_size=2, max_size=4)), np.random.default_rng(draw(seeds))
    if draw(st.booleans()):
        axes = tuple(range(draw(st.integers(1, len(shape) - 1)), len(shape)))
        affine = tuple(shape[axes[0] :])
    else:
        axes = (0, *range(2, len(shape)))
        affine = (shape[1], *[1] * (len(shape) - 2))
    w, b = (smooth(random, affine) if draw(st.booleans()) else None for _ in range(2))
    return Arguments([smooth(random, tuple(shape)), w, b], {"axes": axes, "eps": draw(st.sampled_from([1e-5, 0.1]))})


SAMPLERS = {
    "conv2d": convolutions(),
    "conv_transpose2d": convolutions(transposed=True),
    "max_pool2d": pools(dilated=True),
    "sum_pool2d": pools(dilated=False),
    "normalise": normalised(),
}
