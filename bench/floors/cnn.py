"""Two convolutions of 5 × 5, each with ReLU and 2 × 2 pooling, and two dense layers, by hand.

An image lies as (height, channels, width, batch). It is unrolled along its width alone, (height, channels, 5, width,
batch): the windows of a row of results are then five rows one behind the other, which is a matrix as it lies. That
copies a fifth of what columns of whole windows would, and back-propagation needs no adding up along the height.
Pooling comes before the bias and ReLU, which change nothing about which pixel is the largest: a quarter of the work.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinynet.bench.floors.floor import Run
from tinynet.bench.floors.parts import constant, cross_entropy, relu, room

SIDE = 5
NEARBY = 1 << 16  # numbers of a result that are worked out and pooled together, while they are in the cache


class Convolution:
    """A convolution, pooling, bias and ReLU: ``image`` in, ``pooled`` out, ``d_pooled`` back to ``d_image``."""

    def __init__(self, w: Any, b: Any, g_w: Any, g_b: Any, image: Any, d_image: Any = None) -> None:
        side, channels, _, batch = image.shape
        outputs, size = len(w), side - SIDE + 1
        self.w, self.g_w, self.g_b, self.image, self.d_image = w, g_w, g_b, image, d_image
        self.unrolled = room(side, channels, SIDE, size, batch)
        row, channel, column, one = image.strides
        self.wide = as_strided(image, self.unrolled.shape, (row, channel, column, column, one))
        self.matrix, self.g_matrix = room(outputs, SIDE * channels * SIDE), room(outputs, SIDE * channels * SIDE)
        self.four = outputs, SIDE, channels, SIDE  # the weights' order here; PyTorch's is the same with 1 and 2 swapped
        self.results, self.slopes = (room(size, outputs, size * batch) for _ in range(2))
        self.pooled, self.d_pooled = (room(size // 2, outputs, size // 2, batch) for _ in range(2))
        self.tops, self.positive = room(*self.pooled.shape), np.empty(self.pooled.shape, bool)
        self.bends, self.column, self.zero = relu(self.pooled), b[:, None, None], constant(0)
        self.ones = np.ones(size // 2 * batch, np.float32)
        along = size * batch
        windows = as_strided(
            self.unrolled, (size, SIDE**2 * channels, along), (SIDE * channels * along * 4, along * 4, 4)
        )
        used = size - size % 2  # a last odd row and column are in no window of the pooling
        at_once = min(size // 2, max(1, NEARBY // (2 * outputs * along)))
        self.rows: list[Any] = []
        for first in range(0, size // 2, at_once):
            pooled = slice(first, min(first + at_once, size // 2))
            rows, taps = slice(2 * pooled.start, 2 * pooled.stop), []
            for a in (self.results, self.slopes):
                four = a[rows].reshape(-1, outputs, size, batch)
                taps.append([four[i::2, :, j:used:2] for i in (0, 1) for j in (0, 1)])
            self.rows.append((windows[rows], self.results[rows], self.slopes[rows], *taps, pooled))
        self.shares = room(2 * at_once, *self.g_matrix.shape)
        if size % 2:
            self.slopes.fill(0)
        middle = at_once, *self.pooled.shape[1:]
        self.left, self.bottom, self.first = room(*middle), room(*middle), np.empty(middle, bool)
        if d_image is not None:
            self.turned = room(channels * SIDE, SIDE, outputs)
            self.d_row = room(channels * SIDE, size * batch)
            parts, across = self.d_row.reshape(channels, SIDE, size, batch), range(SIDE)
            self.backward = []
            for r in range(side):
                low, high = max(0, r - SIDE + 1), min(r, size - 1) + 1
                weights = self.turned[:, SIDE - 1 - r + low : SIDE - 1 - r + high].reshape(channels * SIDE, -1)
                # a view where all of the kernel's rows are inside, and else as strides, which BLAS takes too
                weights = as_strided(self.turned[:, SIDE - 1 - r + low], weights.shape, (self.turned.strides[0], 4))
                arriving = self.slopes[low:high].reshape(-1, size * batch)
                adding = [(d_image[r, :, j : j + size], parts[:, j]) for j in across]
                self.backward.append((weights, arriving, adding))

    def forward(self) -> None:
        """From the image to what is pooled, a few rows at a time."""
        np.copyto(self.matrix.reshape(self.four), self.w.transpose(0, 2, 1, 3))
        np.copyto(self.unrolled, self.wide)
        for windows, results, _, (a, b, c, d), _, rows in self.rows:
            pooled, top = self.pooled[rows], self.tops[rows]
            np.matmul(self.matrix, windows, results)
            np.maximum(a, b, out=top)
            np.maximum(c, d, out=pooled)
            np.maximum(top, pooled, out=pooled)
            np.add(pooled, self.column, pooled)
        self.bends()

    def back(self) -> None:
        """From the slope of what is pooled to those of weights, bias and, where it is wanted, the image."""
        np.greater(self.pooled, self.zero, self.positive)
        np.multiply(self.d_pooled, self.positive, self.d_pooled)
        np.matmul(self.d_pooled.reshape(*self.d_pooled.shape[:2], -1), self.ones).sum(0, out=self.g_b)
        self.g_matrix.fill(0)
        for windows, _, slopes, (a, b, c, d), (d_a, d_b, d_c, d_d), rows in self.rows:
            slope, top, shares = self.d_pooled[rows], self.tops[rows], self.shares[: len(slopes)]
            left, bottom, first = (each[: len(slope)] for each in (self.left, self.bottom, self.first))
            np.maximum(c, d, out=bottom)
            np.greater_equal(top, bottom, first)
            np.multiply(slope, first, left)
            np.subtract(slope, left, bottom)
            np.greater_equal(a, b, first)
            np.multiply(left, first, d_a)
            np.subtract(left, d_a, d_b)
            np.greater_equal(c, d, first)
            np.multiply(bottom, first, d_c)
            np.subtract(bottom, d_c, d_d)
            np.matmul(slopes, windows.swapaxes(-1, -2), shares)
            for share in shares:
                np.add(self.g_matrix, share, self.g_matrix)
        np.copyto(self.g_w.transpose(0, 2, 1, 3), self.g_matrix.reshape(self.four))
        if self.d_image is not None:
            self._to_image()

    def _to_image(self) -> None:
        np.copyto(self.turned.reshape(-1, SIDE, SIDE, len(self.w)), self.w[:, :, ::-1].transpose(1, 3, 2, 0))
        self.d_image.fill(0)
        for weights, arriving, adding in self.backward:
            weights.dot(arriving, self.d_row)
            for there, part in adding:
                np.add(there, part, there)


def share(workload: Any, w: dict[str, Any], g: dict[str, Any], rows: int, count: int) -> Run:
    """Forward and backward for so many examples, x: (rows, 1, side, side)."""
    w_1, b_1, w_2, b_2, w_3, b_3, w_4, b_4 = w.values()
    g_1, g_b_1, g_2, g_b_2, g_3, g_b_3, g_4, g_b_4 = g.values()
    side, ones, zero = workload.sizes[0], np.ones(rows, np.float32), constant(0)
    image = room(side, 1, side, rows)
    one = Convolution(w_1, b_1, g_1, g_b_1, image)
    two = Convolution(w_2, b_2, g_2, g_b_2, one.pooled, one.d_pooled)
    by_channel = two.pooled.transpose(1, 0, 2, 3)
    features, d_features = (room(*by_channel.shape) for _ in range(2))
    flat, d_flat = features.reshape(-1, rows), d_features.reshape(-1, rows)
    units, d_units, scores = room(len(w_3), rows), room(len(w_3), rows), room(len(w_4), rows)
    bend, entropy, b_3, b_4 = relu(units), cross_entropy(scores, count), b_3[:, None], b_4[:, None]
    positive = np.empty(units.shape, bool)

    def run(x: Any, y: Any) -> Any:
        np.copyto(image, x.transpose(2, 1, 3, 0))
        one.forward()
        two.forward()
        np.copyto(features, by_channel)
        w_3.dot(flat, units)
        np.add(units, b_3, units)
        bend()
        w_4.dot(units, scores)
        np.add(scores, b_4, scores)
        loss = entropy(y)
        scores.dot(units.T, g_4)
        scores.dot(ones, g_b_4)
        w_4.T.dot(scores, d_units)
        np.greater(units, zero, positive)
        np.multiply(d_units, positive, d_units)
        d_units.dot(flat.T, g_3)
        d_units.dot(ones, g_b_3)
        w_3.T.dot(d_units, d_flat)
        np.copyto(two.d_pooled.transpose(1, 0, 2, 3), d_features)
        two.back()
        one.back()
        return loss

    return run
