"""The report page: whole, self-contained, and with the right numbers in it."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from strict_page import StrictPage

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.training import report_pictures
from tinynet.training.report import confidences, write_report


def read(path):
    return StrictPage(Path(path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(trained):
    return read(trained.with_name("report.html"))


def test_nothing_is_loaded_from_elsewhere(trained, page):
    text = trained.with_name("report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "@import" not in text
    assert "<link" not in text
    for tag, attributes in page.tags:
        for key in ("src", "href", "xlink:href", "data", "srcset", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
    for address in re.findall(r"https?://[^\"'\s)]+", text):
        assert address.startswith("http://www.w3.org/"), address  # names of XML vocabularies, which nothing loads
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)\)", text))


def test_it_reads_in_light_and_dark_and_on_a_phone(trained):
    text = trained.with_name("report.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert '<html lang="en">' in text
    assert "currentColor" in text
    assert report_pictures.INK not in text


def test_every_picture_has_a_text(page):
    for tag, attributes in page.tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]


def test_it_has_the_right_numbers(trained, page, tinynet):
    told = json.loads(tinynet("evaluate --json", trained).out)
    text = " ".join(page.words)
    assert f"{told['accuracy']:.2%}" in text
    assert f"{told['loss']:.4f}" in text
    assert "9,550" in text  # 784·12 + 12 + 12·10 + 10 parameters
    wrong = round((1 - told["accuracy"]) * 1000)
    assert f"{wrong} of 1,000 test examples are wrong" in text
    cells = [a["title"] for t, a in page.tags if t == "td" and "title" in a]
    assert cells == [f"{i} taken for {j}: {told['confusion'][i][j]} of 100" for i in range(10) for j in range(10)]
    history = json.loads(trained.with_name("history.json").read_text())["epochs"]
    assert len(history) == 3
    for row in history:
        assert f"{row['loss']:.5g}" in text


def test_the_worst_mistakes_are_those_with_the_largest_loss(trained, page):
    from tinynet.cli.recipe import open_model

    recipe, model = open_model(str(trained))
    test = data.digits()[1]
    p = recipe.confidences(model.predict(test.x).numpy())
    losses, said = -np.log(p[np.arange(1000), test.y]), p.argmax(axis=1)
    wrong = np.flatnonzero(said != test.y)
    worst = wrong[np.argsort(-losses[wrong])][:24]
    shown = [a["alt"] for t, a in page.tags if t == "img" and a["alt"].startswith("test example")]
    assert shown == [f"test example {i}: {test.y[i]}, taken for {said[i]}" for i in worst]
    assert sum(a.get("alt", "").startswith("weights into unit") for _, a in page.tags) == 12


def test_the_command_in_it_does_the_run_again(trained, page, tinynet):
    line = "".join(page.words).split("This line does it again:")[1].split("Learning curves")[0].strip()
    assert line.startswith("tinynet train digits --model 784-12-10 --activation tanh")
    assert tinynet(line.removeprefix("tinynet ")).code == 0
    assert Path("runs/digits.safetensors").stat().st_size
    first, again = (tn.training.checkpoint.read(path)[0] for path in (trained, "runs/digits.safetensors"))
    assert all(np.array_equal(first[k], again[k]) for k in first)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("moons --loss hinge", "Where it decides for what"),
        ("spirals", "Where it decides for what"),
        ("sine", "The curve and the points"),
        ("xor --validation 0.2 --loss quadratic", "Learning curves"),
    ],
)
def test_data_that_are_no_pictures(tinynet, words, shown):
    assert tinynet(f"train {words} --n 100 --epochs 3 --quiet --no-save --report r.html").code == 0
    found = read("r.html")
    assert shown in "".join(found.words)
    assert "What the first layer looks for" not in "".join(found.words)


@pytest.mark.parametrize("inputs", [2, 64], ids=["plane", "pictures"])
def test_all_text_is_escaped(tmp_path, inputs):
    nasty = '<u>&"x"'
    x = np.random.default_rng(0).random((30, inputs), np.float32)
    y = np.arange(30) % 2
    both = data.Dataset(x, y, classes=(nasty, "<script>alert(1)</script>"), name=nasty)
    trainer = tn.Trainer(
        nn.Sequential(nn.Linear(inputs, 2)), nn.CrossEntropyLoss(), optim.SGD(lr=0.1), metrics=["accuracy"]
    )
    trainer.fit(both, epochs=1, progress=False)
    trainer.history.notes.append(nasty)
    path = write_report(tmp_path / "r.html", trainer, both, both, {"command": nasty, nasty: nasty})
    found = read(path)
    assert not {"u", "script"} & {tag for tag, _ in found.tags}
    assert nasty in "".join(found.words)


def test_a_model_that_was_not_trained_and_makes_no_mistake(tmp_path):
    one = data.Dataset(np.ones((4, 3), np.float32), np.zeros(4, np.int64), classes=("only", "never"))
    model = nn.Sequential(nn.Linear(3, 2))
    model[0].bias.load_(np.array([50.0, -50.0], np.float32))
    trainer = tn.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=0.1), metrics=["accuracy"])
    found = read(write_report(tmp_path / "r.html", trainer, one, one, {}))
    assert "every test example is right" in "".join(found.words)
    assert "100.00%" in "".join(found.words)


def test_a_png_holds_its_pixels():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = report_pictures.image(pixels, "a <small> picture")
    assert 'alt="a &lt;small&gt; picture"' in found
    raw = base64.b64decode(re.search(r"base64,([^\"]+)", found)[1])
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(raw)) as picture:
        assert np.array_equal(np.asarray(picture), pixels)
    assert zlib.crc32(raw[12:29]) == int.from_bytes(raw[29:33], "big")


@pytest.mark.parametrize(
    ("loss", "outputs", "expected"),
    [
        (nn.CrossEntropyLoss(), [[0.0, np.log(3)]], [[0.25, 0.75]]),
        (nn.CrossEntropyLoss(), [[1e4, 0.0]], [[1, 0]]),
        (nn.BCEWithLogitsLoss(), [[0.0]], [[0.5, 0.5]]),
        (nn.BCEWithLogitsLoss(), [[-1e4, 1e4]], [[0, 1]]),
        (nn.MSELoss(), [[0.2, 0.9]], [[0.2, 0.9]]),
        (nn.QuadraticCost(), [[0.2]], [[0.8, 0.2]]),
        (nn.HingeLoss(), [[-2.0]], [[2.0, -2.0]]),
    ],
)
def test_confidences(loss, outputs, expected):
    np.testing.assert_allclose(confidences(loss, np.array(outputs)), expected, atol=1e-12)
