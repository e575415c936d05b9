"""Predict mode: what is right is called right, what is wrong gets the rule's name, and nothing gives a number away."""

import pytest
from browser.shown import numbers_in

import tinynet as tn
from tinynet import Value
from tinynet.explain.notation import number

pytestmark = pytest.mark.browser


def used_three_times():
    """out = c·c + c with c = a·b: d out/d c = 2c + 1 = −2 arrives as 1 − 1.5 − 1.5."""
    a, b = Value(0.5, label="a"), Value(-3.0, label="b")
    c = a * b
    c.label = "c"
    return c * c + c


def ask(shown):
    """Go on to the first question."""
    shown.click("[data-mode=predict]")
    for _ in range(40):
        if shown.read()["asking"]:
            return
        shown.click("#next")
    raise AssertionError("no question")


def remark(shown):
    return shown.page.locator(".remark").inner_text()


def test_right_answers_are_right_however_they_are_typed(open_page):
    shown = open_page(tn.explain(used_three_times()))
    ask(shown)
    shares = ["1", "1", "−1.5", "−1.5", "6", "−1"]
    for k, (typed, share) in enumerate(zip(["1", " +1.0", "−3/2", "-1,5", "6.05", "−1e0"], shares), 1):
        seen = shown.read()
        assert seen["asking"] and seen["local"] == seen["share"] == "?"
        seen = shown.guess(typed)
        assert remark(shown) == "Right."
        assert not seen["asking"] and seen["share"] == share
        assert seen["score"] == f"{k} of {k} right at the first try"
        if k < len(shares):
            assert shown.page.evaluate("document.activeElement.id") == "next"
            shown.press("Enter")
    assert shown.read()["boxes"]["n0"]["grad"] == "6"
    assert not shown.read()["asking"]


def test_wrong_answers_are_wrong_and_get_the_rule_and_then_a_way_out(open_page):
    shown = open_page(tn.explain(used_three_times()))
    ask(shown)
    show = shown.page.locator("text=Show me")
    seen = shown.guess("2")
    assert remark(shown).startswith("Not 2. Use the sum rule: ")
    assert seen["asking"] and not show.is_visible()
    shown.guess("two")
    assert remark(shown).startswith("Type a number") and not show.is_visible()
    shown.guess("1/0")
    assert remark(shown).startswith("Type a number") and not show.is_visible()
    seen = shown.guess("−1,02")
    assert remark(shown).startswith("Not −1.02. Use the sum rule: ") and show.is_visible()
    assert seen["score"] == ""
    show.click()
    seen = shown.read()
    assert not seen["asking"] and seen["share"] == "1" and seen["score"] == "0 of 1 right at the first try"
    shown.click("#next")
    assert shown.guess("0.9") and not show.is_visible()
    seen = shown.guess("1.009")
    assert remark(shown) == "Right." and seen["score"] == "0 of 2 right at the first try"
    shown.click("#next")
    assert shown.guess("-1.5")["score"] == "1 of 3 right at the first try"


def test_the_running_total_in_place_of_the_share_is_told_apart(open_page):
    shown = open_page(tn.explain(used_three_times()))
    ask(shown)
    for _ in range(2):
        shown.guess("1")
        shown.click("#next")
    assert "c hands" not in shown.read()["told"]
    shown.guess("-1/2")  # 1 has arrived, −1.5 comes
    assert remark(shown).startswith("−0.5 is all that will have arrived.") and "rule" not in remark(shown)
    assert shown.read()["asking"]


def test_what_is_asked_waits_for_the_answer(open_page):
    shown = open_page(tn.explain(used_three_times()))
    ask(shown)
    before = shown.read()
    shown.click("#next")
    assert shown.read() == before and shown.page.evaluate("document.activeElement.id") == "guess"
    shown.press("ArrowRight", "ArrowRight")  # in the field, these move the caret
    assert shown.read() == before
    shown.click("#play")
    shown.page.wait_for_timeout(150)
    assert shown.read()["counter"] == before["counter"] and shown.page.inner_text("#play") == "Play"
    shown.click("#back")
    assert not shown.read()["asking"]
    shown.click("#next")
    assert shown.read() == before
    for tries, way_out in ((1, False), (2, True)):  # who leaves and comes back has tried as often
        shown.guess("7")
        shown.click("#back")
        shown.click("#next")
        assert shown.page.locator("text=Show me").is_visible() == way_out, tries


def test_what_the_digits_on_the_page_give_is_right_too(open_page):
    a, b = Value(2.5, label="a"), Value(3.0, label="b")
    shown = open_page(tn.explain((a * 4).tanh() * b))  # shown as tanh = 1: whoever computes 1 − 1² is not wrong
    shown.click("[data-mode=predict]")
    for text in ("3", "1", "0"):  # to the tanh, to b, through the tanh
        shown.press("End")
        seen = shown.guess(text)
        assert "Right." in seen["told"], text
    assert "3 of 3" in seen["score"]


def test_nothing_gives_the_number_away(open_page):
    a, b = Value(0.71828, label="a"), Value(-0.31416, label="b")
    c = (a * b).sin()
    explained = tn.explain((c * a).exp() * c)
    shown = open_page(explained)
    ask(shown)
    known = {number(node.value) for node in explained.nodes} | {"1"}
    sums, asked = {explained.nodes[-1].id: 1.0}, 0
    for step in explained.steps:
        before = numbers_in(shown.visible_text())
        after = sums.get(step.parent.id, 0.0) + step.contribution
        hidden = {number(step.contribution), number(after)}
        hidden |= {number(node.gradient) for node in explained.nodes if number(node.gradient) not in
                   {number(total) for total in sums.values()}}  # fmt: skip
        hidden -= known | {number(total) for total in sums.values()} | {number(step.upstream)}
        asked += bool(hidden)
        assert before & hidden == set(), step
        shown.guess("123")
        shown.guess("456")
        assert numbers_in(shown.visible_text()) & hidden == set(), step
        seen = shown.guess(number(step.contribution))
        sums[step.parent.id] = after
        known.add(number(step.contribution))
        known.add(number(step.local))
        assert not seen["asking"] and number(step.contribution) in numbers_in(shown.visible_text())
        shown.press("ArrowRight")
    assert asked >= 5
