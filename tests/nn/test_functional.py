"""nn.functional: PyTorch's functions under PyTorch's names, and what they say of arguments that do not fit."""

import inspect

import numpy as np
import pytest
from support import engine, on_every_backend, run, same, same_gradients, weights

import tinynet as tn
from tinynet import Tensor, nn
from tinynet.errors import ArgumentError, ShapeError, TinynetError, TypeMismatch
from tinynet.nn import functional as F

random = np.random.default_rng(4)


def numbers(*shape):
    return random.uniform(-2, 2, shape)


def shares(*shape):
    return random.uniform(0.05, 0.95, shape)


X, IMAGE, ROWS = numbers(3, 4), numbers(2, 4, 5, 4), numbers(2, 3, 5)
KEEP = random.uniform(size=(3, 4)) < 0.7
KEEP[:, 0] = True
FACTORS = [0.5, 2.0, 1.0, 0.25]

# Each row: the function's name, its inputs, its settings; nothing here tells ours from PyTorch's.
CASES = [
    ("linear", [ROWS, numbers(4, 5), numbers(4)], {}), ("linear", [X[0], numbers(2, 4)], {}),
    ("conv1d", [numbers(2, 4, 7), numbers(6, 2, 3), numbers(6)], {"stride": 2, "padding": 1, "groups": 2}),
    ("conv1d", [numbers(4, 7), numbers(2, 4, 3)], {"padding": "same", "dilation": 2}),
    ("conv2d", [IMAGE, numbers(6, 2, 3, 2), numbers(6)], {"stride": (2, 1), "padding": (1, 0), "groups": 2}),
    ("conv2d", [IMAGE, numbers(2, 4, 2, 2)], {"dilation": (1, 2)}), ("conv2d", [IMAGE[0], numbers(2, 4, 1, 1)], {}),
    ("conv_transpose2d", [IMAGE, numbers(4, 3, 3, 2), numbers(6)], {"stride": 2, "output_padding": 1, "groups": 2}),
    ("conv_transpose2d", [IMAGE, numbers(4, 1, 2, 2)], {"padding": 1, "dilation": 2}),
    ("max_pool2d", [IMAGE, 2], {}), ("max_pool2d", [IMAGE, 2, 2, 0, 1, True], {}),
    ("max_pool2d", [IMAGE, (3, 2), 1, 1, 2], {}),
    ("avg_pool2d", [IMAGE, 2], {}), ("avg_pool2d", [IMAGE, 3, 2, 1, True, False], {}),
    ("adaptive_avg_pool2d", [IMAGE, (3, None)], {}), ("adaptive_avg_pool2d", [IMAGE, 2], {}),
    ("interpolate", [IMAGE, (7, 3)], {}), ("interpolate", [IMAGE, None, 2], {}),
    ("interpolate", [IMAGE], {"scale_factor": (1.5, 2.0), "mode": "bilinear", "align_corners": False}),
    ("dropout", [X, 0.5, False], {}), ("dropout", [X, 0.0], {}), ("dropout2d", [IMAGE, 0.5, False], {}),
    ("dropout2d", [IMAGE, 1.0], {}),
    ("layer_norm", [ROWS, (3, 5), numbers(3, 5), numbers(3, 5), 1e-3], {}), ("layer_norm", [ROWS, (5,)], {}),
    ("rms_norm", [ROWS, (5,), numbers(5), 1e-3], {}), ("rms_norm", [ROWS, (3, 5)], {}),
    ("batch_norm", [ROWS, None, None, numbers(3), numbers(3), True], {"eps": 1e-2}),
    ("embedding", [np.array([[0, 3], [3, 2]]), numbers(4, 3), -1], {}),
    ("embedding", [np.array([1, 1]), numbers(4, 3)], {}),
    ("one_hot", [np.array([[0, 3], [3, 2]]), 5], {}),
    ("scaled_dot_product_attention", [ROWS, numbers(2, 4, 5), numbers(2, 4, 2), KEEP], {}),
    ("scaled_dot_product_attention", [ROWS, ROWS, ROWS], {"is_causal": True, "scale": 0.3}),
    ("softmax", [ROWS, 1], {}), ("log_softmax", [ROWS, -1], {}),
    ("relu", [X], {}), ("leaky_relu", [X], {}), ("leaky_relu", [X, 0.2], {}), ("sigmoid", [X], {}), ("tanh", [X], {}),
    ("gelu", [X], {}), ("gelu", [X], {"approximate": "tanh"}), ("silu", [X], {}), ("softplus", [X], {}),
    ("cross_entropy", [X, np.array([0, 3, 1])], {}), ("cross_entropy", [X, shares(3, 4)], {"reduction": "sum"}),
    ("cross_entropy", [IMAGE, random.integers(0, 4, (2, 5, 4))], {"ignore_index": 2, "label_smoothing": 0.1}),
    ("mse_loss", [X, numbers(3, 4)], {}), ("mse_loss", [X, numbers(3, 4)], {"reduction": "none"}),
    ("l1_loss", [X, numbers(3, 4)], {}), ("smooth_l1_loss", [X, numbers(3, 4)], {"beta": 0.5, "reduction": "sum"}),
    ("smooth_l1_loss", [X, numbers(3, 4)], {}), ("binary_cross_entropy", [shares(3, 4), shares(3, 4)], {}),
    ("binary_cross_entropy_with_logits", [X, shares(3, 4)], {"reduction": "sum"}),
]  # fmt: skip
over_cases = pytest.mark.parametrize(
    ("name", "inputs", "settings"), CASES, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]
)


@pytest.mark.torch
@over_cases
def test_values_and_gradients_are_pytorchs(name, inputs, settings):
    import torch

    found, gradients = run(lambda *x: getattr(F, name)(*x, **settings), inputs, "numpy")
    given = [torch.tensor(x, requires_grad=x.dtype == float) if isinstance(x, np.ndarray) else x for x in inputs]
    if name == "cross_entropy":
        settings = {"ignore_index": -100} | settings
    out = getattr(torch.nn.functional, name)(*given, **settings)
    if out.requires_grad:
        out.backward(torch.tensor(weights(tuple(out.shape))))
    same(found, out.detach().numpy(), name, 1e-10, 1e-12)
    theirs = [x.grad.numpy() if isinstance(x, torch.Tensor) and x.grad is not None else None for x in given]
    same_gradients(gradients, theirs, name, 1e-10, 1e-12)


@over_cases
def test_the_scalar_backend_agrees(name, inputs, settings):
    (found, gradients), (expected, slopes) = (
        run(lambda *x: getattr(F, name)(*x, **settings), inputs, backend) for backend in ("numpy", "scalar")
    )
    same(found, expected, name, 1e-10, 1e-12)
    same_gradients(gradients, slopes, name, 1e-10, 1e-12)


@over_cases
def test_arrays_and_lists_count_as_tensors(name, inputs, settings):
    """Alone they go to the default backend, beside a tensor to where it is, in its element type."""
    function = getattr(F, name)
    expected = function(*[Tensor(x) if isinstance(x, np.ndarray) else x for x in inputs], **settings)
    same(function(*inputs, **settings).numpy(), expected.numpy(), "arrays", 0)
    lists = function(*[x.tolist() if isinstance(x, np.ndarray) else x for x in inputs], **settings)
    assert lists.dtype == {"float64": "float32"}.get(expected.dtype, expected.dtype)
    same(lists.numpy(), expected.numpy(), "lists", 1e-4, 1e-4)
    first = next(i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and (x.dtype == float or i == 0))
    mixed = [Tensor(x, backend=engine("strict")) if i == first else x for i, x in enumerate(inputs)]
    out = function(*mixed, **settings)
    assert out.backend is engine("strict") and out.dtype in (expected.dtype, "float32")
    same(out.numpy(), expected.numpy(), "beside a tensor", 1e-4, 1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weighted_cross_entropy_is_pytorchs(reduction):
    import torch

    target = np.array([0, 3, 1])
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(X), torch.tensor(target), torch.tensor(FACTORS, dtype=torch.float64), reduction=reduction
    )
    for factors in (FACTORS, np.array(FACTORS), Tensor(FACTORS)):
        found = F.cross_entropy(Tensor(X), target, factors, reduction=reduction)
        same(found.numpy(), expected.numpy(), "weighted", 1e-10)


@pytest.mark.torch
@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_are_pytorchs(training):
    import torch

    arrays = [ROWS, numbers(3), shares(3), numbers(3), numbers(3)]
    ours, theirs = [Tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]
    found, expected = (f(*given, training, 0.3) for f, given in ((F.batch_norm, ours),
                       (torch.nn.functional.batch_norm, theirs)))  # fmt: skip
    same(found.numpy(), expected.numpy(), "batch_norm", 1e-10, 1e-12)
    for a, b in zip(ours, theirs):
        same(a.numpy(), b.numpy(), "in place", 1e-10)


@pytest.mark.torch
@pytest.mark.parametrize("name", F.__all__)
def test_arguments_have_pytorchs_names_order_and_defaults(name):
    """But for what we leave out, and ``ignore_index``, which leaves nothing out here."""
    import torch

    function = vars(torch.nn.functional).get(f"_{name}" if name == "max_pool2d" else name)  # its face hides them
    try:
        theirs = dict(inspect.signature(function).parameters)
    except ValueError:  # built in: the signature is in the first words of its documentation
        words = function.__doc__.split("(", 1)[1].split(")")[0]
        theirs = {word.split("=")[0].strip(): None for word in words.split(",")}
    ours = inspect.signature(getattr(F, name)).parameters
    assert [p for p in theirs if p in ours] == [p for p in ours if p in theirs]
    assert set(ours) <= set(theirs)
    for key, parameter in theirs.items():
        if parameter is not None and key in ours and key != "ignore_index" and parameter.default != inspect._empty:
            assert ours[key].default in (parameter.default, inspect._empty), key


@pytest.mark.tiny
@pytest.mark.parametrize("name", F.__all__)
def test_each_function_says_what_it_does_and_what_it_takes(name):
    function = getattr(F, name)
    assert inspect.isfunction(function) and len(function.__doc__) > 20
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


@pytest.mark.parametrize("reference", [False, True])
def test_integers_count_as_floats(reference):
    whole = np.arange(24).reshape(2, 3, 4)
    with tn.reference() if reference else tn.no_grad():
        same(F.softmax(whole, -1).numpy(), F.softmax(whole.astype("float32"), -1).numpy(), "softmax", 1e-6)
        same(F.linear(whole, np.eye(4)).numpy(), whole, "linear", 0)
        assert F.linear(Tensor(whole), Tensor(np.eye(4))).dtype == "float64"
        same(F.mse_loss([1, 2], [0.5, 1.5]).numpy(), 0.25, "mse_loss", 0)
        same(F.conv1d(whole, np.ones((1, 3, 1), int)).numpy(), whole.sum(1, keepdims=True), "conv1d", 0)


def test_a_step_of_functions_records_and_replays():
    w, k = Tensor(numbers(3, 8), requires_grad=True), Tensor(numbers(2, 1, 3, 3), requires_grad=True)

    def step(x, y):
        x = F.max_pool2d(F.relu(F.conv2d(x, k, padding=1)), 2).flatten(1)
        loss = F.cross_entropy(F.linear(F.layer_norm(F.dropout2d(x.unsqueeze(1), 0.0).squeeze(1), 8), w), y)
        w.zero_grad(), k.zero_grad()
        loss.backward()
        return loss, w.grad, k.grad

    recorded = tn.capture(step)
    for _ in range(3):
        given = Tensor(numbers(5, 1, 4, 4)), Tensor(random.integers(0, 3, 5))
        expected = [t.numpy() for t in step(*given)]
        for found, wanted in zip(recorded(*given), expected):
            np.testing.assert_array_equal(found.numpy(), wanted)


def test_dropout_draws_anew_and_keeps_whole_channels():
    tn.manual_seed(1)
    seen = F.dropout2d(np.ones((40, 5, 2, 3)), 0.25).numpy()
    assert set(np.unique(seen)) == {0, 1 / 0.75} and (np.ptp(seen, axis=(2, 3)) == 0).all()
    single = F.dropout(np.ones((40, 50)), 0.25).numpy()
    assert abs((single == 0).mean() - 0.25) < 0.05
    x = Tensor(X)
    assert F.dropout(x, 0.5, False) is x


# --- refusals ---------------------------------------------------------------------------------------------------------

KERNEL = np.ones((6, 2, 3, 3))
REFUSED = [
    ("linear", (X, np.ones((2, 3))), ShapeError, r"linear needs input \(…, in_features\).*\(3, 4\) and \(2, 3\)"),
    ("linear", (X, np.ones(4)), ShapeError, r"weight \(out_features, in_features\); got \(3, 4\) and \(4,\)"),
    ("linear", (X, np.ones((2, 4)), np.ones(3)), ShapeError, r"linear needs bias of shape \(2,\).*got \(3,\)"),
    ("linear", (3.0, np.ones((2, 4))), ShapeError, r"linear needs input .*got \(\)"),
    ("linear", ("words", X), TypeMismatch, "linear needs a tensor, an array or lists of numbers; got 'words'"),
    ("linear", (X, "words"), TypeMismatch, "linear needs a tensor, an array"),
    ("relu", (None,), TypeMismatch, "relu needs a tensor.*got None"),
    ("linear", (X, None), TypeMismatch, "linear needs a tensor.*got None"),
    ("conv2d", (IMAGE, KERNEL[0]), ShapeError, r"conv2d needs weight \(.*height, width\); got \(2, 3, 3\)"),
    ("conv2d", (IMAGE, KERNEL), ShapeError, r"conv2d\(2, 6, 3\) needs \(batch, 2, height, width\); got \(2, 4, 5, 4\)"),
    ("conv2d", (IMAGE, KERNEL, np.ones(5), 1, 0, 1, 2), ShapeError, r"conv2d needs bias of shape \(6,\).*got \(5,\)"),
    ("conv2d", (IMAGE, KERNEL, None, 1, 0, 3, 2), ShapeError, r"conv2d\(.*\) has a window of 7 × 7, larger than"),
    ("conv2d", (IMAGE, KERNEL, None, 0), ArgumentError, "conv2d needs stride"),
    ("conv2d", (IMAGE, KERNEL, None, 1, 0, 1, 0), ArgumentError, "conv2d needs groups"),
    ("conv2d", (IMAGE, KERNEL, None, 1, 0, 1, 4), ArgumentError, "groups must divide"),
    ("conv2d", (IMAGE, KERNEL, None, 2, "same", 1, 2), ArgumentError, "conv2d.*padding='same'"),
    ("conv_transpose2d", (IMAGE, np.ones((4, 1, 2, 2)), np.ones(4)), ShapeError, r"needs bias of shape \(1,\)"),
    ("conv1d", (numbers(2, 3, 1), np.ones((1, 3, 2))), ShapeError, r"conv1d\(.*window of 2, larger"),
    ("max_pool2d", (IMAGE, 0), ArgumentError, "max_pool2d needs kernel_size"),
    ("max_pool2d", (X, 2), ShapeError, r"max_pool2d\(2\) needs \(batch, channels, height, width\); got \(3, 4\)"),
    ("interpolate", (IMAGE,), ArgumentError, "either size or scale_factor"),
    ("adaptive_avg_pool2d", (IMAGE, 0), ArgumentError, "needs output_size"),
    ("dropout", (X, 1.5), ArgumentError, r"dropout\(p=1.5\)"),
    ("dropout2d", (IMAGE, -1), ArgumentError, r"dropout2d\(p=-1\)"),
    ("layer_norm", (ROWS, 3), ShapeError, r"layer_norm needs normalized_shape.*got 3 for \(2, 3, 5\)"),
    ("layer_norm", (ROWS, ()), ShapeError, "layer_norm needs normalized_shape"),
    ("layer_norm", (ROWS, (2, 3, 5, 1)), ShapeError, "layer_norm needs normalized_shape"),
    ("layer_norm", (ROWS, (5,), np.ones(3)), ShapeError, r"layer_norm needs weight of shape \(5,\).*got \(3,\)"),
    ("layer_norm", (ROWS, 5, None, np.ones(1)), ShapeError, r"layer_norm needs bias of shape \(5,\).*got \(1,\)"),
    ("rms_norm", (ROWS, (5,), np.ones(1)), ShapeError, r"rms_norm needs weight of shape \(5,\)"),
    ("batch_norm", (X[0], None, None), ShapeError, r"batch_norm needs input \(batch, channels, …\); got \(4,\)"),
    ("batch_norm", (X, np.ones(1), np.ones(4)), ShapeError, r"batch_norm needs running_mean of shape \(4,\)"),
    ("batch_norm", (X, None, None, np.ones(3)), ShapeError, r"batch_norm needs weight of shape \(4,\)"),
    ("batch_norm", (X, np.ones(4), None), ArgumentError, "running_mean and running_var together"),
    ("batch_norm", (X, np.ones(4), np.ones(4), None, None, True), TypeMismatch, "in place: give it tensors"),
    ("batch_norm", (X[:1], None, None, None, None, True), ShapeError, "more than one number a channel"),
    ("embedding", ([0, 4], X), ArgumentError, "embedding has rows 0 … 2; got index 4"),
    ("embedding", ([0.0], X), TypeMismatch, "embedding looks up rows by whole numbers; got float32"),
    ("embedding", ([0], X[0]), ShapeError, r"embedding needs weight .*got \(4,\)"),
    ("embedding", ([0], X, 3), ArgumentError, "embedding has rows 0 … 2; got padding_idx=3"),
    ("one_hot", ([0, 4], 4), ArgumentError, "one_hot needs classes 0 … 3; got 0 … 4"),
    ("one_hot", ([0, 4], 0), ArgumentError, "one_hot needs num_classes"),
    ("one_hot", ([0.5], 4), TypeMismatch, "one_hot needs classes, whole numbers; got float32"),
    ("scaled_dot_product_attention", (X, X[:, :3], X), ShapeError, "attention needs query"),
    ("scaled_dot_product_attention", (X, X, X, [[1, 2, 3]] * 3), TypeMismatch, "mask of booleans, or of floats"),
    ("softmax", (X, 2), ShapeError, r"no dimension 2 in a tensor of shape \(3, 4\)"),
    ("softmax", (X, None), ArgumentError, "softmax needs dim, a whole number; got None"),
    ("layer_norm", (X, 4, None, None, "a"), ArgumentError, r"layer_norm\(eps='a'\)"),
    ("rms_norm", (X, 4, None, -1), ArgumentError, r"rms_norm\(eps=-1\)"),
    ("batch_norm", (X, None, None, None, None, False, None), ArgumentError, r"batch_norm\(momentum=None\)"),
    ("gelu", (X, "erf"), ArgumentError, "approximate='erf'"),
    ("leaky_relu", (X, "a"), TinynetError, "negative_slope"),
    ("mse_loss", (X, X[:2]), ShapeError, r"mse_loss needs a target of the prediction's shape \(3, 4\)"),
    ("mse_loss", (X, X, X), ArgumentError, r"mse_loss\(reduction=array(.|\n)*: choose one of mean"),
    ("mse_loss", (X, X, "average"), ArgumentError, r"mse_loss\(reduction='average'\): choose one of mean"),
    ("cross_entropy", (X, [0, 1, 4]), ArgumentError, "cross_entropy got classes 0 … 4"),
    ("cross_entropy", (X, [0, 1, 2], [1.0]), ShapeError, "1 numbers for 4 classes"),
    ("smooth_l1_loss", (X, X, "mean", 0), ArgumentError, "beta"),
]


@on_every_backend
@pytest.mark.parametrize(("name", "given", "error", "words"), REFUSED, ids=[f"{r[0]}-{r[3]}" for r in REFUSED])
def test_a_call_that_makes_no_sense_is_refused(name, given, error, words, backend):
    given = [Tensor(x, backend=engine(backend)) if i == 0 and isinstance(x, np.ndarray) else x
             for i, x in enumerate(given)]  # fmt: skip
    with pytest.raises(error, match=words):
        getattr(F, name)(*given)


def test_the_functions_hold_for_modules_written_by_hand():
    class Net(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(numbers(2, 4))

        def forward(self, x):
            return F.log_softmax(F.linear(x, self.weight), -1)

    net = Net()
    out = net(X.tolist())
    (-out[:, 0].mean()).backward()
    assert out.shape == (3, 2) and net.weight.grad.shape == (2, 4)
