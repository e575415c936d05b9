"""The formula sheet, row by row and on every backend: values and gradients against four independent witnesses.

The witnesses: central differences, the scalar backend (whose gradients use none of the tensor rules), PyTorch, and the
row's own function on numbers. Shapes are drawn, broadcast, empty and 0-d ones among them; numbers stay away from kinks,
where a slope is a convention with a test of its own.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import fused_attention
import fused_image
import fused_recurrent
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import (
    Arguments,
    engine,
    on_array_backends,
    on_every_backend,
    run,
    same,
    same_again,
    same_gradients,
    seeds,
    smooth,
    weights,
)

import tinynet.nn  # noqa: F401 - registers the fused primitives
from tinynet import Tensor, check_gradients, reference
from tinynet import primitives as p
from tinynet.backend import REQUIRED
from tinynet.fused import Fused
from tinynet.primitives import ARRAY, Primitive

# Two libraries' exp, tanh, pow… differ by a few units in the last place, and sums of a few dozen terms in the order of
# adding. 1e-12 is a thousand times that, and a million times less than any wrong formula would show.
RTOL, ATOL = 1e-12, 1e-12


# --- drawing arguments: hypothesis chooses shapes and a seed, NumPy the numbers ---------------------------------------


sizes = st.integers(0, 3)
shapes = st.lists(sizes, max_size=3).map(tuple)


def positive(random: Any, shape: tuple[int, ...]) -> Any:
    """Numbers well above 0."""
    return random.uniform(0.3, 3, shape)


def off_zero(random: Any, shape: tuple[int, ...]) -> Any:
    """Numbers at least 0.1 from 0, of either sign."""
    return random.choice([-1, 1], shape) * random.uniform(0.1, 2, shape)


def on_grid(random: Any, shape: tuple[int, ...]) -> Any:
    """… -1, -0.5, 0, 0.5 …, so that comparisons find ties among themselves and none with numbers between the lines."""
    return random.integers(-4, 5, shape) / 2


def off_grid(random: Any, shape: tuple[int, ...]) -> Any:
    """Numbers halfway between the grid's lines."""
    return on_grid(random, shape) + 0.25


def distinct(random: Any, shape: tuple[int, ...]) -> Any:
    """Numbers that all differ, by at least 0.1."""
    return (random.permutation(math.prod(shape)) - 1.5).reshape(shape) * 0.1


@st.composite
def alike(draw: Any, *kinds: Callable[..., Any], **params: Any) -> Arguments:
    """An array for each kind, of shapes that broadcast together."""
    shape, random = draw(shapes), np.random.default_rng(draw(seeds))
    arrays = []
    for kind in kinds:
        kept = draw(st.integers(0, len(shape)))
        own = tuple(1 if draw(st.booleans()) else n for n in shape[len(shape) - kept :])
        arrays.append(kind(random, shape if len(kinds) == 1 else own))
    return Arguments(arrays, params)


@st.composite
def reduced(draw: Any, kind: Callable[..., Any], smallest: int = 0, one: bool = False) -> Arguments:
    """An array and the dimensions to reduce over: any of them, or exactly ``one``."""
    shape = draw(st.lists(st.integers(smallest, 3), min_size=int(one), max_size=3).map(tuple))
    dims = st.sampled_from(range(len(shape))) if shape else st.nothing()
    axis = draw(dims) if one else tuple(draw(st.sets(dims)) if shape else ())
    return Arguments([kind(np.random.default_rng(draw(seeds)), shape)], {"axis": axis})


@st.composite
def products(draw: Any) -> Arguments:
    """(…, n, k) @ (…, k, m), the leading dimensions broadcast."""
    batch, random = draw(st.lists(sizes, max_size=2).map(tuple)), np.random.default_rng(draw(seeds))
    n, k, m = draw(sizes), draw(sizes), draw(sizes)
    batches = [tuple(1 if draw(st.booleans()) else d for d in batch[draw(st.integers(0, len(batch))) :]) for _ in "xy"]
    return Arguments([smooth(random, (*batches[0], n, k)), smooth(random, (*batches[1], k, m))])


@st.composite
def reshaped(draw: Any) -> Arguments:
    shape = draw(shapes)
    order = draw(st.permutations(shape))
    wanted = tuple(order) if draw(st.booleans()) else (1, math.prod(shape))
    return Arguments([smooth(np.random.default_rng(draw(seeds)), shape)], {"shape": wanted})


@st.composite
def transposed(draw: Any) -> Arguments:
    shape = draw(shapes)
    axes = tuple(draw(st.permutations(range(len(shape)))))
    return Arguments([smooth(np.random.default_rng(draw(seeds)), shape)], {"axes": axes})


@st.composite
def repeated(draw: Any) -> Arguments:
    shape = draw(shapes)
    start = draw(st.integers(0, len(shape)))
    own = tuple(1 if draw(st.booleans()) else n for n in shape[start:])
    return Arguments([smooth(np.random.default_rng(draw(seeds)), own)], {"shape": shape})


@st.composite
def joined(draw: Any) -> Arguments:
    shape, random = draw(st.lists(sizes, min_size=1, max_size=3)), np.random.default_rng(draw(seeds))
    axis = draw(st.integers(0, len(shape) - 1))
    lengths = draw(st.lists(sizes, min_size=1, max_size=3))
    return Arguments([smooth(random, (*shape[:axis], n, *shape[axis + 1 :])) for n in lengths], {"axis": axis})


@st.composite
def indexed(draw: Any, scatter: bool = False) -> Arguments:
    """Integers, slices, None, ... and integer arrays, whose indices may repeat, into an array of three dimensions."""
    shape, random = tuple(draw(st.lists(st.integers(1, 3), min_size=3, max_size=3))), np.random.default_rng(draw(seeds))
    index, arrays = [], []
    common = draw(st.sampled_from([(), (2,), (4,), (2, 2), (0,)]))
    for n in shape[: draw(st.integers(0, 3))]:
        kind = draw(st.sampled_from("i:ans"))
        if kind == "i":
            index.append(draw(st.integers(-n, n - 1)))
        elif kind == ":":
            index.append(slice(None))
        elif kind == "s":
            index.append(slice(draw(st.integers(-n, n)), draw(st.integers(-n, n)), draw(st.sampled_from([1, 2, -1]))))
        elif kind == "n":
            index += [None, slice(None)]
        else:
            index.append(ARRAY)
            arrays.append(random.integers(-n, n, common))
    if draw(st.booleans()):
        index.append(...)
    x = smooth(random, shape)
    if not scatter:
        return Arguments([x, *arrays], {"index": tuple(index)})
    found = x[_index(index, arrays)]
    return Arguments([smooth(random, found.shape), *arrays], {"index": tuple(index), "shape": shape})


def _index(index: Any, arrays: Any) -> tuple[Any, ...]:
    rest = iter(arrays)
    return tuple(next(rest) if part is ARRAY else part for part in index)


@st.composite
def chosen(draw: Any) -> Arguments:
    shape, random = draw(shapes), np.random.default_rng(draw(seeds))
    return Arguments([random.integers(0, 2, shape) > 0, smooth(random, shape), smooth(random, shape[-1:])])


# --- the table: a row a primitive -------------------------------------------------------------------------------------


class Row(NamedTuple):
    """How to draw arguments, and the same operation in PyTorch (by default the function of that name)."""

    draw: Any
    torch: Callable[..., Any] | None = None


def _torch() -> Any:
    return pytest.importorskip("torch")


def _torch_scatter(g: Any, *arrays: Any, index: Any, shape: Any) -> Any:
    """The mirror image of indexing, as the gradient of indexing."""
    torch = _torch()
    out = torch.zeros(shape, dtype=g.dtype, requires_grad=True)
    return torch.autograd.grad(_torch_gather(out, *arrays, index=index), out, g, create_graph=True)[0]


def _torch_gather(x: Any, *arrays: Any, index: Any) -> Any:
    """PyTorch has no negative steps: turn those dimensions over first."""
    index, dim = list(_index(index, arrays)), 0
    for i, part in enumerate(index):
        if isinstance(part, slice) and (part.step or 1) < 0:
            n = x.shape[dim]
            places = list(range(n))[part]
            index[i] = slice(n - 1 - places[0], n - places[-1]) if places else slice(0, 0)
            x = x.flip(dim)
        dim += part is not None
    return x[tuple(index)]


ROWS = {
    "add": Row(alike(smooth, smooth)),
    "sub": Row(alike(smooth, smooth)),
    "mul": Row(alike(smooth, smooth)),
    "div": Row(alike(smooth, off_zero)),
    "neg": Row(alike(smooth)),
    "pow": Row(alike(positive, smooth)),
    "exp": Row(alike(smooth)),
    "log": Row(alike(positive)),
    "sqrt": Row(alike(positive)),
    "sin": Row(alike(smooth)),
    "cos": Row(alike(smooth)),
    "abs": Row(alike(off_zero)),
    "erf": Row(alike(smooth)),
    "tanh": Row(alike(smooth)),
    "sigmoid": Row(alike(smooth)),
    "relu": Row(alike(off_zero)),
    "leaky_relu": Row(alike(off_zero, slope=0.2), lambda x, slope: _torch().nn.functional.leaky_relu(x, slope)),
    "softplus": Row(alike(smooth), lambda x: _torch().nn.functional.softplus(x)),
    "maximum": Row(alike(on_grid, off_grid)),
    "minimum": Row(alike(on_grid, off_grid)),
    "clip": Row(alike(off_grid, low=-1.0, high=1), lambda x, low, high: _torch().clamp(x, low, high)),
    "where": Row(chosen()),
    "sign": Row(alike(on_grid)),
    "greater": Row(alike(on_grid, on_grid)),
    "greater_equal": Row(alike(on_grid, on_grid)),
    "less": Row(alike(on_grid, on_grid)),
    "less_equal": Row(alike(on_grid, on_grid)),
    "equal": Row(alike(on_grid, on_grid), lambda x, y: x == y),
    "not_equal": Row(alike(on_grid, on_grid)),
    "argmax": Row(reduced(distinct, 1, one=True), lambda x, axis: x.argmax(axis)),
    "argmin": Row(reduced(distinct, 1, one=True), lambda x, axis: x.argmin(axis)),
    "sum": Row(reduced(smooth), lambda x, axis: x.sum(axis, keepdim=True) if axis else x * 1),
    "max": Row(reduced(distinct, 1), lambda x, axis: x.amax(axis, keepdim=True) if axis else x * 1),
    "min": Row(reduced(distinct, 1), lambda x, axis: x.amin(axis, keepdim=True) if axis else x * 1),
    "matmul": Row(products()),
    "cast": Row(alike(smooth, dtype="float64"), lambda x, dtype: x * 1),
    "reshape": Row(reshaped()),
    "transpose": Row(transposed(), lambda x, axes: x.permute(axes)),
    "broadcast_to": Row(repeated(), lambda x, shape: x.broadcast_to(shape)),
    "concatenate": Row(joined(), lambda *xs, axis: _torch().cat(xs, axis)),
    "gather": Row(indexed(), _torch_gather),
    "scatter_add": Row(indexed(scatter=True), _torch_scatter),
}
RANDOM = {"uniform"}  # see test_random.py
PRIMITIVES = {row.name: row for row in vars(p).values() if isinstance(row, Primitive)}
every_row = pytest.mark.parametrize("name", ROWS)
few = settings(max_examples=12)


@pytest.mark.tiny
def test_every_primitive_has_a_row():
    assert set(ROWS) == set(PRIMITIVES) - RANDOM
    assert REQUIRED - set(PRIMITIVES) == {"copy"}


@pytest.mark.tiny
def test_a_row_bears_the_name_it_is_known_by():
    assert all(vars(p)[name] is row for name, row in PRIMITIVES.items())


def apply(name: str, **params: Any) -> Callable[..., Any]:
    """The primitive as a function of its inputs, with its name for messages."""

    def call(*xs: Any) -> Any:
        return PRIMITIVES[name](*xs, **params)

    call.__name__ = name
    return call


def tensors(arrays: list[Any], backend: str, **options: Any) -> list[Tensor]:
    return [Tensor(x, backend=engine(backend), **options) for x in arrays]


@on_every_backend
@every_row
def test_gradients_are_finite_differences(name, backend):
    @few
    @given(ROWS[name].draw)
    def check(arguments):
        xs = tensors(arguments.arrays, backend)
        if PRIMITIVES[name].differentiable:
            check_gradients(apply(name, **arguments.params), *xs)
        else:
            assert not PRIMITIVES[name](
                *[x.requires_grad_(x.is_floating_point()) for x in xs], **arguments.params
            ).requires_grad

    check()


@on_array_backends
@every_row
def test_value_and_gradients_are_those_of_the_scalar_oracle(name, backend):
    @settings(max_examples=25)
    @given(ROWS[name].draw)
    def check(arguments):
        ours, gradients = run(apply(name, **arguments.params), arguments.arrays, backend)
        oracle, expected = run(apply(name, **arguments.params), arguments.arrays, "scalar")
        same(ours, oracle, f"{name} on {backend}", RTOL, ATOL)
        same_gradients(gradients, expected, f"{name} on {backend}", RTOL, ATOL)

    check()


@pytest.mark.torch
@on_every_backend
@every_row
def test_value_and_gradients_are_those_of_pytorch(name, backend):
    torch = _torch()

    @few
    @given(ROWS[name].draw)
    def check(arguments):
        xs = [torch.tensor(x) for x in arguments.arrays]
        for x in xs:
            x.requires_grad_(x.is_floating_point())
        theirs = (ROWS[name].torch or getattr(torch, name))(*xs, **arguments.params)
        if theirs.requires_grad and PRIMITIVES[name].differentiable:
            theirs.backward(torch.tensor(weights(tuple(theirs.shape))))
        ours, gradients = run(apply(name, **arguments.params), arguments.arrays, backend)
        same(ours, theirs.detach().numpy(), f"{name} on {backend}", RTOL, ATOL)
        expected = [None if x.grad is None else x.grad.numpy() for x in xs]
        same_gradients(gradients, expected, f"{name} on {backend}", RTOL, ATOL)

    check()


@on_every_backend
@pytest.mark.parametrize("name", [name for name in ROWS if PRIMITIVES[name].number])
def test_value_is_the_function_on_numbers(name, backend):
    @few
    @given(ROWS[name].draw)
    def check(arguments):
        arrays, params = arguments.arrays, arguments.params
        out = PRIMITIVES[name](*tensors(arrays, backend), **params).numpy()
        number = PRIMITIVES[name].number
        expected = np.empty(np.broadcast_shapes(*[x.shape for x in arrays]))
        for index, *xs in zip(np.ndindex(expected.shape), *[np.broadcast_to(x, expected.shape).flat for x in arrays]):
            expected[index] = number(*[x.item() for x in xs], **params)
        same(out, expected, f"{name} on {backend}", RTOL, ATOL)

    check()


# --- ties: the gradient is shared -------------------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_tie_of_two_shares_the_gradient(name, backend):
    _, gradients = run(lambda x, y: PRIMITIVES[name](x, y).sum(), [np.array([1.0, 2.0]), np.array([1.0, 2.0])], backend)
    expected = weights(()) * np.array([0.5, 0.5])
    same_gradients(gradients, [expected, expected], name, 1e-15)


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("axis", [(0, 1), (0,), (1,)])
def test_ties_share_the_gradient(name, axis, backend):
    x = np.array([[3.0, 3.0, 1.0], [3.0, 1.0, 1.0]])
    out, (found,) = run(apply(name, axis=axis), [x], backend)
    attains = x == out
    g = np.broadcast_to(weights(out.shape), x.shape)
    same(found, g * attains / attains.sum(axis, keepdims=True), f"{name} over {axis}", 1e-15)


# --- element types ----------------------------------------------------------------------------------------------------

INDICES = {"argmax", "argmin"}
TRUTHS = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}


@on_array_backends
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@every_row
def test_no_rule_changes_the_precision(name, dtype, backend):
    """Asked of the rules themselves: on the way into ``grad`` a wrong dtype would be corrected, in silence."""

    @settings(max_examples=8)
    @given(ROWS[name].draw)
    def check(arguments):
        params = {**arguments.params, **({"dtype": dtype} if name == "cast" else {})}
        xs = [x.astype(dtype) if x.dtype.kind == "f" else x for x in arguments.arrays]
        xs = tensors(xs, backend)
        for x in xs:
            x.requires_grad = x.is_floating_point()
        out = PRIMITIVES[name](*xs, **params)
        assert out.dtype == ("int64" if name in INDICES else "bool" if name in TRUTHS else dtype)
        g = Tensor(weights(out.shape).astype(dtype), backend=engine(backend))
        for i, x in enumerate(xs):
            if x.requires_grad and (rule := PRIMITIVES[name].rule(i)):
                assert rule(g, out, *xs, **params).dtype == dtype, f"rule {i} of {name}"

    check()


@on_array_backends
@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.int64(2), True])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "minimum"])
def test_a_number_beside_a_tensor_does_not_change_its_precision(name, number, backend):
    x = Tensor(np.array([1.5, 2.5], np.float32), backend=engine(backend), requires_grad=True)
    for out in (PRIMITIVES[name](x, number), PRIMITIVES[name](number, x)):
        assert out.dtype == "float32"
        out.sum().backward()
        assert x.grad.dtype == "float32"


@pytest.mark.tiny
@on_array_backends
def test_a_cast_carries_the_gradient_back_in_the_precision_it_came_from(backend):
    x = Tensor([1.0, 2.0], "float32", backend=engine(backend), requires_grad=True)
    (x.to("float64") * Tensor([3.0, 4.0], "float64", backend=engine(backend))).sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == ("float32", [3.0, 4.0])


@pytest.mark.tiny
@on_array_backends
def test_gradients_keep_the_precision_of_their_tensor_beside_more_precise_ones(backend):
    w = Tensor([1.0, 2.0], "float32", backend=engine(backend), requires_grad=True)
    x = Tensor([3.0, 4.0], "float64", backend=engine(backend))
    for _ in range(2):
        (w * x).sum().backward()
        assert w.grad.dtype == "float32"
    assert w.grad.tolist() == [6.0, 8.0]


BINARY = {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "less", "equal"}
INTEGERS = {
    "add": [4, 6], "sub": [-2, -2], "mul": [3, 8], "div": [1 / 3, 0.5], "pow": [1, 16], "maximum": [3, 4],
    "minimum": [1, 2], "less": [True, True], "equal": [False, False], "neg": [-1, -2], "abs": [1, 2], "sign": [1, 1],
    "relu": [1, 2], "exp": np.exp([1, 2]), "sigmoid": 1 / (1 + np.exp([-1, -2])), "softplus": np.log1p(np.exp([1, 2])),
    "tanh": np.tanh([1, 2]), "erf": [math.erf(1), math.erf(2)], "sqrt": np.sqrt([1, 2]),
}  # fmt: skip


@on_every_backend
@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name, backend):
    """Integers stay integers where the mathematics does; roots, quotients and curves of them are floats."""
    inputs = tensors([np.array([1, 2]), np.array([3, 4])], backend)
    expected = np.asarray(INTEGERS[name])
    out = PRIMITIVES[name](*inputs[: 2 if name in BINARY else 1])
    assert out.dtype == expected.dtype.name and not out.requires_grad
    same(out.numpy(), expected, f"{name} of integers on {backend}", 1e-15)


@pytest.mark.tiny
@on_every_backend
def test_booleans(backend):
    x, y = tensors([np.array([True, True, False]), np.array([True, False, False])], backend)
    assert (x * y).tolist() == [True, False, False] and (x * y).dtype == "bool"
    assert (x == y).tolist() == [True, False, True]
    assert (x.sum().item(), x.sum().dtype) == (2, "int64")
    assert x.to("float64").mean().item() == pytest.approx(2 / 3)
    assert (x * 2.5).tolist() == [2.5, 2.5, 0.0]
    assert p.where(x, y, False).tolist() == [True, False, False]


# --- kernels: `out` ---------------------------------------------------------------------------------------------------


@on_every_backend
@pytest.mark.parametrize("name", sorted(REQUIRED - RANDOM))
def test_a_kernel_fills_out(name, backend):
    """``out`` is what is returned, and holds bit for bit what the kernel gives without it."""

    @settings(max_examples=8)
    @given(ROWS[name].draw if name in ROWS else alike(smooth))
    def check(arguments):
        chosen = engine(backend)
        arrays = [chosen.array(x) for x in arguments.arrays]
        fresh = chosen.launch(name, *arrays, **arguments.params)
        expected = np.array(chosen.numpy(fresh))
        dtype = chosen.dtype(fresh)
        place = chosen.full(expected.shape, 1 if dtype == "bool" else 77, dtype)
        before = list(place.flat) if place.dtype == object else None
        filled = chosen.launch(name, *arrays, out=place, **arguments.params)
        assert filled is place
        same_again(backend, chosen.numpy(place), expected, f"{name} on {backend}")
        assert before is None or all(a is b for a, b in zip(before, place.flat)), (
            "the Values that were there are the ones to fill"
        )

    check()


@pytest.mark.tiny
@on_array_backends
def test_where_with_a_condition_of_numbers_fills_out(backend):
    chosen = engine(backend)
    condition, x = chosen.array(np.array([0.0, 2.0])), chosen.array(np.array([3.0, 4.0]))
    out = chosen.full((2,), 9.0, "float64")
    chosen.launch("where", condition, x, 0, out=out)
    assert chosen.numpy(out).tolist() == [0.0, 4.0]


@on_array_backends
@pytest.mark.parametrize("y", [2, 1, 0.5, 0, 3, -1, 2.5, 2.0])
def test_pow_by_a_number_is_pow(y, backend):
    """The short ways for often used exponents give what ``numpy.power`` gives, to the last digit but one."""
    x = np.array([0.3, 1.0, 2.7, 1e4])
    out, (slope,) = run(lambda t: t**y, [x], backend)
    same(out, np.power(x, y), f"x ** {y}", 1e-15)
    same(slope, weights(x.shape) * y * np.power(x, y - 1), f"slope of x ** {y}", 1e-14)


@pytest.mark.tiny
@on_every_backend
@pytest.mark.parametrize("y", [0, 1, 2, 3, 2.0])
def test_powers_of_negative_numbers_and_of_zero(y, backend):
    x = np.array([-2.0, 0.0])
    out, (slope,) = run(lambda t: t**y, [x], backend)
    same(out, x**y, f"x ** {y}", 1e-15)
    same(slope, weights(x.shape) * [y * (-2.0) ** (y - 1), float(y == 1)], f"slope of x ** {y}", 1e-15)


# --- far out ----------------------------------------------------------------------------------------------------------


@on_array_backends
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("sigmoid", [1.0, 0.0], [0.0, 0.0]),
        ("tanh", [1.0, -1.0], [0.0, 0.0]),
        ("softplus", [1e4, 0.0], [1.0, 0.0]),
        ("erf", [1.0, -1.0], [0.0, 0.0]),
    ],
)
def test_stable_far_out(name, values, slopes, dtype, backend):
    """±1e4, without a warning; σ(-1e4) is the smallest number its formula reaches, which counts as 0. The slope of erf
    squares x, and float16 ends at 65504."""
    far = 200 if (name, dtype) == ("erf", "float16") else 1e4
    x = Tensor(np.array([far, -far], dtype), backend=engine(backend), requires_grad=True)
    out = getattr(x, name)()
    out.sum().backward()
    tiny = 2e-5 if dtype == "float16" else 1e-38
    same(out.numpy(), values, name, 1e-3 if dtype == "float16" else 1e-7, tiny)
    same(x.grad.numpy(), slopes, f"slope of {name}", 1e-3, tiny)


@on_array_backends
def test_erf_is_exact_to_the_last_digits(backend):
    """Against C's erf, over all three of its ranges: two units in the last place, and four on a card, whose own may be
    off by two and C's by one."""
    x = np.linspace(-7, 7, 4001)
    ours = Tensor(x, backend=engine(backend)).erf().numpy()
    same(ours, [math.erf(v) for v in x], "erf", 1e-15 if backend == "cupy" else 5e-16)
    x32 = np.linspace(-7, 7, 2001, dtype=np.float32)
    same(Tensor(x32, backend=engine(backend)).erf().numpy(), [math.erf(v) for v in x32], "erf, float32", 5e-7)


# --- fused primitives: the same as their references -------------------------------------------------------------------


@st.composite
def rows_of(draw: Any, features: int = 0) -> Any:
    """(…, features): two dimensions, or more."""
    shape = (*draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)), features or draw(st.integers(1, 4)))
    return 3 * smooth(np.random.default_rng(draw(seeds)), shape)


@st.composite
def linear_inputs(draw: Any) -> Arguments:
    features, outputs, random = draw(st.integers(1, 4)), draw(st.integers(1, 4)), np.random.default_rng(draw(seeds))
    bias = smooth(random, (outputs,)) if draw(st.booleans()) else None
    return Arguments([draw(rows_of(features)), smooth(random, (outputs, features)), bias])


@st.composite
def softmax_inputs(draw: Any) -> Arguments:
    x = draw(rows_of())
    return Arguments([x], {"dim": draw(st.integers(-x.ndim, x.ndim - 1))})


@st.composite
def classes(draw: Any) -> Arguments:
    batch, count, random = draw(st.integers(1, 4)), draw(st.integers(1, 4)), np.random.default_rng(draw(seeds))
    arrays = [3 * smooth(random, (batch, count)), random.integers(0, count, batch)]
    return Arguments(arrays, {"mean": draw(st.booleans())})


@st.composite
def products(draw: Any) -> Arguments:
    """(…, m) and (…, n) with the same leading dimensions."""
    x = draw(rows_of())
    return Arguments([x, smooth(np.random.default_rng(draw(seeds)), (*x.shape[:-1], draw(st.integers(1, 4))))])


@st.composite
def rows_and_weights(draw: Any) -> Arguments:
    """(…, m) and (m, n)."""
    x = draw(rows_of())
    return Arguments([x, smooth(np.random.default_rng(draw(seeds)), (x.shape[-1], draw(st.integers(1, 4))))])


@st.composite
def through_relu(draw: Any) -> Arguments:
    """A gradient, and what relu made of numbers of the same shape, among them some below 0."""
    x = draw(rows_of())
    return Arguments([x, np.maximum(smooth(np.random.default_rng(draw(seeds)), x.shape), 0)])


@st.composite
def once_broadcast(draw: Any) -> Arguments:
    """An array, and a shape that broadcasts to its own."""
    x = draw(rows_of())
    shape = tuple(draw(st.sampled_from((1, n))) for n in x.shape[draw(st.integers(0, x.ndim)) :])
    return Arguments([x], {"shape": shape})


@st.composite
def taken_apart(draw: Any) -> Arguments:
    """An array, and what belongs into it: each row once, or some rows and slices, which may meet."""
    random, shape = np.random.default_rng(draw(seeds)), (draw(st.integers(1, 4)), draw(st.integers(1, 4)), 2)
    indices = draw(st.permutations([(i,) for i in range(shape[0])]))
    if draw(st.booleans()):
        some = [(slice(None), -1), (..., slice(1)), (slice(1, None), None, slice(None, None, 2)), (-1,), (0, 0)]
        indices = draw(st.lists(st.sampled_from([*some, *indices]), min_size=1, max_size=4))
    x = smooth(random, shape)
    return Arguments([x, *[smooth(random, x[index].shape) for index in indices]], {"indices": tuple(indices)})


FUSED = {
    "assemble": taken_apart(),
    "linear": linear_inputs(),
    "relu_gradient": through_relu(),
    "rows_product": products(),
    "rows_times": rows_and_weights(),
    "sum_to": once_broadcast(),
    "softmax": softmax_inputs(),
    "log_softmax": softmax_inputs(),
    "softmax_cross_entropy": classes(),
    **fused_attention.SAMPLERS,
    **fused_image.SAMPLERS,
    **fused_recurrent.SAMPLERS,
}


@pytest.mark.tiny
def test_every_fused_primitive_has_a_sampler():
    assert set(FUSED) == set(Fused.registry)


@on_array_backends
@pytest.mark.parametrize("name", FUSED)
def test_fused_is_its_reference(name, backend):
    fused = Fused.registry[name]
    if name not in engine(backend).kernels:
        pytest.skip(f"{backend} has no kernel {name}: it always runs the reference")

    def plainly(*xs: Any, **params: Any) -> Any:
        with reference():
            return fused(*xs, **params)

    @settings(max_examples=40)
    @given(FUSED[name])
    def check(arguments):
        arrays, params = arguments.arrays, arguments.params
        ours, gradients = run(lambda *xs: fused(*xs, **params), arrays, backend)
        plain, expected = run(lambda *xs: plainly(*xs, **params), arrays, backend)
        oracle, scalar = run(lambda *xs: fused(*xs, **params), arrays, "scalar")
        same(ours, plain, f"fused {name}", RTOL, ATOL)
        same_gradients(gradients, expected, f"fused {name}", RTOL, ATOL)
        same(ours, oracle, f"fused {name} against Values", RTOL, ATOL)
        same_gradients(gradients, scalar, f"fused {name} against Values", RTOL, ATOL)

    check()


@on_array_backends
@pytest.mark.parametrize("name", FUSED)
def test_a_fused_kernel_fills_out_and_keeps_the_precision(name, backend):
    chosen = engine(backend)

    @settings(max_examples=8)
    @given(FUSED[name])
    def check(arguments):
        arrays = [
            x if x is None else chosen.array(x.astype(np.float32) if x.dtype == float else x) for x in arguments.arrays
        ]
        fresh = chosen.launch(name, *arrays, **arguments.params)
        expected = [np.array(chosen.numpy(x)) for x in (fresh if isinstance(fresh, tuple) else (fresh,))]
        assert {x.dtype.name for x in expected if x.dtype.kind == "f"} == {"float32"}
        places = tuple(chosen.full(x.shape, 77, x.dtype.name) for x in expected)
        chosen.launch(name, *arrays, out=places if isinstance(fresh, tuple) else places[0], **arguments.params)
        for place, x in zip(places, expected):
            same_again(backend, chosen.numpy(place), x, f"{name} on {backend}")

    check()
