"""Networks of other kinds than the one that reads digits: what stands on their page is right, and every place opens."""

import numpy as np
import pytest

import tinynet as tn
from tinynet import Value, nn

pytestmark = pytest.mark.browser


def test_the_loss_of_a_batch_is_told_as_the_loss(open_page):
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x, y = np.array([[1.0, -1.0], [0.5, 2.0], [-1.0, 0.0]]), np.array([[1.0], [0.0], [-1.0]])
    explained = tn.explain(model, x, y, nn.MSELoss())
    shown = open_page(explained, fragment="#numbers=0")
    loss = next(box for box in shown.press("End")["boxes"].values() if box["lines"][0] == "loss")
    wanted = nn.MSELoss()(model(tn.Tensor(x, dtype="float32")), tn.Tensor(y, dtype="float32")).item()
    assert float(loss["data"]) == pytest.approx(wanted, rel=1e-5)  # six digits; the model's own are float32's
    assert loss["grad"] == "1"


def test_an_input_image_of_a_convolution_is_an_image(convolution, open_page):
    shown = open_page(convolution)
    assert shown.read()["boxes"]["g0"]["label"].startswith("the input, an image of 8 by 8 pixels")
    assert shown.page.locator('[data-key="g0"] image').count() == 1


@pytest.mark.parametrize("constant", [float("inf"), float("nan")])
def test_constants_that_are_no_number_keep_their_name(constant, open_page):
    shown = open_page(tn.explain(Value(2.0, label="a") * constant))
    assert shown.press("ArrowRight")["sum"].startswith(f"out = a × {constant} = 2 × {constant} = ")


class LastState(nn.Module):
    """An LSTM, and a layer on its last state."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 3, batch_first=True)
        self.out = nn.Linear(3, 2)

    def forward(self, x):
        states, _ = self.lstm(x)
        return self.out(states[:, -1])


def recurrent():
    return tn.explain(LastState(), np.full((1, 3, 2), 0.3), np.array([1]), nn.CrossEntropyLoss())


def attention():
    model = nn.GPT(vocab_size=5, block_size=3, n_layer=1, n_head=2, n_embd=4)

    def loss(output, target):
        return nn.CrossEntropyLoss()(output.reshape(-1, 5), target.reshape(-1))

    return tn.explain(model, np.array([[0, 1, 2]]), np.array([[1, 2, 3]]), loss)


EVERYWHERE = """() => {
  const click = (item) => item.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const places = [];
  const visit = (depth) => {
    places.push([...document.querySelectorAll("#trail li")].map((li) => li.textContent).join(" > "));
    key("End");
    if (depth === 3) return;
    const keys = [...document.querySelectorAll("#graph g.item.opens:not(.ghost)")].map((item) => item.dataset.key);
    for (const one of [...keys.slice(0, 2), ...keys.slice(2).slice(-2)]) {
      click(document.querySelector(`[data-key="${one}"]`));
      visit(depth + 1);
      key("Escape");
    }
  };
  visit(0);
  return places;
}"""


@pytest.mark.parametrize("network", [recurrent, attention, None])
def test_every_place_opens(network, open_page, convolution):
    tn.manual_seed(0)
    shown = open_page(network() if network else convolution, fragment="#numbers=0")
    places = shown.page.evaluate(EVERYWHERE)
    assert len(places) > 10 and len(shown.read()["trail"]) == 1
