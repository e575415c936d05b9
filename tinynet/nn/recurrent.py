"""RNN, LSTM, GRU: a step of ``cells.py`` repeated along sequences, in layers and in both directions.

A fused primitive a kind goes along all steps. With T steps, B sequences and H hidden units, ``x`` is (T, B, inputs),
each part of the state (B, H), and, where sequences have lengths of their own, ``mask`` (T, B, 1) is False at padded
steps, which leave the state as it was.
"""

from collections.abc import Callable
from typing import Any

from tinynet.errors import ArgumentError, ShapeError
from tinynet.functions import arange, cat, stack, where
from tinynet.fused import Fused
from tinynet.modes import mode
from tinynet.nn.cells import Recurrent, State, both, gru_step, lstm_step, rnn_step
from tinynet.nn.dropout import dropout
from tinynet.nn.linear import linear
from tinynet.nn.settings import number, unusual, whole
from tinynet.parameter import Parameter
from tinynet.primitives import Primitive
from tinynet.tensor import Tensor


def _unrolled(step: Callable[..., State], sums: Tensor, state: State, mask: Tensor | None) -> list[Tensor]:
    """Each part of the state after every step, (T, B, H), from W_ih x + b at every step, (T, B, gates · H)."""
    states = []
    for t in range(len(sums)):
        new = step(sums[t], *state)
        state = new if mask is None else tuple(where(mask[t], *parts) for parts in zip(new, state))
        states.append(state)
    return [stack(parts) for parts in zip(*states)]


def _rnn(
    x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor | None, mask: Tensor | None, nonlinearity: str
) -> Tensor:
    return _unrolled(lambda a, h: (rnn_step(a, h, w_hh, nonlinearity),), linear(x, w_ih, b), (h,), mask)[0]


def _lstm(x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor | None, mask: Tensor | None) -> Tensor:
    """(2, T, B, H): h and c."""
    return stack(_unrolled(lambda a, h, c: lstm_step(a, h, c, w_hh), linear(x, w_ih, b), (h, c), mask))


def _gru(
    x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None, mask: Tensor | None
) -> Tensor:
    return _unrolled(lambda a, h: (gru_step(a, h, w_hh, b_hh),), linear(x, w_ih, b_ih), (h,), mask)[0]


# Back-propagation through time, from the last step to the first: one walk for all inputs but the mask, which has no
# gradient.
_rnn_grad, _lstm_grad, _gru_grad = (Primitive(f"{name}_grad", None) for name in ("rnn", "lstm", "gru"))


def _rnn_rule(
    g: Tensor, out: Tensor, x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor | None, mask: Tensor | None,
    slopes: Tensor, nonlinearity: str,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    return *_rnn_grad(g, out, x, h, w_ih, w_hh, mask, slopes), None


def _lstm_rule(
    g: Tensor, out: Tensor, x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b: Tensor | None,
    mask: Tensor | None, gates: Tensor,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    return *_lstm_grad(g, out, x, h, w_ih, w_hh, mask, gates), None


def _gru_rule(
    g: Tensor, out: Tensor, x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None,
    mask: Tensor | None, gates: Tensor,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    return *_gru_grad(g, out, x, h, w_ih, w_hh, mask, gates), None


rnn = Fused("rnn", _rnn, saves=1, jointly=_rnn_rule)
lstm = Fused("lstm", _lstm, saves=1, jointly=_lstm_rule)
gru = Fused("gru", _gru, saves=1, jointly=_gru_rule)


class RNNBase(Recurrent):
    """Layers of a recurrence, each in one direction or in both, over sequences of one length or of many."""

    parts: tuple[str, ...] = ("h_0",)
    weight_hh_l0: Parameter

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size)
        self.num_layers = whole(type(self).__name__, num_layers=num_layers)
        self.dropout = number(type(self).__name__, most=1, dropout=dropout)
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        for layer in range(self.num_layers):
            for direction in self._directions:
                inputs = self.hidden_size * len(self._directions) if layer else self.input_size
                self._make_parameters(inputs, bias, f"_l{layer}{direction}")

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def forward(self, x: Tensor, hx: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """Run along the sequences, from the state or from zeros.

        Args:
            x: (steps, batch, input_size); (batch, steps, input_size) with ``batch_first``; (steps, input_size) for one
                sequence.
            hx: the state, (layers · directions, batch, hidden_size), for an LSTM a pair of them; layer by layer, in
                each forwards before backwards.
            lengths: (batch,) how many steps of each sequence count, 1 … steps; the rest is padding. A recorded step
                cannot look at them: there a length above steps means all steps, and one below 1 none, which leaves the
                state as it came.

        Returns:
            The last layer's h at every step, (steps, batch, directions · hidden_size) in x's layout, zeros at padded
            steps; and the state at each sequence's own end, in the shape of ``hx``.
        """
        layout = "batch, steps, " if self.batch_first else "steps, batch, "
        x = self._input(x, {3: layout, 2: "steps, "})
        single = x.ndim == 2
        x = x.unsqueeze(1) if single else x.transpose(0, 1) if self.batch_first else x
        steps, batch, _ = x.shape
        if not steps:
            raise ShapeError(f"{self.described()} needs one step at least; got {x.shape} as (steps, batch, features).")
        shape = (self.num_layers * len(self._directions), *([] if single else [batch]), self.hidden_size)
        names = "(layers · directions, hidden_size)" if single else "(layers · directions, batch, hidden_size)"
        first = self._state(hx, shape, names, x)
        first = tuple(part.unsqueeze(1) for part in first) if single else first
        mask = None if lengths is None else self._mask(lengths, steps, batch)
        ends: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = dropout(x, self.dropout, self.training)
            outputs = []
            for direction in self._directions:
                start = tuple(part[len(ends)] for part in first)
                output, end = self._along(x, start, mask, f"_l{layer}{direction}")
                outputs.append(output)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, dim=2)
        last = tuple(stack(parts) for parts in zip(*ends))
        if single:
            x, last = x.squeeze(1), tuple(part.squeeze(1) for part in last)
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, last if len(last) > 1 else last[0]

    def _along(self, x: Tensor, state: State, mask: Tensor | None, place: str) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction: its h at every step, and the state at the end.

        Turned round, a sequence shorter than the others begins with its padding, which leaves the first state alone:
        so the backward direction starts at each sequence's own end.
        """
        names = [name + place for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        parameters = [getattr(self, name, None) for name in names]
        backward = place.endswith("_reverse")
        if backward:
            x, mask = x[::-1], mask if mask is None else mask[::-1]
        states = self._run(x, state, mask, *parameters)
        output = states[0] if mask is None else where(mask, states[0], 0.0)
        return output[::-1] if backward else output, [part[-1] for part in states]

    def _run(self, x: Tensor, state: State, mask: Tensor | None, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> State:
        """Each part of the state after every step, (T, B, H)."""
        raise NotImplementedError

    def _mask(self, lengths: Any, steps: int, batch: int) -> Tensor:
        """Which steps of which sequence count, (T, B, 1)."""
        lengths = self._admit(lengths)
        if getattr(lengths, "shape", None) != (batch,) or lengths.is_floating_point() or lengths.dtype == "bool":
            got = f"{lengths.shape} {lengths.dtype}" if isinstance(lengths, Tensor) else repr(lengths)
            raise ShapeError(
                f"{self.described()} needs lengths, a whole number for each of {batch} sequences; got {got}."
            )
        if mode.recorder is None and batch:
            numbers = lengths.numpy()
            if not 1 <= numbers.min() <= numbers.max() <= steps:
                raise ArgumentError(
                    f"{self.described()} got lengths {numbers.min()} … {numbers.max()}; with {steps} steps they lie in "
                    f"1 … {steps}."
                )
        return (arange(steps, backend=lengths.backend).unsqueeze(1) < lengths).unsqueeze(2)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        usual = {"num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "dropout": 0.0}
        options = unusual(self, **usual, bidirectional=False)
        return ", ".join((str(self.input_size), str(self.hidden_size), *options))


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or relu of it, for t = 1 … steps.

    Shapes: see ``forward``. ``weight_ih_l0`` is (hidden_size, input_size), ``weight_hh_l0`` (hidden_size, hidden_size);
    further layers are ``l1``, ``l2`` …, and backward directions ``l0_reverse`` ….

    Args:
        input_size, hidden_size: the number of inputs and of units in each layer and direction.
        num_layers: how many layers, each fed by the one below.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: whether to add b_ih and b_hh.
        batch_first: whether the batch is the first dimension of inputs and outputs; states stay as they are.
        dropout: the probability of dropping what goes from one layer to the next, in training.
        bidirectional: whether to read each sequence from its end as well.

    Weights and biases start uniform in ±1/√hidden_size, as in PyTorch. For truncated back-propagation through time,
    carry the state from chunk to chunk and ``detach()`` it: ``out, h = rnn(chunk, h.detach())``.

    Source: J. Elman, *Finding structure in time*, Cognitive Science 14, 1990.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        self.nonlinearity = self._check_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def _run(self, x: Tensor, state: State, mask: Tensor | None, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> State:
        return (rnn(x, *state, w_ih, w_hh, both(b_ih, b_hh), mask, nonlinearity=self.nonlinearity),)


class LSTM(RNNBase):
    """i, f, g, o = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh;  c_t = σ(f) c_{t-1} + σ(i) tanh(g);  h_t = σ(o) tanh(c_t).

    Shapes: see ``forward``; the state is a pair (h, c). ``weight_ih_l0`` is (4 hidden_size, input_size), the gates in
    the order i, f, g, o; ``weight_hh_l0`` (4 hidden_size, hidden_size); names of layers and directions as in ``RNN``.

    Args: as for ``RNN``, without the nonlinearity. To cut the gradient between chunks of a long sequence (truncated
    back-propagation through time): ``out, (h, c) = lstm(chunk, (h.detach(), c.detach()))``.

    Source: Hochreiter and Schmidhuber, *Long short-term memory*, 1997; the forget gate: Gers et al., 2000.
    """

    gates = 4
    parts = ("h_0", "c_0")

    def _run(self, x: Tensor, state: State, mask: Tensor | None, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> State:
        states = lstm(x, *state, w_ih, w_hh, both(b_ih, b_hh), mask)
        return states[0], states[1]


class GRU(RNNBase):
    """a = W_ih x_t + b_ih;  q = W_hh h_{t-1} + b_hh;  r, z = σ(a_r + q_r), σ(a_z + q_z);  n = tanh(a_n + r q_n);
    h_t = (1 - z) n + z h_{t-1}.

    Shapes: see ``forward``. ``weight_ih_l0`` is (3 hidden_size, input_size), the gates in the order r, z, n;
    ``weight_hh_l0`` (3 hidden_size, hidden_size); names of layers and directions as in ``RNN``.

    Args: as for ``RNN``, without the nonlinearity.

    Source: Cho et al., *Learning phrase representations using RNN encoder-decoder*, 2014.
    """

    gates = 3

    def _run(self, x: Tensor, state: State, mask: Tensor | None, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> State:
        return (gru(x, *state, w_ih, w_hh, b_ih, b_hh, mask),)
