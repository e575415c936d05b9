"""Dense layers with ReLU between them, by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.bench.floors.parts import constant, cross_entropy, relu, room


def share(workload: Any, w: dict[str, Any], g: dict[str, Any], x: Any, y: Any, count: int) -> Callable[[], Any]:
    """Forward and backward for these examples, (examples, features)."""
    ones, zero = np.ones(len(x), np.float32), constant(0)
    names = [name.removesuffix(".weight") for name in w if name.endswith(".weight")]
    values = [x.T, *(room(len(w[f"{name}.bias"]), len(x)) for name in names)]
    scores, entropy = values[-1], cross_entropy(values[-1], y, count)
    forward = [
        (w[f"{name}.weight"].dot, before, w[f"{name}.bias"][:, None], after, relu(after))
        for name, before, after in zip(names, values, values[1:])
    ]
    (to_scores, last, last_bias, _, _), hidden = forward.pop(), forward
    slopes = [*(room(*value.shape) for value in values[1:-1]), scores]
    backward = [
        (w[f"{name}.weight"].T.dot, slope, before.T, g[f"{name}.weight"], g[f"{name}.bias"], before, earlier, positive)
        for name, slope, before, earlier, positive in zip(
            names[1:], slopes[1:], values[1:], slopes, [np.empty(value.shape, bool) for value in values[1:]]
        )
    ][::-1]
    first, first_w, first_b = slopes[0], *(g[f"{names[0]}.{part}"] for part in ("weight", "bias"))

    def run() -> Any:
        for product, before, bias, after, rectify in hidden:
            product(before, after)
            np.add(after, bias, after)
            rectify()
        to_scores(last, scores)
        np.add(scores, last_bias, scores)
        loss = entropy()
        for product, slope, before_T, g_w, g_b, before, earlier, positive in backward:
            slope.dot(before_T, g_w)
            slope.dot(ones, g_b)
            product(slope, earlier)
            np.greater(before, zero, positive)
            np.multiply(earlier, positive, earlier)
        first.dot(x, first_w)
        first.dot(ones, first_b)
        return loss

    return run
