"""Random numbers inside a step: the same on every backend, drawn anew by each replay, continued after a resume."""

import sys
import threading

import numpy as np
import pytest
from support import engine, on_array_backends, on_every_backend

import tinynet as tn
from tinynet import capture, random
from tinynet.errors import ArgumentError

pytestmark = pytest.mark.tiny


def draw(backend, *shape, **options):
    return tn.rand(*shape, backend=engine(backend), **options)


@on_every_backend
def test_one_seed_gives_the_same_numbers_on_every_backend(backend):
    """Against the hash written out in Python's own integers."""

    def mix(x):
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
            x = (x ^ (x >> shift)) * factor % 2**32
        return x

    tn.manual_seed(7)
    seed = random.get_state()["stream_seed"]
    for call in range(3):
        keys = [mix((0x9E3779B9 * (2 * call + i) + seed) % 2**32) for i in range(2)]
        expected = [(mix(mix(i ^ keys[0]) ^ keys[1]) >> 8) / 2**24 for i in range(6)]
        assert draw(backend, 2, 3).reshape(6).tolist() == expected


def test_they_are_uniform_and_independent():
    """Chi-squared over 100 bins is 99 ± 14: 200 is seven standard deviations. Neighbours and draws do not correlate."""
    tn.manual_seed(0)
    draws = [draw("numpy", 100_000, dtype="float64").numpy() for _ in range(3)]
    for x in draws:
        assert x.min() >= 0 and x.max() < 1
        counts = np.histogram(x, 100, (0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 200
    for a, b in [
        (draws[0], draws[1]),
        (draws[1], draws[2]),
        (draws[0][1:], draws[0][:-1]),
        (draws[0][:-7], draws[1][7:]),
    ]:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(100_000)


@on_array_backends
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_element_type(backend, dtype):
    x = draw(backend, 3, 2, dtype=dtype)
    assert (x.dtype, x.shape, x.requires_grad) == (dtype, (3, 2), False)
    assert draw(backend, 0, 2).shape == (0, 2) and draw(backend).shape == ()


@on_array_backends
def test_a_replay_draws_anew_what_running_would_draw(backend):
    step = capture(lambda x: x + tn.rand(4, backend=x.backend))
    zeros = tn.zeros(4, backend=engine(backend))
    tn.manual_seed(3)
    eager = [draw(backend, 4).tolist() for _ in range(3)]
    tn.manual_seed(3)
    assert [step(zeros).tolist() for _ in range(3)] == eager
    tn.manual_seed(3)  # the recording goes on with the new seed
    assert step(zeros).tolist() == eager[0]


@on_every_backend
def test_the_state_can_be_kept_and_taken_up(backend):
    tn.manual_seed(11)
    draw(backend, 2)
    state = random.get_state()
    expected = [draw(backend, 2).tolist() for _ in range(2)]
    draw("numpy", 1), draw("scalar", 1)
    random.set_state(state)
    assert [draw(backend, 2).tolist() for _ in range(2)] == expected
    random._streams.pop((engine(backend), 0))  # as in a process that has drawn nothing yet
    random.set_state(state)
    assert draw(backend, 2).tolist() == expected[0]


def test_another_seed_gives_other_numbers():
    seen = set()
    for seed in range(50):
        tn.manual_seed(seed)
        seen.add(draw("numpy", 1).item())
    assert len(seen) == 50


@on_array_backends
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_floats_stay_below_one(backend, dtype):
    tn.manual_seed(0)
    x = draw(backend, 300_000, dtype=dtype)
    assert x.amax().item() < 1 and x.amin().item() >= 0


def test_threads_never_draw_the_same_numbers():
    tn.manual_seed(0)
    drawn = []
    threads = [
        threading.Thread(target=lambda: drawn.extend(draw("numpy", 2).numpy()[0] for _ in range(300))) for _ in "ab"
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(set(drawn)) == 600
    assert random.get_state()["streams"]["numpy"] == 600


@pytest.mark.parametrize("seed", [-1, 1.5, "a"])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ArgumentError, match="whole number"):
        tn.manual_seed(seed)
