"""Chains of elementwise operations give what their calls give one by one, and are joined only where that is so.

NumPy's own kernels are the witness; on a GPU the same tests run on the card.
"""

import numpy as np
import pytest
import strict_cuda
import strict_cupy
from hypothesis import given, settings
from hypothesis import strategies as st
from strict_backend import strict_cupy_in_charge

import tinynet as tn
from tinynet.backends.cuda.chains.chain import collapsed
from tinynet.backends.cuda.chains.elementwise import RESULTS
from tinynet.backends.cuda.chains.formulas import KNOWN, number
from tinynet.backends.cuda.chains.fusion import in_chains
from tinynet.backends.kernels import table
from tinynet.modes import switched
from tinynet.program import Program

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(3)
NUMPY = table(np)
TOLERANCE = {"float64": 1e-14, "float32": 2e-6, "float16": 4e-3, "bool": 0}  # a few units in the last place
ANY, POSITIVE = rng.uniform(-3, 3, (3, 5)), rng.uniform(0.1, 3, (3, 5))
OTHER = rng.uniform(-3, 3, (3, 5))
EDGES = np.array([0.0, -0.0, 1e4, -1e4, np.inf, -np.inf, np.nan, 88.5])

# name -> inputs and parameters, each of which is tried in every type of float
OPERATIONS = {
    **{name: ([ANY, OTHER], {}) for name in "add sub mul div maximum minimum".split()},
    **{name: ([ANY], {}) for name in "neg exp sin cos abs erf sign tanh sigmoid relu softplus copy".split()},
    **{name: ([POSITIVE], {}) for name in ("log", "sqrt")},
    **{name: ([np.round(ANY), np.round(OTHER)], {}) for name in "greater greater_equal less less_equal".split()},
    **{name: ([np.round(ANY), np.round(OTHER)], {}) for name in ("equal", "not_equal")},
    "pow": ([POSITIVE, OTHER], {}),
    "leaky_relu": ([ANY, 0.2], {}),
    "clip": ([ANY, -0.5, 1.0], {}),
    "cast": ([ANY], {"dtype": "float32"}),
    "where": ([ANY > 0, ANY, OTHER], {}),
    "relu_gradient": ([ANY, np.maximum(OTHER, 0)], {}),
    "gelu": ([ANY], {"approximate": "none"}),
}
FURTHER = {
    "slope by name": ("leaky_relu", [ANY], {"slope": 0.2}),
    "bounds by name": ("clip", [ANY], {"low": -0.5, "high": 1.0}),
    "square": ("pow", [ANY, 2], {}),
    "cube": ("pow", [ANY, 3], {}),
    "root": ("pow", [POSITIVE, 0.5], {}),
    "power with a number below": ("pow", [2.0, ANY], {}),
    "number first": ("sub", [1, ANY], {}),
    "infinite number": ("minimum", [ANY, float("inf")], {}),
    "where with numbers": ("where", [ANY > 0, ANY, 0], {}),
    "gelu, tanh": ("gelu", [ANY], {"approximate": "tanh"}),
    "a row": ("add", [ANY, OTHER[0]], {}),
    "a column": ("mul", [ANY, OTHER[:, :1]], {}),
    "spread": ("sub", [OTHER[0], OTHER[:, :1]], {}),
    "flags": ("mul", [ANY, OTHER > 0], {}),
}
EVERY = [(name, *case) for name, case in OPERATIONS.items()] + list(FURTHER.values())
NAMES = [*OPERATIONS, *FURTHER]


def on(backend, x, dtype):
    """An input on the backend; floats in the element type."""
    if not isinstance(x, np.ndarray):
        return x
    return backend.array(x.astype(dtype) if x.dtype.kind == "f" else x)


def recorded(backend, work):
    """The program of some launches, joined, with each call's results held from outside."""
    program = Program(backend)
    with switched(recorder=program):
        results = work()
    return program, results


def replayed(backend, program):
    """Carry out a program's calls as they are joined."""
    calls = in_chains(program, backend.module, backend.products.small)
    for call in calls:
        if not call.is_view:
            call.kernel(*call.inputs, out=call.out, **call.params)
    return calls


def close(backend, found, expected, dtype):
    found = backend.numpy(found)
    assert found.dtype == expected.dtype
    tolerance = TOLERANCE[found.dtype.name]
    np.testing.assert_allclose(found.astype("float64"), expected.astype("float64"), tolerance, tolerance)


def spoilt(backend, arrays):
    for array in arrays:
        array.fill(7)


def test_every_formula_is_tried():
    assert set(OPERATIONS) == KNOWN


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name, inputs, params", EVERY, ids=NAMES)
def test_a_chain_of_an_operation_and_a_copy(cupy, name, inputs, params, dtype):
    """Two calls, so that they are joined; the first one's results are held, and so stored."""
    given = [on(cupy, x, dtype) for x in inputs]
    params = params | ({"dtype": dtype} if name == "cast" else {})

    def work():
        made = cupy.launch(name, *given, **params)
        made = list(made) if isinstance(made, tuple) else [made]
        return made, cupy.launch("copy", made[0])

    program, (made, last) = recorded(cupy, work)
    spoilt(cupy, [*made, last])
    calls = replayed(cupy, program)
    assert len(calls) == 1, calls
    host = [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs]
    expected = NUMPY[name](*host, **params)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for found, wanted in zip(made, expected, strict=True):
        close(cupy, found, np.asarray(wanted), dtype)
    np.testing.assert_array_equal(cupy.numpy(last), cupy.numpy(made[0]))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", "abs clip exp leaky_relu maximum minimum relu sigmoid sign softplus tanh".split())
def test_edges(cupy, name, dtype):
    given = [EDGES.astype(dtype), *OPERATIONS[name][0][1:]] if name not in ("maximum", "minimum") else None
    given = given or [EDGES.astype(dtype), EDGES[::-1].astype(dtype)]
    there = [on(cupy, x, dtype) for x in given]

    def work():
        made = cupy.launch(name, *there)
        return made, cupy.launch("neg", made)

    program, (made, _) = recorded(cupy, work)
    spoilt(cupy, [made])
    replayed(cupy, program)
    with np.errstate(all="ignore"):
        close(cupy, made, np.asarray(NUMPY[name](*given)), dtype)


LAYOUTS = {
    "rows": lambda x: x,
    "columns": lambda x: x.T,
    "every second": lambda x: x[:, ::2],
    "backwards": lambda x: x[::-1],
    "a corner": lambda x: x[1:, 2:],
    "spread": lambda x: x[0],
    "three dimensions": lambda x: x[:, None],
}


@pytest.mark.parametrize("first", ["rows", "columns", "spread"])
@pytest.mark.parametrize("second", LAYOUTS)
def test_arrays_lie_as_they_like(cupy, first, second):
    x, y = ANY[:3, :3].copy(), OTHER[:3, :3].copy()
    if "corner" in first + second or "second" in first + second:
        x, y = ANY[:, :4].copy(), OTHER[:, :4].copy()
    a, b = LAYOUTS[first](x), LAYOUTS[second](y)
    try:
        expected = (a + b) * a
    except ValueError:
        pytest.skip("the shapes do not fit")
    there = [LAYOUTS[layout](cupy.array(z)) for layout, z in ((first, x), (second, y))]
    program, made = recorded(cupy, lambda: cupy.launch("mul", cupy.launch("add", *there), there[0]))
    spoilt(cupy, [made])
    assert len(replayed(cupy, program)) == 1
    np.testing.assert_array_equal(cupy.numpy(made), expected)


def test_a_strided_out_is_filled_and_nothing_beside_it(cupy):
    whole, x = cupy.full((4, 6), 9.0, "float64"), cupy.array(ANY)

    def work():
        made = cupy.launch("mul", x, x)
        cupy.launch("add", made, 1.0, out=whole[:3, 1:])

    program, _ = recorded(cupy, work)
    whole.fill(9)
    replayed(cupy, program)
    expected = np.full((4, 6), 9.0)
    expected[:3, 1:] = ANY * ANY + 1
    np.testing.assert_array_equal(cupy.numpy(whole), expected)


def test_what_nobody_reads_is_not_stored(cupy):
    x = cupy.array(ANY)
    program, made = recorded(cupy, lambda: cupy.launch("exp", cupy.launch("neg", cupy.launch("mul", x, x))))
    (call,) = replayed(cupy, program)
    assert call.out == (made,) or call.out[0] is made
    assert len(call.inputs) == 1
    np.testing.assert_allclose(cupy.numpy(made), np.exp(-ANY * ANY), 1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", RESULTS)
def test_an_operation_alone_is_one_launch(strict, name, dtype, monkeypatch):
    inputs, params = OPERATIONS[name]
    monkeypatch.setattr(strict_cupy, "_NAMES", {key: strict_cupy._NAMES[key] for key in ("empty", "copyto")})
    given = [on(strict, x, dtype) for x in inputs]
    host = [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs]
    expected = NUMPY[name](*host, **params)
    for turned in (False, True):
        several = RESULTS[name] > 1
        out = [strict.array(ANY.astype(dtype)) for _ in range(RESULTS[name])] if turned else None
        made = strict.launch(name, *given, out=(tuple(out) if several else out[0]) if out else None, **params)
        for a, b in zip(made if several else [made], expected if several else [expected], strict=True):
            close(strict, a, np.asarray(b), dtype)


@pytest.mark.parametrize("name", RESULTS)
def test_an_operation_alone_takes_any_layout_and_writes_in_place(cupy, name):
    inputs, params = OPERATIONS[name]
    if RESULTS[name] > 1:
        pytest.skip("two results have no place in one input")
    turned = [cupy.array(np.ascontiguousarray(x.T)).T if isinstance(x, np.ndarray) else x for x in inputs]
    expected = NUMPY[name](*inputs, **params)
    place = turned[1 if name == "where" else 0]
    assert cupy.launch(name, *turned, out=place, **params) is place
    close(cupy, place, expected, "float64")
    whole, ints = np.arange(-3, 3), [np.arange(-3, 3) for _ in inputs]
    if name in ("sigmoid", "relu_gradient"):
        found = cupy.launch(name, *map(cupy.array, ints[: len(inputs)]))
        np.testing.assert_allclose(cupy.numpy(found), NUMPY[name](*[whole] * len(inputs)), 1e-14)


# --- what may be joined, and what not ---------------------------------------------------------------------------------


def names(calls):
    return [call.name for call in calls if not call.is_view]


def check(cupy, work, expected, arrays):
    """Record the work, put the arrays back, replay it joined, and compare every result with that of the calls."""
    before = [cupy.numpy(a).copy() for a in arrays]
    program, made = recorded(cupy, work)
    wanted = [cupy.numpy(a).copy() for a in (*made, *arrays)]
    for array, host in zip(arrays, before, strict=True):
        cupy.load(host, array)
    spoilt(cupy, [a for a in made if not any(cupy.shares_memory(a, b) for b in arrays)])
    calls = replayed(cupy, program)
    for found, host in zip((*made, *arrays), wanted, strict=True):
        np.testing.assert_allclose(cupy.numpy(found), host, 1e-12)
    assert names(calls) == expected


def test_a_call_between_that_reads_what_is_written_is_not_passed(cupy):
    x = cupy.array(ANY)

    def work():
        first = cupy.launch("exp", x)
        total = cupy.launch("sum", x, axis=(0, 1))
        cupy.launch("mul", x, 2.0, out=x)
        return first, total

    check(cupy, work, ["sum", "chain of exp, mul"], [x])  # the first may as well wait


def test_a_call_between_that_writes_what_is_read_is_not_passed(cupy):
    x = cupy.array(ANY)
    total = cupy.full((1, 1), 0.0, "float64")

    def work():
        first = cupy.launch("exp", x)
        cupy.launch("sum", first, axis=(0, 1), out=total)
        return first, cupy.launch("add", first, total)

    check(cupy, work, ["exp", "sum", "add"], [x, total])


def test_a_call_passes_what_has_nothing_to_do_with_it(cupy):
    x, y = cupy.array(ANY), cupy.array(OTHER)

    def work():
        first = cupy.launch("exp", x)
        total = cupy.launch("sum", y, axis=(0,))
        return total, cupy.launch("add", first, y)

    check(cupy, work, ["chain of exp, add", "sum"], [x, y])


def test_a_result_is_not_read_turned_round_within_its_chain(cupy):
    x = cupy.array(ANY[:3, :3])

    def work():
        first = cupy.launch("exp", x)
        return first, cupy.launch("add", first, cupy.launch("transpose", first, axes=(1, 0)))

    check(cupy, work, ["exp", "add"], [x])


def test_nothing_is_overwritten_that_a_neighbour_still_reads(cupy):
    x = cupy.array(ANY)

    def work():
        first = cupy.launch("add", x[1:], x[:-1])
        cupy.launch("mul", first, 2.0, out=x[:-1])
        return (first,)

    check(cupy, work, ["add", "mul"], [x])


def test_a_number_that_counts_stays_apart_from_arrays(cupy):
    count, x = cupy.full((), 0.0, "float64"), cupy.array(ANY)

    def work():
        cupy.launch("add", count, 1.0, out=count)
        power = cupy.launch("pow", 0.9, count)
        return (cupy.launch("mul", x, power),)

    check(cupy, work, ["chain of add, pow", "mul"], [count, x])


def test_a_chain_waits_for_what_a_later_link_needs(cupy):
    count, x = cupy.full((), 0.0, "float64"), cupy.array(ANY)

    def work():
        first = cupy.launch("mul", x, 2.0)
        cupy.launch("add", count, 1.0, out=count)
        return (cupy.launch("mul", first, cupy.launch("pow", 0.9, count)),)

    check(cupy, work, ["chain of add, pow", "chain of mul, mul"], [count, x])


def test_a_number_for_all_is_computed_by_every_thread(cupy):
    one, x = cupy.full((), 1.0, "float64"), cupy.array(ANY)

    def work():
        share = cupy.launch("div", one, 7)
        return share, cupy.launch("mul", x, share)

    check(cupy, work, ["chain of div, mul"], [one, x])


def test_what_never_changes_is_computed_once(cupy):
    def work(one):
        share = cupy.launch("div", one, 8)
        return (cupy.launch("mul", x, share),)

    x, held = cupy.array(ANY), cupy.full((), 1.0, "float64")
    check(cupy, lambda: work(cupy.full((), 1.0, "float64")), ["mul"], [x])
    check(cupy, lambda: work(held), ["chain of div, mul"], [x, held])  # somebody may set it

    def counted():
        one = cupy.full((), 1.0, "float64")
        cupy.launch("add", one, 1.0, out=one)
        return work(one)

    program, (made,) = recorded(cupy, counted)
    calls = replayed(cupy, program)
    assert names(calls) == ["chain of add, div", "mul"]
    np.testing.assert_allclose(cupy.numpy(made), ANY * 3 / 8)


def test_other_shapes_of_the_same_numbers_are_one_space(cupy):
    x = cupy.array(ANY)

    def work():
        first = cupy.launch("exp", x)
        flat = cupy.launch("reshape", first, shape=(15,))
        spread = cupy.launch("add", cupy.launch("mul", flat, 2.0), 1.0)
        back = cupy.launch("reshape", spread, shape=(3, 5))
        return first, spread, cupy.launch("add", back, x[0])

    check(cupy, work, ["chain of exp, mul, add, add"], [x])


def test_a_copying_reshape_is_a_link(cupy):
    x = cupy.array(ANY)

    def work():
        made = cupy.launch("reshape", cupy.launch("transpose", x, axes=(1, 0)), shape=(15,))
        return (cupy.launch("exp", made),)

    check(cupy, work, ["chain of reshape, exp"], [x])


def test_a_copying_reshape_of_what_a_chain_makes_is_a_link(cupy):
    x, place = cupy.array(ANY), cupy.full(ANY.shape, 0.0, "float64").T

    def work():
        made = cupy.launch("exp", cupy.launch("transpose", x, axes=(1, 0)), out=place)  # lies as x does
        return (cupy.launch("reshape", made, shape=(15,)),)

    check(cupy, work, ["chain of exp, reshape"], [x])


def test_a_result_lies_row_by_row_so_that_its_reshape_is_no_copy(cupy):
    """CuPy's operations do not keep the order of what they are given, as NumPy's do."""
    x = cupy.array(ANY)

    def work():
        made = cupy.launch("exp", cupy.launch("transpose", x, axes=(1, 0)))
        return (cupy.launch("reshape", made, shape=(15,)),)

    check(cupy, work, ["exp"], [x])


def test_integers_are_left_alone_where_numpy_decides(cupy):
    rows = cupy.array(np.arange(5))

    def work():
        return cupy.launch("div", cupy.launch("add", rows, 1), 2), cupy.launch("mul", rows, 0.5)

    check(cupy, work, ["add", "div", "mul"], [rows])


def captured_and_eager(step, *given, times=3):
    """What a function of tensors gives, called a few times, eagerly and captured; state is made anew for each."""
    found = []
    for captured in (False, True):
        function = step()
        function = tn.capture(function, backend="cupy") if captured else function
        results = []
        for _ in range(times):
            made = function(*[tn.Tensor(x, backend="cupy") for x in given])
            results.append([part.numpy() for part in made])
        found.append(results)
    return found


def same_results(found):
    for eager, replayed in zip(*found, strict=True):
        for a, b in zip(eager, replayed, strict=True):
            np.testing.assert_allclose(b, a, 1e-6)


@pytest.mark.parametrize("update", ["copy", "running", "mean", "behind a product"])
def test_a_number_that_is_overwritten_is_read_by_all_before(cupy, update):
    """One thread would write it while others have still to read it."""

    def step():
        k, n = tn.ones((), backend="cupy"), tn.ones((), backend="cupy")

        def run(x):
            z = (x @ x.T) / k if update == "behind a product" else x / k
            if update == "running":
                k.copy_(k * 0.9 + (x * x).mean() * 0.1)
            elif update == "mean":
                k.copy_((x * x).mean())
            else:
                k.copy_(n)
                n.add_(1)
            return z, k.detach() * 1

        return run

    same_results(captured_and_eager(step, np.full((300, 4), 2.0, "float32")))


def test_a_copying_reshape_into_a_part_of_an_array(cupy):
    weight = np.ones((4, 6), "float32")

    def step():
        w, whole = tn.Tensor(weight, backend="cupy"), tn.zeros((8, 7), backend="cupy")
        part = whole[:, 1:5]

        def run(x):
            part.copy_((x @ w.T).T.reshape(8, 4))
            return x * 1, whole

        return run

    same_results(captured_and_eager(step, np.arange(48, dtype="float32").reshape(8, 6)))


def test_what_never_changes_is_made_anew_where_somebody_may_change_it(cupy):
    def run(x):
        steady = tn.ones(3, backend="cupy") * 2
        return x * steady, steady

    function = tn.capture(run, backend="cupy")
    for _ in range(3):
        made, steady = function(tn.ones(2, 3, backend="cupy"))
        assert (made.numpy() == 2).all()
        with tn.no_grad():
            steady.mul_(10)


def test_what_nobody_reads_costs_no_launch(cupy):
    x = cupy.array(ANY)

    def work():
        cupy.launch("cast", x, dtype="float32")
        return (cupy.launch("exp", x),)

    check(cupy, work, ["chain of cast, exp"], [x])
    program, _ = recorded(cupy, lambda: cupy.launch("cast", x, dtype="float32") is None)
    assert replayed(cupy, program) == []


OPTIMISERS = {
    "SGD": lambda p: tn.optim.SGD(p, lr=0.1),
    "SGD, momentum": lambda p: tn.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: tn.optim.Adam(p),
    "AdamW": lambda p: tn.optim.AdamW(p, weight_decay=0.1),
    "RMSprop": lambda p: tn.optim.RMSprop(p, momentum=0.5),
    "Adagrad": lambda p: tn.optim.Adagrad(p),
}


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_an_update_is_one_launch_over_all_parameters_and_one_that_counts_steps(cupy, make):
    model = tn.nn.Sequential(tn.nn.Linear(4, 5), tn.nn.Tanh(), tn.nn.Linear(5, 3)).to("cupy")
    optimiser = make(model.parameters())

    def update():
        optimiser.step()

    for p in model.parameters():
        p.grad = tn.ones(p.shape, backend="cupy")
    step = tn.capture(update, backend="cupy")
    step()
    calls = [call for call in step.program.calls if not call.is_view and "copy" not in call.name]
    assert any(cupy.shares_memory(optimiser.flats[0].data.data, out) for out in calls[-1].outs)
    assert len(calls) == 1 + optimiser.counts_steps, names(calls)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_chain_gives_what_its_calls_give(data):
    """Drawn programs on a few arrays, in place and not, with views; every result compared."""
    if not strict_cuda.compilable:
        return
    with strict_cupy_in_charge() as cupy:
        arrays = [cupy.array(np.round(rng.uniform(-2, 2, (3, 4)), 2)) for _ in range(3)]
        extra = [cupy.array(rng.uniform(-1, 1, shape)) for shape in ((4,), (3, 1), ())]
        plan = data.draw(st.lists(st.tuples(*[st.integers(0, 99)] * 4), min_size=2, max_size=9))

        def work():
            made = [*arrays]
            for what, a, b, how in plan:
                x, y = made[a % len(made)], [*made, *extra][b % (len(made) + 3)]
                if how % 7 == 1:
                    x = x[::-1]
                if how % 7 == 2:
                    y = x
                out = made[(a + b) % len(made)] if how % 3 == 0 else None
                name = ("add", "mul", "sub", "maximum")[what % 4]
                if what % 5 == 4:
                    total = cupy.launch("sum", x, axis=(0,))
                    made.append(cupy.launch("add", x, total))
                elif out is not None and not any(cupy.shares_memory(out, z) and z is not out for z in (x, y)):
                    cupy.launch(name, x, y, out=out)
                else:
                    made.append(cupy.launch(name, x, y))
                if how % 11 == 3:
                    made.append(cupy.launch("tanh", cupy.launch("reshape", made[-1], shape=(12,))).reshape(3, 4))
            return made[3:] if how % 2 else made[-1:]

        before = [cupy.numpy(a).copy() for a in arrays]
        program, made = recorded(cupy, work)
        wanted = [cupy.numpy(a).copy() for a in (*made, *arrays)]
        for array, host in zip(arrays, before, strict=True):
            cupy.load(host, array)
        replayed(cupy, program)
        for found, host in zip((*made, *arrays), wanted, strict=True):
            np.testing.assert_allclose(cupy.numpy(found), host, 1e-12, 1e-12)


# --- the text of a chain ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_numbers_are_written_digit_for_digit(dtype):
    for value in (0.1, -1 / 3, 1e-30, 3, 65504.0):
        written = number(value, dtype)
        _, _, literal = written.strip("()").partition(")")
        assert float.fromhex(literal) == float(np.dtype(dtype).type(value))
    assert "INFINITE" in number(float("-inf"), dtype)
    assert (number(True, "bool"), number(-3, "int64")) == ("true", "(-3LL)")


def test_dimensions_that_lie_together_are_one():
    class At:
        def __init__(self, *strides):
            self.strides = strides

    assert collapsed((2, 3, 4), [At(12, 4, 1), At(0, 0, 0)]) == ([24], [(1,), (0,)])
    assert collapsed((2, 3, 4), [At(12, 4, 1), At(0, 0, 1)]) == ([6, 4], [(4, 1), (0, 1)])
    assert collapsed((2, 1, 4), [At(4, 0, 1), At(1, 0, 2)]) == ([2, 4], [(4, 1), (1, 2)])
    assert collapsed((1, 1), [At(0, 0)]) == ([1], [(0,)])
