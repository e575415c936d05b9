"""``tinynet reproduce``: what it lists, runs, keeps and prints; and short runs of the recipes themselves."""

import json

import numpy as np
import pytest

from tinynet import cli, data, nn, reproduce
from tinynet.reproduce import RESULTS, Effort, Published, makemore, nielsen
from tinynet.reproduce.adding import adding
from tinynet.reproduce.nielsen import as_in_the_book, expanded, one_conv, train, two_conv, with_dropout
from tinynet.reproduce.shakespeare import rows, warm_cosine, windows
from tinynet.training import History, Trainer


@pytest.fixture
def constant(monkeypatch):
    """A result that is reached at once: 90 % in a full run, 50 % in a quick one, with what it was asked noted."""
    asked = []

    def run(effort):
        asked.append(effort)
        return 50.0 if effort.quick else 90.0

    made = Published("toy", "A book", "a setting", "91.00 %", "%", 89.0, 60.0, 0.1, 0.01, run)
    monkeypatch.setitem(RESULTS, "toy", made)
    return asked


def test_every_published_result_has_what_a_reader_needs():
    assert {r.split("-")[0] for r in RESULTS} >= {"nielsen", "micrograd", "makemore", "char", "nanogpt", "adding"}
    for name, result in RESULTS.items():
        assert result.name == name and result.source and result.setting
        assert result.minutes >= result.minutes_quick > 0
        published = result.figure.split(" ")[0]
        if result.unit == "%":  # what is expected is near the published figure, never above it
            assert float(published) - 3 <= result.expect <= float(published)
        elif published.replace(".", "").isdigit():
            assert float(published) <= result.expect <= float(published) + 0.1


@pytest.mark.parametrize(("unit", "better"), [("%", 1), ("nats", -1), ("MSE", -1)])
def test_what_is_good_is_large_in_percent_and_small_in_other_units(unit, better):
    result = Published("toy", "A book", "a setting", "", unit, 50.0, 40.0, 0.1, 0.01, lambda effort: 0.0)
    for wanted, quick in ((50.0, False), (40.0, True)):
        assert result.good(wanted, quick) and result.good(wanted + better, quick)
        assert not result.good(wanted - better, quick)


def test_the_list(capsys, tmp_path):
    assert cli.main(["reproduce", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in RESULTS) and "98.78 %" in shown and "not run" in shown


def test_a_run_is_printed_and_kept(constant, capsys, tmp_path):
    words = ["reproduce", "toy", "--out", str(tmp_path), "--quiet", "--seed", "3"]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert "published 91.00 % | reached 90.00 % | tinynet reproduce toy --seed 3" in shown
    assert constant == [Effort(False, 3, None, False)]
    table = (tmp_path / "reproduce.md").read_text()
    assert "| A book: a setting: 91.00 % | 90.00 %, 0 s | `tinynet reproduce toy --seed 3` |" in table
    assert table.count("not run") == len(RESULTS) - 1
    (row,) = json.loads((tmp_path / "reproduce.json").read_text())
    assert (row["name"], row["reached"], row["quick"], row["seed"]) == ("toy", 90.0, False, 3)


def test_a_quick_run_has_its_own_expectation_and_does_not_hide_a_full_one(constant, capsys, tmp_path):
    quick = ["reproduce", "toy", "--quick", "--out", str(tmp_path)]
    assert cli.main(quick) == 3  # 50 % is below the 60 % that are expected
    assert "does NOT" in capsys.readouterr().out
    assert "50.00 % in a quick run, below what is expected" in (tmp_path / "reproduce.md").read_text()
    assert cli.main(["reproduce", "toy", "--out", str(tmp_path)]) == 0
    assert cli.main(quick) == 3
    assert "90.00 %, 0 s" in (tmp_path / "reproduce.md").read_text()


def test_all(constant, monkeypatch, capsys, tmp_path):
    for name in set(RESULTS) - {"toy"}:
        monkeypatch.delitem(RESULTS, name)
    assert cli.main(["reproduce", "all", "--out", str(tmp_path)]) == 0
    assert len(constant) == 1


def test_what_is_refused(capsys, tmp_path):
    assert cli.main(["reproduce", "nielsen-conf1"]) == 2
    assert "Did you mean nielsen-conv1?" in capsys.readouterr().err
    (tmp_path / "reproduce.json").write_text("{]")
    assert cli.main(["reproduce", "--out", str(tmp_path)]) == 1
    assert "is no list of runs" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_costs_no_run(constant, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert cli.main(["reproduce", "toy", "--out", str(tmp_path / "file")]) == 1
    assert "Choose a folder that can be written" in capsys.readouterr().err and not constant


@pytest.mark.parametrize(("stopped", "code"), [("interrupted", 130), ("the loss is not finite", 1)])
def test_a_run_that_did_not_end_is_no_result(stopped, code, monkeypatch, capsys, tmp_path):
    def run(effort):
        effort.finished(History(stopped=stopped))
        return 99.0

    made = Published("toy", "A book", "a setting", "91.00 %", "%", 89.0, 60.0, 0.1, 0.01, run)
    monkeypatch.setitem(RESULTS, "toy", made)
    assert cli.main(["reproduce", "toy", "micrograd", "--out", str(tmp_path)]) == code
    assert not (tmp_path / "reproduce.json").exists() and "reached" not in capsys.readouterr().out


def test_chapter_six_is_not_reached_by_an_interrupted_run(monkeypatch):
    monkeypatch.setattr(Trainer, "fit", lambda *_, **__: History(stopped="interrupted"))
    parts = (data.moons(4),) * 3
    with pytest.raises(KeyboardInterrupt):
        train(Effort(), nn.Linear(2, 2), parts, nn.CrossEntropyLoss(), 0.1, 1)


# --- the recipes ------------------------------------------------------------------------------------------------------


def test_lstm_beats_the_vanilla_rnn_at_lag_100():
    """An LSTM solves the adding problem in 2,500 steps; a tanh RNN stays where predicting the mean is, 1/6. The margin:
    an error at most a tenth of the RNN's."""
    lstm, rnn = adding(Effort(), nn.LSTM), adding(Effort(), nn.RNN)
    assert lstm < 0.01
    assert lstm < 0.1 * rnn
    assert rnn > 0.1


def test_the_networks_of_chapter_six():
    """Parameters counted by hand, and the book's start."""
    assert sum(p.size for p in one_conv().parameters()) == 20 * 26 + 2880 * 100 + 100 + 1010
    assert sum(p.size for p in two_conv().parameters()) == 20 * 26 + 40 * 501 + 640 * 100 + 100 + 1010
    model = as_in_the_book(with_dropout())
    first, dense, last = model[0], model[8], model[-1]
    assert first.weight.numpy().std() == pytest.approx((20 * 25 / 4) ** -0.5, rel=0.1)
    assert dense.weight.numpy().std() == pytest.approx(1000**-0.5, rel=0.01)
    assert dense.bias.numpy().std() == pytest.approx(1, rel=0.1)
    assert not last.weight.numpy().any() and not last.bias.numpy().any()


def test_images_moved_by_a_pixel():
    x = np.arange(2 * 28 * 28, dtype=np.float32).reshape(2, 1, 28, 28)
    moved = expanded(data.Dataset(x, np.array([3, 4])))
    assert moved.x.shape == (10, 1, 28, 28) and moved.y.tolist() == [3, 4] * 5
    np.testing.assert_array_equal(moved.x[:2], x)
    np.testing.assert_array_equal(moved.x[2:4, :, 1:], x[:, :, :-1])  # down
    np.testing.assert_array_equal(moved.x[4:6, :, :-1], x[:, :, 1:])  # up
    np.testing.assert_array_equal(moved.x[6:8, :, :, 1:], x[:, :, :, :-1])  # to the right
    np.testing.assert_array_equal(moved.x[8:, :, :, :-1], x[:, :, :, 1:])  # to the left
    assert not moved.x[2:4, :, 0].any() and not moved.x[4:6, :, -1].any()
    assert not moved.x[6:8, :, :, 0].any() and not moved.x[8:, :, :, -1].any()


def test_chapter_six_weighs_its_decay_against_the_number_of_batches(monkeypatch):
    """The book adds λ / (2 · batches) · Σ w², the trainer l2 / (2 · images) · Σ w²; a batch has ten images."""
    part = data.Dataset(np.zeros((2, 1, 28, 28), np.float32), np.array([3, 4]))
    monkeypatch.setattr(nielsen, "images", lambda *_: (part,) * 3)
    trainers = []
    monkeypatch.setattr(Trainer, "fit", lambda self, *_, **__: trainers.append(self) or History(stopped="epochs"))
    monkeypatch.setattr(Trainer, "evaluate", lambda *_: {"accuracy": 0.5})
    for name in ("nielsen-conv2", "nielsen-relu", "nielsen-expanded"):
        assert RESULTS[name].run(Effort()) == 50.0
    assert [trainer.l2 for trainer in trainers] == [0.0, 10 * 0.1, 10 * 0.1]


def test_no_validation_name_is_trained_on(monkeypatch):
    """makemore's parts, told from the characters asked for: 80 % and the next 10 % of the shuffled names."""
    names = [a + b for a in "abcdefghij" for b in "klmnopqrst"]
    monkeypatch.setattr(data, "names", lambda directory: list(names))
    train, valid = ("".join(part.classes[i] for i in part.y).split(".")[:-1] for part in makemore.examples(Effort()))
    assert (len(train), len(valid), len({*train, *valid})) == (80, 10, 90)
    assert {*train, *valid} < set(names) and sorted(train) != train


def test_no_test_sequence_of_the_adding_problem_is_trained_on(monkeypatch):
    made, make = [], data.adding_problem
    monkeypatch.setattr(data, "adding_problem", lambda *given: made.append(make(*given)) or made[-1])
    monkeypatch.setattr(Effort, "steps", lambda *_: None)
    adding(Effort(quick=True), nn.RNN)
    train, test = ({row.tobytes() for row in part.x[:, :, 0]} for part in made)
    assert (len(train), len(test), len(train & test)) == (20_000, 1000, 0)


def test_text_in_rows_and_windows():
    numbers = np.arange(23)
    pieces = rows(numbers, 2, 5)
    assert [x[:, 0].tolist() for x, _ in pieces] == [[0, 10], [5, 15]]
    assert all((y == x + 1).all() and x.shape == (2, 5) for x, y in pieces)
    x, y = windows(numbers, 50, 4, np.random.default_rng(0))
    assert (y == x + 1).all() and x.min() == 0 and y.max() == 22


def test_the_learning_rate_rises_and_falls():
    rate = warm_cosine(2000, 100, 1e-3, 1e-4)
    assert rate(0) == pytest.approx(1e-3 / 101) and rate(100) == pytest.approx(1e-3)
    assert rate(1050) == pytest.approx(5.5e-4) and rate(2000) == pytest.approx(1e-4)


@pytest.mark.mnist
@pytest.mark.parametrize("name", ["nielsen-few-regularised", "makemore-mlp", "nanogpt", "nielsen-conv1"])
def test_a_quick_run_reaches_what_it_should(name):
    result = reproduce.RESULTS[name]
    assert result.good(result.run(Effort(quick=True)), quick=True)
