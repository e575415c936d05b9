"""Initialisers: moments and bounds, one seed for every backend, PyTorch's customs, and what is refused."""

import math

import numpy as np
import pytest
from support import engine, on_every_backend

import tinynet as tn
from tinynet import nn
from tinynet.errors import ArgumentError
from tinynet.nn import Parameter, init

OUT, IN = 300, 200  # 60,000 numbers: the mean's standard error is 0.4 % of std, that of the std 0.3 %
STD = {
    "normal": (init.normal_, 1.0),
    "scaled normal": (init.scaled_normal_, 1 / math.sqrt(IN)),
    "xavier normal": (init.xavier_normal_, math.sqrt(2 / (IN + OUT))),
    "kaiming normal": (init.kaiming_normal_, math.sqrt(2 / IN)),
}
BOUND = {
    "xavier uniform": (init.xavier_uniform_, math.sqrt(6 / (IN + OUT))),
    "kaiming uniform": (init.kaiming_uniform_, math.sqrt(6 / IN)),
}


def drawn(function, **options):
    tn.manual_seed(1)
    parameter = Parameter(tn.zeros((OUT, IN)))
    assert function(parameter, **options) is parameter
    return parameter.numpy().astype(float)


@pytest.mark.tiny
@pytest.mark.parametrize("name", STD)
def test_normal_ones_have_their_mean_and_spread(name):
    function, std = STD[name]
    x = drawn(function)
    assert abs(x.mean()) < 0.016 * std  # four standard errors
    assert x.std() == pytest.approx(std, rel=0.012)  # four standard errors
    assert np.mean(np.abs(x) < std) == pytest.approx(0.6827, abs=0.008)  # normal, and not merely of that spread


@pytest.mark.tiny
@pytest.mark.parametrize("name", BOUND)
def test_uniform_ones_fill_their_interval(name):
    function, bound = BOUND[name]
    x = drawn(function)
    assert bound * 0.999 < np.abs(x).max() <= bound * (1 + 1e-7)  # rounded to float32
    assert abs(x.mean()) < 0.016 * bound
    assert x.std() == pytest.approx(bound / math.sqrt(3), rel=0.012)


def test_uniform_and_normal_take_their_numbers():
    x = drawn(init.uniform_, low=2.0, high=5.0)
    assert 2.0 <= x.min() < 2.01 < 4.99 < x.max() <= 5.0
    x = drawn(init.normal_, mean=3.0, std=0.5)
    assert (x.mean(), x.std()) == (pytest.approx(3.0, abs=0.01), pytest.approx(0.5, rel=0.012))
    assert not drawn(init.zeros_).any()


def test_a_gain_stretches():
    assert drawn(init.kaiming_normal_, gain=1.0).std() * math.sqrt(2) == pytest.approx(
        drawn(init.kaiming_normal_).std()
    )
    assert drawn(init.xavier_uniform_, gain=3.0).max() == pytest.approx(3 * drawn(init.xavier_uniform_).max())


def test_fans_of_a_convolution_count_its_window():
    """(out, in, height, width): fan_in = in · h · w, fan_out = out · h · w."""
    tn.manual_seed(0)
    weight = init.xavier_uniform_(Parameter(tn.zeros((40, 10, 5, 5)))).numpy()
    assert np.abs(weight).max() == pytest.approx(math.sqrt(6 / (10 * 25 + 40 * 25)), rel=1e-3)


@pytest.mark.torch
def test_the_bounds_and_spreads_are_pytorchs():
    import torch

    theirs = {
        init.xavier_uniform_: torch.nn.init.xavier_uniform_, init.xavier_normal_: torch.nn.init.xavier_normal_,
        init.kaiming_uniform_: torch.nn.init.kaiming_uniform_, init.kaiming_normal_: torch.nn.init.kaiming_normal_,
    }  # fmt: skip
    torch.manual_seed(0)
    for ours, other in theirs.items():
        assert drawn(ours).std() == pytest.approx(other(torch.zeros(OUT, IN)).std().item(), rel=0.017), other.__name__
    # the layers' own custom: uniform in ±1/√in for weights and biases
    layer, reference = nn.Linear(IN, OUT), torch.nn.Linear(IN, OUT)
    for name, p in layer.named_parameters():
        bound = reference.get_parameter(name).abs().max().item()
        assert np.abs(p.numpy()).max() == pytest.approx(bound, rel=0.02) == pytest.approx(1 / math.sqrt(IN), rel=0.02)


@pytest.mark.tiny
def test_a_seed_repeats_itself():
    def weights(seed):
        tn.manual_seed(seed)
        return np.concatenate([p.numpy().ravel() for p in nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).parameters()])

    assert (weights(5) == weights(5)).all()
    assert (weights(5) != weights(6)).all()


@on_every_backend
@pytest.mark.parametrize("function", [init.normal_, init.xavier_uniform_])
def test_every_backend_starts_from_the_same_weights(function, backend):
    expected, parameter = (
        Parameter(tn.zeros((4, 3), dtype="float64", backend=where), backend=where)
        for where in (tn.get_backend("numpy"), engine(backend))
    )
    for each in (expected, parameter):
        tn.manual_seed(3)
        function(each)
    assert parameter.tolist() == expected.tolist()


def test_layers_are_made_on_the_default_backend():
    with tn.use_backend("scalar"):
        assert nn.Linear(4, 3).weight.backend.name == "scalar"
    assert nn.Linear(4, 3).weight.backend.name == "numpy"


@pytest.mark.parametrize("weights", init.WEIGHTS)
def test_initialise_treats_weights_and_biases_apart(weights):
    model = nn.Sequential(nn.Linear(50, 40), nn.Linear(40, 30))
    assert init.initialise(model, weights) is model
    assert not model[0].bias.numpy().any()
    assert model[0].weight.numpy().any() == (weights != "zeros")
    init.initialise(model, weights, biases="normal")
    assert model[0].bias.numpy().std() == pytest.approx(1.0, abs=0.45)  # four standard errors of 40 numbers


@pytest.mark.parametrize("names", [("gauss", "zeros"), ("normal", "xavier")])
def test_initialise_knows_its_names(names):
    model = nn.Sequential(nn.Linear(2, 2))
    before = model[0].weight.tolist()
    with pytest.raises(ArgumentError, match=r"weights is one of normal, scaled-normal, xavier, he, zeros; biases is"):
        init.initialise(model, *names)
    assert model[0].weight.tolist() == before


@pytest.mark.parametrize("function", [init.scaled_normal_, init.xavier_uniform_, init.kaiming_normal_])
def test_a_bias_has_no_fans(function):
    with pytest.raises(ArgumentError, match=r"fan_in and fan_out need a weight of shape \(out, in, …\); got \(3,\)"):
        function(Parameter(tn.zeros(3)))
