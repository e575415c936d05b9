"""Training steps as frames: each shows the weights that an independent loop has after as many updates."""

import re

import numpy as np
import pytest

import tinynet as tn
from tinynet import Value, nn, optim

pytestmark = pytest.mark.browser

DIGITS = 1e-5  # six digits are shown
STEPS, RATE = 12, 0.1
X, Y = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([[1.0], [-0.5]])


def by_hand(model):
    """Weights and loss before each update and after the last: a network of tanh, in NumPy, from the same start."""
    w0, b0, w1, b1 = [np.array(p.numpy(), float) for p in model.parameters()]
    frames = []
    for _ in range(STEPS + 1):
        hidden = np.tanh(X @ w0.T + b0)
        error = hidden @ w1.T + b1 - Y
        named = {"0.weight": w0, "0.bias": b0, "2.weight": w1, "2.bias": b1}
        frames.append(({key: value.copy() for key, value in named.items()}, float((error**2).mean())))
        to_output = 2 * error / error.size
        to_hidden = (to_output @ w1) * (1 - hidden**2)
        for weights, slope in (
            (w0, to_hidden.T @ X), (b0, to_hidden.sum(0)), (w1, to_output.T @ hidden), (b1, to_output.sum(0))
        ):  # fmt: skip
            weights -= RATE * slope
    return frames


@pytest.fixture(scope="module")
def trained():
    tn.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    frames = by_hand(model)
    return tn.explain(model, X, Y, nn.MSELoss(), optimizer=optim.SGD(lr=RATE), steps=STEPS), frames


def read(text):
    return float(text.replace("−", "-"))


def check_frame(seen, expected, explained):
    weights, loss = expected
    checked = 0
    for box in seen["boxes"].values():
        found = re.fullmatch(r"(\d\.\w+)\[([\d,]+)\]", box["lines"][0])
        if found:
            wanted = weights[found[1]][tuple(map(int, found[2].split(",")))]
            assert read(box["data"]) == pytest.approx(wanted, rel=DIGITS), found[0]
            checked += 1
    assert checked == 2 * 3 + 3 + 3 + 1
    assert read(seen["boxes"][f"n{len(explained.nodes) - 1}"]["data"]) == pytest.approx(loss, rel=DIGITS)


def test_every_frame_has_the_weights_of_an_independent_loop_and_going_back_shows_the_same(trained, open_page):
    explained, frames = trained
    shown = open_page(explained, fragment="#numbers=1")
    there = [shown.press("End")]
    there += [shown.press("]") for _ in range(STEPS)]
    for k, (seen, expected) in enumerate(zip(there, frames, strict=True)):
        assert seen["frame"] == f"training step {k} of {STEPS}"
        check_frame(seen, expected, explained)
    assert shown.press("]") == there[-1]
    back = [shown.press("[") for _ in range(STEPS)]
    assert back == there[-2::-1]
    slider = shown.page.locator("#frame")
    slider.fill("7")
    assert shown.read() == there[7]
    slider.focus()
    assert shown.press("ArrowLeft") == there[6]


def test_gradients_belong_to_their_frame(trained, open_page):
    explained, frames = trained
    shown = open_page(explained, fragment="#numbers=1&frame=5")
    seen = shown.press("End")
    for box in seen["boxes"].values():
        found = re.fullmatch(r"(\d\.\w+)\[([\d,]+)\]", box["lines"][0])
        if found:  # the update after this frame is what its gradient made
            index = tuple(map(int, found[2].split(",")))
            moved = frames[6][0][found[1]][index] - frames[5][0][found[1]][index]
            assert -RATE * read(box["grad"]) == pytest.approx(moved, rel=DIGITS)


def test_the_curve_has_a_point_a_frame_and_each_is_as_high_as_the_loss(trained, open_page):
    explained, frames = trained
    shown = open_page(explained)
    path = shown.page.locator("#curves .chart").first.locator("path.line").get_attribute("d")
    points = np.array([[float(x) for x in point.split()] for point in re.split("[ML]", path)[1:]])
    losses = np.array([loss for _, loss in frames])
    assert len(points) == STEPS + 1
    np.testing.assert_allclose(np.diff(points[:, 0]), np.diff(points[:, 0]).mean(), atol=0.11)  # tenths of a pixel
    height = (points[:, 1].max() - points[:, 1]) / np.ptp(points[:, 1])
    np.testing.assert_allclose(height, (losses - losses.min()) / np.ptp(losses), atol=0.2 / np.ptp(points[:, 1]))
    where = shown.page.locator("#curves .chart").first.bounding_box()
    x = points[4, 0] * where["width"] / 330
    shown.page.mouse.click(where["x"] + x, where["y"] + 20)
    assert shown.read()["frame"] == f"training step 4 of {STEPS}"
    names = [line.split(" ")[1] for line in shown.page.locator("#curves .key li").all_text_contents()]
    spread = {}
    for key, first in frames[0][0].items():
        history = np.array([weights[key] for weights, _ in frames])
        spread |= {f"{key}[{','.join(map(str, i))}]": np.ptp(history[(..., *i)]) for i in np.ndindex(first.shape)}
    assert names == sorted(spread, key=spread.get, reverse=True)[:8]


def test_frames_may_be_of_different_graphs(open_page):
    w = Value(3.0, label="w")
    explained = tn.explain(w * w).add((w * w).relu() + 1).add(w * w)
    shown = open_page(explained)
    sizes = [len(seen["boxes"]) for seen in (shown.press("End"), shown.press("]"), shown.press("]"))]
    assert sizes == [2, 5, 2]
    assert shown.read()["boxes"]["n1"]["grad"] == "1"
    for mode in ("predict", "wrong", "watch"):
        shown.click(f"[data-mode={mode}]")
        shown.press("[", "[", "]", "End", "]", "Home")


def test_a_training_run_that_explodes_is_still_shown(open_page):
    model = nn.Sequential(nn.Linear(2, 2))
    x = np.array([[10.0, -10.0]])
    with np.errstate(all="ignore"):
        explained = tn.explain(model, x, np.array([[0.0, 1.0]]), nn.MSELoss(), optimizer=optim.SGD(lr=1e200), steps=4)
    assert not np.isfinite(explained.run.frames[-1]["values"][-1])
    for fragment in ("#numbers=1", "#numbers=0"):
        shown = open_page(explained, fragment=fragment)
        shown.press("End")
        for _ in range(4):
            shown.press("]")
        assert shown.read()["frame"] == "training step 4 of 4"
