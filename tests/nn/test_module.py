"""Module: finding parts, saving and loading, modes, hooks, moving, showing, and what may be passed to a model."""

import copy

import numpy as np
import pytest
from support import engine, on_every_backend, same

import tinynet as tn
from tinynet import Tensor, Value, nn
from tinynet.errors import ArgumentError, BackendMismatch, BackendUnavailable, CaptureError, ShapeError, TypeMismatch
from tinynet.nn import Parameter


class Block(nn.Module):
    """Parameters, a buffer and modules, set in an order that is neither alphabetical nor by kind."""

    def __init__(self):
        self.scale = Parameter([2.0])
        self.second = nn.Linear(3, 2)
        self.first = nn.Linear(2, 2, bias=False)
        self.register_buffer("seen", Tensor([0, 7]))
        self.register_buffer("mean", Tensor([0.5]))
        self.note = Tensor([1.0])  # a plain tensor is no state

    def forward(self, x):
        return self.first(self.second(x) * self.scale)


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        self.encoder = nn.Linear(2, 2, bias=False)
        self.decoder = nn.Linear(2, 2, bias=False)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.decoder(self.encoder(x).tanh())


def mlp():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


# --- what it consists of ----------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_parameters_come_in_the_order_in_which_they_were_set():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == ["scale", "second.weight", "second.bias", "first.weight"]
    assert [name for name, _ in block.named_buffers()] == ["seen", "mean"]
    assert [name for name, _ in block.named_modules()] == ["", "second", "first"]
    assert list(block.children()) == [block.second, block.first]
    assert all(a is b for a, b in zip(block.parameters(), (p for _, p in block.named_parameters()), strict=True))


def test_a_tied_parameter_is_listed_once_and_saved_under_both_names():
    tied = Tied()
    assert [name for name, _ in tied.named_parameters()] == ["encoder.weight"]
    assert list(tied.state_dict()) == ["encoder.weight", "decoder.weight"]


def test_a_module_that_stands_twice_has_its_parameters_once():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    assert len(list(model.parameters())) == 2
    assert len(model.state_dict()) == 4


def test_buffers_hold_tensors_and_each_name_once():
    block = Block()
    block.register_buffer("mean", Tensor([1.5]))
    assert [name for name, _ in block.named_buffers()] == ["seen", "mean"]
    assert block.state_dict()["mean"].tolist() == [1.5]
    with pytest.raises(TypeMismatch, match="register_buffer\\('width', …\\) holds a Tensor; got float"):
        block.register_buffer("width", 1.5)


def test_forward_must_be_written():
    with pytest.raises(NotImplementedError, match="Module does not say how it computes"):
        nn.Module()(Tensor([1.0]))


def test_forward_takes_keywords():
    class Scaled(nn.Module):
        def forward(self, x, by=1.0):
            return x * by

    assert Scaled()([1.0, 2.0], by=3.0).tolist() == [3.0, 6.0]


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
def test_state_goes_out_and_comes_back(backend):
    source, target = Block().to(engine(backend)), Block().to(engine(backend))
    target.load_state_dict({name: tensor.numpy() for name, tensor in source.state_dict().items()})
    for name, tensor in source.state_dict().items():
        assert target.state_dict()[name].tolist() == tensor.tolist(), name


def test_state_from_another_backend_is_converted():
    source, target = mlp().to("scalar"), mlp()
    target.load_state_dict(source.state_dict())
    assert target[0].weight.dtype == "float32"
    assert target[0].weight.tolist() == source[0].weight.tolist()


@pytest.mark.tiny
def test_a_state_that_does_not_fit_is_refused_difference_by_difference():
    model = mlp()
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    state = {name: array + 1 for name, array in before.items() if name != "2.bias"}
    state |= {"0.weight": np.zeros((4, 9)), "head.weight": np.zeros((2, 4))}
    with pytest.raises(ArgumentError) as caught:
        model.load_state_dict(state)
    assert str(caught.value).splitlines() == [
        "this state does not fit Sequential:",
        "  missing     2.bias (2,)",
        "  unexpected  head.weight (2, 4)",
        "  shape       0.weight: the model has (4, 3), the state (4, 9)",
    ]
    assert all((tensor.numpy() == before[name]).all() for name, tensor in model.state_dict().items())


def test_not_strict_overlooks_names_but_not_shapes():
    model = mlp()
    bias = model[2].bias.tolist()
    model.load_state_dict({"0.bias": np.full(4, 9.0), "head.weight": np.zeros(3)}, strict=False)
    assert model[0].bias.tolist() == [9.0] * 4
    assert model[2].bias.tolist() == bias
    with pytest.raises(ArgumentError, match=r"shape       0\.bias: the model has \(4,\), the state \(3,\)"):
        model.load_state_dict({"0.bias": np.zeros(3)}, strict=False)


@pytest.mark.torch
@pytest.mark.parametrize("export", [lambda t: t, lambda t: t.numpy()], ids=["tensors", "arrays"])
def test_a_pytorch_state_fits_as_it_is(export):
    import torch

    torch.manual_seed(0)
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    ours = mlp()
    ours.load_state_dict({name: export(tensor) for name, tensor in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    same(ours(x).numpy(), theirs(torch.tensor(x)).detach().numpy(), "output", 1e-5, 1e-6)  # float32: eps is 1.2e-7


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Sequential(nn.Tanh(), nn.Linear(2, 2)), nn.ReLU())
    assert all(m.training for m in model.modules())
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    assert all(m.training for m in model.train().modules())


def test_looking_at_a_model_leaves_each_modules_mode_alone():
    model = mlp()
    model[0].eval()
    modes = [m.training for m in model.modules()]
    model.predict(np.zeros((2, 3)))
    model.summary()
    with model.evaluating():
        assert not any(m.training for m in model.modules())
    assert [m.training for m in model.modules()] == modes


def test_predict_goes_batch_by_batch_and_remembers_nothing():
    model, x = mlp(), np.random.default_rng(0).normal(size=(7, 3))
    together, parts = model.predict(x), model.predict(x, batch_size=3)
    assert not parts.requires_grad
    # one matrix product or three: BLAS may add in another order, a unit or two in the last place of float32
    same(parts.numpy(), together.numpy(), "outputs", 1e-5, 1e-6)


def test_zero_grad_and_requires_grad():
    model = mlp()
    model([[1.0, 2.0, 3.0]]).sum().backward()
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    model[0].requires_grad_(False)
    model([[1.0, 2.0, 3.0]]).sum().backward()
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False]


# --- hooks ------------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
def test_forward_hooks_run_in_order_replace_the_output_and_go(backend):
    layer = nn.Linear(2, 1).to(engine(backend))
    x = [[1.0, 2.0]]
    plain, seen = layer(x).item(), []

    def look(module, inputs, output):
        seen.append((module is layer, inputs[0] is x, output.item()))

    def double(module, inputs, output):
        return output * 2

    removers = [layer.register_forward_hook(hook) for hook in (look, double, look)]
    assert layer(x).item() == 2 * plain
    assert seen == [(True, True, plain), (True, True, 2 * plain)]
    removers[1]()
    assert layer(x).item() == plain
    removers[0](), removers[2]()
    seen.clear()
    layer(x)
    assert not seen


@on_every_backend
def test_a_gradient_hook_sees_the_gradient_of_the_output(backend):
    """For L = Σ w·tanh(a): dL/d tanh(a) = w, and dL/da = w (1 - tanh² a), written out."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh()).to(engine(backend), "float64")
    x, w, seen = Tensor([[0.3, -0.2]], "float64", backend=engine(backend)), np.array([[2.0, -3.0]]), {}
    for module in model:
        module.register_gradient_hook(lambda m, g: seen.__setitem__(type(m).__name__, g.numpy()))
    out = model(x)
    (out * Tensor(w, backend=engine(backend))).sum().backward()
    same(seen["Tanh"], w, "gradient at tanh", 1e-15)
    same(seen["Linear"], w * (1 - out.numpy() ** 2), "gradient at the sum", 1e-14)  # a few roundings


def test_a_gradient_hook_may_replace_the_gradient_and_can_be_removed():
    layer = nn.Linear(1, 1)
    remove = layer.register_gradient_hook(lambda module, g: g * 10)
    layer([[3.0]]).sum().backward()
    assert (layer.weight.grad.item(), layer.bias.grad.item()) == (30.0, 10.0)
    remove()
    layer.zero_grad()
    layer([[3.0]]).sum().backward()
    assert (layer.weight.grad.item(), layer.bias.grad.item()) == (3.0, 1.0)


def test_a_gradient_hook_needs_one_tensor():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    model = Pair()
    model.register_gradient_hook(lambda module, g: None)
    with pytest.raises(TypeMismatch, match=r"a gradient hook needs .* returns one tensor; .* returned tuple"):
        model(Tensor([1.0], requires_grad=True))


@pytest.mark.parametrize("kind", ["register_forward_hook", "register_gradient_hook"])
def test_hooks_refuse_to_be_recorded(kind):
    model = mlp()
    remove = getattr(model[0], kind)(lambda *_: None)
    step = tn.capture(lambda x: model(x))
    x = np.zeros((1, 3), np.float32)
    with pytest.raises(CaptureError, match=r'Linear\(3, 4\) "0" has hooks'):
        step(x)
    remove()
    assert step(x).shape == (1, 2)


def test_hooks_refuse_to_be_recorded_where_a_module_returns_a_pair():
    class Pair(nn.Module):
        def forward(self, x):
            return x + 1, x + 2

    model = Pair()
    model.register_forward_hook(lambda *_: None)
    with pytest.raises(CaptureError):
        tn.capture(lambda x: model(x)[0])(np.zeros(2, np.float32))


# --- summary, repr ----------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_summary_of_the_network_of_nielsens_first_chapter():
    model = nn.Sequential(
        nn.Linear(784, 16), nn.Sigmoid(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 10), nn.Sigmoid()
    )
    summary = model.summary()
    assert (summary.parameters, summary.trainable, summary.bytes) == (13_002, 13_002, 4 * 13_002)
    assert [row.parameters for row in summary.rows] == [784 * 16 + 16, 0, 16 * 16 + 16, 0, 16 * 10 + 10, 0]
    assert [row.output_shape for row in summary.rows] == [(1, 16)] * 4 + [(1, 10)] * 2
    lines = str(summary).splitlines()
    assert lines[0].split() == ["name", "layer", "output", "parameters"]
    assert lines[2].split() == ["0", "Linear(784,", "16)", "(batch,", "16)", "12,560"]
    assert lines[-1] == "13,002 parameters, 52.0 kB"
    assert len({len(line) for line in lines[:-1]}) == 1
    assert str(model.summary((784,))) == str(model.summary(784)) == str(summary)


def test_summary_leaves_no_hook_behind_and_no_memory():
    model = mlp()
    model.summary()
    assert not any(m._forward_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_summary_where_the_input_is_unknown():
    model = nn.Sequential(nn.ReLU(), nn.Linear(3, 2))
    assert [row.output_shape for row in model.summary().rows] == [None, None]
    assert " ? " in str(model.summary())
    assert [row.output_shape for row in model.summary((5, 3)).rows] == [(1, 5, 3), (1, 5, 2)]


def test_summary_of_a_wrong_shape():
    model = mlp()
    with pytest.raises(ArgumentError, match=r"summary\(input_shape=\(4,\)\) does not fit the model: Linear\(3, 4\)"):
        model.summary((4,))
    assert not any(m._forward_hooks for m in model.modules())


def test_summary_counts_what_a_module_holds_itself_and_what_is_frozen():
    summary = Block().summary((3,))
    assert [(row.name, row.parameters) for row in summary.rows] == [("second", 8), ("first", 4), ("Block", 1)]
    assert summary.parameters == sum(row.parameters for row in summary.rows) == 13
    model = mlp()
    model[0].requires_grad_(False)
    assert (model.summary().parameters, model.summary().trainable) == (26, 10)
    assert str(model.summary()).splitlines()[-1] == "26 parameters (10 trainable), 0.1 kB"


@pytest.mark.tiny
def test_repr_shows_the_tree():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3, bias=False), nn.LeakyReLU(0.2)), nn.Softmax())
    assert repr(model) == (
        "Sequential(\n  (0): Sequential(\n    (0): Linear(2, 3, bias=False)\n    (1): LeakyReLU(0.2)\n  )\n"
        "  (1): Softmax(dim=-1)\n)"
    )
    assert repr(nn.CrossEntropyLoss("sum")) == "CrossEntropyLoss(reduction='sum')"


# --- Sequential, ModuleList -------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_sequential_is_a_list_of_modules():
    model = mlp()
    assert len(model) == 3
    assert [type(m).__name__ for m in model] == ["Linear", "Tanh", "Linear"]
    assert model[-1] is model[2]
    assert list(model[:2]) == [model[0], model[1]]
    assert model[:2]([[1.0, 2.0, 3.0]]).shape == (1, 4)
    model.append(nn.ReLU())
    assert [name for name, _ in model.named_children()] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU),
        lambda: nn.ModuleList([nn.Tanh(), nn.ReLU]),
        lambda: nn.ModuleList([nn.Tanh()]).append(nn.ReLU),
    ],
)
def test_a_class_is_no_module(make):
    with pytest.raises(TypeMismatch, match=r"takes modules; number 1 is type: .*needs its parentheses"):
        make()


def test_a_list_is_no_module():
    with pytest.raises(TypeMismatch, match=r"Sequential takes modules; number 0 is list.*needs a star"):
        nn.Sequential([nn.ReLU()])


def test_a_module_list_holds_and_does_not_compute():
    parts = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)])
    parts.append(nn.Linear(1, 1))
    assert len(parts) == 3
    assert len(list(parts.parameters())) == 6
    with pytest.raises(ArgumentError, match="a ModuleList does not compute"):
        parts([[1.0, 2.0]])


# --- moving -----------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_moving_takes_parameters_gradients_and_buffers_along():
    block = Block()
    block([[1.0, 2.0, 3.0]]).sum().backward()
    before = {name: (p.tolist(), p.grad.tolist()) for name, p in block.named_parameters()}
    for backend, dtype in (("scalar", "float64"), ("numpy", "float64"), ("numpy", "float32")):
        assert block.to(backend, dtype) is block
        for name, p in block.named_parameters():
            assert [(t.backend.name, t.dtype) for t in (p, p.grad)] == [(backend, dtype)] * 2, name
            assert (p.tolist(), p.grad.tolist()) == before[name]
        assert [(b.backend.name, b.dtype) for _, b in block.named_buffers()] == [(backend, "int64"), (backend, dtype)]


def test_a_dtype_alone_is_understood():
    assert mlp().to("float64")[0].weight.dtype == mlp().to(dtype="float64")[0].weight.dtype == "float64"


def test_tied_stays_tied_wherever_it_goes():
    tied = Tied()
    for backend, dtype in (("scalar", None), ("numpy", "float64"), (None, "float32")):
        tied.to(backend, dtype)
        assert tied.encoder.weight is tied.decoder.weight
    x = Tensor([[0.5, -1.0]])
    tied(x).sum().backward()
    w = tied.encoder.weight
    separate = Tied()
    separate.decoder.weight = Parameter(w.detach())
    separate.encoder.weight = Parameter(w.detach())
    separate(x).sum().backward()
    both = separate.encoder.weight.grad + separate.decoder.weight.grad
    same(w.grad.numpy(), both.numpy(), "the shared gradient is the sum of both", 1e-6)  # float32


@pytest.mark.parametrize("dtype", ["int32", "float31"])
def test_a_model_computes_in_floats(dtype):
    model = mlp()
    with pytest.raises(TypeMismatch, match="a model computes in float16, bfloat16, float32, float64"):
        model.to("numpy", dtype)
    assert model[0].weight.dtype == "float32"


def test_a_move_that_fails_changes_nothing(monkeypatch):
    model = mlp()
    model([[1.0, 2.0, 3.0]]).sum().backward()
    before = [(p.data, p.backend, p.grad) for p in model.parameters()]
    scalar, left = tn.get_backend("scalar"), iter(range(6))  # four parameters convert; the second gradient does not
    plainly = type(scalar).array

    def array(self, data, dtype=None):
        if next(left, None) is None:
            raise BackendUnavailable("out of memory")
        return plainly(self, data, dtype)

    monkeypatch.setattr(type(scalar), "array", array)
    with pytest.raises(BackendUnavailable):
        model.to("scalar")
    now = [(p.data, p.backend, p.grad) for p in model.parameters()]
    assert all(a is b for old, new in zip(before, now, strict=True) for a, b in zip(old, new, strict=True))


def test_an_unknown_backend_changes_nothing():
    model = mlp()
    with pytest.raises(ArgumentError, match="there is no backend 'gpu'"):
        model.to("gpu")
    assert model[0].weight.backend.name == "numpy"


def test_a_deep_copy_is_a_model_of_its_own():
    model = mlp()
    twin = copy.deepcopy(model)
    with tn.no_grad():
        twin[0].weight.zero_()
    assert model[0].weight.numpy().any()
    assert twin([[1.0, 2.0, 3.0]]).shape == (1, 2)


# --- what may be passed to a model ------------------------------------------------------------------------------------


@pytest.mark.tiny
@on_every_backend
def test_lists_and_arrays_are_moved_to_the_parameters(backend):
    model = mlp().to(engine(backend))
    here = model[0].weight
    rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    expected = model(Tensor(rows, backend=engine(backend))).tolist()
    for x in (rows, [tuple(row) for row in rows], np.array(rows), np.array(rows, np.float32)):
        out = model(x)
        assert out.tolist() == expected
        assert (out.backend, out.dtype) == (here.backend, here.dtype)


@on_every_backend
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_whole_numbers_are_computed_in_the_models_type(backend, dtype):
    model = nn.Linear(3, 2).to(engine(backend))
    x = np.array([[1, 0, 1]], dtype)
    out = model(x)
    assert out.dtype == model.weight.dtype
    assert out.tolist() == model(x.astype(float)).tolist() == model([[1, 0, 1]]).tolist()


def test_python_floats_keep_their_digits_in_a_float64_model():
    model = nn.Linear(1, 1, bias=False).to(dtype="float64")
    model.load_state_dict({"weight": np.ones((1, 1))})
    assert model([[0.1]]).item() == 0.1  # by way of float32 it would be 0.10000000149


def test_values_are_inputs_of_a_scalar_model():
    """As numbers in a list; and with a gradient, where the tensor that holds them asks for one."""
    x = Value(3.0)
    model = nn.Linear(1, 1).to("scalar")
    out = model(Tensor([[x]], backend="scalar", requires_grad=True))
    assert out.tolist() == model([[x]]).tolist() == model([[3.0]]).tolist()
    out.data.item().backward()
    assert x.grad == model.weight.item()


@pytest.mark.parametrize("odd", ["text", None, 5.0, {"x": 1}])
def test_other_things_are_refused_by_name(odd):
    with pytest.raises(TypeMismatch, match=rf"Linear\(3, 4\) \"0\" needs a tensor.*got {type(odd).__name__}"):
        mlp()(odd)


def test_wrong_shapes_are_refused_with_a_question():
    with pytest.raises(ShapeError, match=r"needs \(batch, 3\); got \(2, 4\)\. Does it follow a layer with 4 outputs\?"):
        mlp()(np.zeros((2, 4)))
    with pytest.raises(ShapeError, match=r"needs \(batch, 3\); got \(\)\. Is it a batch\?"):
        mlp()(np.float32(1))


def test_another_backends_tensor_is_refused():
    with pytest.raises(BackendMismatch, match="linear got tensors on scalar and on numpy"):
        mlp()(Tensor([[1.0, 2.0, 3.0]], backend="scalar"))


@on_every_backend
def test_an_empty_batch_passes_through_and_back(backend):
    model = mlp().to(engine(backend))
    out = model(np.zeros((0, 3)))
    assert out.shape == (0, 2)
    out.sum().backward()
    assert all(not p.grad.numpy().any() and p.grad.shape == p.shape for p in model.parameters())


def test_one_example_and_stacks_of_batches():
    model, x = mlp(), np.random.default_rng(0).normal(size=(2, 5, 3))
    stacked = model(x).numpy()
    assert stacked.shape == (2, 5, 2)
    same(model(x[1, 4]).numpy(), stacked[1, 4], "one example", 1e-5, 1e-6)  # float32, another order of adding


@pytest.mark.tiny
@pytest.mark.parametrize("layer", [nn.ReLU(), nn.GELU(), nn.Dropout(), nn.Flatten(), nn.LayerNorm(2)], ids=repr)
def test_nothing_is_refused_by_every_layer(layer):
    with pytest.raises(TypeMismatch, match="needs a tensor; got NoneType"):
        layer(None)


@pytest.mark.torch
def test_a_float64_state_of_pytorch_keeps_its_digits():
    import torch

    theirs, ours = torch.nn.Linear(3, 2).double(), nn.Linear(3, 2).to("float64")
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.weight.numpy(), theirs.weight.detach().numpy())
    with pytest.raises(TypeMismatch, match=r"cannot read Parameter.*detach"):
        ours.load_state_dict(dict(theirs.named_parameters()))
