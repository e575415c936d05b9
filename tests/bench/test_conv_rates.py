"""The table of convolutions' times: every kernel both ways, and the rule put back afterwards."""

import pytest
import strict_cuda
from strict_backend import strict_cupy_in_charge

from tinynet import set_float32_matmul_precision
from tinynet.bench import conv_rates
from tinynet.bench.conv_rates import Case

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(conv_rates, "SECONDS", 0.0)
    monkeypatch.setattr(conv_rates, "AT_ONCE", 2)
    monkeypatch.setattr(conv_rates, "CASES", (Case(2, 2, 4, 6, 3, padding=1), Case(1, 4, 4, 5, 3, 2, groups=2)))
    with strict_cupy_in_charge() as backend:
        yield backend
    set_float32_matmul_precision("highest")


def test_every_kernel_is_timed_both_ways(quick):
    rows = list(conv_rates.measured(conv_rates.CASES, "float32"))
    assert [row[1] for row in rows] == [*conv_rates.NAMES] * 2
    for _, _, taken, choice, expected in rows:
        assert taken.keys() == expected.keys() == {"own", "columns"}
        assert min(*taken.values(), *expected.values()) > 0
        assert choice in taken
    assert quick.kernels["conv2d"].__self__.forced is None


@pytest.mark.parametrize("precision", ["float32", "tf32", "float64"])
def test_the_table(quick, capsys, precision):
    conv_rates.main(precision)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{precision}: ")
    assert len(lines) == 6
    assert "2 × 2 -> 4, 6², kernel 3²" in lines[0]
    assert "stride 2, groups 2" in lines[-1]
    assert all("own" in line or "columns" in line for line in lines)
