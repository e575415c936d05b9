"""Dense layers with ReLU between them, by hand."""

from typing import Any

import numpy as np

from tinynet.bench.floors.floor import Run
from tinynet.bench.floors.parts import constant, cross_entropy, relu, room


def share(workload: Any, w: dict[str, Any], g: dict[str, Any], rows: int, count: int) -> Run:
    """Forward and backward for so many examples, x: (rows, features)."""
    ones, zero = np.ones(rows, np.float32), constant(0)
    weights, biases = list(w.values())[::2], list(w.values())[1::2]
    g_weights, g_biases = list(g.values())[::2], list(g.values())[1::2]
    values = [room(len(b), rows) for b in biases]  # of each layer, after its ReLU
    scores, entropy = values[-1], cross_entropy(values[-1], count)
    slopes = [*(room(*value.shape) for value in values[:-1]), scores]
    columns, rectify = [b[:, None] for b in biases], [relu(value) for value in values[:-1]]
    forward = list(zip([w.dot for w in weights[1:]], columns[1:], values, values[1:], [*rectify[1:], None]))
    positive = [np.empty(value.shape, bool) for value in values]
    backward = list(
        zip([w.T.dot for w in weights[1:]], slopes[1:], g_weights[1:], g_biases[1:], values, slopes, positive)
    )[::-1]

    def run(x: Any, y: Any) -> Any:
        weights[0].dot(x.T, values[0])
        np.add(values[0], columns[0], values[0])
        if rectify:
            rectify[0]()
        for product, bias, before, after, bend in forward:
            product(before, after)
            np.add(after, bias, after)
            if bend:
                bend()
        loss = entropy(y)
        for product, slope, g_w, g_b, before, earlier, mask in backward:
            slope.dot(before.T, g_w)
            slope.dot(ones, g_b)
            product(slope, earlier)
            np.greater(before, zero, mask)
            np.multiply(earlier, mask, earlier)
        slopes[0].dot(x, g_weights[0])
        slopes[0].dot(ones, g_biases[0])
        return loss

    return run
