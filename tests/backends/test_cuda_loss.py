"""The factor of a loss's slope is taken into the loss where that changes nothing that anybody sees."""

import numpy as np
import pytest
import strict_cuda

import tinynet as tn
from tinynet.backends.cuda.chains.fusion import in_chains
from tinynet.modes import switched
from tinynet.program import Program

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

rng = np.random.default_rng(4)
X, CLASSES = rng.normal(size=(6, 5)), np.array([0, 4, 2, 2, 1, 3])


def replay(cupy, work, *arrays):
    """The names of the joined calls, and the results as the calls one by one gave them and as the joined ones do."""
    program = Program(cupy)
    with switched(recorder=program):
        made = work(cupy.launch, *arrays)
    wanted = [cupy.numpy(x).copy() for x in made]
    for x in made:
        x.fill(7)
    calls = in_chains(program, cupy.module, 0)
    for call in calls:
        call.kernel(*call.inputs, out=call.out, **call.params)
    for x, expected in zip(made, wanted, strict=True):
        np.testing.assert_allclose(cupy.numpy(x), expected, 1e-13)
    return [call.name for call in calls]


def test_a_constant_factor_is_taken_in(cupy):
    def work(launch, x, classes):
        loss, slope = launch("softmax_cross_entropy", x, classes, mean=True)
        return loss, launch("mul", slope, cupy.full((), 1 / 6, "float64"))

    assert replay(cupy, work, cupy.array(X), cupy.array(CLASSES)) == ["softmax_cross_entropy"]


def test_a_slope_that_is_read_too_stays(cupy):
    def work(launch, x, classes):
        _, slope = launch("softmax_cross_entropy", x, classes, mean=True)
        return launch("mul", slope, cupy.full((), 0.5, "float64")), launch("sum", slope, axis=(1,))

    assert "mul" in replay(cupy, work, cupy.array(X), cupy.array(CLASSES))


def test_a_slope_that_somebody_holds_stays(cupy):
    def work(launch, x, classes):
        _, slope = launch("softmax_cross_entropy", x, classes, mean=True)
        return launch("mul", slope, cupy.full((), 0.5, "float64")), slope

    assert replay(cupy, work, cupy.array(X), cupy.array(CLASSES)) == ["softmax_cross_entropy", "mul"]


def test_a_factor_that_changes_stays(cupy):
    scale = cupy.full((), 1.0, "float64")

    def work(launch, x, classes):
        _, slope = launch("softmax_cross_entropy", x, classes, mean=True)
        launch("add", scale, 1.0, out=scale)
        return (launch("mul", slope, scale),)

    program = Program(cupy)
    with switched(recorder=program):
        made = work(cupy.launch, cupy.array(X), cupy.array(CLASSES))
    assert made
    assert [call.name for call in in_chains(program, cupy.module, 0)][-1] == "mul"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_are_numpys(cupy, reduction):
    found = {}
    for backend in ("cupy", "numpy"):
        x = tn.nn.Parameter(X, backend=backend)

        def step(y, x=x):
            x.zero_grad()
            loss = tn.nn.CrossEntropyLoss(reduction=reduction)(x * 2, y).sum()
            loss.backward()
            return loss

        captured = tn.capture(step, backend=backend)
        for _ in range(3):
            captured(CLASSES)
        found[backend] = x.grad.numpy()
    np.testing.assert_allclose(found["cupy"], found["numpy"], 1e-12)
