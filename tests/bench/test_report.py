"""The report of `tinynet bench`: whole, self-contained, its figures those of the result, its text escaped."""

import json
import math
import re
from itertools import pairwise

import pytest
from bench_page import TIMES, Page, close, shown
from bench_results import ALL, EAGER, FLOOR, JAX, NUMPY, TORCH, full, hostile, interrupted, nulls, without_peers

from tinynet.bench.report import gpu_answer, markdown, page
from tinynet.bench.report.reading import read
from tinynet.bench.report.units import duration, figure

UNITS = re.compile(r", (ms|s|MB|×|%|count|million|examples)( \(quartiles\))?$|GFLOP/s|^(workload|contender|what|note)$")
each = pytest.mark.parametrize("name", ALL)


# --- every kind of result ---------------------------------------------------------------------------------------------


@each
def test_the_page_is_whole(name):
    found = Page(page(ALL[name]()))
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not re.search(r"\b(None|null|nan|inf)\b", found.text)


@each
def test_nothing_is_loaded_from_elsewhere(name):
    text = page(ALL[name]())
    for tag, attributes in Page(text).tags:
        assert tag not in ("script", "link", "iframe", "img", "object", "image", "use"), (tag, attributes)
        assert not {"src", "href", "srcset", "style", "onload", "onclick"} & set(attributes), (tag, attributes)
    style = text[text.index("<style>") : text.index("</style>")]
    for loading in ("http", "url(", "@import", "//"):
        assert loading not in style
    assert not re.search(r"https?://", text)


@each
def test_every_table_names_its_units_and_its_heads(name):
    found = Page(page(ALL[name]()))
    for caption, rows in found.tables.items():
        if len(rows[0]) > 2:
            for head in rows[0]:
                assert UNITS.search(head) or head == "network and batch", f"{caption}: {head} has no unit"
    assert all(attributes.get("scope") in ("col", "row", "rowgroup") for tag, attributes in found.tags if tag == "th")


@each
def test_every_picture_says_what_it_shows(name):
    found = Page(page(ALL[name]()))
    ids = {attributes["id"] for tag, attributes in found.tags if tag in ("title", "desc") and "id" in attributes}
    for tag, attributes in found.tags:
        if tag == "svg" and attributes.get("aria-hidden") != "true":
            assert attributes["role"] == "img"
            assert set(attributes["aria-labelledby"].split()) <= ids


@each
def test_pictures_stay_inside_their_frames(name):
    text = page(ALL[name]())
    for width, height, body in re.findall(r'viewBox="0 0 (\d+) (\d+)"[^>]*>(.*?)</svg>', text, re.DOTALL):
        for attribute, most in (
            ("x", width),
            ("x1", width),
            ("x2", width),
            ("cx", width),
            ("y", height),
            ("cy", height),
        ):
            for place in re.findall(rf' {attribute}="([^"]*)"', body):
                assert -0.1 <= float(place) <= float(most) + 0.1, (attribute, place)


@each
def test_the_markdown_is_one_table(name):
    rows = [line for line in markdown(ALL[name]()).splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert len(bars) <= 1, f"rows of different lengths: {bars}"
    assert not re.search(r"\b(None|null|nan|inf)\b", "\n".join(rows))


@each
def test_a_result_read_from_its_file_is_reported_alike(name):
    result = ALL[name]()
    again = json.loads(json.dumps(result))
    assert (page(again), markdown(again), gpu_answer(again)) == (page(result), markdown(result), gpu_answer(result))


# --- the figures ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    return Page(page(full()))


@pytest.mark.parametrize("contender", [NUMPY, EAGER, TORCH, JAX])
def test_times_are_those_of_the_result(found, contender):
    cells = found.column(TIMES, f"{contender}, ms" + " (quartiles)" * (contender == NUMPY))
    assert len(cells) == 8
    for workload in full()["workloads"]:
        assert close(cells[workload["name"]], workload["results"][contender]["median_s"] * 1e3)


def test_ratios_are_those_of_the_result(found):
    ratios, floors = found.column(TIMES, "best peer / tinynet, ×"), found.column(TIMES, "replay / floor, ×")
    for workload in full()["workloads"]:
        assert close(ratios[workload["name"]], workload["ratio"])
        assert close(floors[workload["name"]], workload["floor_ratio"])


def test_ratios_stand_straight_after_the_workload(found):
    first = ["workload", "best peer / tinynet, ×", "replay / floor, ×"]
    assert found.tables[TIMES][0][:3] == first
    head = next(line for line in markdown(full()).splitlines() if line.startswith("|"))
    assert [cell.strip() for cell in head.split("|")[1:4]] == first


def test_memory_rates_and_starts_are_those_of_the_result(found):
    memory = found.column("Memory at the peak of a step, MB", f"{TORCH}, MB")
    rates = found.column(
        "Arithmetic rate of a step, GFLOP/s, and its share of the GEMM rate, %", f"{FLOOR}, GFLOP/s (share, %)"
    )
    starts = found.column("Import, and the first call of each workload, seconds", f"{JAX}, s")
    sizes = found.column("The workloads", "parameters, count")
    for workload in full()["workloads"]:
        name, results = workload["name"], workload["results"]
        assert close(memory[name], results[TORCH]["memory_mb"])
        assert close(rates[name], results[FLOOR]["gflops"])
        assert close(starts[name], results[JAX]["first_call_s"])
        assert shown(sizes[name]) == workload["parameters"]
    assert close(starts["import"], 0.973)


def test_every_figure_stands_in_the_last_table(found):
    heads, *rows = found.tables["Every figure of the run"]
    workloads = {workload["name"]: workload for workload in full()["workloads"]}
    here, seen = None, 0
    for row in rows:
        if len(row) == 1:
            here = workloads[row[0]]
            continue
        cells, one = dict(zip(heads, row)), here["results"][row[0]]
        for head, key, factor in (
            ("median, ms", "median_s", 1e3), ("lower quartile, ms", "low_s", 1e3),
            ("upper quartile, ms", "high_s", 1e3), ("steps a round, count", "repeats", 1),
            ("first call, s", "first_call_s", 1), ("import, s", "import_s", 1),
            ("memory, MB", "memory_mb", 1), ("GFLOP/s", "gflops", 1), ("share of GEMM, %", "share_of_gemm", 100),
        ):  # fmt: skip
            assert close(cells[head], one[key] * factor), (here["name"], row[0], head)
        assert cells["rounds, count"] == "7"
        assert cells["note"] == one["note"]
        seen += 1
    assert seen == sum("median_s" in one for w in workloads.values() for one in w["results"].values())


def test_the_markdown_has_the_same_figures():
    heads, _, *rows = (line for line in markdown(full()).splitlines() if line.startswith("|"))
    heads = [head.strip() for head in heads.strip("|").split("|")]
    for line, workload in zip(rows, full()["workloads"], strict=True):
        cells = dict(zip(heads, (cell.strip() for cell in line.strip("|").split("|"))))
        ours = workload["results"][NUMPY]
        median, low, high = re.findall(r"[\d.]+", cells["tinynet numpy, ms (quartiles)"])
        assert close(median, ours["median_s"] * 1e3)
        assert close(low, ours["low_s"] * 1e3)
        assert close(high, ours["high_s"] * 1e3)
        assert close(cells["JAX jit, ms"], workload["results"][JAX]["median_s"] * 1e3)
        assert close(re.findall(r"[\d.]+", cells["best peer / tinynet, ×"])[0], workload["ratio"])
        assert workload["best_peer"] in cells["best peer / tinynet, ×"]
        memory = cells[f"memory tinynet / {TORCH}, MB"].split("/")
        assert close(memory[0], ours["memory_mb"])
        assert close(memory[1], workload["results"][TORCH]["memory_mb"])


def test_bars_are_as_long_as_their_times():
    """Two bars of one picture: on a log axis their difference is that of the logarithms, as the axis has them."""
    text = page(full())
    drawing = text[text.index('aria-labelledby="times-title') :]
    drawing = drawing[: drawing.index("</svg>")]
    ends = [
        float(x) + float(w) for x, w in re.findall(r'<rect class="tinynet" x="([\d.]+)" [^>]*width="([\d.]+)"', drawing)
    ]
    lines = {
        shown(label): float(x)
        for x, label in re.findall(
            r'<text x="([\d.]+)" [^>]*text-anchor="middle" class="soft">([\d.,]+)</text>', drawing
        )
    }
    decade = lines[10] - lines[1]
    for end, workload in zip(ends, full()["workloads"], strict=True):
        expected = lines[1] + decade * math.log10(workload["results"][NUMPY]["median_s"] * 1e3)
        assert abs(end - expected) < 0.3  # pixels: places are written with one decimal


@pytest.mark.parametrize(
    "words",
    ["Example Processor 9000", "OpenBLAS 0.3.29", "torch 2.13.0", full()["command"], "187 GFLOP/s", "Linux 6.1"],
)
def test_machine_versions_and_command_are_said(found, words):
    assert words in " ".join(cell for row in found.tables["How it was measured"] for cell in row)
    assert words in markdown(full())


def test_variables_stand_before_the_command():
    result = full()
    result["machine"]["environment"] = {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2"}
    line = f"with OPENBLAS_CORETYPE=Haswell OMP_NUM_THREADS=2: {result['command']}"
    assert line in dict(Page(page(result)).tables["How it was measured"])["command"]
    assert f"**Command**: `{line}`" in markdown(result)


# --- verdicts ---------------------------------------------------------------------------------------------------------


def row_of(ours, theirs):
    """A workload with these quartiles, milliseconds: (low, median, high)."""
    names = ("low_s", "median_s", "high_s")
    results = {n: dict(zip(names, (x / 1e3 for x in xs))) for n, xs in ((NUMPY, ours), (TORCH, theirs))}
    return {"name": "w", "results": results, "best_peer": TORCH, "ratio": theirs[1] / ours[1], "floor_ratio": None}


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((0.9, 1.0, 1.1), (1.2, 1.3, 1.4), "faster"),
        ((0.9, 1.0, 1.1), (1.0, 1.3, 1.4), "level"),
        ((0.9, 1.0, 1.1), (0.7, 0.9, 1.3), "level"),
        ((0.9, 1.0, 1.1), (0.6, 0.7, 0.8), "slower"),
    ],
)
def test_a_verdict_needs_quartiles_apart(ours, theirs, verdict):
    assert read({"workloads": [row_of(ours, theirs)]}).rows[0].verdict == verdict


def test_the_summary_counts_the_verdicts(found):
    assert "faster than the fastest peer on 6, level with it (the quartiles overlap) on 1, slower on 1" in found.text
    assert "lstm-char 0.806×" in found.text


def test_the_backend_whose_ratios_they_are_is_named():
    row = row_of((0.9, 1.0, 1.1), (1.2, 1.3, 1.4))
    row["results"]["tinynet scalar"] = row["results"].pop(NUMPY)
    result = {"ours": "tinynet scalar", "workloads": [row]}
    for text in (Page(page(result)).text, markdown(result)):
        assert "tinynet scalar is faster than the fastest peer on 1" in text
        assert "tinynet scalar, ms (quartiles)" in text and "tinynet numpy, ms" not in text


# --- what is missing --------------------------------------------------------------------------------------------------


def test_absent_contenders_are_listed_with_their_reason(found):
    absent = dict(found.tables["Who was absent, and why"])
    assert absent["micrograd"] == "micrograd is not installed: pip install micrograd."
    assert "**Absent**\n\n- tinynet cupy: CuPy is not installed" in markdown(full())


def test_errors_are_shown_and_the_cell_says_so(found):
    failed = dict(found.tables["What was left out or failed, and why"])
    assert "not compiled by inductor" in failed["torch.compile on rnn-char"]
    assert found.column(TIMES, "torch.compile, ms")["rnn-char"] == "failed"


def test_what_was_left_out_is_not_called_failed():
    result = full()
    error = "ArgumentError: left out: on Values a step of mlp-512 would take about 300 s."
    result["contenders"].append({"name": "tinynet scalar", "role": "tinynet", "what": "", "present": True})
    result["workloads"][0]["results"]["tinynet scalar"] = {**result["workloads"][0]["results"][EAGER]}
    result["workloads"][2]["results"]["tinynet scalar"] = {"error": error}
    cells = Page(page(result)).column(TIMES, "tinynet scalar, ms")
    assert (cells["mlp-512"], cells["cnn-nielsen"]) == ("left out", "–")


def test_without_peers_there_is_no_ratio():
    text = Page(page(without_peers())).text
    assert "there is no ratio to tell" in text
    assert "faster than the best peer" not in text


def test_an_interrupted_run_says_so():
    assert "interrupted" in Page(page(interrupted())).text
    assert "interrupted" in markdown(interrupted())
    assert "The run was interrupted" not in page(full())


def test_a_smoke_run_says_so():
    result = full()
    result["command"] = "tinynet bench --quick --report bench.html"
    assert "smoke run" in Page(page(result)).text
    assert "smoke run" in markdown(result)
    assert "smoke run" not in page(full())


def test_nulls_become_dashes():
    found = Page(page(nulls()))
    assert found.column(TIMES, "best peer / tinynet, ×")["mlp-3b1b"] == "–"
    assert found.column("The workloads", "parameters, count")["gpt-nano"] == "–"
    assert "Memory at the peak of a step, MB" not in found.tables
    assert "exit code -9" in dict(found.tables["What was left out or failed, and why"])["tinynet numpy on mlp-nielsen"]


def test_text_is_escaped():
    text = page(hostile())
    assert "<script" not in text
    assert '<b>|"' in Page(text).text
    bare = re.sub(r"(`+)[^`].*?[^`]\1(?!`)", "", markdown(hostile()).replace("\\`", ""))
    assert not re.search(r"(?<!\\)[<`_]", bare)


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "text"),
    [(None, "–"), (0, "0"), (0.05124, "0.0512"), (3.4, "3.40"), (99.96, "100"), (60243, "60,200"), (1.0, "1.00")],
)
def test_figures_have_three_digits(x, text):
    assert figure(x) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(6.05e-8, "60.5 ns"), (51.3e-6, "51.3 µs"), (0.0034, "3.40 ms"), (75, "75.0 s"), (245, "4 min 5 s")],
)
def test_durations_have_the_unit_that_suits(seconds, text):
    assert duration(seconds) == text
