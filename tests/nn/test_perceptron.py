"""The perceptron: its threshold, the textbook's examples, and what its learning rule can and cannot learn."""

import numpy as np
import pytest
from support import engine, on_every_backend

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError

BITS = [[0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.tiny
@on_every_backend
def test_shall_we_go_surfing(backend):
    """Good waves 5, empty water 2, no sharks 4, threshold 3; waves and no sharks: 5·1 + 2·0 + 4·1 - 3 = 6, so go."""
    surf = nn.Perceptron([5, 2, 4], bias=-3).to(engine(backend))
    x = Tensor([1.0, 0.0, 1.0], backend=engine(backend))
    assert (x @ surf.weight.T + surf.bias).item() == 6.0
    assert surf([1, 0, 1]).item() == 1.0
    assert surf([[1, 0, 1], [0, 1, 0], [0, 0, 1]]).tolist() == [[1.0], [0.0], [1.0]]


@pytest.mark.tiny
def test_nand():
    """Weights -2, -2 and bias 3. Source: Nielsen, chapter 1."""
    assert nn.Perceptron([-2, -2], bias=3)(BITS).tolist() == [[1.0], [1.0], [1.0], [0.0]]


def test_at_the_threshold_itself_it_stays_silent():
    assert nn.Perceptron([1.0], bias=-1.0)([[1.0]]).item() == 0.0


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize(
    ("name", "y"), [("AND", [0, 0, 0, 1]), ("OR", [0, 1, 1, 1]), ("NAND", [1, 1, 1, 0]), ("NOR", [1, 0, 0, 0])]
)
def test_it_learns_what_a_line_separates(backend, name, y):
    unit = nn.Perceptron(2).to(engine(backend))
    assert unit.learn(BITS, y, epochs=20) == 0
    assert unit(BITS).tolist() == [[float(t)] for t in y]
    settled = unit.weight.tolist()
    assert unit.learn(np.array(BITS), np.array(y, float)) == 0
    assert unit.weight.tolist() == settled


def test_it_never_learns_xor():
    unit = nn.Perceptron(2)
    assert all(unit.learn(BITS, [0, 1, 1, 0], epochs=50) > 0 for _ in range(4))


def test_one_step_of_the_rule_by_hand():
    """w = (1, 0), b = 0 says 1 to (1, 1) where 0 is right: w - x = (0, -1), b - 1 = -1."""
    unit = nn.Perceptron([1, 0])
    assert unit.learn([[1, 1]], [0]) == 1
    assert (unit.weight.tolist(), unit.bias.tolist()) == ([[0.0, -1.0]], [-1.0])


def test_it_computes_in_floats_and_has_no_gradient():
    unit = nn.Perceptron(np.array([5, 2]), bias=np.int64(1))
    assert (unit.weight.dtype, unit.bias.dtype) == ("float32", "float32")
    assert not any(p.requires_grad for p in unit.parameters())
    assert (unit.summary().parameters, unit.summary().trainable) == (3, 0)
    assert repr(unit) == "Perceptron(2)"


@pytest.mark.parametrize("nothing", [0, []])
def test_it_needs_an_input(nothing):
    with pytest.raises(ArgumentError, match="at least one input"):
        nn.Perceptron(nothing)


def test_learn_refuses_what_does_not_fit_before_anything_changes():
    unit = nn.Perceptron(2)
    with pytest.raises(ArgumentError, match="got 4 examples, 3 targets and 1 epochs"):
        unit.learn(BITS, [1, 1, 1])
    with pytest.raises(ArgumentError, match=r"an epoch at least; .* 0 epochs"):
        unit.learn(BITS, [1, 1, 1, 1], epochs=0)
    with pytest.raises(ShapeError, match=r"Perceptron\(2\) needs \(batch, 2\); got \(1, 3\)"):
        unit([[1, 2, 3]])
    assert unit.weight.tolist() == [[0.0, 0.0]]
