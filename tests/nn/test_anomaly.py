"""``tn.detect_anomaly()``: the layer that first sees a number that is not finite says so, on every backend."""

import numpy as np
import pytest
from support import engine, on_array_backends, on_every_backend

import tinynet as tn
from tinynet import Tensor, data, nn, optim
from tinynet.errors import CaptureError, NonFiniteError

pytestmark = pytest.mark.tiny


def model(backend):
    tn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(engine(backend))


@on_every_backend
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_in_the_input(backend, number):
    x = np.zeros((2, 3), np.float32)
    x[1, 2] = number
    with tn.detect_anomaly():
        with pytest.raises(NonFiniteError, match=rf'Linear\(3, 4\) "0": its input \(2, 3\) holds {number} at \(1, 2\)'):
            model(backend)(x)
        model(backend)(np.zeros((2, 3), np.float32)).sum().backward()


@on_every_backend
def test_in_the_output(backend):
    net = model(backend)
    net[2].bias.load_(np.array([0.0, np.inf]))
    with tn.detect_anomaly(), pytest.raises(NonFiniteError, match=r'Linear\(4, 2\) "2": its output'):
        net(np.zeros((2, 3), np.float32))


@on_array_backends
def test_in_the_gradient(backend):
    net = model(backend)
    gradient = Tensor(np.array([[0.0, np.nan]], np.float32), backend=engine(backend))
    with tn.detect_anomaly():
        out = net(np.ones((1, 3), np.float32))
        with pytest.raises(NonFiniteError, match=r'Linear\(4, 2\) "2": the gradient of its output'):
            out.backward(gradient)


def test_nothing_is_looked_at_outside():
    assert np.isnan(model("numpy")(np.full((1, 3), np.nan, np.float32)).numpy()).all()


def test_steps_run_eagerly_inside():
    """A replay cannot look: what was recorded before is not replayed, and the trainer says what it does."""
    net = model("numpy")
    step = tn.capture(lambda x: net(x))
    x = np.zeros((2, 3), np.float32)
    step(x)
    with tn.detect_anomaly(), pytest.raises(CaptureError, match="read"):
        step(x)
    trainer = tn.Trainer(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
    bad = data.Dataset(np.full((4, 3), np.nan, np.float32), np.array([0, 1, 0, 1]))
    with tn.detect_anomaly(), pytest.raises(NonFiniteError, match="its input"):
        trainer.fit(bad, epochs=1, progress=False)
