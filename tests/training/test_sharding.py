"""Threads: a batch in shares is the same step but for the order in which examples are added up."""

import numpy as np
import pytest
import training_runs
from support import engine
from training_runs import MOONS, REST, mlp, rows, same_bits, weights

import tinynet as tn
from tinynet import Tensor, nn, optim
from tinynet.backends import blas
from tinynet.errors import ArgumentError, CaptureError
from tinynet.training import steps, threads

random = np.random.default_rng(8)


def moons_trainer(*parts, threads="auto", **options):
    """As users make one: in as many threads as trying shows to be best."""
    return training_runs.moons_trainer(*parts, threads=threads, **options)


PIXELS = random.normal(size=(7, 1, 8, 8)).astype(np.float32), random.integers(0, 3, 7)
TOKENS = random.integers(0, 9, (7, 6)), random.integers(0, 9, (7, 6))


class Characters(nn.Module):
    """Logits for each step of a sequence, by way of a recurrent layer or a transformer."""

    def __init__(self, middle: str) -> None:
        self.embedding = nn.Embedding(9, 8)
        self.middle = {
            "lstm": lambda: nn.LSTM(8, 8, batch_first=True),
            "transformer": lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        }[middle]()
        self.head = nn.Linear(8, 9)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps) -> (batch, steps, 9)."""
        found = self.middle(self.embedding(x))
        return self.head(found[0] if isinstance(found, tuple) else found)


NETWORKS = {
    "dense": (lambda: mlp(64, 9, 3), (PIXELS[0].reshape(7, 64), PIXELS[1]), nn.CrossEntropyLoss),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)),
        PIXELS,
        nn.CrossEntropyLoss,
    ),
    "lstm": (lambda: Characters("lstm"), TOKENS, lambda: nn.CrossEntropyLoss(dim=-1)),
    "transformer": (lambda: Characters("transformer"), TOKENS, lambda: nn.CrossEntropyLoss(dim=-1)),
    "sum": (lambda: mlp(64, 9, 3), (PIXELS[0].reshape(7, 64), PIXELS[1]), lambda: nn.CrossEntropyLoss("sum")),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def run(name: str, **options):
    """Six steps of a network; the losses, and the trainer."""
    make, (x, y), loss = NETWORKS[name]
    tn.manual_seed(5)
    trainer = tn.Trainer(make(), loss(), optim.Adam(lr=0.01), **options)
    return [float(trainer.train_on_batch(x, y)) for _ in range(6)], trainer


@every_network
def test_one_thread_is_eager_bit_for_bit(name):
    recorded, one = run(name, threads=1)
    eager, other = run(name, capture=False)
    assert recorded == eager
    same_bits(weights(one.model), weights(other.model))


@every_network
@pytest.mark.parametrize("count", [2, 3, 9])
def test_shares_give_the_same_losses(name, count):
    """To 1e-5: float32, sums over 7 examples in another order, six steps of Adam. 9 threads are more than examples."""
    shared, trainer = run(name, threads=count)
    np.testing.assert_allclose(shared, run(name, threads=1)[0], rtol=1e-5)
    assert trainer.steps.words == f"{len(trainer.program)} calls in each of {count} threads"


@every_network
@pytest.mark.parametrize("count", [2, 3])
def test_plain_descent_agrees_to_a_millionth_in_single_precision(name, count):
    """Nothing here makes a rounding larger, as Adam's division by a small root does."""
    make, (x, y), loss = NETWORKS[name]
    found = []
    for threads_ in (1, count):
        tn.manual_seed(5)
        trainer = tn.Trainer(make(), loss(), optim.SGD(lr=0.1), threads=threads_)
        found.append([float(trainer.train_on_batch(x, y)) for _ in range(6)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


@every_network
def test_in_double_precision_they_agree_to_rounding(name, monkeypatch):
    make, (x, y), loss = NETWORKS[name]
    found = []
    for count in (1, 2, 3):
        tn.manual_seed(5)
        trainer = tn.Trainer(make().to("numpy", dtype="float64"), loss(), optim.SGD(lr=0.1), threads=count)
        found.append([float(trainer.train_on_batch(x, y)) for _ in range(6)])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-12)


@every_network
def test_a_number_of_threads_gives_one_result(name):
    (first, one), (second, other) = run(name, threads=2), run(name, threads=2)
    assert first == second
    same_bits(weights(one.model), weights(other.model))


def test_a_whole_run_in_shares(monkeypatch):
    """Odd last batches, metrics, l2, clipping, a schedule: history and weights as with one thread, to rounding."""
    trainers = []
    for count in (1, 2):
        options = {"l2": 0.5, "clip_norm": 0.5, "schedule": optim.StepLR(step_size=1, gamma=0.5)}
        trainer = moons_trainer(model=mlp(2, 6, 2, dtype="float64"), threads=count, **options)
        trainer.fit(MOONS, REST, epochs=3, batch_size=8, progress=False)
        trainers.append(trainer)
    one, two = trainers
    for expected, found in zip(rows(one.history), rows(two.history), strict=True):
        assert found == pytest.approx(expected, rel=1e-9)
    for name, expected in weights(one.model).items():
        np.testing.assert_allclose(weights(two.model)[name], expected, rtol=1e-9, atol=1e-12)
    assert two.history.notes == ["each batch is cut into 2 shares, a thread each"] and not one.history.notes


def test_the_largest_batch_may_be_one_example():
    trainer = moons_trainer(threads=2)
    trainer.fit(MOONS, epochs=1, batch_size=1, progress=False)
    alone = moons_trainer(threads=1)
    alone.fit(MOONS, epochs=1, batch_size=1, progress=False)
    same_bits(weights(trainer.model), weights(alone.model))


def test_dropout_draws_for_each_share_and_again_after_a_resumed_run(tmp_path):
    def trainer():
        tn.manual_seed(2)
        model = nn.Sequential(nn.Linear(2, 6), nn.Dropout(0.5), nn.Linear(6, 2))
        return moons_trainer(model=model, threads=2)

    whole, again, begun, resumed = (trainer() for _ in range(4))
    for one in (whole, again):
        tn.manual_seed(3)
        one.fit(MOONS, epochs=4, batch_size=8, progress=False)
    same_bits(weights(whole.model), weights(again.model))
    tn.manual_seed(3)
    begun.fit(MOONS, epochs=2, batch_size=8, progress=False, checkpoint=tmp_path / "run")
    tn.manual_seed(99)
    resumed.fit(MOONS, epochs=4, batch_size=8, progress=False, checkpoint=tmp_path / "run", resume=True)
    same_bits(weights(resumed.model), weights(whole.model))


def test_shares_draw_different_masks():
    """One example a share, whose shares of the loss are 1, 4 and 16: every choice of them is dropped at some time."""
    tn.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Dropout(0.5))
    trainer = tn.Trainer(model, nn.MSELoss(), optim.SGD(lr=0.0), threads=3)
    x, y = np.array([[1.0], [2.0], [4.0]], np.float32), np.zeros((3, 1), np.float32)
    one = 4 * float(model[0].weight.numpy()[0, 0]) ** 2 / 3  # what is not dropped is twice as large
    shares = {round(float(trainer.train_on_batch(x, y)) / one) for _ in range(80)}
    assert shares == {a + b + c for a in (0, 1) for b in (0, 4) for c in (0, 16)}


def test_a_setting_that_changes_between_steps_reaches_every_thread():
    found = []
    for count in (1, 2):
        trainer = moons_trainer(optim.SGD(lr=0.3), model=mlp(2, 6, 2, dtype="float64"), threads=count)
        trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8])
        trainer.optimizer.weight_decay = 0.5
        trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8])
        setattr(trainer.model, "1", nn.ReLU())
        trainer.optimizer.lr = 0.1
        found.append([float(trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8])) for _ in range(3)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


def test_batch_norm_is_refused_in_shares_and_left_in_one_by_auto(monkeypatch):
    def trainer(count):
        tn.manual_seed(4)
        model = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
        return moons_trainer(model=model, threads=count)

    alone, automatic, refused = trainer(1), trainer("auto"), trainer(2)
    before = weights(refused.model)
    with pytest.raises(ArgumentError, match=r"not the mean of its parts.*threads=1"):
        refused.fit(MOONS, epochs=1, batch_size=8, progress=False)
    same_bits(weights(refused.model), before)
    monkeypatch.setattr(threads, "TOO_SMALL", 0.0)  # so that shares are tried
    monkeypatch.setattr(threads, "cores", lambda: 2)
    for one in (alone, automatic):
        one.fit(MOONS, epochs=1, batch_size=8, progress=False)
    same_bits(weights(automatic.model), weights(alone.model))


@pytest.mark.parametrize("settings", [{"weight": (1.0, 3.0)}, {"ignore_index": 1}])
def test_a_loss_that_divides_by_what_a_batch_weighs_is_refused(settings, monkeypatch):
    with pytest.raises(ArgumentError, match=r"Trainer\(threads=2\): .*not the mean of its parts"):
        moons_trainer(loss=nn.CrossEntropyLoss(**settings), threads=2).fit(MOONS, epochs=1, progress=False)
    monkeypatch.setattr(threads, "TOO_SMALL", 0.0)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(threads, "WORTH", 1e9)  # whatever shares take, they would be preferred
    trainer = moons_trainer(loss=nn.CrossEntropyLoss(**settings))
    trainer.fit(MOONS, epochs=1, progress=False)
    assert trainer.steps.shares is None


class Spread(nn.Loss):
    """A loss of somebody's own, of which nobody knows that it looks at a batch as a whole."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The variance of the first output over the batch."""
        first = prediction[:, 0]
        return ((first - first.mean()) ** 2).mean()


def test_a_loss_that_looks_at_the_batch_as_a_whole_is_found_out():
    with pytest.raises(ArgumentError, match="not the mean of its parts"):
        moons_trainer(loss=Spread(), threads=2, metrics=()).fit(MOONS, epochs=1, batch_size=3, progress=False)


def test_an_error_in_one_share_changes_nothing_and_the_next_step_goes_on():
    x, y = MOONS.x[:8], MOONS.y[:8]
    wrong = y.copy()
    wrong[-1] = -1
    trainer, other = moons_trainer(threads=2), moons_trainer(threads=2)
    for one in (trainer, other):
        one.train_on_batch(x, y)
    before = weights(trainer.model)
    with pytest.raises(ArgumentError, match="class -1"):
        trainer.train_on_batch(x, wrong)
    same_bits(weights(trainer.model), before)
    assert float(trainer.train_on_batch(x, y)) == float(other.train_on_batch(x, y))


def test_trying_changes_nothing(monkeypatch):
    """With shares tried and not taken, a run is that of one program: dropout, Adam's memory, the order of draws."""
    monkeypatch.setattr(threads, "TOO_SMALL", 0.0)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(threads, "WORTH", 0.0)
    tried = []
    monkeypatch.setattr(steps, "choose", lambda *a: tried.append(1) or threads.choose(*a))
    found = []
    for count in (1, "auto"):
        tn.manual_seed(6)
        model = nn.Sequential(nn.Linear(2, 6), nn.Dropout(0.3), nn.Linear(6, 2))
        trainer = moons_trainer(optim.Adam(lr=0.02), model=model, threads=count)
        tn.manual_seed(7)
        trainer.fit(MOONS, epochs=2, batch_size=8, progress=False)
        trainer.fit(MOONS, epochs=2, batch_size=8, progress=False)
        found.append(trainer)
    assert len(tried) == 1, "it is tried once for each kind of batch"
    same_bits(weights(found[1].model), weights(found[0].model))
    assert rows(found[1].history) == rows(found[0].history)


def test_auto_takes_shares_where_they_are_faster(monkeypatch):
    """The clock is ours: a step in shares takes half as long."""
    monkeypatch.setattr(threads, "cores", lambda: 4)
    taken = {None: 1.0, 2: 0.6, 4: 0.4}
    monkeypatch.setattr(threads, "_seconds", lambda step, x, y: taken[step.shares if step.inside else None])
    trainer = moons_trainer()
    trainer.fit(MOONS, epochs=1, batch_size=8, progress=False)
    assert trainer.steps.shares == 4
    assert [step.shares for step in trainer.steps._steps.values()] == [4], "what was not chosen is let go"
    assert trainer.history.notes == ["each batch is cut into 4 shares, a thread each"]
    monkeypatch.setattr(threads, "_seconds", lambda step, x, y: 1.0)
    trainer = moons_trainer()
    trainer.fit(MOONS, epochs=1, batch_size=8, progress=False)
    assert trainer.steps.shares is None


def test_a_resumed_run_keeps_the_number_it_was_begun_with(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "choose", lambda *_: 3)
    trainer = moons_trainer()
    trainer.fit(MOONS, epochs=1, batch_size=8, progress=False, checkpoint=tmp_path / "run")
    monkeypatch.setattr(steps, "choose", lambda *_: None)
    resumed = moons_trainer()
    resumed.fit(MOONS, epochs=2, batch_size=8, progress=False, checkpoint=tmp_path / "run", resume=True)
    assert resumed.steps.shares == 3
    whole = moons_trainer(threads=3)
    whole.fit(MOONS, epochs=2, batch_size=8, progress=False)
    same_bits(weights(resumed.model), weights(whole.model))


def test_the_threads_of_blas_are_left_as_they_were():
    before = blas.use_threads(2)
    try:
        trainer = moons_trainer(threads=2)
        inside = []
        share = trainer.steps._share
        trainer.steps._share = lambda *a: (inside.append(blas.use_threads(1)), share(*a))[1]
        trainer.fit(MOONS, epochs=1, batch_size=8, progress=False)
        assert set(inside) == {1} and blas.use_threads(2) == 2
    finally:
        blas.use_threads(before)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "two", True, None])
def test_settings_that_are_no_number_of_threads(wrong):
    with pytest.raises(ArgumentError, match=r"Trainer\(threads=.*at least 1, or 'auto'"):
        moons_trainer(threads=wrong)


@pytest.mark.parametrize("backend", ["scalar", "strict"])
def test_threads_are_for_the_cpu(backend):
    model = mlp(2, 3, 2).to(engine(backend))
    with pytest.raises(ArgumentError, match="for kernels on the CPU"):
        moons_trainer(model=model, threads=2)
    moons_trainer(model=model, threads="auto").train_on_batch(MOONS.x[:4], MOONS.y[:4])


def test_a_batch_by_itself_follows_every_setting():
    """Batches of several sizes, a changed rate, penalty, element type, evaluation between: as eager steps do."""
    found = []
    for capture in (True, False):
        trainer = moons_trainer(capture=capture, threads=1)
        losses = [float(trainer.train_on_batch(MOONS.x[:n], MOONS.y[:n])) for n in (8, 5, 8, 1, 5)]
        trainer.optimizer.lr = 0.05
        losses.append(float(trainer.train_on_batch(MOONS.x, MOONS.y)))
        trainer.l2 = 2.0
        losses += [float(trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8], examples=n)) for n in (None, 50, 50)]
        trainer.evaluate(REST)
        trainer.model.eval()
        losses.append(float(trainer.train_on_batch(MOONS.x, MOONS.y)))
        assert trainer.model.training
        trainer.model.to("numpy", dtype="float64")
        losses.append(float(trainer.train_on_batch(MOONS.x, MOONS.y)))
        found.append(losses)
    assert found[0] == found[1]


def test_a_batch_by_itself_is_what_fit_takes():
    one, other = moons_trainer(threads=1), moons_trainer(threads=1)
    one.fit(MOONS, epochs=1, batch_size=10, shuffle=False, progress=False)
    for start in range(0, 50, 10):
        other.train_on_batch(MOONS.x[start : start + 10], MOONS.y[start : start + 10])
    same_bits(weights(other.model), weights(one.model))


def test_what_all_shares_would_change_is_refused():
    """Each example's share of the loss is its own, but every share counts in the same place."""
    count = tn.zeros(1)

    class Counted(nn.Module):
        def forward(self, x):
            with tn.no_grad():
                count.add_(1.0)
            return x

    trainer = moons_trainer(model=nn.Sequential(nn.Linear(2, 2), Counted()), threads=2)
    before = weights(trainer.model)
    with pytest.raises(CaptureError, match=r"array that all of them see.*threads=1"):
        trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8])
    same_bits(weights(trainer.model), before)


class Centred(nn.Module):
    """Examples that see each other, in training alone."""

    def forward(self, x: Tensor) -> Tensor:
        """x, in training less its mean over the batch."""
        return x - x.mean(0) if self.training else x


def test_examples_that_see_each_other_in_training_alone_are_noticed():
    model = nn.Sequential(nn.Linear(2, 6), Centred(), nn.Tanh(), nn.Linear(6, 2))
    with pytest.raises(ArgumentError, match="not the mean of its parts"):
        moons_trainer(model=model, threads=2).train_on_batch(MOONS.x[:7], MOONS.y[:7])


def test_gradients_that_are_not_the_optimisers_keep_threads_away():
    model = mlp(2, 6, 2)
    optimizer = optim.SGD(list(model[2].parameters()), lr=0.1)
    with pytest.raises(ArgumentError, match="threads=1"):
        moons_trainer(optimizer, model=model, threads=2).train_on_batch(MOONS.x[:8], MOONS.y[:8])


def test_trying_leaves_parameters_alone_that_are_not_the_models(monkeypatch):
    monkeypatch.setattr(threads, "TOO_SMALL", 0.0)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    found = []
    for count in (1, "auto"):
        model, extra = mlp(2, 6, 2), tn.Parameter(np.ones(3, np.float32))
        optimizer = optim.SGD([*model.parameters(), extra], lr=0.1, weight_decay=0.1)
        moons_trainer(optimizer, model=model, threads=count).train_on_batch(MOONS.x[:8], MOONS.y[:8])
        found.append(extra.numpy().copy())
    np.testing.assert_array_equal(*found)


def test_layers_frozen_after_the_trainer_was_made(monkeypatch):
    monkeypatch.setattr(threads, "TOO_SMALL", 0.0)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    trainer = moons_trainer(optim.Adam(lr=0.02))
    for parameter in trainer.model[0].parameters():
        parameter.requires_grad_(False)
    before = trainer.model[0].weight.numpy().copy()
    trainer.fit(MOONS, epochs=1, batch_size=8, progress=False)
    np.testing.assert_array_equal(trainer.model[0].weight.numpy(), before)


def test_another_reduction_counts_at_once():
    found = []
    for count in (1, 2):
        trainer = moons_trainer(model=mlp(2, 6, 2, dtype="float64"), threads=count)
        for reduction in ("mean", "sum"):
            trainer.loss.reduction = reduction
            loss = float(trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8]))
        found.append([loss, *weights(trainer.model)["0.weight"].reshape(-1)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


def test_threads_replay_so_they_need_the_recorder():
    with pytest.raises(ArgumentError, match=r"threads=2, capture=False"):
        moons_trainer(threads=2, capture=False)


def test_a_resumed_run_says_when_its_threads_are_others(tmp_path):
    moons_trainer(threads=2).fit(MOONS, epochs=1, batch_size=8, progress=False, checkpoint=tmp_path / "run")
    resumed = moons_trainer(threads=1)
    resumed.fit(MOONS, epochs=2, batch_size=8, progress=False, checkpoint=tmp_path / "run", resume=True)
    assert resumed.history.notes[-1].startswith("the run was begun with 2 of them")


@pytest.mark.parametrize("batch", [([[1.0, 2.0]], [0]), (np.zeros((0, 2), np.float32), np.zeros(0, int))])
def test_what_is_no_batch_is_told(batch):
    with pytest.raises(ArgumentError, match="a row an example; x is"):
        moons_trainer().train_on_batch(*batch)


def test_the_steps_that_are_kept_have_a_limit():
    trainer = moons_trainer(threads=1)
    for i in range(80):
        trainer.l2 = i + 1.0
        trainer.train_on_batch(MOONS.x[:8], MOONS.y[:8])
    assert len(trainer.steps._steps) <= steps.MOST
