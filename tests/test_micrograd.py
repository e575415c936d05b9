"""micrograd's published checks and its demo, on tinynet.

The numbers of its README and its two expression tests are checked against PyTorch and the published figures; the demo
(100 moons, an MLP 2-16-16-1, hinge loss) must separate all moons within 100 steps, on Values and on NumPy.
"""

import random

import numpy as np
import pytest
from support import published_graph

import tinynet as tn
from tinynet import data, neuron, nn, optim
from tinynet.value import Value


@pytest.mark.tiny
def test_the_published_graph():
    a, b = Value(-4.0), Value(2.0)
    g = published_graph(a, b)
    g.backward()
    assert [f"{x:.4f}" for x in (g.data, a.grad, b.grad)] == ["24.7041", "138.8338", "645.5773"]


@pytest.mark.torch
def test_the_published_graph_equals_pytorch():
    import torch

    a, b = Value(-4.0), Value(2.0)
    mine = published_graph(a, b)
    mine.backward()
    ta, tb = (torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (-4.0, 2.0))
    c = ta + tb
    d = ta * tb + tb**3
    c = c + c + 1
    c = c + 1 + c + (-ta)
    d = d + d * 2 + (tb + ta).relu()
    d = d + 3 * d + (tb - ta).relu()
    f = (c - d) ** 2
    theirs = f / 2.0 + 10.0 / f
    theirs.backward()
    assert abs(mine.data - theirs.item()) < 1e-12 * abs(theirs.item())
    assert abs(a.grad - ta.grad.item()) < 1e-12 * abs(ta.grad.item())
    assert abs(b.grad - tb.grad.item()) < 1e-12 * abs(tb.grad.item())


@pytest.mark.torch
def test_the_sanity_check_equals_pytorch():
    import torch

    def expression(x):
        z = 2 * x + 2 + x
        q = z.relu() + z * x
        return (z * z).relu() + q + q * x

    mine = Value(-4.0)
    out = expression(mine)
    out.backward()
    theirs = torch.tensor([-4.0], dtype=torch.float64, requires_grad=True)
    reference = expression(theirs)
    reference.backward()
    assert out.data == reference.item()
    assert mine.grad == theirs.grad.item()


def test_the_demo_neuron_by_neuron():
    """As its author wrote it; fewer examples a step would be quicker but would not be the demo."""
    random.seed(1337)
    moons = data.moons(100, noise=0.1, seed=1)
    points, sides = moons.x.tolist(), [2 * int(y) - 1 for y in moons.y]
    model = neuron.MLP(2, [16, 16, 1])
    assert len(model.parameters()) == 337
    accuracy = 0.0
    for k in range(100):
        scores = [model([Value(x) for x in point]) for point in points]
        losses = [(1 + -side * score).relu() for side, score in zip(sides, scores)]
        loss = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())
        accuracy = np.mean([(side > 0) == (score.data > 0) for side, score in zip(sides, scores)])
        if accuracy == 1:
            break
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
    assert accuracy == 1


@pytest.mark.parametrize("backend", ["scalar", "numpy"])
def test_the_demo_as_one_model_on_two_engines(backend):
    tn.manual_seed(1337)
    moons = data.moons(100, noise=0.1, seed=1)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)).to(
        backend, "float64"
    )
    optimizer = optim.SGD(model.parameters(), lr=1.0, weight_decay=2e-4)
    loss = nn.HingeLoss()
    reached, losses = 0, []
    for k in range(100):
        optimizer.lr = 1.0 - 0.9 * k / 100
        scores = model(moons.x)
        result = loss(scores, moons.y)
        losses.append(result.item())
        if ((scores.numpy()[:, 0] > 0) == (moons.y > 0)).all():
            reached = k
            break
        optimizer.zero_grad()
        result.backward()
        optimizer.step()
    assert reached, f"not all moons were separated within 100 steps; losses {losses[::10]}"
    ran.setdefault(backend, losses)
    if len(ran) == 2:  # the same model on both engines takes the same path
        np.testing.assert_allclose(ran["scalar"], ran["numpy"], rtol=1e-9)


ran: dict[str, list[float]] = {}


def test_a_neuron_layer_is_a_row_of_a_linear_layer():
    """The same numbers as a network of neurons and as nn.Linear."""
    random.seed(0)
    layer = neuron.Layer(3, 2, nonlin=False)
    linear = nn.Linear(3, 2).to(dtype="float64")
    linear.load_state_dict(
        {
            "weight": np.array([[w.data for w in n.w] for n in layer.neurons]),
            "bias": np.array([n.b.data for n in layer.neurons]),
        }
    )
    x = [0.5, -1.5, 2.0]
    np.testing.assert_allclose([out.data for out in layer(x)], linear(np.array([x])).numpy()[0], rtol=1e-15)
