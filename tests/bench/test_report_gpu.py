"""The report of a run on a GPU: which card, what was waited for, how fast it multiplies, and the README's table."""

import pytest
from bench_page import TIMES, Page, close, shown
from bench_results import (
    CARD,
    CARD_COMPILED,
    CARD_GEMM,
    CARD_JAX,
    CARD_TORCH,
    LARGE,
    ON_CARD,
    full,
    interrupted,
    on_gpu,
)

from tinynet.bench.report import gpu_answer, markdown, page, summary_table
from tinynet.bench.report.how import bound, how
from tinynet.bench.report.reading import read

pytestmark = pytest.mark.tiny
WAITED = "waited for each time, ms"


@pytest.fixture(scope="module")
def found():
    return Page(page(on_gpu()))


@pytest.mark.parametrize(
    "words",
    ["Example Card X9", "compute capability 8.7", "85.1 GB", "driver 591.13.07", "CUDA 13.0, the driver knows 13.1"],
)
def test_the_card_is_named(found, words):
    first = next(said for said in found.words if "Measured" in said)
    assert words in first and first.index("Example Card") < first.index("Example Processor")
    assert words in markdown(on_gpu())
    assert words in summary_table(on_gpu())


def test_ratios_are_of_the_step_on_the_card(found):
    assert f"{CARD} is faster than the fastest peer on 1, level with it (the quartiles overlap) on 2" in found.text
    ratios = found.column(TIMES, "best peer / tinynet, ×")
    for workload in on_gpu()["workloads"]:
        assert close(ratios[workload["name"]], workload["ratio"])
    assert CARD + ", ms (quartiles)" in found.tables[TIMES][0]


def test_it_says_how_steps_on_a_card_are_measured(found):
    for words in ("waited for once, at the end of a turn", "side by side", "Memory is of the card"):
        assert words in found.text and words in markdown(on_gpu())
        assert words not in page(full()) and words not in markdown(full())
    assert how(read(full())) == how(read(interrupted()))


@pytest.mark.parametrize(
    ("precision", "words"), [("float32", "in float32, TF32 switched off"), ("tf32", "in TF32, 10 bits of each factor")]
)
def test_the_precision_of_products_is_said(precision, words):
    result = on_gpu() | {"precision": precision}
    for text in (Page(page(result)).text, markdown(result), summary_table(result)):
        assert words in text
    rate = CARD_GEMM[precision, 4096]
    assert f"GFLOP/s in {precision}" in markdown(result)
    assert read(result).gemm == {"1024 × 1024": CARD_GEMM[precision, 1024], "4096 × 4096": rate}


def test_the_steps_that_were_waited_for_stand_in_the_last_table(found):
    heads, *rows = found.tables["Every figure of the run"]
    assert WAITED in heads and WAITED not in Page(page(full())).tables["Every figure of the run"][0]
    ours = next(row for row in rows if row[0] == CARD)
    assert close(ours[heads.index(WAITED)], 0.0123 + 0.0073)


def test_rates_of_products_stand_beside_each_other_with_their_errors(found):
    lines = [row[1] for row in found.tables["How it was measured"] if row[0] == "GEMM of the GPU"]
    assert len(lines) == 4
    assert lines[3] == (
        "4096 × 4096, tf32: CUDA's library through CuPy 271,000 GFLOP/s (error 2.9e-04), "
        "tinynet 267,000 GFLOP/s (error 3.2e-04)"
    )
    assert "- 1024 × 1024, float32: CUDA's library through CuPy 33,100 GFLOP/s" in markdown(on_gpu())
    assert "Matrix products of this card" not in markdown(full())


def test_how_far_a_step_is_from_the_rate_of_products(found):
    (line,) = bound(read(on_gpu()))  # 687,194.8 million operations at 47,300 GFLOP/s: 14.5 ms of 15.1
    assert line.startswith(
        f"{LARGE}: its matrix products alone would take 14.5 ms; {CARD} takes 15.1 ms, which is 96.2 %"
    )
    assert line in found.text
    assert "which is 96.2 % of the GEMM rate" in markdown(on_gpu())


def test_a_card_whose_products_could_not_be_measured():
    result = on_gpu()
    result["machine"]["gpu"].update(gemm=[], gemm_gflops=None, gemm_error="RuntimeError: no cuBLAS")
    assert "not measured: RuntimeError: no cuBLAS" in markdown(result)
    assert bound(read(result)) == [] and read(result).gemm == {}
    Page(page(result))


def test_the_answer_about_gpus_claims_nothing_about_a_cpu_that_was_not_measured():
    answer = gpu_answer(on_gpu())
    assert answer.startswith("A GPU was measured, but nothing beside it on the CPU")
    assert "- mlp-3b1b: 12.3 µs a step on the GPU" in answer


# --- the README's table -----------------------------------------------------------------------------------------------


def rows_of(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_the_readmes_table_of_a_run_on_a_card():
    where, _, *_ = summary_table(on_gpu()).splitlines()
    assert "PyTorch 2.11.0, JAX 0.11.2, CuPy 14.2.0" in where
    assert where.startswith("Milliseconds a step, medians, 2026-11-20 on Example Card X9")
    assert "`tinynet bench --backends cupy --peers torch,jax --seconds 6`" in where  # without the places of files
    heads, _, *rows = rows_of(summary_table(on_gpu()))
    peers = [CARD_TORCH, CARD_COMPILED, CARD_JAX]
    assert heads == ["workload", CARD, *peers, "best peer / tinynet", "memory, MB: tinynet / PyTorch"]
    for row, (name, (*_, times)), workload in zip(rows, ON_CARD.items(), on_gpu()["workloads"], strict=True):
        assert row[0] == name
        assert close(row[1], times[0])
        assert [row[i] == "failed" for i in (2, 3, 4)] == [ms is None for ms in times[2:]]
        assert shown(row[5]) == pytest.approx(workload["ratio"], abs=0.0051)


def test_the_readmes_table_of_a_run_on_a_cpu():
    heads, _, *rows = rows_of(summary_table(full()))
    assert heads[:2] == ["workload", "tinynet on NumPy"]
    assert heads[-3:] == ["best peer / tinynet", "replay / floor", "memory, MB: tinynet / PyTorch"]
    assert len(rows) == 8
    assert "interrupted" in summary_table(interrupted())
