"""``tinynet train``: what it says, what it saves, what it refuses, and how it goes on."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from strict_backend import strict_cupy_in_charge

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.cli.recipe import ACTIVATIONS, LOSSES, open_model
from tinynet.cli.train_options import OPTIMIZERS, SCHEDULES
from tinynet.training import checkpoint

SMALL = "train --n 200 --model 784-8-10 --epochs 2 --backend numpy"


def weights(path):
    return checkpoint.read(path)[0]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_it_says_what_it_does_and_what_comes_next(tinynet):
    ran = tinynet("train --n 300 --epochs 1 --backend auto")
    assert ran.code == 0
    for words in (
        "digits: 300 examples to train on, 1,000 to test; 784 inputs, 10 classes",
        "784-16-16-10, relu, 13,002 parameters, he weights",
        "cross-entropy, L2 λ = 1",
        "1 epoch in batches of 10",
        "auto:",
        "epoch 1/1  loss",
        "The model is in runs/digits.safetensors.",
    ):
        assert words in ran.out
    assert re.search(r"Test accuracy \d+\.\d\d% \(\d+ of 1,000\)", ran.out)
    suggested = re.findall(r"^  tinynet (.*?)   ", ran.out, re.MULTILINE)
    assert len(suggested) == 5
    for line in suggested:
        if line.startswith(("evaluate", "predict")):
            assert tinynet(line).code == 0


def test_a_gpus_memory_can_be_limited(tinynet):
    words = "train moons --n 50 --epochs 1 --lr 0.1 --model 2-4-2 --quiet --no-save"
    with strict_cupy_in_charge() as backend:
        try:
            ran = tinynet(words + " --backend cupy --memory-limit 1.5GB")
            assert ran.code == 0 and backend.memory().limit == 1_500_000_000
            ran = tinynet(words + " --backend cupy --memory-limit 4G")
            assert ran.code == 2 and "--memory-limit 4G: a memory limit is a size such as '4 GB'" in ran.err
            gc.collect()
            backend.set_memory_limit(backend.memory().used + 60_000)
            ran = tinynet(words.replace("--n 50", "--n 2000") + " --backend cupy --batch-size 1500")
            assert ran.code == 1 and "in training, batch_size=1500 does not fit on 'cupy'; " in ran.err
        finally:
            backend.set_memory_limit(None)
    ran = tinynet(words + " --backend numpy --memory-limit 1GB")
    assert ran.code == 2 and "backend 'numpy' does not count its memory" in ran.err


def test_quiet_prints_the_result_alone(tinynet):
    ran = tinynet(SMALL + " --quiet")
    assert re.fullmatch(r"Test accuracy .*\n", ran.out)


def test_the_defaults_learn_the_digits(tinynet):
    ran = tinynet("train --epochs 5 --quiet")
    assert float(re.search(r"([\d.]+)%", ran.out)[1]) > 90


def test_it_trains_as_the_same_calls_in_python_do(tinynet):
    """Independent of the command line: the weights are those of a Trainer set up by hand."""
    tinynet(SMALL + " --activation sigmoid --init scaled-normal --lr 0.5 --l2 5 --loss binary-cross-entropy --seed 7")
    train, _ = data.digits()
    tn.manual_seed(7)
    model = nn.Sequential(nn.Linear(784, 8), nn.Sigmoid(), nn.Linear(8, 10))
    nn.init.initialise(model, "scaled-normal", "normal")
    trainer = tn.Trainer(model, nn.BCEWithLogitsLoss("batchmean"), optim.SGD(lr=0.5), l2=5)
    trainer.fit(train.take(200), epochs=2, batch_size=10, seed=7, progress=False)
    assert same(weights("runs/digits.safetensors"), {k: t.numpy() for k, t in model.state_dict().items()})


def test_normal_weights_are_standard_normal_biases_too(tinynet):
    tinynet("train --model 784-60-10 --init normal --epochs 0 --n 10")
    saved = weights("runs/digits.safetensors")
    w, b = saved["0.weight"], saved["0.bias"]
    assert abs(w.std() - 1) < 0.02
    assert abs(b.std() - 1) < 0.3
    tinynet("train --model 784-60-10 --init scaled-normal --epochs 0 --n 10")
    assert abs(weights("runs/digits.safetensors")["0.weight"].std() * 28 - 1) < 0.02


def test_the_file_holds_all_that_is_needed_to_make_the_model_again(tinynet):
    tinynet(SMALL + " --activation gelu --loss quadratic --seed 3")
    recipe, model = open_model("runs/digits.safetensors")
    assert (recipe.sizes, recipe.activation, recipe.loss) == ((784, 8, 10), "gelu", "quadratic")
    assert (recipe.dataset, recipe.classes, recipe.settings["seed"]) == ("digits", tuple("0123456789"), 3)
    assert [type(layer).__name__ for layer in model] == ["Linear", "GELU", "Linear", "Sigmoid"]


def test_float64_stays_float64(tinynet):
    tinynet(SMALL + " --dtype float64")
    assert weights("runs/digits.safetensors")["0.weight"].dtype == np.float64
    assert next(open_model("runs/digits.safetensors")[1].parameters()).dtype == "float64"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(tinynet, optimizer):
    ran = tinynet(f"train moons --n 250 --epochs 60 --optimizer {optimizer} --no-save --quiet")
    assert float(re.search(r"([\d.]+)%", ran.out)[1]) > 85


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_changes_the_rate_as_its_name_says(tinynet, schedule):
    tinynet(f"train xor --n 50 --epochs 12 --lr 0.1 --schedule {schedule} --no-save --quiet --history h.json")
    rates = [row["lr"] for row in json.loads(Path("h.json").read_text())["epochs"]]
    expected = {
        "constant": [0.1] * 12,
        "step": [0.1] * 4 + [0.01] * 4 + [0.001] * 4,
        "exponential": [0.1 * 0.95**t for t in range(12)],
        "cosine": [0.05 * (1 + np.cos(np.pi * t / 12)) for t in range(12)],
        "warmup": [0.01] + [0.05 * (1 + np.cos(np.pi * t / 11)) for t in range(11)],
    }.get(schedule)
    if expected is None:
        assert rates == sorted(rates, reverse=True)
    else:
        np.testing.assert_allclose(rates, expected, rtol=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns(tinynet, activation):
    ran = tinynet(f"train moons --n 250 --epochs 60 --activation {activation} --no-save --quiet")
    assert float(re.search(r"([\d.]+)%", ran.out)[1]) > 80


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("outputs", [1, 2])
def test_every_loss_learns_two_classes(tinynet, loss, outputs):
    ran = tinynet(f"train circles --model 2-12-{outputs} --loss {loss} --n 250 --epochs 80 --no-save --quiet")
    if (loss == "cross-entropy" and outputs == 1) or (loss == "hinge" and outputs == 2):
        assert ran.code == 2
        assert "circles has 2 inputs and 2 classes" in ran.err
    else:
        assert float(re.search(r"([\d.]+)%", ran.out)[1]) > 85


@pytest.mark.parametrize("name", ["line", "sine"])
def test_regression_reports_its_loss(tinynet, name):
    ran = tinynet(f"train {name} --n 250 --epochs 80 --quiet")
    assert float(re.search(r"Test loss ([\d.]+)", ran.out)[1]) < 0.1  # the noise alone is 0.01
    assert open_model(f"runs/{name}.safetensors")[0].classes is None


def test_early_stopping_and_validation(tinynet):
    ran = tinynet("train --n 100 --epochs 60 --validation 0.3 --patience 2 --no-save --history h.json")
    assert "70 examples to train on, 30 to validate" in ran.out
    assert "early stopping" in ran.out
    assert len(json.loads(Path("h.json").read_text())["epochs"]) < 60
    assert "val_accuracy" in tinynet(SMALL + " --validation test --no-save").out
    assert "190 examples to train on, 10 to validate" in tinynet(SMALL + " --validation 10 --no-save").out


def test_clipping_and_running_eagerly(tinynet):
    tinynet(SMALL + " --clip-norm 0.5 --save a.safetensors")
    tinynet(SMALL + " --clip-norm 0.5 --no-capture --save b.safetensors")
    assert same(weights("a.safetensors"), weights("b.safetensors"))
    tinynet(SMALL + " --save c.safetensors")
    assert not same(weights("a.safetensors"), weights("c.safetensors"))


def test_the_scalar_engine_gives_the_same_network(tinynet):
    words = "train xor --n 20 --model 2-3-2 --epochs 2 --dtype float64 --quiet"
    tinynet(words + " --backend numpy --save a.safetensors")
    tinynet(words + " --backend scalar --save b.safetensors")
    a, b = weights("a.safetensors"), weights("b.safetensors")
    for key in a:
        np.testing.assert_allclose(a[key], b[key], rtol=1e-9)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "train --model 784-30-11",
            "digits has 784 inputs and 10 classes; got 784-30-11. For example: --model 784-30-10",
        ),
        ("train moons --model 3-4-2", "moons has 2 inputs and 2 classes; got 3-4-2"),
        ("train sine --model 1-4-2", "sine has 1 input and 1 output; got 1-4-2"),
        ("train --model 784", "such as 784-30-10; got '784'"),
        ("train --model 784-0-10", "got '784-0-10'"),
        ("train --loss hinge", "two classes"),
        ("train sine --loss cross-entropy", "--loss is mse or quadratic"),
        ("train --patience 3", "add --validation"),
        ("train --patience 3 --validation test", "the test set must not decide"),
        ("train --validation 1.5", "it takes a fraction"),
        ("train --validation 0", "it takes a fraction"),
        ("train --momentum 0.9", "--momentum is for"),
        ("train --schedule cosine --schedule-factor 0.5", "--schedule-factor is for"),
        ("train --precision half", "there is no precision 'half'"),
        ("train --precision bfloat16 --dtype float64", "keeps weights in float32"),
        ("train --noise 0.1", "--noise is for sets made from a formula"),
        ("train moons --data-dir .", "--data-dir is for mnist"),
        ("train --n 6001", "6,000 training examples"),
        ("train --save a --no-save", "contradict"),
        ("train --report report.pdf", ".html"),
        ("train --history h.txt", ".json"),
        ("train --save .", "a folder is there"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(tinynet, words, told):
    ran = tinynet(words)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train --backend nump", "there is no backend 'nump'"),
        ("train fashion-mnist --data-dir .", "train-images-idx3-ubyte"),
        ("train --resume nothing", "there is no such file"),
    ],
)
def test_what_fails_exits_with_1(tinynet, words, told):
    ran = tinynet(words)
    assert ran.code == 1
    assert told in ran.err


def test_a_loss_that_is_not_finite_saves_no_model(tinynet):
    ran = tinynet(
        "train --n 100 --epochs 2 --lr 1e9 --loss mse --model 784-8-10 --activation relu --optimizer momentum"
    )
    if ran.code == 0:  # held in by the Sigmoid
        ran = tinynet("train sine --epochs 3 --lr 1e9 --save m.safetensors")
    assert ran.code == 1
    assert "no model is saved" in ran.err
    assert not os.path.exists("m.safetensors")


# --- going on ---------------------------------------------------------------------------------------------------------

RUN = "train --n 400 --epochs 6 --optimizer adam --validation 0.2 --patience 6 --seed 5 --backend numpy --quiet"


def test_resuming_ends_exactly_as_if_never_interrupted(tinynet, monkeypatch):
    tinynet(RUN + " --save whole.safetensors")
    steps = 0
    step = optim.Adam.step

    def interrupt(self):
        nonlocal steps
        steps += 1
        if steps == 70:
            os.kill(os.getpid(), signal.SIGINT)
        step(self)

    with monkeypatch.context() as patch:
        patch.setattr(optim.Adam, "step", interrupt)
        ran = tinynet(RUN + " --save part.safetensors --no-capture")
    assert ran.code == 130
    assert "tinynet train --resume part.checkpoint.safetensors" in ran.out
    assert not os.path.exists("part.safetensors")
    assert tinynet("train --resume part.checkpoint.safetensors --quiet").code == 0
    assert same(weights("whole.safetensors"), weights("part.safetensors"))


def test_a_finished_run_goes_on_to_more_epochs(tinynet):
    words = "train moons --lr 0.1 --model 2-8-2 --quiet --backend numpy"
    tinynet(words + " --epochs 5 --save whole.safetensors")
    tinynet(words + " --epochs 3 --save part.safetensors")
    assert tinynet("train --resume part.checkpoint.safetensors --epochs 5 --quiet").code == 0
    assert same(weights("whole.safetensors"), weights("part.safetensors"))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_run_in_half_floats_goes_on_exactly(tinynet, precision):
    words = f"train moons --lr 0.1 --model 2-8-2 --threads 1 --backend numpy --precision {precision}"
    ran = tinynet(words + " --epochs 5 --save whole.safetensors")
    assert f"numpy, float32, products in {precision}, on" in ran.out
    tinynet(words + " --epochs 3 --save part.safetensors")
    assert tinynet("train --resume part.checkpoint.safetensors --epochs 5 --quiet --threads 1").code == 0
    assert same(weights("whole.safetensors"), weights("part.safetensors"))
    assert {w.dtype for w in weights("whole.safetensors").values()} == {np.dtype("float32")}
    ran = tinynet("train --resume part.checkpoint.safetensors --precision tf32")
    assert ran.code == 2 and f"precision {precision}" in ran.err


def test_a_run_goes_on_with_its_own_settings_alone(tinynet):
    tinynet("train moons --epochs 3 --quiet")
    path = "runs/moons.checkpoint.safetensors"
    for words, told in (("--lr 3", "lr 0.1"), ("digits", "dataset moons"), ("--activation tanh", "activation relu")):
        ran = tinynet(f"train {words} --resume {path}")
        assert ran.code == 2
        assert told in ran.err
    assert "cosine schedule planned" in tinynet(f"train --resume {path} --epochs 9").err
    assert tinynet("train --resume runs/moons.safetensors").code == 1  # a model, not a run
    assert "tinynet train --resume" in tinynet(f"evaluate {path}").err


def test_ctrl_c_in_another_process_keeps_the_run(tmp_path):
    words = ["train", "moons", "--n", "20000", "--epochs", "5000", "--model", "2-8-2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tinynet", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kept = tmp_path / "runs" / "moons.checkpoint.safetensors"
    deadline = time.monotonic() + 30
    while not kept.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "tinynet train --resume runs/moons.checkpoint.safetensors" in out
