"""Each lesson is about a rule of the engine: with that rule broken, a checked number is wrong, or the lesson stops."""

import numpy as np
import pytest

from tinynet import get_backend
from tinynet import primitives as p
from tinynet.errors import TinynetError
from tinynet.lessons import find, names
from tinynet.nn import init
from tinynet.nn.activations import softmax
from tinynet.nn.linear import linear, rows_product, rows_times
from tinynet.nn.losses import softmax_cross_entropy
from tinynet.teaching import Run
from tinynet.training.steps import Steps


def rules(primitive, *wrong):
    """Other gradient rules for a primitive."""
    return lambda patch: patch.setattr(primitive, "rules", wrong)


def kernel(name, wrap):
    """Another kernel on NumPy: ``wrap(kernel)`` takes the true one."""

    def broken(patch):
        numpy = get_backend("numpy")
        patch.setattr(numpy, "kernels", {**numpy.kernels, name: wrap(numpy.kernels[name])})

    return broken


def breadth_first(root):
    """First come, first served: right where nothing is used twice."""
    order, seen = [root], {root}
    for node in order:
        new = [x for x in dict.fromkeys(node.parents) if x not in seen]
        seen.update(new)
        order.extend(new)
    return order


def once(true):
    """A row that is looked up twice gets one of the two gradients."""

    def wrong(g, index, **how):
        first = np.unique(index, return_index=True)[1]
        return true(g.reshape(-1, g.shape[-1])[first], index.reshape(-1)[first], **how)

    return wrong


BREAKS = {  # in the order of the course: the rule that the lesson is about, made wrong
    "perceptron": kernel("sum", lambda true: lambda x, **how: true(abs(x), **how)),
    "sigmoid-neuron": rules(p.sigmoid, lambda g, out, x: g * (1 - out)),
    "layers": kernel("linear", lambda true: lambda x, w, b=None, **how: true(x, w, None, **how)),  # no bias
    "gradient-descent": rules(p.sub, lambda g, out, x, y: g, lambda g, out, x, y: g),  # the minus forgotten
    "backprop-by-hand": lambda patch: patch.setattr("tinynet.value.backward_order", breadth_first),
    "nudges": rules(  # the mean over the examples taken a second time
        linear,
        lambda g, out, x, w, b: rows_times(g, w),
        lambda g, out, x, w, b: rows_product(g, x) / len(x),
        lambda g, out, x, w, b: g,
    ),
    "stochastic-gradient-descent": rules(  # the sum over the examples in place of their mean
        softmax_cross_entropy, lambda g, out, x, target, slope, mean: slope * (g if mean else g.unsqueeze(1)), None
    ),
    "learning-slowdown": rules(p.sigmoid, lambda g, out, x: g * 0.25),  # as steep everywhere as at 0
    "softmax": rules(softmax, lambda g, out, x, dim: g * out * (1 - out)),  # each share as if alone
    "activations": rules(p.softplus, lambda g, out, x: g * (x > 0)),  # a corner, as ReLU has
    "starting-points": lambda patch: patch.setitem(  # 1/n in place of 1/√n
        init.WEIGHTS, "scaled-normal", lambda w: init.normal_(w, std=1 / w.shape[1])
    ),
    "overfitting": lambda patch, true=Steps._update: patch.setattr(  # the 2 in the slope of w² forgotten
        Steps, "_update", lambda steps, examples: true(steps, 2 * examples)
    ),
    "universal-approximation": kernel("sigmoid", lambda true: lambda x, **how: true(x / 5, **how)),  # no steep steps
    "vanishing-gradients": rules(p.sigmoid, lambda g, out, x: g * out),
    "convolution": kernel("conv2d", lambda true: lambda x, w, *b, **s: true(x, w[..., ::-1, ::-1], *b, **s)),  # turned
    "what-cnns-are-for": kernel("conv2d_weight_grad", lambda true: lambda y, x, **s: true(y, x[..., ::-1], **s)),
    "memory": kernel(  # tanh's slope forgotten on the way back through time
        "rnn_grad", lambda true: lambda *given, **how: true(*given[:-1], 0 * given[-1] + 1, **how)
    ),
    "embeddings": kernel("embedding_grad", once),
    "attention": kernel("attention", lambda true: lambda *given, scale, **how: true(*given, scale=1.0, **how)),
    "numbers-to-gpus": kernel("sum_to", lambda true: lambda x, **how: true(x, **how) / len(x)),  # a mean
}


def test_every_lesson_has_a_rule():
    assert set(BREAKS) == set(names())


@pytest.mark.parametrize("name", BREAKS)
def test_with_its_rule_broken_the_lesson_fails(name, monkeypatch):
    BREAKS[name](monkeypatch)
    for experiment in find(name).experiments:
        try:
            measured = Run(experiment).measure()
        except (TinynetError, ArithmeticError):
            return
        if not all(check.holds(measured[check.name]) for check in experiment.checks):
            return
    pytest.fail("every number is still where it must be")
