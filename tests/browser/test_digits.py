"""A network that reads digits, 784-16-16-10: opened as layers, and looked into as far as its single numbers."""

import json

import numpy as np
import pytest

import tinynet as tn
from tinynet import Value, data, nn
from tinynet.explain.viewer import viewer

pytestmark = pytest.mark.browser

DIGITS = 1e-5  # six digits are shown: half a unit in the sixth, relative to a first digit of 1, is 5e-6


class Network:
    """The model, one image, and all its numbers once more, by NumPy in the formulas of the textbook."""

    def __init__(self, folder):
        tn.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(784, 16), nn.Sigmoid(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 10))
        self.x, self.y = data.digits()[1].take(1)[:]
        self.path = tn.explain(self.model, self.x, self.y, nn.CrossEntropyLoss()).save(folder / "digits.html")
        self.image = np.asarray(self.x, float).reshape(784)
        self.target = int(np.asarray(self.y)[0])
        (w0, b0), (w1, b1), (w2, b2) = [
            (np.asarray(self.model[k].weight.numpy(), float), np.asarray(self.model[k].bias.numpy(), float))
            for k in (0, 2, 4)
        ]
        h0 = 1 / (1 + np.exp(-(w0 @ self.image + b0)))
        h1 = 1 / (1 + np.exp(-(w1 @ h0 + b1)))
        outputs = w2 @ h1 + b2
        self.softmax = np.exp(outputs) / np.exp(outputs).sum()
        self.loss = -np.log(self.softmax[self.target])
        to_outputs = self.softmax - np.eye(10)[self.target]
        to_h1 = w2.T @ to_outputs
        to_h0 = w1.T @ (to_h1 * h1 * (1 - h1))
        self.units = {0: (h0, to_h0), 1: (h1, to_h1), 2: (outputs, to_outputs)}
        self.weights = w0
        self.weight_gradients = np.outer(to_h0 * h0 * (1 - h0), self.image)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return Network(tmp_path_factory.mktemp("digits"))


def read(text):
    return float(text.replace("−", "-"))


PIXELS = """async (href) => {
  const image = new Image();
  image.src = href;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return [canvas.width, canvas.height, [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""


def pixels(shown, locator, attribute):
    across, down, flat = shown.page.evaluate(PIXELS, shown.page.locator(locator).first.get_attribute(attribute))
    return np.array(flat).reshape(down, across, 4)[:, :, :3]


def test_it_opens_as_layers_with_its_input_as_an_image_and_its_answers_as_bars(network, open_page):
    shown = open_page(path=network.path)
    seen = shown.read()
    assert list(seen["boxes"]) == ["g0", "g1", "g2", "g3", "g4"]
    assert [seen["boxes"][key]["lines"][0] for key in ("g1", "g2", "g3")] == [
        "Linear(784, 16)", "Linear(16, 16)", "Linear(16, 10)",
    ]  # fmt: skip
    assert shown.page.locator("#graph *").count() < 400
    drawn = pixels(shown, '[data-key="g0"] image', "href")
    assert drawn.shape == (28, 28, 3)
    wanted = np.round(255 * network.image / network.image.max()).reshape(28, 28)
    np.testing.assert_allclose(
        drawn, np.repeat(wanted[:, :, None], 3, 2), atol=0.5 + 1e-6
    )  # a tie may round either way
    assert all("." not in line for line in seen["boxes"]["g3"]["lines"])  # not yet computed
    assert shown.page.locator('[data-key="g3"] .bar').count() == 10

    seen = shown.press("End")
    figures = [line for line in seen["boxes"]["g3"]["lines"] if "." in line]
    assert [k for k, line in enumerate(figures) if "target" in line] == [network.target]
    told = [read(line.split()[0]) for line in figures]
    np.testing.assert_allclose(told, network.softmax, rtol=5e-3)  # three digits
    widths = [float(bar.get_attribute("width")) for bar in shown.page.locator('[data-key="g3"] .bar').all()]
    np.testing.assert_allclose(np.array(widths) / sum(widths), network.softmax, rtol=1e-6)
    assert read(seen["boxes"]["g4"]["data"]) == pytest.approx(network.loss, rel=DIGITS)
    assert seen["boxes"]["g4"]["grad"] == "1"


def test_the_panel_has_every_unit_of_a_layer(network, open_page):
    shown = open_page(path=network.path)
    shown.press("End")
    rows = [row.split("\t") for row in shown.page.locator("#told tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == [f"unit {k}" for k in range(16)]
    for column, wanted in zip((1, 2), network.units[0]):
        np.testing.assert_allclose([read(row[column]) for row in rows], wanted, rtol=DIGITS)


def test_units_are_those_of_a_computation_by_hand(network, open_page):
    shown = open_page(path=network.path)
    for layer, (activations, gradients) in network.units.items():
        shown.open(f"g{layer + 1}")
        seen = shown.press("End")
        units = [box for box in seen["boxes"].values() if not box["ghost"]]
        assert [unit["lines"][0] for unit in units] == [f"unit {k}" for k in range(len(activations))]
        np.testing.assert_allclose([read(unit["data"]) for unit in units], activations, rtol=DIGITS)
        np.testing.assert_allclose([read(unit["grad"]) for unit in units], gradients, rtol=DIGITS)
        shown.press("Escape")


def test_a_unit_shows_what_it_looks_for(network, open_page):
    shown = open_page(path=network.path, fragment="#in=g1")
    weights = network.weights[3].reshape(28, 28) / np.abs(network.weights[3]).max()
    key = next(key for key, box in shown.read()["boxes"].items() if box["lines"][0] == "unit 3")

    def shaded(numbers):
        ends = np.where(numbers[:, :, None] < 0, [213, 94, 0], [0, 114, 178])
        return np.round(247 + (ends - 247) * np.abs(numbers)[:, :, None])

    np.testing.assert_allclose(pixels(shown, f'[data-key="{key}"] image', "href"), shaded(weights), atol=1)
    shown.open(key)
    shown.press("End")
    assert shown.page.locator("#portrait img").count() == 3
    products = (network.weights[3] * network.image).reshape(28, 28)
    slopes = network.weight_gradients[3].reshape(28, 28)
    for k, wanted in enumerate((weights, products / np.abs(products).max(), slopes / np.abs(slopes).max())):
        np.testing.assert_allclose(pixels(shown, f"#portrait img >> nth={k}", "src"), shaded(wanted), atol=1)
    captions = shown.page.locator("#portrait figcaption").all_inner_texts()
    assert captions == [image.get_attribute("alt") for image in shown.page.locator("#portrait img").all()]


def test_in_and_out_by_click_and_by_breadcrumb(network, open_page):
    shown = open_page(path=network.path)
    shown.press("End")
    assert shown.open("g1")["trail"] == ["the network", "Linear(784, 16)"]
    unit = next(key for key, box in shown.read()["boxes"].items() if box["lines"][0] == "unit 5")
    assert shown.open(unit)["trail"] == ["the network", "Linear(784, 16)", "unit 5"]
    inside = shown.read()
    assert len(inside["boxes"]) < 60
    assert shown.open(f"{unit}p3")["trail"] == ["the network", "Linear(784, 16)", "unit 5", "part 4"]
    end = shown.press("End")
    weights = [box for box in end["boxes"].values() if box["lines"][0].startswith("0.weight[5,")]
    assert len(weights) > 20
    for box in weights:
        pixel = int(box["lines"][0].split(",")[1].rstrip("]"))
        assert read(box["data"]) == pytest.approx(network.weights[5, pixel], rel=DIGITS)
        assert read(box["grad"]) == pytest.approx(network.weight_gradients[5, pixel], rel=DIGITS)
    assert shown.click("#trail button", 2)["trail"][-1] == "unit 5"
    assert shown.click("#trail button", 0)["trail"] == ["the network"]
    shown.open("g2")
    shown.page.locator(".ghost", has_text="Linear(784, 16)").click()
    assert shown.read()["trail"] == ["the network", "Linear(784, 16)"]
    shown.page.locator(".ghost", has_text="Linear(16, 16)").click()
    assert shown.read()["trail"] == ["the network", "Linear(16, 16)"]


def test_in_and_out_by_keyboard(network, open_page):
    shown = open_page(path=network.path)
    trails = []
    for key in ("g1", None, None):
        keys = [key for key, box in shown.read()["boxes"].items() if not box["ghost"]]
        shown.page.focus(f'[data-key="{key or keys[0]}"]')
        trails.append(shown.press("Enter")["trail"])
    assert trails[-1] == ["the network", "Linear(784, 16)", "unit 0", "part 1"]
    assert [shown.press("Escape")["trail"] for _ in range(3)] == [trails[1], trails[0], ["the network"]]
    assert shown.press("Escape")["trail"] == ["the network"]


ZOOM = """async (key) => {
  const start = performance.now();
  document.querySelector(`[data-key="${key}"]`).dispatchEvent(new MouseEvent("click", { bubbles: true }));
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  return performance.now() - start;
}"""


def test_every_zoom_is_drawn_within_a_second(network, open_page):
    shown = open_page(path=network.path)
    shown.press("End")
    best = {}
    for _ in range(3):
        for level, key in (("layer", "g1"), ("unit", None), ("part", None)):
            key = key or next(key for key, box in shown.read()["boxes"].items() if not box["ghost"])
            best[level] = min(best.get(level, 1e9), shown.page.evaluate(ZOOM, key))
        assert len(shown.press("Escape", "Escape", "Escape")["trail"]) == 1
    assert all(milliseconds < 1000 for milliseconds in best.values()), best


class Wide:
    """A run of one layer of two units with 150,000 numbers, written down without an engine: sums of leaves."""

    title = "wide"

    def json(self):
        size, half = 150_000, 75_000
        graph = {
            "names": [f"v{i}" for i in range(size)], "nameless": [], "operation": [-1] * half + [0] * half,
            "operations": [{"name": "add", "symbol": "+", "rule": "the sum rule", "hint": "", "derivatives": [[1], [1]],
                            "formula": [{"input": 0}, " + ", {"input": 1}]}],
            "parents": [[] for _ in range(half)] + [[i - 1, i - half] for i in range(half, size)],
            "groups": [{"name": "0", "kind": "layer", "parent": -1, "shape": []}] + [
                {"name": f"unit {k}", "kind": "unit", "parent": 0, "shape": []} for k in range(2)],
            "group": [1 + (i % half >= half - 100) for i in range(size)],
        }  # fmt: skip
        links = 2 * half
        frame = {
            "graph": 0,
            "values": [1] * size,
            "gradients": [1] * size,
            "locals": [1] * links,
            "contributions": [1] * links,
            "stale": [],
        }
        return json.dumps(
            {"format": "tinynet trace", "version": 1, "title": "wide", "graphs": [graph], "frames": [frame]}
        )


def test_a_layer_of_as_many_numbers_as_no_call_takes_arguments_opens(open_page, tmp_path):
    path = tmp_path / "wide.html"
    path.write_text(viewer(Wide(), tn.explain(Value(1.0)).story), "utf-8")
    shown = open_page(path=path)
    assert list(shown.press("End")["boxes"]) == ["g0"]
    assert list(shown.open("g0")["boxes"]) == ["g1", "g2"]


VISIBLE = """() => {
  const frame = document.querySelector(".scroll").getBoundingClientRect();
  const across = (box) => box.right > frame.left && box.left < frame.right;
  const inside = (box) => across(box) && box.bottom > frame.top && box.top < frame.bottom;
  return [...document.querySelectorAll("#graph g.item")].filter((item) => inside(item.getBoundingClientRect())).length;
}"""


@pytest.mark.parametrize("width", [390, 1280])
def test_something_can_be_seen_in_every_sight(network, open_page, width):
    shown = open_page(path=network.path, width=width)
    keys = ["g1", "g8", "g8p7"]
    for key in keys:
        shown.open(key)
        assert shown.page.evaluate(VISIBLE) > 0, key
    for k in range(len(keys), 0, -1):  # from an address, at its start and after the end
        for moment in ("", "&t=999999"):
            again = open_page(path=network.path, width=width, fragment=f"#in={'.'.join(keys[:k])}{moment}")
            assert again.page.evaluate(VISIBLE) > 0, (keys[:k], moment)
    shown.page.go_back()
    assert shown.read()["trail"][-1] == "unit 3"
