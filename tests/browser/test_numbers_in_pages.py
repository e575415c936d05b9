"""The page's own JavaScript: it writes and reads numbers as Python does."""

import functools
import math
import operator
import re
import struct
from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tinynet.explain.notation import atom, clip, number

pytestmark = pytest.mark.browser

SHARED = [HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def script(browser):
    """A page with nothing but two of the viewer's scripts."""
    page = browser.new_page()
    text = [files("tinynet.explain.viewer").joinpath(name).read_text("utf-8") for name in ("numbers.js", "predict.js")]
    page.add_script_tag(content="const el = () => {};\n" + "\n".join(text))
    yield page
    page.close()


def ties():
    """Numbers whose seventh digit is a 5 and the last: halves, quarters … that binary floats hold exactly."""
    return st.builds(lambda n, k: (2 * n + 1) / 2**k, st.integers(0, 10**6), st.integers(1, 12))


any_float = st.one_of(
    st.floats(), st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("d", struct.pack("Q", bits))[0]), ties(),
    st.floats(-1e7, 1e7), st.floats(-1e-3, 1e-3), st.integers(-(10**7), 10**7).map(float),
)  # fmt: skip


@settings(max_examples=200, suppress_health_check=SHARED)
@given(st.lists(any_float, min_size=20, max_size=60))
@example([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308])
@example(
    [0.5, 1.5, 2.5, 100000.5, 100001.5, 999999.5, 999998.5, -999999.5, 1e-4, 9.9999995e-5, 9.99999499e-5, 1e6, 1e5]
)
@example([1234565.0, 1234575.0, 12345650.0, 1.0000005, 0.00012207031250, 122070.3125, 12207.03125, 1220703125.0])
def test_numbers_are_written_as_python_writes_them(script, numbers):
    told = script.evaluate("(texts) => texts.map((text) => number(Number(text)))", [js(x) for x in numbers])
    assert told == [number(x) for x in numbers]


def js(x):
    return "NaN" if math.isnan(x) else repr(x).replace("inf", "Infinity")


@st.composite
def typed(draw):
    """A number as somebody may type it, and what it is."""
    value, text = Fraction(1), []
    for part in range(draw(st.integers(1, 2))):
        sign = draw(st.sampled_from(["", "-", "−", "–", "+"] if part == 0 else ["", "-", "−"]))
        digits = draw(st.integers(0 if part == 0 else 1, 10**6))
        decimals = draw(st.integers(0, 4))
        power = draw(st.sampled_from([None, 0, 3, -3]))
        if decimals == 3 and 10**3 <= digits < 10**6:
            decimals = 4  # 1,234 may be a thousand: it is asked about, and tested by itself
        plain = f"{digits // 10**decimals}" + (
            draw(st.sampled_from(",.")) + f"{digits % 10**decimals:0{decimals}}" if decimals else ""
        )
        exact = Fraction(digits, 10**decimals) * (-1 if sign in ("-", "−", "–") else 1) * Fraction(10) ** (power or 0)
        if part and not exact:
            exact, plain = Fraction(1), "1"
        text.append(
            sign + plain + (f"{draw(st.sampled_from('eE'))}{power}" if power is not None and plain != "1" else "")
        )
        if plain == "1":
            exact = Fraction(-1 if sign in ("-", "−", "–") else 1)
        value = exact if part == 0 else value / exact
    space = draw(st.sampled_from(["", " "]))
    return space + f"{space}/{space}".join(text) + space, value


@settings(max_examples=300, suppress_health_check=SHARED)
@given(typed())
@example(("−3/4", Fraction(-3, 4)))
@example((".5", Fraction(1, 2)))
@example(("2*-3/4 × 2", Fraction(-3)))
@example(("-,5", Fraction(-1, 2)))
@example(("5.", Fraction(5)))
@example(("1E-3", Fraction(1, 1000)))
def test_numbers_are_read_as_people_type_them(script, pair):
    text, value = pair
    found = script.evaluate("(text) => readNumber(text)", text)
    assert found == pytest.approx(float(value), rel=1e-14), text


@settings(max_examples=200, suppress_health_check=SHARED)
@given(st.text(alphabet="0123456789+-−.,/eEx ab∞", max_size=8))
@example("1/0")
@example("1/2/3")
@example("0x10")
@example("1e999")
@example("Infinity")
@example("1,000")
@example("0,125")
@example("")
@example("/")
def test_what_is_no_number_is_not_read_as_one(script, text):
    found = script.evaluate("(text) => readNumber(text)", text)
    cleaned = "".join(text.split()).replace("−", "-").replace(",", ".")
    parts = cleaned.split("/")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        assert found is None
        return
    if 0 in numbers[1:]:
        assert found is None
        return
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", text.strip()):
        assert found is None  # a thousand here, one and no thousandths there
        return
    value = functools.reduce(operator.truediv, numbers)
    assert (found is None) if not math.isfinite(value) else found == pytest.approx(value, rel=1e-14)


@settings(max_examples=200, suppress_health_check=SHARED)
@given(st.floats(-1e6, 1e6), st.floats(-0.03, 0.03))
@example(0.0, 0.0)
@example(0.00402285, 0.0)
def test_a_guess_is_right_to_one_part_in_a_hundred(script, wanted, off):
    guess = wanted * (1 + off)
    right = script.evaluate("([guess, wanted]) => isRight(guess, wanted)", [guess, wanted])
    if abs(abs(off) - 0.01) > 1e-9:
        assert right == (abs(guess - wanted) <= 0.01 * abs(wanted) or number(guess) == number(wanted))
    assert script.evaluate("(x) => isRight(Number(x), Number(x))", js(wanted))
    if wanted:
        assert not script.evaluate("(x) => isRight(-x, x)", wanted)
        assert not script.evaluate("(x) => isRight(0, x)", wanted)


@settings(max_examples=100, suppress_health_check=SHARED)
@given(st.text(max_size=50))
@example("0.weight[3,5]")
@example("a b")
@example("x[1]y")
def test_names_are_bracketed_and_cut_alike(script, name):
    name = " ".join("".join(c for c in name if c.isprintable()).split())
    assert script.evaluate("(name) => [atom(name), clip(name, 20)]", name) == [atom(name), clip(name, 20)]
