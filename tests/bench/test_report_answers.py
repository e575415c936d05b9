"""The answer about GPUs: from the numbers measured, and none of a GPU where there was none; and where curves cross."""

import copy
import re

import pytest
from bench_results import SIZES, empty, full, with_gpu

from tinynet.bench.report import gpu_answer, page
from tinynet.bench.report.chart import Scale, around
from tinynet.bench.report.crossings import curves, picture, sentences


def line_of(answer, name):
    """The item about one workload."""
    return next(line for line in answer.splitlines() if line.startswith(f"- {name}: "))


def test_without_a_gpu_it_claims_none():
    answer = gpu_answer(full())
    assert answer.startswith("No GPU was measured here")
    assert "CuPy is not installed" in answer
    assert "not measured here" in answer
    assert " on the GPU" not in answer


def test_without_a_gpu_it_reckons_with_this_machines_steps():
    answer = gpu_answer(full())
    small, large = line_of(answer, "mlp-3b1b"), line_of(answer, "gpt-nano")
    assert "51.3 µs a step, which is the time of 5 to 10 launches" in small  # 51.3 / 10 and 51.3 / 5
    assert "27 calls" in small
    assert "longer than the whole step takes here" in small
    assert "2,190 to 4,380 launches" in large
    assert "time to spare" in large


@pytest.mark.parametrize(
    ("calls", "words"), [(30, "time to spare"), (70, "about as long"), (130, "longer than the whole step")]
)
def test_what_decides_is_the_number_of_calls(calls, words):
    result = full()
    result["workloads"][0]["results"]["tinynet numpy"].update(median_s=500e-6, note=f"{calls} calls a step")
    assert words in line_of(gpu_answer(result), "mlp-3b1b")


def test_a_step_shorter_than_a_launch_is_said_to_be():
    result = full()
    result["workloads"][0]["results"]["tinynet numpy"].update(median_s=2e-6, note="")
    assert "less than a single launch" in line_of(gpu_answer(result), "mlp-3b1b")


def test_with_a_gpu_it_says_where_it_is_slower_and_by_what():
    answer = gpu_answer(with_gpu())
    assert "slower than this machine's CPU on 3 of 8 workloads, and faster on 5" in answer
    slower, faster = answer.split("Where it is slower:")[1].split("Where it is faster:")
    assert re.findall(r"^- ([\w-]+):", slower, re.MULTILINE) == ["mlp-3b1b", "mlp-nielsen", "names-mlp"]
    line = line_of(answer, "mlp-3b1b")
    seconds = 27 * 7.7e-6 + 2.5e6 / 20e12
    assert f"{seconds * 1e6:.0f} µs a step on the GPU against 51.3 µs on the CPU" in line
    assert f"{seconds / 51.3e-6:.2f} times as long" in line
    assert "27 kernel launches, 7.70 µs each" in line
    assert "60.5 ns" in line  # 2.5 million operations at 41,300 GFLOP/s
    assert "52.0 kB of weights" in line  # 13,002 of 4 bytes
    assert "11.1 times as fast" in line_of(faster, "mlp-512")


def test_with_a_gpu_it_says_at_what_size_it_pays():
    assert "cupy overtakes numpy at about 156 units a layer" in gpu_answer(with_gpu())


def test_the_page_takes_the_answer_that_the_result_carries():
    result = full()
    result["gpu_answer"] = "Said before.\n\nIn a list:\n- `one` of them\n- another"
    text = page(result)
    assert "<p>Said before.</p><p>In a list:</p><ul><li><code>one</code> of them</li><li>another</li></ul>" in text


def test_an_empty_result_has_an_answer_too():
    assert gpu_answer(empty()).startswith("No GPU was measured here")


# --- where curves cross -----------------------------------------------------------------------------------------------


def test_nulls_are_no_points():
    found = curves(full()["crossovers"][0])
    assert list(found) == ["scalar", "numpy"]
    assert [x for x, _ in found["scalar"]] == [1, 2, 4, 8, 16, 32, 64]


def test_the_crossing_is_marked_where_it_is():
    crossover = full()["crossovers"][1]
    drawing = picture(crossover, "name", 452)
    ticks = dict(re.findall(r'<text x="([\d.]+)" y="304.0" text-anchor="middle" class="soft">([\d,]+)</text>', drawing))
    places = {label: float(x) for x, label in ticks.items()}
    mark = float(re.search(r'<line class="mark" x1="([\d.]+)"', drawing)[1])
    assert places["2"] < mark < places["4"]
    middle = places["2"] + (places["4"] - places["2"]) * 0.585  # log2(3) − 1
    assert abs(mark - middle) < 0.2
    assert "numpy overtakes scalar: width about 3" in drawing
    assert sentences(crossover) == ["numpy overtakes scalar at about 3 units a layer"]


def test_a_crossing_without_words_gets_some():
    crossover = copy.deepcopy(full()["crossovers"][1])
    crossover["overtakes"][0]["words"] = None
    assert sentences(crossover) == ["numpy overtakes scalar at a width of about 3.00"]
    crossover["overtakes"][0]["at"] = None
    assert sentences(crossover) == ["numpy overtakes scalar at no width within the range tried"]
    assert 'class="mark"' not in picture(crossover, "name", 452)


def test_curves_that_were_not_measured_leave_no_picture():
    assert picture({"of": "batch", "points": [{"x": 1, "seconds": {"numpy": None}}]}, "name", 452) == ""
    assert picture({"of": "batch"}, "name", 452) == ""


def test_one_point_is_a_picture_too():
    drawing = picture({"of": "batch", "points": [{"x": 4, "seconds": {"numpy": 0.001}}]}, "name", 346)
    assert drawing.count("<circle") == 1


# --- scales -----------------------------------------------------------------------------------------------------------


def test_a_log_scale_gives_a_factor_the_same_length():
    scale = Scale(0.01, 100, 0, 400)
    assert [round(scale(x)) for x in (0.01, 0.1, 1, 10, 100)] == [0, 100, 200, 300, 400]
    assert (scale(0.0001), scale(1e6)) == (0, 400)
    assert [f"{x:g}" for x in scale.ticks()] == ["0.01", "0.1", "1", "10", "100"]


def test_an_even_scale_begins_at_nothing():
    scale = Scale(0, 352, 0, 100, log=False)
    assert (scale(0), scale(352), round(scale(176))) == (0, 100, 50)
    assert scale.ticks() == [0, 100, 200, 300]


def test_a_scale_around_values_ends_on_powers():
    scale = around([0.051, 22.0], 0, 1)
    assert (round(scale.low, 6), round(scale.high, 6)) == (0.01, 100)
    single = around([1.0], 0, 1, base=2)
    assert single.high > single.low


def test_the_made_up_results_name_all_eight_workloads():
    assert [workload["name"] for workload in full()["workloads"]] == list(SIZES)
