"""An outsider's backend, found by its entry point, does all that a built-in one does; a broken one harms nobody."""

import sys
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import calls, check, check_out

import tinynet as tn
from tinynet import Tensor, nn, optim, registry
from tinynet.backend import REQUIRED
from tinynet.backends.numpy_backend import NumpyBackend
from tinynet.errors import BackendError, ShapeError

PACKAGE = Path(__file__).parents[1] / "third_party_backend"
rng = np.random.default_rng(8)
INPUTS, CLASSES = rng.normal(size=(20, 4)), rng.integers(0, 3, 20)


@pytest.fixture
def installed(monkeypatch):
    """Put packages on the path for the length of a test: ``installed(folder)``; nothing of them stays."""
    monkeypatch.setattr(registry, "_loaded", {})
    before = set(sys.modules)
    yield monkeypatch.syspath_prepend
    for name in set(sys.modules) - before:
        if name.startswith("tinynet_"):
            del sys.modules[name]


@pytest.fixture
def torch_cpu(installed):
    installed(PACKAGE)
    return tn.get_backend("torch-cpu")


def package(folder, name, source, module="tinynet_odd"):
    """An installed package whose entry point ``name`` is ``Odd`` in a module with this source."""
    (folder / f"{module}.py").write_text(source)
    information = folder / f"{module}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[tinynet.backends]\n{name} = {module}:Odd\n")
    return folder


def run(backend, make, capture=False):
    """The losses of ten steps, the last gradients and the trained parameters of a small network."""
    tn.manual_seed(4)
    layers = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.GELU(), nn.Linear(6, 3)
    model = nn.Sequential(*layers).to("numpy", dtype="float64").to(backend)
    optimiser, loss = make(model.parameters()), nn.CrossEntropyLoss()

    def step(x, y):
        optimiser.zero_grad()
        result = loss(model(x), y)
        result.backward()
        optimiser.step()
        return result

    step = tn.capture(step) if capture else step
    x, y = (Tensor(a, backend=backend) for a in (INPUTS, CLASSES))
    losses = [step(x, y).item() for _ in range(10)]
    return [np.array(losses), *(p.grad.numpy() for p in model.parameters()), *(p.numpy() for p in model.parameters())]


OPTIMISERS = {"SGD": lambda p: optim.SGD(p, lr=0.3, momentum=0.9), "Adam": lambda p: optim.Adam(p, lr=0.05)}


@pytest.mark.torch
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_it_trains_as_numpy_does(torch_cpu, make):
    found, expected = run("torch-cpu", make), run("numpy", make)
    assert found[0][-1] < found[0][0]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)  # rounding, carried through ten steps


@pytest.mark.torch
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_its_steps_can_be_recorded(torch_cpu, make):
    for a, b in zip(run("torch-cpu", make, capture=True), run("torch-cpu", make), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.torch
@pytest.mark.parametrize("name, inputs, params", calls(REQUIRED))
def test_its_kernels_give_numpys_numbers(torch_cpu, name, inputs, params):
    if name == "matmul" and inputs[0].dtype != inputs[1].dtype:
        pytest.skip("PyTorch multiplies matrices of one type")
    check(torch_cpu, name, inputs, params)
    for transposed in (False, True):
        check_out(torch_cpu, name, inputs, params, transposed)


@pytest.mark.torch
def test_it_is_listed_and_holds_a_model(torch_cpu):
    import torch

    assert tn.backends()["torch-cpu"] == (True, "usable")
    assert set(torch_cpu.kernels) == REQUIRED  # nothing fused: references run
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax()).to("torch-cpu")
    assert all(isinstance(p.data, torch.Tensor) for p in model.parameters())
    out = model(INPUTS)
    assert (out.shape, out.dtype, type(out.shape)) == ((20, 3), "float32", tuple)
    here = model.to("numpy")(INPUTS)
    np.testing.assert_allclose(out.numpy(), here.numpy(), rtol=1e-6)
    model.to("torch-cpu").load_state_dict({k: v.numpy() * 2 for k, v in model.state_dict().items()})
    with pytest.raises(ShapeError, match=r"add cannot take \(\(2,\) float32, \(3,\) float32\)"):
        Tensor([1.0, 2.0], backend="torch-cpu") + Tensor([1.0, 2.0, 3.0], backend="torch-cpu")


@pytest.mark.torch
@pytest.mark.parametrize("other", ["scalar", "numpy"])
def test_its_gradients_equal_those_of(torch_cpu, other):
    def gradients(backend):
        tn.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to("numpy", dtype="float64").to(backend)
        nn.CrossEntropyLoss()(model(INPUTS[:4]), CLASSES[:4]).backward()
        return [p.grad.numpy() for p in model.parameters()]

    for a, b in zip(gradients("torch-cpu"), gradients(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


# --- what goes wrong in another's package stays there -----------------------------------------------------------------

NUMPY = "from tinynet.backends.numpy_backend import NumpyBackend\n"
BROKEN = {
    "import": ("import a_library_that_is_not_there", "ModuleNotFoundError.*a_library_that_is_not_there.*anew"),
    "attribute": ("even = 2", "AttributeError.*Odd"),
    "syntax": ("def", "SyntaxError"),
    "constructor": (
        NUMPY + "class Odd(NumpyBackend):\n def __init__(self): raise OSError('no card')",
        "OSError: no card",
    ),
    "kernels": (
        NUMPY + "class Odd(NumpyBackend):\n name, kernels = 'odd', {'exp': None}",
        "lacks required kernels: abs, add.*where.*Add them",
    ),
    "methods": ("from tinynet.backend import Backend\nclass Odd(Backend):\n name = 'odd'", "TypeError.*abstract.*full"),
    "no backend": ("class Odd: name = 'odd'", "makes Odd, which is no Backend of that name"),
    "another name": (NUMPY + "class Odd(NumpyBackend): pass", "which is no Backend of that name"),
}


@pytest.mark.parametrize("source, reason", BROKEN.values(), ids=BROKEN)
def test_a_broken_backend_is_reported_and_breaks_nothing(installed, tmp_path, source, reason):
    installed(package(tmp_path, "odd", source))
    with pytest.raises(BackendError, match=f"(?s)odd.*{reason}") as caught:
        nn.Linear(2, 2).to("odd")
    assert tn.backends()["odd"] == (False, str(caught.value))
    assert tn.backends()["numpy"].usable
    assert Tensor([1.0, 2.0]).sum().item() == 3


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_a_built_in_name_cannot_be_taken_over(installed, tmp_path, name):
    installed(package(tmp_path, name, NUMPY + f"class Odd(NumpyBackend): name = {name!r}"))
    assert list(tn.backends()).count(name) == 1
    assert "tinynet_odd" not in sys.modules
    assert type(tn.get_backend("numpy")) is NumpyBackend
