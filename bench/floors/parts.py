"""What the steps by hand share. Numbers lie as (features, examples): sums over features are then sums of long rows."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

LINE = 64  # bytes that a processor fetches at once
SMALL = 4096  # elements up to which a call's own time counts most


def room(*shape: int) -> Any:
    """An array to fill, of float32, from the beginning of a cache line."""
    space = np.empty(math.prod(shape) * 4 + LINE, np.uint8)
    return np.ndarray(shape, np.float32, space, -space.ctypes.data % LINE)


def constant(number: float) -> Any:
    """A number as an array, which NumPy need not convert at each call."""
    return np.asarray(number, np.float32)


def relu(x: Any) -> Callable[[], Any]:
    """max(0, x) in place; a large array is held between two bounds, which takes a quarter of maximum's time."""
    return partial(x.clip, 0, math.inf, x) if x.size > SMALL else partial(np.maximum, x, constant(0), out=x)


def cross_entropy(scores: Any, count: int) -> Callable[[Any], Any]:
    """A function of y, one class a column: the sum of -log softmax(scores)[y] over ``count``; the scores, (classes,
    examples), become its slope."""
    rows = scores.shape[1]
    columns, by_row = np.arange(rows), np.asarray(rows)
    peaks, total, wanted, chosen = *(room(rows) for _ in range(3)), np.empty(rows, np.int64)
    over_classes, over_columns = np.ones(len(scores), np.float32), np.ones(rows, np.float32)
    every, each, loss, one_by_one = constant(count), constant(1 / count), room(), scores.reshape(-1)

    def run(y: Any) -> Any:
        np.maximum.reduce(scores, 0, None, peaks)
        np.subtract(scores, peaks, scores)
        np.multiply(y, by_row, chosen)
        np.add(chosen, columns, chosen)
        one_by_one.take(chosen, None, wanted, "clip")
        np.exp(scores, scores)
        over_classes.dot(scores, total)
        np.log(total, peaks)
        np.subtract(peaks, wanted, wanted)
        over_columns.dot(wanted, loss)
        np.multiply(loss, each, loss)
        np.multiply(total, every, total)
        np.divide(scores, total, scores)
        one_by_one.take(chosen, None, wanted, "clip")
        np.subtract(wanted, each, wanted)
        one_by_one[chosen] = wanted
        return loss

    return run
