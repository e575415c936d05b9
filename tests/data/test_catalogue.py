import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinynet import data
from tinynet.errors import ArgumentError

SYNTHETIC = {"moons": data.moons, "spirals": data.spirals, "circles": data.circles, "xor": data.xor}
SYNTHETIC |= {"line": data.noisy_line, "sine": data.sine}


def test_names_are_all_there() -> None:
    assert list(data.DATASETS) == ["digits", "mnist", "fashion-mnist", *SYNTHETIC]
    assert all(hasattr(data, name) for name in data.__all__)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_sets_are_split_four_to_one_with_their_seed(name: str) -> None:
    train, test = data.load(name, n=50, noise=0.2, seed=4)
    whole = SYNTHETIC[name](50, noise=0.2, seed=4)
    assert (len(train), len(test)) == (40, 10)
    both = np.concatenate([train.x, test.x])
    assert sorted(both.tolist()) == sorted(whole.x.tolist())
    assert (train.x == whole.split(0.8, seed=4)[0].x).all()


def test_options_reach_the_data_set() -> None:
    assert data.load("digits", flat=False)[1].x.shape == (1000, 1, 28, 28)
    assert data.load("spirals", classes=5)[0].classes == ("0", "1", "2", "3", "4")


def test_unknown_names_and_options_are_answered_with_those_there_are() -> None:
    with pytest.raises(
        ArgumentError, match=r"load\('mnits'\).*\. Did you mean mnist\? There are digits, mnist, .*sine\."
    ):
        data.load("mnits")
    with pytest.raises(ArgumentError, match=r"no such data set\. There are digits, .*sine\.$"):
        data.load("zzz")
    with pytest.raises(
        ArgumentError, match=r"load\('moons', nois=…\).*\. Did you mean noise\? There are n, noise, seed\."
    ):
        data.load("moons", nois=1)
    with pytest.raises(ArgumentError, match="flat"):
        data.load("digits", n=3)


def test_the_package_needs_numpy_and_the_errors_and_nothing_else_at_import() -> None:
    # An empty `tinynet` stands in for the real one, which imports all its parts.
    code = """if True:
        import sys, types
        sys.modules["tinynet"] = types.ModuleType("tinynet")
        sys.modules["tinynet"].__path__ = [sys.argv[1]]
        import tinynet.data
        print(*sys.modules)"""
    command = [sys.executable, "-c", code, str(Path(data.__file__).parents[1])]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"rich", "matplotlib", "tinynet.data.make_digits"} & set(modules)
    own = {name for name in modules if name.startswith("tinynet.") and not name.startswith("tinynet.data")}
    assert own == {"tinynet.errors", "tinynet.files"}
