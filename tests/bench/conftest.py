"""A card for the benchmark's tests: the strict stand-in, in this process and in those that it starts."""

from pathlib import Path

import pytest
from strict_backend import strict_cupy_in_charge

from tinynet.bench import machine, process

TESTS = Path(__file__).parents[1]
STAND_IN = f"""
sys.path.insert(0, {str(TESTS)!r})
import tinynet.registry
tinynet.registry.BUILT_IN["cupy"] = "strict_backend:StrictCupy"
import tinynet.bench.gemm
tinynet.bench.gemm.SIDES = (32, 40)
"""


@pytest.fixture
def card(monkeypatch):
    """The cupy backend on the stand-in, under the name "cupy"."""
    was = process.command

    def command(code, **environment):
        return was(f"exec({STAND_IN!r}); {code}", **environment)

    monkeypatch.setattr(process, "command", command)
    monkeypatch.setattr(machine, "command", command)
    with strict_cupy_in_charge() as backend:
        yield backend
