"""Checks that anyone can run on their own code: gradients against finite differences, and one backend against another.

Apart from the engine, because they only use it from outside: a function goes in, a small report comes out.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.dtypes import FLOATS
from tinynet.errors import ArgumentError, GradientError, TypeMismatch
from tinynet.graph import backward_order
from tinynet.modes import no_grad
from tinynet.nn import Module
from tinynet.tensor import Tensor
from tinynet.value import Value

# --- gradients against finite differences -----------------------------------------------------------------------------


@dataclass(frozen=True)
class GradientReport:
    """How well the gradients of a function agree with finite differences; true in an ``if`` when all of them do.

    Attributes:
        function: the function's name.
        input: the input with the worst element: its label, or its position.
        index: where in that input; empty for one number.
        analytic, numeric: the slope that backward gave there, and the finite difference.
        difference: |analytic - numeric|.
        allowed: the largest difference that passes there, atol + rtol · |numeric|.
        compared: how many slopes were compared.
    """

    function: str
    input: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    allowed: float
    compared: int

    @property
    def difference(self) -> float:
        """|analytic - numeric|."""
        return abs(self.analytic - self.numeric)

    @property
    def ok(self) -> bool:
        """Whether every slope agrees."""
        return not self.compared or self.difference <= self.allowed  # nan agrees with nothing

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if not self.compared:
            return f"{self.function}: the inputs are empty, so there was nothing to compare."
        verdict = "agree with" if self.ok else "differ from"
        return (
            f"{self.function}: the {self.compared} gradients {verdict} finite differences. "
            f"Worst: input {self.input} at index {self.index}: "
            f"analytic {self.analytic:.12g}, numeric {self.numeric:.12g}, "
            f"difference {self.difference:.3g} where {self.allowed:.3g} is allowed."
        )


def check_gradients(
    function: Callable[..., Any],
    *inputs: Any,
    step: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    raises: bool = True,
) -> GradientReport:
    """Compare the gradients of ``function(*inputs)`` with central differences,

        dL/dx ≈ (L(x + h) - L(x - h)) / 2h,    h = step · max(1, |x|),

    one element of one input at a time. Where the function returns many numbers, L = Σ rᵢ outᵢ with fixed r drawn from
    0.5 … 1.5. In float64 a step of 1e-6 leaves an error of about 2e-10 · |L| from rounding, and less from curvature,
    hence the tolerances; take the inputs away from kinks (ReLU at 0), where the slope is a convention. Inputs keep
    their numbers and every gradient that was there stays as it was.

    Args:
        function: returns a Tensor, a Value, a number, or tuples and lists of them.
        inputs: Values and Tensors (leaves, float64) are varied; anything else, such as integer Tensors, is handed on.
        step, rtol, atol: the step, and the tolerance: atol + rtol · |numeric|.
        raises: whether a difference is an error, or only told in the report.

    Raises:
        GradientError: a gradient differs; the message names the function, input, index, and both numbers.
        TypeMismatch: an input is float32 or float16, too coarse for differences.
        ArgumentError: no input can be varied.
    """
    varied = [(x.label or str(i), x) for i, x in enumerate(inputs) if _is_varied(x)]
    if not varied:
        raise ArgumentError(
            "check_gradients(function, *inputs) needs a Value or a Tensor of floats among the inputs; got none."
        )
    name = getattr(function, "__name__", None) or repr(function)
    with _wanting_gradients([x for _, x in varied]):
        analytic = _analytic(function, inputs, [x for _, x in varied])
        worst, compared = GradientReport(name, "", (), 0.0, 0.0, 0.0, 0), 0
        for (label, x), gradient in zip(varied, analytic):
            for index in np.ndindex(gradient.shape):
                numeric = _slope(function, inputs, x, index, step)
                found = GradientReport(
                    name, label, index, float(gradient[index]), numeric, atol + rtol * abs(numeric), 1
                )
                compared += 1
                if compared == 1 or not _excess(found) <= _excess(worst):
                    worst = found
    report = GradientReport(name, worst.input, worst.index, worst.analytic, worst.numeric, worst.allowed, compared)
    if raises and not report:
        raise GradientError(f"{report} Look at the gradient rules of the operations in it.")
    return report


def _excess(report: GradientReport) -> float:
    """How many times the allowed difference was used up; infinite for nan."""
    excess = report.difference / report.allowed if report.allowed else report.difference * np.inf
    return np.inf if np.isnan(excess) else excess


def _is_varied(x: Any) -> bool:
    if isinstance(x, Tensor) and x.is_floating_point() and x.dtype != "float64":
        raise TypeMismatch(
            f"check_gradients needs float64: differences drown in the rounding of {x.dtype}. Use .to('float64')."
        )
    return isinstance(x, Value) or (isinstance(x, Tensor) and x.is_floating_point())


@contextmanager
def _wanting_gradients(inputs: list[Any]) -> Iterator[None]:
    """Let every tensor among the inputs require a gradient; afterwards numbers, gradients and wishes are as before."""
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    before = [(x, x.requires_grad, x.numpy()) for x in tensors]
    numbers = [(x, x.data) for x in inputs if isinstance(x, Value)]
    with _keeping_gradients(inputs):
        try:
            for x in tensors:
                x.requires_grad_()
            yield
        finally:
            for x, wanted, numpy in before:
                _write(x, numpy)
                x.requires_grad = wanted
            for value, data in numbers:
                value.data = data


@contextmanager
def _keeping_gradients(nodes: list[Any]) -> Iterator[None]:
    """Put back the gradients that these nodes hold, also where a gradient lies in memory that backward writes to."""
    before = [(x, x.grad, x.grad.numpy() if isinstance(x.grad, Tensor) else None) for x in nodes]
    try:
        yield
    finally:
        for x, grad, numpy in before:
            x.grad = grad
            if numpy is not None and grad.primitive is None:
                _write(grad, numpy)


def _write(x: Tensor, numbers: Any) -> None:
    with no_grad():
        x.copy_(Tensor(numbers, backend=x.backend))


def _analytic(function: Callable[..., Any], inputs: tuple[Any, ...], varied: list[Any]) -> list[Any]:
    """What backward gives for each input, as NumPy arrays; the gradients of everything else stay as they were."""
    loss: Any = 0.0
    for out, weights in _weighted(function(*inputs)):
        loss = loss + ((out * Tensor(weights, backend=out.backend)).sum() if isinstance(out, Tensor) else out * weights)
    if not (isinstance(loss, Value) or getattr(loss, "requires_grad", False)):
        return [np.zeros(getattr(x, "shape", ())) for x in varied]  # the function does not depend on any of them
    with _keeping_gradients(backward_order(loss)):
        for x in varied:
            x.grad = 0.0 if isinstance(x, Value) else None
        loss.backward()
        zeros = [np.zeros(getattr(x, "shape", ())) for x in varied]
        return [zero if x.grad is None else _numbers(x.grad) for x, zero in zip(varied, zeros)]


def _slope(function: Callable[..., Any], inputs: tuple[Any, ...], x: Any, index: tuple[int, ...], step: float) -> float:
    """The central difference of L with respect to one number."""
    centre = x.data if isinstance(x, Value) else x.numpy()
    h = step * max(1.0, abs(float(np.asarray(centre)[index])))
    ends, losses = [], []
    for shift in (h, -h):
        shifted = np.array(centre)
        shifted[index] += shift
        if isinstance(x, Value):
            x.data = float(shifted)
        else:
            _write(x, shifted)
        ends.append(float(shifted[index]))
        losses.append(sum(float((_numbers(out) * weights).sum()) for out, weights in _weighted(function(*inputs))))
    if isinstance(x, Value):
        x.data = centre
    else:
        _write(x, centre)
    return (losses[0] - losses[1]) / (ends[0] - ends[1])


def _weighted(result: Any) -> list[tuple[Any, Any]]:
    """Every number or tensor in a function's result, and the weights it has in L."""
    outs: list[Any] = []

    def collect(x: Any) -> None:
        if isinstance(x, tuple | list):
            for part in x:
                collect(part)
        else:
            outs.append(x)

    collect(result)
    random = np.random.default_rng(0)
    alone = len(outs) == 1 and getattr(outs[0], "size", 1) == 1
    return [
        (out, np.ones(np.shape(_numbers(out))) if alone else random.uniform(0.5, 1.5, np.shape(_numbers(out))))
        for out in outs
    ]


def _numbers(x: Any) -> Any:
    """A Tensor's, a Value's or a plain number as a NumPy array."""
    return x.numpy() if isinstance(x, Tensor) else np.asarray(float(x))


# --- parity: one model on several backends ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """How far one array of one backend is from the first backend's.

    Attributes:
        backend: which backend was compared with the first.
        name: ``output``, ``loss``, ``d loss/d x``, or ``d loss/d`` and the parameter's name.
        index: where the difference is largest.
        expected, found: the numbers there, on the first backend and on this one.
        relative: |expected - found| / the largest magnitude in the array; at least a thousandth of the largest gradient
            of all, for what is 0 but for rounding (the bias before a batch normalisation) has no size of its own.
    """

    backend: str
    name: str
    index: tuple[int, ...]
    expected: float
    found: float
    relative: float


@dataclass(frozen=True)
class Parity:
    """What ``parity`` found; print it for the table, or ask for ``ok``.

    Attributes:
        rows: for each backend but the first: the output, the loss and every gradient.
        reference: the first backend, which the others are compared with.
        rtol: the largest relative difference that counts as agreement.
        dtype: the element type in which everything was computed.
    """

    rows: tuple[Difference, ...]
    reference: str
    rtol: float
    dtype: str = "float64"

    @property
    def worst(self) -> float:
        """The largest relative difference of all."""
        return max((row.relative for row in self.rows), key=lambda r: np.inf if np.isnan(r) else r, default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every difference is within rtol."""
        return all(row.relative <= self.rtol for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        wide = max((len(row.name) for row in self.rows), default=0)
        head = f"{'':{wide}}  backend     worst relative difference, against {self.reference}"
        lines = [
            f"{row.name:{wide}}  {row.backend:<10}  {row.relative:.2e}"
            + ("" if row.relative <= self.rtol else f"  ← at {row.index}: {row.expected!r} and {row.found!r}")
            for row in self.rows
        ]
        verdict = "agree" if self.ok else "DISAGREE"
        return "\n".join([head, *lines, f"{verdict}: worst {self.worst:.2e}, allowed {self.rtol:.0e} ({self.dtype})"])


def parity(
    model: Module,
    x: Any,
    y: Any,
    loss: Callable[[Any, Any], Any],
    backends: Sequence[str] = ("scalar", "numpy"),
    rtol: float = 1e-12,
    dtype: str = "float64",
) -> Parity:
    """Run one model forward and backward on several backends, and compare output, loss and every gradient.

    Rounding in another order of summation costs about n · 1e-16 for sums of n terms: hence the tolerance of 1e-12. In
    float32 it is n · 6e-8, and a tolerance of 1e-4 suits. The model itself is not touched; copies of it move.

    Args:
        x, y: a batch of inputs and targets on the host.
        loss: takes (output, target).
        backends: at least two; the others are compared with the first.
        dtype: what the model and the inputs are converted to; the scalar backend computes in float64 whatever it is.

    Raises:
        ArgumentError: fewer than two backends.
        BackendUnavailable: one of them cannot run here.
    """
    if isinstance(backends, str) or len(backends) < 2:
        raise ArgumentError(f"parity compares backends; got {list(backends)}. Name two, such as ['scalar', 'numpy'].")
    expected, *others = [(name, _run(model, x, y, loss, name, dtype)) for name in backends]
    gradients = [array for name, array in expected[1].items() if name.startswith("d loss/d") and array.size]
    floor = 1e-3 * max((float(np.abs(array).max()) for array in gradients), default=0.0)
    rows = [
        _difference(backend, name, expected[1][name], array, floor if name.startswith("d loss/d") else 0.0)
        for backend, arrays in others
        for name, array in arrays.items()
    ]
    return Parity(tuple(rows), expected[0], rtol, dtype)


def _run(model: Module, x: Any, y: Any, loss: Callable[[Any, Any], Any], backend: str, dtype: str) -> dict[str, Any]:
    twin = copy.deepcopy(model).to(backend, dtype=dtype)
    twin.zero_grad()
    host = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    floats = host.dtype.name in FLOATS
    given = Tensor(host.astype(dtype) if floats else host, backend=backend, requires_grad=floats)
    target = y.numpy() if isinstance(y, Tensor) else y
    output = twin(given)
    result = loss(output, target)
    result.backward()
    found = {"output": output.numpy(), "loss": result.numpy()}
    if given.grad is not None:
        found["d loss/d x"] = given.grad.numpy()
    gradients = {f"d loss/d {name}": p.grad.numpy() for name, p in twin.named_parameters() if p.grad is not None}
    return found | gradients


def _difference(backend: str, name: str, expected: Any, found: Any, floor: float) -> Difference:
    if not expected.size:
        return Difference(backend, name, (), 0.0, 0.0, 0.0)
    apart = np.abs(expected - found)
    index = tuple(int(i) for i in np.unravel_index(np.argmax(apart), apart.shape))
    scale = max(float(np.abs(expected).max()), floor, np.finfo(np.float64).tiny)
    relative = float(apart[index]) / scale
    return Difference(backend, name, index, float(expected[index]), float(found[index]), relative)
