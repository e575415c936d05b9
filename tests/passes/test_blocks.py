"""Chains over long arrays, taken a block at a time: the same bits as one call after the other, in less room."""

import numpy as np
import pytest

from tinynet import Parameter, Tensor, capture, no_grad, optim
from tinynet.passes.blocks import BLOCK

COUNT = 2 * BLOCK + 77  # the last block is a short one
RANDOM = np.random.default_rng(9)
W, X = RANDOM.normal(size=(2, COUNT)).astype(np.float32)


def run(step, captured, times=3):
    """What a function of (w, x) leaves in w after some calls, and the program where it was recorded."""
    w, taken = Tensor(W), lambda x: step(w, x)
    taken = capture(taken) if captured else taken
    with no_grad():
        for i in range(times):
            taken(Tensor(X + np.float32(i)))
    return w.numpy(), taken.program if captured else None


def same_as_eager(step):
    (replayed, program), (eager, _) = run(step, True), run(step, False)
    np.testing.assert_array_equal(replayed, eager)
    return str(program)


@pytest.mark.parametrize("rule", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_updates_are_those_of_the_eager_step(rule, decay):
    found = []
    for captured in (False, True):
        w = Parameter(W)
        optimizer = rule([w], lr=0.1, weight_decay=decay)

        def step(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            (w * x).sum().backward()
            optimizer.step()

        taken = capture(step) if captured else step
        for i in range(3):
            taken(Tensor(X + np.float32(i)))
        found.append(w.detach().numpy())
    np.testing.assert_array_equal(*found)
    assert "blocks of" in str(taken.program)


def test_what_passes_between_the_calls_needs_no_room():
    """lr · g of an update: a block is all there ever is of it."""
    _, program = run(lambda w, x: w.sub_(x * 0.5 * x), True)
    (call,) = program.calls
    assert call.name == "blocks of mul, mul, sub"
    assert [x.size for x in call.kernel.spare] == [BLOCK]
    assert {id(x) for x in call.inputs} == {id(program.inputs[0]), id(call.outs[0])}


def test_results_that_somebody_holds_are_whole():
    kept = []

    def step(x):
        kept[:] = [x * 2.0]
        return kept[0] + 1.0

    taken = capture(step)
    taken(Tensor(X))
    result = taken(Tensor(W))
    np.testing.assert_array_equal(kept[0].numpy(), W * 2)
    np.testing.assert_array_equal(result.numpy(), W * 2 + 1)


def test_results_that_are_used_later_are_whole():
    same_as_eager(lambda w, x: w.add_((x * 2.0 + w).sum() + (x * 3.0).reshape(-1)))


def test_arrays_that_overlap_out_of_step_are_taken_one_after_the_other():
    def step(w, x):
        low, high = w[:-1], w[1:]
        low.mul_(0.5)
        high.add_(low)
        low.add_(high)

    assert "blocks" not in same_as_eager(step)


def test_a_number_out_of_a_long_array_is_read_when_its_turn_comes():
    def step(w, x):
        first = w[0]
        w.mul_(0.5)
        w.add_(first)
        other = w[BLOCK] * 2.0
        w.sub_(x)
        w.mul_(other)

    same_as_eager(step)


def test_small_calls_in_between_go_first():
    def step(w, x):
        w.mul_(0.5)
        rate = Tensor(2.0) * 3.0
        w.add_(x * rate)

    assert "blocks of mul, mul, add" in same_as_eager(step)
