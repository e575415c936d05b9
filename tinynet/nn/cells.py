"""One step of a recurrence: the formulas, and RNNCell, LSTMCell, GRUCell, which apply them once.

``recurrent.py`` repeats the same formulas along whole sequences. In them ``a`` stands for the sums over the input,
W_ih x + b, which do not depend on the state; W is w_hh, (gates · H, H) for H hidden units.
"""

from typing import Any

from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.functions import zeros
from tinynet.nn import init
from tinynet.nn.linear import linear
from tinynet.nn.module import Module, floating
from tinynet.nn.settings import unusual, whole
from tinynet.parameter import Parameter
from tinynet.tensor import Tensor

State = tuple[Tensor, ...]


def rnn_step(a: Tensor, h: Tensor, w_hh: Tensor, nonlinearity: str) -> Tensor:
    """h' = tanh(a + W h), or relu(a + W h)."""
    sums = a + h @ w_hh.T
    return sums.tanh() if nonlinearity == "tanh" else sums.relu()


def lstm_step(a: Tensor, h: Tensor, c: Tensor, w_hh: Tensor) -> tuple[Tensor, Tensor]:
    """i, f, g, o = a + W h;  c' = σ(f) c + σ(i) tanh(g);  h' = σ(o) tanh(c')."""
    i, f, g, o = _gates(a + h @ w_hh.T, 4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(a: Tensor, h: Tensor, w_hh: Tensor, b_hh: Tensor | None) -> Tensor:
    """q = W h + b_hh;  r, z = σ(a_r + q_r), σ(a_z + q_z);  n = tanh(a_n + r q_n);  h' = (1 - z) n + z h."""
    q = h @ w_hh.T if b_hh is None else h @ w_hh.T + b_hh
    (a_r, a_z, a_n), (q_r, q_z, q_n) = _gates(a, 3), _gates(q, 3)
    r, z = (a_r + q_r).sigmoid(), (a_z + q_z).sigmoid()
    n = (a_n + r * q_n).tanh()
    return (1 - z) * n + z * h


def _gates(sums: Tensor, count: int) -> list[Tensor]:
    """The part of the last dimension that belongs to each gate."""
    size = sums.shape[-1] // count
    return [sums[..., k * size : (k + 1) * size] for k in range(count)]


def both(b_ih: Tensor | None, b_hh: Tensor | None) -> Tensor | None:
    """The two biases as one, where both are added to the same sum."""
    return None if b_ih is None or b_hh is None else b_ih + b_hh


class Recurrent(Module):
    """What cells and whole sequences share: sizes, weights to begin with, and the state.

    Attributes:
        gates: how many sums there are for each hidden unit.
        parts: what the state consists of.
    """

    gates = 1
    parts: tuple[str, ...] = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        self.input_size, self.hidden_size = whole(type(self).__name__, **sizes)

    def _check_nonlinearity(self, nonlinearity: str) -> str:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"{type(self).__name__}({nonlinearity=}): choose 'tanh' or 'relu'.")
        return nonlinearity

    def _make_parameters(self, inputs: int, bias: bool, suffix: str = "") -> None:
        """Weights and biases for ``inputs`` numbers, uniform in ±1/√hidden_size."""
        rows = self.gates * self.hidden_size
        shapes: list[tuple[str, tuple[int, ...]]]
        shapes = [("weight_ih", (rows, inputs)), ("weight_hh", (rows, self.hidden_size))]
        shapes += [("bias_ih", (rows,)), ("bias_hh", (rows,))] if bias else []
        bound = 1 / self.hidden_size**0.5
        for name, shape in shapes:
            setattr(self, name + suffix, init.uniform_(Parameter(zeros(shape)), -bound, bound))

    def _input(self, x: Any, layouts: dict[int, str]) -> Tensor:
        """The input in the weights' element type.

        Args:
            layouts: for each number of dimensions that it may have, what they are before the features.
        """
        if not isinstance(x, Tensor):
            raise TypeMismatch(
                f"{self.described()} needs a tensor, an array or a list of numbers; got {type(x).__name__}: {x!r:.60}."
            )
        if x.ndim not in layouts or x.shape[-1] != self.input_size:
            wanted = " or ".join(f"({before}{self.input_size})" for before in layouts.values())
            raise ShapeError(f"{self.described()} needs {wanted}; got {x.shape}.")
        return floating(x, self.own_parameters()[0])

    def _state(self, hx: Any, shape: tuple[int, ...], layout: str, x: Tensor) -> State:
        """The parts of the state, of that shape each; zeros where none is given."""
        if hx is None:
            return (zeros(shape, dtype=x.dtype, backend=x.backend),) * len(self.parts)
        parts = (hx,) if len(self.parts) == 1 else hx
        if not isinstance(parts, tuple | list | Tensor) or len(parts) != len(self.parts):
            got = f"{len(parts)} parts" if isinstance(parts, tuple | list) else f"one {type(hx).__name__}"
            raise TypeMismatch(f"{self.described()} needs the state ({', '.join(self.parts)}); got {got}.")
        given = [self._admit(part) for part in parts]
        for name, part in zip(self.parts, given):
            if getattr(part, "shape", None) != shape:
                raise ShapeError(
                    f"{self.described()} needs a state {name} of shape {layout} = {shape}; got "
                    f"{getattr(part, 'shape', part)}."
                )
        return tuple(part.to(dtype=x.dtype) for part in given)


class Cell(Recurrent):
    """One step; the loop over the sequence is the caller's."""

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None = None
    bias_hh: Parameter | None = None

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self._make_parameters(self.input_size, bias)

    def _given(self, x: Any, hx: Any) -> tuple[Tensor, State]:
        """The input and the state, both looked at."""
        x = self._input(x, {2: "batch, ", 1: ""})
        layout = "(batch, hidden_size)" if x.ndim == 2 else "(hidden_size,)"
        return x, self._state(hx, (*x.shape[:-1], self.hidden_size), layout, x)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        bias = ["bias=False"] if self.bias_ih is None else []
        return ", ".join((str(self.input_size), str(self.hidden_size), *bias, *unusual(self, nonlinearity="tanh")))


class RNNCell(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it.

    Shapes: x (batch, input_size), h (batch, hidden_size) -> (batch, hidden_size); the batch may be left out.

    Args:
        input_size, hidden_size: the number of inputs and of units.
        bias: whether to add b_ih and b_hh.
        nonlinearity: ``"tanh"`` or ``"relu"``.

    Weights and biases start uniform in ±1/√hidden_size, as in PyTorch. Without a state, h is zeros.

    Source: J. Elman, *Finding structure in time*, Cognitive Science 14, 1990.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh") -> None:
        self.nonlinearity = self._check_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias)

    def forward(self, x: Tensor, hx: Any = None) -> Tensor:
        """x and h -> h'."""
        x, (h,) = self._given(x, hx)
        a = linear(x, self.weight_ih, both(self.bias_ih, self.bias_hh))
        return rnn_step(a, h, self.weight_hh, self.nonlinearity)


class LSTMCell(Cell):
    """i, f, g, o = W_ih x + b_ih + W_hh h + b_hh;  c' = σ(f) c + σ(i) tanh(g);  h' = σ(o) tanh(c').

    The cell c is carried on by a product with a gate, not by a matrix, so that gradients reach far back.

    Shapes: x (batch, input_size), (h, c) (batch, hidden_size) each -> (h', c'); the batch may be left out.

    Args:
        input_size, hidden_size: the number of inputs and of units.
        bias: whether to add b_ih and b_hh.

    Weights and biases start uniform in ±1/√hidden_size, as in PyTorch. Without a state, h and c are zeros.

    Source: Hochreiter and Schmidhuber, *Long short-term memory*, 1997; the forget gate: Gers et al., 2000.
    """

    gates = 4
    parts = ("h", "c")

    def forward(self, x: Tensor, hx: Any = None) -> tuple[Tensor, Tensor]:
        """x and (h, c) -> (h', c')."""
        x, (h, c) = self._given(x, hx)
        return lstm_step(linear(x, self.weight_ih, both(self.bias_ih, self.bias_hh)), h, c, self.weight_hh)


class GRUCell(Cell):
    """a = W_ih x + b_ih;  q = W_hh h + b_hh;  r, z = σ(a_r + q_r), σ(a_z + q_z);  n = tanh(a_n + r q_n);
    h' = (1 - z) n + z h.

    Shapes: x (batch, input_size), h (batch, hidden_size) -> (batch, hidden_size); the batch may be left out.

    Args:
        input_size, hidden_size: the number of inputs and of units.
        bias: whether to add b_ih and b_hh.

    Weights and biases start uniform in ±1/√hidden_size, as in PyTorch. Without a state, h is zeros.

    Source: Cho et al., *Learning phrase representations using RNN encoder-decoder*, 2014.
    """

    gates = 3

    def forward(self, x: Tensor, hx: Any = None) -> Tensor:
        """x and h -> h'."""
        x, (h,) = self._given(x, hx)
        return gru_step(linear(x, self.weight_ih, self.bias_ih), h, self.weight_hh, self.bias_hh)
