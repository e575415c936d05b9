"""The table of products' times: every product by every way that can do it, and the rule's choice beside it."""

import json

import pytest
import strict_cuda
from strict_backend import strict_cupy_in_charge

from tinynet.bench import gemm_rates

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")


@pytest.fixture
def quick(monkeypatch):
    for name, value in {
        "SECONDS": 0.0, "AT_ONCE": 2, "OWN_UP_TO": 1000, "LAYERS": ((4, 3, 2), (20, 30, 2)), "HEADS": ((2, 3, 4, 2),)
    }.items():  # fmt: skip
        monkeypatch.setattr(gemm_rates, name, value)
    with strict_cupy_in_charge() as backend:
        backend.products.small = 24
        yield backend


def test_every_product_is_timed_by_every_way_that_can_do_it(quick):
    rows = list(gemm_rates.measured("float32"))
    assert [row["multiplications"] for row in rows] == [24] * 3 + [1200] * 3 + [192]
    for row in rows:
        own = {"warps", "tiles"} if row["multiplications"] == 24 else set()  # the heads are a stack of two dimensions
        assert row["graph_us"].keys() == {"cublas"} | own
        assert row["rule"] == ("tiles" if own else "cublas")
        assert min(*row["graph_us"].values(), *row["call_us"].values()) > 0


def test_the_table_and_the_file(quick, capsys, tmp_path):
    gemm_rates.main(["--dtype", "float64", "--json", str(tmp_path / "rates.json")])
    head, *lines, last = capsys.readouterr().out.splitlines()
    assert head.startswith("float64, µs")
    assert len(lines) == 7
    assert lines[0].startswith("3 -> 2, batch 4: result")
    assert "as fast as cuBLAS up to" in last
    found = json.loads((tmp_path / "rates.json").read_text())
    assert (found["dtype"], len(found["rows"])) == ("float64", 7)


def row(multiplications, cublas, **own):
    return {"multiplications": multiplications, "graph_us": {"cublas": cublas, **own}}


def test_how_far_kernels_of_our_own_reach():
    rows = [row(40, 5, warps=9, tiles=4), row(10, 5, warps=3, tiles=8), row(90, 5, tiles=6), row(95, 5, tiles=4)]
    assert gemm_rates.reach(rows) == 40
    assert gemm_rates.reach(rows[2:]) == 0
    assert gemm_rates.reach([*rows[:2], row(20, 5)]) == 40  # a product that only cuBLAS can do says nothing
