"""Steps as CUDA graphs: as few as can be, what a stream refuses between them, nothing done before it is launched."""

import gc

import numpy as np
import pytest
import strict_cupy as xp

import tinynet as tn
from tinynet import Tensor, nn, optim
from tinynet.backends.cuda.graph import Pool, captured


class Work:
    """Calls that count themselves on the device, and on the host how often a number was read."""

    def __init__(self):
        self.total = xp.zeros((), "float64")
        self.read = 0

    def add(self, amount):
        return lambda: xp.add(self.total, xp.full((), amount, "float64") * 1, out=self.total)

    def look(self):
        self.read += 1
        self.total.get()


def runs(work, plan):
    return [work.look if what == "look" else work.add(what) for what in plan]


@pytest.mark.parametrize(
    "plan, graphs, between",
    [
        ([1, 2, 3], 1, []),
        ([1, "look", 2, 3], 2, [1]),
        (["look", 1, 2], 1, [0]),
        ([1, 2, "look"], 1, [2]),
        (["look", "look"], 0, [0, 1]),
        ([1, "look", "look", 2], 2, [1, 2]),
        ([], 0, []),
    ],
    ids=str,
)
def test_what_is_refused_is_called_between_graphs(plan, graphs, between):
    work = Work()
    replay = captured(xp, runs(work, plan))
    assert (replay.graphs, list(replay.between)) == (graphs, between)
    assert all("NotImplementedError" in why and "\n" not in why for why in replay.between.values())
    work.read = 0
    assert work.total.get() == 0, "capturing carries nothing out"
    for times in (1, 2):
        for run in replay.runs:
            run()
        assert work.total.get() == times * sum(x for x in plan if x != "look")
        assert work.read == times * len(between)


def test_a_capture_that_cannot_be_ended_leaves_everything_to_be_called(monkeypatch):
    def end_capture(self):
        graph = xp.strict_cuda._capture
        xp.strict_cuda._capture = None
        graph.undo()
        raise RuntimeError("cudaErrorStreamCaptureInvalidated")

    monkeypatch.setattr(xp.cuda.Stream, "end_capture", end_capture)
    work = Work()
    replay = captured(xp, runs(work, [1, 2]))
    assert (replay.graphs, list(replay.between)) == (0, [0, 1])
    assert "Invalidated" in replay.between[0]
    for run in replay.runs:
        run()
    assert work.total.get() == 3


def test_a_graph_that_finds_no_room_says_so():
    def full():
        raise MemoryError("Out of memory")

    work = Work()
    with pytest.raises(MemoryError):
        captured(xp, [work.add(1), full])
    work.total.get()  # nothing is being captured any longer


def test_a_graphs_memory_lives_as_long_as_the_graph():
    gc.collect()
    before = len(Pool.alive)
    replay = captured(xp, runs(Work(), [1, 2]))
    assert len(Pool.alive) == before + 1
    del replay
    gc.collect()
    assert len(Pool.alive) == before


# --- whole steps ------------------------------------------------------------------------------------------------------

x, y = np.random.default_rng(0).normal(size=(8, 5)), np.array([0, 1, 2, 0, 1, 2, 0, 1])


def recorded(backend, unusual=None):
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3)).to(backend, dtype="float64")
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        optimizer.zero_grad()
        out = model(x)
        if unusual:
            out = unusual(out)
        loss = nn.CrossEntropyLoss()(out, y)
        loss.backward()
        optimizer.step()
        return loss

    return tn.capture(step, backend=backend), optimizer


def test_a_training_step_is_one_graph_and_a_changed_rate_is_followed(cupy):
    found = {}
    for backend in ("cupy", "numpy"):
        step, optimizer = recorded(backend)
        losses = []
        for i in range(6):
            optimizer.lr = 0.01 * (i + 1)
            losses.append(step(x * (i + 1), y).item())
        found[backend] = losses
        if backend == "cupy":
            assert step.program.way == "replayed as 1 CUDA graph"
            assert "CUDA graph" in str(step.program).splitlines()[0]
    np.testing.assert_allclose(found["cupy"], found["numpy"], 1e-10)  # six steps of float64


def test_a_call_that_no_graph_takes_is_named(strict, monkeypatch):
    sine = strict.kernels["sin"]

    def reading(x, out=None):
        float(strict.xp.sum(x))
        return sine(x, out=out)

    monkeypatch.setattr(strict, "kernels", {**strict.kernels, "sin": reading})
    monkeypatch.setattr("tinynet.backends.cuda.chains.links.KNOWN", frozenset())
    step = tn.capture(lambda x: (x * 2).sin().sum(), backend="cupy")
    first, again = step(Tensor(x, backend="cupy")).item(), step(Tensor(x, backend="cupy")).item()
    assert first == again == pytest.approx(np.sin(2 * x).sum())
    assert step.program.way.startswith("replayed as 2 CUDA graphs, sin between them (NotImplementedError")
