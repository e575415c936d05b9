"""The tasks: each beats its baseline in a quick run, its parts are what they say, its model runs on every backend."""

import numpy as np
import pytest
from support import on_every_backend

import tinynet as tn
from tinynet import Tensor, data, nn
from tinynet.tasks import (
    TASKS,
    Result,
    Score,
    binary,
    characters,
    detection,
    forecasting,
    labelling,
    multiclass,
    regression,
    segmentation,
    steering,
)
from tinynet.training import History

MODULES = {module.__name__.rpartition(".")[2]: module for module in (
    regression, binary, multiclass, segmentation, detection, steering, labelling, characters, forecasting,
)}  # fmt: skip

# By how much each score of a quick run with seed 1 is better than the baseline's, at least: about half of what it is.
MARGINS = {
    "regression": (0.13,),
    "binary": (0.05,),
    "multiclass": (0.02,),
    "segmentation": (0.03, 0.04, 0.05),
    "detection": (0.15, 0.03, 0.15),
    "steering": (0.25, 90),
    "labelling": (0.03, 0.2),
    "characters": (1.2, 0.4),
    "forecasting": (0.08,),
}


@pytest.fixture
def no_files(monkeypatch, tmp_path):
    """Nothing but what comes with the package."""
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    monkeypatch.setenv("TINYNET_CACHE", str(tmp_path))


def test_the_list_is_complete():
    assert list(TASKS) == list(MODULES) == list(MARGINS)


@pytest.mark.parametrize("name", TASKS)
def test_a_quick_run_beats_the_baseline(name, no_files):
    result = MODULES[name].run(quick=True, seed=1, progress=False)
    assert len(result.scores) == len(MARGINS[name])
    for score, margin in zip(result.scores, MARGINS[name]):
        better = -1 if score.lower_is_better else 1
        gain = better * (score.reached - score.baseline)
        assert gain > margin, f"{score.metric}: {score.baseline:.3f} to {score.reached:.3f}"
        if score.limit is not None:  # 3 %, for the limit of forecasting is that of an endless test
            assert better * score.reached <= better * score.limit + 0.03 * score.limit, f"{score.metric} is too good"
    assert result.picture()[1:4] == b"PNG" and result.history.stopped == "epochs"


def test_the_same_seed_gives_the_same_run():
    first, again, other = (binary.run(quick=True, seed=s, progress=False).scores[0] for s in (3, 3, 4))
    assert first == again and first != other


def test_a_result_is_a_table():
    scores = Score("error", 0.5, 0.25, 0.2, ".2f", lower_is_better=True), Score("share", 0.5, 0.75)
    text = str(Result(scores, "a guess", History([{"seconds": 1.5}, {"seconds": 2.0}]), None))
    assert text.splitlines() == [
        "metric  baseline  reached  best possible",
        "error       0.50     0.25           0.20",
        "share      50.0%    75.0%",
        "baseline: a guess; trained for 3.5 s",
    ]
    assert all(score.beaten for score in scores) and not Score("share", 0.5, 0.5).beaten


# --- each model on every backend, at a size that the scalar one can take ----------------------------------------------


def cases():
    random = np.random.default_rng(0)
    x, letters = random.standard_normal((2, 6, 1)), np.array([[3, 1, 4, 0], [7, 2, 0, 0]])
    yield regression.network(), random.standard_normal((3, 1)), random.standard_normal((3, 1)), nn.MSELoss()
    yield binary.network(), random.standard_normal((3, 2)), np.array([0, 1, 1]), nn.BCEWithLogitsLoss()
    yield forecasting.Forecaster(hidden=3), x, random.standard_normal((2, 24)), nn.MSELoss()
    signs = np.where(letters == 0, -1, [[1, 0, 0, 0]])
    yield labelling.Labeller(hidden=2), letters, signs, nn.CrossEntropyLoss(ignore_index=-1, dim=-1)
    yield characters.Writer(8, hidden=3), letters, letters[:, ::-1].copy(), nn.CrossEntropyLoss(dim=-1)
    pixels = random.integers(0, 2, (2, 8, 8))
    yield segmentation.UNet(2, widths=(1, 2, 2, 2)), random.random((2, 1, 8, 8)), pixels, nn.CrossEntropyLoss()


@pytest.mark.parametrize("model, x, y, loss", [pytest.param(*case, id=type(case[0]).__name__) for case in cases()])
def test_models_are_the_same_on_the_scalar_backend(model, x, y, loss):
    found = tn.parity(model, x, y, loss=loss, backends=["scalar", "numpy"])
    assert found.ok, str(found)


@on_every_backend
def test_the_loss_and_the_metrics_of_detection(backend):
    with tn.use_backend(backend):
        logits = np.eye(10)[[3, 5, 7]] * 4.0
        boxes = [[0.0, 0.0, 0.5, 0.5], [0.2, 0.2, 0.6, 0.6], [0.1, 0.1, 0.3, 0.3]]
        prediction = Tensor(np.concatenate([logits, boxes], axis=1))
        target = Tensor([[3.0, 0.0, 0.0, 0.5, 0.25], [5.0, 0.4, 0.2, 0.8, 0.6], [1.0, 0.1, 0.1, 0.3, 0.3]])
        loss = detection.DetectionLoss(weight=2.0)
        # By hand: the boxes share ½, ⅓ and all of their union; two digits are right, one of them in a box of ½.
        np.testing.assert_allclose(
            detection.iou(prediction, target).numpy().astype(float), [1 / 2, 1 / 3, 1], rtol=1e-5
        )
        counted = [metric(loss, prediction, target).item() for metric in (detection.right_class, detection.found)]
        assert counted == [2, 1]
        cross_entropy = np.log(np.exp(4) + 9) - np.array([4, 4, 0])
        smooth_l1 = np.array([0.25 - 0.05, 2 * (0.2 - 0.05), 0]) / 4
        assert loss(prediction, target).item() == pytest.approx(cross_entropy.mean() + 2 * smooth_l1.mean(), rel=1e-5)


# --- their baselines and measures -------------------------------------------------------------------------------------


def test_mean_iou_leaves_out_classes_that_do_not_occur():
    predicted, actual = np.array([[0, 0, 2], [2, 2, 0]]), np.array([[0, 0, 0], [2, 2, 4]])
    assert segmentation.mean_iou(predicted, actual) == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)


def test_the_brightest_window_finds_a_digit_that_is_alone():
    made = [data.scenes(part, 200, clutter=0, seed=1) for part in data.digits(flat=False)]
    train, test = map(detection.labelled, made)
    simple = detection.brightest(train, test)
    middles = (simple[:, 10:12] + simple[:, 12:]) / 2, (test.y[:, 1:3] + test.y[:, 3:]) / 2
    assert np.abs(middles[0] - middles[1]).max() * detection.SIZE < 11, "half a window off at most"
    assert np.mean(simple[:, :10].argmax(1) == test.y[:, 0]) > 0.5


def test_counts_of_characters_against_a_text_where_all_is_known():
    train = data.Dataset(np.tile([0, 1], (500, 8)), np.tile([1, 0], (500, 8)))
    single, pairs = characters.counts(train, train, 2)
    assert single == pytest.approx(np.log(2)) and pairs == pytest.approx(0, abs=1e-3)  # one count in 4,000 is invented


def test_the_writer_writes_lines_from_its_vocabulary_by_its_own_probabilities():
    vocabulary = data.Characters("ab\n")
    tn.manual_seed(0)
    model = characters.Writer(3, hidden=4)
    with tn.no_grad():
        model.head.weight.zero_()
        model.head.bias.load_(Tensor(np.log([0.1, 0.7, 0.2]), "float32"))  # whatever came before
    text = model.write(vocabulary, 400, seed=1)
    assert text == model.write(vocabulary, 400, seed=1) != model.write(vocabulary, 400, seed=2)
    for character, share in (("\n", 0.1), ("a", 0.7), ("b", 0.2)):  # three of their deviations over 4,000 characters
        assert abs(text.count(character) / len(text) - share) < 0.022


def test_names_are_used_where_they_are_found(monkeypatch, tmp_path):
    (tmp_path / "names.txt").write_text("emma\nolivia\nava\n")
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    assert sorted(characters.lines(seed=0)) == ["ava", "emma", "olivia"]


def test_the_reader_cannot_do_without_the_letter_after():
    """A GRU in one direction stays near the baseline on whole numerals, which shows what the other one is for."""
    train, test = labelling.numerals(quick=False, seed=0)
    letters = test.y != labelling.UNMARKED
    tn.manual_seed(0)
    model = labelling.Labeller()
    model.reader, model.head = nn.GRU(8, 16, batch_first=True), nn.Linear(16, 2)
    trainer = tn.Trainer(model, nn.CrossEntropyLoss(ignore_index=labelling.UNMARKED, dim=-1), tn.optim.Adam(lr=0.01))
    trainer.fit(train, epochs=6, batch_size=20, progress=False)
    right = (model.predict(test.x).numpy().argmax(2) == test.y) | ~letters
    assert right.all(1).mean() < 0.75
