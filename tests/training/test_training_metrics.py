"""evaluate, accuracy, error and the confusion matrix, each against a few lines of NumPy."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_runs import MOONS, REST, mlp, moons_trainer, weights

from tinynet import Trainer, data, nn, optim
from tinynet.errors import ArgumentError, ShapeError
from tinynet.training import accuracy, confusion_matrix, error


def scores(model: nn.Sequential, x: np.ndarray) -> np.ndarray:
    w1, b1, w2, b2 = weights(model).values()
    return np.tanh(x.astype(float) @ w1.T + b1) @ w2.T + b2


@pytest.mark.parametrize("capture", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize("mode", [True, False])
def test_evaluate_against_numpy(capture: bool, batch_size: int, mode: bool) -> None:
    trainer = moons_trainer(
        model=mlp(2, 6, 2, dtype="float64").train(mode), metrics=["accuracy", "error"], capture=capture
    )
    logits = scores(trainer.model, REST.x)
    loss = (np.log(np.exp(logits).sum(1)) - logits[np.arange(len(REST)), REST.y]).mean()
    right = (logits.argmax(1) == REST.y).mean()
    before = weights(trainer.model)
    for given_data in (REST, (REST.x, REST.y), data.DataLoader(REST, 4)):
        found = trainer.evaluate(given_data, batch_size)
        assert found == pytest.approx({"loss": loss, "accuracy": right, "error": 1 - right}, rel=1e-12)
    assert trainer.model.training is mode and all(m.training is mode for m in trainer.model.modules())
    assert all((weights(trainer.model)[k] == v).all() for k, v in before.items())
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.tiny
def test_evaluate_refuses_classes_that_the_model_has_not() -> None:
    with pytest.raises(ArgumentError, match="0 … 1"):
        moons_trainer().evaluate((MOONS.x, MOONS.y - 1))


def test_a_failing_evaluation_leaves_the_mode() -> None:
    trainer = moons_trainer()
    with pytest.raises(ShapeError):
        trainer.evaluate((MOONS.x[:, :1], MOONS.y))
    assert trainer.model.training


ONE_OUTPUT = {  # loss, targets of the two classes, which outputs mean the second class
    "logits": (nn.BCEWithLogitsLoss(), (0, 1), lambda s: s > 0),
    "logits, floats": (nn.BCEWithLogitsLoss(), (0.0, 1.0), lambda s: s > 0),
    "probabilities": (nn.BCELoss(), (0.0, 1.0), lambda s: s > 0.5),
    "hinge, sides": (nn.HingeLoss(), (-1, 1), lambda s: s > 0),
    "hinge, sides as floats": (nn.HingeLoss(), (-1.0, 1.0), lambda s: s > 0),
    "hinge, classes": (nn.HingeLoss(), (0, 1), lambda s: s > 0),
    "squares": (nn.MSELoss(), (0.0, 1.0), lambda s: s > 0.5),
}


@pytest.mark.parametrize("case", ONE_OUTPUT)
@pytest.mark.parametrize("column", [True, False])
def test_accuracy_of_a_single_output(case: str, column: bool) -> None:
    loss, sides, second = ONE_OUTPUT[case]
    model = nn.Sequential(*mlp(2, 6, 1, dtype="float64"), *([nn.Sigmoid()] if isinstance(loss, nn.BCELoss) else []))
    y = np.array(sides)[REST.y]
    found = Trainer(model, loss, optim.SGD(lr=0.1), ["accuracy", "error"]).evaluate(
        (REST.x, y[:, None] if column else y)
    )
    out = scores(model, REST.x)[:, 0]
    out = 1 / (1 + np.exp(-out)) if isinstance(loss, nn.BCELoss) else out
    expected = (second(out) == (REST.y == 1)).mean()
    assert 0 < expected < 1
    assert found["accuracy"] == pytest.approx(expected) and found["error"] == pytest.approx(1 - expected)


@pytest.mark.tiny
def test_accuracy_of_one_hot_targets() -> None:
    trainer = moons_trainer(loss=nn.QuadraticCost())
    one_hot = np.eye(2, dtype=np.float32)[REST.y]
    assert trainer.evaluate((REST.x, one_hot)) == pytest.approx(trainer.evaluate(REST))


def largest_error(loss, prediction, target):
    return (prediction[:, 0] - target.to(dtype=prediction.dtype)).abs().sum()


class Confident:
    def __call__(self, loss, prediction, target):
        return (prediction.amax(1) > 0).sum()


@pytest.mark.tiny
def test_metrics_by_name_and_by_function() -> None:
    wanted = ["accuracy", largest_error, Confident(), functools.partial(error)]
    trainer = moons_trainer(metrics=wanted, model=mlp(2, 6, 2, dtype="float64"))
    assert list(trainer.metrics) == ["accuracy", "largest_error", "Confident", "partial"]
    found, out = trainer.evaluate(REST), scores(trainer.model, REST.x)
    assert found["largest_error"] == pytest.approx(np.abs(out[:, 0] - REST.y).mean())
    assert found["Confident"] == pytest.approx((out.max(1) > 0).mean())
    assert list(moons_trainer(metrics=error).metrics) == ["error"]
    assert not moons_trainer(metrics=None).metrics


@pytest.mark.tiny
@pytest.mark.parametrize("metrics", ["precision", ["accuracy", "f1"], [3], ["accuracy", accuracy]])
def test_metrics_that_are_not_there_or_there_twice(metrics) -> None:
    with pytest.raises(ArgumentError):
        moons_trainer(metrics=metrics)


@pytest.mark.tiny
@pytest.mark.parametrize("name", ["loss", "lr", "epoch", "val_accuracy"])
def test_a_metric_must_not_take_the_name_of_another_number(name: str) -> None:
    def metric(loss, prediction, target):
        return prediction.sum()

    metric.__name__ = name
    with pytest.raises(ArgumentError, match=name):
        moons_trainer(metrics=metric)


@pytest.mark.tiny
def test_a_metric_for_each_example_is_refused() -> None:
    def each(loss, prediction, target):
        return prediction.argmax(1) == target

    with pytest.raises(ShapeError, match=r"metric 'each'.*one number"):
        moons_trainer(metrics=each).fit(MOONS, progress=False)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30), st.sampled_from([None, 5, 6]))
def test_confusion_matrix_against_a_loop(pairs: list[tuple[int, int]], classes: int | None) -> None:
    predicted, actual = [p for p, _ in pairs], [a for _, a in pairs]
    size = classes or max([*predicted, *actual], default=-1) + 1
    expected = np.zeros((size, size), np.int64)
    for p, a in pairs:
        expected[a, p] += 1
    found = confusion_matrix(predicted, actual, classes)
    assert found.dtype == np.int64 and found.tolist() == expected.tolist()


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("predicted", "actual", "classes", "words"),
    [
        ([0, 1], [0], None, "equal length"),
        ([[0]], [[0]], None, "equal length"),
        ([0, 3], [0, 1], 3, "0 … 2"),
        ([-1], [0], 2, "-1"),
    ],
)
def test_confusion_matrix_refuses(predicted, actual, classes, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        confusion_matrix(predicted, actual, classes)


def test_confusion_matrix_of_a_model() -> None:
    trainer = moons_trainer()
    trainer.fit(MOONS, epochs=5, progress=False)
    matrix = confusion_matrix(trainer.model.predict(REST.x).argmax(1), REST.y)
    assert matrix.sum() == len(REST)
    assert np.trace(matrix) / len(REST) == pytest.approx(trainer.evaluate(REST)["accuracy"])
