"""The live page in a browser: what is typed, dragged and drawn reaches the engine, and what that says is shown."""

import math
import random

import numpy as np
import pytest
from browser.conftest import listen
from browser.shown import Shown

from tinynet import data, nn
from tinynet.cli.play import read
from tinynet.explain.notation import number
from tinynet.play.digits import DigitsSession
from tinynet.play.expression import ExpressionSession
from tinynet.play.points import PointsSession
from tinynet.play.server import Server
from tinynet.value import Value

pytestmark = pytest.mark.browser

IDLE = "() => { const it = globalThis.live; return !it.busy && !it.waiting.length && !it.running; }"
REFUSED = "the server responded with a status of"


class Live(Shown):
    """A live page, the session behind it and the server between them."""

    def __init__(self, page, complaints, server):
        super().__init__(page, complaints)
        self.server, self.session = server, server.session

    def settle(self):
        """Wait until nothing is on its way to the engine, and read the page."""
        self.page.wait_for_function(IDLE)
        return self.read()

    def put(self, selector, text, n=0):
        """Type into a field and leave it."""
        self.page.locator(selector).nth(n).fill(str(text))
        self.page.locator(selector).nth(n).blur()
        return self.settle()

    def said(self):
        return self.page.text_content("#live .message")


@pytest.fixture
def play(browser):
    """Serve a session and open its page, at the end of the backward pass."""
    opened = []

    def start(session, width=1280, height=800, **context):
        server = Server(session)
        server.start()
        home = browser.new_context(viewport={"width": width, "height": height}, **context)
        page, complaints = home.new_page(), []
        opened.append((home, complaints, server))
        origin = f"http://127.0.0.1:{server.server_port}/"
        listen(page, complaints, origin, also=(f"{origin}act", f"{origin}?token="))
        page.goto(server.address())
        page.wait_for_selector("#graph g.item")
        return Live(page, complaints, server)

    yield start
    for home, complaints, server in opened:
        home.close()
        server.stop()
        assert complaints == []


def expression():
    return ExpressionSession("(a*b + c).tanh()", {"a": 0.5, "b": -1.5, "c": 0.25}, read)


def by_hand(values):
    """The gradients of (a b + c).tanh() from nothing but arithmetic."""
    a, b, c = (values[name] for name in "abc")
    out = math.tanh(a * b + c)
    slope = 1 - out * out
    return out, {"a": slope * b, "b": slope * a, "c": slope}


def agrees(live, shown):
    """Whether page, engine and arithmetic have one opinion."""
    state = live.session.state()
    values = {leaf["name"]: leaf["value"] for leaf in state["leaves"]}
    out, gradients = by_hand(values)
    boxes = {box["lines"][0]: box for box in shown["boxes"].values()}
    for name, value in values.items():
        assert boxes[name]["data"] == number(value)
        assert float(boxes[name]["grad"].replace("−", "-")) == pytest.approx(gradients[name], rel=1e-5, abs=1e-300)
    assert boxes["out"]["data"] == number(out)
    typed = live.page.eval_on_selector_all("[data-value]", "all => all.map((field) => Number(field.value))")
    assert typed == [leaf["value"] for leaf in state["leaves"]]
    assert f"loss {number(out)}" in live.page.text_content("#live")


def test_the_page_begins_where_everything_is_known(play):
    live = play(expression())
    agrees(live, live.settle())
    assert live.page.url.partition("#")[0].endswith(
        f":{live.server.server_port}/"
    )  # the token is gone from the address


def test_values_labels_rates_and_steps(play):
    live = play(expression())
    agrees(live, live.put("[data-value]", "-2.5", 1))
    assert live.session.state()["leaves"][1]["value"] == -2.5
    before = {leaf["name"]: leaf["value"] for leaf in live.session.state()["leaves"]}
    live.put("#rate input, #rate", "0.5")
    live.click("#step")
    shown = live.settle()
    agrees(live, shown)
    _, gradients = by_hand(before)
    for leaf in live.session.state()["leaves"]:
        assert leaf["value"] == pytest.approx(before[leaf["name"]] - 0.5 * gradients[leaf["name"]], rel=1e-12)
    assert "1 step taken" in live.page.text_content("#live")
    live.click("#run")
    live.page.wait_for_function("() => globalThis.live.state.steps > 20")
    live.click("#run")
    agrees(live, live.settle())
    losses = live.session.state()["history"]
    assert losses == sorted(losses, reverse=True)
    live.click("#reset")
    agrees(live, live.settle())
    assert live.session.state()["leaves"][0]["value"] == 0.5


def test_a_field_that_holds_no_number_changes_nothing(play):
    live = play(expression())
    for selector, shown in (("[data-value]", "0.5"), ("#rate", "0.1")):
        live.put(selector, "")
        assert "no number" in live.said() and live.page.input_value(selector) == shown
    assert live.session.revision == 0


def test_answers_to_other_numbers_are_not_kept(play):
    live = play(expression())
    live.click("[data-mode=predict]")
    live.press("End")
    _, gradients = by_hand({"a": 0.5, "b": -1.5, "c": 0.25})
    live.guess(repr(gradients["c"]))  # tanh hands on to its input, which hands it on to c
    assert "1 of 1" in live.read()["score"]
    live.put("[data-value]", "1.5")
    assert live.read()["score"] == ""


def test_another_expression_and_what_cannot_be_read(play):
    live = play(expression())
    shown = live.put("#expression", "d = a*a; d*d + b")
    boxes = {box["lines"][0]: box for box in shown["boxes"].values()}
    a, b = Value(0.5), Value(-1.5)
    d = a * a
    out = d * d + b
    out.backward()
    assert (boxes["a"]["grad"], boxes["d"]["grad"], boxes["out"]["data"]) == tuple(
        map(number, (a.grad, d.grad, out.data))
    )
    live.put("#expression", "a +* b")
    assert "invalid syntax" in live.said() and live.page.input_value("#expression") == "a +* b"
    live.put("#expression", "log(0 * a)")
    assert "log" in live.said()
    assert [c for c in live.complaints if REFUSED not in c] == []
    live.complaints.clear()
    live.put("#expression", "a*b")
    assert live.said() == ""


@pytest.mark.parametrize(
    "label", ["<script>document.title = 'x'</script>", '"><img src=x onerror=alert(1)>', "\u202eabc", "x" * 10_000]
)
def test_labels_are_text(play, label):
    live = play(expression())
    live.put("[data-label]", label)
    live.page.reload()
    live.page.wait_for_selector("#graph g.item")
    live.settle()
    assert live.page.locator("script").count() == 3 and live.page.locator("img").count() == 0
    assert live.page.title() == "Backpropagation through out"


def test_a_thousand_edits(play):
    """A thousand changes at the speed of a script: in the end, and on the way, page and engine agree."""
    live = play(expression())
    rng = random.Random(7)
    edit = """(edits) => { for (const [n, text] of edits) {
      const field = document.querySelectorAll("[data-value]")[n];
      field.value = text;
      field.dispatchEvent(new Event("change"));
    } }"""
    for _ in range(100):
        edits = [[rng.randrange(3), f"{rng.uniform(-2, 2):.6f}"] for _ in range(10)]
        last = dict(edits)
        live.page.evaluate(edit, edits)
        agrees(live, live.settle())
        leaves = live.session.state()["leaves"]
        assert all(leaves[n]["value"] == float(text) for n, text in last.items())
    assert live.session.revision >= 200  # of ten changes at once those to one number may be one


def test_a_change_behind_the_page(play):
    """Another window moved on: the edit is not carried out, the page shows where the engine is."""
    live = play(expression())
    live.session.act({"act": "lr", "value": 0.75})
    live.put("[data-value]", "9")
    assert "Nothing was changed" in live.said()
    assert live.page.input_value("#rate") == "0.75"
    agrees(live, live.settle())
    assert any("409" in complaint for complaint in live.complaints)
    live.complaints.clear()
    agrees(live, live.put("[data-value]", "1.25"))


def test_the_engine_is_gone(play):
    live = play(expression())
    live.server.stop()
    live.put("[data-value]", "9")
    assert "does not answer" in live.said()
    live.complaints.clear()


# --- points -----------------------------------------------------------------------------------------------------------


def points():
    made = data.moons(12, seed=3)
    return PointsSession(made.x, made.y, (3,), "tanh", {"tanh": nn.Tanh, "relu": nn.ReLU}, seed=1)


def middle(live, k):
    box = live.page.locator(".point").nth(k).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def shows_the_chosen(live, shown):
    """The graph of the chosen point has the loss that NumPy finds for it."""
    state = live.session.state()
    point = state["points"][state["chosen"]]
    p = point["output"]
    loss = -math.log(p if point["label"] else 1 - p)
    boxes = [box for box in shown["boxes"].values() if box["lines"][0] == "loss"]
    assert float(boxes[0]["data"].replace("−", "-")) == pytest.approx(loss, rel=1e-5)


def test_points_are_chosen_moved_added_turned_and_removed(play):
    live = play(points())
    page = live.page
    shows_the_chosen(live, live.settle())
    page.locator(".point").nth(4).click()
    shows_the_chosen(live, live.settle())
    assert live.session.state()["chosen"] == 4
    before = live.session.state()["points"][4]["x"]
    x, y = middle(live, 4)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 12, y - 6, steps=4)
    page.mouse.up()
    shows_the_chosen(live, live.settle())
    low, high = (live.session.state()["boundary"][end] for end in ("low", "high"))
    size = page.locator(".plot").bounding_box()["width"]
    after = live.session.state()["points"][4]["x"]
    for axis, pixels in ((0, 12), (1, 6)):
        step = (high[axis] - low[axis]) / size
        assert after[axis] - before[axis] == pytest.approx(pixels * step, abs=2.5 * step)  # the grip is not its middle
    label = live.session.state()["points"][4]["label"]
    page.locator(".point").nth(4).focus()
    page.keyboard.press("c")
    live.settle()
    assert live.session.state()["points"][4]["label"] == 1 - label
    page.keyboard.press("ArrowRight")
    live.settle()
    assert live.session.state()["points"][4]["x"][0] > after[0]
    page.keyboard.press("Delete")
    live.settle()
    assert len(live.session.state()["points"]) == page.locator(".point").count() == 11
    page.click("#add-1")
    box = page.locator(".plot").bounding_box()
    page.mouse.click(box["x"] + 3, box["y"] + 3)
    live.settle()
    added = live.session.state()["points"][-1]
    assert len(live.session.state()["points"]) == 12 and added["label"] == 1
    assert added["x"] == pytest.approx([low[0], high[1]], abs=0.03 * (high[0] - low[0]))


def test_the_boundary_is_the_engines(play):
    live = play(points())
    live.click("#run")
    live.page.wait_for_function("() => globalThis.live.state.steps >= 30")
    live.click("#run")
    live.settle()
    state = live.session.state()
    across, down = state["boundary"]["size"]
    pixels = live.page.evaluate("""async () => {
      const image = new Image();
      image.src = document.querySelector(".plot image").getAttribute("href");
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      return [image.width, image.height, ...context.getImageData(0, 0, image.width, image.height).data];
    }""")
    assert pixels[:2] == [across, down]
    blue_over_red = np.array(pixels[2:]).reshape(down, across, 4)[::-1]  # the picture's first row is the highest
    likely = np.array(state["boundary"]["values"]).reshape(down, across)
    sure = np.abs(likely - 0.5) > 0.02
    assert ((blue_over_red[..., 2] > blue_over_red[..., 0]) == (likely > 0.5))[sure].all() and sure.mean() > 0.5
    losses = state["history"]
    assert losses[-1] < losses[0]


def test_a_weight_is_picked_in_the_graph_and_changed(play):
    live = play(points())
    live.page.uncheck("#flat") if live.page.is_checked("#flat") else None
    live.settle()
    names = live.page.evaluate("globalThis.live.page.graph.names")
    node = names.index("2.weight[0,1]")
    live.page.locator(f'[data-key="n{node}"]').click()
    shown = live.put("#weight", "1.75")
    assert shown["boxes"][f"n{node}"]["data"] == "1.75"
    assert {p["name"]: p["value"] for p in live.session.state()["parameters"]}["2.weight[0,1]"] == 1.75
    shows_the_chosen(live, shown)


def test_another_activation_and_other_layers(play):
    live = play(points())
    live.page.select_option("#activation", "relu")
    shows_the_chosen(live, live.settle())
    assert live.session.state()["activation"] == "relu"
    shows_the_chosen(live, live.put("#sizes", "4 2"))
    assert live.session.state()["sizes"] == [2, 4, 2, 1]
    live.put("#sizes", "99")
    assert live.page.input_value("#sizes") == "4 2" and live.said()
    assert [c for c in live.complaints if REFUSED not in c] == []
    live.complaints.clear()


# --- digits -----------------------------------------------------------------------------------------------------------


def digits():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(784, 3), nn.Sigmoid(), nn.Linear(3, 10))
    model.load_state_dict({name: rng.normal(size=p.shape) / 4 for name, p in model.named_parameters()})
    return DigitsSession(model, nn.CrossEntropyLoss(), tuple("0123456789"), data.digits()[1].take(20))


def test_a_digit_is_drawn_seen_and_explained(play):
    live = play(digits())
    page = live.page
    example = live.session.state()["image"]
    page.locator(".board").scroll_into_view_if_needed()
    box = page.locator(".board").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.8, steps=12)
    page.mouse.up()
    live.settle()
    state = live.session.state()
    drawn = np.array(state["image"]).reshape(28, 28)
    assert state["image"] != example and drawn[:, 13:15].sum() > 20 and drawn[:, :10].sum() == drawn[:, 18:].sum() == 0
    shares = page.eval_on_selector_all(".bars .chance", "all => all.map((one) => one.textContent)")
    for text, p in zip(shares, state["probabilities"]):
        assert text == ("< 0.1 %" if p < 0.001 else f"{100 * p:.1f} %")
    assert page.locator(".bars .best .digit").text_content() == str(int(np.argmax(state["probabilities"])))
    assert "still shows the drawing from before" in page.text_content("#live")
    page.click("#explain")
    live.settle()
    page.select_option("#label", str((state["label"] + 1) % 10))
    live.settle()
    assert "still shows the drawing from before" in page.text_content("#live")  # the loss is another one
    page.click("#explain")
    shown = live.settle()
    assert "still shows" not in page.text_content("#live")
    values = {box["lines"][0]: box["data"] for box in shown["boxes"].values()}
    assert values["loss"] == number(live.session.state()["loss"])
    run = live.session.state()["run"]
    seen = dict(zip(run["graphs"][0]["names"], run["frames"][0]["values"]))
    assert [seen[f"x[0,{i}]"] for i in range(784)] == pytest.approx(state["seen"], rel=1e-12)
    page.click("#clear")
    live.settle()
    assert not any(live.session.state()["image"])
    page.click("#example")
    live.settle()
    assert live.session.state()["image"] != example and any(live.session.state()["image"])


# --- for everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session", [expression, points, digits])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_control_has_a_name_and_nothing_is_too_wide(play, session, width):
    live = play(session(), width=width, color_scheme="dark" if width == 390 else "light")
    live.settle()
    tree = live.page.context.new_cdp_session(live.page).send("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "slider", "checkbox", "combobox", "textbox", "spinbutton", "img", "image", "link"}
    controls = [node for node in tree if not node.get("ignored") and node["role"]["value"] in named]
    assert len(controls) > 10
    assert [node for node in controls if not node.get("name", {}).get("value", "").strip()] == []
    assert live.page.evaluate("document.documentElement.scrollWidth") <= width
