"""The steps written by hand compute what tinynet computes: they are its floor only as long as they do the same work."""

import os

import numpy as np
import pytest

from tinynet.bench import engines, floors
from tinynet.bench.families import Cnn
from tinynet.bench.floors import floor, gpt
from tinynet.bench.workloads import read

WORKLOADS = [
    "mlp-quick", "mlp:5-7-3-6-3@5", "mlp:3-2@3", "mlp:30-200-40@33",
    "names-quick", "names:11-5-9x4@7", "rnn-quick", "rnn:11-5-9x4@7",
    "lstm-quick", "lstm:11-5-9x4@7", "lstm:5-3-300x8@17", "cnn-quick", "cnn:19-3-4-5-6@5",
    "gpt-quick", "gpt:11-12-3-2x5@3",
]  # fmt: skip


@pytest.mark.tiny
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", WORKLOADS)
def test_same_losses_and_same_weights(name, threads):
    """Three steps: the third is right only if every weight moved as it should, twice."""
    workload = read(name)
    x, y = workload.given()
    by_hand, ours = floors.step(workload, x, y, threads), engines.numpy_eager(workload)
    assert len(by_hand.runs) == threads
    for _ in range(3):
        assert float(by_hand(x, y)) == pytest.approx(ours.run().item(), rel=1e-4)
    start, expected = workload.weights(), ours.weights()
    assert set(by_hand.weights) == set(start)
    for key, array in by_hand.weights.items():
        wanted = np.array(expected[key])
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-6, err_msg=key)
        moved = wanted - start[key]
        assert np.any(moved), key
        np.testing.assert_allclose(
            array - start[key], moved, rtol=2e-2, atol=2e-6, err_msg=key
        )  # float32's last digits


@pytest.mark.tiny
def test_attention_whose_scores_are_large():
    """Scores of hundreds, of which e^x would overflow: beside softmax in double precision."""
    width, heads, rows, length = 6, 2, 3, 5
    attention = gpt.Attention(width, heads, rows, length)
    attention.qkv[:] = np.random.default_rng(0).normal(0, 30, attention.qkv.shape)
    q, k, v = attention.qkv.astype(float).reshape(3, heads, width // heads, rows, length).transpose(0, 1, 3, 4, 2)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(width / heads)
    scores[..., np.triu(np.ones((length, length), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    expected = (weights / weights.sum(-1, keepdims=True)) @ v
    found = attention.forward().reshape(heads, width // heads, rows, length).transpose(0, 2, 3, 1)
    assert scores.max() > 100
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)  # a score of 500 is exact to 3e-5


@pytest.mark.tiny
def test_pixels_that_tie_for_the_largest(monkeypatch):
    """Pixels of 0 and 1 and weights of -1/4, 0 and 1/4: in many windows the largest comes twice, and the first counts.

    One step, whose sums are exact; later ones would tell ties from near ties by their rounding.
    """
    random = np.random.default_rng(0)
    monkeypatch.setattr(Cnn, "given", lambda self: (pixels, np.array([0, 1, 2, 1])))
    monkeypatch.setattr(Cnn, "weights", lambda self: weights)
    workload = read("cnn:16-5-6-8-3@4")
    pixels = random.integers(0, 2, (4, 1, 16, 16)).astype(np.float32)
    weights = {key: random.integers(-1, 2, shape).astype(np.float32) / 4 for key, shape in workload.shapes().items()}
    x, y = workload.given()
    by_hand, ours = floors.step(workload, x, y, 1), engines.numpy_eager(workload)
    assert float(by_hand(x, y)) == pytest.approx(ours.run().item(), rel=1e-4)
    for key, array in by_hand.weights.items():
        moved = np.array(ours.weights()[key]) - weights[key]
        np.testing.assert_allclose(array - weights[key], moved, rtol=2e-2, atol=2e-6, err_msg=key)


@pytest.mark.tiny
def test_two_threads_or_one_found_by_trying(monkeypatch):
    """Whatever is tried beforehand, the step that is handed out starts from the workload's weights."""
    monkeypatch.setattr(floor, "SHORT", 0.0)
    monkeypatch.setattr(floor, "TRIAL", 0.0)
    workload = read("mlp-quick")
    x, y = workload.given()
    found = floors.step(workload, x, y)
    assert len(found.runs) in (1, os.cpu_count())
    assert float(found(x, y)) == pytest.approx(engines.numpy_eager(workload).run().item(), rel=1e-4)


@pytest.mark.tiny
def test_no_step_for_a_family_without_one():
    workload = read("moons-quick")
    assert floors.step(workload, *workload.given()) is None
