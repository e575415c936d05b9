"""Starting points and learning rates: equal units stay equal, large weights saturate, a falling rate settles."""

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider
from tinynet.teaching.pictures import signed

STARTS = {"zeros": nn.init.zeros_, "half": lambda p: p.load_(0.5), "random": nn.init.normal_}
SCHEDULES = {
    "constant": lambda epochs: optim.ConstantLR(),
    "step": lambda epochs: optim.StepLR(step_size=max(epochs // 3, 1)),  # to a tenth
    "cosine": lambda epochs: optim.CosineAnnealingLR(T_max=epochs),  # down to 0
}


def apart(start="half", units=4, steps=60, engine="scalar", seed=0):
    """Exclusive or, 24 points: each hidden unit's two weights before every step."""
    tn.manual_seed(seed)
    points = data.xor(24, noise=0.1, seed=seed)
    hidden = nn.Linear(2, units)
    model = nn.Sequential(hidden, nn.Sigmoid(), nn.Linear(units, 1))
    for parameter in model.parameters():
        STARTS[start](parameter)
    loss, rule = nn.BCEWithLogitsLoss(), optim.Adam(lr=0.3)
    trainer = tn.Trainer(model.to(engine), loss, rule, metrics=["accuracy"], threads=1)
    weights = []
    for _ in range(steps):
        weights.append(hidden.weight.numpy().astype(float))
        trainer.train_on_batch(points.x, points.y)
    return np.array(weights), trainer.evaluate(points)["accuracy"], points, model.to("numpy")


def draw_apart(figure, result, start, units, steps, engine):
    (left, right), (weights, accuracy, points, model) = figure.subplots(1, 2), result
    left.plot(weights[:, :, 0], weights[:, :, 1], color="C0", linewidth=1.2)
    left.plot(*weights[-1].T, "o", color="C1", markersize=7)
    left.set(xlim=(-16, 16), ylim=(-16, 16), title="hidden units", xlabel="first weight", ylabel="second weight")
    grid = np.stack(np.meshgrid(np.linspace(-0.4, 1.4, 40), np.linspace(-0.4, 1.4, 40)), 2).astype("float32")
    answers = model(grid.reshape(-1, 2)).sigmoid().numpy().reshape(40, 40)
    right.imshow(answers, cmap=signed(), vmin=0, vmax=1, origin="lower", extent=(-0.4, 1.4) * 2, alpha=0.4)
    for answer, mark in enumerate("Xo"):
        right.plot(*points.x[points.y == answer].T, mark, markersize=8, markeredgecolor="#fafafa")
    right.set(title="its answers", xticks=(0, 1), yticks=(0, 1))
    return (
        f"{units} hidden units, start: {start}. Left, each unit's way through {steps} steps, its end a dot: they end "
        f"{np.ptp(weights[-1], axis=0).max():.3g} apart. Right, crosses should be 0, blue, circles 1, orange: "
        f"{100 * accuracy:.0f} % are right."
    )


def first_epochs(weights="normal", units=30, epochs=4, seed=0):
    """Hidden sums and activations before training; accuracy on other digits, by epoch."""
    tn.manual_seed(seed)
    train, test = data.digits()
    hidden = nn.Linear(784, units)
    model = nn.Sequential(hidden, nn.Sigmoid(), nn.Linear(units, 10))
    nn.init.initialise(model, weights)  # biases start at 0
    sums = hidden(train.x[:1000]).numpy()
    activations = 1 / (1 + np.exp(-sums))
    saturated = 100 * np.mean(np.abs(activations - 0.5) > 0.45)  # within 0.05 of 0 or 1
    loss, rule = nn.BCEWithLogitsLoss("batchmean"), optim.SGD(lr=0.1)
    trainer = tn.Trainer(model, loss, rule, metrics=["accuracy"], threads=1)
    history = trainer.fit(train.take(2000), test, epochs, 10, seed=seed, progress=False)
    return sums.std(), activations, saturated, history["val_accuracy"]


def draw_epochs(figure, result, weights, units, epochs):
    (left, right), (spread, activations, saturated, accuracy) = figure.subplots(1, 2), result
    shares = np.histogram(activations, 20, (0, 1))[0] / activations.size
    left.bar(np.arange(0.025, 1, 0.05), 100 * shares, 0.045)
    left.set(ylim=(0, 100), xlabel="activation before training", title="hidden units, %")
    right.plot(range(1, epochs + 1), accuracy, "o-", markersize=4)
    right.set(ylim=(0, 1), xlabel="epoch", title="accuracy on new digits", xticks=range(1, epochs + 1))
    return (
        f"Weights {weights}: the hidden sums spread by {spread:.2g}, and {saturated:.0f} % of the activations "
        f"are within 0.05 of 0 or 1. Accuracy after {epochs} epochs: {100 * accuracy[-1]:.1f} %."
    )


def descend(lr=2.0, schedule="constant", epochs=6, seed=0):
    """1,000 digits in batches of 4: the loss after each epoch, and the rate in it."""
    tn.manual_seed(seed)
    train = data.digits()[0].take(1000)
    model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10))
    loss, rule, change = nn.CrossEntropyLoss(), optim.SGD(lr=lr), SCHEDULES[schedule](epochs)
    trainer = tn.Trainer(model, loss, rule, schedule=change, threads=1)
    history = trainer.fit(train, train, epochs, 4, seed=seed, progress=False)
    return history["val_loss"], history["lr"]


def draw_descend(figure, result, lr, schedule, epochs):
    (left, right), (losses, rates) = figure.subplots(1, 2, width_ratios=(3, 2)), result
    left.axhline(np.log(10), color="gray", linestyle=":")
    left.plot(range(1, epochs + 1), losses, "o-", markersize=4)
    left.set(yscale="log", ylim=(0.02, 50), xlabel="epoch", title="loss (dotted: guessing)")
    right.plot(range(1, epochs + 1), rates, "o-", color="C1", markersize=4)
    right.set(ylim=(0, 1.1 * lr), xlabel="epoch", title="learning rate")
    return (
        f"From rate {lr:g}, {schedule}: loss {losses[0]:.2g} after one epoch, {losses[-1]:.2g} after {epochs}; "
        f"{np.mean(losses[-3:]):.2g} in the mean of the last three."
    )


def final(run, lr, schedule="constant"):
    return np.mean(run(lr=lr, schedule=schedule)[0][-3:])


def part(run):
    return final(run, 2.0, "cosine") / final(run, 2.0)


LESSON = Lesson(
    number=11,
    title="Starting points and learning rates",
    question="Where should the weights start, how long should the steps be, and should they stay that long?",
    idea="""Every weight needs a first value. Then each step moves every weight against its gradient:

    weight ← weight − rate · gradient

The learning rate says how far. A schedule changes it from epoch to epoch; an epoch is one pass over all examples. An
activation σ(z) = 1 / (1 + e⁻ᶻ) close to 0 or 1 is called saturated: its slope is nearly 0, so little is learned.""",
    experiments=[
        Experiment(
            title="Units that start alike",
            says="""Exclusive or is 1 where one input is 1 and the other 0. No single line parts its ones from its
zeros; each hidden unit draws one soft line. The network is made of `Value`s here, one for each number. `Adam` is
gradient descent that divides each number's step by the usual size of its gradient.""",
            run=apart, draw=draw_apart, size=(5, 2.7),
            sliders=[Slider("start", list(STARTS)), Slider("units", (2, 4), "hidden units")],
            predict=Choice(
                "Four hidden units start with 0.5 for every weight. After training, how many are still different?",
                ("4: each finds its own line", "2: one for each line needed", "1: all are equal"),
                right=lambda run: {4: 0, 2: 1, 1: 2}.get(len(np.unique(run()[0][-1], axis=0)), 0),
                because="""Equal units get equal gradients and take equal steps. They end {same} apart: four units, one
line, {line} % right. From zeros no weight leaves 0; the largest is {zeros}. Units that start by chance go different
ways: {random} % right.""",
            ),
            checks=[
                Check("same", "start 0.5: largest distance of two units at the end",
                      lambda run: np.ptp(run()[0][-1], axis=0).max(), 0, 0),
                Check("line", "start 0.5: right after 60 steps, %", lambda run: 100 * run()[1], 70, 80, ".0f"),
                Check("zeros", "start 0: largest weight", lambda run: abs(run(start="zeros")[0]).max(), 0, 0),
                Check("random", "random start: right after 60 steps, %", lambda run: 100 * run(start="random")[1],
                      90, 100, ".0f"),
            ],
        ),
        Experiment(
            title="How large a random start",
            says="""784 pixels, 30 hidden units, 2,000 digits. `normal` draws weights of typical size 1 (standard
normal); `scaled-normal` divides them by √784 = 28, the root of the number of inputs. `xavier` (by inputs and outputs)
and `he` (√(2 / inputs), made for ReLU) are in the same spirit. Nielsen compares the first two on 50,000 digits.""",
            run=first_epochs, draw=draw_epochs, size=(5, 2.7),
            sliders=[Slider("weights", ("normal", "scaled-normal", "xavier", "he", "zeros"))],
            predict=Number(
                "Weights `normal`, before training: how many % of the activations are within 0.05 of 0 or 1?",
                right=lambda run: run()[2], margin=10, shown=".0f",
                because="""Hundreds of pixels add up: the sums spread by {spread}, and {full} % of the activations are
saturated. Divided by 28, the sums spread by {small}, and {free} % are. After one epoch the first network is right on
{slow} % of 1,000 other digits, the second on {fast} %. From `zeros` all hidden units stay alike, and no more than
{nought} % are right.""",
            ),
            checks=[
                Check("spread", "normal: spread of hidden sums", lambda run: run()[0], 8, 11, ".2g"),
                Check("full", "normal: saturated, %", lambda run: run()[2], 65, 82, ".0f"),
                Check("small", "scaled: spread of hidden sums", lambda run: run(weights="scaled-normal")[0],
                      0.28, 0.4, ".2g"),
                Check("free", "scaled: saturated, %", lambda run: run(weights="scaled-normal")[2], 0, 1, ".0f"),
                Check("slow", "normal: right after an epoch, %", lambda run: 100 * run()[3][0], 28, 50, ".0f",
                      "under 87 % with 50,000 digits"),
                Check("fast", "scaled: right after an epoch, %", lambda run: 100 * run(weights="scaled-normal")[3][0],
                      62, 85, ".0f", "almost 93 % with 50,000 digits"),
                Check("nought", "zeros: most right after any epoch, %",
                      lambda run: 100 * max(run(weights="zeros")[3]), 5, 25, ".0f"),
            ],
        ),
        Experiment(
            title="How long the steps",
            says="""1,000 digits in batches of 4: every step follows a noisy gradient. `constant` keeps the rate; `step`
divides it by ten after a third of the epochs, and again; `cosine` lets it sink along half a cosine. A final loss is
the mean over the last three epochs. Guessing among ten digits has ln 10 = 2.3.""",
            run=descend, draw=draw_descend, size=(5, 2.7),
            sliders=[Slider("lr", (0.01, 0.1, 0.5, 2.0, 10.0), "learning rate"), Slider("schedule", list(SCHEDULES))],
            predict=Choice(
                "From rate 2, `cosine` takes ever shorter steps. How does it end, next to the constant rate?",
                ("with more loss: short steps learn less", "with about as much", "with less than 0.7 of its loss"),
                right=lambda run: 2 if part(run) < 0.7 else int(part(run) < 1.1),
                because="""Steps at rate 2 jump about in the noise, at a loss of {jumpy}; shrinking, they settle, at
{settled}: {part} times as much. Where the rate is small anyway, shrinking only slows: from 0.1 the constant rate ends
at {tenth}, cosine at {slowed}. No schedule mends a bad rate: 0.01 creeps ({creep}), 10 is worse than guessing
({wild}).""",
            ),
            checks=[
                Check("jumpy", "constant 2: final loss", lambda run: final(run, 2.0), 0.4, 1.6, ".2g"),
                Check("settled", "cosine from 2: final loss", lambda run: final(run, 2.0, "cosine"), 0.1, 0.8, ".2g"),
                Check("part", "final loss with cosine from 2, over that with constant 2", part, 0.1, 0.65, ".2g"),
                Check("tenth", "constant 0.1: final loss", lambda run: final(run, 0.1), 0.25, 0.33, ".2g"),
                Check("slowed", "cosine from 0.1: final loss", lambda run: final(run, 0.1, "cosine"),
                      0.36, 0.46, ".2g"),
                Check("creep", "constant 0.01: final loss", lambda run: final(run, 0.01), 1.4, 2.1, ".2g"),
                Check("wild", "constant 10: final loss", lambda run: final(run, 10.0), 2.3, float("inf"), ".2g"),
            ],
        ),
    ],
    change=[
        "`tinynet learn starting-points --set engine=numpy units=7`: 32-bit arrays. Are equal units still quite equal?",
        "`tinynet learn starting-points --set start=random steps=5`: how soon do the units part?",
        "`tinynet learn starting-points --set epochs=12`: do more epochs make up for a schedule?",
    ],
    engine=["nn/init.py: scaled_normal_", "optim/schedules.py: CosineAnnealingLR", "optim/sgd.py: SGD.update"],
    sources=["Nielsen, Neural Networks and Deep Learning, chapter 3: http://neuralnetworksanddeeplearning.com/chap3.html",
             "Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (2010)",
             "He et al., Delving deep into rectifiers (2015): https://arxiv.org/abs/1502.01852"],
)  # fmt: skip
