"""RNN, LSTM and GRU on CUDA, and their gradients. The source is ``recurrent.cu``; the arrays are those of
``kernels/recurrent.py``.

What does not depend on the step before is one product for all steps. The recurrence itself is one launch where a
multiprocessor can keep w_hh, which is up to some 150 units of an LSTM or a GRU and 300 of an RNN in float32; sequences
then do not wait for each other. Beyond that each step is a product, for which the whole card reads w_hh, and a launch
around it. Either way all sums are added up in an order that the shapes and the card decide.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from tinynet.backend import Kernel
from tinynet.backends.cuda.kernels.lines import given, place, together
from tinynet.backends.cuda.kernels.recurrent_plan import GRU, LSTM, RNN, Cell, Plan, planned
from tinynet.backends.cuda.module import USUAL, Launch, Module
from tinynet.backends.kernels.plain import copy
from tinynet.dtypes import FLOATS, dtype_name

Array = Any
State = tuple[Array, Array | None]  # h, and the c of an LSTM
Biases = tuple[Array | None, Array | None]
BFLOAT16 = frozenset("rnn rnn_grad lstm lstm_grad gru gru_grad".split())
"""The kernels here that take bfloat16 as it lies: all of them."""
KINDS = {"tanh": 0, "relu": 1, "lstm": 2, "gru": 3}
FARTHEST = 2**31 - 1  # the kernels count places in an array in 32 bits
BLOCK = 256  # threads of a block that takes one step: any units of any rows


def kernels(cuda: Module, plain: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """name -> kernel; ``plain`` has ``matmul``, ``rows_product`` and ``sum``, which are used."""
    theme = Recurrences(cuda, plain)
    grads = {f"{cell.name}_grad": partial(theme.grad, cell) for cell in (RNN, LSTM, GRU)}
    return {"rnn": theme.rnn, "lstm": theme.lstm, "gru": theme.gru, **grads}


class Recurrences:
    """The kernels of one card.

    Args:
        cuda: kernels of our own.
        plain: those to fall back on, and to multiply with.
    """

    def __init__(self, cuda: Module, plain: Mapping[str, Kernel]) -> None:
        self.cuda, self.xp, self.plain = cuda, cuda.xp, plain
        self.card = cache(self._card)

    def rnn(
        self, x: Array, h: Array, w_ih: Array, w_hh: Array, b: Array | None, mask: Array | None, nonlinearity: str,
        out: Any = None,
    ) -> Any:  # fmt: skip
        """The states (T, B, H), and the slope of the nonlinearity at each."""
        if not _fits(RNN, x, (h,), w_ih, w_hh, (b,), mask):
            return self.plain["rnn"](x, h, w_ih, w_hh, b, mask, nonlinearity, out=out)
        return self._forward(RNN, KINDS[nonlinearity], x, (h, None), w_ih, w_hh, (b, None), mask, out)

    def lstm(
        self, x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, b: Array | None, mask: Array | None,
        out: Any = None,
    ) -> Any:  # fmt: skip
        """The states (2, T, B, H), and (T, 6, B, H): i, f, g, o, the c before, and tanh of the c after."""
        if not _fits(LSTM, x, (h, c), w_ih, w_hh, (b,), mask):
            return self.plain["lstm"](x, h, c, w_ih, w_hh, b, mask, out=out)
        return self._forward(LSTM, KINDS["lstm"], x, (h, c), w_ih, w_hh, (b, None), mask, out)

    def gru(
        self, x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
        mask: Array | None, out: Any = None,
    ) -> Any:  # fmt: skip
        """The states (T, B, H), and (T, 4, B, H): r, z, the sum q over the state that r scales, the candidate n."""
        if not _fits(GRU, x, (h,), w_ih, w_hh, (b_ih, b_hh), mask):
            return self.plain["gru"](x, h, w_ih, w_hh, b_ih, b_hh, mask, out=out)
        return self._forward(GRU, KINDS["gru"], x, (h, None), w_ih, w_hh, (b_ih, b_hh), mask, out)

    # --- forwards -----------------------------------------------------------------------------------------------------

    def _forward(
        self, cell: Cell, kind: int, x: Array, state: State, w_ih: Array, w_hh: Array, biases: Biases,
        mask: Array | None, out: Any,
    ) -> tuple[Array, Array]:  # fmt: skip
        xp, (steps, batch, _), hidden = self.xp, x.shape, w_hh.shape[1]
        x, w_ih, w_hh, h, c, b_ih, b_hh = alike(x, w_ih, w_hh, *state, *biases)
        wanted = out or (None, None)
        shape = (steps, batch, hidden)
        states = place(xp, wanted[0], shape if cell.parts == 1 else (cell.parts, *shape), x.dtype)
        saved = place(xp, wanted[1], shape if cell.saved == 1 else (steps, cell.saved, batch, hidden), x.dtype)
        sums = xp.empty((steps, batch, cell.gates * hidden), wide(x.dtype))
        self.plain["matmul"](self._upright(x), w_ih.T, out=sums)
        h, c, b_ih, b_hh = (self._lined(a) for a in (h, c, b_ih, b_hh))
        mask, mask_steps = self._stepping(mask, 2)
        plan = self._plan(cell, w_hh, batch)
        if plan is not None:
            self._launch("forward", kind, plan, x.dtype, plan.shared[0])(
                -(-batch // plan.rows), plan.threads, sums, self._lined(w_hh), b_ih, b_hh, h, c, mask, *mask_steps,
                states, saved, np.int32(steps), np.int32(batch), np.int32(hidden),
            )  # fmt: skip
            return given(xp, states, wanted[0]), given(xp, saved, wanted[1])
        launch, grid = self._one_step("forward_step", cell, kind, h)
        product, part = xp.empty(sums.shape[1:], sums.dtype), np.int32(steps * batch * hidden)
        all_h, all_c = states if cell.parts == 2 else (states, None)
        for t in range(steps):
            self.plain["matmul"](h, w_hh.T, out=product)
            launch(
                grid, BLOCK, product, sums[t], b_ih, b_hh, h, c, None if mask is None else mask[t], mask_steps[1],
                all_h[t], part, saved[t], np.int32(batch), np.int32(hidden),
            )  # fmt: skip
            h, c = all_h[t], None if all_c is None else all_c[t]
        return given(xp, states, wanted[0]), given(xp, saved, wanted[1])

    # --- backwards ----------------------------------------------------------------------------------------------------

    def grad(
        self, cell: Cell, g: Array, states: Array, x: Array, h: Array, w_ih: Array, w_hh: Array, mask: Array | None,
        saved: Array, out: Any = None,
    ) -> Any:  # fmt: skip
        """dL/d(x, each part of the state, w_ih, w_hh, each bias)."""
        if not _fits(cell, x, (h,), w_ih, w_hh, (), mask, g, states, saved) or g.shape != states.shape:
            return self.plain[f"{cell.name}_grad"](g, states, x, h, w_ih, w_hh, mask, saved, out=out)
        xp, columns = self.xp, cell.gates * h.shape[1]
        g, states, x, h, w_ih, w_hh, saved = alike(g, states, x, h, w_ih, w_hh, saved)
        d_x, *places = out or (None,) * (4 + cell.parts + cell.apart)
        d_parts, (d_w_ih, d_w_hh, *d_biases) = places[: cell.parts], places[cell.parts :]
        d_state = [place(xp, d, h.shape, h.dtype) for d in d_parts]
        d_sums = [xp.empty((*x.shape[:2], columns), x.dtype) for _ in d_biases]
        before = xp.empty((*x.shape[:2], h.shape[1]), x.dtype)
        rows = self._back(cell, g, states, h, w_hh, mask, saved, d_sums, before, d_state)
        return (
            self.plain["matmul"](d_sums[0], w_ih, out=d_x),
            *[given(xp, made, d) for made, d in zip(d_state, d_parts)],
            self.plain["rows_product"](d_sums[0], self._upright(x), out=d_w_ih),
            self.plain["rows_product"](d_sums[-1], before, out=d_w_hh),
            *[self._added(a, h.dtype, d) for a, d in zip(rows, d_biases)],
        )

    def _back(
        self, cell: Cell, g: Array, states: Array, h: Array, w_hh: Array, mask: Array | None, saved: Array,
        d_sums: list[Array], before: Array, d_state: list[Array],
    ) -> list[Array]:  # fmt: skip
        """Fill what is given at the end; the result is, for each bias, rows that add up to its gradient."""
        xp, (steps, batch, hidden) = self.xp, before.shape
        states, saved, h = (self._lined(a) for a in (states, saved, h))
        all_h = states[0] if cell.parts == 2 else states
        g, g_steps = self._stepping(g if cell.parts == 2 else g[None], 4)
        mask, mask_steps = self._stepping(mask, 2)
        d_rest = (d_sums[1] if cell.apart else None,)
        d_h, d_c = (*d_state, None)[:2]
        kind = KINDS.get(cell.name, 0)
        plan = self._plan(cell, w_hh, batch)
        if plan is not None:
            grid = -(-batch // plan.rows)
            totals = xp.empty((len(d_sums), grid, cell.gates * hidden), wide(h.dtype))
            self._launch("backward", kind, plan, h.dtype, plan.shared[1])(
                grid, plan.threads, g, *g_steps, all_h, saved, self._lined(w_hh), h, mask, *mask_steps, d_sums[0],
                *d_rest, before, d_h, d_c, totals, np.int32(steps), np.int32(batch), np.int32(hidden),
            )  # fmt: skip
            return list(totals)
        launch, grid = self._one_step("backward_step", cell, kind, h)
        product, back = None, xp.empty(h.shape, wide(h.dtype))
        past, carried = (xp.empty(h.shape, wide(h.dtype)) for _ in range(2))
        for t in reversed(range(steps)):
            launch(
                grid, BLOCK, product, g[:, t], g_steps[0], *g_steps[2:], saved[t], all_h[t - 1] if t else h,
                None if mask is None else mask[t], mask_steps[1], d_sums[0][t], d_sums[1][t] if cell.apart else None,
                before[t], past, None if d_c is None else carried, np.int32(batch), np.int32(hidden),
            )  # fmt: skip
            product = self.plain["matmul"](d_sums[-1][t], w_hh, out=back)
        copy(xp, xp.add(product, past, out=past), out=d_h)
        if d_c is not None:
            copy(xp, carried, out=d_c)
        return [xp.reshape(d, (steps * batch, cell.gates * hidden)) for d in d_sums]

    def _added(self, rows: Array, dtype: Any, out: Array | None) -> Array:
        """The sum of rows, (n, columns) -> (columns,)."""
        made = place(self.xp, out, rows.shape[1:], dtype)
        total = made if made.dtype == rows.dtype else self.xp.empty(made.shape, rows.dtype)
        self.plain["sum"](rows, (0,), out=self.xp.reshape(total, (1, *total.shape)))
        if total is not made:
            copy(self.xp, total, out=made)
        return given(self.xp, made, out)

    # --- what both need -----------------------------------------------------------------------------------------------

    def _plan(self, cell: Cell, w_hh: Array, batch: int) -> Plan | None:
        return planned(cell, w_hh.shape[1], batch, wide(w_hh.dtype).itemsize, *self.card(w_hh.data.device_id))

    def _card(self, device: int) -> tuple[int, int]:
        """A card's multiprocessors, and the bytes of shared memory that a block may ask for."""
        has = self.xp.cuda.runtime.getDeviceProperties(device)
        return has["multiProcessorCount"], has["sharedMemPerBlockOptin"]

    def _launch(self, name: str, kind: int, plan: Plan, dtype: Any, shared: int = 0) -> Launch:
        return self.cuda.kernel(
            "recurrent.cu", name, shared, T=dtype_name(dtype), KIND=kind, WIDTH=plan.width, LANES=plan.lanes,
            ROWS=plan.rows, KEPT=plan.kept[name == "backward"],
        )  # fmt: skip

    def _one_step(self, name: str, cell: Cell, kind: int, h: Array) -> tuple[Launch, int]:
        """The kernel, and how many blocks it takes; its source is that of the smallest recurrence."""
        plan = planned(cell, 1, 1, wide(h.dtype).itemsize, 1, USUAL)
        assert plan is not None
        return self._launch(name, kind, plan, h.dtype), -(-h.size * cell.lanes // BLOCK)

    def _lined(self, x: Array | None) -> Array | None:
        return None if x is None else together(self.xp, x)

    def _upright(self, x: Array) -> Array:
        """A sequence that cuBLAS can step through, which is none that is turned round."""
        return self.xp.ascontiguousarray(x) if min(x.strides) < 0 else x

    def _stepping(self, x: Array | None, dimensions: int) -> tuple[Array | None, list[np.int32]]:
        """An array and its first strides in elements, which may be negative or 0, as long as 32 bits reach them all."""
        if x is None:
            return None, [np.int32(0)] * dimensions
        steps = [stride // x.itemsize for stride in x.strides]
        if sum(abs(step) * (size - 1) for step, size in zip(steps, x.shape)) > FARTHEST:
            return self._stepping(self.xp.ascontiguousarray(x), dimensions)
        return x, [np.int32(step) for step in steps[:dimensions]]


def alike(*arrays: Array | None) -> list[Any]:
    """The arrays in one type, the widest of theirs."""
    dtype = np.result_type(*{a.dtype for a in arrays if a is not None})
    return [a if a is None else a.astype(dtype, copy=False) for a in arrays]


def wide(dtype: Any) -> Any:
    """The type to compute in: halves are added up as float32."""
    return np.dtype("float64" if dtype == np.float64 else "float32")


def _fits(
    cell: Cell, x: Array, state: tuple[Array, ...], w_ih: Array, w_hh: Array, biases: tuple[Array | None, ...],
    mask: Array | None, *others: Array,
) -> bool:  # fmt: skip
    """Whether shapes and types are those that the kernels take; all others are left to the plain ones."""
    if x.ndim != 3 or state[0].ndim != 2 or not x.size or not state[0].size:
        return False
    (steps, batch, inputs), hidden = x.shape, state[0].shape[1]
    rows = cell.gates * hidden
    wanted = [(mask, (steps, batch, 1)), (w_ih, (rows, inputs)), (w_hh, (rows, hidden))]
    wanted += [(part, (batch, hidden)) for part in state]
    floats = [a for a in (x, *state, w_ih, w_hh, *biases, *others) if a is not None]
    return (
        steps * batch * max(cell.saved, cell.gates) * hidden <= FARTHEST
        and (mask is None or dtype_name(mask.dtype) == "bool")
        and all(dtype_name(a.dtype) in FLOATS for a in floats)
        and all(a is None or a.shape == shape for a, shape in wanted)
        and all(b is None or b.shape == (rows,) for b in biases)
    )
