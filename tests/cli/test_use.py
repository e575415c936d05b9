"""``evaluate``, ``predict``, ``parity``, ``data``, ``backends``: using what ``train`` saved, and what there is."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import tinynet as tn
from tinynet import data
from tinynet.cli import pictures
from tinynet.cli.recipe import open_model
from tinynet.training import checkpoint

# --- evaluate ---------------------------------------------------------------------------------------------------------


def expected_answers(trained):
    """The answers of the saved network, computed by NumPy alone."""
    w = checkpoint.read(trained)[0]
    test = data.digits()[1]
    hidden = np.tanh(test.x @ w["0.weight"].T + w["0.bias"])
    return (hidden @ w["2.weight"].T + w["2.bias"]).argmax(axis=1), test.y


def test_evaluate_tells_accuracy_classes_and_confusion(tinynet, trained):
    said, truth = expected_answers(trained)
    ran = tinynet("evaluate", trained)
    assert ran.code == 0
    right = int((said == truth).sum())
    assert f"accuracy  {right / 1000:.2%}: {right} of 1,000" in ran.out
    rows = [line.split() for line in ran.out.split("(columns):")[1].strip().splitlines()]
    assert rows[0] == list("0123456789")
    for k, row in enumerate(rows[1:]):
        expected = [np.sum((truth == k) & (said == j)) for j in range(10)]
        assert row == [str(k), *(str(n) if n else "·" for n in expected)]
    found = re.search(r"^3 +100 +([\d.]+)%", ran.out, re.MULTILINE)
    assert float(found[1]) == pytest.approx(100 * np.mean(said[truth == 3] == 3))


def test_evaluate_as_json_on_another_engine(tinynet, trained):
    told = json.loads(tinynet("evaluate --backend numpy --json", trained).out)
    said, truth = expected_answers(trained)
    assert told["accuracy"] == np.mean(said == truth)
    assert np.sum(told["confusion"]) == told["examples"] == 1000


def test_evaluate_numbers_and_unfit_data(tinynet, trained):
    tinynet("train line --epochs 30 --n 100 --quiet")
    assert re.search(r"loss +0\.0\d+ \(mse\)", tinynet("evaluate runs/line.safetensors").out)
    ran = tinynet(["evaluate", str(trained), "moons"])
    assert ran.code == 2
    assert "moons has 2 inputs and 2 classes; got 784-12-10" in ran.err
    assert tinynet(["evaluate", str(trained), "sine"]).code == 2


def test_a_formulas_test_set_is_made_again_as_it_was(tinynet):
    ran = tinynet("train spirals --n 150 --noise 0.4 --seed 9 --epochs 3")
    accuracy, loss = re.search(r"Test accuracy ([\d.]+%).*loss ([\d.]+),", ran.out).groups()
    again = tinynet("evaluate runs/spirals.safetensors").out
    assert f"accuracy  {accuracy}: " in again
    assert f"loss      {loss} " in again


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "weights", "recipe", "shape"])
def test_a_file_that_cannot_be_used_is_an_error(tinynet, trained, damage):
    path = Path("model.safetensors")
    arrays, about = checkpoint.read(trained)
    if damage == "cut":
        path.write_bytes(trained.read_bytes()[:-50])
    elif damage == "text":
        path.write_text("not a model")
    elif damage == "weights":
        checkpoint.write(path, arrays, {})
    elif damage == "recipe":
        checkpoint.write(path, arrays, {"model": about["model"] | {"activation": "step"}})
    elif damage == "shape":
        checkpoint.write(path, arrays, {"model": about["model"] | {"sizes": [784, 13, 10]}})
    for command in ("evaluate model.safetensors", "predict model.safetensors 0", "parity model.safetensors"):
        ran = tinynet(command)
        assert ran.code == 1
        assert "model.safetensors" in ran.err
        assert "Traceback" not in ran.err


# --- predict ----------------------------------------------------------------------------------------------------------


def test_predict_a_test_example(tinynet, trained):
    said, truth = expected_answers(trained)
    for i in (0, int(np.flatnonzero(said != truth)[0])):
        ran = tinynet("predict", trained, i)
        assert f"It is {said[i]}, says the network (probability" in ran.out
        assert ("That is right." if said[i] == truth[i] else f"In truth it is {truth[i]}.") in ran.out
        assert "█" in ran.out
        told = json.loads(tinynet("predict --json", trained, i).out)
        assert (told["class"], told["true"]) == (str(said[i]), str(truth[i]))
        assert sum(told["probability"].values()) == pytest.approx(1)


def test_predict_saves_what_each_layer_makes_of_it(tinynet, trained, tmp_path):
    ran = tinynet("predict --maps seven.png", trained, 7)
    assert ran.code == 0
    assert ran.out.startswith("Saved seven.png.\n")
    assert (tmp_path / "seven.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(tinynet("predict --json --maps maps", trained, 7).out)
    assert len(list((tmp_path / "maps").iterdir())) == 4
    refused = tinynet("predict --maps maps.gif", trained, 7)
    assert refused.code == 1
    assert ".png, .svg, .pdf" in refused.err


@pytest.mark.parametrize("index", [1000, -1])
def test_predict_an_example_that_is_not_there(tinynet, trained, index):
    ran = tinynet("predict", trained, index)
    assert ran.code == 2
    assert "they are 0 to 999" in ran.err


def test_predict_a_picture_of_the_right_size_is_that_example(tinynet, trained):
    said, _ = expected_answers(trained)
    x = data.digits()[1].x[5].reshape(28, 28)
    Image.fromarray((x * 255).round().astype(np.uint8)).save("light.png")
    Image.fromarray((255 - x * 255).round().astype(np.uint8)).save("dark.pgm")
    light, dark = (json.loads(tinynet("predict --json", trained, name).out) for name in ("light.png", "dark.pgm"))
    assert light["class"] == dark["class"] == str(said[5])
    assert light["probability"] == pytest.approx(dark["probability"], abs=1e-6)
    assert "inverted" in tinynet("predict", trained, "dark.pgm").out
    assert "inverted" not in tinynet("predict --no-invert", trained, "dark.pgm").out


def test_predict_a_drawing(tinynet):
    tinynet("train --epochs 8 --quiet")
    paper = Image.new("RGB", (300, 200), (240, 238, 230))
    ImageDraw.Draw(paper).line([(90, 40), (170, 40), (120, 160)], fill=(30, 30, 60), width=14, joint="curve")
    paper.save("seven.jpg")
    assert "It is 7, says the network" in tinynet("predict runs/digits.safetensors seven.jpg").out


def test_a_drawing_is_centred_as_the_training_digits_are():
    image = Image.new("L", (100, 60), 255)
    ImageDraw.Draw(image).rectangle([5, 10, 14, 49], fill=0)
    image.save("bar.png")
    grey, inverted = pictures.read_image("bar.png", 28)
    Path("bar.png").unlink()
    rows, columns = (np.flatnonzero(grey.max(axis=axis) > 0.5) for axis in (1, 0))
    assert inverted
    assert len(rows) == 20
    assert (rows[0], columns.mean()) == (4, pytest.approx(13.5, abs=0.6))


def test_a_picture_that_cannot_be_used_is_an_error(tinynet, trained):
    Image.new("L", (40, 40), 255).save("blank.png")
    Path("text.png").write_text("no picture")
    for name, told in (("blank.png", "is blank"), ("text.png", "no picture"), ("none.png", "there is no such file")):
        ran = tinynet("predict", trained, name)
        assert ran.code == 1
        assert told in ran.err
    tinynet("train xor --n 50 --epochs 1 --quiet")
    assert "takes 2 numbers, not a picture" in tinynet("predict runs/xor.safetensors blank.png").err


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "quadratic", "hinge", "cross-entropy"])
def test_predict_says_what_its_numbers_are(tinynet, loss):
    tinynet(f"train xor --n 100 --epochs 30 --loss {loss} --quiet")
    word = {"hinge": "score", "cross-entropy": "probability"}.get(loss, "activation")
    assert f"says the network ({word}" in tinynet("predict runs/xor.safetensors 0").out


def test_predict_a_number(tinynet):
    tinynet("train line --n 100 --epochs 30 --quiet")
    told = json.loads(tinynet("predict --json runs/line.safetensors 2").out)
    assert told["prediction"][0] == pytest.approx(told["true"][0], abs=0.4)
    assert "prediction  " in tinynet("predict runs/line.safetensors 2").out


# --- parity -----------------------------------------------------------------------------------------------------------


def test_parity_holds_for_a_fresh_and_for_a_trained_network(tinynet, trained):
    ran = tinynet("parity --model 784-4-10 --batch 2")
    assert ran.code == 0
    assert "agree: worst" in ran.out
    assert "d loss/d 2.bias" in ran.out
    assert tinynet("parity --model 2-4-1 --dataset moons --loss hinge --activation relu").code == 0
    assert tinynet("parity --backends numpy,numpy --batch 2", trained).code == 2
    assert "12 parameters" not in tinynet("parity --batch 1", trained).out


def test_parity_beyond_the_tolerance_exits_with_3(tinynet):
    ran = tinynet("parity --model 784-4-10 --batch 2 --tolerance 0")
    assert ran.code == 3
    assert "DISAGREE" in ran.out


@pytest.mark.parametrize(
    "words",
    [
        "parity",
        "parity --model 784-4-11",
        "parity m --model 784-10",
        "parity m --loss mse",
        "parity m --backends numpy",
    ],
)
def test_parity_used_wrongly(tinynet, words):
    assert tinynet(words).code == 2


# --- data and backends ------------------------------------------------------------------------------------------------


def test_data_lists_every_set(tinynet, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    monkeypatch.setenv("TINYNET_CACHE", str(tmp_path))
    ran = tinynet("data")
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line}
    for name in data.DATASETS:
        assert name in rows
    assert rows["digits"].endswith("yes")
    assert "no; it is downloaded when first used" in rows["mnist"]
    (tmp_path / "train-images-idx3-ubyte.gz").touch()
    assert "no; 1 of 4 files" in tinynet("data").out


def test_data_shows_one_set(tinynet):
    ran = tinynet("data digits --n 500 --save-picture grid.png")
    counts = np.bincount(data.digits()[0].y[:500], minlength=10)
    for k, n in enumerate(counts):
        assert re.search(rf"^{k} +{n} +100 ", ran.out, re.MULTILINE)
    assert "█" in ran.out
    with Image.open("grid.png") as picture:
        assert picture.size == (900, 900)
    assert "800 training and 200 test examples" in tinynet("data spirals --save-picture s.svg").out
    assert "the first few" in tinynet("data sine --save-picture s.pdf").out
    assert tinynet("data digits --save-picture grid.bmp").code == 2
    assert tinynet("data --save-picture grid.png").code == 2


def test_backends_tells_which_can_run_and_why_others_cannot(tinynet):
    found = tn.backends()
    out = tinynet("backends").out
    for name, (usable, reason) in found.items():
        line = next(line for line in out.splitlines() if line.startswith(name))
        assert line.split()[1] == ("yes" if usable else "no")
        assert usable or reason.splitlines()[0] in line
    assert json.loads(tinynet("backends --json").out)["numpy"]["usable"] is True


def test_text_art_shades_from_paper_to_ink():
    art = pictures.text_art(np.array([[0, 0.3, 0.6, 1.0]] * 2))
    assert art == " ▒▓█"
    assert pictures.bar(0.5, 4) == "██"
    assert pictures.bar(2.0, 4) == "████"


def test_the_saved_network_predicts_as_the_trained_one(trained):
    recipe, model = open_model(str(trained))
    said, _ = expected_answers(trained)
    assert np.array_equal(recipe.confidences(model.predict(data.digits()[1].x).numpy()).argmax(axis=1), said)
