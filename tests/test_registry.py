"""Which backend is meant: names, availability, choosing for a while, and backends that others add."""

import importlib.metadata

import numpy as np
import pytest

import tinynet as tn
from tinynet import Tensor, get_backend, registry, set_default_backend, use_backend
from tinynet.backend import REQUIRED, Backend
from tinynet.backends.numpy_backend import NumpyBackend
from tinynet.errors import ArgumentError, BackendError, BackendUnavailable, KernelMissing


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch):
    """Each test starts from a registry of its own."""
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    monkeypatch.setattr(registry, "_default", ["numpy"])


class Point:
    """An entry point as packaging tools see it."""

    def __init__(self, name, load):
        self.name, self.load = name, load


@pytest.fixture
def plug_in(monkeypatch):
    """Install backends for the length of a test: ``plug_in(name=loader)``."""

    def install(**loaders):
        points = [Point(name, load) for name, load in loaders.items()]
        assert registry.entry_points is importlib.metadata.entry_points
        monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "tinynet.backends" else [])

    return install


class Abacus(NumpyBackend):
    name = "abacus"


@pytest.mark.tiny
def test_names_lead_to_one_instance():
    assert get_backend("numpy") is get_backend("numpy") is get_backend() is get_backend(get_backend("numpy"))
    assert get_backend("scalar").name == "scalar" and repr(get_backend("scalar")) == "<backend scalar>"


@pytest.mark.tiny
def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ArgumentError, match=r"'abacus'.*scalar.*numpy.*cupy.*auto"):
        get_backend("abacus")


@pytest.mark.tiny
def test_backends_says_for_each_whether_it_is_usable_and_why_not():
    found = tn.backends()
    assert {"scalar", "numpy", "cupy"} <= set(found)
    assert found["numpy"] == (True, found["numpy"].reason) and found["scalar"].usable
    assert all(entry.reason.strip() for entry in found.values())


@pytest.mark.tiny
def test_backends_never_raises(plug_in):
    def missing():
        raise ModuleNotFoundError("No module named 'abacus_driver'")

    def broken():
        raise ValueError("half a wire")

    class Unfinished(NumpyBackend):
        name = "unfinished"
        kernels = {name: kernel for name, kernel in NumpyBackend.kernels.items() if name not in ("matmul", "exp")}

    plug_in(missing=missing, broken=lambda: broken, unfinished=lambda: Unfinished, abacus=lambda: Abacus)
    found = tn.backends()
    assert {name: entry.usable for name, entry in found.items() if name not in registry.BUILT_IN} == {
        "missing": False, "broken": False, "unfinished": False, "abacus": True,
    }  # fmt: skip
    assert "abacus_driver" in found["missing"].reason and "half a wire" in found["broken"].reason
    assert "exp, matmul" in found["unfinished"].reason


@pytest.mark.tiny
def test_an_explicit_name_that_cannot_run_says_why(plug_in):
    def missing():
        raise ModuleNotFoundError("No module named 'abacus_driver'")

    plug_in(abacus=missing)
    for _ in range(2):  # the second time too
        with pytest.raises(BackendUnavailable, match=r"'abacus'.*ModuleNotFoundError.*abacus_driver"):
            get_backend("abacus")
        with pytest.raises(BackendError):
            Tensor([1.0], backend="abacus")


@pytest.mark.tiny
def test_a_backend_of_a_third_party(plug_in):
    plug_in(abacus=lambda: Abacus)
    x = Tensor([1.0, 2.0], backend="abacus", requires_grad=True)
    (x * x).sum().backward()
    assert (x.grad.tolist(), x.grad.backend.name) == ([2.0, 4.0], "abacus")


@pytest.mark.tiny
def test_a_third_party_cannot_take_a_built_in_name(plug_in):
    plug_in(numpy=lambda: Abacus)
    registry._loaded.clear()
    assert type(get_backend("numpy")) is NumpyBackend


@pytest.mark.tiny
def test_a_backend_without_all_kernels_is_refused():
    class Bare(NumpyBackend):
        kernels = {}

    with pytest.raises(KernelMissing) as caught:
        Bare()
    assert all(name in str(caught.value) for name in REQUIRED)
    with pytest.raises(KernelMissing, match="'fly'"):
        get_backend("numpy").launch("fly")
    with pytest.raises(TypeError, match="abstract"):
        Backend()


@pytest.mark.tiny
def test_use_backend_ends_with_the_block_and_with_an_exception():
    with use_backend("scalar") as chosen:
        assert Tensor([1.0]).backend is chosen is get_backend("scalar")
        with use_backend("numpy"):
            assert tn.zeros(2).backend.name == "numpy"
        assert tn.zeros(2).backend is chosen
    assert Tensor([1.0]).backend.name == "numpy"
    with pytest.raises(ZeroDivisionError), use_backend("scalar"):
        raise ZeroDivisionError
    assert get_backend().name == "numpy"
    with pytest.raises(ArgumentError), use_backend("abacus"):
        pass
    assert get_backend().name == "numpy"


@pytest.mark.tiny
def test_an_instance_can_be_used():
    abacus = Abacus()
    with use_backend(abacus):
        assert Tensor([1.0]).backend is abacus and get_backend("abacus") is abacus
    assert Tensor([1.0]).backend.name == "numpy"


@pytest.mark.tiny
def test_an_instance_is_forgotten_after_the_block():
    with use_backend(NumpyBackend()) as mine:
        pass
    assert get_backend("numpy") is not mine


@pytest.mark.tiny
def test_set_default_backend():
    assert set_default_backend("scalar") is get_backend("scalar") is tn.ones(1).backend
    set_default_backend("numpy")
    with pytest.raises(ArgumentError):
        set_default_backend("abacus")
    assert get_backend().name == "numpy"


@pytest.mark.tiny
def test_auto_says_what_it_chose_and_what_it_passed_over(monkeypatch, capsys):
    monkeypatch.setitem(registry.BUILT_IN, "cupy", "tinynet.backends.no_such_backend:CupyBackend")
    registry._loaded.pop("cupy", None)
    registry._loaded.pop("auto", None)
    assert get_backend("auto") is get_backend("numpy")
    out, err = capsys.readouterr()
    assert out == "" and "auto is numpy" in err and "cupy" in err and "no_such_backend" in err
    get_backend("auto")
    assert capsys.readouterr().err == "", "said once"


@pytest.mark.tiny
def test_auto_takes_the_fastest_that_is_usable(monkeypatch, capsys):
    registry._loaded["cupy"] = fast = Abacus()
    registry._loaded.pop("auto", None)
    assert get_backend("auto") is fast
    assert "auto is cupy" in capsys.readouterr().err


def test_nothing_is_imported_before_it_is_asked_for():
    import subprocess
    import sys

    program = (
        "import sys, tinynet; tinynet.get_backend('numpy'); sys.exit(bool({'cupy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.tiny
def test_data_comes_and_goes_unchanged():
    for name in ("numpy", "scalar"):
        backend = get_backend(name)
        array = backend.array(np.array([[1.5, -2.0]]))
        assert backend.numpy(array).tolist() == [[1.5, -2.0]] and backend.dtype(array) == "float64"
        backend.load(np.array([[7.0, 8.0]]), array)
        assert backend.numpy(array).tolist() == [[7.0, 8.0]]
        assert backend.shares_memory(array, array[0]) and not backend.shares_memory(
            array, backend.full((1,), 0.0, "float64")
        )
