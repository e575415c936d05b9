"""RNNCell, LSTMCell, GRUCell: against PyTorch, against the scalar backend, by hand; and what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import engine, on_every_backend, same, seeds

from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch

CELLS = {
    "tanh": (nn.RNNCell, {}),
    "relu": (nn.RNNCell, {"nonlinearity": "relu"}),
    "LSTM": (nn.LSTMCell, {}),
    "GRU": (nn.GRUCell, {}),
}
every_cell = pytest.mark.parametrize("kind", CELLS)
sizes = st.integers(1, 4)


@st.composite
def cases(draw):
    """Sizes, whether there is a bias, a batch and a state, and a seed."""
    batch = draw(st.none() | st.integers(0, 3))
    return draw(sizes), draw(sizes), draw(st.booleans()), batch, draw(st.booleans()), draw(seeds)


def run(kind, case, backend):
    """Two steps of a cell with drawn weights: every output and every gradient, and the arrays that went in."""
    cls, options = CELLS[kind]
    inputs, hidden, bias, batch, given_state, seed = case
    random = np.random.default_rng(seed)
    cell = cls(inputs, hidden, bias, **options).to(engine(backend), "float64")
    cell.load_state_dict({name: random.normal(size=p.shape) for name, p in cell.named_parameters()})
    rows = () if batch is None else (batch,)
    arrays = {"x": random.normal(size=(*rows, inputs))}
    arrays |= {part: random.normal(size=(*rows, hidden)) for part in cell.parts} if given_state else {}
    given = {name: Tensor(a, backend=engine(backend), requires_grad=True) for name, a in arrays.items()}
    state = tuple(given[part] for part in cell.parts) if given_state else None
    state = cell(given["x"], state if state is None or len(state) > 1 else state[0])
    state = cell(given["x"], state)
    out = state if isinstance(state, tuple) else (state,)
    sum(((k + 1.5) * part * part).sum() for k, part in enumerate(out)).backward()
    found = {f"state {k}": part.numpy() for k, part in enumerate(out)}
    found |= {f"gradient of {name}": t.grad.numpy() for name, t in given.items()}
    return cell, arrays, found | {f"gradient of {name}": p.grad.numpy() for name, p in cell.named_parameters()}


@pytest.mark.torch
@every_cell
def test_cells_are_pytorchs(kind):
    import torch

    @settings(max_examples=30)
    @given(cases())
    def check(case):
        cell, arrays, found = run(kind, case, "numpy")
        theirs = getattr(torch.nn, type(cell).__name__)(*case[:3], dtype=torch.float64, **CELLS[kind][1])
        theirs.load_state_dict({name: torch.tensor(p.numpy()) for name, p in cell.state_dict().items()})
        given = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
        state = tuple(given[part] for part in cell.parts) if len(given) > 1 else None
        state = theirs(given["x"], state if state is None or len(state) > 1 else state[0])
        state = theirs(given["x"], state)
        out = state if isinstance(state, tuple) else (state,)
        sum(((k + 1.5) * part * part).sum() for k, part in enumerate(out)).backward()
        expected = {f"state {k}": part.detach() for k, part in enumerate(out)}
        expected |= {f"gradient of {name}": t.grad for name, t in given.items()}
        expected |= {f"gradient of {name}": p.grad for name, p in theirs.named_parameters()}
        assert set(found) == set(expected)
        for name, array in found.items():  # a few dozen roundings of 1e-16 each; cancelling sums end near 0
            same(array, expected[name].numpy(), f"{kind}: {name}", 1e-10, 1e-13)

    check()


@every_cell
@settings(max_examples=8)
@given(case=cases())
def test_every_number_agrees_with_the_scalar_backend(kind, case):
    found, scalar = (run(kind, case, backend)[2] for backend in ("numpy", "scalar"))
    for name, array in found.items():
        same(array, scalar[name], f"{kind}: {name}", 1e-12, 1e-13)


@pytest.mark.tiny
@on_every_backend
def test_one_step_by_hand(backend):
    """A unit each, all weights 1 and biases 0: x = 2, h = 3, c = 4."""
    σ, tanh = (lambda v: 1 / (1 + math.exp(-v))), math.tanh
    x, h, c = [[2.0]], Tensor([[3.0]], backend=engine(backend)), Tensor([[4.0]], backend=engine(backend))

    def ones(cell):
        cell.to(engine(backend))
        cell.load_state_dict(
            {name: np.ones(p.shape) * name.startswith("weight") for name, p in cell.named_parameters()}
        )
        return cell

    same(ones(nn.RNNCell(1, 1))(x, h).numpy(), [[tanh(5)]], "RNN", 1e-6)
    same(ones(nn.RNNCell(1, 1, nonlinearity="relu"))(x, h).numpy(), [[5]], "RNN", 1e-6)
    new_h, new_c = ones(nn.LSTMCell(1, 1))(x, (h, c))
    cell = σ(5) * 4 + σ(5) * tanh(5)
    same(new_c.numpy(), [[cell]], "LSTM", 1e-6)
    same(new_h.numpy(), [[σ(5) * tanh(cell)]], "LSTM", 1e-6)
    same(ones(nn.GRUCell(1, 1))(x, h).numpy(), [[(1 - σ(5)) * tanh(2 + σ(5) * 3) + σ(5) * 3]], "GRU", 1e-6)


@pytest.mark.tiny
@on_every_backend
def test_what_does_not_fit_is_refused(backend):
    cell = nn.LSTMCell(3, 2).to(engine(backend))
    x, h = np.zeros((4, 3)), np.zeros((4, 2))
    with pytest.raises(ShapeError, match=r"LSTMCell\(3, 2\) needs \(batch, 3\) or \(3\); got \(4, 2\)"):
        cell(np.zeros((4, 2)))
    with pytest.raises(ShapeError, match=r"state c of shape \(batch, hidden_size\) = \(4, 2\); got \(2, 2\)"):
        cell(x, hx=(h, h[:2]))
    with pytest.raises(TypeMismatch, match=r"needs the state \(h, c\)"):
        cell(x, np.zeros((4, 2)))
    with pytest.raises(TypeMismatch, match="needs a tensor, an array or a list of numbers; got str"):
        cell("ab")


def test_bad_settings_are_refused():
    with pytest.raises(ArgumentError, match="GRUCell needs hidden_size, a whole number of at least 1; got 0"):
        nn.GRUCell(3, 0)
    with pytest.raises(ArgumentError, match=r"RNNCell\(nonlinearity='sigmoid'\): choose 'tanh' or 'relu'"):
        nn.RNNCell(3, 2, nonlinearity="sigmoid")


def test_repr_and_names():
    assert repr(nn.GRUCell(3, 2, bias=False)) == "GRUCell(3, 2, bias=False)"
    assert repr(nn.RNNCell(3, 2, nonlinearity="relu")) == "RNNCell(3, 2, nonlinearity='relu')"
    assert [name for name, _ in nn.LSTMCell(3, 2).named_parameters()] == [
        "weight_ih",
        "weight_hh",
        "bias_ih",
        "bias_hh",
    ]
